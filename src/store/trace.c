/*
 * A store around another one that writes a log line for each verb: its arguments, its outcome and
 * how long it took. Payloads are not written.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/store.h"

struct trace_store {
    struct store  store;
    struct store *inner;
    struct log    log;
};

static struct trace_store *
trace_of(struct store *s)
{
    return (struct trace_store *)s;
}

static struct store *
inner_of(struct store *s)
{
    struct trace_store *t = trace_of(s);
    t->inner->clock = s->clock;
    t->inner->log = s->log;
    return t->inner;
}

static const char *
text(const char *s)
{
    return s ? s : "-";
}

HF_PRINTF(5, 6)
static void
line(struct store *s, const char *verb, int rc, int64_t began_us, const char *fmt, ...)
{
    char    args[700];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(args, sizeof(args), fmt, ap);
    va_end(ap);
    log_event(&trace_of(s)->log, LOG_DEBUG, "store", "verb=%s%s%s code=%s us=%" PRId64, verb,
              args[0] ? " " : "", args, err_name(rc), clock_steady_us() - began_us);
}

#define UNWRAP(...) __VA_ARGS__
/* A verb: its parameters, its arguments between the store and err, and what is written of them. */
#define TRACED(verb, params, args, ...)                                                            \
    static int trace_##verb params                                                                 \
    {                                                                                              \
        struct store *inner = inner_of(s);                                                         \
        int64_t       began_us = clock_steady_us();                                                \
        int           rc = inner->ops->verb(inner, UNWRAP args, err);                              \
        line(s, #verb, rc, began_us, __VA_ARGS__);                                                 \
        return rc;                                                                                 \
    }

TRACED(now, (struct store * s, int64_t *us, struct err *err), (us), "%s", "")
TRACED(submit, (struct store * s, struct submit *items, size_t n, size_t *bad, struct err *err),
       (items, n, bad), "n=%zu kind=%d id=%s", n, n ? items[0].kind : -1,
       n ? text(items[0].id) : "-")
TRACED(wait_result,
       (struct store * s, const char *id, const char *token, int64_t deadline_us, struct arena *a,
        struct run_row *out, struct err *err),
       (id, token, deadline_us, a, out), "id=%s token=%s", id, text(token))
TRACED(run_get,
       (struct store * s, const char *id, struct arena *a, struct run_row *out, struct err *err),
       (id, a, out), "id=%s", id)
TRACED(run_list,
       (struct store * s, const struct run_filter *f, struct arena *a, struct run_row **out,
        size_t *n, struct err *err),
       (f, a, out, n), "status=%d workflow=%s queue=%s limit=%d rows=%zu", f->status,
       text(f->workflow), text(f->queue), f->limit, rc == HF_OK ? *n : 0)
TRACED(history,
       (struct store * s, int64_t run_no, int execution, struct arena *a, struct history_row **out,
        size_t *n, struct err *err),
       (run_no, execution, a, out, n), "run=%" PRId64 " execution=%d rows=%zu", run_no, execution,
       rc == HF_OK ? *n : 0)
TRACED(inbox_list,
       (struct store * s, int64_t run_no, struct arena *a, struct inbox_row **out, size_t *n,
        struct err *err),
       (run_no, a, out, n), "run=%" PRId64 " rows=%zu", run_no, rc == HF_OK ? *n : 0)
TRACED(children,
       (struct store * s, int64_t run_no, struct arena *a, struct run_row **out, size_t *n,
        struct err *err),
       (run_no, a, out, n), "run=%" PRId64 " rows=%zu", run_no, rc == HF_OK ? *n : 0)
TRACED(task_get,
       (struct store * s, const char *id, struct arena *a, struct task_row *out, struct err *err),
       (id, a, out), "id=%s", id)
TRACED(task_list,
       (struct store * s, const struct task_filter *f, struct arena *a, struct task_row **out,
        size_t *n, struct err *err),
       (f, a, out, n), "name=%s queue=%s run=%" PRId64 " after=%" PRId64 " limit=%d rows=%zu",
       text(f->name), text(f->queue), f->run_no, f->after_no, f->limit, rc == HF_OK ? *n : 0)
TRACED(dead_get,
       (struct store * s, const char *id, struct arena *a, struct dead_row *out, struct err *err),
       (id, a, out), "id=%s", id)
TRACED(dead_list,
       (struct store * s, const struct task_filter *f, struct arena *a, struct dead_row **out,
        size_t *n, struct err *err),
       (f, a, out, n), "name=%s queue=%s after=%" PRId64 " limit=%d rows=%zu", text(f->name),
       text(f->queue), f->after_no, f->limit, rc == HF_OK ? *n : 0)
TRACED(workers,
       (struct store * s, struct arena *a, struct worker_row **out, size_t *n, struct err *err),
       (a, out, n), "rows=%zu", rc == HF_OK ? *n : 0)
TRACED(pending,
       (struct store * s, const char *queues, int64_t due_until_us, struct pending *out,
        struct err *err),
       (queues, due_until_us, out), "queues=%s due_until=%" PRId64, text(queues), due_until_us)
TRACED(info, (struct store * s, struct arena *a, struct store_info *out, struct err *err), (a, out),
       "%s", "")
TRACED(acquire,
       (struct store * s, const struct worker_self *self, int64_t *worker, struct arena *a,
        struct partition_row **out, size_t *n, struct err *err),
       (self, worker, a, out, n), "queues=%s worker=%" PRId64 " partitions=%zu", text(self->queues),
       *worker, rc == HF_OK ? *n : 0)
TRACED(renew,
       (struct store * s, int64_t worker, int slots_free, const char *stats, struct arena *a,
        struct census *out, struct err *err),
       (worker, slots_free, stats, a, out), "worker=%" PRId64 " slots_free=%d", worker, slots_free)
TRACED(takeover, (struct store * s, int64_t worker, int64_t dead, struct err *err), (worker, dead),
       "worker=%" PRId64 " dead=%" PRId64, worker, dead)
TRACED(leave, (struct store * s, int64_t worker, struct err *err), (worker), "worker=%" PRId64,
       worker)
TRACED(load,
       (struct store * s, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
        struct err *err),
       (nos, n, a, out), "n=%zu first=%" PRId64, n, n ? nos[0] : 0)
TRACED(load_tasks,
       (struct store * s, const int64_t *nos, size_t n, struct arena *a, struct task_row *out,
        struct err *err),
       (nos, n, a, out), "n=%zu first=%" PRId64, n, n ? nos[0] : 0)
TRACED(queues,
       (struct store * s, int count_max, struct arena *a, struct queue_row **out, size_t *n,
        struct err *err),
       (count_max, a, out, n), "count_max=%d rows=%zu", count_max, rc == HF_OK ? *n : 0)
TRACED(retain, (struct store * s, const char *queue, int64_t retain_us, struct err *err),
       (queue, retain_us), "queue=%s retain_us=%" PRId64, queue, retain_us)
TRACED(purge, (struct store * s, const struct purge *what, size_t *n, struct err *err), (what, n),
       "queue=%s before=%" PRId64 " rows=%zu", text(what->queue), what->ended_before,
       rc == HF_OK ? *n : 0)
TRACED(sql_step,
       (struct store * s, struct sql_step *step, struct arena *a, const char **result,
        struct err *err),
       (step, a, result), "run=%" PRId64 " seq=%d", step->run_no, step->seq)
TRACED(cycle,
       (struct store * s, struct batch *batch, struct cursor *cursors, size_t n_cursors,
        const struct room *room, struct arena *a, struct rows *out, struct err *err),
       (batch, cursors, n_cursors, room, a, out),
       "worker=%" PRId64 " writes=%zu cursors=%zu runs=%zu due=%zu tasks=%zu inbox=%zu more=%d",
       batch ? batch->worker : 0, batch ? batch->n_writes : 0, n_cursors,
       rc == HF_OK ? out->n_runs : 0, rc == HF_OK ? out->n_due : 0, rc == HF_OK ? out->n_tasks : 0,
       rc == HF_OK ? out->n_inbox : 0, rc == HF_OK && out->more)
TRACED(wait, (struct store * s, int wake_fd, int64_t deadline_us, struct err *err),
       (wake_fd, deadline_us), "fd=%d", wake_fd)

static void
trace_tell_waiters(struct store *s)
{
    struct store *inner = inner_of(s);
    int64_t       began_us = clock_steady_us();
    inner->ops->tell_waiters(inner);
    line(s, "tell_waiters", HF_OK, began_us, "%s", "");
}

static void
trace_close(struct store *s)
{
    struct store *inner = inner_of(s);
    int64_t       began_us = clock_steady_us();
    inner->ops->close(inner);
    line(s, "close", HF_OK, began_us, "%s", "");
    mem_free(s);
}

static int
trace_clone(struct store *s, struct store **out, struct err *err)
{
    struct store *inner = inner_of(s), *copy;
    int64_t       began_us = clock_steady_us();

    *out = NULL;
    int rc = inner->ops->clone(inner, &copy, err);
    line(s, "clone", rc, began_us, "%s", "");
    if (rc)
        return rc;
    rc = trace_store_open(copy, &trace_of(s)->log, out, err);
    if (rc)
        copy->ops->close(copy);
    return rc;
}

static const struct store_ops trace_ops = {
    .name = "trace",
    .close = trace_close,
    .clone = trace_clone,
    .now = trace_now,
    .submit = trace_submit,
    .wait_result = trace_wait_result,
    .run_get = trace_run_get,
    .run_list = trace_run_list,
    .history = trace_history,
    .inbox_list = trace_inbox_list,
    .children = trace_children,
    .task_get = trace_task_get,
    .task_list = trace_task_list,
    .dead_get = trace_dead_get,
    .dead_list = trace_dead_list,
    .workers = trace_workers,
    .pending = trace_pending,
    .info = trace_info,
    .acquire = trace_acquire,
    .renew = trace_renew,
    .takeover = trace_takeover,
    .leave = trace_leave,
    .cycle = trace_cycle,
    .load = trace_load,
    .load_tasks = trace_load_tasks,
    .queues = trace_queues,
    .retain = trace_retain,
    .purge = trace_purge,
    .sql_step = trace_sql_step,
    .wait = trace_wait,
    .tell_waiters = trace_tell_waiters,
};

/* On an error inner stays the caller's. */
int
trace_store_open(struct store *inner, const struct log *log, struct store **out, struct err *err)
{
    struct trace_store *t = mem_zalloc(sizeof(*t));

    *out = NULL;
    if (t == NULL)
        return err_nomem(err);
    *t = (struct trace_store){.store = {.ops = &trace_ops,
                                        .shared = inner->shared,
                                        .clock = inner->clock,
                                        .log = inner->log},
                              .inner = inner,
                              .log = log ? *log : (struct log){0}};
    *out = &t->store;
    return HF_OK;
}
