/*
 * SQL steps: a statement of the user's and the history row that records its result, in one
 * transaction, two roundtrips: [begin, settings, the statement], then [fence, history, commit]. The
 * fence comes behind the statement, since it locks the partition's row, which the statement may
 * keep waiting for another program's locks: it counts only that it stands at the commit.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "store/postgres.h"

enum { TRIES = 10, FIRST_WAIT_MS = 2, MARGIN_US = 15 * 1000000, PARAMS_MAX = 32767 };

/* ---- what is refused */

/* Behind blanks and comments. */
static const char *
first_word(const char *at)
{
    for (;;) {
        at += strspn(at, " \t\r\n\f\v;");
        if (strncmp(at, "--", 2) == 0) {
            at += strcspn(at, "\n");
        } else if (strncmp(at, "/*", 2) == 0) {
            int depth = 1;
            for (at += 2; *at && depth > 0;) {
                int step = strncmp(at, "/*", 2) == 0 ? 1 : strncmp(at, "*/", 2) == 0 ? -1 : 0;
                depth += step;
                at += step ? 2 : 1;
            }
        } else {
            return at;
        }
    }
}

/* What would end the transaction, change the session, or speak another protocol. */
static int
check_statement(struct sql_step *step, struct err *err)
{
    static const char *const refused[] = {
        "begin",      "start",   "commit",   "end",     "rollback", "abort",
        "savepoint",  "release", "copy",     "prepare", "set",      "execute",
        "deallocate", "listen",  "unlisten", "discard", "reset"};
    const char *word = first_word(step->statement);
    size_t      n = 0;

    memcpy(step->error_name, "0A000", 6);
    if (*word == '\0')
        return err_set(err, HF_FAILED, "no statement");
    while (isalpha((unsigned char)word[n]))
        n++;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (strlen(refused[i]) == n && strncasecmp(word, refused[i], n) == 0)
            return err_set(err, HF_FAILED, "%s is not allowed in a step", refused[i]);
    if (step->n_params > PARAMS_MAX)
        return err_set(err, HF_FAILED, "over %d parameters", PARAMS_MAX);
    return HF_OK;
}

/* Whether the statement is to blame, or the server, by what it said. */
static int
judge(struct postgres *s, struct sql_step *step, int rc, struct err *err)
{
    const char *state = s->sqlstate;

    if (s->lost.code || *state == '\0' || rc == HF_NOMEM || rc == HF_UNKNOWN)
        return rc;
    if (strcmp(state, "57014") == 0)
        return err_set(err, HF_TIMEOUT, "the statement took longer than %lld ms",
                       (long long)(step->timeout_us / US_PER_MS));
    bool server = strncmp(state, "57", 2) == 0 || strncmp(state, "53", 2) == 0 ||
                  strncmp(state, "58", 2) == 0 || strncmp(state, "XX", 2) == 0 ||
                  strcmp(state, "25006") == 0;
    if (server)
        return rc;
    memcpy(step->error_name, state, strlen(state) + 1);
    return err_set(err, HF_FAILED, "%s", s->said);
}

/* ---- the transaction */

static void
send_statement(struct postgres *s, const struct sql_step *step, const char *const *values)
{
    pg_begin(s);
    if (s->pooled || s->step_epoch != s->epoch) {
        struct pg_args *a = pg_args(s);
        pg_put_bool(a, s->pooled);
        pg_send(s, PG_step_settings, a);
    }
    struct pg_args *a = pg_args(s);
    pg_put_int8(a, step->timeout_us / US_PER_MS);
    pg_send(s, PG_step_timeout, a);
    a = pg_args(s);
    pg_put_int8(a, step->run_no);
    pg_send(s, PG_step_execution, a);
    pg_send_user(s, PG_step_timeout, step->statement, (int)step->n_params, values);
    pg_sync(s);
}

static int
read_statement(struct postgres *s, struct sql_step *step, bool settings, struct buf *rows,
               struct err *err)
{
    if (settings)
        TRY(pg_result(s, err));
    TRY(pg_result(s, err));
    TRY(pg_result(s, err));
    int64_t execution = pg_rows(s) ? pg_get_int(s, 0, 0) : 0;
    int     rc = pg_result(s, err);
    if (rc)
        return judge(s, step, rc, err);
    if (execution != step->execution)
        return err_set(err, HF_STALE, "run %lld is not in execution %d any more",
                       (long long)step->run_no, step->execution);
    return pg_rows_json(s, rows, err);
}

