/* Reading a run and adding up its events. */
#include "cli/view.h"

#include <string.h>

#include "base/id.h"
#include "base/map.h"

enum { TASKS_MAX = 1000 };

const char *
item_kind_name(int kind)
{
    switch (kind) {
    case EVENT_TIMER:
        return "timer";
    case EVENT_WAIT:
        return "signal";
    case EVENT_CHILD:
        return "child";
    case EVENT_STEP:
        return "step";
    default:
        return "task";
    }
}

static int64_t
ref_key(const char *ref)
{
    int64_t key = (int64_t)id_hash_text(ref);
    return key ? key : 1;
}

static void
end_item(struct item *i, const struct event *e, int code)
{
    i->open = false;
    i->end_ms = e->time_ms;
    i->code = code;
    i->output = e->output;
    i->error_name = e->error_name;
    i->message = e->message;
    i->attempts = e->attempts;
}

/* The earliest open wait takes the signal; else it is left for one to come. */
static void
take_signal(struct view *v, const struct event *e)
{
    for (size_t k = 0; k < v->n_items; k++) {
        struct item *i = &v->items[k];
        if (i->open && i->kind == EVENT_WAIT && strcmp(i->name, e->name) == 0) {
            end_item(i, e, HF_OK);
            return;
        }
    }
    v->signals[v->n_signals++] = *e;
}

/* A wait that begins takes the oldest signal of its name that is there. */
static void
take_waiting_signal(struct view *v, struct item *i)
{
    for (size_t k = 0; k < v->n_signals; k++)
        if (strcmp(v->signals[k].name, i->name) == 0) {
            end_item(i, &v->signals[k], HF_OK);
            i->end_ms = i->begin_ms;
            v->n_signals--;
            memmove(v->signals + k, v->signals + k + 1, (v->n_signals - k) * sizeof(v->signals[0]));
            return;
        }
}

/* Timers and signal waits that a cancel or the run's end has settled without an event. */
static void
end_waits(struct view *v, const struct event *e, bool all)
{
    for (size_t k = 0; k < v->n_items; k++) {
        struct item *i = &v->items[k];
        bool         wait = i->kind == EVENT_TIMER || i->kind == EVENT_WAIT;
        if (i->open && (all || (wait && !i->shielded))) {
            end_item(i, e, HF_CANCELLED);
            i->error_name = i->message = NULL;
        }
    }
}

static bool
begin_item(struct view *v, const struct event *e, struct map *refs)
{
    struct item *i = &v->items[v->n_items++];

    *i = (struct item){
        .kind = e->kind,
        .ref = e->ref,
        .name = e->name,
        .run_id = e->run_id,
        .due_ms = e->due_ms,
        .begin_ms = e->time_ms,
        .open = !(e->flags & EVENT_DETACHED),
        .shielded = e->flags & EVENT_SHIELDED,
        .detached = e->flags & EVENT_DETACHED,
    };
    if (e->kind == EVENT_STEP)
        end_item(i, e, e->code);
    if (e->kind == EVENT_WAIT)
        take_waiting_signal(v, i);
    return map_put(refs, ref_key(e->ref), i);
}

static bool
add_event(struct view *v, const struct event *e, struct map *refs)
{
    struct item *i = e->ref ? map_get(refs, ref_key(e->ref)) : NULL;

    switch (e->kind) {
    case EVENT_CALL:
    case EVENT_TIMER:
    case EVENT_WAIT:
    case EVENT_CHILD:
    case EVENT_STEP:
        return e->ref == NULL || begin_item(v, e, refs);
    case EVENT_SENT:
        if (i)
            i->sent = true;
        return true;
    case EVENT_DONE:
    case EVENT_ERROR:
    case EVENT_FIRED:
        if (i && i->open)
            end_item(i, e,
                     e->kind == EVENT_DONE || i->kind == EVENT_TIMER ? HF_OK
                     : e->kind == EVENT_FIRED                        ? HF_TIMEOUT
                     : e->code                                       ? e->code
                                                                     : HF_FAILED);
        return true;
    case EVENT_SIGNAL:
        take_signal(v, e);
        return true;
    case EVENT_CANCEL:
        end_waits(v, e, false);
        return true;
    case EVENT_COMPLETED:
    case EVENT_FAILED:
    case EVENT_CANCELLED:
    case EVENT_TERMINATED:
    case EVENT_CONTINUED:
        end_waits(v, e, true);
        return true;
    default:
        return true;
    }
}

static int
add_up(struct cli *c, struct view *v)
{
    struct map refs = {0};
    bool       ok;

    v->items = arena_zalloc(&c->arena, (v->n_events + 1) * sizeof(v->items[0]));
    v->signals = arena_zalloc(&c->arena, (v->n_events + 1) * sizeof(v->signals[0]));
    v->names = arena_zalloc(&c->arena, (v->n_events + 1) * sizeof(v->names[0]));
    ok = v->items && v->signals && v->names;
    for (size_t k = 0; ok && k < v->n_events; k++) {
        const struct event *e = &v->events[k];
        ok = add_event(v, e, &refs);
        const struct item *i = e->ref && e->name == NULL ? map_get(&refs, ref_key(e->ref)) : NULL;
        v->names[k] = i ? i->name : e->name;
    }
    for (size_t k = 0; ok && k < v->n_tasks; k++) {
        const char  *ref = v->tasks[k].ref;
        struct item *i =
            ref && v->tasks[k].execution == v->run.execution ? map_get(&refs, ref_key(ref)) : NULL;
        if (i)
            i->task = &v->tasks[k];
    }
    map_release(&refs);
    return ok ? HF_OK : cli_nomem(c);
}

