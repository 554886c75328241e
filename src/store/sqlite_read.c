/* Reading verbs for people, and load. Each is one statement, or one short transaction. */
#include "store/sqlite.h"

enum shape { SHAPE_RUN, SHAPE_TASK, SHAPE_DEAD, SHAPE_INBOX, SHAPE_HISTORY };

static const size_t shape_sizes[] = {sizeof(struct run_row), sizeof(struct task_row),
                                     sizeof(struct dead_row), sizeof(struct inbox_row),
                                     sizeof(struct history_row)};

static int
convert(struct sqlite *s, sqlite3_stmt *q, enum shape shape, struct arena *a, void *out)
{
    switch (shape) {
    case SHAPE_RUN:
        return row_to_run(s, q, a, out);
    case SHAPE_TASK:
        return row_to_task(s, q, a, out);
    case SHAPE_DEAD:
        return row_to_dead(s, q, a, out);
    case SHAPE_INBOX:
        return row_to_inbox(q, a, out);
    case SHAPE_HISTORY:
        return row_to_history(q, a, out);
    }
    return HF_INTERNAL;
}

/* All rows of a statement that has its parameters. */
static int
all_rows(struct sqlite *s, sqlite3_stmt *q, enum shape shape, struct arena *a, void **out,
         size_t *n, struct err *err)
{
    char  *rows = NULL;
    size_t count = 0, size = shape_sizes[shape];
    int    rc, code = HF_OK;

    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        rows = rows_grow(a, rows, count, size);
        code = rows ? convert(s, q, shape, a, rows + count * size) : HF_NOMEM;
        if (code != HF_OK)
            break;
        count++;
    }
    sqlite3_reset(q);
    if (code != HF_OK)
        return err_nomem(err);
    if (rc != SQLITE_DONE)
        return sqlite_fail(s, rc, "read", err);
    *out = rows;
    *n = count;
    return HF_OK;
}

/* The one row, or HF_NOT_FOUND without a text. */
static int
one_row(struct sqlite *s, sqlite3_stmt *q, enum shape shape, struct arena *a, void *out,
        struct err *err)
{
    int rc = sqlite3_step(q), code = HF_OK;
    if (rc == SQLITE_ROW && convert(s, q, shape, a, out) != HF_OK)
        code = err_nomem(err);
    sqlite3_reset(q);
    if (rc == SQLITE_DONE)
        return HF_NOT_FOUND;
    return rc == SQLITE_ROW ? code : sqlite_fail(s, rc, "read", err);
}

int
sqlite_run_get(struct store *base, const char *id, struct arena *a, struct run_row *out,
               struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    sqlite3_stmt  *q = sql_get(s, SQL_run_by_id, err);
    if (q == NULL)
        return err->code;
    bind_text(q, 1, id);
    int rc = one_row(s, q, SHAPE_RUN, a, out, err);
    return rc == HF_NOT_FOUND ? err_set(err, rc, "run %s: not found", id) : rc;
}

/* The partition to filter by: 0 for any. *none: there is no such queue, so nothing to list. */
static int
filter_queue(struct sqlite *s, const char *queue, int32_t *partition, bool *none, struct err *err)
{
    *partition = 0;
    *none = false;
    if (queue == NULL)
        return HF_OK;
    TRY(queue_find(s, queue, partition, err));
    *none = *partition == 0;
    return HF_OK;
}

