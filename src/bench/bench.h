/*
 * `holdfast bench`: measures the stores and the engine as users have them: worker processes, and a
 * process that makes the load, on a store that is made for each measurement (site.h).
 *
 *     scenarios.c    the table of what is measured: points, by the names of scenarios
 *     bench.c        options; goes through sites, points and repeats
 *     run.c          one repeat of one point: store, workers, load, costs before and after
 *     workers.c      the worker processes; work.c: what they do; board.c: what they have done
 *     load.c         the load's process; load_*.c: the kinds of load
 *     watch.c        progress and interrupts
 *     cost.c         what the server has spent; through.c, relay.c: a slow network before it
 *     numbers.c      percentiles, medians; compare.c: against an earlier result
 *     print_*.c      results as a table, as JSON, as plots
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "bench/board.h"
#include "bench/site.h"
#include "client/handle.h"

struct buf;
struct cli;
struct relay;

enum {
    BENCH_WORKERS_MAX = 256,
    BENCH_SAMPLES_MAX = 100000,
    BENCH_SERIES_MAX = 3600,
    BENCH_BINS = 24, /* of a histogram */
    BENCH_SITES_MAX = 2
};

#define BENCH_QUEUE "bench"

/* ---- numbers.c. Unknown is NAN, which prints as null. */

struct percentiles {
    double p50, p95, p99, max;
};

/* The smallest value that a share q (0 to 1) of all is not above; NAN of none. */
double stats_percentile(const double *sorted, size_t n, double q);
/* Sorts v. */
struct percentiles stats_percentiles(double *v, size_t n);
/* Of the values that are known; of an even number the mean of the two in the middle. Sorts v. */
double stats_median(double *v, size_t n);

/* Counts of values between powers of the square root of 2, the first bin from `least` on. */
struct histogram {
    double   least;
    unsigned n[BENCH_BINS];
    size_t   bins; /* that hold anything, from the first to the last; 0: no values */
};
struct histogram stats_histogram(const double *sorted, size_t n);

/* The numbers of one repeat, or the medians of several: doubles only, so that it may be gone
 * through as an array. */
struct numbers {
    double             units, throughput, enqueue; /* a second */
    struct percentiles start, result;              /* ms */
    struct percentiles stored;                     /* ms from start to end by the store's clock */
    double             statements, commits, rows, bytes, roundtrips; /* a unit */
    double             worker_cpu, load_cpu, server_cpu;             /* seconds for 1,000 units */
    double             rss;                                          /* MB, of the largest worker */
    double             startup;    /* ms until the workers had shared out the partitions */
    double             recovery;   /* ms from a kill until others own what the dead one had */
    double             duplicates; /* effects that happened twice */
    double             lost;       /* units without an effect, or without an end */
    double             drift;      /* throughput of the last tenth of the time by the first's */
};

enum { NUMBERS = sizeof(struct numbers) / sizeof(double) };

struct numbers numbers_unknown(void);
struct numbers numbers_median(const struct numbers *runs, size_t n);
/* How far the throughputs of the repeats lie apart, as a share of the median; NAN of one. */
double numbers_spread(const struct numbers *runs, size_t n);

/* ---- scenarios.c: what is measured */

/* A kind of load: in the load's process, with a connection of its own. */
struct bench;
typedef int (*load_fn)(struct bench *b, hf *h);

struct point {
    const char *scenario, *variant; /* variant NULL: it has only one */
    load_fn     load;
    const char *work; /* a task or workflow of work.c */
    int64_t     units;
    int         in_flight; /* of runs; 0: as the load does */
    int         workers, slots;
    const char *input;
    int64_t     backlog, parked;   /* beside what is measured: tasks behind it, runs that sleep */
    int64_t     payload;           /* bytes of input */
    int64_t     rtt_ms;            /* PostgreSQL: through a relay */
    int64_t     duration_ms;       /* 0: until the units are done */
    double      each;              /* units of a run, if not 1 */
    bool        only_shared, once; /* not on SQLite; not repeated */
};

struct scenario {
    const char *name, *help;
};

extern const struct scenario scenarios[]; /* end with a row without a name */
extern const struct point    points[];

/* The names, with commas between; NULL: out of memory. */
const char *scenario_names(struct arena *a);

/* ---- cost.c */

struct cost {
    double statements, commits, rows, bytes, roundtrips, server_cpu;
};

struct store;
int bench_cost(struct bench *b, struct store *s, struct cost *out, struct err *err);

/* ---- what the load tells the process that waits for it, in memory that both see */

struct samples {
    size_t n;
    double ms[BENCH_SAMPLES_MAX];
};

struct outcome {
    struct err     err;
    double         units, seconds, enqueue_seconds;
    double         written; /* bytes, by the load */
    double         recovery, duplicates, lost;
    double         stored_units; /* in enqueue_seconds */
    double         all_units; /* with those of the warm-up; NAN: costs are of no number of units */
    size_t         n_series;
    double         series[BENCH_SERIES_MAX]; /* units of each second */
    int            killed;                   /* the worker that the load killed; -1: none */
    bool           own_costs;                /* only what was spent between these */
    struct cost    began, ended;
    double         began_cpu, ended_cpu; /* of the workers */
    struct samples start, result, stored;
};

/* ---- the benchmark */

struct process {
    pid_t  pid;       /* 0: it has ended */
    int    log;       /* its standard error */
    double start_cpu; /* seconds, until the partitions were shared out */
};

