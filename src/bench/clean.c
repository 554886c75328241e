/* What is in the queue of a benchmark beside it: runs that sleep, and what a benchmark left. */
#include <string.h>

#include "bench/bench.h"
#include "cli/cli.h"

enum { PAGE = 1000 };

/* Asks the live runs of one status to end; what ends by itself meanwhile is fine. */
static int
terminate(struct bench *b, int status, bool *any)
{
    struct store     *s = b->c->h->store;
    struct arena      a = {0};
    struct run_filter f = {.status = status, .queue = b->queue, .limit = 1000000};
    struct run_row   *rows;
    size_t            n, bad;
    struct submit     items[PAGE];

    int rc = s->ops->run_list(s, &f, &a, &rows, &n, &b->c->err);
    for (size_t i = 0; rc == HF_OK && i < n; i += PAGE) {
        size_t k = n - i < PAGE ? n - i : PAGE;
        for (size_t j = 0; j < k; j++)
            items[j] = (struct submit){.kind = SUBMIT_TERMINATE, .id = rows[i + j].id};
        rc = s->ops->submit(s, items, k, &bad, &b->c->err);
        *any = true;
    }
    arena_release(&a);
    return rc;
}

static int
purge(struct bench *b)
{
    struct store *s = b->c->h->store;
    struct purge  what = {.queue = b->queue, .status = -1, .limit = PAGE};
    size_t        n = PAGE;
    int64_t       now_us;

    TRY(s->ops->now(s, &now_us, &b->c->err));
    what.ended_before = now_us + HF_HOUR * US_PER_MS;
    while (n == PAGE)
        TRY(s->ops->purge(s, &what, &n, &b->c->err));
    return HF_OK;
}

int
bench_clean(struct bench *b)
{
    struct store  *s = b->c->h->store;
    struct pending p;
    bool           any = false;

    TRY(s->ops->pending(s, b->queue, 0, &p, &b->c->err));
    for (int status = 0; !run_has_ended(status); status++)
        TRY(terminate(b, status, &any));
    if (any || p.tasks > 0)
        TRY(bench_drain(b));
    return purge(b);
}

int
bench_park(struct bench *b)
{
    int64_t left = b->parked;

    if (left == 0)
        return HF_OK;
    for (size_t n; left > 0; left -= (int64_t)n) {
        static const char *inputs[PAGE];
        n = left < PAGE ? (size_t)left : PAGE;
        for (size_t i = 0; i < n; i++)
            inputs[i] = "{\"ms\":86400000}";
        if (hf_start_many(b->c->h, "sleep", inputs, NULL, n, HF_OPT(.queue = b->queue), NULL))
            return cli_fail(b->c);
    }
    return bench_drain(b); /* each has its first turn, and sleeps */
}