int
sqlite_run_list(struct store *base, const struct run_filter *f, struct arena *a,
                struct run_row **out, size_t *n, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    int32_t        partition = 0;
    bool           none = false;
    void          *rows = NULL;

    *out = NULL;
    *n = 0;
    TRY(filter_queue(s, f->queue, &partition, &none, err));
    if (none)
        return HF_OK;
    /* Waiting runs may be most of the table: they are found by time like those that have ended. */
    bool          live = f->status >= 0 && f->status <= RUN_BLOCKED && f->status != RUN_WAITING;
    sqlite3_stmt *q = sql_get(s, live ? SQL_run_list_live : SQL_run_list, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, f->before_us ? f->before_us : INT64_MAX);
    bind_int(q, 2, f->status);
    bind_text(q, 3, f->workflow);
    bind_int(q, 4, partition);
    bind_int(q, 5, f->limit);
    TRY(all_rows(s, q, SHAPE_RUN, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

static int
history_of(struct sqlite *s, int64_t run_no, int execution, struct arena *a,
           struct history_row **out, size_t *n, struct err *err)
{
    void         *rows = NULL;
    sqlite3_stmt *q = sql_get(s, SQL_history_of, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, run_no);
    bind_int(q, 2, execution);
    TRY(all_rows(s, q, SHAPE_HISTORY, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

int
sqlite_history(struct store *base, int64_t run_no, int execution, struct arena *a,
               struct history_row **out, size_t *n, struct err *err)
{
    *out = NULL;
    *n = 0;
    return history_of(sqlite_of(base), run_no, execution, a, out, n, err);
}

int
sqlite_inbox_list(struct store *base, int64_t run_no, struct arena *a, struct inbox_row **out,
                  size_t *n, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    void          *rows = NULL;
    sqlite3_stmt  *q = sql_get(s, SQL_inbox_of_run, err);
    *out = NULL;
    *n = 0;
    if (q == NULL)
        return err->code;
    bind_int(q, 1, run_no);
    TRY(all_rows(s, q, SHAPE_INBOX, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

int
sqlite_children(struct store *base, int64_t run_no, struct arena *a, struct run_row **out,
                size_t *n, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    void          *rows = NULL;
    sqlite3_stmt  *q = sql_get(s, SQL_run_children, err);
    *out = NULL;
    *n = 0;
    if (q == NULL)
        return err->code;
    bind_int(q, 1, run_no);
    TRY(all_rows(s, q, SHAPE_RUN, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

int
sqlite_task_get(struct store *base, const char *id, struct arena *a, struct task_row *out,
                struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    int64_t        no = task_id_parse(id);
    sqlite3_stmt  *q;
    int            rc = HF_NOT_FOUND;

    if (no) {
        if ((q = sql_get(s, SQL_task_by_no, err)) == NULL)
            return err->code;
        bind_int(q, 1, no);
        rc = one_row(s, q, SHAPE_TASK, a, out, err);
        if (rc == HF_OK && out->id) /* it has a name of its own, so this is not its id */
            rc = HF_NOT_FOUND;
    }
    if (rc == HF_NOT_FOUND) {
        if ((q = sql_get(s, SQL_task_by_id, err)) == NULL)
            return err->code;
        bind_text(q, 1, id);
        rc = one_row(s, q, SHAPE_TASK, a, out, err);
    }
    return rc == HF_NOT_FOUND ? err_set(err, rc, "task %s: not found", id) : rc;
}

int
sqlite_dead_get(struct store *base, const char *id, struct arena *a, struct dead_row *out,
                struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    sqlite3_stmt  *q = sql_get(s, SQL_dead_by_id, err);
    if (q == NULL)
        return err->code;
    bind_text(q, 1, id);
    int rc = one_row(s, q, SHAPE_DEAD, a, out, err);
    return rc == HF_NOT_FOUND ? err_set(err, rc, "dead letter %s: not found", id) : rc;
}

static int
list_tasks(struct sqlite *s, enum sql id, enum shape shape, const struct task_filter *f,
           struct arena *a, void **out, size_t *n, struct err *err)
{
    int32_t       partition = 0;
    bool          none = false;
    sqlite3_stmt *q = sql_get(s, id, err);
    if (q == NULL)
        return err->code;
    TRY(filter_queue(s, f->queue, &partition, &none, err));
    if (none)
        return HF_OK;
    bind_int(q, 1, f->after_no);
    bind_text(q, 2, f->name);
    bind_int(q, 3, partition);
    bind_int(q, 4, f->limit);
    if (id == SQL_task_list_of_run)
        bind_int(q, 5, f->run_no);
    return all_rows(s, q, shape, a, out, n, err);
}

int
sqlite_task_list(struct store *base, const struct task_filter *f, struct arena *a,
                 struct task_row **out, size_t *n, struct err *err)
{
    void    *rows = NULL;
    enum sql id = f->run_no ? SQL_task_list_of_run : SQL_task_list;
    *out = NULL;
    *n = 0;
    TRY(list_tasks(sqlite_of(base), id, SHAPE_TASK, f, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

int
sqlite_dead_list(struct store *base, const struct task_filter *f, struct arena *a,
                 struct dead_row **out, size_t *n, struct err *err)
{
    void *rows = NULL;
    *out = NULL;
    *n = 0;
    if (f->run_no) /* called tasks do not become dead letters */
        return HF_OK;
    TRY(list_tasks(sqlite_of(base), SQL_dead_list, SHAPE_DEAD, f, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

static int
load_one(struct sqlite *s, int64_t no, struct arena *a, struct loaded *out, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_run_by_no, err);
    *out = (struct loaded){0};
    if (q == NULL)
        return err->code;
    bind_int(q, 1, no);
    int rc = one_row(s, q, SHAPE_RUN, a, &out->run, err);
    if (rc == HF_NOT_FOUND)
        return HF_OK;
    out->found = rc == HF_OK;
    if (rc != HF_OK)
        return rc;
    return history_of(s, no, out->run.execution, a, &out->history, &out->n_history, err);
}

int
sqlite_load(struct store *base, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
            struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    int            rc = HF_OK;
    TRY(sqlite_begin_read(s, err));
    for (size_t i = 0; i < n && rc == HF_OK; i++)
        rc = load_one(s, nos[i], a, &out[i], err);
    if (rc == HF_OK)
        return sqlite_commit(s, err);
    sqlite_rollback(s);
    return rc;
}

static int
load_task(struct sqlite *s, int64_t no, struct arena *a, struct task_row *out, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_task_by_no, err);
    *out = (struct task_row){0};
    if (q == NULL)
        return err->code;
    bind_int(q, 1, no);
    int rc = one_row(s, q, SHAPE_TASK, a, out, err);
    return rc == HF_NOT_FOUND ? HF_OK : rc;
}

int
sqlite_load_tasks(struct store *base, const int64_t *nos, size_t n, struct arena *a,
                  struct task_row *out, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    int            rc = HF_OK;
    TRY(sqlite_begin_read(s, err));
    for (size_t i = 0; i < n && rc == HF_OK; i++)
        rc = load_task(s, nos[i], a, &out[i], err);
    if (rc == HF_OK)
        return sqlite_commit(s, err);
    sqlite_rollback(s);
    return rc;
}
