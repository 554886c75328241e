/*
 * The plans of PostgreSQL statements on tables in the states that mislead a planner: never
 * analysed, vacuumed when they were empty, and large. On large ones the server also counts which
 * rows are read: what functions do inside is in no plan.
 *
 * HOLDFAST_PLAN_ROWS: so many tasks that wait, as many delayed ones, and as many runs that have
 * ended; 1000000 is the size that is promised, and takes half a minute.
 */
#include "pg.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"
#include "store/postgres.h"
#include "worker/retention.h"

enum { QUEUES = 100, PARTS = 8 };

static struct pg *server;
static struct err err;

static void
start_server(void)
{
    server = pg_start(&(struct pg_opt){.fast = true,
                                       .settings = "autovacuum = off\nmax_wal_size = 8GB\n"
                                                   "shared_buffers = 512MB\n"});
}

TEST_SETUP(start_server)

static const char *
new_database(void)
{
    char       name[40];
    struct buf log = {0};

    snprintf(name, sizeof(name), "plans_%d", (int)getpid());
    const char *url = pg_new_database(server, name);
    if (postgres_migrate(url, MIGRATE_RUN, &log, &err))
        test_fail(__FILE__, __LINE__, "%s", err.text);
    buf_release(&log);
    return url;
}

/* ---- plans */

static const char *
plan_of(PGconn *conn, enum pg_sql id, struct buf *out)
{
    struct buf sql = {0};
    PGresult  *r = PQprepare(conn, pg_sql_name(id), pg_sql_plain(id), 0, NULL);
    PQclear(r);
    r = PQdescribePrepared(conn, pg_sql_name(id));
    buf_printf(&sql, "explain (costs off) execute %s", pg_sql_name(id));
    for (int i = 0; i < PQnparams(r); i++)
        buf_puts(&sql, i ? ", null" : "(null");
    buf_puts(&sql, PQnparams(r) ? ")" : "");
    PQclear(r);
    r = PQexec(conn, sql.data);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", pg_sql_name(id), PQresultErrorMessage(r));
    buf_clear(out);
    for (int i = 0; i < PQntuples(r); i++)
        buf_printf(out, "%s\n", PQgetvalue(r, i, 0));
    PQclear(r);
    buf_release(&sql);
    return out->data;
}

static bool
has_word(const char *words, const char *word, size_t n)
{
    for (size_t len; *words; words += len + strspn(words + len, " ,")) {
        len = strcspn(words, " ,");
        if (len == n && memcmp(words, word, n) == 0)
            return true;
    }
    return false;
}

/* On the tables that grow: the indexes that the statement names, and nothing else. */
static void
check_plan(PGconn *conn, enum pg_sql id, const char *state, struct buf *out)
{
    static const char *tables[] = {" on run ", " on task ", " on inbox ", " on history "};
    const char        *want = pg_sql_index(id), *plan = plan_of(conn, id, out);
    char               line[400];

    for (const char *p = plan; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        snprintf(line, sizeof(line), "%.*s ", (int)strcspn(p, "\n"), p);
        bool grows = false;
        for (size_t i = 0; i < 4; i++)
            grows |= strstr(line, tables[i]) != NULL;
        if (!grows || strstr(line, "Insert on") || strstr(line, "Update on") ||
            strstr(line, "Delete on"))
            continue;
        const char *used = strstr(line, " using ");
        if (used == NULL || !has_word(want, used + 7, strcspn(used + 7, " ")))
            test_fail(__FILE__, __LINE__, "%s, %s: not %s:\n%s", pg_sql_name(id), state, want,
                      plan);
    }
}

static void
check_plans(const char *url, const char *state)
{
    struct buf plan = {0};
    PGconn    *conn = PQconnectdb(url);
    PQclear(PQexec(conn, "set enable_seqscan = off; set enable_hashjoin = off; set jit = off; "
                         "set enable_mergejoin = off; set enable_bitmapscan = off; "
                         "set plan_cache_mode = force_generic_plan"));
    for (int i = 0; i < PG_STATEMENTS; i++) {
        static const char *const hot[] = {"fetch_", "commit_",      "load_",
                                          "owner_", "run_if_ended", "enlist_waiter"};
        const char              *name = pg_sql_name((enum pg_sql)i);
        for (size_t k = 0; k < sizeof(hot) / sizeof(hot[0]); k++)
            if (strncmp(name, hot[k], strlen(hot[k])) == 0 && pg_sql_index((enum pg_sql)i)[0])
                check_plan(conn, (enum pg_sql)i, state, &plan);
    }
    PQfinish(conn);
    buf_release(&plan);
}

