/*
 * The whole engine on SQLite: a worker process and a client process over one file, as users have
 * them. Every number is the median of the repeats; the durability settings are printed. Exits 1 if
 * a number misses its bound.
 *
 * usage: engine [repeats] [scenario ...]     scenarios: noop fan-out latency fan-latency steps
 * sleepers idle
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/id.h"
#include "client/handle.h"

static struct err err;

static void
must(int rc, const char *what)
{
    if (rc == HF_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, err_name(rc), err.text);
    exit(1);
}

/* ---- the worker's side ---- */

static int
noop(hf_tk *tk, void *arg)
{
    (void)tk, (void)arg;
    return HF_OK;
}

static int
one_task(hf_wf *wf)
{
    return hf_task(wf, "noop", NULL, NULL);
}

static int
fan_out(hf_wf *wf)
{
    hf_call calls[5];
    for (int i = 0; i < 5; i++)
        HF_TRY(hf_task_start(wf, "noop", NULL, &calls[i]));
    return hf_all(wf, calls, 5);
}

static int
step(hf_st *st, void *arg)
{
    (void)arg;
    return hf_step_return(st, "1");
}

static int
thousand_steps(hf_wf *wf)
{
    for (int i = 0; i < 1000; i++)
        HF_TRY(hf_step(wf, "step", step, NULL, NULL));
    return HF_OK;
}

static int
sleeper(hf_wf *wf)
{
    return hf_sleep(wf, HF_DAY);
}

/* A worker process; its end is told by its exit. With drain it ends by itself. */
static pid_t
start_worker(bool drain)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid)
        return pid;
    hf *h;
    int rc = hf_open("sqlite:bench.db", &h);
    rc = rc ? rc : hf_handler(h, "noop", noop, NULL, NULL);
    rc = rc ? rc : hf_workflow(h, "one", 1, one_task);
    rc = rc ? rc : hf_workflow(h, "fan-out", 1, fan_out);
    rc = rc ? rc : hf_workflow(h, "steps", 1, thousand_steps);
    rc = rc ? rc : hf_workflow(h, "sleeper", 1, sleeper);
    rc = rc ? rc : hf_run(h, HF_WORKER(.drain = drain, .handle_signals = 1));
    if (rc)
        fprintf(stderr, "worker: %s\n", hf_errmsg(h));
    hf_close(h);
    _exit(rc != 0);
}

static struct rusage
end_worker(pid_t pid, int sig)
{
    struct rusage used;
    int           status;
    if (sig)
        kill(pid, sig);
    if (wait4(pid, &status, 0, &used) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        exit(1);
    return used;
}

/* ---- the client's side ---- */

static double
seconds_since(int64_t us)
{
    return (double)(clock_steady_us() - us) / 1e6;
}

static void
fill(int kind, const char *name, size_t n, size_t page)
{
    struct store  *s;
    struct submit *items = calloc(page, sizeof(*items));
    char(*ids)[UUID_SIZE] = calloc(page, sizeof(*ids));

    must(store_open("sqlite:bench.db", NULL, &s, &err), "open");
    for (size_t done = 0; done < n; done += page) {
        size_t bad;
        for (size_t i = 0; i < page; i++) {
            id_uuid7(clock_system_us(), ids[i]);
            items[i] = (struct submit){
                .kind = kind, .name = name, .cls = STREAM_NORMAL, .payload = "{\"n\":1}"};
            if (kind == SUBMIT_START)
                items[i].id = items[i].token = ids[i];
        }
        must(s->ops->submit(s, items, page, &bad, &err), "submit");
    }
    s->ops->close(s);
    free(items);
    free(ids);
}

static void
remove_store(void)
{
    unlink("bench.db");
    unlink("bench.db-wal");
    unlink("bench.db-shm");
    unlink("bench.db-owner");
}

static double
run_backlog(int kind, const char *name, size_t n)
{
    fill(kind, name, n, 1000);
    int64_t begun = clock_steady_us();
    end_worker(start_worker(true), 0);
    return (double)n / seconds_since(begun);
}

static double
run_noop(void)
{
    return run_backlog(SUBMIT_ENQUEUE, "noop", 1000000);
}

static double
run_fan_out(void)
{
    return run_backlog(SUBMIT_START, "fan-out", 100000);
}

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double
median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_size);
    return v[n / 2];
}

/* Start to result of runs alone, one after the other, seen by another process; ms. */
static double
run_alone(const char *workflow)
{
    enum { RUNS = 300 };
    static double ms[RUNS];
    char          id[HF_ID_SIZE];
    hf           *h;
    pid_t         worker = start_worker(false);

    must(hf_open("sqlite:bench.db", &h), "open");
    for (int i = -20; i < RUNS; i++) {
        int64_t begun = clock_steady_us();
        must(hf_start(h, workflow, NULL, NULL, id), "start");
        must(hf_wait(h, id, 10000, NULL), "wait");
        if (i >= 0)
            ms[i] = (double)(clock_steady_us() - begun) / 1e3;
    }
    hf_close(h);
    end_worker(worker, SIGTERM);
    double p50 = median(ms, RUNS);
    printf("    p50 %.2f  p95 %.2f  p99 %.2f ms\n", p50, ms[RUNS * 95 / 100], ms[RUNS * 99 / 100]);
    return p50;
}

static double
run_latency(void)
{
    return run_alone("one");
}

