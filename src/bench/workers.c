/*
 * The workers of a benchmark: processes `holdfast worker` that serve its queue. Their logs are
 * files without a name, for messages. What a process has used is read when it ends: CPU from the
 * kernel's account, without that of its start; memory and written bytes from /proc.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli/cli.h"

enum { SHARE_OUT_MS = 30000, STOP_MS = 30000, LEASE_MIN_S = 10, TASKS_A_LEASE_SECOND = 20000 };

/* The lease: workers are held while the backlog is stored, and must not lose it then. */
static int64_t
lease_s(const struct bench *b)
{
    int64_t held = b->point.load == load_backlog ? b->point.units + b->point.backlog : 0;
    return LEASE_MIN_S + held / TASKS_A_LEASE_SECOND;
}

static int
spawn(struct bench *b, struct process *out)
{
    struct arena *a = &b->c->arena;
    const char   *slots = arena_printf(a, "%d", b->point.slots);
    const char   *lease = arena_printf(a, "%llds", (long long)lease_s(b));
    pid_t         parent = getpid();
    int           log = memfd_create("worker.log", MFD_CLOEXEC);

    if (slots == NULL || lease == NULL)
        return cli_nomem(b->c);
    if (log < 0)
        return err_set(&b->c->err, HF_UNAVAILABLE, "bench: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0); /* an interrupt is for the benchmark, which stops them */
        if (getppid() == parent && dup2(log, STDERR_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0)
            execl("/proc/self/exe", "holdfast", "worker", "--store", b->load_url, "--builtin",
                  "bench", "--queue", BENCH_QUEUE, "--slots", slots, "--lease", lease,
                  (char *)NULL);
        _exit(127);
    }
    if (pid < 0)
        return err_set(&b->c->err, HF_UNAVAILABLE, "bench: fork: %s", strerror(errno));
    *out = (struct process){.pid = pid, .log = log};
    return HF_OK;
}

/* The whole log; NULL: it cannot be read. */
static const char *
read_log(struct bench *b, int log)
{
    off_t size = lseek(log, 0, SEEK_END);
    char *text = size < 0 ? NULL : arena_zalloc(&b->c->arena, (size_t)size + 1);
    return text && pread(log, text, (size_t)size, 0) == size ? text : NULL;
}

/* Its last words, for a message. */
static const char *
last_line(const char *log)
{
    size_t n = log ? strlen(log) : 0;
    while (n > 0 && log[n - 1] == '\n')
        n--;
    size_t begin = n;
    while (begin > 0 && log[begin - 1] != '\n')
        begin--;
    return log ? log + begin : "";
}

static int
ended(struct bench *b, struct process *p, int status)
{
    const char *log = read_log(b, p->log);

    close(p->log);
    p->pid = 0;
    return err_set(&b->c->err, HF_FAILED, "bench: a worker ended with %s %d: %.300s",
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), last_line(log));
}

/* The one that the load has killed is expected to be dead. */
static int
bury(struct bench *b, int i, int status)
{
    struct process *p = &b->worker[i];

    if (b->out->killed != i || !WIFSIGNALED(status))
        return ended(b, p, status);
    close(p->log);
    p->pid = 0;
    return b->c->h->store->shared ? HF_OK : spawn(b, p);
}

int
workers_watch(struct bench *b)
{
    int status;

    TRY(bench_check_stop(b));
    for (int i = 0; i < b->n_workers; i++)
        if (b->worker[i].pid && waitpid(b->worker[i].pid, &status, WNOHANG) > 0)
            TRY(bury(b, i, status));
    return HF_OK;
}

double
proc_number(pid_t pid, const char *file, const char *word)
{
    char   path[64], line[256];
    double v = -1;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "re");
    while (f && v < 0 && fgets(line, sizeof(line), f))
        if (strncmp(line, word, strlen(word)) == 0)
            v = strtod(line + strlen(word), NULL);
    if (f)
        fclose(f);
    return v;
}

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Adds what one has used, at its end. */
static void
account(struct bench *b, const struct process *p, const struct rusage *used)
{
    b->worker_cpu += seconds(used->ru_utime) + seconds(used->ru_stime) - p->start_cpu;
}