static int
run_statement(struct postgres *s, struct sql_step *step, const char *const *values,
              struct buf *rows, struct err *err)
{
    struct err ignored = {0};
    bool       settings = s->pooled || s->step_epoch != s->epoch;

    s->sqlstate[0] = '\0';
    send_statement(s, step, values);
    int rc = read_statement(s, step, settings, rows, err);
    if (rc)
        return rc;
    TRY(pg_synced(s, &ignored) ? err_set(err, ignored.code, "%s", ignored.text) : HF_OK);
    return PQtransactionStatus(s->conn) == PQTRANS_INTRANS
               ? HF_OK
               : err_set(err, HF_INVALID, "the statement has ended its transaction");
}

static void
send_record(struct postgres *s, const struct sql_step *step, const char *events, size_t len)
{
    struct pg_args *a = pg_args(s);
    pg_put_int8(a, step->worker);
    pg_add_int2(a, pg_array(a, PG_INT2), row_partition(step->run_no));
    pg_send(s, PG_commit_fence, a);
    a = pg_args(s);
    pg_add_int8(a, pg_array(a, PG_INT8), step->run_no);
    pg_add_int4(a, pg_array(a, PG_INT4), step->execution);
    pg_add_int4(a, pg_array(a, PG_INT4), step->seq);
    pg_add_text_n(a, pg_array(a, PG_TEXT), events, len);
    pg_send(s, PG_commit_history, a);
    pg_commit(s);
}

/* What is only checked at the commit is the statement's error too. */
static int
record(struct postgres *s, struct sql_step *step, const char *result, struct err *err)
{
    const char *events = NULL;
    size_t      len = 0;

    TRY(step->record(step->arg, result, &events, &len, err));
    s->sqlstate[0] = '\0';
    send_record(s, step, events, len);
    TRY(pg_result(s, err));
    int rc = pg_result(s, err);
    if (rc && strcmp(s->sqlstate, "23505") == 0)
        return err_set(err, HF_STALE, "history row %d of execution %d is there already", step->seq,
                       step->execution);
    TRY(rc);
    rc = pg_synced(s, err);
    return rc ? judge(s, step, rc, err) : HF_OK;
}

static int
run_once(struct postgres *s, struct sql_step *step, const char *const *values, struct buf *rows,
         struct err *err)
{
    int64_t patience_us = s->patience_us;

    TRY(pg_ready(s, err));
    TRY(pg_serve(s, step->worker, false, err));
    buf_clear(rows);
    s->patience_us = step->timeout_us + MARGIN_US;
    int rc = run_statement(s, step, values, rows, err);
    if (rc == HF_OK)
        rc = record(s, step, rows->data, err);
    s->patience_us = patience_us;
    if (rc == HF_OK)
        s->step_epoch = s->epoch;
    else
        pg_rollback(s);
    return rc;
}

static int
try_often(struct postgres *s, struct sql_step *step, const char *const *values, struct buf *rows,
          struct err *err)
{
    int ms = FIRST_WAIT_MS;

    for (int tries = 1;; tries++, ms *= 2) {
        int rc = run_once(s, step, values, rows, err);
        if (rc != HF_FAILED || tries == TRIES || !pg_try_again(s))
            return rc;
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
    }
}

int
postgres_sql_step(struct store *base, struct sql_step *step, struct arena *a, const char **result,
                  struct err *err)
{
    struct postgres *s = postgres_of(base);
    struct buf       rows = {0};
    const char     **values = arena_alloc(a, (step->n_params + 1) * sizeof(*values));

    *result = NULL;
    step->error_name[0] = '\0';
    if (values == NULL)
        return err_nomem(err);
    TRY(check_statement(step, err));
    for (size_t i = 0; i < step->n_params; i++)
        values[i] = step->params[i].kind == SQL_NULL ? NULL : step->params[i].text;
    int rc = try_often(s, step, values, &rows, err);
    if (rc == HF_OK && (*result = arena_strndup(a, rows.data, rows.len)) == NULL)
        rc = err_set(err, HF_UNKNOWN, "out of memory"); /* it has happened */
    buf_release(&rows);
    if (rc == HF_UNKNOWN) { /* the old backend has to be gone before the run is read */
        struct err ignored = {0};
        if (pg_ready(s, &ignored))
            return rc;
    }
    return rc;
}
