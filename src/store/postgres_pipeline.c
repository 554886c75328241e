/*
 * The pipeline of one connection: what was sent is remembered in a list, and results are read
 * against it, section by section.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/postgres_explain.h"

/* EXPECT_PLAN stands for as many kinds as there are rounds. */
enum expect {
    EXPECT_QUIET,
    EXPECT_RESULT,
    EXPECT_PREPARED,
    EXPECT_PLAN,
    EXPECT_SYNC = EXPECT_PLAN + ROUNDS,
    EXPECT_DOUBTFUL_SYNC
};
enum { NOT_PREPARED, BEING_PREPARED, PREPARED };
enum { NOTHINGS_MAX = 10, UNSENT_MAX = 64 << 10 };

struct pg_expected {
    uint8_t  kind; /* enum expect */
    uint16_t id;   /* enum pg_sql */
};

bool
pg_in_doubt(const struct postgres *s)
{
    for (size_t i = s->first; i < s->n_expected; i++)
        if (s->expected[i].kind == EXPECT_DOUBTFUL_SYNC)
            return true;
    return false;
}

static void
push(struct postgres *s, bool all)
{
    int unsent;
    s->unsent = 0;
    while (s->lost.code == 0 && (unsent = PQflush(s->conn)) != 0)
        if (unsent < 0 || !pg_wait_socket(s, true))
            pg_lose_connection(s);
        else if (!all)
            break;
}

void
pg_push(struct postgres *s)
{
    if (s->conn)
        push(s, true);
}

/* Statements wait for the Sync behind them: each system call would cost as much as a small one, and
 * the server one more. But what is unsent is kept small, so that memory and copying stay so too. */
static void
sent_more(struct postgres *s, int n, const int *lengths)
{
    for (int i = 0; i < n; i++)
        s->unsent += (size_t)lengths[i];
    if (s->unsent > UNSENT_MAX)
        push(s, false);
}

/* ---- sending */

static bool
expect(struct postgres *s, enum expect kind, enum pg_sql id)
{
    if (s->first == s->n_expected)
        s->first = s->n_expected = 0;
    if (s->n_expected == s->size_expected) {
        size_t              size = s->size_expected ? s->size_expected * 2 : 64;
        struct pg_expected *more = mem_realloc(s->expected, size * sizeof(*more));
        if (more == NULL) {
            pg_lose(s, HF_NOMEM, "out of memory");
            return false;
        }
        s->expected = more;
        s->size_expected = size;
    }
    s->expected[s->n_expected++] = (struct pg_expected){(uint8_t)kind, (uint16_t)id};
    return true;
}

struct pg_args *
pg_args(struct postgres *s)
{
    pg_args_clear(&s->scratch);
    return &s->scratch;
}

/* Under its name when it is first used; through a pooler not at all. */
static bool
prepare(struct postgres *s, enum pg_sql id)
{
    const char *text = pg_sql_text(s, id);
    if (text == NULL) {
        pg_lose(s, HF_NOMEM, "out of memory");
        return false;
    }
    if (s->pooled || s->prepared[id] != NOT_PREPARED)
        return true;
    if (!PQsendPrepare(s->conn, pg_sql_name(id), text, 0, NULL))
        return false;
    s->prepared[id] = BEING_PREPARED;
    return expect(s, EXPECT_PREPARED, id);
}

static bool
send_query(struct postgres *s, enum pg_sql id, int n, const char *const *values, const int *lengths,
           const int *formats)
{
    if (!prepare(s, id))
        return false;
    if (s->pooled)
        return PQsendQueryParams(s->conn, pg_sql_text(s, id), n, NULL, values, lengths, formats, 1);
    return PQsendQueryPrepared(s->conn, pg_sql_name(id), n, values, lengths, formats, 1);
}

/* Of a connection that explains. */
static void
note_block(struct postgres *s, enum pg_sql id)
{
    if (id == PG_begin || id == PG_begin_read)
        s->explain->in_block = true;
    else if (id == PG_commit || id == PG_rollback)
        s->explain->in_block = s->explain->opened = false;
}

static void
send_kind(struct postgres *s, enum pg_sql id, struct pg_args *a, enum expect kind)
{
    const char *values[PG_ARGS_MAX];
    int         lengths[PG_ARGS_MAX], formats[PG_ARGS_MAX], rc = HF_OK;

    if (s->lost.code)
        return;
    if (s->explain)
        note_block(s, id);
    if (a)
        rc = pg_args_values(a, values, lengths, formats);
    if (rc != HF_OK)
        pg_lose(s, rc, rc == HF_NOMEM ? "out of memory" : "a batch of over 2 GiB");
    else if (!send_query(s, id, a ? a->n : 0, values, lengths, formats))
        pg_lose_connection(s);
    else if (expect(s, kind, id))
        sent_more(s, a ? a->n : 0, lengths);
}

