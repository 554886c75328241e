/*
 * What a simulation leaves in the store, as sorted lines: runs with their ends, calls with their
 * results, signals in order, dead letters. Left out is what may differ: times, row numbers, `sent`.
 * The histories are checked on the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

enum { LINES_MAX = 4000, REFS_MAX = 2000, LIST_MAX = 1000 };

struct lines {
    char  *text[LINES_MAX];
    size_t n;
};

static void add_line(struct lines *lines, struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
add_line(struct lines *lines, struct arena *a, const char *fmt, ...)
{
    va_list ap;
    SIM_CHECK(lines->n < LINES_MAX);
    va_start(ap, fmt);
    lines->text[lines->n] = arena_vprintf(a, fmt, ap);
    va_end(ap);
    SIM_CHECK(lines->text[lines->n]);
    lines->n++;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *
shown(const char *text)
{
    return text ? text : "-";
}

/* ---- a history ---- */

static int
is_settled_already(const char **settled, int *n, const char *ref)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(settled[i], ref) == 0)
            return 1;
    SIM_CHECK(*n < REFS_MAX);
    settled[(*n)++] = ref;
    return 0;
}

static int64_t
due_of(const struct event *events, size_t n, const char *ref)
{
    for (size_t i = 0; i < n; i++)
        if (events[i].due_ms && strcmp(events[i].ref, ref) == 0)
            return events[i].due_ms;
    return 0;
}

/* The events of all rows in one array. */
static struct event *
read_events(const struct run_row *run, const struct history_row *rows, size_t n_rows,
            struct arena *a, size_t *n)
{
    struct event *all = NULL;
    struct err    err = {0};

    *n = 0;
    for (size_t i = 0; i < n_rows; i++) {
        struct event *events;
        size_t        more;
        if (rows[i].seq != (int)i + 1)
            sim_fail("%s: history row %d stands at %zu", run->id, rows[i].seq, i + 1);
        if (event_decode(rows[i].events, rows[i].events_len, a, &events, &more, &err))
            sim_fail("%s: %s", run->id, err.text);
        struct event *joined = arena_alloc(a, (*n + more + 1) * sizeof(*joined));
        if (*n)
            memcpy(joined, all, *n * sizeof(*joined));
        memcpy(joined + *n, events, more * sizeof(*joined));
        all = joined;
        *n += more;
    }
    return all;
}

static void
check_events(const struct run_row *run, const struct event *events, size_t n)
{
    static const char *settled[REFS_MAX], *keys[REFS_MAX], *calls[REFS_MAX];
    int                n_settled = 0, n_keys = 0, n_calls = 0;
    int64_t            last_ms = 0;

    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        if (e->kind == EVENT_STARTED && i > 0)
            sim_fail("%s: it started as event %zu", run->id, i + 1);
        if (e->kind >= EVENT_COMPLETED && i + 1 != n)
            sim_fail("%s: %s is not its last event", run->id, event_kind_name(e->kind));
        bool goes_along = e->kind == EVENT_SIGNAL && run->execution > 1; /* with its own time */
        if (e->time_ms < last_ms && !goes_along)
            sim_fail("%s: event %zu is older than the one before", run->id, i + 1);
        last_ms = e->time_ms > last_ms ? e->time_ms : last_ms;
        switch (e->kind) {
        case EVENT_CALL:
        case EVENT_TIMER:
        case EVENT_WAIT:
        case EVENT_CHILD:
        case EVENT_STEP:
            if (is_settled_already(calls, &n_calls, e->ref))
                sim_fail("%s: %s was called twice", run->id, e->ref);
            break;
        case EVENT_FIRED:
            if (e->time_ms < due_of(events, i, e->ref))
                sim_fail("%s: the timer %s was early", run->id, e->ref);
            /* fall through */
        case EVENT_DONE:
        case EVENT_ERROR:
            if (is_settled_already(settled, &n_settled, e->ref))
                sim_fail("%s: %s was settled twice", run->id, e->ref);
            break;
        case EVENT_SIGNAL:
            if (e->key && is_settled_already(keys, &n_keys, e->key))
                sim_fail("%s: the signal %s came twice", run->id, e->key);
            break;
        default:
            break;
        }
    }
}

static void
add_events(struct lines *lines, struct arena *a, const struct run_row *run,
           const struct event *events, size_t n)
{
    int signals = 0;

    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        if (e->kind == EVENT_SENT || e->kind == EVENT_STARTED || e->kind == EVENT_PATCH)
            continue;
        if (e->ref && e->name && strcmp(e->name, "once") == 0)
            continue;
        if (e->kind == EVENT_DONE && e->output == NULL)
            continue; /* it may be that of `once`: done or lost */
        if (e->kind == EVENT_ERROR && e->code == HF_LOST)
            continue;
        add_line(lines, a, "%s/%d %s %s n=%s i=%s o=%s c=%d e=%s m=%s d=%s x=%d #%d", run->id,
                 run->execution, event_kind_name(e->kind), shown(e->ref), shown(e->name),
                 shown(e->input), shown(e->output), e->code, shown(e->error_name),
                 shown(e->message), shown(e->run_id), e->flags,
                 e->kind == EVENT_SIGNAL ? ++signals : 0);
    }
}