/* A table that was empty when autovacuum saw it misleads the planner most. */
TEST_WITHIN(hot_statements_use_their_index_on_empty_tables, 60)
{
    const char *url = new_database();
    check_plans(url, "never analysed");
    pg_exec(url, "vacuum analyze");
    check_plans(url, "empty and vacuumed");
}

/* ---- large tables */

static long
rows_wanted(void)
{
    const char *given = getenv("HOLDFAST_PLAN_ROWS");
    return given ? atol(given) : test_is_quick() ? 50000 : 200000;
}

/* Waiting, delayed, ended: the same number of each in 100 queues of 8 partitions, and what running
 * ones have: history, unread signals, dead letters. Numbers are spread over the partitions. */
static void
fill(const char *url, long n)
{
    char sql[3000];

    pg_exec(url, "select holdfast.create_queue('q' || g, partitions => 8)"
                 " from generate_series(1, 100) g");
    snprintf(
        sql, sizeof(sql),
        "insert into holdfast.task (no, partition_id, class, created_us, name)"
        " select (p.id::bigint << 48) | (1::bigint << 46) | nextval('holdfast.row_seq'), p.id,"
        " 1, 0, 'noop' from generate_series(1, %ld) g"
        " join holdfast.partition p on p.queue = 'q' || (g %% 99 + 2) and p.id %% 8 = g / 99 %% 8;"
        "insert into holdfast.task (no, partition_id, class, created_us, name, run_at_us)"
        " select (p.id::bigint << 48) | (3::bigint << 46) | nextval('holdfast.row_seq'), p.id,"
        " 3, 0, 'noop', 4000000000000000 + g from generate_series(1, %ld) g"
        " join holdfast.partition p on p.queue = 'q' || (g %% 100 + 1) and p.id %% 8 = g / 100 %% "
        "8;"
        "insert into holdfast.run (no, partition_id, class, started_us, ended_us, id, workflow,"
        " status) select (p.id::bigint << 48) | (1::bigint << 46) |"
        " nextval('holdfast.row_seq'), p.id, 1, 0, 1, 'ended-' || g, 'w', 4"
        " from generate_series(1, %ld) g"
        " join holdfast.partition p on p.queue = 'q' || (g %% 100 + 1) and p.id %% 8 = g / 100 %% "
        "8;",
        n, n, n);
    pg_exec(url, sql);
    pg_exec(
        url,
        "insert into holdfast.history (partition_id, run_no, execution, seq, events)"
        " select partition_id, no, 1, 1, '[]' from holdfast.run limit 100000;"
        "insert into holdfast.inbox (no, partition_id, kind, time_us, run_no)"
        " select (partition_id::bigint << 48) | nextval('holdfast.row_seq'), partition_id, 0, 0,"
        " no from holdfast.run where partition_id > 16 limit 20000;" /* not of q1 */
        "insert into holdfast.dead (no, id, name, attempts, crashes, created_us, died_us)"
        " select g, 'dead-' || g, 't', 1, 0, 0, 0 from generate_series(1, 20000) g");
}

struct reads {
    int64_t by_scan, by_index, fetched;
};

/* A session's reads are counted when it has ended, at the latest. */
static void
wait_for_sessions(const char *url)
{
    const char *others = "select count(*) from pg_stat_activity where datname = current_database()"
                         " and pid <> pg_backend_pid()";
    while (pg_int(url, others) > 0)
        usleep(10000);
}