static int
stop_one(struct bench *b, struct process *p)
{
    struct rusage used;
    int           status, waited_ms = 0;

    if (p->pid == 0)
        return HF_OK;
    while (wait4(p->pid, &status, WNOHANG, &used) == 0) {
        if (waited_ms++ >= STOP_MS)
            return err_set(&b->c->err, HF_FAILED, "bench: a worker did not stop when asked to");
        poll(NULL, 0, 1);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return ended(b, p, status);
    account(b, p, &used);
    close(p->log);
    p->pid = 0;
    return HF_OK;
}

int
workers_stop(struct bench *b)
{
    int rc = HF_OK;

    for (int i = 0; i < b->n_workers; i++) {
        double rss = proc_number(b->worker[i].pid, "status", "VmHWM:") / 1024;
        double bytes = proc_number(b->worker[i].pid, "io", "wchar:");
        b->rss = rss > b->rss ? rss : b->rss;
        b->worker_bytes += bytes > 0 ? bytes : 0;
    }
    workers_signal(b, SIGTERM);
    for (int i = 0; rc == HF_OK && i < b->n_workers; i++)
        rc = stop_one(b, &b->worker[i]);
    return rc;
}

void
workers_signal(const struct bench *b, int sig)
{
    for (int i = 0; i < b->n_workers; i++)
        if (b->worker[i].pid)
            kill(b->worker[i].pid, sig);
}

void
workers_kill(struct bench *b)
{
    workers_signal(b, SIGKILL);
    for (int i = 0; i < b->n_workers; i++)
        if (b->worker[i].pid) {
            waitpid(b->worker[i].pid, NULL, 0);
            close(b->worker[i].log);
            b->worker[i].pid = 0;
        }
}

/* How far the workers are: all there, and each with its share of the partitions. */
static int
look_at_shares(struct bench *b, bool *done)
{
    struct arena       a = {0};
    struct store      *s = b->c->h->store;
    struct worker_row *rows;
    struct queue_row  *queues;
    size_t             n, n_queues, there = 0;
    int                least = INT32_MAX, most = 0, all = 0, unowned = 1;

    int rc = s->ops->workers(s, &a, &rows, &n, &b->c->err);
    if (rc == HF_OK)
        rc = s->ops->queues(s, 0, &a, &queues, &n_queues, &b->c->err);
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        for (int k = 0; k < b->n_workers; k++)
            if (rows[i].live && rows[i].pid == b->worker[k].pid) {
                there++;
                all += rows[i].partitions;
                least = rows[i].partitions < least ? rows[i].partitions : least;
                most = rows[i].partitions > most ? rows[i].partitions : most;
            }
    for (size_t i = 0; rc == HF_OK && i < n_queues; i++)
        if (strcmp(queues[i].name, BENCH_QUEUE) == 0)
            unowned = queues[i].unowned;
    arena_release(&a);
    *done = there == (size_t)b->n_workers && unowned == 0 && all > 0 && most - least <= 1;
    return rc;
}

int
workers_start(struct bench *b)
{
    int64_t begin_us = clock_steady_us();
    bool    done = false;

    for (b->n_workers = 0; b->n_workers < b->point.workers; b->n_workers++)
        TRY(spawn(b, &b->worker[b->n_workers]));
    while (!done) {
        poll(NULL, 0, 5);
        TRY(workers_watch(b));
        TRY(look_at_shares(b, &done));
        b->startup_ms = (double)(clock_steady_us() - begin_us) / 1e3;
        if (!done && b->startup_ms > SHARE_OUT_MS)
            return err_set(&b->c->err, HF_TIMEOUT,
                           "bench: the workers have not shared out the partitions of the queue");
    }
    for (int i = 0; i < b->n_workers; i++)
        b->worker[i].start_cpu = proc_cpu_s(b->worker[i].pid);
    return HF_OK;
}
