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
int
load_store_backlog(struct bench *b, hf *h, int64_t *begin_us)
{
    struct outcome *o = b->out;

    TRY(warm_up(b, h));
    poll(NULL, 0, REST_MS);
    workers_signal(b, SIGSTOP);
    *begin_us = clock_steady_us();
    o->stored_units = (double)(b->point.units + b->point.backlog);
    int rc = load_enqueue(b, h, b->point.units + b->point.backlog);
    o->enqueue_seconds = load_seconds_since(*begin_us);
    *begin_us = clock_steady_us();
    workers_signal(b, SIGCONT);
    return rc;
}

int
load_backlog(struct bench *b, hf *h)
{
    int64_t begin_us;

    TRY(load_store_backlog(b, h, &begin_us));
    load_wait_done(b, BOARD_TASKS, b->point.units);
    if (b->point.backlog == 0)
        TRY(load_wait_no_task(b, h->store));
    b->out->seconds = load_seconds_since(begin_us);
    b->out->units = (double)b->point.units;
    return HF_OK;
}