struct bench {
    struct cli     *c;
    struct site     sites[BENCH_SITES_MAX];
    size_t          n_sites;
    int             repeat;
    int64_t         rtt_ms; /* -1: as the point says; so all that follow */
    int64_t         units, slots, workers, payload, in_flight, duration_ms;
    struct outcome *out;
    struct board   *board;

    /* of the repeat that is under way */
    const struct site *site;
    struct point       point;    /* with what the options say put in */
    const char        *url;      /* of the store, for the benchmark itself */
    const char        *load_url; /* for workers and load: through the relay, if there is one */
    struct relay      *relay;
    struct process     worker[BENCH_WORKERS_MAX];
    int                n_workers;
    double             startup_ms, worker_cpu, rss, worker_bytes;
    pid_t              postmaster; /* of a server on this machine; 0: unknown */
};

struct result {
    struct point     point;
    const char      *store;
    struct numbers   median;
    double           spread;
    struct numbers  *runs;
    size_t           n_runs;
    struct histogram latency; /* of results, in the last repeat */
    double          *series;
    size_t           n_series;
};

/* Names the command in the error of something that serves others too. */
int bench_said(struct bench *b, int rc);
/* HF_CANCELLED: an interrupt has come. */
int bench_check_stop(struct bench *b);

/* ---- run.c */
int bench_run(struct bench *b, struct result *r);

/* ---- workers.c */

/* A number behind a word in one of a process's files in /proc; -1 if it is not there. */
double proc_number(pid_t pid, const char *file, const char *word);
double proc_cpu_s(pid_t pid); /* cost.c: what it has used; 0 if it is not there */

/* Starts point.workers of them and waits until they have shared out the queue's partitions. */
int  workers_start(struct bench *b);
void workers_signal(const struct bench *b, int sig);
/* HF_FAILED if one has ended by itself. One that the load has killed is buried, and on a store that
 * only one can serve replaced. */
int workers_watch(struct bench *b);
/* Asks them to stop and adds up what they have used. */
int  workers_stop(struct bench *b);
void workers_kill(struct bench *b);

/* ---- load.c: in the load's process */

void   bench_load(struct bench *b);
int    load_fail(struct bench *b, hf *h);
double load_seconds_since(int64_t steady_us);
void   load_pause_us(double us);
void   load_add_sample(struct samples *to, double ms);
/* The point's input, filled up to its payload; NULL: it has none, or there is no memory. */
const char *load_input(const struct bench *b, struct arena *a);
/* Stores n of the point's tasks, a page in a commit. */
int load_enqueue(struct bench *b, hf *h, int64_t n);
/* Waits until the board has so many. */
void load_wait_done(struct bench *b, enum board_kind kind, int64_t n);
/* Wait until the store has none left that has not ended. */
int load_wait_no_task(struct bench *b, struct store *s);
int load_wait_no_run(struct bench *b, struct store *s);
/* For each run of the queue (the newest BENCH_SAMPLES_MAX), until one gives an error. */
typedef int (*load_run_fn)(struct bench *b, const struct run_row *run, void *arg);
int load_each_run(struct bench *b, struct store *s, load_run_fn fn, void *arg);
/* All of the point's runs must have completed: how long each took. */
int load_read_ends(struct bench *b, struct store *s, struct samples *to);
/* Point.parked runs that sleep for a day; each has its first turn. */
int load_park(struct bench *b, hf *h);

/* Stores the point's tasks, and those behind them, while the workers are held, after a warm-up.
 * *begin_us: when they were let go. */
int load_store_backlog(struct bench *b, hf *h, int64_t *begin_us);

int load_backlog(struct bench *b, hf *h);   /* load_tasks.c: a backlog, then the workers */
int load_crash(struct bench *b, hf *h);     /* load_crash.c: the same, and one is killed in it */
int load_stream(struct bench *b, hf *h);    /* load_stream.c: tasks in, tasks out, for a time */
int load_pinned(struct bench *b, hf *h);    /* the same, while nothing can be vacuumed */
int load_in_flight(struct bench *b, hf *h); /* load_runs.c: so many runs at a time */
int load_alone(struct bench *b, hf *h);     /* load_alone.c: one run after the other */
int load_paced(struct bench *b, hf *h);     /* runs at random times, whatever has ended */
int load_timers(struct bench *b, hf *h);    /* load_timers.c: sleepers that wake together */
int load_nothing(struct bench *b, hf *h);   /* load_nothing.c: what it costs to wait */

/* ---- through.c */

/* The server that a URL of PostgreSQL names, and the URL with another address. HF_INVALID. */
int bench_relay_open(struct bench *b, struct err *err);
int url_server(const char *url, struct arena *a, const char **host, int *port, struct err *err);
int url_through(const char *url, int port, struct arena *a, const char **out, struct err *err);

/* ---- results */

struct report {
    const struct bench   *b;
    const struct result  *results;
    size_t                n;
    struct store_setting *settings[BENCH_SITES_MAX]; /* of each site */
    size_t                n_settings[BENCH_SITES_MAX];
};

int print_results_table(const struct report *r, struct arena *a);
int put_results_json(const struct report *r, struct buf *out);
/* Writes the plots that there are results for into files of a directory. */
int write_plots(const struct report *r, const char *dir, struct err *err);

/* ---- compare.c */

/* What was measured earlier: the JSON of a benchmark. */
struct earlier;
int earlier_read(const char *path, struct earlier **out, struct err *err);
/* Prints ratios. *worse: an exact cost has grown by more than 5 %. HF_INVALID: nothing in the file
 * is of the same kind. */
int  earlier_compare(const struct earlier *e, const struct result *results, size_t n,
                     struct arena *a, bool *worse, struct err *err);
void earlier_free(struct earlier *e);

#endif
