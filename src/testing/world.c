/*
 * hf_test_*: a handle on a store in memory, a clock that stands still, and a lane whose slots are
 * the caller's thread. What happens is the engine's own code, in a fixed order; nothing sleeps.
 */
#include "client/handle.h"
#include "base/mem.h"
#include "worker/lane.h"

struct test_world {
    int64_t       now_us;
    struct store *store; /* the worker's connection */
    struct lane   lane;
    struct buf    handlers;
    bool          working; /* the lane is there */

    hf_test_sql_fn answer_sql;
    void          *answer_arg;
};

enum { ROUNDS_MAX = 1000000 };

/* 2026-01-01 00:00:00 UTC: any fixed time does, and a round one reads well. */
#define FIRST_US (1767225600LL * US_PER_S)

static void
stop_working(struct test_world *w)
{
    if (!w->working)
        return;
    lane_close(&w->lane, clock_steady_us());
    w->store->ops->close(w->store);
    buf_release(&w->handlers);
    w->working = false;
}

static void
close_world(hf *h)
{
    stop_working(h->test);
    mem_free(h->test);
    h->test = NULL;
}

int
hf_test_open(hf **out)
{
    struct err         err = {0};
    struct store      *store = NULL;
    struct test_world *w = mem_zalloc(sizeof(*w));

    *out = NULL;
    if (w == NULL)
        return HF_NOMEM;
    w->now_us = FIRST_US;
    struct clock clock = clock_fake(&w->now_us);
    int          rc = memory_store_open(&clock, &store, &err);
    if (rc == HF_OK && (rc = handle_new(store, out)))
        store->ops->close(store);
    if (rc) {
        mem_free(w);
        return rc;
    }
    (*out)->test = w;
    (*out)->close_test = close_world;
    return HF_OK;
}

static int
start_working(hf *h, struct err *err)
{
    struct test_world *w = h->test;
    struct lane_opt    opt = {
           .slots = 1,
           .lease_us = 10 * US_PER_S,
           .max_crashes = 5,
           .spill_us = US_PER_S,
           .local_max = 1000,
           .cache_runs = 1000,
           .inline_slots = true,
    };

    if (w->working)
        return HF_OK;
    TRY(h->store->ops->clone(h->store, &w->store, err));
    int rc = registry_describe(&h->registry, &w->handlers, err);
    if (rc == HF_OK)
        rc = lane_open(&w->lane, w->store, &h->registry, &h->log, &opt, err);
    w->working = true;
    if (rc == HF_OK)
        rc = lane_acquire(&w->lane, w->handlers.data, err);
    if (rc)
        stop_working(w);
    h->registry.sealed = true;
    return rc;
}

static int
work(hf *h, struct err *err)
{
    TRY(start_working(h, err));
    struct lane *l = &h->test->lane;
    bool         idle = false;

    l->fetch_wanted = true;
    for (int i = 0; !idle || !lane_is_quiet(l); i++) {
        if (i == ROUNDS_MAX)
            return err_set(
                err, HF_INVALID,
                "hf_test_run: still busy after %d rounds; does a workflow go on for ever?", i);
        TRY(lane_round(l, &idle, err));
        if (l->partitions_now != l->partitions_seen)
            TRY(lane_acquire(l, h->test->handlers.data, err));
    }
    return HF_OK;
}

static int
check_handle(hf *h, struct err *err)
{
    return h->test ? HF_OK : err_set(err, HF_INVALID, "this handle is not from hf_test_open");
}

int
hf_test_run(hf *h)
{
    struct err err = {0};
    int        rc = check_handle(h, &err);
    if (rc == HF_OK)
        rc = work(h, &err);
    return rc ? handle_fail(h, &err) : HF_OK;
}

int
hf_test_advance(hf *h, int64_t ms)
{
    struct err err = {0};
    int        rc = check_handle(h, &err);

    if (rc == HF_OK && ms < 0)
        rc = err_set(&err, HF_INVALID, "hf_test_advance: %lld ms, not below 0", (long long)ms);
    if (rc)
        return handle_fail(h, &err);
    struct test_world *w = h->test;
    int64_t            target = w->now_us + ms * US_PER_MS;
    for (rc = work(h, &err); rc == HF_OK && w->now_us < target; rc = work(h, &err)) {
        int64_t next = w->lane.next_due_us;
        __atomic_store_n(&w->now_us, next > w->now_us && next < target ? next : target,
                         __ATOMIC_RELEASE);
    }
    return rc ? handle_fail(h, &err) : HF_OK;
}

static int
answer_nothing(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_return(tk, NULL);
}

int
hf_test_fake(hf *h, const char *task, const char *output, const char *error_name)
{
    struct err err = {0};
    int        rc = check_handle(h, &err);

    if (rc == HF_OK && registry_find_handler(&h->registry, task) == NULL)
        rc = registry_add_handler(&h->registry, task, answer_nothing, NULL, NULL, &err);
    struct handler *handler = rc == HF_OK ? registry_find_handler(&h->registry, task) : NULL;
    if (handler) {
        handler->fake = true;
        handler->fake_output = arena_strdup(&h->registry.arena, output);
        handler->fake_error = arena_strdup(&h->registry.arena, error_name);
        if ((output && !handler->fake_output) || (error_name && !handler->fake_error))
            rc = err_nomem(&err);
    }
    return rc ? handle_fail(h, &err) : HF_OK;
}

static int
answer_sql(void *arg, const struct sql_step *step, const char **answer)
{
    struct test_world *w = arg;
    return w->answer_sql(w->answer_arg, step->statement, step->params_json, answer);
}

int
hf_test_sql(hf *h, hf_test_sql_fn fn, void *arg)
{
    struct err err = {0};
    int        rc = check_handle(h, &err);

    if (rc == HF_OK) {
        h->test->answer_sql = fn;
        h->test->answer_arg = arg;
        rc = memory_store_answer_sql(h->store, fn ? answer_sql : NULL, h->test, &err);
    }
    return rc ? handle_fail(h, &err) : HF_OK;
}

int
hf_test_crash(hf *h)
{
    struct err err = {0};
    int        rc = check_handle(h, &err);
    if (rc)
        return handle_fail(h, &err);
    stop_working(h->test);      /* without leave: the store counts a crash */
    h->registry.sealed = false; /* what comes now may be another program: a deploy */
    return HF_OK;
}

int64_t
hf_test_now(const hf *h)
{
    return h->test ? h->test->now_us / US_PER_MS : 0;
}

int
hf_test_count(const hf *h, const char *task)
{
    const struct handler *handler = registry_find_handler(&h->registry, task);
    return handler ? handler->count : 0;
}
