/* What keeps a call or a task, in words; and whether any live worker could do it. */
#include <string.h>

#include "cli/print.h"
#include "cli/view.h"
#include "core/policy.h"

int
fleet_load(struct cli *c, struct fleet *out)
{
    struct store *s = c->h->store;
    return s->ops->workers(s, &c->arena, &out->workers, &out->n, &c->err);
}

/* Whether a list with one separator holds a word; a word that ends in @ matches any version. */
static bool
list_holds(const char *list, char separator, const char *word)
{
    const char ends[] = {separator, '\0'};
    size_t     n = strlen(word);

    for (const char *p = list; p && *p;) {
        size_t len = strcspn(p, ends);
        bool   open_end = n > 0 && word[n - 1] == '@';
        if ((len == n || (open_end && len > n)) && memcmp(p, word, n) == 0 &&
            (len == n || memchr(p + n, '@', len - n) == NULL))
            return true;
        p += len + (p[len] != '\0');
    }
    return false;
}

const char *
fleet_gap(struct cli *c, const struct fleet *f, const char *queue, const char *workflow,
          int version, const char *task)
{
    struct buf word = {0};
    bool       live = false, serves = false, offers = false;

    if (workflow)
        registry_put_workflow(&word, workflow, version);
    else
        registry_put_task(&word, task);
    if (word.failed) {
        buf_release(&word);
        return "out of memory";
    }
    if (workflow && version == 0)
        word.data[word.len - 1] = '\0'; /* "workflow:name@": any version */
    for (size_t i = 0; i < f->n && !offers; i++) {
        const struct worker_row *w = &f->workers[i];
        if (!w->live)
            continue;
        live = true;
        if (w->queues && !list_holds(w->queues, ',', queue))
            continue;
        serves = true;
        offers = list_holds(w->handlers, ' ', word.data);
    }
    buf_release(&word);
    const char *what = workflow ? "workflow" : "task", *name = workflow ? workflow : task;
    const char *text;
    if (offers)
        return NULL;
    if (!live)
        text = "no worker is running";
    else if (!serves)
        text = arena_printf(&c->arena, "no live worker serves queue %s", queue);
    else if (workflow && version)
        text = arena_printf(&c->arena, "no live worker offers workflow %s@%d", name, version);
    else
        text = arena_printf(&c->arena, "no live worker offers %s %s", what, name);
    return text ? text : "out of memory";
}

static int
say(struct cli *c, struct reason *out, const char *kind, const char *text)
{
    *out = (struct reason){kind, text};
    return text ? HF_OK : cli_nomem(c);
}

/* " of 3", or nothing for a task that is tried without limit. What a handler says for itself is not
 * known here, so a limit that the caller did not give is called the default. */
static const char *
attempts_text(struct cli *c, const struct task_row *t)
{
    hf_opt opt = {0};

    if (policy_decode(t->opts, &c->arena, &opt, NULL) || opt.max_attempts < 0)
        return "";
    struct policy p = policy_resolve(&opt, NULL);
    const char   *text = arena_printf(&c->arena, " of %d%s", p.max_attempts,
                                    opt.max_attempts ? "" : " (the default)");
    return text ? text : "";
}

static int
due_reason(struct cli *c, const struct task_row *t, int64_t now_ms, struct reason *out)
{
    char    at[TIME_SIZE], from_now[TIME_SIZE];
    int64_t due_ms = t->run_at_us / US_PER_MS;

    format_time(due_ms, at);
    format_from_now(due_ms, now_ms, from_now);
    if (t->attempt == 0)
        return say(
            c, out, "timer",
            arena_printf(&c->arena, "task %s, delayed until %s (%s)", t->name, at, from_now));
    return say(c, out, "retry",
               arena_printf(&c->arena,
                            "a retry of task %s at %s (%s): attempt %d%s, last error %s%s%s",
                            t->name, at, from_now, t->attempt + 1, attempts_text(c, t),
                            t->error_name ? t->error_name : "unknown", t->error_message ? ": " : "",
                            t->error_message ? t->error_message : ""));
}

int
task_reason(struct cli *c, const struct fleet *f, const struct task_row *t, int64_t now_ms,
            struct reason *out)
{
    char since[TIME_SIZE];

    if (t->run_at_us / US_PER_MS > now_ms)
        return due_reason(c, t, now_ms, out);
    const char *gap = fleet_gap(c, f, t->queue, NULL, 0, t->name);
    if (gap)
        return say(c, out, "no_worker",
                   arena_printf(&c->arena, "a worker for task %s: %s", t->name, gap));
    return say(c, out, "task",
               arena_printf(&c->arena, "task %s, which %s (attempt %d%s, added %s)", t->name,
                            t->claimed ? "a worker is executing" : "runs or is next in its queue",
                            t->attempt + 1, attempts_text(c, t),
                            format_from_now(t->created_us / US_PER_MS, now_ms, since)));
}

static int
timer_reason(struct cli *c, const struct view *v, const struct item *i, struct reason *out)
{
    char at[TIME_SIZE], from_now[TIME_SIZE];
    return say(c, out, "timer",
               arena_printf(&c->arena, "a timer until %s (%s)", format_time(i->due_ms, at),
                            format_from_now(i->due_ms, v->now_ms, from_now)));
}

static int
signal_reason(struct cli *c, const struct view *v, const struct item *i, struct reason *out)
{
    char at[TIME_SIZE], from_now[TIME_SIZE];

    if (i->due_ms == 0)
        return say(c, out, "signal", arena_printf(&c->arena, "signal %s", i->name));
    return say(c, out, "signal",
               arena_printf(&c->arena, "signal %s (until %s, %s)", i->name,
                            format_time(i->due_ms, at),
                            format_from_now(i->due_ms, v->now_ms, from_now)));
}

/* A called task that stands in no row: it runs in its owner's memory, or will when there is one. */
static int
call_reason(struct cli *c, const struct view *v, const struct fleet *f, const struct item *i,
            struct reason *out)
{
    char        at[TIME_SIZE], ago[TIME_SIZE];
    const char *gap = fleet_gap(c, f, v->run.queue, NULL, 0, i->name);

    if (gap)
        return say(c, out, "no_worker",
                   arena_printf(&c->arena, "a worker for task %s: %s", i->name, gap));
    return say(c, out, "task",
               arena_printf(&c->arena, "task %s, running since %s (%s)", i->name,
                            format_time(i->begin_ms, at),
                            format_from_now(i->begin_ms, v->now_ms, ago)));
}

int
item_reason(struct cli *c, const struct view *v, const struct fleet *f, const struct item *item,
            struct reason *out)
{
    switch (item->kind) {
    case EVENT_TIMER:
        return timer_reason(c, v, item, out);
    case EVENT_WAIT:
        return signal_reason(c, v, item, out);
    case EVENT_CHILD:
        return say(c, out, "child", arena_printf(&c->arena, "child %s", item->run_id));
    default:
        return item->task ? task_reason(c, f, item->task, v->now_ms, out)
                          : call_reason(c, v, f, item, out);
    }
}
