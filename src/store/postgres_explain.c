/*
 * Telling the plans of a PostgreSQL connection, and filling its tables. A statement is explained
 * where it is sent, so in the same transaction, after the same statements, with the same settings
 * and the same generic plan as the statement itself. What functions do inside is told by the
 * server's auto_explain, as notices.
 */
#include "store/postgres_explain.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { ARRAY_HEADER = 20, NAME_SIZE = 80 };

/* ---- literals of parameters that are there in binary */

static void
put_number(struct buf *b, const char *data, enum pg_type type)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    if (type == PG_BOOL) {
        buf_putc(b, *data ? 't' : 'f');
    } else if (type == PG_INT2) {
        memcpy(&two, data, sizeof(two));
        buf_int(b, (int16_t)be16toh(two));
    } else if (type == PG_INT4) {
        memcpy(&four, data, sizeof(four));
        buf_int(b, (int32_t)be32toh(four));
    } else {
        memcpy(&eight, data, sizeof(eight));
        buf_int(b, (int64_t)be64toh(eight));
    }
}

/* Inside of quotes. In an array a text has quotes of its own. */
static void
put_text(struct buf *b, const char *data, size_t n, bool element)
{
    if (element)
        buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        if (element && (data[i] == '"' || data[i] == '\\'))
            buf_putc(b, '\\');
        if (data[i] == '\'')
            buf_putc(b, '\'');
        buf_putc(b, data[i]);
    }
    if (element)
        buf_putc(b, '"');
}

static void
put_elements(struct buf *b, const struct pg_arg *arg)
{
    const char *p = arg->data.data + ARRAY_HEADER;

    for (int32_t i = 0; i < arg->n; i++) {
        uint32_t raw;
        memcpy(&raw, p, sizeof(raw));
        int32_t len = (int32_t)be32toh(raw);
        p += sizeof(raw);
        if (i > 0)
            buf_putc(b, ',');
        if (len < 0)
            buf_puts(b, "null");
        else if (arg->type == PG_TEXT)
            put_text(b, p, (size_t)len, true);
        else
            put_number(b, p, arg->type);
        p += len < 0 ? 0 : len;
    }
}

static void
put_literal(struct buf *b, const struct pg_arg *arg)
{
    if (arg->null) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '\'');
    if (arg->array) {
        buf_putc(b, '{');
        put_elements(b, arg);
        buf_putc(b, '}');
    } else if (arg->type == PG_TEXT) {
        put_text(b, arg->data.data, arg->data.len, false);
    } else {
        put_number(b, arg->data.data, arg->type);
    }
    buf_putc(b, '\'');
}

const char *
pg_explain_text(struct postgres *s, enum pg_sql id, const struct pg_args *a)
{
    struct buf *b = &s->explain->text;
    const char *verb = pg_sql_plain(PG_explain_plan), *text = pg_sql_text(s, id);

    buf_clear(b);
    buf_put(b, verb, strcspn(verb, "\n"));
    if (s->pooled && text) {
        buf_printf(b, " %s", text);
    } else {
        buf_printf(b, " execute %s", pg_sql_name(id));
        for (int i = 0; a && i < a->n; i++) {
            buf_puts(b, i ? ", " : "(");
            put_literal(b, &a->arg[i]);
        }
        buf_puts(b, a && a->n ? ")" : "");
    }
    return b->failed || text == NULL ? NULL : b->data;
}

/* ---- what comes */

void
pg_explain_take(struct postgres *s, enum pg_sql id, enum pg_round round, const PGresult *result)
{
    struct explained e = {
        .statement = pg_sql_name(id), .index = pg_sql_index(id), .again = round != ROUND_FIRST};

    if (round == ROUND_INSIDE || PQntuples(result) != 1)
        return;
    e.plan = PQgetvalue(result, 0, 0);
    s->explain->fn(s->explain->arg, &e);
}

/* "PL/pgSQL function holdfast.place(text,text) line 8 at assignment", the innermost first:
 * "place:8"
 */
static bool
read_place(const char *context, char out[NAME_SIZE])
{
    static const char before[] = "PL/pgSQL function ", line[] = " line ";
    const char       *name = context ? strstr(context, before) : NULL;

    if (name == NULL)
        return false;
    name += sizeof(before) - 1;
    size_t      len = strcspn(name, "(\n ");
    const char *dot = memchr(name, '.', len), *at = strstr(name, line);
    const char *from = dot ? dot + 1 : name;
    if (at == NULL)
        return false;
    at += sizeof(line) - 1;
    snprintf(out, NAME_SIZE, "%.*s:%.*s", (int)(name + len - from), from,
             (int)strspn(at, "0123456789"), at);
    return true;
}

