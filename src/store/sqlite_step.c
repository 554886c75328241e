/*
 * SQL steps: a statement of the user's and the history row that records its result, in one
 * transaction. The connection is used for nothing else: it keeps foreign keys, and what would end
 * the transaction or reach behind Holdfast's back is refused by an authorizer.
 */
#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY = 20000 }; /* steps of SQLite's machine between looks at the clock */

struct deadline {
    int64_t us; /* steady clock */
};

/* ---- what a statement may not do */

static bool
is_in(const char *name, const char *const *list)
{
    for (; name && *list; list++)
        if (sqlite3_stricmp(name, *list) == 0)
            return true;
    return false;
}

static bool
is_ours(const char *table)
{
    return table && sqlite3_strnicmp(table, "hf_", 3) == 0;
}

static int
authorize(void *arg, int action, const char *first, const char *second, const char *database,
          const char *trigger)
{
    static const char *const reading[] = {"quick_check",      "table_info", "table_xinfo",
                                          "table_list",       "index_list", "index_info",
                                          "foreign_key_list", NULL};
    const struct sqlite     *s = arg;
    bool                     refused = false;

    (void)database, (void)trigger;
    if (!s->in_step)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        refused = true;
        break;
    case SQLITE_PRAGMA:
        refused = !is_in(first, reading);
        break;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_DROP_TABLE:
        refused = is_ours(first);
        break;
    case SQLITE_ALTER_TABLE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TRIGGER:
        refused = is_ours(second);
        break;
    }
    return refused ? SQLITE_DENY : SQLITE_OK;
}

/* ---- errors */

static const char *
name_of_code(int rc)
{
    static const struct {
        int         code;
        const char *name;
    } names[] = {
#define N(code) {code, #code}
        N(SQLITE_ERROR),
        N(SQLITE_AUTH),
        N(SQLITE_ABORT),
        N(SQLITE_CONSTRAINT),
        N(SQLITE_CONSTRAINT_CHECK),
        N(SQLITE_CONSTRAINT_COMMITHOOK),
        N(SQLITE_CONSTRAINT_DATATYPE),
        N(SQLITE_CONSTRAINT_FOREIGNKEY),
        N(SQLITE_CONSTRAINT_FUNCTION),
        N(SQLITE_CONSTRAINT_NOTNULL),
        N(SQLITE_CONSTRAINT_PRIMARYKEY),
        N(SQLITE_CONSTRAINT_ROWID),
        N(SQLITE_CONSTRAINT_TRIGGER),
        N(SQLITE_CONSTRAINT_UNIQUE),
        N(SQLITE_CONSTRAINT_VTAB),
        N(SQLITE_MISMATCH),
        N(SQLITE_RANGE),
        N(SQLITE_SCHEMA),
        N(SQLITE_TOOBIG),
#undef N
    };
    const char *primary = "SQLITE_ERROR";

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].code == rc)
            return names[i].name;
        if (names[i].code == (rc & 0xff))
            primary = names[i].name;
    }
    return primary;
}

static int
refuse(struct sql_step *step, int rc, const char *why, struct err *err)
{
    const char *name = name_of_code(rc);
    memcpy(step->error_name, name, strlen(name) + 1);
    return err_set(err, HF_FAILED, "%s", why);
}

/* Whether the statement is to blame or the store. */
static int
fail(struct sqlite *s, struct sql_step *step, struct err *err)
{
    int rc = sqlite3_extended_errcode(s->db), primary = rc & 0xff;

    if (primary == SQLITE_INTERRUPT)
        return err_set(err, HF_TIMEOUT, "the statement took longer than %lld ms",
                       (long long)(step->timeout_us / US_PER_MS));
    if (primary == SQLITE_AUTH)
        return refuse(
            step, rc,
            "not allowed in a step: transaction control, pragmas, attached files, changes "
            "of tables hf_*",
            err);
    int code = sqlite_code(rc);
    if (code == HF_UNAVAILABLE || code == HF_NOMEM || code == HF_CORRUPT)
        return sqlite_fail(s, rc, "hf_sql", err);
    return refuse(step, rc, sqlite3_errmsg(s->db), err);
}

