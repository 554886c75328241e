/* `holdfast queues`: what waits in each queue, who serves it and how fast, and how long it keeps
 * ended runs. */
#include <jansson.h>
#include <string.h>

#include "cli/print.h"

/* Work that is done a second, in tenths; known: a live worker has said so. */
struct rate {
    bool    known;
    int64_t tasks, runs;
};

static int64_t
tenths(const json_t *of, const char *member)
{
    return (int64_t)(json_number_value(json_object_get(of, member)) * 10 + 0.5);
}

/* What live workers have last said of each queue, added up. */
static int
read_rates(struct cli *c, const struct queue_row *queues, size_t n, struct rate **out)
{
    struct store      *s = c->h->store;
    struct worker_row *workers;
    size_t             n_workers;

    TRY(s->ops->workers(s, &c->arena, &workers, &n_workers, &c->err));
    *out = arena_zalloc(&c->arena, (n + 1) * sizeof(**out));
    if (*out == NULL)
        return cli_nomem(c);
    for (size_t i = 0; i < n_workers; i++) {
        bool    counts = workers[i].live && workers[i].stats;
        json_t *said = counts ? json_loads(workers[i].stats, 0, NULL) : NULL;
        for (size_t k = 0; k < n; k++) {
            json_t *of = json_object_get(json_object_get(said, "queues"), queues[k].name);
            (*out)[k].known |= of != NULL;
            (*out)[k].tasks += tenths(of, "tasks_per_s");
            (*out)[k].runs += tenths(of, "runs_per_s");
        }
        json_decref(said);
    }
    return HF_OK;
}

static void
put_rate_member(struct buf *b, const char *name, bool known, int64_t rate)
{
    put_member(b, name);
    if (known)
        buf_printf(b, "%lld.%d", (long long)(rate / 10), (int)(rate % 10));
    else
        buf_puts(b, "null");
}

static void
put_queue(struct buf *b, const struct queue_row *q, const struct rate *r)
{
    buf_putc(b, '{');
    put_text_member(b, "name", q->name);
    put_text_member(b, "served_by", q->by_sql ? "sql" : "worker");
    put_int_member(b, "partitions", q->partitions);
    put_int_member(b, "unowned", q->unowned);
    put_int_member(b, "tasks", q->tasks);
    put_int_member(b, "delayed", q->delayed);
    put_int_member(b, "runs", q->runs);
    put_member(b, "lower_bounds");
    buf_puts(b, q->backlog_more ? "true" : "false");
    put_time_member(b, "oldest", q->oldest_us / US_PER_MS);
    put_int_member(b, "retain_ms", q->retain_us / US_PER_MS);
    put_int_member(b, "crashes", q->crashes);
    put_rate_member(b, "done_per_s", r->known, r->tasks + r->runs);
    put_rate_member(b, "tasks_per_s", r->known, r->tasks);
    put_rate_member(b, "runs_per_s", r->known, r->runs);
    buf_putc(b, '}');
}

static int
print_json(struct cli *c, const struct queue_row *queues, const struct rate *rates, size_t n)
{
    struct buf b = {0};

    buf_puts(&b, "{\"queues\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_queue(&b, &queues[i], &rates[i]);
    }
    buf_puts(&b, "]}");
    return print_buf(c, &b);
}

/* "12", "10000+" if there may be more, "" if there are none. */
static const char *
count_cell(struct cli *c, const struct queue_row *q, int64_t n)
{
    return n <= 0 ? ""
                  : arena_printf(&c->arena, "%lld%s", (long long)n, q->backlog_more ? "+" : "");
}

/* "8 of 8": partitions that have an owner. */
static const char *
owned_cell(struct cli *c, const struct queue_row *q)
{
    if (q->by_sql)
        return "by SQL";
    return arena_printf(&c->arena, "%d of %d", q->partitions - q->unowned, q->partitions);
}

/* "12.5/s"; "" if nobody has said. */
static const char *
rate_cell(struct cli *c, const struct rate *r)
{
    int64_t rate = r->tasks + r->runs;

    if (!r->known)
        return "";
    return rate < 1000 ? arena_printf(&c->arena, "%d.%d/s", (int)(rate / 10), (int)(rate % 10))
                       : arena_printf(&c->arena, "%lld/s", (long long)((rate + 5) / 10));
}

static int
print_table(struct cli *c, const struct queue_row *queues, const struct rate *rates, size_t n,
            int64_t now_us)
{
    struct table t = {.head = {"QUEUE", "SERVED", "TASKS", "DELAYED", "RUNS", "OLDEST", "RATE",
                               "CRASHES", "KEEPS RUNS"},
                      .columns = 9,
                      .status = -1};
    bool         ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        const struct queue_row *q = &queues[i];
        char                    age[TIME_SIZE] = "", kept[TIME_SIZE] = "for ever";
        if (q->oldest_us)
            format_duration((now_us - q->oldest_us) / US_PER_MS, age);
        if (q->retain_us)
            format_duration(q->retain_us / US_PER_MS, kept);
        const char *cells[] = {
            q->name,
            owned_cell(c, q),
            count_cell(c, q, q->tasks),
            count_cell(c, q, q->delayed),
            count_cell(c, q, q->runs),
            arena_strdup(&c->arena, age),
            rate_cell(c, &rates[i]),
            q->crashes ? arena_printf(&c->arena, "%d", q->crashes) : "",
            arena_strdup(&c->arena, kept),
        };
        for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]); k++)
            ok = ok && cells[k];
        ok = ok && table_add(&t, cells);
    }
    if (ok)
        table_print(&t);
    return ok ? HF_OK : cli_nomem(c);
}

static int
retain(struct cli *c)
{
    int64_t       ms = 0;
    struct store *s = c->h->store;

    if (strcmp(c->operands[2], "forever") != 0) {
        if (parse_duration(c->operands[2], &ms, &c->err))
            return err_set(&c->err, HF_INVALID, "queues: %s is no duration like 7d, nor forever",
                           c->operands[2]);
        if (ms == 0)
            return err_set(&c->err, HF_INVALID,
                           "queues: a retention of 0 would delete each run as it ends; to keep "
                           "them for ever say forever");
    }
    return s->ops->retain(s, c->operands[1], ms * US_PER_MS, &c->err);
}

int
run_queues(struct cli *c)
{
    struct queue_row *queues;
    struct rate      *rates;
    size_t            n;
    int64_t           now_us;

    if (c->n_operands > 0 && (c->n_operands != 3 || strcmp(c->operands[0], "retain") != 0))
        return err_set(&c->err, HF_INVALID,
                       "queues: either nothing follows, or: retain QUEUE DURATION");
    TRY(cli_open(c, false));
    if (c->n_operands > 0)
        return retain(c);
    struct store *s = c->h->store;
    TRY(s->ops->queues(s, QUEUE_COUNT_MAX, &c->arena, &queues, &n, &c->err));
    TRY(s->ops->now(s, &now_us, &c->err));
    TRY(read_rates(c, queues, n, &rates));
    return c->json ? print_json(c, queues, rates, n) : print_table(c, queues, rates, n, now_us);
}