static void
read_history(struct simulation *s, const struct run_row *run, int execution, struct arena *a,
             struct event **events, size_t *n)
{
    struct err          err = {0};
    struct history_row *rows;
    size_t              n_rows;
    struct store       *store = s->h->store;

    SIM_CHECK(store->ops->history(store, run->no, execution, a, &rows, &n_rows, &err) == HF_OK);
    *events = read_events(run, rows, n_rows, a, n);
    check_events(run, *events, *n);
    struct run folded;
    SIM_CHECK(run_init(&folded, run, &err) == HF_OK);
    if (run_load(&folded, rows, n_rows, &err))
        sim_fail("%s: %s", run->id, err.text);
    run_release(&folded);
}

/* ---- everything ---- */

static bool
belongs_to(const struct run_row *run, const bool flags[RUNS_MAX])
{
    int root = run->id[0] == 'r' ? run->id[1] - '0' : -1;
    return root >= 0 && root < RUNS_MAX && flags[root];
}

static void
add_run(struct simulation *s, struct lines *lines, struct arena *a, const struct run_row *run)
{
    bool          replaced = belongs_to(run, s->plan->replaced);
    struct event *events;
    size_t        n;

    for (int i = 1; i < run->execution; i++)
        read_history(s, run, i, a, &events, &n);
    read_history(s, run, run->execution, a, &events, &n);
    if (!run_has_ended(run->status))
        add_line(lines, a, "%s is %s wake=%lld", run->id, run_status_name(run->status),
                 (long long)run->wake_us);
    if (belongs_to(run, s->plan->loose))
        return;
    if (replaced && strchr(run->id, '/'))
        return;
    add_line(lines, a, "%s %s o=%s e=%s m=%s s=%s", run->id, run_status_name(run->status),
             shown(run->output), shown(run->error_name), shown(run->error_message),
             shown(run->custom));
    if (!replaced)
        add_events(lines, a, run, events, n);
}

void
outcome_read(struct simulation *s, struct buf *out)
{
    static struct lines lines;
    struct arena        a = {0};
    struct err          err = {0};
    struct run_row     *runs;
    struct dead_row    *dead;
    struct task_row    *tasks;
    size_t              n;
    struct store       *store = s->h->store;

    lines.n = 0;
    s->quiet_store = true;
    struct run_filter all = {.status = -1, .limit = LIST_MAX};
    SIM_CHECK(store->ops->run_list(store, &all, &a, &runs, &n, &err) == HF_OK && n < LIST_MAX);
    for (size_t i = 0; i < n; i++)
        add_run(s, &lines, &a, &runs[i]);
    struct task_filter every = {.limit = LIST_MAX};
    SIM_CHECK(store->ops->dead_list(store, &every, &a, &dead, &n, &err) == HF_OK);
    for (size_t i = 0; i < n; i++)
        add_line(&lines, &a, "dead %s attempts=%d e=%s m=%s", dead[i].id, dead[i].attempts,
                 shown(dead[i].error_name), shown(dead[i].error_message));
    SIM_CHECK(store->ops->task_list(store, &every, &a, &tasks, &n, &err) == HF_OK);
    for (size_t i = 0; i < n; i++)
        add_line(&lines, &a,
                 "task left: %lld run %lld/%d ref %s at=%lld claimed=%d crashes=%d attempt=%d",
                 (long long)tasks[i].no, (long long)tasks[i].run_no, tasks[i].execution,
                 shown(tasks[i].ref), (long long)tasks[i].run_at_us, tasks[i].claimed,
                 tasks[i].crashes, tasks[i].attempt);
    for (int i = 0; i < s->plan->n_actions; i++) {
        char id[20];
        snprintf(id, sizeof(id), "job%d", s->plan->actions[i].run);
        if (s->plan->actions[i].kind == ACT_ENQUEUE)
            add_line(&lines, &a, "%s %s", id, effect_starts(id) ? "ran" : "did not run");
    }
    s->quiet_store = false;
    qsort(lines.text, lines.n, sizeof(lines.text[0]), by_text);
    for (size_t i = 0; i < lines.n; i++) {
        buf_puts(out, lines.text[i]);
        buf_putc(out, '\n');
    }
    buf_puts(out, "");
    arena_release(&a);
}
