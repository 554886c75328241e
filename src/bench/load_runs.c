/*
 * So many runs in flight: as many as have ended are started anew, in one commit when it is an
 * eighth of them. Those that have ended are counted on the board, which costs the store nothing; at
 * the end the store must have none left.
 */
#include <math.h>

#include "bench/bench.h"

enum { PAUSE_MAX_US = 20000, WARM_UP_SHARE = 20 };

static bool
is_over(const struct bench *b, int64_t begin_us)
{
    return b->point.duration_ms &&
           load_seconds_since(begin_us) * 1000 >= (double)b->point.duration_ms;
}

/* Starts runs until it was so many, or the time is over; returns when they have ended. */
static int
go_through(struct bench *b, hf *h, int64_t units, int64_t *started)
{
    int64_t begin_us = clock_steady_us(), most = b->point.in_flight;
    int64_t before = board_done(b->board, BOARD_RUNS);

    for (*started = 0; *started < units && !is_over(b, begin_us);) {
        int64_t done = board_done(b->board, BOARD_RUNS) - before;
        int64_t room = most - (*started - done), left = units - *started;
        room = room < left ? room : left;
        if (room > 0 && (room == left || room * 8 >= most)) {
            if (hf_start_many(h, b->point.work, NULL, NULL, (size_t)room,
                              HF_OPT(.queue = BENCH_QUEUE), NULL))
                return load_fail(b, h);
            *started += room;
        } else {
            double each_us = load_seconds_since(begin_us) * 1e6 / (double)(done + 1);
            load_pause_us(fmin(each_us * (double)most / 32, PAUSE_MAX_US));
        }
    }
    load_wait_done(b, BOARD_RUNS, before + *started);
    return load_wait_no_run(b, h->store);
}

int
load_in_flight(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    int64_t         units = b->point.units, warm, started;
    double          each = b->point.each > 0 ? b->point.each : 1;

    TRY(go_through(b, h, units / WARM_UP_SHARE, &warm));
    int64_t begin_us = clock_steady_us();
    TRY(go_through(b, h, b->point.duration_ms ? INT64_MAX : units, &started));
    o->seconds = load_seconds_since(begin_us);
    o->units = (double)started * each;
    o->all_units = (double)(started + warm) * each;
    return load_read_ends(b, h->store, &o->result);
}
