/* Reading verbs for people: each is one statement in a transaction of its own, one roundtrip. */
#include "store/postgres_read.h"

#include <string.h>

void
pg_send_read(struct postgres *s, enum pg_sql id, struct pg_args *args)
{
    pg_begin_read(s);
    pg_send(s, id, args);
    pg_end_read(s);
}

/* Sends, and takes all rows. */
static int
read_rows(struct postgres *s, enum pg_sql id, struct pg_args *args, enum pg_shape shape,
          struct arena *a, void **out, size_t *n, struct err *err)
{
    struct err own = {0};
    void      *rows = NULL;
    size_t     count = 0;

    pg_send_read(s, id, args);
    int taken = pg_take_rows(s, shape, a, &rows, &count, &own);
    TRY(pg_synced(s, err));
    if (taken != HF_OK) {
        *err = own;
        return taken;
    }
    *out = rows;
    *n = count;
    return HF_OK;
}

/* The one row, or HF_NOT_FOUND without a text. The array that it comes in stays in the arena. */
static int
read_one(struct postgres *s, enum pg_sql id, struct pg_args *args, enum pg_shape shape,
         struct arena *a, void *out, size_t size, struct err *err)
{
    void  *rows;
    size_t n;

    TRY(read_rows(s, id, args, shape, a, &rows, &n, err));
    if (n == 0)
        return HF_NOT_FOUND;
    memcpy(out, rows, size);
    return HF_OK;
}

int
postgres_run_get(struct store *base, const char *id, struct arena *a, struct run_row *out,
                 struct err *err)
{
    struct postgres *s = postgres_of(base);

    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_text(args, id);
    int rc = read_one(s, PG_run_by_id, args, PG_RUN_ROWS, a, out, sizeof(*out), err);
    return rc == HF_NOT_FOUND ? err_set(err, rc, "run %s: not found", id) : rc;
}

/* Those of a status that has an index, of which there are few, are not looked for in the whole. */
static enum pg_sql
list_statement(int status)
{
    switch (status) {
    case RUN_RUNNING:
        return PG_run_list_running;
    case RUN_PAUSED:
        return PG_run_list_paused;
    case RUN_BLOCKED:
        return PG_run_list_blocked;
    default:
        return PG_run_list;
    }
}

int
postgres_run_list(struct store *base, const struct run_filter *f, struct arena *a,
                  struct run_row **out, size_t *n, struct err *err)
{
    struct postgres *s = postgres_of(base);
    void            *rows;

    *out = NULL;
    *n = 0;
    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_int8(args, f->before_us ? f->before_us : INT64_MAX);
    pg_put_int4(args, f->status);
    pg_put_text(args, f->workflow);
    pg_put_text(args, f->queue);
    pg_put_int8(args, f->limit < 0 ? INT32_MAX : f->limit);
    TRY(read_rows(s, list_statement(f->status), args, PG_RUN_ROWS, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

int
postgres_history(struct store *base, int64_t run_no, int execution, struct arena *a,
                 struct history_row **out, size_t *n, struct err *err)
{
    struct postgres *s = postgres_of(base);
    void            *rows;

    *out = NULL;
    *n = 0;
    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_int8(args, run_no);
    pg_put_int4(args, execution);
    TRY(read_rows(s, PG_history_of, args, PG_HISTORY_ROWS, a, &rows, n, err));
    *out = rows;
    return HF_OK;
}

/* Rows that belong to one run. */
static int
rows_of_run(struct store *base, enum pg_sql id, int64_t run_no, enum pg_shape shape,
            struct arena *a, void **out, size_t *n, struct err *err)
{
    struct postgres *s = postgres_of(base);

    *out = NULL;
    *n = 0;
    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_int8(args, run_no);
    return read_rows(s, id, args, shape, a, out, n, err);
}

int
postgres_inbox_list(struct store *base, int64_t run_no, struct arena *a, struct inbox_row **out,
                    size_t *n, struct err *err)
{
    void *rows;
    int   rc = rows_of_run(base, PG_inbox_of_run, run_no, PG_INBOX_ROWS, a, &rows, n, err);
    *out = rows;
    return rc;
}

int
postgres_children(struct store *base, int64_t run_no, struct arena *a, struct run_row **out,
                  size_t *n, struct err *err)
{
    void *rows;
    int   rc = rows_of_run(base, PG_run_children, run_no, PG_RUN_ROWS, a, &rows, n, err);
    *out = rows;
    return rc;
}

int
postgres_task_get(struct store *base, const char *id, struct arena *a, struct task_row *out,
                  struct err *err)
{
    struct postgres *s = postgres_of(base);

    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_text(args, id);
    pg_put_int8(args, task_id_parse(id));
    int rc = read_one(s, PG_task_by_id, args, PG_TASK_ROWS, a, out, sizeof(*out), err);
    return rc == HF_NOT_FOUND ? err_set(err, rc, "task %s: not found", id) : rc;
}

int
postgres_dead_get(struct store *base, const char *id, struct arena *a, struct dead_row *out,
                  struct err *err)
{
    struct postgres *s = postgres_of(base);

    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_text(args, id);
    int rc = read_one(s, PG_dead_by_id, args, PG_DEAD_ROWS, a, out, sizeof(*out), err);
    return rc == HF_NOT_FOUND ? err_set(err, rc, "dead letter %s: not found", id) : rc;
}

static int
list_tasks(struct store *base, enum pg_sql id, enum pg_shape shape, const struct task_filter *f,
           struct arena *a, void **out, size_t *n, struct err *err)
{
    struct postgres *s = postgres_of(base);

    *out = NULL;
    *n = 0;
    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_put_int8(args, f->after_no);
    pg_put_text(args, f->name);
    pg_put_text(args, f->queue);
    pg_put_int8(args, f->limit < 0 ? INT32_MAX : f->limit);
    if (id == PG_task_list_of_run)
        pg_put_int8(args, f->run_no);
    return read_rows(s, id, args, shape, a, out, n, err);
}

int
postgres_task_list(struct store *base, const struct task_filter *f, struct arena *a,
                   struct task_row **out, size_t *n, struct err *err)
{
    enum pg_sql id = f->run_no ? PG_task_list_of_run : PG_task_list;
    void       *rows;
    int         rc = list_tasks(base, id, PG_TASK_ROWS, f, a, &rows, n, err);
    *out = rows;
    return rc;
}

int
postgres_dead_list(struct store *base, const struct task_filter *f, struct arena *a,
                   struct dead_row **out, size_t *n, struct err *err)
{
    void *rows = NULL;
    int   rc = HF_OK;

    *n = 0;
    if (f->run_no == 0) /* called tasks do not become dead letters */
        rc = list_tasks(base, PG_dead_list, PG_DEAD_ROWS, f, a, &rows, n, err);
    *out = rows;
    return rc;
}