void
pg_explain_notice(struct postgres *s, const PGresult *notice)
{
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    const char *plan = text && strncmp(text, "duration: ", 10) == 0 ? strchr(text, '{') : NULL;
    char        name[NAME_SIZE];

    if (plan && read_place(PQresultErrorField(notice, PG_DIAG_CONTEXT), name))
        s->explain->fn(
            s->explain->arg,
            &(struct explained){
                .statement = name, .index = "", .plan = plan, .inside = true, .again = true});
}

/* ---- on and off */

/* A statement by itself. */
static int
alone(struct postgres *s, enum pg_sql id, struct pg_args *a, struct err *err)
{
    pg_send(s, id, a);
    pg_sync(s);
    return pg_synced(s, err);
}

int
postgres_explain(struct store *base, explain_fn fn, void *arg, bool *inside, struct err *err)
{
    struct postgres *s = postgres_of(base);
    struct err       ignored = {0};

    TRY(pg_ready(s, err));
    *inside = !s->pooled && alone(s, PG_explain_load, NULL, &ignored) == HF_OK;
    TRY(pg_ready(s, err));
    s->explain = mem_zalloc(sizeof(*s->explain));
    if (s->explain == NULL)
        return err_nomem(err);
    s->explain->fn = fn;
    s->explain->arg = arg;
    s->explain->inside = *inside;
    return HF_OK;
}

void
postgres_explain_end(struct store *base)
{
    struct postgres *s = postgres_of(base);

    if (s->explain == NULL)
        return;
    pg_rollback(s); /* what was sent may still be told */
    buf_release(&s->explain->text);
    mem_free(s->explain);
    s->explain = NULL;
}

/* ---- filling */

static void
put_range(struct pg_args *a, int64_t first, int64_t last)
{
    pg_put_int8(a, first);
    pg_put_int8(a, last);
}

static void
put_tasks(struct pg_args *a, enum fill what, int64_t worker)
{
    pg_put_int8_unless(a, what == FILL_DELAYED ? 3600 * (int64_t)US_PER_S : 0, 0);
    pg_put_int8_unless(a, worker, 0);
}

static void
put_runs(struct pg_args *a, enum fill what)
{
    pg_put_int2(a, what == FILL_RUNNING    ? RUN_RUNNING
                   : what == FILL_SLEEPING ? RUN_WAITING
                                           : RUN_COMPLETED);
    pg_put_int8_unless(a, what == FILL_SLEEPING ? 3600 * (int64_t)US_PER_S : 0, 0);
}

int
postgres_fill(struct store *base, enum fill what, int64_t first, int64_t last, int each,
              struct err *err)
{
    static const enum pg_sql statements[FILLS] = {
        [FILL_QUEUES] = PG_explain_queues,   [FILL_TASKS] = PG_explain_tasks,
        [FILL_DELAYED] = PG_explain_tasks,   [FILL_CLAIMED] = PG_explain_tasks,
        [FILL_DEAD] = PG_explain_dead,       [FILL_RUNNING] = PG_explain_runs,
        [FILL_SLEEPING] = PG_explain_runs,   [FILL_ENDED] = PG_explain_runs,
        [FILL_HISTORY] = PG_explain_history, [FILL_INBOX] = PG_explain_inbox};
    struct postgres *s = postgres_of(base);
    int64_t          worker = 0;

    TRY(pg_ready(s, err));
    if (what == FILL_CLAIMED) {
        pg_send(s, PG_explain_owner, NULL);
        pg_sync(s);
        TRY(pg_one_int(s, 0, &worker, err));
    }
    struct pg_args *a = pg_args(s);
    put_range(a, first, last);
    if (what == FILL_TASKS || what == FILL_DELAYED || what == FILL_CLAIMED)
        put_tasks(a, what, worker);
    else if (what == FILL_RUNNING || what == FILL_SLEEPING || what == FILL_ENDED)
        put_runs(a, what);
    else if (what == FILL_HISTORY)
        pg_put_int4(a, each);
    return alone(s, statements[what], a, err);
}

int
postgres_statistics(struct store *base, enum statistics which, bool filled, struct err *err)
{
    struct postgres *s = postgres_of(base);

    TRY(pg_ready(s, err));
    if (!filled)
        TRY(alone(s, PG_explain_quiet, NULL, err));
    if (!filled && which == STATISTICS_EMPTY)
        return alone(s, PG_explain_vacuum, NULL, err);
    if (filled && which == STATISTICS_ANALYSED)
        return alone(s, PG_explain_analyse, NULL, err);
    return HF_OK;
}