/* What a statement would do, taken back by a savepoint. */
static void
send_round(struct postgres *s, enum pg_sql id, struct pg_args *a, enum pg_round round)
{
    const char *text = pg_explain_text(s, id, a), *values[PG_ARGS_MAX];
    int         lengths[PG_ARGS_MAX], formats[PG_ARGS_MAX], n = s->pooled && a ? a->n : 0;

    send_kind(s, PG_explain_mark, NULL, EXPECT_QUIET);
    if (round == ROUND_INSIDE)
        send_kind(s, PG_explain_inside, NULL, EXPECT_QUIET);
    if (s->lost.code)
        return;
    if (text == NULL || (a && pg_args_values(a, values, lengths, formats)))
        pg_lose(s, HF_NOMEM, "out of memory");
    else if (!PQsendQueryParams(s->conn, text, n, NULL, values, lengths, formats, 0))
        pg_lose_connection(s);
    else
        expect(s, EXPECT_PLAN + round, id);
    send_kind(s, PG_explain_undo, NULL, EXPECT_QUIET);
}

/* Savepoints need a block. */
static void
send_plans(struct postgres *s, enum pg_sql id, struct pg_args *a)
{
    struct pg_explain *e = s->explain;

    if (!e->in_block) {
        pg_begin(s);
        e->opened = true;
    }
    if (s->lost.code == 0 && !prepare(s, id) && s->lost.code == 0)
        pg_lose_connection(s);
    for (enum pg_round r = ROUND_FIRST; r < ROUNDS; r++)
        if (r != ROUND_INSIDE || e->inside)
            send_round(s, id, a, r);
}

void
pg_send(struct postgres *s, enum pg_sql id, struct pg_args *a)
{
    if (s->explain)
        send_plans(s, id, a);
    send_kind(s, id, a, EXPECT_RESULT);
}

void
pg_send_user(struct postgres *s, enum pg_sql id, const char *text, int n, const char *const *values)
{
    if (s->lost.code)
        return;
    if (!PQsendQueryParams(s->conn, text, n, NULL, values, NULL, NULL, 0))
        pg_lose_connection(s);
    else
        expect(s, EXPECT_RESULT, id);
}

void
pg_listen(struct postgres *s, const char *channel)
{
    struct buf  text = {0};
    const char *verb = pg_sql_plain(PG_listen);

    if (s->lost.code)
        return;
    buf_put(&text, verb, strcspn(verb, "\n"));
    buf_putc(&text, ' ');
    pg_quote_ident(&text, channel);
    if (text.failed)
        pg_lose(s, HF_NOMEM, "out of memory");
    else if (!PQsendQueryParams(s->conn, text.data, 0, NULL, NULL, NULL, NULL, 1))
        pg_lose_connection(s);
    else
        expect(s, EXPECT_QUIET, PG_listen);
    buf_release(&text);
}

static void
sync_as(struct postgres *s, enum expect kind)
{
    if (s->explain && s->explain->opened)
        send_kind(s, PG_commit, NULL, EXPECT_QUIET);
    if (s->lost.code)
        return;
    if (expect(s, kind, 0) && !PQpipelineSync(s->conn))
        pg_lose_connection(s);
    else
        push(s, false);
}

void
pg_sync(struct postgres *s)
{
    sync_as(s, EXPECT_SYNC);
}

void
pg_sync_write(struct postgres *s)
{
    sync_as(s, EXPECT_DOUBTFUL_SYNC);
}

void
pg_settings(struct postgres *s, enum pg_sql id)
{
    struct pg_args a = {0}; /* the scratch may hold a verb's parameters already */
    char           partitions[16] = "", name[CHANNEL_SIZE];
    if (s->target.partitions)
        snprintf(partitions, sizeof(partitions), "%d", s->target.partitions);
    pg_put_text(&a, partitions);
    if (id == PG_local_settings) {
        pg_worker_name(s, s->worker, name);
        pg_put_text(&a, name);
    }
    send_kind(s, id, &a, EXPECT_QUIET);
    pg_args_release(&a);
}

void
pg_begin(struct postgres *s)
{
    send_kind(s, PG_begin, NULL, EXPECT_QUIET);
    if (s->pooled)
        pg_settings(s, PG_local_settings);
}

void
pg_commit(struct postgres *s)
{
    send_kind(s, PG_commit, NULL, EXPECT_QUIET);
    pg_sync_write(s);
}

void
pg_begin_read(struct postgres *s)
{
    send_kind(s, PG_begin_read, NULL, EXPECT_QUIET);
    if (s->pooled)
        pg_settings(s, PG_local_settings);
}

void
pg_end_read(struct postgres *s)
{
    send_kind(s, PG_commit, NULL, EXPECT_QUIET);
    pg_sync(s);
}

/* ---- receiving */

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
    send_kind(s, PG_rollback, NULL, EXPECT_QUIET);
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
