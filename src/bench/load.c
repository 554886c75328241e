/*
 * The load of a benchmark, in a process of its own with a connection of its own. What it measures
 * goes to memory that it shares with the process that started it.
 *
 * noop: stores a backlog while the workers are held (SIGSTOP), lets them go, and waits until it is
 * done. fan-out: keeps so many runs in flight: those that have not ended, counted in the store, are
 * filled up in one commit. latency: a run at a time, from the call of hf_start to the return of
 * hf_wait; the task says when it was begun.
 */
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/bench.h"
#include "cli/cli.h"

enum { PAGE = 5000, WARM_UP = 20, WAIT_MS = 60000, REST_MS = 300 };
enum { COUNT_MAX = 100000 }; /* counts of store.pending stop there */
enum { PAUSE_MIN_US = 100, PAUSE_MAX_US = 20000, LOOK_MAX_US = 1000000 };

static double
seconds_since(int64_t us)
{
    return (double)(clock_steady_us() - us) / 1e6;
}

static void
pause_us(double us)
{
    int64_t ns = (int64_t)((us < PAUSE_MIN_US ? PAUSE_MIN_US : us) * 1000);
    nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
}

static void
add_sample(struct samples *to, double ms)
{
    if (to->n < BENCH_SAMPLES_MAX)
        to->ms[to->n++] = ms;
}

static int
fail(hf *h, struct err *err)
{
    return err_set(err, hf_errcode(h), "bench: %s", hf_errmsg(h));
}

/* ---- noop */

static int
enqueue(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    const char    **inputs = mem_alloc(PAGE * sizeof(*inputs));
    int64_t         begin_us = clock_steady_us(), left = b->units + b->backlog;
    int             rc = inputs ? HF_OK : err_nomem(&o->err);

    for (size_t i = 0; inputs && i < PAGE; i++)
        inputs[i] = "{\"n\":1}";
    for (size_t n; rc == HF_OK && left > 0; left -= (int64_t)n) {
        n = left < PAGE ? (size_t)left : PAGE;
        if (hf_enqueue_many(h, "noop", inputs, n, HF_OPT(.queue = b->queue), NULL))
            rc = fail(h, &o->err);
    }
    o->enqueue_seconds = seconds_since(begin_us);
    mem_free(inputs);
    return rc;
}

/*
 * A look counts rows, so there are few: while the count is at its limit it takes at most a
 * twentieth of the time, below it comes when most of the rest must be done.
 */
static int
wait_for_end(struct bench *b, struct store *s, int64_t begin_us)
{
    struct outcome *o = b->out;
    struct pending  p;

    for (;;) {
        int64_t look_us = clock_steady_us();
        TRY(s->ops->pending(s, b->queue, 0, &p, &o->err));
        double  took_us = (double)(clock_steady_us() - look_us), past_s = seconds_since(begin_us);
        int64_t left = p.tasks - b->backlog;
        if (left <= 0) {
            o->units = (double)(b->units - left);
            return HF_OK;
        }
        if (b->duration_ms && past_s * 1000 >= (double)b->duration_ms) {
            o->units = NAN; /* the workers know */
            return HF_OK;
        }
        double done = (double)(b->units - left);
        bool   known = p.tasks < COUNT_MAX && done > 0;
        pause_us(known ? past_s / done * (double)left * 0.8 * 1e6
                       : fmin(took_us * 20, LOOK_MAX_US / (b->duration_ms ? 20 : 1)));
    }
}

static int
load_noop(struct bench *b, hf *h)
{
    poll(NULL, 0, REST_MS); /* nobody is to be held in the middle of a commit */
    bench_workers_signal(b, SIGSTOP);
    int     rc = enqueue(b, h);
    int64_t begin_us = clock_steady_us();
    bench_workers_signal(b, SIGCONT);
    TRY(rc);
    TRY(wait_for_end(b, h->store, begin_us));
    b->out->seconds = seconds_since(begin_us);
    return HF_OK;
}

/* ---- fan-out */

