/* What `holdfast stats` has read (stats.c), for the two ways to print it (stats_print.c). */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <jansson.h>

#include "cli/cli.h"
#include "store/cost.h"

struct worker_stats {
    struct worker_row row;
    json_t           *said; /* worker/stats.h; NULL: nothing yet */
};

struct roundtrip {
    int     samples; /* 0: the store has no server */
    int64_t min_us, median_us;
};

struct statistics {
    const char          *kind; /* of the store */
    int64_t              now_us;
    struct worker_stats *workers;
    size_t               n_workers;
    struct roundtrip     roundtrip; /* of this command */
    struct server_times  server;
};

/* Where the mean time of a worker's cycle goes. */
struct cycle_parts {
    int64_t mean_us;
    int64_t server_us; /* executing statements; -1: not known, and a part of the rest */
    int64_t network_us;
    int64_t rest_us; /* the disk at the commit, waiting for the processor, sending, reading */
};
/* false: the worker has not said enough, or there is no network. */
bool cycle_parts(const struct statistics *s, const struct worker_stats *w, struct cycle_parts *out);

/* A number that a worker has said, 0 if it has not; group NULL: of the top. */
int64_t said_int(const json_t *said, const char *group, const char *member);

int stats_print(struct cli *c, const struct statistics *s);
int stats_print_json(struct cli *c, const struct statistics *s);

#endif
