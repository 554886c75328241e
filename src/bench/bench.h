/*
 * `holdfast bench`: measures the store and the engine as users have them: worker processes, and a
 * process that makes the load. bench.c reads the options and goes through the scenarios,
 * bench_run.c does one run of one, bench_load.c is the load, bench_worker.c the workers,
 * bench_clean.c takes away what is left, bench_cost.c reads what it cost, bench_stats.c makes
 * percentiles and medians, bench_print.c prints.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

struct cli;
struct buf;
struct relay;
struct store;

enum { BENCH_WORKERS_MAX = 256, BENCH_SAMPLES_MAX = 100000, BENCH_LIST_MAX = 8 };

/* ---- bench_stats.c. Unknown is NAN, which prints as null. */

struct percentiles {
    double p50, p95, p99, max;
};

/* The smallest value that a share q (0 to 1) of all is not above; NAN of none. */
double stats_percentile(const double *sorted, size_t n, double q);
/* Sorts v. */
struct percentiles stats_percentiles(double *v, size_t n);
/* Of the values that are known; of an even number the mean of the two in the middle. Sorts v. */
double stats_median(double *v, size_t n);

/* ---- what is measured */

/* The numbers of one run, or the medians of several: doubles only, so that it may be gone through
 * as an array. */
struct numbers {
    double             units, throughput, enqueue; /* a second */
    struct percentiles start, result;              /* ms */
    struct percentiles stored;                     /* ms from start to end by the store's clock */
    double             statements, commits, rows, bytes, roundtrips; /* a unit */
    double             worker_cpu, load_cpu, server_cpu;             /* seconds for 1,000 units */
    double             rss;                                          /* MB, of the largest worker */
};

enum { NUMBERS = sizeof(struct numbers) / sizeof(double) };

struct numbers numbers_unknown(void);
struct numbers numbers_median(const struct numbers *runs, size_t n);

/* What the load process tells the one that waits for it, in memory that both see. */
struct samples {
    size_t n;
    double ms[BENCH_SAMPLES_MAX];
};

struct outcome {
    struct err     err;
    double         units, seconds, enqueue_seconds;
    double         written; /* bytes, by the load */
    struct samples start, result, stored;
};

/* ---- the benchmark */

enum scenario { SCENARIO_NOOP, SCENARIO_FAN_OUT, SCENARIO_LATENCY, SCENARIO_LATENCY_FAN_OUT };

struct process {
    pid_t pid; /* 0: it has ended */
    int   log; /* its standard error */
};

struct bench {
    struct cli     *c;
    const char     *url;      /* for the benchmark itself */
    const char     *load_url; /* for workers and load: through the relay, if there is one */
    const char     *dir;      /* made for the benchmark, NULL: none */
    const char     *queue;
    struct relay   *relay;
    int64_t         rtt_ms, duration_ms, units_given, backlog, parked;
    int             slots, repeat;
    int             workers_list[BENCH_LIST_MAX], in_flight_list[BENCH_LIST_MAX];
    size_t          n_workers_list, n_in_flight_list;
    pid_t           postmaster; /* of a server on this machine that can be looked at; 0: unknown */
    struct outcome *out;

    /* of the run that is under way */
    enum scenario  scenario;
    int            in_flight;
    int64_t        units; /* INT64_MAX: as many as there is time for */
    struct process workers[BENCH_WORKERS_MAX];
    int            n_workers;
    double         worker_cpu, rss, worker_bytes; /* of those that have ended */
    int64_t        worker_tasks;
};

struct result {
    enum scenario   scenario;
    int             workers, in_flight;
    struct numbers  median;
    struct numbers *runs;
    size_t          n_runs;
};

const char *bench_scenario_name(enum scenario s);
void        bench_say(const struct bench *b, const char *fmt, ...) HF_PRINTF(2, 3);

/* HF_CANCELLED: an interrupt has come. */
int bench_check_stop(struct bench *b);

/* ---- bench_run.c */
int bench_run(struct bench *b, struct numbers *out);

/* ---- bench_worker.c */

/* A number behind a word in one of a process's files in /proc; -1 if it is not there. */
double proc_number(pid_t pid, const char *file, const char *word);

/* Starts b->n_workers of them and waits until they have shared out the queue's partitions. */
int  bench_workers_start(struct bench *b);
void bench_workers_signal(const struct bench *b, int sig);
/* HF_FAILED if one has ended by itself. */
int bench_workers_watch(struct bench *b);
/* Asks them to stop and adds up what they have used. */
int  bench_workers_stop(struct bench *b);
void bench_workers_kill(struct bench *b);
/* One that ends when nothing is left to do. */
int bench_drain(struct bench *b);
/* Whether somebody else serves the queue: HF_OWNED. */
int bench_check_alone(struct bench *b);

/* ---- bench_load.c: in the load's process */
void bench_load(struct bench *b);

/* ---- bench_clean.c */
int bench_clean(struct bench *b);
/* b->parked runs that sleep for a day. */
int bench_park(struct bench *b);

/* ---- bench_cost.c */

struct cost {
    double statements, commits, rows, bytes, roundtrips, server_cpu;
};

int bench_cost(struct bench *b, struct cost *out);

/* ---- bench_relay.c */

/* The server that a URL of PostgreSQL names, and the URL with another address. HF_INVALID. */
int bench_relay_open(struct bench *b, struct err *err);
int url_server(const char *url, struct arena *a, const char **host, int *port, struct err *err);
int url_through(const char *url, int port, struct arena *a, const char **out, struct err *err);

/* ---- bench_print.c */
int bench_print(struct bench *b, const struct result *results, size_t n);

#endif
