/*
 * A backlog of tasks: stored while the workers are held (SIGSTOP), then executed. What counts as
 * the end is that no task is left; before a longer backlog, that so many were executed.
 */
#include <math.h>
#include <poll.h>
#include <signal.h>

#include "bench/bench.h"

enum { REST_MS = 300, WARM_UP = 2000 };

/* The first tasks of a worker are slower: connections, plans and memory are new. */
static int
warm_up(struct bench *b, hf *h)
{
    int64_t n = b->point.units / 10 < WARM_UP ? b->point.units / 10 : WARM_UP;

    TRY(load_enqueue(b, h, n));
    load_wait_done(b, BOARD_TASKS, n);
    TRY(load_wait_no_task(b, h->store));
    board_clear(b->board);
    b->out->all_units = b->point.backlog ? NAN : (double)(n + b->point.units);
    return HF_OK;
}

/* Nobody is to be held in the middle of a commit. */
static int
store_backlog(struct bench *b, hf *h)
{
    int64_t all = b->point.units + b->point.backlog;

    TRY(warm_up(b, h));
    poll(NULL, 0, REST_MS);
    workers_signal(b, SIGSTOP);
    int64_t begin_us = clock_steady_us();
    int     rc = load_enqueue(b, h, all);
    b->out->enqueue_seconds = load_seconds_since(begin_us);
    b->out->stored_units = (double)all;
    return rc;
}

int
load_backlog(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    int             rc = store_backlog(b, h);
    int64_t         begin_us = clock_steady_us();

    workers_signal(b, SIGCONT);
    TRY(rc);
    load_wait_done(b, BOARD_TASKS, b->point.units);
    if (b->point.backlog == 0)
        TRY(load_wait_no_task(b, h->store));
    o->seconds = load_seconds_since(begin_us);
    o->units = (double)b->point.units;
    return HF_OK;
}
