/*
 * Ownership: who holds the lock joins with the next epoch, and each commit of an owner compares
 * epochs. An owner that did not leave has died, by then surely; its crash is counted here.
 */
#include "store/sqlite.h"

#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/mem.h"

enum { QUICK_CHECK_MAX = 256 << 20, SOON_US = 100000 };

struct last_owner {
    int64_t epoch;
    bool    has_left;
    char   *queues;
};

static int
last_owner(struct sqlite *s, struct arena *a, struct last_owner *out, struct err *err)
{
    bool          failed = false;
    sqlite3_stmt *q = sql_get(s, SQL_owner_get, err);
    if (q == NULL)
        return err->code;
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        *out = (struct last_owner){
            .epoch = sqlite3_column_int64(q, 0),
            .has_left = sqlite3_column_int(q, 1) != 0,
            .queues = column_text(q, 5, a, &failed),
        };
    sqlite3_reset(q);
    if (failed)
        return err_nomem(err);
    if (rc == SQLITE_DONE)
        return err_set(err, HF_CORRUPT, "%s: the owner's row is missing", s->path);
    return rc == SQLITE_ROW ? HF_OK : sqlite_fail(s, rc, "read the owner", err);
}

int
sqlite_quick_check(struct sqlite *s, struct arena *a, char **damage, struct err *err)
{
    bool          failed = false;
    sqlite3_stmt *q = sql_get(s, SQL_quick_check, err);
    *damage = NULL;
    if (q == NULL)
        return err->code;
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        *damage = column_text(q, 0, a, &failed);
        if (*damage && strcmp(*damage, "ok") == 0)
            *damage = NULL;
    }
    sqlite3_reset(q);
    if (failed)
        return err_nomem(err);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? HF_OK : sqlite_fail(s, rc, "check", err);
}

/* After an owner that died: is the file sound? Only where that is quick. */
static int
check_file(struct sqlite *s, struct arena *a, struct err *err)
{
    struct stat st;
    char       *damage = NULL;
    if (stat(s->path, &st) != 0 || st.st_size >= QUICK_CHECK_MAX)
        return HF_OK;
    TRY(sqlite_quick_check(s, a, &damage, err));
    return damage ? err_set(err, HF_CORRUPT, "%s is damaged: %s", s->path, damage) : HF_OK;
}

static int
partitions(struct sqlite *s, const char *queues, struct arena *a, struct partition_row **out,
           size_t *n, struct err *err)
{
    struct partition_row *rows = NULL;
    size_t                count = 0;
    bool                  failed = false;
    int                   rc;
    sqlite3_stmt         *q = sql_get(s, SQL_partition_list, err);
    if (q == NULL)
        return err->code;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW && !failed) {
        if (!queue_in_list(queues, (const char *)sqlite3_column_text(q, 1)))
            continue;
        rows = rows_grow(a, rows, count, sizeof(*rows));
        if ((failed = rows == NULL))
            break;
        rows[count++] = (struct partition_row){
            .id = sqlite3_column_int(q, 0),
            .queue = column_text(q, 1, a, &failed),
            .crashes = sqlite3_column_int(q, 2),
            .crashed_us = sqlite3_column_int64(q, 3),
        };
    }
    sqlite3_reset(q);
    if (failed)
        return err_nomem(err);
    if (rc != SQLITE_DONE)
        return sqlite_fail(s, rc, "read the queues", err);
    *out = rows;
    *n = count;
    return HF_OK;
}

static int
count_crash(struct sqlite *s, const char *queues, struct arena *a, struct err *err)
{
    struct partition_row *rows = NULL;
    size_t                n = 0;
    int                   rc = SQLITE_OK;
    sqlite3_stmt         *q = sql_get(s, SQL_count_crash, err);
    if (q == NULL)
        return err->code;
    TRY(partitions(s, queues, a, &rows, &n, err));
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        bind_int(q, 1, rows[i].id);
        bind_int(q, 2, clock_now_us(&s->base.clock));
        rc = sql_run(q);
    }
    if (rc != SQLITE_OK)
        return sqlite_fail(s, rc, "count a crash", err);
    TRY(sql_exec(s, SQL_release_runs, err));
    return sql_exec(s, SQL_release_tasks, err);
}

