/*
 * Retention: the worker deletes ended runs of its queues when they have been kept as long as their
 * queue says. It does so beside its work, in small commits on a connection that no lane uses, and
 * rests three times as long as each of them took. Workers of the same queues share: with n of them
 * each looks every n minutes, for a look reads also what lives that long.
 */
#ifndef WORKER_RETENTION_H
#define WORKER_RETENTION_H

#include "store/store.h"

enum { RETENTION_EVERY_S = 60, RETENTION_BATCH = 500 };

struct retention {
    const char *queues;  /* names with commas, NULL: all; borrowed */
    int64_t     next_us; /* steady clock: when to call again */
    int64_t     deleted; /* so far, for the log */
    size_t      sharers; /* workers of the same queues, this one too; 0 counts as 1 */
};

/* spread: any number that differs between workers, so that they do not all begin at once. The
 * first sweep is within a minute. */
struct retention retention_begin(const char *queues, int64_t now_us, int64_t spread);

/*
 * Does nothing before next_us (now_us: steady clock). Then deletes at most one batch of each queue,
 * and sets next_us: soon if there may be more, else when it is its turn again. An error of the
 * store is returned, and the next try is then too.
 */
int retention_tick(struct retention *r, struct store *s, int64_t now_us, struct err *err);

#endif
