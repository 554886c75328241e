/*
 * Connecting: libpq's parameters, the settings of a session, finding out whether a pooler is in
 * between, and whether the schema is the one that this version works with.
 */
#include "store/postgres_cycle.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/explain.h"

enum { KEYWORDS_MAX = 80, PATIENCE_US = 15 * 1000000, SERVER_MIN = 140000 };

struct keywords {
    const char *name[KEYWORDS_MAX], *value[KEYWORDS_MAX];
    int         n;
};

static const char *
given(const struct keywords *k, const char *name)
{
    for (int i = 0; i < k->n; i++)
        if (strcmp(k->name[i], name) == 0)
            return k->value[i];
    return NULL;
}

static void
add(struct keywords *k, const char *name, const char *value)
{
    if (k->n < KEYWORDS_MAX - 1 && given(k, name) == NULL) {
        k->name[k->n] = name;
        k->value[k->n++] = value;
    }
}

/* A link that is dead must be noticed within half a lease of 10 s. Of several hosts the one that
 * can be written to is taken. */
static void
fill(struct keywords *k, const struct pg_target *t)
{
    for (PQconninfoOption *o = t->options; o->keyword; o++)
        if (o->val)
            add(k, o->keyword, o->val);
    const char *host = given(k, "host");
    if (host && strchr(host, ','))
        add(k, "target_session_attrs", "read-write");
    add(k, "fallback_application_name", "holdfast");
    add(k, "connect_timeout", "5");
    add(k, "keepalives", "1");
    add(k, "keepalives_idle", "2");
    add(k, "keepalives_interval", "1");
    add(k, "keepalives_count", "3");
    add(k, "tcp_user_timeout", "4500");
    k->n = k->n < KEYWORDS_MAX - 2 ? k->n : KEYWORDS_MAX - 2;
    k->name[k->n] = "client_encoding";
    k->value[k->n++] = "UTF8";
}

static int
dial(struct postgres *s, struct err *err)
{
    struct keywords k = {0};
    char            line[300];

    fill(&k, &s->target);
    s->conn = PQconnectdbParams(k.name, k.value, 0);
    if (s->conn == NULL)
        return err_nomem(err);
    if (PQstatus(s->conn) != CONNECTION_OK) {
        pg_one_line(PQerrorMessage(s->conn), line, sizeof(line));
        return err_set(err, HF_UNAVAILABLE, "%s", line);
    }
    PQsetNoticeReceiver(s->conn, pg_notice, s);
    int version = PQserverVersion(s->conn);
    if (version < SERVER_MIN)
        return err_set(err, HF_INVALID,
                       "%s: the server is PostgreSQL %d, version 14 or later is needed",
                       s->target.where, version / 10000);
    if (PQsetnonblocking(s->conn, 1) != 0 || !PQenterPipelineMode(s->conn))
        return err_set(err, HF_UNAVAILABLE, "%s: no pipeline mode", s->target.where);
    return HF_OK;
}

/* The first statement goes without a name. */
static int
find_pooler(struct postgres *s, struct err *err)
{
    int64_t pid = 0;
    s->pooled = true;
    pg_send(s, PG_identify, NULL);
    pg_sync(s);
    TRY(pg_one_int(s, 0, &pid, err));
    s->pooled = s->target.poll_only >= 0 ? s->target.poll_only : pid != PQbackendPID(s->conn);
    return HF_OK;
}

/* Nothing that our old backend has still to do may happen after we have read. */
static int
end_old_backend(struct postgres *s, struct err *err)
{
    char            name[CHANNEL_SIZE];
    struct pg_args *a = pg_args(s);
    int             pid = s->old_pid;

    s->old_pid = 0;
    if (pid == 0 || s->pooled)
        return HF_OK;
    pg_worker_name(s, s->worker, name);
    pg_put_int4(a, pid);
    pg_put_text(a, name);
    pg_send(s, PG_end_backend, a);
    pg_sync(s);
    int rc = pg_synced(s, err);
    return s->lost.code ? rc : HF_OK;
}

static int
set_up(struct postgres *s, struct err *err)
{
    TRY(dial(s, err));
    TRY(find_pooler(s, err));
    if (!s->pooled) {
        pg_settings(s, PG_settings);
        pg_sync(s);
        TRY(pg_synced(s, err));
    }
    return end_old_backend(s, err);
}

int
pg_connect(struct postgres *s, struct err *err)
{
    struct err own = {0};
    int        rc = set_up(s, &own);

    s->epoch++;
    pg_all_news(s);
    if (rc != HF_OK) {
        int pid = s->old_pid;
        pg_disconnect(s);
        s->old_pid = pid;
        if (err)
            *err = own;
    }
    return rc;
}

bool
pg_clock_is_fake(const struct postgres *s)
{
    return s->base.clock.now_us != NULL;
}

void
pg_now(struct postgres *s, struct pg_args *a)
{
    if (pg_clock_is_fake(s))
        pg_put_int8(a, clock_now_us(&s->base.clock));
    else
        pg_put_null(a);
}

int
postgres_new(const char *url, const struct clock *clock, struct postgres **out, struct err *err)
{
    struct postgres *s = mem_zalloc(sizeof(*s));

    *out = NULL;
    if (s == NULL)
        return err_nomem(err);
    if (clock)
        s->base.clock = *clock;
    s->base.shared = true;
    s->patience_us = PATIENCE_US;
    s->url = mem_strdup(url);
    int rc = s->url ? pg_target_parse(url, &s->target, err) : err_nomem(err);
    if (rc == HF_OK)
        rc = pg_ready(s, err);
    if (rc != HF_OK)
        postgres_free(s);
    else
        *out = s;
    return rc;
}

void
postgres_free(struct postgres *s)
{
    postgres_explain_end(&s->base);
    pg_disconnect(s);
    for (int i = 0; i < PG_STATEMENTS; i++)
        mem_free(s->text[i]);
    pg_args_release(&s->scratch);
    pg_queues_release(s);
    pg_cursors_release(s->cursors);
    pg_target_release(&s->target);
    mem_free(s->hints.waiters);
    mem_free(s->expected);
    mem_free(s->url);
    mem_free(s);
}