static int
join(struct sqlite *s, const struct worker_self *self, struct arena *a, int64_t *epoch,
     struct err *err)
{
    struct last_owner last = {0};
    char              host[256] = "";
    sqlite3_stmt     *q = sql_get(s, SQL_owner_join, err);
    if (q == NULL)
        return err->code;
    TRY(last_owner(s, a, &last, err));
    if (!last.has_left)
        TRY(count_crash(s, last.queues, a, err));
    gethostname(host, sizeof(host) - 1);
    bind_text(q, 1, self->name);
    bind_text(q, 2, host);
    bind_int(q, 3, getpid());
    bind_text(q, 4, self->queues);
    bind_text(q, 5, self->handlers);
    bind_int(q, 6, clock_now_us(&s->base.clock));
    return sql_int(s, q, 0, epoch, err);
}

static int
join_and_commit(struct sqlite *s, const struct worker_self *self, struct arena *a, int64_t *epoch,
                struct partition_row **out, size_t *n, struct err *err)
{
    TRY(sqlite_begin_write(s, err));
    int rc = join(s, self, a, epoch, err);
    if (rc == HF_OK)
        rc = partitions(s, self->queues, a, out, n, err);
    if (rc != HF_OK) {
        sqlite_rollback(s);
        return rc;
    }
    return sqlite_commit(s, err);
}

int
sqlite_fence(struct sqlite *s, int64_t worker, struct err *err)
{
    int64_t epoch = 0;
    TRY(sql_get_int(s, SQL_owner_epoch, &epoch, err));
    if (worker == 0 || epoch != worker)
        return err_set(err, HF_STALE, "%s: worker %lld is not the owner any more", s->path,
                       (long long)worker);
    return HF_OK;
}

static void
give_back(struct sqlite *s)
{
    checkpointer_stop(s);
    hints_close(s);
    lock_drop(s);
    s->epoch = 0;
    s->fetched.valid = false;
    s->stats_wait = false;
}

static int
begin_owning(struct sqlite *s, const struct worker_self *self, struct arena *a, int64_t *epoch,
             struct partition_row **out, size_t *n, struct err *err)
{
    struct last_owner last = {0};
    TRY(last_owner(s, a, &last, err));
    if (!last.has_left)
        TRY(check_file(s, a, err));
    sqlite3_exec(s->db, sql_text(SQL_owner_cache), NULL, NULL, NULL);
    TRY(checkpointer_start(s, err));
    TRY(join_and_commit(s, self, a, epoch, out, n, err));
    hints_close(s);
    hints_open(s, true);
    return HF_OK;
}

int
sqlite_acquire(struct store *base, const struct worker_self *self, int64_t *worker, struct arena *a,
               struct partition_row **out, size_t *n, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    int64_t        epoch = 0;

    *out = NULL;
    *n = 0;
    if (*worker != 0) {
        TRY(sqlite_fence(s, *worker, err));
        s->fetched.valid = false;
        return partitions(s, self->queues, a, out, n, err);
    }
    TRY(lock_take(s, err));
    int rc = begin_owning(s, self, a, &epoch, out, n, err);
    if (rc != HF_OK) {
        give_back(s);
        *out = NULL;
        *n = 0;
        return rc;
    }
    s->fetched.valid = false;
    s->epoch = *worker = epoch;
    s->wrote_us = clock_steady_us();
    return HF_OK;
}

/* ---- what it has counted */

int
sqlite_publish(struct sqlite *s, struct err *err)
{
    sqlite3_stmt *q = s->stats_wait ? sql_get(s, SQL_owner_publish, err) : NULL;
    if (q == NULL)
        return s->stats_wait ? err->code : HF_OK;
    bind_int(q, 1, s->epoch);
    bind_text(q, 2, s->stats);
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, "publish", err);
}

