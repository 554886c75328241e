/* Counting what goes through a store: the wrapper, and percentiles of what it has counted. */
#include "store/meter.h"

#include "base/mem.h"

enum { STEPS = 4 }; /* buckets for each power of two */

struct meter_store {
    struct store  store;
    struct store *inner;
    struct meter *meter;
};

/* ---- numbers */

static void
add(_Atomic uint64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

/* 0 to 3 us one each; then the power of two, and the two bits that follow its highest. */
static int
bucket_of(uint64_t us)
{
    if (us < STEPS)
        return (int)us;
    int power = 63 - __builtin_clzll(us);
    int bucket = (power - 1) * STEPS + (int)(us >> (power - 2) & (STEPS - 1));
    return bucket < METER_BUCKETS ? bucket : METER_BUCKETS - 1;
}

/* The shortest time that is in it. */
static int64_t
bucket_from(int bucket)
{
    if (bucket < STEPS)
        return bucket;
    return (int64_t)(STEPS + bucket % STEPS) << (bucket / STEPS - 1);
}

void
meter_add(struct meter_op *op, int64_t us, bool failed)
{
    uint64_t took = us > 0 ? (uint64_t)us : 0;
    uint64_t max = atomic_load_explicit(&op->max_us, memory_order_relaxed);

    add(&op->count, 1);
    add(&op->total_us, took);
    add(&op->buckets[bucket_of(took)], 1);
    if (failed)
        add(&op->errors, 1);
    while (took > max && !atomic_compare_exchange_weak_explicit(
                             &op->max_us, &max, took, memory_order_relaxed, memory_order_relaxed))
        ;
}

int64_t
meter_percentile(const struct meter_op *op, int part)
{
    uint64_t n = 0, seen = 0;
    int64_t  max = (int64_t)atomic_load(&op->max_us);

    for (int i = 0; i < METER_BUCKETS; i++)
        n += atomic_load(&op->buckets[i]);
    for (int i = 0; i < METER_BUCKETS && n; i++) {
        seen += atomic_load(&op->buckets[i]);
        if (seen * 100 < n * (uint64_t)part)
            continue;
        int64_t last = i + 1 < METER_BUCKETS ? bucket_from(i + 1) - 1 : max;
        return last < max ? last : max;
    }
    return 0;
}

const char *
meter_name(enum meter_verb verb)
{
    static const char *const names[] = {
#define X(name) #name,
        METER_VERBS(X)
#undef X
    };
    return names[verb];
}

/* ---- the store */

static struct meter *
meter_of(struct store *s)
{
    return ((struct meter_store *)s)->meter;
}

static struct store *
inner_of(struct store *s)
{
    struct meter_store *m = (struct meter_store *)s;
    m->inner->clock = s->clock;
    m->inner->log = s->log;
    return m->inner;
}

#define UNWRAP(...) __VA_ARGS__
/* A verb: its parameters, its arguments between the store and err, and the codes that are answers,
 * not failures. */
#define METERED(verb, params, args, is_fine)                                                       \
    static int meter_##verb params                                                                 \
    {                                                                                              \
        struct store *inner = inner_of(s);                                                         \
        int64_t       began_us = clock_steady_us();                                                \
        int           rc = inner->ops->verb(inner, UNWRAP args, err);                              \
        meter_add(&meter_of(s)->ops[METER_##verb], clock_steady_us() - began_us,                   \
                  rc != HF_OK && !(is_fine));                                                      \
        return rc;                                                                                 \
    }

METERED(now, (struct store * s, int64_t *us, struct err *err), (us), false)
METERED(submit, (struct store * s, struct submit *items, size_t n, size_t *bad, struct err *err),
        (items, n, bad), rc == HF_EXISTS || rc == HF_NOT_FOUND || rc == HF_DONE)
METERED(wait_result,
        (struct store * s, const char *id, const char *token, int64_t deadline_us, struct arena *a,
         struct run_row *out, struct err *err),
        (id, token, deadline_us, a, out), rc == HF_TIMEOUT || rc == HF_NOT_FOUND)
METERED(run_get,
        (struct store * s, const char *id, struct arena *a, struct run_row *out, struct err *err),
        (id, a, out), rc == HF_NOT_FOUND)
METERED(run_list,
        (struct store * s, const struct run_filter *f, struct arena *a, struct run_row **out,
         size_t *n, struct err *err),
        (f, a, out, n), false)
METERED(history,
        (struct store * s, int64_t run_no, int execution, struct arena *a, struct history_row **out,
         size_t *n, struct err *err),
        (run_no, execution, a, out, n), false)
METERED(inbox_list,
        (struct store * s, int64_t run_no, struct arena *a, struct inbox_row **out, size_t *n,
         struct err *err),
        (run_no, a, out, n), false)
METERED(children,
        (struct store * s, int64_t run_no, struct arena *a, struct run_row **out, size_t *n,
         struct err *err),
        (run_no, a, out, n), false)
METERED(task_get,
        (struct store * s, const char *id, struct arena *a, struct task_row *out, struct err *err),
        (id, a, out), rc == HF_NOT_FOUND)
METERED(task_list,
        (struct store * s, const struct task_filter *f, struct arena *a, struct task_row **out,
         size_t *n, struct err *err),
        (f, a, out, n), false)
METERED(dead_get,
        (struct store * s, const char *id, struct arena *a, struct dead_row *out, struct err *err),
        (id, a, out), rc == HF_NOT_FOUND)
METERED(dead_list,
        (struct store * s, const struct task_filter *f, struct arena *a, struct dead_row **out,
         size_t *n, struct err *err),
        (f, a, out, n), false)
METERED(workers,
        (struct store * s, struct arena *a, struct worker_row **out, size_t *n, struct err *err),
        (a, out, n), false)
METERED(pending,
        (struct store * s, const char *queues, int64_t due_until_us, struct pending *out,
         struct err *err),
        (queues, due_until_us, out), false)
METERED(info, (struct store * s, struct arena *a, struct store_info *out, struct err *err),
        (a, out), false)
METERED(queues,
        (struct store * s, int count_max, struct arena *a, struct queue_row **out, size_t *n,
         struct err *err),
        (count_max, a, out, n), false)
METERED(retain, (struct store * s, const char *queue, int64_t retain_us, struct err *err),
        (queue, retain_us), rc == HF_NOT_FOUND)
METERED(purge, (struct store * s, const struct purge *what, size_t *n, struct err *err), (what, n),
        false)
METERED(acquire,
        (struct store * s, const struct worker_self *self, int64_t *worker, struct arena *a,
         struct partition_row **out, size_t *n, struct err *err),
        (self, worker, a, out, n), rc == HF_OWNED)
METERED(renew,
        (struct store * s, int64_t worker, int slots_free, const char *stats, struct arena *a,
         struct census *out, struct err *err),
        (worker, slots_free, stats, a, out), false)
METERED(takeover, (struct store * s, int64_t worker, int64_t dead, struct err *err), (worker, dead),
        rc == HF_NOT_FOUND)
METERED(leave, (struct store * s, int64_t worker, struct err *err), (worker), false)
METERED(load,
        (struct store * s, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
         struct err *err),
        (nos, n, a, out), false)
METERED(load_tasks,
        (struct store * s, const int64_t *nos, size_t n, struct arena *a, struct task_row *out,
         struct err *err),
        (nos, n, a, out), false)
METERED(sql_step,
        (struct store * s, struct sql_step *step, struct arena *a, const char **result,
         struct err *err),
        (step, a, result), rc == HF_FAILED || rc == HF_TIMEOUT)
METERED(wait, (struct store * s, int wake_fd, int64_t deadline_us, struct err *err),
        (wake_fd, deadline_us), false)

static void
count_cycle(struct meter *m, const struct batch *batch, const struct rows *out)
{
    size_t rows = out->n_runs + out->n_due + out->n_tasks + out->n_inbox;

    if (batch->n_writes > 0) {
        add(&m->commits, 1);
        add(&m->writes, batch->n_writes);
    }
    if (rows > 0) {
        add(&m->fetches, 1);
        add(&m->rows, rows);
    }
}

static int
meter_cycle(struct store *s, struct batch *batch, struct cursor *cursors, size_t n_cursors,
            const struct room *room, struct arena *a, struct rows *out, struct err *err)
{
    struct store *inner = inner_of(s);
    int64_t       began_us = clock_steady_us();
    int           rc = inner->ops->cycle(inner, batch, cursors, n_cursors, room, a, out, err);

    meter_add(&meter_of(s)->ops[METER_cycle], clock_steady_us() - began_us, rc != HF_OK);
    if (rc == HF_OK)
        count_cycle(meter_of(s), batch, out);
    return rc;
}

static void
meter_tell_waiters(struct store *s)
{
    struct store *inner = inner_of(s);
    inner->ops->tell_waiters(inner);
}

static void
meter_close(struct store *s)
{
    struct store *inner = inner_of(s);
    inner->ops->close(inner);
    mem_free(s);
}

static int
meter_clone(struct store *s, struct store **out, struct err *err)
{
    struct store *inner = inner_of(s), *copy;

    *out = NULL;
    TRY(inner->ops->clone(inner, &copy, err));
    int rc = meter_store_open(copy, meter_of(s), out, err);
    if (rc)
        copy->ops->close(copy);
    return rc;
}

static const struct store_ops meter_ops = {.name = "meter",
                                           .close = meter_close,
                                           .clone = meter_clone,
                                           .tell_waiters = meter_tell_waiters,
#define X(verb) .verb = meter_##verb,
                                           METER_VERBS(X)
#undef X
};

int
meter_store_open(struct store *inner, struct meter *m, struct store **out, struct err *err)
{
    struct meter_store *s = mem_zalloc(sizeof(*s));

    *out = NULL;
    if (s == NULL)
        return err_nomem(err);
    *s = (struct meter_store){.store = {.ops = &meter_ops,
                                        .shared = inner->shared,
                                        .clock = inner->clock,
                                        .log = inner->log},
                              .inner = inner,
                              .meter = m};
    *out = &s->store;
    return HF_OK;
}
