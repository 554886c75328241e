/* The sending half of the pipeline of one connection: see postgres_pipeline.h. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/postgres_pipeline.h"

enum { UNSENT_MAX = 64 << 10 };

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
pg_send_quiet(struct postgres *s, enum pg_sql id)
{
    send_kind(s, id, NULL, EXPECT_QUIET);
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
        pg_send_quiet(s, PG_commit);
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
    pg_send_quiet(s, PG_begin);
    if (s->pooled)
        pg_settings(s, PG_local_settings);
}

void
pg_commit(struct postgres *s)
{
    pg_send_quiet(s, PG_commit);
    pg_sync_write(s);
}

void
pg_begin_read(struct postgres *s)
{
    pg_send_quiet(s, PG_begin_read);
    if (s->pooled)
        pg_settings(s, PG_local_settings);
}

void
pg_end_read(struct postgres *s)
{
    pg_send_quiet(s, PG_commit);
    pg_sync(s);
}