static double
run_fan_latency(void)
{
    return run_alone("fan-out");
}

/* CPU of re-executing 1,000 sequential steps: in memory, so that the store's part is small and
 * named with it; ms. */
static double
run_steps(void)
{
    struct rusage before, after;
    hf           *h;

    must(hf_test_open(&h), "open");
    must(hf_workflow(h, "steps", 1, thousand_steps), "workflow");
    must(hf_start(h, "steps", NULL, NULL, NULL), "start");
    getrusage(RUSAGE_SELF, &before);
    must(hf_test_run(h), "run");
    getrusage(RUSAGE_SELF, &after);
    hf_close(h);
    return (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1e3 +
           (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1e3 +
           (double)(after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1e3 +
           (double)(after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e3;
}

static int64_t
waiting_runs(void)
{
    struct store  *s;
    struct pending p;
    must(store_open("sqlite:bench.db", NULL, &s, &err), "open");
    must(s->ops->pending(s, NULL, 0, &p, &err), "pending");
    s->ops->close(s);
    return p.waiting;
}

/* 100,000 runs asleep for a day: memory of the worker that put them to sleep, then the time a new
 * one needs until it has answered a run. */
static double
run_sleepers(void)
{
    char id[HF_ID_SIZE];
    hf  *h;

    fill(SUBMIT_START, "sleeper", 100000, 1000);
    pid_t worker = start_worker(false);
    while (waiting_runs() < 100000)
        usleep(50000);
    struct rusage used = end_worker(worker, SIGTERM);
    int64_t       begun = clock_steady_us();
    worker = start_worker(false);
    must(hf_open("sqlite:bench.db", &h), "open");
    must(hf_start(h, "one", NULL, NULL, id), "start");
    must(hf_wait(h, id, 60000, NULL), "wait");
    double restart = seconds_since(begun);
    hf_close(h);
    end_worker(worker, SIGTERM);
    printf("    peak memory %.0f MB (bound 200), restart to first result %.2f s (bound 2)\n",
           (double)used.ru_maxrss / 1024, restart);
    if (restart > 2)
        return 1e9;
    return (double)used.ru_maxrss / 1024;
}

/* Wake-ups a second of an idle worker, all its threads: voluntary context switches. */
static double
run_idle(void)
{
    char    command[120], line[64];
    pid_t   worker = start_worker(false);
    int64_t switches[2] = {0, 0};

    sleep(2);
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof(command),
                 "cat /proc/%d/task/*/status | awk '/^voluntary_ctxt/ {n += $2} END {print n}'",
                 (int)worker);
        FILE *f = popen(command, "r");
        if (f && fgets(line, sizeof(line), f))
            switches[i] = strtoll(line, NULL, 10);
        if (f)
            pclose(f);
        if (i == 0)
            sleep(5);
    }
    end_worker(worker, SIGTERM);
    return (double)(switches[1] - switches[0]) / 5;
}

/* ---- the table ---- */

static const struct {
    const char *name, *unit;
    double (*run)(void);
    double bound;
    bool   at_least;
} scenarios[] = {
    {"noop", "tasks/s from a backlog of 1,000,000", run_noop, 200000, true},
    {"fan-out", "runs/s, 5 tasks each, from a backlog of 100,000", run_fan_out, 25000, true},
    {"latency", "ms start to result, one task, alone", run_latency, 1, false},
    {"fan-latency", "ms start to result, fan-out of 5, alone", run_fan_latency, 1.5, false},
    {"steps", "ms of CPU, 1,000 sequential steps", run_steps, 100, false},
    {"sleepers", "MB, 100,000 sleeping runs", run_sleepers, 200, false},
    {"idle", "wake-ups/s of an idle worker", run_idle, 3, false},
};

static bool
is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc <= 2;
}

static void
print_settings(void)
{
    struct arena      a = {0};
    struct store_info info = {0};
    struct store     *s;

    must(store_open("sqlite:bench.db", NULL, &s, &err), "open");
    must(s->ops->info(s, &a, &info, &err), "info");
    printf("sqlite %s, journal %s, synchronous %s, %ld cores\n", info.version, info.journal,
           info.synchronous, sysconf(_SC_NPROCESSORS_ONLN));
    arena_release(&a);
    s->ops->close(s);
    remove_store();
}

int
main(int argc, char **argv)
{
    int    repeats = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5, missed = 0;
    char   dir[] = "/tmp/holdfast-bench-XXXXXX";
    double v[101];

    if (repeats < 1 || repeats > 101 || mkdtemp(dir) == NULL || chdir(dir))
        return 1;
    print_settings();
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (!is_wanted(scenarios[i].name, argc, argv))
            continue;
        for (int k = 0; k < repeats; k++) {
            v[k] = scenarios[i].run();
            remove_store();
        }
        double m = median(v, (size_t)repeats);
        bool   ok = scenarios[i].at_least ? m >= scenarios[i].bound : m < scenarios[i].bound;
        printf("%-12s %12.2f %-48s (%.2f to %.2f; bound %g)%s\n", scenarios[i].name, m,
               scenarios[i].unit, v[0], v[repeats - 1], scenarios[i].bound, ok ? "" : "  MISSED");
        fflush(stdout);
        missed += !ok;
    }
    if (chdir("/") || rmdir(dir))
        return 1;
    return missed > 0;
}
