/*
 * The keeper: a thread with a connection of its own that keeps a worker's lease on a shared store,
 * whatever the lane is doing. It looks who else is there, takes over what the dead have left, and
 * tells the lane; only the lane reads partitions and gives them away.
 *
 * Time decides when to try a takeover, never safety. The keeper judges others only after it has
 * itself renewed without a gap for one full lease: after an outage of the server all leases are
 * over, and nobody is dead.
 */
#ifndef WORKER_KEEPER_H
#define WORKER_KEEPER_H

#include "worker/pool.h"
#include "worker/stats.h"

struct keeper;

struct view {
    struct census census;
    int64_t       worker;    /* whom it is for: an answer may come when there is another already */
    int64_t       asked_us;  /* steady clock, before the store was asked */
    bool          took_over; /* partitions are ours now that the lane does not know */
    bool          stale;     /* the lease is lost: join anew */
    struct arena  arena;
};

/* Owns `store`. The pool's start_until_us and lease_until_us are set at each renewal. Beside that
 * it deletes ended runs of the queues (NULL: all; borrowed) when they have been kept long enough;
 * on an exclusive store that is all it does. stats are borrowed, and published with the lease. */
int  keeper_open(struct store *store, struct pool *pool, int64_t lease_us, const char *queues,
                 struct stats *stats, const struct log *log, struct keeper **out, struct err *err);
void keeper_close(struct keeper *k);

/* Keeps this worker's lease from now on; 0: none. */
void keeper_serve(struct keeper *k, int64_t worker);
/* Has it look now. leaving: others are told to give us nothing. */
void keeper_kick(struct keeper *k, bool leaving);
/* What it saw last, if the lane has not taken it yet; to be freed. NULL: nothing new. */
struct view *keeper_take(struct keeper *k);
void         view_free(struct view *v);
/* Readable when there is something to take. */
int keeper_fd(const struct keeper *k);

#endif
