/* `holdfast queues`: what waits in each queue, who serves it, and how long it keeps ended runs. */
#include <string.h>

#include "cli/print.h"

static void
put_queue(struct buf *b, const struct queue_row *q)
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
    buf_putc(b, '}');
}

static int
print_json(struct cli *c, const struct queue_row *queues, size_t n)
{
    struct buf b = {0};

    buf_puts(&b, "{\"queues\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_queue(&b, &queues[i]);
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

static int
print_table(struct cli *c, const struct queue_row *queues, size_t n, int64_t now_us)
{
    struct table t = {
        .head = {"QUEUE", "SERVED", "TASKS", "DELAYED", "RUNS", "OLDEST", "CRASHES", "KEEPS RUNS"},
        .columns = 8,
        .status = -1};
    bool ok = true;

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
    size_t            n;
    int64_t           now_us;

    if (c->n_operands > 0 && (c->n_operands != 3 || strcmp(c->operands[0], "retain") != 0))
        return err_set(&c->err, HF_INVALID,
                       "queues: either nothing follows, or: retain QUEUE DURATION");
    TRY(cli_open(c, false));
    if (c->n_operands > 0)
        return retain(c);
    struct store *s = c->h->store;
    TRY(s->ops->queues(s, &c->arena, &queues, &n, &c->err));
    TRY(s->ops->now(s, &now_us, &c->err));
    return c->json ? print_json(c, queues, n) : print_table(c, queues, n, now_us);
}
