/* `holdfast show`: one run, as JSON here and for people in timeline.c. */
#include "cli/print.h"
#include "cli/view.h"

/* name: the event's own, or that of the call that it settles. */
static void
put_event(struct buf *b, const struct event *e, const char *name, size_t seq)
{
    buf_putc(b, '{');
    put_int_member(b, "seq", (int64_t)seq);
    put_text_member(b, "kind", event_kind_name(e->kind));
    put_text_member(b, "name", name);
    put_time_member(b, "time", e->time_ms);
    if (e->ref)
        put_text_member(b, "ref", e->ref);
    if (e->attempts)
        put_int_member(b, "attempt", e->attempts);
    if (e->input)
        put_payload_member(b, "input", e->input);
    if (e->output)
        put_payload_member(b, "output", e->output);
    if (e->error_name)
        put_error_member(b, "error", e->error_name, e->message);
    else if (e->message)
        put_text_member(b, "message", e->message);
    if (e->due_ms)
        put_time_member(b, "due", e->due_ms);
    if (e->run_id)
        put_text_member(b, "run", e->run_id);
    if (e->version)
        put_int_member(b, "version", e->version);
    buf_putc(b, '}');
}

static void
put_comma(struct buf *b, size_t n)
{
    if (n > 0)
        buf_putc(b, ',');
}

static int
put_waits(struct cli *c, struct buf *b, const struct view *v)
{
    struct fleet f;
    size_t       n = 0;

    TRY(fleet_load(c, &f));
    put_member(b, "waits_for");
    buf_putc(b, '[');
    for (size_t k = 0; k < v->n_items; k++) {
        const struct item *i = &v->items[k];
        struct reason      r;
        if (!i->open)
            continue;
        TRY(item_reason(c, v, &f, i, &r));
        put_comma(b, n++);
        buf_putc(b, '{');
        put_text_member(b, "kind", r.kind);
        put_text_member(b, "ref", i->ref);
        put_text_member(b, "name", i->kind == EVENT_CHILD ? i->run_id : i->name);
        if (i->due_ms)
            put_time_member(b, "until", i->due_ms);
        put_text_member(b, "text", r.text);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
    return HF_OK;
}

static void
put_signal(struct buf *b, const char *name, const char *payload, int64_t time_ms)
{
    buf_putc(b, '{');
    put_text_member(b, "name", name);
    put_payload_member(b, "payload", payload);
    put_time_member(b, "time", time_ms);
    buf_putc(b, '}');
}

static void
put_signals(struct buf *b, const struct view *v)
{
    size_t n = 0;

    put_member(b, "unread_signals");
    buf_putc(b, '[');
    for (size_t k = 0; k < v->n_signals; k++) {
        put_comma(b, n++);
        put_signal(b, v->signals[k].name, v->signals[k].output, v->signals[k].time_ms);
    }
    for (size_t k = 0; k < v->n_inbox; k++)
        if (v->inbox[k].kind == INBOX_SIGNAL) {
            put_comma(b, n++);
            put_signal(b, v->inbox[k].name, v->inbox[k].payload, v->inbox[k].time_us / US_PER_MS);
        }
    buf_putc(b, ']');
}

static void
put_children(struct buf *b, const struct view *v)
{
    put_member(b, "children");
    buf_putc(b, '[');
    for (size_t k = 0; k < v->n_children; k++) {
        const struct run_row *r = &v->children[k];
        put_comma(b, k);
        buf_putc(b, '{');
        put_text_member(b, "id", r->id);
        put_text_member(b, "workflow", r->workflow);
        put_text_member(b, "status", run_status_name(r->status));
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void
put_tasks(struct buf *b, const struct view *v)
{
    put_member(b, "tasks");
    buf_putc(b, '[');
    for (size_t k = 0; k < v->n_tasks; k++) {
        const struct task_row *t = &v->tasks[k];
        put_comma(b, k);
        buf_putc(b, '{');
        put_text_member(b, "name", t->name);
        put_text_member(b, "ref", t->ref);
        put_int_member(b, "attempts", t->attempt);
        put_time_member(b, "due", t->run_at_us / US_PER_MS);
        put_error_member(b, "error", t->error_name, t->error_message);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static int
print_json(struct cli *c, const struct view *v)
{
    const struct run_row *r = &v->run;
    struct buf            b = {0};

    buf_putc(&b, '{');
    put_text_member(&b, "id", r->id);
    put_text_member(&b, "workflow", r->workflow);
    put_int_member(&b, "version", r->version);
    put_text_member(&b, "status", v->end ? v->end : run_status_name(r->status));
    put_payload_member(&b, "input", r->input);
    put_payload_member(&b, "output", r->output);
    put_error_member(&b, "error", r->error_name, r->error_message);
    put_int_member(&b, "execution", r->execution);
    put_int_member(&b, "executions", v->newest);
    put_member(&b, "replaced");
    buf_puts(&b, v->replaced ? "true" : "false");
    put_text_member(&b, "queue", r->queue);
    put_time_member(&b, "started", r->started_us / US_PER_MS);
    put_time_member(&b, "ended", r->ended_us / US_PER_MS);
    put_text_member(&b, "custom_status", r->custom);
    put_member(&b, "history");
    buf_putc(&b, '[');
    for (size_t k = 0; k < v->n_events; k++) {
        put_comma(&b, k);
        put_event(&b, &v->events[k], v->names[k], k + 1);
    }
    buf_putc(&b, ']');
    if (put_waits(c, &b, v)) {
        buf_release(&b);
        return c->err.code;
    }
    put_children(&b, v);
    put_signals(&b, v);
    put_tasks(&b, v);
    buf_putc(&b, '}');
    return print_buf(c, &b);
}

int
run_show(struct cli *c)
{
    struct view v;

    TRY(cli_open(c, false));
    TRY(view_load(c, c->operands[0], (int)args_number(c, "execution", 0), &v));
    return c->json ? print_json(c, &v) : print_timeline(c, &v);
}
