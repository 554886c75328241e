/* The table of the PostgreSQL store's verbs, and the life of a connection. */
#include "store/postgres_cycle.h"
#include "store/postgres_read.h"

#include "base/mem.h"

static void
close_store(struct store *base)
{
    postgres_free(postgres_of(base));
}

static int
now(struct store *base, int64_t *us, struct err *err)
{
    struct postgres *s = postgres_of(base);
    if (pg_clock_is_fake(s)) {
        *us = clock_now_us(&base->clock);
        return HF_OK;
    }
    TRY(pg_ready(s, err));
    struct pg_args *a = pg_args(s);
    pg_now(s, a);
    pg_send(s, PG_read_clock, a);
    pg_sync(s);
    return pg_one_int(s, 0, us, err);
}

static int
clone_store(struct store *base, struct store **out, struct err *err)
{
    struct postgres *s = postgres_of(base), *copy;
    TRY(postgres_new(s->url, &base->clock, &copy, err));
    copy->base.ops = base->ops;
    copy->base.log = base->log;
    *out = &copy->base;
    return HF_OK;
}

static const struct store_ops ops = {
    .name = "postgresql",
    .close = close_store,
    .clone = clone_store,
    .now = now,
    .run_get = postgres_run_get,
    .run_list = postgres_run_list,
    .history = postgres_history,
    .inbox_list = postgres_inbox_list,
    .children = postgres_children,
    .task_get = postgres_task_get,
    .task_list = postgres_task_list,
    .dead_get = postgres_dead_get,
    .dead_list = postgres_dead_list,
    .workers = postgres_workers,
    .pending = postgres_pending,
    .info = postgres_info,
    .queues = postgres_queues,
    .retain = postgres_retain,
    .purge = postgres_purge,
    .submit = postgres_submit,
    .wait_result = postgres_wait_result,
    .wait = postgres_wait,
    .tell_waiters = postgres_tell_waiters,
    .acquire = postgres_acquire,
    .renew = postgres_renew,
    .takeover = postgres_takeover,
    .leave = postgres_leave,
    .cycle = postgres_cycle,
    .load = postgres_load,
    .load_tasks = postgres_load_tasks,
    .sql_step = postgres_sql_step,
};

int
postgres_store_open(const char *url, const struct clock *clock, struct store **out, struct err *err)
{
    struct postgres *s = NULL;
    struct err       own = {0};
    int              rc = postgres_new(url, clock, &s, &own);

    *out = NULL;
    if (rc == HF_OK && (rc = postgres_check_schema(s, &own)) != HF_OK)
        postgres_free(s);
    if (rc != HF_OK) {
        if (err)
            *err = own;
        return rc;
    }
    s->base.ops = &ops;
    *out = &s->base;
    return HF_OK;
}