static struct reads
reads(const char *url)
{
    static const char *from = " from pg_stat_user_tables where schemaname = 'holdfast' and relname"
                              " in ('task', 'run', 'inbox', 'history', 'dead')";
    char               sql[400];
    struct reads       r;
    wait_for_sessions(url);
    snprintf(sql, sizeof(sql), "select sum(seq_tup_read)::bigint%s", from);
    r.by_scan = pg_int(url, sql);
    snprintf(sql, sizeof(sql), "select sum(idx_tup_fetch)::bigint%s", from);
    r.fetched = pg_int(url, sql);
    r.by_index = pg_int(url, "select sum(idx_tup_read)::bigint from pg_stat_user_indexes where"
                             " schemaname = 'holdfast' and relname in"
                             " ('task', 'run', 'inbox', 'history', 'dead')");
    return r;
}

static int
noop(hf_tk *tk, void *arg)
{
    (void)tk, (void)arg;
    return HF_OK;
}

static int
listener(hf_wf *wf)
{
    return hf_signal(wf, "go", NULL);
}

static void
clients_write(const char *url, int n)
{
    char        id[40];
    const char *inputs[1000] = {0};
    hf         *h;

    OK(h, hf_open(url, &h));
    OK(h, hf_enqueue_many(h, "noop", inputs, 1000, HF_OPT(.queue = "q1"), NULL));
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "new-%d", i);
        OK(h, hf_enqueue(h, "noop", NULL, HF_OPT(.queue = "q1", .id = id), NULL));
        OK(h, hf_start(h, "listener", NULL, HF_OPT(.queue = "q1", .id = id), NULL));
        OK(h, hf_send(h, id, "go", NULL, NULL));
        snprintf(id, sizeof(id), "dead-%d", i + 1);
        GIVES(h, hf_enqueue(h, "noop", NULL, HF_OPT(.queue = "q1", .id = id), NULL), HF_EXISTS);
        snprintf(id, sizeof(id), "ended-%d", i + 1);
        GIVES(h, hf_start(h, "listener", NULL, HF_OPT(.id = id), NULL), HF_EXISTS);
    }
    hf_close(h);
}

static int
stop(hf_tk *tk, void *arg)
{
    (void)tk;
    hf_stop(arg);
    return HF_OK;
}

/* The queue is never empty: it has delayed tasks. */
static void
work_for_a_while(const char *url)
{
    hf *h;
    OK(h, hf_open(url, &h));
    OK(h, hf_handler(h, "noop", noop, NULL, NULL));
    OK(h, hf_handler(h, "stop", stop, h, NULL));
    OK(h, hf_workflow(h, "listener", 1, listener));
    OK(h, hf_enqueue(h, "stop", NULL, HF_OPT(.queue = "q1", .delay_ms = 1500), NULL));
    OK(h, hf_run(h, HF_WORKER(.queues = "q1")));
    hf_close(h);
}

/* What each worker does once a minute. No queue has a limit here. */
static void
sweep_ended_runs(const char *url)
{
    struct retention r = retention_begin(NULL, 0, 0);
    struct store    *s;

    if (store_open(url, NULL, &s, &err) || retention_tick(&r, s, 0, &err))
        test_fail(__FILE__, __LINE__, "%s", err.text);
    s->ops->close(s);
}

/* So many rows are read for one that matters, not a share of what is there. */
TEST_WITHIN(large_tables_are_read_by_index_and_only_where_it_matters, 240)
{
    const char *url = new_database();
    long        n = rows_wanted();
    const int   few = 50;

    fill(url, n);
    check_plans(url, "large, never analysed");
    for (int analysed = 0; analysed < 2; analysed++) {
        struct reads before = reads(url);
        clients_write(url, few);
        work_for_a_while(url);
        sweep_ended_runs(url);
        struct reads after = reads(url);
        printf("# %ld rows of a kind: read %lld by scans, %lld index entries, %lld rows\n", n,
               (long long)(after.by_scan - before.by_scan),
               (long long)(after.by_index - before.by_index),
               (long long)(after.fetched - before.fetched));
        CHECK_INT(pg_int(url, "select count(*) from holdfast.task where created_us > 0"), 0);
        CHECK_INT(after.by_scan - before.by_scan, 0);
        CHECK(after.by_index - before.by_index < 40 * (1000 + few));
        CHECK(after.fetched - before.fetched < 20 * (1000 + few));
        pg_exec(url, "delete from holdfast.run where id like 'new-%'");
        pg_exec(url, "analyze");
    }
    check_plans(url, "large");
}
