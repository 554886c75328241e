/*
 * Latency. Alone: a run at a time, from the call of hf_start to the return of hf_wait, each after a
 * short rest, so that workers are at rest too. Paced: runs begin at random times, a Poisson
 * process, whatever has ended; what they took is read from the store afterwards. The run's task
 * says when it was begun: load and worker read the clock of one machine.
 */
#include <math.h>
#include <stdlib.h>

#include "bench/bench.h"

enum { WARM_UP = 20, WAIT_MS = 60000, A_SECOND = 200 };

static double
stamp_ms(const char *output, int64_t from_us)
{
    return (double)((output ? strtoll(output, NULL, 10) : 0) - from_us) / 1e3;
}

/* One run from its start to its result. */
static int
one_run(struct bench *b, hf *h, bool count)
{
    struct outcome *o = b->out;
    hf_info        *info = NULL;
    char            id[HF_ID_SIZE];
    int64_t         clock_us = clock_system_us(), begin_us = clock_steady_us();

    int rc = hf_start(h, b->point.work, NULL, HF_OPT(.queue = BENCH_QUEUE), id);
    rc = rc ? rc : hf_wait(h, id, WAIT_MS, &info);
    double took_ms = load_seconds_since(begin_us) * 1e3;
    if (rc == HF_OK && count) {
        load_add_sample(&o->start, stamp_ms(info->output, clock_us));
        load_add_sample(&o->result, took_ms);
    }
    hf_info_free(info);
    return rc ? load_fail(b, h) : HF_OK;
}

int
load_alone(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    int64_t         begin_us = 0, n = 0, warm = b->point.units < WARM_UP ? 2 : WARM_UP;
    double          limit_ms = b->point.duration_ms ? (double)b->point.duration_ms : INFINITY;

    for (int64_t i = -warm; i < b->point.units; i++) {
        if (i == 0)
            begin_us = clock_steady_us();
        if (i > 0 && load_seconds_since(begin_us) * 1000 >= limit_ms)
            break;
        TRY(one_run(b, h, i >= 0));
        n += i >= 0;
    }
    o->seconds = load_seconds_since(begin_us);
    o->units = (double)n;
    o->all_units = (double)(n + warm);
    return load_read_ends(b, h->store, &o->stored);
}

/* ---- paced */

static int
add_stamp(struct bench *b, const struct run_row *run, void *arg)
{
    (void)arg;
    load_add_sample(&b->out->start, stamp_ms(run->output, run->started_us));
    return HF_OK;
}

int
load_paced(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    int64_t         begin_us = clock_steady_us(), n = 0;
    double          next_s = 0, limit_s = (double)b->point.duration_ms / 1e3;

    for (; n < b->point.units && (limit_s <= 0 || next_s < limit_s); n++) {
        double late_s = load_seconds_since(begin_us) - next_s;
        if (late_s < 0)
            load_pause_us(-late_s * 1e6);
        if (hf_start(h, b->point.work, NULL, HF_OPT(.queue = BENCH_QUEUE), NULL))
            return load_fail(b, h);
        next_s -= log(1 - drand48()) / A_SECOND;
    }
    TRY(load_wait_no_run(b, h->store));
    o->seconds = load_seconds_since(begin_us);
    o->units = o->all_units = (double)n;
    TRY(load_each_run(b, h->store, add_stamp, NULL));
    return load_read_ends(b, h->store, &o->result);
}
