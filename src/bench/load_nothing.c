/* Nothing: units are seconds of a worker that is idle, and costs those of these seconds alone. */
#include "bench/bench.h"

enum { REST_MS = 2000 };

static double
workers_cpu(const struct bench *b)
{
    double sum = 0;
    for (int i = 0; i < b->n_workers; i++)
        sum += proc_cpu_s(b->worker[i].pid);
    return sum;
}

int
load_nothing(struct bench *b, hf *h)
{
    struct outcome *o = b->out;

    load_pause_us(REST_MS * 1e3);
    TRY(bench_cost(b, h->store, &o->began, &o->err));
    o->began_cpu = workers_cpu(b);
    int64_t begin_us = clock_steady_us();
    load_pause_us((double)b->point.duration_ms * 1e3);
    o->seconds = load_seconds_since(begin_us);
    o->ended_cpu = workers_cpu(b);
    TRY(bench_cost(b, h->store, &o->ended, &o->err));
    o->own_costs = true;
    o->units = o->all_units = o->seconds * b->point.workers;
    return HF_OK;
}
