/*
 * What a worker says of itself with its lease: totals since it began and rates of the last
 * interval, as one JSON text. `holdfast stats` and `holdfast queues` read it, and SQL as
 * holdfast.workers.stats.
 *
 * It belongs to the thread that renews the lease. A worker that has nothing to do says nothing new,
 * so it writes nothing: after work has stopped it says once more that the rates are 0.
 */
#ifndef WORKER_STATS_H
#define WORKER_STATS_H

#include "base/buf.h"
#include "store/meter.h"
#include "worker/tally.h"

enum { STATS_PINGS = 5 };

/* What was there at the last look, to see what has changed and how fast. */
struct stats_mark {
    int64_t  at_us; /* steady clock; 0: no look yet */
    bool     moving;
    int64_t  roundtrip_us;
    uint64_t work;
    uint64_t ops[METER_OPS];
    uint64_t tasks[TALLY_QUEUES], runs[TALLY_QUEUES];
};

struct stats {
    const struct tally *tally;
    const struct meter *meter;
    int64_t             began_us; /* steady clock */
    int64_t             pings[STATS_PINGS];
    size_t              n_pings;
    struct stats_mark   said, next;
    bool                told; /* the store has something of this worker */
    struct buf          text;
};

void stats_init(struct stats *s, const struct tally *tally, const struct meter *meter);
void stats_release(struct stats *s);

/* What is to be published now, until the next call; NULL: nothing has changed, or it was less than
 * a second ago. */
const char *stats_text(struct stats *s, int64_t now_us);
/* The store has taken it. */
void stats_said(struct stats *s);
/* It has joined anew: nobody has heard of it. */
void stats_forget(struct stats *s);
/* A roundtrip to the store's server took so long; the shortest of the last few counts. */
void stats_ping(struct stats *s, int64_t us);

#endif
