/*
 * Retention: how long ended runs are kept, and their deletion. What may go is looked for outside
 * the lock and looked at once more inside it, so that the writer's lock is held for the deletion
 * only.
 */
#include "store/sqlite.h"

#include <string.h>

int
sqlite_retain(struct store *base, const char *queue, int64_t retain_us, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    sqlite3_stmt  *q = sql_get(s, SQL_set_retention, err);

    if (q == NULL)
        return err->code;
    TRY(sqlite_begin_write(s, err));
    bind_text(q, 1, queue);
    bind_int(q, 2, retain_us);
    int  rc = sql_run(q);
    bool found = rc == SQLITE_OK && sqlite3_changes(s->db) > 0;
    if (found)
        return sqlite_commit(s, err);
    sqlite_rollback(s);
    if (rc != SQLITE_OK)
        return sqlite_fail(s, rc, "set the retention", err);
    return err_set(err, HF_NOT_FOUND, "queue %s: not found", queue);
}

/* Numbers of runs that may go, at most what->limit. */
static int
find_ended(struct sqlite *s, const struct purge *what, int32_t partition, int64_t *nos, size_t *n,
           struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_purge_find, err);
    int           rc;

    if (q == NULL)
        return err->code;
    bind_int(q, 1, what->ended_before);
    bind_int(q, 2, what->status);
    bind_int(q, 3, partition);
    bind_int(q, 4, what->limit);
    for (*n = 0; (rc = sqlite3_step(q)) == SQLITE_ROW; ++*n)
        nos[*n] = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return rc == SQLITE_DONE ? HF_OK : sqlite_fail(s, rc, "look for ended runs", err);
}

static int
delete_of_run(struct sqlite *s, enum sql id, int64_t no, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, id, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, no);
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, "delete a run", err);
}

static int
delete_run(struct sqlite *s, int64_t no, int64_t ended_before, size_t *n, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_purge_run, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 2, ended_before);
    TRY(delete_of_run(s, SQL_purge_run, no, err));
    if (sqlite3_changes(s->db) == 0)
        return HF_OK;
    ++*n;
    TRY(delete_of_run(s, SQL_purge_history, no, err));
    return delete_of_run(s, SQL_purge_inbox, no, err);
}

static int
delete_runs(struct sqlite *s, const int64_t *nos, size_t count, int64_t ended_before, size_t *n,
            struct err *err)
{
    size_t deleted = 0;
    int    rc = HF_OK;

    TRY(sqlite_begin_write(s, err));
    for (size_t i = 0; rc == HF_OK && i < count; i++)
        rc = delete_run(s, nos[i], ended_before, &deleted, err);
    if (rc == HF_OK)
        rc = sqlite_commit(s, err);
    sqlite_rollback(s);
    if (rc != HF_OK)
        return rc;
    checkpointer_restart(s);
    *n = deleted;
    return HF_OK;
}

int
sqlite_purge(struct store *base, const struct purge *what, size_t *n, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    struct arena   a = {0};
    int32_t        partition = 0;
    size_t         found = 0;

    *n = 0;
    if (what->limit <= 0)
        return HF_OK;
    if (what->queue) {
        TRY(queue_find(s, what->queue, &partition, err));
        if (partition == 0)
            return HF_OK;
    }
    int64_t *nos = arena_alloc(&a, (size_t)what->limit * sizeof(*nos));
    int      rc = nos ? find_ended(s, what, partition, nos, &found, err) : err_nomem(err);
    if (rc == HF_OK && what->count_only)
        *n = found;
    else if (rc == HF_OK && found > 0)
        rc = delete_runs(s, nos, found, what->ended_before, n, err);
    arena_release(&a);
    return rc;
}
