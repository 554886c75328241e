/* What is left to do, queue by queue too, and facts about the file: for people and for drain. */
#include "store/sqlite.h"

#include <sys/stat.h>

enum { COUNT_MAX = 100000 };

/* Adds a count of at most what is missing to COUNT_MAX. The fourth parameter is set by the caller.
 */
static int
add_count(struct sqlite *s, sqlite3_stmt *q, int64_t one, int64_t two, int64_t *sum,
          struct err *err)
{
    int64_t count = 0;
    if (*sum >= COUNT_MAX)
        return HF_OK;
    bind_int(q, 1, one);
    bind_int(q, 2, two);
    bind_int(q, 3, COUNT_MAX - *sum);
    TRY(sql_int(s, q, 0, &count, err));
    *sum += count;
    return HF_OK;
}

static int
count_rows(struct sqlite *s, enum sql id, int32_t partition, int64_t *sum, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, id, err);
    if (q == NULL)
        return err->code;
    return add_count(s, q, row_no(partition, 0, 0), row_no(partition + 1, 0, 0) - 1, sum, err);
}

static int
count_status(struct sqlite *s, int32_t partition, int status, int64_t *sum, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_count_runs, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 4, status);
    return add_count(s, q, row_no(partition, 0, 0), row_no(partition + 1, 0, 0) - 1, sum, err);
}

static int
count_partition(struct sqlite *s, int32_t partition, int64_t due_until_us, struct pending *p,
                struct err *err)
{
    int64_t       waiting = p->waiting + p->due;
    sqlite3_stmt *due = sql_get(s, SQL_count_due, err);
    if (due == NULL)
        return err->code;
    TRY(count_rows(s, SQL_count_tasks, partition, &p->tasks, err));
    TRY(count_rows(s, SQL_count_dead, partition, &p->dead, err));
    TRY(count_rows(s, SQL_count_inbox, partition, &p->inbox, err));
    TRY(count_status(s, partition, RUN_RUNNING, &p->running, err));
    TRY(count_status(s, partition, RUN_WAITING, &waiting, err));
    TRY(count_status(s, partition, RUN_PAUSED, &p->paused, err));
    TRY(count_status(s, partition, RUN_BLOCKED, &p->blocked, err));
    TRY(add_count(s, due, partition, due_until_us, &p->due, err));
    p->waiting = waiting > p->due ? waiting - p->due : 0;
    return HF_OK;
}

static int
count_all(struct sqlite *s, const char *queues, int64_t due_until_us, struct pending *p,
          struct err *err)
{
    int64_t n = 0;
    TRY(sql_get_int(s, SQL_partition_count, &n, err));
    for (int32_t id = 1; id <= n; id++) { /* numbers of partitions have no gaps */
        const char *name = queue_name(s, id);
        if (name == NULL)
            return err_nomem(err);
        if (queue_in_list(queues, name))
            TRY(count_partition(s, id, due_until_us, p, err));
    }
    return HF_OK;
}

int
sqlite_pending(struct store *base, const char *queues, int64_t due_until_us, struct pending *out,
               struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    struct pending p = {0};
    TRY(sqlite_begin_read(s, err));
    int rc = count_all(s, queues, due_until_us, &p, err);
    if (rc == HF_OK)
        rc = sqlite_commit(s, err);
    sqlite_rollback(s);
    if (rc == HF_OK)
        *out = p;
    return rc;
}

static int
read_text(struct sqlite *s, enum sql id, struct arena *a, const char **out, struct err *err)
{
    bool          failed = false;
    sqlite3_stmt *q = sql_get(s, id, err);
    if (q == NULL)
        return err->code;
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        *out = column_text(q, 0, a, &failed);
    sqlite3_reset(q);
    if (failed)
        return err_nomem(err);
    return rc == SQLITE_ROW ? HF_OK : sqlite_fail(s, rc, "read a setting", err);
}

int
sqlite_info(struct store *base, struct arena *a, struct store_info *out, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    struct stat    st = {0};
    char           who[300], *damage = NULL;
    int64_t        schema = 0;
    bool           held = lock_is_held(s, who, sizeof(who));

    *out = (struct store_info){.kind = "sqlite",
                               .version = sqlite3_libversion(),
                               .schema_known = sqlite_schema_known(),
                               .path = arena_strdup(a, s->path)};
    if (out->path == NULL || (held && (out->owner = arena_strdup(a, who)) == NULL))
        return err_nomem(err);
    TRY(sql_get_int(s, SQL_schema_version, &schema, err));
    TRY(read_text(s, SQL_journal_mode, a, &out->journal, err));
    TRY(read_text(s, SQL_synchronous, a, &out->synchronous, err));
    TRY(sqlite_quick_check(s, a, &damage, err));
    out->schema = (int)schema;
    out->damage = damage;
    out->file_bytes = stat(s->path, &st) == 0 ? (int64_t)st.st_size : 0;
    out->log_bytes = sqlite_log_bytes(s);
    return HF_OK;
}

