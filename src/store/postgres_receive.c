/* The receiving half of the pipeline of one connection: see postgres_pipeline.h. */
#include <string.h>

#include "store/postgres_pipeline.h"

enum { NOTHINGS_MAX = 10 };

bool
pg_in_doubt(const struct postgres *s)
{
    for (size_t i = s->first; i < s->n_expected; i++)
        if (s->expected[i].kind == EXPECT_DOUBTFUL_SYNC)
            return true;
    return false;
}

/* The next PGresult, which may be NULL: the end of a statement's. False: lost. */
static bool
receive(struct postgres *s, PGresult **out)
{
    *out = NULL;
    if (s->lost.code)
        return false;
    while (PQisBusy(s->conn))
        if (!pg_wait_socket(s, false)) {
            if (s->lost.code == 0 && !PQisBusy(s->conn))
                break; /* it said why */
            pg_lose_connection(s);
            return false;
        }
    *out = PQgetResult(s->conn);
    return true;
}

/* Errors after which the connection is of no use: prepared statements that are not what we think.
 */
static bool
spoils(const char *state, const char *text)
{
    return strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0 ||
           (strcmp(state, "0A000") == 0 && text && strstr(text, "cached plan"));
}

static void
note_failure(struct postgres *s, const PGresult *result, enum pg_sql id)
{
    if (s->failed.code)
        return;
    pg_fail(s, result, pg_sql_name(id), &s->failed);
    if (spoils(s->sqlstate, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY))) {
        s->failed.code = HF_UNAVAILABLE;
        pg_lose(s, HF_UNAVAILABLE, s->failed.text);
    }
}

static void
note_result(struct postgres *s, const PGresult *result, const struct pg_expected *e)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        if (e->kind == EXPECT_PREPARED)
            s->prepared[e->id] = PREPARED;
        else if (e->id == PG_commit && strcmp(PQcmdStatus((PGresult *)result), "ROLLBACK") == 0 &&
                 s->failed.code == 0)
            err_set(&s->failed, HF_UNAVAILABLE, "%s: the server has rolled back", s->target.where);
        return;
    case PGRES_PIPELINE_ABORTED:
        if (s->failed.code == 0)
            err_set(&s->failed, HF_INTERNAL, "%s: %s: skipped", s->target.where,
                    pg_sql_name(e->id));
        break;
    default:
        note_failure(s, result, e->id);
    }
    if (e->kind == EXPECT_PREPARED && s->prepared[e->id] == BEING_PREPARED)
        s->prepared[e->id] = NOT_PREPARED;
}

/*
 * The connection ended with an error. If the server said it instead of doing a statement, or had
 * refused one before, nothing was committed. Said instead of the answer to a commit, or behind that
 * answer, it says nothing: the server ends connections right after a commit, too. And a crash of
 * another backend says it at any time.
 */
static void
lose_with(struct postgres *s, const struct pg_expected *e, bool refused)
{
    bool said = s->failed.code && s->sqlstate[0] && strcmp(s->sqlstate, "57P02") != 0;
    bool before_commit = e->kind < EXPECT_SYNC && e->id != PG_commit;
    if (said && (refused || before_commit) && s->lost.code == 0)
        s->lost = s->failed;
    else
        s->failed = (struct err){0};
    pg_lose_connection(s);
}

/* An answer of which there is nothing: the connection has ended, and libpq has put its last words
 * elsewhere. Taken for an end it would pass for success. */
static bool
is_missing(struct postgres *s, int *nothings)
{
    if (PQstatus(s->conn) != CONNECTION_BAD && ++*nothings < NOTHINGS_MAX)
        return false;
    if (PQstatus(s->conn) == CONNECTION_BAD)
        pg_lose_connection(s);
    else
        pg_lose(s, HF_UNAVAILABLE, "an answer of the server is missing");
    return true;
}

/* Reads what is expected next. Its result is kept in s->result, if it is one to be looked at. */
static void
take_next(struct postgres *s)
{
    struct pg_expected e = s->expected[s->first];
    PGresult          *result;
    bool               refused = s->failed.code != HF_OK, any = false;
    int                nothings = 0;

    PQclear(s->result);
    s->result = NULL;
    for (;;) {
        if (!receive(s, &result))
            return;
        if (result == NULL) {
            if (any && e.kind < EXPECT_SYNC)
                break;
            if (is_missing(s, &nothings))
                return;
            continue;
        }
        any = true;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            break;
        }
        note_result(s, result, &e);
        if (e.kind >= EXPECT_PLAN && e.kind < EXPECT_SYNC && s->explain && s->failed.code == 0)
            pg_explain_take(s, e.id, e.kind - EXPECT_PLAN, result);
        bool keep = e.kind == EXPECT_RESULT && s->failed.code == 0 && s->result == NULL;
        if (keep)
            s->result = result;
        else
            PQclear(result);
        if (PQstatus(s->conn) == CONNECTION_BAD) {
            lose_with(s, &e, refused);
            return;
        }
    }
    s->first++;
}

