/*
 * Fault injection: a store around another one that asks a hook before each verb whether it fails,
 * and how. Clones ask the same hook. What stays outside (close, now, wait, tell_waiters, the
 * cursor's memory) does not touch the store.
 */
#include "base/mem.h"
#include "store/store.h"

struct fault_store {
    struct store  store;
    struct store *inner;
    fault_hook    hook;
    void         *arg;
};

static struct fault_store *
fault_of(struct store *s)
{
    return (struct fault_store *)s;
}

/* What the inner store is told of time and log is what this one is told. */
static struct store *
inner_of(struct store *s)
{
    struct fault_store *f = fault_of(s);
    f->inner->clock = s->clock;
    f->inner->log = s->log;
    return f->inner;
}

static enum fault
ask(struct store *s, const char *verb, struct batch *batch)
{
    struct fault_store *f = fault_of(s);
    return f->hook ? f->hook(f->arg, verb, batch) : FAULT_NONE;
}

static int
fail_before(const char *verb, struct err *err)
{
    return err_set(err, HF_UNAVAILABLE, "%s: injected fault, nothing was done", verb);
}

static int
fail_after(const char *verb, struct err *err)
{
    return err_set(err, HF_UNKNOWN, "%s: injected fault, it may have happened", verb);
}

/* A verb: its parameters, and its arguments after the store and before err. */
#define FAULTY(verb, params, ...)                                                                  \
    static int fault_##verb params                                                                 \
    {                                                                                              \
        enum fault fault = ask(s, #verb, NULL);                                                    \
        if (fault == FAULT_BEFORE)                                                                 \
            return fail_before(#verb, err);                                                        \
        if (fault == FAULT_LOST)                                                                   \
            return fail_after(#verb, err);                                                         \
        struct store *inner = inner_of(s);                                                         \
        int           rc = inner->ops->verb(inner, __VA_ARGS__, err);                              \
        return fault == FAULT_AFTER ? fail_after(#verb, err) : rc;                                 \
    }

FAULTY(submit, (struct store * s, struct submit *items, size_t n, size_t *bad, struct err *err),
       items, n, bad)
FAULTY(wait_result,
       (struct store * s, const char *id, const char *token, int64_t deadline_us, struct arena *a,
        struct run_row *out, struct err *err),
       id, token, deadline_us, a, out)
FAULTY(run_get,
       (struct store * s, const char *id, struct arena *a, struct run_row *out, struct err *err),
       id, a, out)
FAULTY(run_list,
       (struct store * s, const struct run_filter *f, struct arena *a, struct run_row **out,
        size_t *n, struct err *err),
       f, a, out, n)
FAULTY(history,
       (struct store * s, int64_t run_no, int execution, struct arena *a, struct history_row **out,
        size_t *n, struct err *err),
       run_no, execution, a, out, n)
FAULTY(inbox_list,
       (struct store * s, int64_t run_no, struct arena *a, struct inbox_row **out, size_t *n,
        struct err *err),
       run_no, a, out, n)
FAULTY(children,
       (struct store * s, int64_t run_no, struct arena *a, struct run_row **out, size_t *n,
        struct err *err),
       run_no, a, out, n)
FAULTY(task_get,
       (struct store * s, const char *id, struct arena *a, struct task_row *out, struct err *err),
       id, a, out)
FAULTY(task_list,
       (struct store * s, const struct task_filter *f, struct arena *a, struct task_row **out,
        size_t *n, struct err *err),
       f, a, out, n)
FAULTY(dead_get,
       (struct store * s, const char *id, struct arena *a, struct dead_row *out, struct err *err),
       id, a, out)
FAULTY(dead_list,
       (struct store * s, const struct task_filter *f, struct arena *a, struct dead_row **out,
        size_t *n, struct err *err),
       f, a, out, n)
FAULTY(workers,
       (struct store * s, struct arena *a, struct worker_row **out, size_t *n, struct err *err), a,
       out, n)
FAULTY(pending,
       (struct store * s, const char *queues, int64_t due_until_us, struct pending *out,
        struct err *err),
       queues, due_until_us, out)
FAULTY(info, (struct store * s, struct arena *a, struct store_info *out, struct err *err), a, out)
FAULTY(acquire,
       (struct store * s, const struct worker_self *self, int64_t *worker, struct arena *a,
        struct partition_row **out, size_t *n, struct err *err),
       self, worker, a, out, n)
FAULTY(renew,
       (struct store * s, int64_t worker, int slots_free, const char *stats, struct arena *a,
        struct census *out, struct err *err),
       worker, slots_free, stats, a, out)
FAULTY(takeover, (struct store * s, int64_t worker, int64_t dead, struct err *err), worker, dead)
FAULTY(leave, (struct store * s, int64_t worker, struct err *err), worker)
FAULTY(load,
       (struct store * s, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
        struct err *err),
       nos, n, a, out)

FAULTY(load_tasks,
       (struct store * s, const int64_t *nos, size_t n, struct arena *a, struct task_row *out,
        struct err *err),
       nos, n, a, out)
FAULTY(queues,
       (struct store * s, int count_max, struct arena *a, struct queue_row **out, size_t *n,
        struct err *err),
       count_max, a, out, n)
FAULTY(retain, (struct store * s, const char *queue, int64_t retain_us, struct err *err), queue,
       retain_us)
FAULTY(purge, (struct store * s, const struct purge *what, size_t *n, struct err *err), what, n)
FAULTY(sql_step,
       (struct store * s, struct sql_step *step, struct arena *a, const char **result,
        struct err *err),
       step, a, result)

static int
fault_cycle(struct store *s, struct batch *batch, struct cursor *cursors, size_t n_cursors,
            const struct room *room, struct arena *a, struct rows *out, struct err *err)
{
    enum fault fault = ask(s, "cycle", batch);

    *out = (struct rows){.next_due_us = NEVER_US};
    if (fault == FAULT_BEFORE)
        return fail_before("cycle", err);
    if (fault == FAULT_LOST)
        return fail_after("cycle", err);
    if (fault == FAULT_REFUSE) /* the hook has set batch->refused */
        return err_set(err, HF_REFUSED, "cycle: injected fault, a unit is refused");
    struct store *inner = inner_of(s);
    int           rc = inner->ops->cycle(inner, batch, cursors, n_cursors, room, a, out, err);
    if (fault != FAULT_AFTER)
        return rc;
    *out = (struct rows){.next_due_us = NEVER_US};
    return fail_after("cycle", err);
}

static void
fault_close(struct store *s)
{
    struct store *inner = inner_of(s);
    inner->ops->close(inner);
    mem_free(s);
}

static int
fault_clone(struct store *s, struct store **out, struct err *err)
{
    struct store *inner = inner_of(s), *copy;

    *out = NULL;
    if (ask(s, "clone", NULL) != FAULT_NONE)
        return fail_before("clone", err);
    TRY(inner->ops->clone(inner, &copy, err));
    int rc = fault_store_open(copy, fault_of(s)->hook, fault_of(s)->arg, out, err);
    if (rc)
        copy->ops->close(copy);
    return rc;
}

static int
fault_now(struct store *s, int64_t *us, struct err *err)
{
    struct store *inner = inner_of(s);
    return inner->ops->now(inner, us, err);
}

static int
fault_wait(struct store *s, int wake_fd, int64_t deadline_us, struct err *err)
{
    struct store *inner = inner_of(s);
    return inner->ops->wait(inner, wake_fd, deadline_us, err);
}

static void
fault_tell_waiters(struct store *s)
{
    struct store *inner = inner_of(s);
    inner->ops->tell_waiters(inner);
}

static const struct store_ops fault_ops = {
    .name = "fault",
    .close = fault_close,
    .clone = fault_clone,
    .now = fault_now,
    .submit = fault_submit,
    .wait_result = fault_wait_result,
    .run_get = fault_run_get,
    .run_list = fault_run_list,
    .history = fault_history,
    .inbox_list = fault_inbox_list,
    .children = fault_children,
    .task_get = fault_task_get,
    .task_list = fault_task_list,
    .dead_get = fault_dead_get,
    .dead_list = fault_dead_list,
    .workers = fault_workers,
    .pending = fault_pending,
    .info = fault_info,
    .acquire = fault_acquire,
    .renew = fault_renew,
    .takeover = fault_takeover,
    .leave = fault_leave,
    .cycle = fault_cycle,
    .load = fault_load,
    .load_tasks = fault_load_tasks,
    .queues = fault_queues,
    .retain = fault_retain,
    .purge = fault_purge,
    .sql_step = fault_sql_step,
    .wait = fault_wait,
    .tell_waiters = fault_tell_waiters,
};

/* On an error inner stays the caller's. */
int
fault_store_open(struct store *inner, fault_hook hook, void *arg, struct store **out,
                 struct err *err)
{
    struct fault_store *f = mem_zalloc(sizeof(*f));

    *out = NULL;
    if (f == NULL)
        return err_nomem(err);
    *f = (struct fault_store){.store = {.ops = &fault_ops,
                                        .shared = inner->shared,
                                        .clock = inner->clock,
                                        .log = inner->log},
                              .inner = inner,
                              .hook = hook,
                              .arg = arg};
    *out = &f->store;
    return HF_OK;
}
