/*
 * Sleepers that wake together: all are started and parked, then their time comes. The clock runs
 * from that time until all have ended; how late each was is the latency of its start.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

enum { PAGE = 5000, PARKED_A_SECOND = 8000, MARGIN_S = 5, PAUSE_US = 100000 };

static int
start_sleepers(struct bench *b, hf *h, int64_t wake_ms)
{
    static const char *inputs[PAGE];
    char               text[32];
    int64_t            begin_us = clock_steady_us();

    snprintf(text, sizeof(text), "%lld", (long long)wake_ms);
    for (size_t i = 0; i < PAGE; i++)
        inputs[i] = text;
    for (int64_t left = b->point.units, n; left > 0; left -= n) {
        n = left < PAGE ? left : PAGE;
        if (hf_start_many(h, b->point.work, inputs, NULL, (size_t)n, HF_OPT(.queue = BENCH_QUEUE),
                          NULL))
            return load_fail(b, h);
    }
    b->out->enqueue_seconds = load_seconds_since(begin_us);
    b->out->stored_units = (double)b->point.units;
    return HF_OK;
}

static int
wait_parked(struct bench *b, struct store *s, int64_t wake_us)
{
    struct pending p = {.running = 1};

    while (p.running > 0) {
        load_pause_us(PAUSE_US);
        TRY(s->ops->pending(s, BENCH_QUEUE, 0, &p, &b->out->err));
    }
    if (clock_system_us() >= wake_us)
        return err_set(&b->out->err, HF_TIMEOUT,
                       "bench: the sleepers were not parked when their time came: fewer --tasks");
    return HF_OK;
}

static int
add_lateness(struct bench *b, const struct run_row *run, void *arg)
{
    double late_ms = (double)(run->ended_us - *(const int64_t *)arg) / 1e3;

    load_add_sample(&b->out->start, late_ms);
    return late_ms < 0 ? err_set(&b->out->err, HF_FAILED, "bench: run %s woke %g ms early", run->id,
                                 -late_ms)
                       : HF_OK;
}

int
load_timers(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    int64_t         parked_s = b->point.units / PARKED_A_SECOND + MARGIN_S;
    int64_t         wake_us = (clock_system_us() / US_PER_MS + parked_s * HF_SECOND) * US_PER_MS;

    TRY(start_sleepers(b, h, wake_us / US_PER_MS));
    TRY(wait_parked(b, h->store, wake_us));
    while (clock_system_us() < wake_us)
        load_pause_us(PAUSE_US);
    load_wait_done(b, BOARD_RUNS, b->point.units);
    TRY(load_wait_no_run(b, h->store));
    o->seconds = (double)(clock_system_us() - wake_us) / 1e6;
    o->units = o->all_units = (double)b->point.units;
    return load_each_run(b, h->store, add_lateness, &wake_us);
}