/* ---- the statement */

/* Statements after the first one are refused; comments are none. */
static int
check_tail(struct sqlite *s, struct sql_step *step, const char *tail, struct err *err)
{
    sqlite3_stmt *q = NULL;

    if (tail[strspn(tail, " \t\r\n;")] == '\0')
        return HF_OK;
    while (*tail) {
        const char *from = tail;
        int         rc = sqlite3_prepare_v2(s->db, from, -1, &q, &tail);
        bool        more = rc != SQLITE_OK || q != NULL;
        sqlite3_finalize(q);
        if (more)
            return refuse(step, SQLITE_ERROR, "one statement only", err);
        if (tail == from)
            break;
    }
    return HF_OK;
}

static int
prepare(struct sqlite *s, struct sql_step *step, sqlite3_stmt **out, struct err *err)
{
    const char *tail = "";
    int         rc = sqlite3_prepare_v2(s->db, step->statement, -1, out, &tail);

    if (rc != SQLITE_OK)
        return fail(s, step, err);
    if (*out == NULL)
        return refuse(step, SQLITE_ERROR, "no statement", err);
    return check_tail(s, step, tail, err);
}

/* The number in "$2" or "?2"; 0: it is no such name. */
static size_t
number_of(const char *name)
{
    char         *end = NULL;
    unsigned long n = *name == '$' || *name == '?' ? strtoul(name + 1, &end, 10) : 0;
    return end && *end == '\0' && n <= 32766 ? n : 0;
}

static void
bind_number(sqlite3_stmt *q, int i, const char *text)
{
    char     *end;
    long long n;

    n = strtoll(text, &end, 10);
    bool is_whole = *end == '\0' && strlen(text) <= 18;
    if (is_whole)
        sqlite3_bind_int64(q, i, n);
    else
        sqlite3_bind_double(q, i, sqlite_real(text));
}

static void
bind_param(sqlite3_stmt *q, int i, const struct sql_param *p)
{
    switch (p->kind) {
    case SQL_NULL:
        sqlite3_bind_null(q, i);
        break;
    case SQL_NUMBER:
        bind_number(q, i, p->text);
        break;
    case SQL_BOOL:
        sqlite3_bind_int(q, i, p->text[0] == 't');
        break;
    default:
        bind_text(q, i, p->text);
    }
}

static int
bind_all(sqlite3_stmt *q, struct sql_step *step, struct err *err)
{
    int    count = sqlite3_bind_parameter_count(q);
    size_t last = 0;
    char   why[120];

    for (int i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(q, i);
        size_t      n = name ? number_of(name) : (size_t)i; /* a plain ?, or room left by ?2 */
        if (n == 0)
            return refuse(step, SQLITE_RANGE, "parameters are $1, $2, ...", err);
        last = n > last ? n : last;
        if (n <= step->n_params)
            bind_param(q, i, &step->params[n - 1]);
    }
    if (last == step->n_params)
        return HF_OK;
    snprintf(why, sizeof(why), "the statement has parameters up to $%zu, %zu were given", last,
             step->n_params);
    return refuse(step, SQLITE_RANGE, why, err);
}

static int
is_late(void *arg)
{
    const struct deadline *d = arg;
    return clock_steady_us() > d->us;
}

/* Column by column; HF_FAILED for what is no text. */
static int
read_rows(struct sqlite *s, struct sql_step *step, sqlite3_stmt *q, struct buf *rows,
          struct err *err)
{
    int rc, bad;

