/*
 * The load of a benchmark, in a process of its own with a connection of its own: what all kinds of
 * it share. What is measured goes to memory that is shared with the process that started it.
 */
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/bench.h"
#include "bench/board.h"
#include "cli/cli.h"

enum { PAGE = 5000, PAGE_BYTES_MAX = 8 << 20, PAUSE_MIN_US = 100, PAUSE_MAX_US = 20000 };
enum { PARK_REST_US = 3000000 };

double
load_seconds_since(int64_t steady_us)
{
    return (double)(clock_steady_us() - steady_us) / 1e6;
}

void
load_pause_us(double us)
{
    int64_t ns = (int64_t)((us < PAUSE_MIN_US ? PAUSE_MIN_US : us) * 1000);
    nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
}

void
load_add_sample(struct samples *to, double ms)
{
    if (to->n < BENCH_SAMPLES_MAX)
        to->ms[to->n++] = ms;
}

int
load_fail(struct bench *b, hf *h)
{
    return err_set(&b->out->err, hf_errcode(h), "bench: %s", hf_errmsg(h));
}

const char *
load_input(const struct bench *b, struct arena *a)
{
    size_t n = (size_t)b->point.payload;
    char  *text = b->point.payload < 2 ? NULL : arena_alloc(a, n + 1);

    if (text == NULL)
        return b->point.input;
    memset(text, 'x', n);
    text[0] = text[n - 1] = '"';
    text[n] = '\0';
    return text;
}

int
load_enqueue(struct bench *b, hf *h, int64_t n)
{
    struct arena a = {0};
    const char  *input = load_input(b, &a);
    int64_t      page = input ? PAGE_BYTES_MAX / (int64_t)(strlen(input) + 1) : PAGE;
    int          rc = HF_OK;

    page = page < 1 ? 1 : page > PAGE ? PAGE : page;
    const char **inputs = input ? arena_alloc(&a, (size_t)page * sizeof(*inputs)) : NULL;
    for (int64_t i = 0; inputs && i < page; i++)
        inputs[i] = input;
    for (int64_t k; rc == HF_OK && n > 0; n -= k) {
        k = n < page ? n : page;
        if (hf_enqueue_many(h, b->point.work, inputs, (size_t)k, HF_OPT(.queue = BENCH_QUEUE),
                            NULL))
            rc = load_fail(b, h);
    }
    arena_release(&a);
    return rc;
}

/* Looks when most of the rest must be done. */
void
load_wait_done(struct bench *b, enum board_kind kind, int64_t n)
{
    int64_t begin_us = clock_steady_us();

    for (int64_t done; (done = board_done(b->board, kind)) < n;) {
        double each_us = load_seconds_since(begin_us) * 1e6 / (double)(done + 1);
        load_pause_us(fmin(each_us * (double)(n - done) * 0.8, PAUSE_MAX_US));
    }
}

int
load_wait_no_task(struct bench *b, struct store *s)
{
    struct task_filter f = {.queue = BENCH_QUEUE, .limit = 1};
    struct arena       a = {0};
    struct task_row   *rows;
    size_t             n = 1;
    int                rc = HF_OK;

    while (rc == HF_OK && n > 0) {
        rc = s->ops->task_list(s, &f, &a, &rows, &n, &b->out->err);
        arena_reset(&a);
        if (n > 0)
            load_pause_us(PAUSE_MIN_US);
    }
    arena_release(&a);
    return rc;
}

int
load_wait_no_run(struct bench *b, struct store *s)
{
    struct pending p;

    for (;;) {
        TRY(s->ops->pending(s, BENCH_QUEUE, 0, &p, &b->out->err));
        if (p.running + p.due + p.waiting == 0)
            return HF_OK;
        load_pause_us(PAUSE_MIN_US);
    }
}

int
load_each_run(struct bench *b, struct store *s, load_run_fn fn, void *arg)
{
    struct run_filter f = {.status = -1, .queue = BENCH_QUEUE, .limit = BENCH_SAMPLES_MAX};
    struct arena      a = {0};
    struct run_row   *rows;
    size_t            n;

    int rc = s->ops->run_list(s, &f, &a, &rows, &n, &b->out->err);
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        rc = fn(b, &rows[i], arg);
    arena_release(&a);
    return rc;
}

/* Others are parked, or children. */
static int
add_end(struct bench *b, const struct run_row *run, void *to)
{
    if (strcmp(run->workflow, b->point.work) != 0)
        return HF_OK;
    if (run->status != RUN_COMPLETED)
        return err_set(&b->out->err, HF_FAILED, "bench: run %s is %s: %s", run->id,
                       run_status_name(run->status),
                       run->error_message ? run->error_message : "no error");
    load_add_sample(to, (double)(run->ended_us - run->started_us) / 1e3);
    return HF_OK;
}

int
load_read_ends(struct bench *b, struct store *s, struct samples *to)
{
    return load_each_run(b, s, add_end, to);
}

/* Starts the runs, and waits for the first turn of each. */
int
load_park(struct bench *b, hf *h)
{
    static const char *inputs[PAGE];
    char               until[32];
    struct pending     p = {.running = 1};

    snprintf(until, sizeof(until), "%lld", (long long)(clock_system_us() / US_PER_MS + HF_DAY));
    for (size_t i = 0; i < PAGE; i++)
        inputs[i] = until;
    for (int64_t left = b->point.parked, n; left > 0; left -= n) {
        n = left < PAGE ? left : PAGE;
        if (hf_start_many(h, "sleeper", inputs, NULL, (size_t)n, HF_OPT(.queue = BENCH_QUEUE),
                          NULL))
            return load_fail(b, h);
    }
    while (b->point.parked && p.running > 0) {
        load_pause_us(PAUSE_MAX_US);
        TRY(h->store->ops->pending(h->store, BENCH_QUEUE, 0, &p, &b->out->err));
    }
    if (b->point.parked)
        load_pause_us(PARK_REST_US); /* checkpoints of what was parked */
    return HF_OK;
}

void
bench_load(struct bench *b)
{
    hf *h;

    b->out->killed = -1;
    if (hf_open(b->load_url, &h))
        load_fail(b, h);
    else if (load_park(b, h) == HF_OK)
        b->point.load(b, h);
    b->out->written = proc_number(getpid(), "io", "wchar:");
    hf_close(h);
}
