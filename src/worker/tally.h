/*
 * What a lane counts while it works: totals since the worker began. Only the lane's thread writes;
 * each number is an atomic that is stored, never exchanged, so that counting costs what it costs in
 * a plain variable and the thread that publishes (stats.c) may read at any time.
 */
#ifndef WORKER_TALLY_H
#define WORKER_TALLY_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "holdfast.h"

enum { TALLY_QUEUES = 64 }; /* what is done in more queues counts in the totals only */

struct queue_tally {
    char             name[HF_ID_SIZE];
    _Atomic uint64_t tasks, failed, runs;
};

struct tally {
    _Atomic uint64_t   turns, steps, turn_us;  /* steps: turns that ran a step's body */
    _Atomic uint64_t   tasks, failed, task_us; /* attempts that did well, that did not, and both */
    _Atomic uint64_t   runs;                   /* that have ended, however */
    _Atomic uint64_t   commits;
    _Atomic uint32_t   n_queues;
    struct queue_tally queues[TALLY_QUEUES];
};

static inline void
tally_add(_Atomic uint64_t *to, uint64_t n)
{
    uint64_t was = atomic_load_explicit(to, memory_order_relaxed);
    atomic_store_explicit(to, was + n, memory_order_relaxed);
}

/* The queue's own numbers, made when they are first asked for; NULL: there is no more room. */
static inline struct queue_tally *
tally_queue(struct tally *t, const char *name)
{
    uint32_t n = atomic_load(&t->n_queues);

    for (uint32_t i = 0; i < n; i++)
        if (strcmp(t->queues[i].name, name) == 0)
            return &t->queues[i];
    size_t len = strlen(name);
    if (n == TALLY_QUEUES || len >= HF_ID_SIZE)
        return NULL;
    memcpy(t->queues[n].name, name, len + 1);
    atomic_store(&t->n_queues, n + 1);
    return &t->queues[n];
}

#endif