/* If that does not do well, the next renewal tries again; numbers are not worth an error. */
static void
publish_alone(struct sqlite *s)
{
    struct err ignored = {0};
    if (sqlite_begin_write(s, &ignored))
        return;
    if (sqlite_publish(s, &ignored) == HF_OK && sqlite_commit(s, &ignored) == HF_OK)
        s->stats_wait = false;
    else
        sqlite_rollback(s);
}

/* stats go with the next commit, if there was one just now, so that another will come soon. Else
 * they get one of their own. */
int
sqlite_renew(struct store *base, int64_t worker, int slots_free, const char *stats, struct arena *a,
             struct census *out, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    bool           waited = s->stats_wait;
    (void)slots_free, (void)a;

    if (out)
        *out = (struct census){0};
    TRY(sqlite_fence(s, worker, err));
    if (stats) {
        char *copy = mem_strdup(stats);
        if (copy == NULL)
            return err_nomem(err);
        mem_free(s->stats);
        s->stats = copy;
        s->stats_wait = true;
    }
    if (waited || (stats && clock_steady_us() > s->wrote_us + SOON_US))
        publish_alone(s);
    return HF_OK;
}

/* The next one that joins has everything. */
int
sqlite_takeover(struct store *base, int64_t worker, int64_t dead, struct err *err)
{
    (void)worker;
    return err_set(err, HF_NOT_FOUND, "%s: worker %lld: nothing to take over",
                   sqlite_of(base)->path, (long long)dead);
}

int
sqlite_leave(struct store *base, int64_t worker, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    TRY(sqlite_fence(s, worker, err));
    sqlite3_stmt *q = sql_get(s, SQL_owner_leave, err);
    if (q == NULL)
        return err->code;
    TRY(sqlite_begin_write(s, err));
    bind_int(q, 1, worker);
    int rc = sql_run(q);
    if (rc != SQLITE_OK) {
        sqlite_rollback(s);
        return sqlite_fail(s, rc, "leave", err);
    }
    TRY(sqlite_commit(s, err));
    if (s->epoch == worker)
        give_back(s);
    return HF_OK;
}

/* The owner of the file has all of its queues. */
static int
count_owned(struct sqlite *s, struct worker_row *row, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_partition_list, err);
    int           rc;

    if (q == NULL)
        return err->code;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW)
        row->partitions +=
            queue_in_list(row->queues, (const char *)sqlite3_column_text(q, 1)) ? 1 : 0;
    sqlite3_reset(q);
    return rc == SQLITE_DONE ? HF_OK : sqlite_fail(s, rc, "count partitions", err);
}

/* One that died without leaving is shown, not alive, until the next one joins. */
int
sqlite_workers(struct store *base, struct arena *a, struct worker_row **out, size_t *n,
               struct err *err)
{
    struct sqlite     *s = sqlite_of(base);
    char               who[300];
    bool               failed = false, live = lock_is_held(s, who, sizeof(who)), there = false;
    struct worker_row *row = arena_zalloc(a, sizeof(*row));
    sqlite3_stmt      *q = sql_get(s, SQL_owner_get, err);

    *out = NULL;
    *n = 0;
    if (q == NULL)
        return err->code;
    if (row == NULL)
        return err_nomem(err);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW && sqlite3_column_int64(q, 0) > 0 && !sqlite3_column_int(q, 1)) {
        there = true;
        *row = (struct worker_row){
            .id = sqlite3_column_int64(q, 0),
            .name = column_text(q, 2, a, &failed),
            .host = column_text(q, 3, a, &failed),
            .pid = sqlite3_column_int64(q, 4),
            .queues = column_text(q, 5, a, &failed),
            .handlers = column_text(q, 6, a, &failed),
            .since_us = sqlite3_column_int64(q, 7),
            .stats = column_text(q, 8, a, &failed),
            .live = live,
            .expires_us = NEVER_US,
        };
    }
    sqlite3_reset(q);
    if (failed)
        return err_nomem(err);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sqlite_fail(s, rc, "read the owner", err);
    if (live)
        TRY(count_owned(s, row, err));
    *n = there;
    *out = there ? row : NULL;
    return HF_OK;
}
