/* `holdfast workers`: who is there, what they own, and how busy they are. */
#include <string.h>

#include "cli/print.h"

/* "a,b c" to ["a","b","c"]; NULL gives null. */
static void
put_words(struct cli *c, struct buf *b, const char *name, const char *words)
{
    put_member(b, name);
    if (words == NULL) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '[');
    for (const char *w = words + strspn(words, " ,"); *w; w += strspn(w, " ,")) {
        size_t n = strcspn(w, " ,");
        if (b->len > 0 && b->data[b->len - 1] != '[')
            buf_putc(b, ',');
        buf_json(b, arena_strndup(&c->arena, w, n));
        w += n;
    }
    buf_putc(b, ']');
}

/* What is left of the lease, ms; it may be below 0. An exclusive store has none. */
static bool
lease_left(const struct worker_row *w, int64_t now_us, int64_t *ms)
{
    *ms = (w->expires_us - now_us) / US_PER_MS;
    return w->expires_us != NEVER_US && w->expires_us != 0;
}

static void
put_worker(struct cli *c, struct buf *b, const struct worker_row *w, int64_t now_us)
{
    int64_t left_ms;

    buf_putc(b, '{');
    put_int_member(b, "id", w->id);
    put_text_member(b, "name", w->name);
    put_text_member(b, "host", w->host);
    put_int_member(b, "pid", w->pid);
    put_member(b, "live");
    buf_puts(b, w->live ? "true" : "false");
    put_words(c, b, "queues", w->queues);
    put_words(c, b, "handlers", w->handlers ? w->handlers : "");
    put_int_member(b, "partitions", w->partitions);
    put_int_member(b, "slots", w->slots);
    put_int_member(b, "slots_free", w->slots_free);
    put_int_member(b, "lease_ms", w->lease_us / US_PER_MS);
    put_member(b, "lease_left_ms");
    if (lease_left(w, now_us, &left_ms))
        buf_int(b, left_ms);
    else
        buf_puts(b, "null");
    put_time_member(b, "since", w->since_us / US_PER_MS);
    buf_putc(b, '}');
}

static int
print_json(struct cli *c, const struct worker_row *workers, size_t n, int64_t now_us)
{
    struct buf b = {0};

    buf_puts(&b, "{\"workers\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_worker(c, &b, &workers[i], now_us);
    }
    buf_puts(&b, "]}");
    return print_buf(c, &b);
}

static const char *
state(struct cli *c, const struct worker_row *w, int64_t now_us)
{
    char    text[TIME_SIZE];
    int64_t left_ms;

    if (!lease_left(w, now_us, &left_ms))
        return w->live ? "live" : "dead";
    if (left_ms < 0)
        return arena_printf(&c->arena, "silent, its lease ended %s ago",
                            format_duration(-left_ms, text));
    return arena_printf(&c->arena, "live, its lease ends in %s", format_duration(left_ms, text));
}

static int
print_table(struct cli *c, const struct worker_row *workers, size_t n, int64_t now_us)
{
    struct table t = {
        .head = {"WORKER", "NAME", "PROCESS", "QUEUES", "OWNS", "FREE SLOTS", "UP", "STATE"},
        .columns = 8,
        .status = -1};
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        const struct worker_row *w = &workers[i];
        char                     up[TIME_SIZE];
        format_duration((now_us - w->since_us) / US_PER_MS, up);
        const char *cells[] = {
            arena_printf(&c->arena, "%lld", (long long)w->id),
            w->name ? w->name : "",
            arena_printf(&c->arena, "%lld on %s", (long long)w->pid, w->host ? w->host : "?"),
            w->queues ? w->queues : "all",
            arena_printf(&c->arena, "%d", w->partitions),
            w->slots ? arena_printf(&c->arena, "%d of %d", w->slots_free, w->slots) : "",
            arena_strdup(&c->arena, up),
            state(c, w, now_us),
        };
        for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]); k++)
            ok = ok && cells[k];
        ok = ok && table_add(&t, cells);
    }
    if (ok && n == 0)
        puts("no workers");
    else if (ok)
        table_print(&t);
    return ok ? HF_OK : cli_nomem(c);
}

int
run_workers(struct cli *c)
{
    struct worker_row *workers;
    size_t             n;
    int64_t            now_us;

    TRY(cli_open(c, false));
    struct store *s = c->h->store;
    TRY(s->ops->workers(s, &c->arena, &workers, &n, &c->err));
    TRY(s->ops->now(s, &now_us, &c->err));
    return c->json ? print_json(c, workers, n, now_us) : print_table(c, workers, n, now_us);
}
