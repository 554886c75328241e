/* The table of the SQLite store's verbs, and the life of a connection. */
#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static void
close_store(struct store *base)
{
    struct sqlite *s = sqlite_of(base);
    sqlite_rollback(s);
    checkpointer_stop(s);
    sqlite_disconnect(s);
    hints_close(s);
    lock_drop(s); /* last: whoever comes then finds a file that is closed */
    queues_release(s);
    fetched_release(s);
    mem_free(s->stats);
    mem_free(s->explain);
    mem_free(s);
}

static int
now(struct store *base, int64_t *us, struct err *err)
{
    (void)err;
    *us = clock_now_us(&base->clock);
    return HF_OK;
}

static int
clone_store(struct store *base, struct store **out, struct err *err)
{
    TRY(sqlite_store_open(sqlite_of(base)->path, &base->clock, out, err));
    (*out)->log = base->log;
    return HF_OK;
}

static const struct store_ops ops = {
    .name = "sqlite",
    .close = close_store,
    .clone = clone_store,
    .now = now,
    .submit = sqlite_submit,
    .wait_result = sqlite_wait_result,
    .run_get = sqlite_run_get,
    .run_list = sqlite_run_list,
    .history = sqlite_history,
    .inbox_list = sqlite_inbox_list,
    .children = sqlite_children,
    .task_get = sqlite_task_get,
    .task_list = sqlite_task_list,
    .dead_get = sqlite_dead_get,
    .dead_list = sqlite_dead_list,
    .workers = sqlite_workers,
    .pending = sqlite_pending,
    .info = sqlite_info,
    .queues = sqlite_queues,
    .retain = sqlite_retain,
    .purge = sqlite_purge,
    .acquire = sqlite_acquire,
    .renew = sqlite_renew,
    .takeover = sqlite_takeover,
    .leave = sqlite_leave,
    .cycle = sqlite_cycle,
    .load = sqlite_load,
    .load_tasks = sqlite_load_tasks,
    .sql_step = sqlite_sql_step,
    .wait = sqlite_wait,
    .tell_waiters = sqlite_tell_waiters,
};

int
sqlite_store_open(const char *path, const struct clock *clock, struct store **out, struct err *err)
{
    struct err     own = {0}; /* the statements need a place for their errors */
    struct sqlite *s = mem_zalloc(sizeof(*s));

    *out = NULL;
    if (err == NULL)
        err = &own;
    if (s == NULL)
        return err_nomem(err);
    s->base.ops = &ops;
    if (clock)
        s->base.clock = *clock;
    s->lock_fd = s->socket = -1;
    s->waited_version = s->others_version = -1;
    int rc = sqlite_connect(s, path, err);
    if (rc == HF_OK)
        rc = sqlite_migrate(s, err);
    if (rc != HF_OK) {
        close_store(&s->base);
        return rc;
    }
    sqlite3_wal_hook(s->db, checkpoint_hook, s);
    *out = &s->base;
    return HF_OK;
}

int
sqlite_store_limit_pages(struct store *base, int pages)
{
    struct sqlite *s = sqlite_of(base);
    char           text[80];
    snprintf(text, sizeof(text), "%.*s%d", (int)strcspn(sql_text(SQL_limit_pages), "\n"),
             sql_text(SQL_limit_pages), pages);
    return sqlite_code(sqlite3_exec(s->db, text, NULL, NULL, NULL));
}