static int
tell(const struct err *from, struct err *err)
{
    if (err)
        *err = *from;
    return from->code;
}

int
pg_result(struct postgres *s, struct err *err)
{
    for (;;) {
        if (s->failed.code)
            return tell(&s->failed, err);
        if (s->lost.code)
            return tell(&s->lost, err);
        if (s->first == s->n_expected || s->expected[s->first].kind >= EXPECT_SYNC)
            return err_set(err, HF_INTERNAL, "%s: no more results", s->target.where);
        enum expect kind = s->expected[s->first].kind;
        take_next(s);
        if (kind == EXPECT_RESULT && s->failed.code == 0 && s->lost.code == 0)
            return HF_OK;
    }
}

static void
send_rollback(struct postgres *s)
{
    pg_send_quiet(s, PG_rollback);
    pg_sync(s);
}

/* To the end of the section; its first error stays in s->failed. */
static void
finish_section(struct postgres *s)
{
    bool end = false;
    while (!end && s->lost.code == 0 && s->first < s->n_expected) {
        end = s->expected[s->first].kind >= EXPECT_SYNC;
        take_next(s);
    }
    PQclear(s->result);
    s->result = NULL;
}

int
pg_synced(struct postgres *s, struct err *err)
{
    finish_section(s);
    struct err first = s->failed.code ? s->failed : s->lost;
    s->failed = (struct err){0};
    if (first.code && s->lost.code == 0 && s->first == s->n_expected &&
        PQtransactionStatus(s->conn) == PQTRANS_INERROR) {
        send_rollback(s);
        finish_section(s);
        s->failed = (struct err){0};
    }
    return first.code ? tell(&first, err) : HF_OK;
}

static void
read_all(struct postgres *s)
{
    bool closed = s->n_expected == s->first || s->expected[s->n_expected - 1].kind >= EXPECT_SYNC;
    if (!closed)
        pg_sync(s);
    while (s->lost.code == 0 && s->first < s->n_expected)
        finish_section(s);
    s->failed = (struct err){0};
}

void
pg_rollback(struct postgres *s)
{
    if (s->conn == NULL)
        return;
    char state[sizeof(s->sqlstate)];
    int  detail = s->bad_item;
    memcpy(state, s->sqlstate, sizeof(state));
    read_all(s);
    if (s->lost.code == 0 && PQtransactionStatus(s->conn) != PQTRANS_IDLE) {
        send_rollback(s);
        read_all(s);
    }
    memcpy(s->sqlstate, state, sizeof(state)); /* of the error that led here */
    s->bad_item = detail;
}

void
pg_one_section(struct postgres *s)
{
    if (s->pooled && s->first < s->n_expected)
        pg_rollback(s);
}

/* ---- outside the pipeline */

static int
run_text(struct postgres *s, const char *text, const char *doing, struct err *err)
{
    PGresult *result;
    int       rc = HF_OK;
    if (!PQsendQuery(s->conn, text))
        pg_lose_connection(s);
    while (receive(s, &result) && result) {
        if (rc == HF_OK && PQresultStatus(result) != PGRES_COMMAND_OK &&
            PQresultStatus(result) != PGRES_TUPLES_OK)
            rc = pg_fail(s, result, doing, err);
        PQclear(result);
    }
    return rc == HF_OK && s->lost.code ? tell(&s->lost, err) : rc;
}

int
pg_script(struct postgres *s, const char *text, const char *doing, struct err *err)
{
    if (s->lost.code)
        return tell(&s->lost, err);
    read_all(s);
    if (s->lost.code == 0 && !PQexitPipelineMode(s->conn))
        pg_lose_connection(s);
    if (s->lost.code)
        return tell(&s->lost, err);
    int rc = run_text(s, text, doing, err);
    if (s->lost.code == 0 && !PQenterPipelineMode(s->conn))
        pg_lose_connection(s);
    return rc;
}