    buf_putc(rows, '[');
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (rows->len > 1)
            buf_putc(rows, ',');
        if ((bad = sqlite_row_json(q, rows)) >= 0) {
            char why[200];
            snprintf(why, sizeof(why), "column %.100s holds bytes that are no UTF-8",
                     sqlite3_column_name(q, bad));
            return refuse(step, SQLITE_MISMATCH, why, err);
        }
        if (rows->len > HF_PAYLOAD_MAX)
            return err_set(err, HF_TOO_BIG, "the result has over %d bytes", HF_PAYLOAD_MAX);
    }
    if (rc != SQLITE_DONE)
        return fail(s, step, err);
    buf_putc(rows, ']');
    return rows->failed ? err_nomem(err) : HF_OK;
}

static int
run_statement(struct sqlite *s, struct sql_step *step, struct buf *rows, struct err *err)
{
    struct deadline deadline = {clock_steady_us() + step->timeout_us};
    sqlite3_stmt   *q = NULL;

    s->in_step = true;
    sqlite3_progress_handler(s->db, LOOK_EVERY, is_late, &deadline);
    int rc = prepare(s, step, &q, err);
    if (rc == HF_OK)
        rc = bind_all(q, step, err);
    if (rc == HF_OK)
        rc = read_rows(s, step, q, rows, err);
    sqlite3_finalize(q);
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    s->in_step = false;
    return rc;
}

/* ---- the transaction */

/* Whether the run is the worker's, and where the worker has it. */
static int
check_run(struct sqlite *s, const struct sql_step *step, struct err *err)
{
    int64_t       execution = 0;
    sqlite3_stmt *q = sql_get(s, SQL_run_execution, err);

    if (q == NULL)
        return err->code;
    TRY(sqlite_fence(s, step->worker, err));
    bind_int(q, 1, step->run_no);
    TRY(sql_int(s, q, 0, &execution, err));
    return execution == step->execution
               ? HF_OK
               : err_set(err, HF_STALE, "run %lld is not in execution %d any more",
                         (long long)step->run_no, step->execution);
}

static int
write_history(struct sqlite *s, struct sql_step *step, const char *result, struct err *err)
{
    struct history_row row = {
        .run_no = step->run_no, .execution = step->execution, .seq = step->seq};

    TRY(step->record(step->arg, result, &row.events, &row.events_len, err));
    return sqlite_write_history(s, &row, err);
}

/* What is only checked at the end is the statement's error, not the store's. */
static int
check_foreign_keys(struct sqlite *s, struct sql_step *step, struct err *err)
{
    int open = 0, high = 0;
    sqlite3_db_status(s->db, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &high, 0);
    return open ? refuse(step, SQLITE_CONSTRAINT_FOREIGNKEY, "FOREIGN KEY constraint failed", err)
                : HF_OK;
}

static int
run_in_transaction(struct sqlite *s, struct sql_step *step, struct buf *rows, struct err *err)
{
    TRY(check_run(s, step, err));
    TRY(run_statement(s, step, rows, err));
    TRY(check_foreign_keys(s, step, err));
    return write_history(s, step, rows->data, err);
}

static int
set_up(struct sqlite *s, struct err *err)
{
    if (s->for_steps)
        return HF_OK;
    TRY(sql_exec(s, SQL_keep_foreign_keys, err));
    sqlite3_set_authorizer(s->db, authorize, s);
    s->for_steps = true;
    return HF_OK;
}

int
sqlite_sql_step(struct store *base, struct sql_step *step, struct arena *a, const char **result,
                struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    struct buf     rows = {0};

    *result = NULL;
    step->error_name[0] = '\0';
    TRY(set_up(s, err));
    TRY(sqlite_begin_write(s, err));
    int rc = run_in_transaction(s, step, &rows, err);
    if (rc == HF_OK && (*result = arena_strndup(a, rows.data, rows.len)) == NULL)
        rc = err_nomem(err);
    buf_release(&rows);
    if (rc == HF_OK)
        return sqlite_commit(s, err);
    sqlite_rollback(s);
    return rc;
}
