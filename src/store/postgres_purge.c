/*
 * Retention: how long ended runs are kept, and their deletion. What may go is looked for in a
 * transaction of its own and looked at once more when it is deleted, so that locks are short.
 */
#include "store/postgres_read.h"

int
postgres_retain(struct store *base, const char *queue, int64_t retain_us, struct err *err)
{
    struct postgres *s = postgres_of(base);
    int64_t          found = 0;

    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_text(args, queue);
    pg_put_int8(args, retain_us);
    pg_begin(s);
    pg_send(s, PG_set_retention, args);
    pg_commit(s);
    TRY(pg_one_int(s, 0, &found, err));
    return found ? HF_OK : err_set(err, HF_NOT_FOUND, "queue %s: not found", queue);
}

static void
send_find(struct postgres *s, enum pg_sql id, const struct purge *what)
{
    struct pg_args *args = pg_args(s);

    pg_put_text(args, what->queue);
    pg_put_int8(args, what->ended_before);
    pg_put_int4(args, what->status);
    pg_put_int4(args, what->limit);
    pg_send_read(s, id, args);
}

/* Numbers of runs that may go, at most what->limit. */
static int
find_ended(struct postgres *s, const struct purge *what, struct arena *a, int64_t **nos, size_t *n,
           struct err *err)
{
    bool failed = false;

    send_find(s, PG_purge_find, what);
    if (pg_result(s, err) == HF_OK) {
        *n = (size_t)pg_rows(s);
        *nos = arena_alloc(a, (*n + 1) * sizeof(**nos));
        failed = *nos == NULL;
        for (size_t i = 0; !failed && i < *n; i++)
            (*nos)[i] = pg_get_int(s, (int)i, 0);
    }
    TRY(pg_synced(s, err));
    return failed ? err_nomem(err) : HF_OK;
}

static int
delete_runs(struct postgres *s, const int64_t *nos, size_t n, int64_t ended_before,
            int64_t *deleted, struct err *err)
{
    struct pg_args *args = pg_args(s);
    int             array = pg_array(args, PG_INT8);

    for (size_t i = 0; i < n; i++)
        pg_add_int8(args, array, nos[i]);
    pg_put_int8(args, ended_before);
    pg_begin(s);
    pg_send(s, PG_purge_runs, args);
    pg_commit(s);
    return pg_one_int(s, 0, deleted, err);
}

int
postgres_purge(struct store *base, const struct purge *what, size_t *n, struct err *err)
{
    struct postgres *s = postgres_of(base);
    struct arena     a = {0};
    int64_t         *nos = NULL, deleted = 0;
    size_t           found = 0;

    *n = 0;
    if (what->limit <= 0)
        return HF_OK;
    TRY(pg_ready(s, err));
    if (what->count_only) {
        send_find(s, PG_purge_count, what);
        TRY(pg_one_int(s, 0, &deleted, err));
        *n = (size_t)deleted;
        return HF_OK;
    }
    int rc = find_ended(s, what, &a, &nos, &found, err);
    if (rc == HF_OK && found > 0)
        rc = delete_runs(s, nos, found, what->ended_before, &deleted, err);
    if (rc == HF_OK)
        *n = (size_t)deleted;
    arena_release(&a);
    return rc;
}