/* The events of an execution; none if it has no history (any more). */
static int
load_events(struct cli *c, const struct run_row *run, int execution, struct event **out,
            size_t *n_out)
{
    struct store       *s = c->h->store;
    struct history_row *rows;
    size_t              n, total = 0;

    TRY(s->ops->history(s, run->no, execution, &c->arena, &rows, &n, &c->err));
    struct event **parts = arena_zalloc(&c->arena, (n + 1) * sizeof(*parts));
    size_t        *counts = arena_zalloc(&c->arena, (n + 1) * sizeof(*counts));
    if (parts == NULL || counts == NULL)
        return cli_nomem(c);
    for (size_t k = 0; k < n; k++) {
        if (event_decode(rows[k].events, rows[k].events_len, &c->arena, &parts[k], &counts[k],
                         &c->err))
            return err_prefix(&c->err, "run %s, history row %d: ", run->id, rows[k].seq);
        total += counts[k];
    }
    struct event *events = arena_alloc(&c->arena, (total + 1) * sizeof(*events));
    if (events == NULL)
        return cli_nomem(c);
    *out = events;
    *n_out = total;
    for (size_t k = 0; k < n; k++) {
        if (counts[k] > 0)
            memcpy(events, parts[k], counts[k] * sizeof(*events));
        events += counts[k];
    }
    return HF_OK;
}

/* How far back histories go, and whether this execution began another life: then the one before it
 * did not end with hf_continue. */
static int
look_back(struct cli *c, struct view *v)
{
    struct event *events;
    size_t        n;
    int           execution = v->run.execution;

    v->oldest = execution;
    while (v->oldest > 1) {
        TRY(load_events(c, &v->run, v->oldest - 1, &events, &n));
        if (n == 0)
            break;
        if (v->oldest-- == execution)
            v->replaced = events[n - 1].kind != EVENT_CONTINUED;
    }
    return HF_OK;
}

/* Makes the row that of an earlier execution, as far as its history tells. */
static int
load_earlier(struct cli *c, struct view *v, int execution)
{
    struct run_row *r = &v->run;

    if (execution > v->newest)
        return err_set(&c->err, HF_NOT_FOUND,
                       "run %s: there is no execution %d, the present one is %d", r->id, execution,
                       v->newest);
    TRY(load_events(c, r, execution, &v->events, &v->n_events));
    if (v->n_events == 0)
        return err_set(
            &c->err, HF_NOT_FOUND,
            "run %s: the history of execution %d is not kept any more, the present one is "
            "%d",
            r->id, execution, v->newest);
    const struct event *first = &v->events[0], *last = &v->events[v->n_events - 1];
    bool                same_life = last->kind == EVENT_CONTINUED && v->newest == execution + 1;
    v->end = event_kind_name(last->kind);
    r->execution = execution;
    r->version = first->version;
    r->started_us = first->time_ms * US_PER_MS;
    r->ended_us = last->time_ms * US_PER_MS;
    if (!same_life)
        r->workflow = r->input = NULL; /* another life's: this one's are not kept */
    r->custom = r->output = r->error_name = r->error_message = NULL;
    return HF_OK;
}

static int
load_beside(struct cli *c, struct view *v)
{
    struct store      *s = c->h->store;
    struct task_filter f = {.run_no = v->run.no, .limit = TASKS_MAX};

    TRY(s->ops->inbox_list(s, v->run.no, &c->arena, &v->inbox, &v->n_inbox, &c->err));
    TRY(s->ops->children(s, v->run.no, &c->arena, &v->children, &v->n_children, &c->err));
    return s->ops->task_list(s, &f, &c->arena, &v->tasks, &v->n_tasks, &c->err);
}

int
view_load(struct cli *c, const char *id, int execution, struct view *out)
{
    struct view   v = {0};
    struct store *s = c->h->store;
    int64_t       now_us;

    TRY(id_check_name("run", id, &c->err));
    TRY(s->ops->run_get(s, id, &c->arena, &v.run, &c->err));
    v.newest = v.run.execution;
    if (execution == 0 || execution == v.newest) {
        TRY(load_events(c, &v.run, v.newest, &v.events, &v.n_events));
        TRY(load_beside(c, &v));
    } else {
        TRY(load_earlier(c, &v, execution));
    }
    if (v.run.execution > 1 && v.n_events > 0 && v.events[0].input)
        v.run.input = v.events[0].input; /* what hf_input gives in it */
    TRY(look_back(c, &v));
    v.begin_ms =
        v.run.execution > 1 && v.n_events > 0 ? v.events[0].time_ms : v.run.started_us / US_PER_MS;
    TRY(s->ops->now(s, &now_us, &c->err));
    v.now_ms = now_us / US_PER_MS;
    TRY(add_up(c, &v));
    *out = v;
    return HF_OK;
}
