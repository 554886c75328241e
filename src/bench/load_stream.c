/*
 * A stream: tasks are stored as fast as they are executed, so that some tens of thousands wait, for
 * a time. What was executed in each second is kept. Pinned: another connection holds a snapshot
 * meanwhile, so the server can take away no row that was deleted.
 */
#include "bench/bench.h"
#include "store/cost.h"

enum { WAITING_MAX = 40000, PAGE = 5000, PAUSE_US = 2000, WARM_UP_MS = 2000 };

/* Goes on for so long, with a number in o->series for each second if asked. */
static int
stream(struct bench *b, hf *h, int64_t duration_ms, bool count, int64_t *stored)
{
    struct outcome *o = b->out;
    int64_t begin_us = clock_steady_us(), before = board_done(b->board, BOARD_TASKS), last = before;
    double  past_s, next_s = 1;

    while ((past_s = load_seconds_since(begin_us)) * 1e3 < (double)duration_ms) {
        int64_t done = board_done(b->board, BOARD_TASKS);
        if (count && past_s >= next_s && o->n_series < BENCH_SERIES_MAX) {
            o->series[o->n_series++] = (double)(done - last);
            last = done;
            next_s += 1;
        }
        if (*stored - done < WAITING_MAX) {
            TRY(load_enqueue(b, h, PAGE));
            *stored += PAGE;
        } else {
            load_pause_us(PAUSE_US);
        }
    }
    o->seconds = load_seconds_since(begin_us);
    o->units = (double)(board_done(b->board, BOARD_TASKS) - before);
    return HF_OK;
}

int
load_stream(struct bench *b, hf *h)
{
    int64_t stored = 0;

    TRY(stream(b, h, WARM_UP_MS, false, &stored));
    TRY(stream(b, h, b->point.duration_ms, true, &stored));
    load_wait_done(b, BOARD_TASKS, stored);
    b->out->all_units = (double)stored;
    return HF_OK;
}

int
load_pinned(struct bench *b, hf *h)
{
    struct store *pin = NULL;

    int rc = h->store->ops->clone(h->store, &pin, &b->out->err);
    if (rc == HF_OK)
        rc = store_pin(pin, &b->out->err);
    if (rc == HF_OK)
        rc = load_stream(b, h);
    if (pin)
        pin->ops->close(pin);
    return rc;
}