/* Tasks of one class of a queue. */
static int
count_backlog(struct sqlite *s, int32_t partition, int stream, int count_max, int64_t now_us,
              struct queue_row *row, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_queue_tasks, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, row_no(partition, stream, 0));
    bind_int(q, 2, row_no(partition, stream, 0) + row_seq(-1));
    bind_int(q, 3, count_max);
    bind_int(q, 4, now_us);
    int     rc = sqlite3_step(q);
    int64_t tasks = sqlite3_column_int64(q, 0), delayed = sqlite3_column_int64(q, 1),
            oldest_us = sqlite3_column_int64(q, 2);
    sqlite3_reset(q);
    if (rc != SQLITE_ROW)
        return sqlite_fail(s, rc, "count tasks", err);
    row->tasks += tasks;
    row->delayed += delayed;
    row->backlog_more |= tasks + delayed == count_max;
    if (oldest_us && (row->oldest_us == 0 || oldest_us < row->oldest_us))
        row->oldest_us = oldest_us;
    return HF_OK;
}

static int
count_queue(struct sqlite *s, int32_t partition, int count_max, struct queue_row *row,
            struct err *err)
{
    int64_t       now_us = clock_now_us(&s->base.clock), running = 0, due = 0;
    sqlite3_stmt *runs = sql_get(s, SQL_count_runs, err), *timers = sql_get(s, SQL_count_due, err);

    if (runs == NULL || timers == NULL)
        return err->code;
    for (int stream = 0; stream < STREAMS; stream++)
        TRY(count_backlog(s, partition, stream, count_max, now_us, row, err));
    bind_int(runs, 1, row_no(partition, 0, 0));
    bind_int(runs, 2, row_no(partition + 1, 0, 0) - 1);
    bind_int(runs, 3, count_max);
    bind_int(runs, 4, RUN_RUNNING);
    TRY(sql_int(s, runs, 0, &running, err));
    bind_int(timers, 1, partition);
    bind_int(timers, 2, now_us);
    bind_int(timers, 3, count_max);
    TRY(sql_int(s, timers, 0, &due, err));
    row->runs = running + due;
    row->backlog_more |= running == count_max || due == count_max;
    return HF_OK;
}

/* A queue is one partition; the owner of the file serves it, if it is of its queues. */
static int
list_queues(struct sqlite *s, int count_max, struct arena *a, const struct worker_row *owner,
            struct queue_row **out, size_t *n, struct err *err)
{
    struct queue_row *rows = NULL;
    sqlite3_stmt     *q = sql_get(s, SQL_queue_list, err);
    bool              failed = false;
    int               rc, code = HF_OK;

    if (q == NULL)
        return err->code;
    for (*n = 0; (rc = sqlite3_step(q)) == SQLITE_ROW && code == HF_OK; ++*n) {
        const char *name = column_text(q, 1, a, &failed);
        rows = rows_grow(a, rows, *n, sizeof(*rows));
        if (rows == NULL || name == NULL) {
            code = err_nomem(err);
            break;
        }
        bool served = owner && owner->live && queue_in_list(owner->queues, name);
        rows[*n] = (struct queue_row){.name = name,
                                      .partitions = 1,
                                      .unowned = !served,
                                      .crashes = sqlite3_column_int(q, 2),
                                      .retain_us = sqlite3_column_int64(q, 3)};
        code = count_queue(s, sqlite3_column_int(q, 0), count_max, &rows[*n], err);
    }
    sqlite3_reset(q);
    if (code != HF_OK)
        return code;
    if (rc != SQLITE_DONE)
        return sqlite_fail(s, rc, "list the queues", err);
    *out = rows;
    return HF_OK;
}

int
sqlite_queues(struct store *base, int count_max, struct arena *a, struct queue_row **out, size_t *n,
              struct err *err)
{
    struct sqlite     *s = sqlite_of(base);
    struct worker_row *owner;
    size_t             owners;

    *out = NULL;
    TRY(sqlite_workers(base, a, &owner, &owners, err));
    TRY(sqlite_begin_read(s, err));
    int rc = list_queues(s, count_max, a, owners ? owner : NULL, out, n, err);
    if (rc == HF_OK)
        rc = sqlite_commit(s, err);
    sqlite_rollback(s);
    return rc;
}