static int
count_running(struct bench *b, struct store *s, struct arena *a, int64_t *out)
{
    struct queue_row *queues;
    size_t            n;

    TRY(s->ops->queues(s, a, &queues, &n, &b->out->err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(queues[i].name, b->queue) == 0)
            *out = queues[i].runs;
    arena_reset(a);
    return HF_OK;
}

/* Keeps the runs in flight; returns when all that were started have ended. */
static int
keep_in_flight(struct bench *b, hf *h, struct arena *a)
{
    struct outcome *o = b->out;
    int64_t         begin_us = clock_steady_us(), started = 0, running = 0, units = b->units;

    for (;;) {
        if (b->duration_ms && seconds_since(begin_us) * 1000 >= (double)b->duration_ms)
            units = started;
        int64_t room = b->in_flight - running, left = units - started;
        room = room < left ? room : left;
        if (room > 0 && (room == left || room * 8 >= b->in_flight)) {
            if (hf_start_many(h, "fan-out", NULL, NULL, (size_t)room, HF_OPT(.queue = b->queue),
                              NULL))
                return fail(h, &o->err);
            started += room;
        } else if (started == units && running == 0) {
            break;
        } else {
            double each_us = seconds_since(begin_us) * 1e6 / (double)(started - running + 1);
            pause_us(fmin(each_us * b->in_flight / 8, PAUSE_MAX_US));
        }
        TRY(count_running(b, h->store, a, &running));
    }
    o->seconds = seconds_since(begin_us);
    o->units = (double)started;
    return HF_OK;
}

/* All must have completed; how long each took, by the store's clock. */
static int
read_ends(struct bench *b, struct store *s, struct arena *a, struct samples *to)
{
    struct run_filter f = {.status = -1, .queue = b->queue, .limit = BENCH_SAMPLES_MAX};
    struct err       *err = &b->out->err;
    struct run_row   *rows;
    size_t            n;

    TRY(s->ops->run_list(s, &f, a, &rows, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].workflow, "sleep") == 0)
            continue; /* parked */
        if (rows[i].status != RUN_COMPLETED)
            return err_set(err, HF_FAILED, "bench: run %s is %s", rows[i].id,
                           run_status_name(rows[i].status));
        add_sample(to, (double)(rows[i].ended_us - rows[i].started_us) / 1e3);
    }
    return HF_OK;
}

static int
load_fan_out(struct bench *b, hf *h)
{
    struct arena a = {0};

    int rc = keep_in_flight(b, h, &a);
    if (rc == HF_OK)
        rc = read_ends(b, h->store, &a, &b->out->result);
    arena_release(&a);
    return rc;
}

/* ---- latency */

/* One run from its start to its result. */
static int
one_run(struct bench *b, hf *h, const char *input, bool count)
{
    struct outcome *o = b->out;
    hf_info        *info = NULL;
    char            id[HF_ID_SIZE];
    int64_t         clock_us = clock_system_us(), begin_us = clock_steady_us();

    int rc = hf_start(h, "stamp", input, HF_OPT(.queue = b->queue), id);
    rc = rc ? rc : hf_wait(h, id, WAIT_MS, &info);
    double took_ms = seconds_since(begin_us) * 1e3;
    if (rc == HF_OK && count) {
        int64_t begun_us = info->output ? strtoll(info->output, NULL, 10) : 0;
        add_sample(&o->start, (double)(begun_us - clock_us) / 1e3);
        add_sample(&o->result, took_ms);
    }
    hf_info_free(info);
    return rc ? fail(h, &o->err) : HF_OK;
}

static int
load_latency(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    struct arena    a = {0};
    const char     *input = b->scenario == SCENARIO_LATENCY ? "{\"n\":1}" : "{\"n\":5}";
    int64_t         begin_us = 0, n = 0;

    for (int64_t i = -WARM_UP; i < b->units; i++) {
        if (i == 0)
            begin_us = clock_steady_us();
        if (i > 0 && b->duration_ms && seconds_since(begin_us) * 1000 >= (double)b->duration_ms)
            break;
        TRY(one_run(b, h, input, i >= 0));
        n += i >= 0;
    }
    o->seconds = seconds_since(begin_us);
    o->units = (double)n;
    int rc = read_ends(b, h->store, &a, &o->stored);
    arena_release(&a);
    return rc;
}

void
bench_load(struct bench *b)
{
    static int (*const loads[])(struct bench *, hf *) = {load_noop, load_fan_out, load_latency,
                                                         load_latency};
    hf *h;

    if (hf_open(b->load_url, &h))
        fail(h, &b->out->err);
    else
        loads[b->scenario](b, h);
    b->out->written = proc_number(getpid(), "io", "wchar:");
    hf_close(h);
}
