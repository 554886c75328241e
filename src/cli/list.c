/* `holdfast list`: runs, the newest first. */
#include "cli/print.h"

enum { LIST_DEFAULT = 50 };

/* The members that list and show have in common; the object stays open. */
static void
put_run(struct buf *b, const struct run_row *r)
{
    buf_putc(b, '{');
    put_text_member(b, "id", r->id);
    put_text_member(b, "workflow", r->workflow);
    put_int_member(b, "version", r->version);
    put_text_member(b, "status", run_status_name(r->status));
    put_text_member(b, "queue", r->queue);
    put_int_member(b, "execution", r->execution);
    put_time_member(b, "started", r->started_us / US_PER_MS);
    put_time_member(b, "ended", r->ended_us / US_PER_MS);
    put_text_member(b, "custom_status", r->custom);
    put_error_member(b, "error", r->error_name, r->error_message);
    buf_putc(b, '}');
}

static int
print_json(struct cli *c, const struct run_row *runs, size_t n)
{
    struct buf b = {0};

    buf_puts(&b, "{\"runs\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_run(&b, &runs[i]);
    }
    buf_puts(&b, "]}");
    return print_buf(c, &b);
}

static const char *
remark(const struct run_row *r)
{
    if (r->error_message && r->error_message[0])
        return r->error_message;
    if (r->error_name)
        return r->error_name;
    return r->custom ? r->custom : "";
}

static int
print_table(struct cli *c, const struct run_row *runs, size_t n, int64_t now_us)
{
    struct table t = {.head = {"RUN", "WORKFLOW", "STATUS", "QUEUE", "STARTED", "TOOK", "NOTE"},
                      .columns = 7,
                      .status = 2};
    bool         ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        const struct run_row *r = &runs[i];
        int64_t               end_us = r->ended_us ? r->ended_us : now_us;
        char                  started[TIME_SIZE], took[TIME_SIZE];
        format_time(r->started_us / US_PER_MS, started);
        format_duration((end_us - r->started_us) / US_PER_MS, took);
        const char *so_far = r->ended_us ? "" : " so far";
        const char *cells[] = {
            r->id,
            r->version ? arena_printf(&c->arena, "%s@%d", r->workflow, r->version) : r->workflow,
            run_status_name(r->status),
            r->queue,
            arena_strdup(&c->arena, started),
            arena_printf(&c->arena, "%s%s", took, so_far),
            remark(r),
        };
        ok = cells[1] && cells[4] && cells[5] && table_add(&t, cells);
    }
    if (ok && n == 0)
        puts("no runs");
    else if (ok)
        table_print(&t);
    return ok ? HF_OK : cli_nomem(c);
}

int
run_list(struct cli *c)
{
    struct run_row *runs;
    size_t          n;
    int64_t         now_us;

    TRY(cli_open(c, false));
    struct run_filter f = {
        .status = args_choice(c, "status", -1),
        .workflow = args_text(c, "workflow", NULL),
        .queue = args_text(c, "queue", NULL),
        .limit = (int)args_number(c, "limit", LIST_DEFAULT),
    };
    struct store *s = c->h->store;
    TRY(s->ops->run_list(s, &f, &c->arena, &runs, &n, &c->err));
    TRY(s->ops->now(s, &now_us, &c->err));
    return c->json ? print_json(c, runs, n) : print_table(c, runs, n, now_us);
}
