/*
 * A store around another one that counts: calls of each verb, how many failed, and how long they
 * took. It costs two looks at the clock and a few additions a call; a call is a batch, so nothing
 * is paid for a task.
 *
 * The numbers are in a struct meter of the caller's, which all clones share: the lane, the keeper
 * and SQL steps of a worker add to one meter, each from its thread, and any thread may read. A
 * reader may see a call half counted, never a torn number.
 */
#ifndef STORE_METER_H
#define STORE_METER_H

#include <stdatomic.h>

#include "store/store.h"

/* Verbs that may fail, in the order of struct store_ops. */
#define METER_VERBS(X)                                                                             \
    X(now)                                                                                         \
    X(submit)                                                                                      \
    X(wait_result)                                                                                 \
    X(run_get)                                                                                     \
    X(run_list)                                                                                    \
    X(history)                                                                                     \
    X(inbox_list)                                                                                  \
    X(children)                                                                                    \
    X(task_get)                                                                                    \
    X(task_list)                                                                                   \
    X(dead_get)                                                                                    \
    X(dead_list)                                                                                   \
    X(workers)                                                                                     \
    X(pending)                                                                                     \
    X(info)                                                                                        \
    X(queues)                                                                                      \
    X(retain)                                                                                      \
    X(purge)                                                                                       \
    X(acquire)                                                                                     \
    X(renew)                                                                                       \
    X(takeover)                                                                                    \
    X(leave)                                                                                       \
    X(cycle)                                                                                       \
    X(load)                                                                                        \
    X(load_tasks)                                                                                  \
    X(sql_step)                                                                                    \
    X(wait)

enum meter_verb {
#define X(verb) METER_##verb,
    METER_VERBS(X)
#undef X
        METER_OPS
};

/* Times are sorted into four buckets for each power of two; the last takes all that is longer. */
enum { METER_BUCKETS = 4 * 26 };

struct meter_op {
    _Atomic uint64_t count, errors, total_us, max_us;
    _Atomic uint64_t buckets[METER_BUCKETS];
};

struct meter {
    struct meter_op  ops[METER_OPS];
    _Atomic uint64_t commits, writes; /* cycles that stored something, and how much */
    _Atomic uint64_t fetches, rows;   /* cycles that brought something, and how much */
};

const char *meter_name(enum meter_verb verb); /* "cycle" */
void        meter_add(struct meter_op *op, int64_t us, bool failed);
/* The time that `part` of 100 calls did not exceed, at most a quarter too high; 0 if there was no
 * call. */
int64_t meter_percentile(const struct meter_op *op, int part);

/* Owns inner; m is borrowed, and lives as long as the store and its clones. On an error inner stays
 * the caller's. */
int meter_store_open(struct store *inner, struct meter *m, struct store **out, struct err *err);

#endif
