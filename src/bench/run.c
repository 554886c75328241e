/* One run of a scenario: workers, load, and what it has cost from before they came until they have
 * gone. */
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
#include "cli/cli.h"

enum { SETTLE_MS = 300 };

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Waits for the load; the workers must live meanwhile. */
static int
wait_for_load(struct bench *b, pid_t load, struct rusage *used)
{
    int status;

    while (wait4(load, &status, WNOHANG, used) == 0) {
        int rc = bench_workers_watch(b);
        if (rc) {
            kill(load, SIGKILL);
            waitpid(load, NULL, 0);
            return rc;
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
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
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
    TRY(cli_open(b->c, false));
    poll(NULL, 0, SETTLE_MS);
    return HF_OK;
}

static struct numbers
count(struct bench *b, const struct rusage *load, const struct cost *before,
      const struct cost *after)
{
    struct outcome *o = b->out;
    struct numbers  n = numbers_unknown();

    n.units = isnan(o->units) ? (double)b->worker_tasks : o->units;
    if (b->scenario == SCENARIO_NOOP)
        n.enqueue = (double)(b->units + b->backlog) / o->enqueue_seconds;
    n.throughput = n.units / o->seconds;
    n.start = stats_percentiles(o->start.ms, o->start.n);
    n.result = stats_percentiles(o->result.ms, o->result.n);
    n.stored = stats_percentiles(o->stored.ms, o->stored.n);
    n.statements = (after->statements - before->statements) / n.units;
    n.commits = (after->commits - before->commits) / n.units;
    n.rows = (after->rows - before->rows) / n.units;
    n.bytes = (after->bytes - before->bytes) / n.units;
    if (!b->c->h->store->shared) /* a file: what its processes have written */
        n.bytes = (b->worker_bytes + o->written) / n.units;
    n.roundtrips = (after->roundtrips - before->roundtrips) / n.units;
    n.server_cpu = (after->server_cpu - before->server_cpu) / n.units * 1000;
    n.worker_cpu = b->worker_cpu / n.units * 1000;
    n.load_cpu = (seconds(load->ru_utime) + seconds(load->ru_stime)) / n.units * 1000;
    n.rss = b->rss;
    return n;
}

static int
measure(struct bench *b, struct rusage *used)
{
    TRY(bench_workers_start(b));
    TRY(run_load(b, used));
    return bench_workers_stop(b);
}

int
bench_run(struct bench *b, struct numbers *out)
{
    struct cost   before, after;
    struct rusage used;

    b->worker_cpu = b->rss = b->worker_bytes = 0;
    b->worker_tasks = 0;
    TRY(bench_park(b));
    TRY(settle(b));
    TRY(bench_cost(b, &before));
    int rc = measure(b, &used);
    bench_workers_kill(b);
    TRY(rc);
    TRY(settle(b));
    TRY(bench_cost(b, &after));
    *out = count(b, &used, &before, &after);
    return HF_OK;
}
