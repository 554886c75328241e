/* Nothing: units are seconds of a worker that is idle. */
#include "bench/bench.h"

int
load_nothing(struct bench *b, hf *h)
{
    int64_t begin_us = clock_steady_us();

    (void)h;
    load_pause_us((double)b->point.duration_ms * 1e3);
    b->out->seconds = load_seconds_since(begin_us);
    b->out->units = b->out->all_units = b->out->seconds * b->point.workers;
    return HF_OK;
}
