/*
 * `holdfast why`: one sentence on what a run or task waits for. The kinds, as --json gives them:
 * timer, signal, retry, task, child, no_worker, paused, blocked, turn, done, dead.
 */
#include "cli/print.h"
#include "cli/view.h"

enum { NAMED_MAX = 3 };

static int
print_reason(struct cli *c, const char *id, const char *kind, const char *text)
{
    struct buf b = {0};

    if (text == NULL)
        return cli_nomem(c);
    if (!c->json) {
        print_text(text, SIZE_MAX);
        putchar('\n');
        return HF_OK;
    }
    buf_putc(&b, '{');
    put_text_member(&b, "id", id);
    put_text_member(&b, "why", text);
    put_text_member(&b, "kind", kind);
    buf_putc(&b, '}');
    return print_buf(c, &b);
}

static int
why_ended(struct cli *c, const struct run_row *r)
{
    char at[TIME_SIZE];

    format_time(r->ended_us / US_PER_MS, at);
    const char *name = r->error_name ? r->error_name : "";
    const char *message = r->error_message ? r->error_message : "";
    if (r->status == RUN_COMPLETED)
        return print_reason(c, r->id, "done",
                            arena_printf(&c->arena, "run %s is done: completed at %s", r->id, at));
    return print_reason(c, r->id, "done",
                        arena_printf(&c->arena, "run %s is done: %s at %s%s%s%s%s", r->id,
                                     run_status_name(r->status), at, name[0] ? ", " : "", name,
                                     message[0] ? ": " : "", message));
}

/* The open calls, the first few by name. What no worker can do goes first: it needs somebody. */
static int
why_calls(struct cli *c, const struct view *v, const struct fleet *f, bool *found)
{
    struct buf    b = {0};
    struct reason r, first = {0};
    size_t        n = 0;

    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < v->n_items; k++) {
            if (!v->items[k].open)
                continue;
            if (item_reason(c, v, f, &v->items[k], &r)) {
                buf_release(&b);
                return c->err.code;
            }
            if ((r.kind[0] == 'n') != (pass == 0))
                continue;
            if (n == 0)
                first = r;
            if (n < NAMED_MAX)
                buf_printf(&b, "%s%s", n ? " and " : "", r.text);
            n++;
        }
    *found = n > 0;
    if (n > NAMED_MAX)
        buf_printf(&b, " and %zu more", n - NAMED_MAX);
    const char *text = b.failed || n == 0
                           ? NULL
                           : arena_printf(&c->arena, "run %s waits for %s", v->run.id, b.data);
    buf_release(&b);
    return n == 0 ? HF_OK : print_reason(c, v->run.id, first.kind, text);
}

static int
why_live(struct cli *c, const struct view *v)
{
    struct fleet f;
    bool         found = false;
    const char  *id = v->run.id;

    TRY(fleet_load(c, &f));
    const char *gap = fleet_gap(c, &f, v->run.queue, v->run.workflow, v->run.version, NULL);
    if (gap && (v->run.status == RUN_RUNNING || v->n_inbox > 0))
        return print_reason(c, id, "no_worker",
                            arena_printf(&c->arena, "run %s waits for a worker: %s", id, gap));
    TRY(why_calls(c, v, &f, &found));
    if (found)
        return HF_OK;
    return print_reason(
        c, id, "turn",
        arena_printf(&c->arena, "run %s waits for nothing: its next turn is due", id));
}

static int
why_run(struct cli *c, const struct view *v)
{
    const struct run_row *r = &v->run;

    if (run_has_ended(r->status))
        return why_ended(c, r);
    if (r->status == RUN_PAUSED)
        return print_reason(c, r->id, "paused",
                            arena_printf(&c->arena,
                                         "run %s is paused; holdfast resume %s lets it go on",
                                         r->id, r->id));
    if (r->status == RUN_BLOCKED)
        return print_reason(c, r->id, "blocked",
                            arena_printf(&c->arena,
                                         "run %s is blocked by %s%s%s; holdfast resume %s tries "
                                         "again",
                                         r->id, r->error_name ? r->error_name : "an error",
                                         r->error_message ? ": " : "",
                                         r->error_message ? r->error_message : "", r->id));
    return why_live(c, v);
}

static int
why_task(struct cli *c, const char *id)
{
    struct store   *s = c->h->store;
    struct task_row t;
    struct dead_row d;
    struct fleet    f;
    struct reason   r;
    int64_t         now_us;
    char            count[TIME_SIZE];

    int rc = s->ops->task_get(s, id, &c->arena, &t, &c->err);
    if (rc == HF_OK) {
        TRY(fleet_load(c, &f));
        TRY(s->ops->now(s, &now_us, &c->err));
        TRY(task_reason(c, &f, &t, now_us / US_PER_MS, &r));
        return print_reason(c, id, r.kind,
                            arena_printf(&c->arena, "task %s waits for %s", id, r.text));
    }
    if (rc != HF_NOT_FOUND)
        return rc;
    rc = s->ops->dead_get(s, id, &c->arena, &d, &c->err);
    if (rc == HF_NOT_FOUND)
        return err_set(&c->err, HF_NOT_FOUND,
                       "%s: no such run or task (a task that is done is gone)", id);
    TRY(rc);
    return print_reason(
        c, id, "dead",
        arena_printf(&c->arena,
                     "task %s waits for you: %s ended after %s, last error %s%s%s; holdfast task "
                     "retry %s tries again",
                     id, d.name, format_count(d.attempts, "attempt", count),
                     d.error_name ? d.error_name : "unknown", d.error_message ? ": " : "",
                     d.error_message ? d.error_message : "", id));
}

int
run_why(struct cli *c)
{
    struct view v;

    TRY(cli_open(c, false));
    int rc = view_load(c, c->operands[0], 0, &v);
    if (rc == HF_NOT_FOUND)
        return why_task(c, c->operands[0]);
    return rc ? rc : why_run(c, &v);
}
