/*
 * One repeat of one point: a store, workers, the load, and what it has cost from before the workers
 * came until they have gone.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/relay.h"
#include "bench/watch.h"
#include "cli/cli.h"

enum { SETTLE_MS = 300, SAY_MS = 200 };

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void
say_progress(const struct bench *b)
{
    const struct point *p = &b->point;
    int64_t             done = board_done(b->board, BOARD_RUNS);

    if (done == 0)
        done = board_done(b->board, BOARD_TASKS);
    watch_say("%s: %s%s%s%s, %lld done", b->site->store, p->scenario, p->variant ? " (" : "",
              p->variant ? p->variant : "", p->variant ? ")" : "", (long long)done);
}

/* Waits for the load; the workers must live meanwhile. */
static int
wait_for_load(struct bench *b, pid_t load, struct rusage *used)
{
    int     status;
    int64_t next_us = 0;

    while (wait4(load, &status, WNOHANG, used) == 0) {
        int rc = workers_watch(b);
        if (rc) {
            kill(load, SIGKILL);
            waitpid(load, NULL, 0);
            return rc;
        }
        if (clock_steady_us() >= next_us) {
            say_progress(b);
            next_us = clock_steady_us() + SAY_MS * US_PER_MS;
        }
        poll(NULL, 0, 2);
    }
    if (b->out->err.code) {
        b->c->err = b->out->err;
        return b->c->err.code;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(&b->c->err, HF_FAILED, "bench: the load ended with status %d", status);
    return HF_OK;
}

static int
run_load(struct bench *b, struct rusage *used)
{
    pid_t parent = getpid();

    memset(b->out, 0, sizeof(*b->out));
    b->out->recovery = b->out->duplicates = b->out->lost = NAN;
    b->out->killed = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN); /* for the benchmark, which ends it */
        if (getppid() == parent)
            bench_load(b);
        _exit(0);
    }
    if (pid < 0)
        return err_set(&b->c->err, HF_UNAVAILABLE, "bench: fork: %s", strerror(errno));
    return wait_for_load(b, pid, used);
}

/* A server's process tells what it has counted when its client goes: so the benchmark's own
 * connection is made anew too. */
static int
settle(struct bench *b)
{
    hf_close(b->c->h);
    b->c->h = NULL;
    TRY(cli_open(b->c, true));
    poll(NULL, 0, SETTLE_MS);
    return HF_OK;
}

/* ---- the numbers */

/* The last tenth of the seconds by the first. */
static double
drift(struct outcome *o)
{
    size_t n = o->n_series / 10;
    double sorted[BENCH_SERIES_MAX / 10];

    if (n == 0)
        return NAN;
    memcpy(sorted, o->series, n * sizeof(*sorted));
    double first = stats_median(sorted, n);
    memcpy(sorted, o->series + o->n_series - n, n * sizeof(*sorted));
    return stats_median(sorted, n) / first;
}

static void
count_costs(struct bench *b, const struct rusage *load, const struct cost *before,
            const struct cost *after, struct numbers *n)
{
    struct outcome *o = b->out;
    double          units = o->all_units;

    if (o->own_costs) {
        before = &o->began;
        after = &o->ended;
        b->worker_cpu = o->ended_cpu - o->began_cpu;
    }
    n->statements = (after->statements - before->statements) / units;
    n->commits = (after->commits - before->commits) / units;
    n->rows = (after->rows - before->rows) / units;
    n->bytes = (after->bytes - before->bytes) / units;
    if (!b->c->h->store->shared && !o->own_costs) /* a file: what its processes have written */
        n->bytes = (b->worker_bytes + o->written) / units;
    n->roundtrips = (after->roundtrips - before->roundtrips) / units;
    n->server_cpu = (after->server_cpu - before->server_cpu) / units * 1000;
    n->worker_cpu = b->worker_cpu / units * 1000;
    n->load_cpu = (seconds(load->ru_utime) + seconds(load->ru_stime)) / units * 1000;
}

static struct numbers
count(struct bench *b, const struct rusage *load, const struct cost *before,
      const struct cost *after)
{
    struct outcome *o = b->out;
    struct numbers  n = numbers_unknown();

    n.units = o->units;
    n.throughput = o->units / o->seconds;
    if (o->stored_units > 0)
        n.enqueue = o->stored_units / o->enqueue_seconds;
    n.start = stats_percentiles(o->start.ms, o->start.n);
    n.result = stats_percentiles(o->result.ms, o->result.n);
    n.stored = stats_percentiles(o->stored.ms, o->stored.n);
    count_costs(b, load, before, after, &n);
    n.rss = b->rss;
    n.startup = b->startup_ms;
    n.recovery = o->recovery;
    n.duplicates = o->duplicates;
    n.lost = o->lost;
    n.drift = drift(o);
    return n;
}

/* What numbers do not hold: the shapes, of the last repeat. */
static int
keep_shapes(struct bench *b, struct result *r)
{
    struct outcome *o = b->out;
    struct samples *s = o->result.n ? &o->result : &o->start;

    r->latency = stats_histogram(s->ms, s->n); /* sorted by now */
    r->n_series = o->n_series;
    r->series = arena_alloc(&b->c->arena, (o->n_series + 1) * sizeof(*r->series));
    if (r->series == NULL)
        return cli_nomem(b->c);
    memcpy(r->series, o->series, o->n_series * sizeof(*r->series));
    return HF_OK;
}

/* ---- */

static int
measure(struct bench *b, struct result *r)
{
    struct cost   before, after;
    struct rusage used;

    TRY(cli_open(b->c, true));
    if (b->point.rtt_ms)
        TRY(bench_relay_open(b, &b->c->err));
    /* It makes the queue, whose partitions the workers share out; the warm-up has it done. */
    if (hf_enqueue(b->c->h, "nothing", NULL, HF_OPT(.queue = BENCH_QUEUE), NULL))
        return cli_fail(b->c);
    TRY(settle(b));
    TRY(bench_cost(b, b->c->h->store, &before, &b->c->err));
    TRY(workers_start(b));
    int rc = run_load(b, &used);
    if (rc == HF_OK)
        rc = workers_stop(b);
    TRY(rc);
    TRY(settle(b));
    TRY(bench_cost(b, b->c->h->store, &after, &b->c->err));
    r->runs[r->n_runs++] = count(b, &used, &before, &after);
    return keep_shapes(b, r);
}

int
bench_run(struct bench *b, struct result *r)
{
    struct err err = {0};

    b->worker_cpu = b->rss = b->worker_bytes = 0;
    b->point = r->point;
    board_reset(b->board);
    TRY(bench_said(b, site_make_store(b->site, &b->c->arena, &b->url, &b->c->err)));
    b->c->store_url = b->load_url = b->url;
    int rc = measure(b, r);
    workers_kill(b);
    relay_close(b->relay);
    b->relay = NULL;
    if (args_given(b->c, "keep")) {
        fprintf(stderr, "kept %s\n", b->url);
        return rc;
    }
    hf_close(b->c->h);
    b->c->h = NULL;
    int dropped = site_drop_store(b->site, b->url, &err);
    if (rc == HF_OK && dropped) {
        b->c->err = err;
        return dropped;
    }
    return rc;
}
