/*
 * The slots: threads that execute jobs and steps, and a few more for turns, so that turns never
 * wait behind tasks. The lane publishes work in rings and takes results from stacks (base/queue.h);
 * it is woken through an eventfd, and only while it sleeps. Slots are woken one by one: a slot that
 * takes an item which may take long wakes the next one, so quick work stays on few threads.
 */
#ifndef WORKER_POOL_H
#define WORKER_POOL_H

#include <pthread.h>

#include "core/job.h"

struct live;
struct pool;
struct sql_conn;

/* Slots that sleep, all on one condition. */
struct sleepers {
    pthread_mutex_t mutex;
    pthread_cond_t  cond;
    _Atomic int     count;
    int             tickets; /* wake-ups given and not taken */
};

struct slot {
    struct pool *pool;
    pthread_t    thread;
    bool         for_turns;
    struct arena arena;
    int64_t      began_us; /* steady clock: its turn */
    _Atomic(struct live *)
        turn; /* the run whose turn is under way; whoever swaps it out decides its end */
    _Atomic uint64_t
             turns; /* begun, written by the slot, read by the lane: the turn is still the same */
    uint64_t watched_turn; /* the lane's: seen at its last look, and the thread's CPU time then */
    int64_t  watched_cpu_us;
    bool     lost; /* the lane's: it does not count any more */
};

enum { POOL_TURN_SLOTS = 2, POOL_SLOTS_MAX = 4096 };

struct pool {
    struct ring    *tasks; /* struct job *, or with bit 0 set struct live *: a turn that may step */
    struct ring    *turns; /* struct live * */
    struct stack    jobs_done, turns_done;
    struct sleepers task_sleepers, turn_sleepers;
    int             wake_fd;
    _Atomic int     lane_sleeps;
    _Atomic int     stopping;
    _Atomic int     quiesce; /* jobs that have not begun go back as they are */
    _Atomic int     running; /* threads that have not ended */
    _Atomic int64_t
        start_until_us; /* steady clock: later nothing may start, the lease may be over */
    _Atomic int64_t lease_until_us; /* steady clock: later handlers are told to stop, it is over */
    struct slot   **slots;
    size_t          n_slots, n_turn_slots; /* task slots first */
    void (*execute_turn)(struct live *live, struct slot *slot, bool may_step);
    _Atomic int64_t   store_ahead_us; /* store time less the steady clock, by its last answer */
    struct clock      clock; /* the store's: of a server's time, as far as it is known here */
    const struct log *log;
    struct sql_conn  *sql;
};

int pool_open(int           slots, void (*execute_turn)(struct live *, struct slot *, bool),
              struct pool **out, struct err *err);

/* Ends the threads, waiting until the deadline (steady clock). false: some are stuck in handlers;
 * the pool then stays in memory for ever. */
bool pool_close(struct pool *p, int64_t deadline_us);

bool   pool_put_job(struct pool *p, struct job *job); /* false: the ring is full */
bool   pool_put_turn(struct pool *p, struct live *live, bool may_step);
void   pool_wake(struct pool *p); /* after a round of puts */
size_t pool_free_slots(const struct pool *p);

/* The lane says that it will sleep; false: results are there, it must not. */
bool pool_lane_sleeps(struct pool *p);
void pool_lane_woke(struct pool *p);

/* One more thread for turns, for one that does not come back. */
int pool_replace_turn_slot(struct pool *p, struct err *err);
/* CPU time of a slot's thread so far. */
int64_t slot_cpu_us(const struct slot *s);

#endif
