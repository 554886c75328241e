/*
 * SQL steps on PostgreSQL: the types of rows, what a statement may not do, constraints that are
 * checked at the commit, locks of other programs, and exactly once when processes are killed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "pg.h"
#include "proc.h"
#include "store/store.h"

static struct pg *server;
static hf        *client;
static char       url[300];

static void
start_server(void)
{
    server = pg_start(&(struct pg_opt){.fast = true});
}

TEST_SETUP(start_server)

static void
open_database(void)
{
    struct buf log = {0};
    struct err err = {0};
    char       name[40];

    snprintf(name, sizeof(name), "d%d", (int)getpid());
    snprintf(url, sizeof(url), "%s", pg_new_database(server, name));
    if (postgres_migrate(url, MIGRATE_RUN, &log, &err))
        test_fail(__FILE__, __LINE__, "migrate: %s", err.text);
    buf_release(&log);
    proc_serve(url);
    client = client_open();
}

/* ---- a workflow that runs the statement of its input */

static int
run_statement(hf_wf *wf)
{
    const char *in = hf_input(wf), *rows;
    const char *ms = hf_get(wf, in, "ms");
    int         rc = hf_sql(wf, "it", hf_get(wf, in, "sql"), hf_get(wf, in, "params"), &rows,
                            HF_OPT(.timeout_ms = ms ? strtol(ms, NULL, 10) : 0));
    if (rc > 0)
        return hf_fail(wf, hf_error_name(wf), "%s", hf_error_message(wf));
    HF_TRY(rc);
    return hf_return(wf, rows);
}

static int
does_nothing(hf_wf *wf)
{
    return hf_return(wf, "done");
}

static void
offer_statement(hf *h)
{
    OK(h, hf_workflow(h, "statement", 1, run_statement));
    OK(h, hf_workflow(h, "nothing", 1, does_nothing));
}

static const char *
start(const char *sql, const char *params)
{
    static char id[8][20];
    static int  n;
    char       *to = id[n++ % 8];
    char        input[3000], quoted[2000] = "";

    for (size_t i = 0, k = 0; sql[i] && k < sizeof(quoted) - 3; i++) {
        if (sql[i] == '"' || sql[i] == '\\' || sql[i] == '\n')
            quoted[k++] = '\\';
        quoted[k++] = sql[i] == '\n' ? 'n' : sql[i];
        quoted[k] = '\0';
    }
    snprintf(to, 20, "r%d", n);
    snprintf(input, sizeof(input), "{\"sql\":\"%s\",\"params\":%s,\"ms\":3000}", quoted,
             params ? params : "null");
    OK(client, hf_start(client, "statement", input, HF_OPT(.id = to), NULL));
    return to;
}

static const char *
run(const char *sql, const char *params)
{
    const char *id = start(sql, params);
    UNTIL(strcmp(status_of(client, id), "running") != 0 &&
          strcmp(status_of(client, id), "waiting") != 0);
    return id;
}

static const char *
answer(const char *sql, const char *params)
{
    const char *id = run(sql, params);
    if (strcmp(status_of(client, id), "completed") != 0)
        test_fail(__FILE__, __LINE__, "%s: %s: %s", sql, status_of(client, id),
                  message_of(client, id));
    return output_of(client, id);
}

static const char *
error(const char *sql, const char *params)
{
    const char *id = run(sql, params);
    if (strcmp(status_of(client, id), "failed") != 0)
        test_fail(__FILE__, __LINE__, "%s: %s: %s", sql, status_of(client, id),
                  message_of(client, id));
    return error_of(client, id);
}

TEST_WITHIN(rows_have_the_types_of_their_columns, 60)
{
    open_database();
    pid_t worker = worker_start(offer_statement, NULL);
    CHECK_TEXT(
        answer("select 1 as a, 2.50::numeric as b, 'x\"y'::text as c, null::int as d, true "
               "as e, '{\"k\": [1]}'::jsonb as f, '\\x00ff'::bytea as g, 'NaN'::float8 as h, "
               "9223372036854775807 as i, 1e300::float8 as j, date '2026-01-02' as k, "
               "array[1,2] as l",
               NULL),
        "[{\"a\":1,\"b\":2.50,\"c\":\"x\\\"y\",\"d\":null,\"e\":true,\"f\":{\"k\": [1]},"
        "\"g\":\"\\\\x00ff\",\"h\":\"NaN\",\"i\":9223372036854775807,\"j\":1e+300,"
        "\"k\":\"2026-01-02\",\"l\":\"{1,2}\"}]");
    CHECK_TEXT(answer("select $1::int + 1 as a, $2::text as b, $3::numeric as c, $4::bool as d, "
                      "$5::jsonb->>'k' as e, $6::text as f",
                      "[1, \"Grüße ☃\", 1.25, true, {\"k\": \"v\"}, null]"),
               "[{\"a\":2,\"b\":\"Grüße ☃\",\"c\":1.25,\"d\":true,\"e\":\"v\",\"f\":null}]");
    CHECK_TEXT(answer("create table item (id bigint primary key, n int)", NULL), "[]");
    CHECK_TEXT(answer("insert into item values ($1, $2), (2, 2) returning id", "[1, 1]"),
               "[{\"id\":1},{\"id\":2}]");
    CHECK_TEXT(answer("update item set n = n + 1", NULL), "[]");
    CHECK_TEXT(answer("select holdfast.start('nothing', 'by-sql') is null as a", NULL),
               "[{\"a\":false}]");
    UNTIL(strcmp(status_of(client, "by-sql"), "completed") == 0);
    CHECK_INT(worker_stop(worker), 0);
}

TEST_WITHIN(an_error_of_the_statement_is_the_step_s, 60)
{
    open_database();
    pid_t worker = worker_start(offer_statement, NULL);
    pg_exec(url, "create table parent (id int primary key);"
                 "create table child (id int references parent deferrable initially deferred);"
                 "insert into parent values (1)");
    CHECK_TEXT(error("insert into parent values (2), (1)", NULL), "23505");
    CHECK_TEXT(error("selekt", NULL), "42601");
    CHECK_TEXT(error("select * from nowhere", NULL), "42P01");
    CHECK_TEXT(error("insert into parent values (3); insert into parent values (4)", NULL),
               "42601");
    CHECK_TEXT(error("select $1::int", NULL), "08P01");
    CHECK_TEXT(error("select 1/0", NULL), "22012");
    CHECK_TEXT(error("insert into child values (9)", NULL), "23503"); /* at the commit */
    CHECK_TEXT(error("/* a /* b */ */ -- c\n commit", NULL), "0A000");
    CHECK_TEXT(error("-- nothing", NULL), "0A000");
    CHECK_TEXT(error("copy parent to stdout", NULL), "0A000");
    CHECK_TEXT(error("do $$ begin commit; end $$", NULL), "2D000");
    CHECK_TEXT(error("select pg_sleep(20)", NULL), "timeout");
    const char *id = run("select repeat('x', 2000000) as t from pg_sleep(0)", NULL);
    CHECK_TEXT(error_of(client, id), "HF_TOO_BIG");
    CHECK_INT(pg_int(url, "select count(*) from parent"), 1);
    CHECK_INT(pg_int(url, "select count(*) from child"), 0);
    CHECK_TEXT(answer("insert into child values (1) returning id", NULL), "[{\"id\":1}]");
    CHECK_INT(worker_stop(worker), 0);
}

/* The statement waits on a connection of its own; the lane goes on with everything else. */
TEST_WITHIN(a_lock_of_another_program_does_not_stall_the_lane, 60)
{
    open_database();
    pg_exec(url, "create table item (id int primary key, n int); insert into item values (1, 0)");
    pid_t worker = worker_start(offer_statement, NULL);
    CHECK_TEXT(answer("select 1 as a", NULL), "[{\"a\":1}]");
    pid_t locker = fork();
    if (locker == 0) {
        pg_exec(url, "begin; update item set n = 5; select pg_sleep(2); commit");
        _exit(0);
    }
    UNTIL(pg_int(url, "select count(*) from pg_stat_activity where query like '%pg_sleep(2)%' and "
                      "state = 'active' and pid <> pg_backend_pid()") > 0);
    sleep_ms(100);
    const char *id = start("update item set n = n + 1 returning n", NULL);
    int64_t     begun = clock_ms();
    for (int i = 0; i < 20; i++) {
        char other[20];
        snprintf(other, sizeof(other), "n%d", i);
        OK(client, hf_start(client, "nothing", NULL, HF_OPT(.id = other), NULL));
        UNTIL(strcmp(status_of(client, other), "completed") == 0);
    }
    CHECK(clock_ms() - begun < 1500LL * test_slowness());
    CHECK_TEXT(status_of(client, id), "running");
    UNTIL(strcmp(status_of(client, id), "completed") == 0);
    CHECK_TEXT(output_of(client, id), "[{\"n\":6}]");
    CHECK_INT(worker_wait(locker), 0);
    CHECK_INT(worker_stop(worker), 0);
}

/* ---- runs that are killed */

enum { STEPS = 6, RUNS = 10, KILLS = 12 };

static int
counts(hf_wf *wf)
{
    const char *rows, *all = "";

    for (int i = 0; i < STEPS; i++) {
        const char *params = hf_sprintf(wf, "[%s, %d]", hf_quote(wf, hf_run_id(wf)), i);
        HF_TRY(hf_sql(wf, "count", "insert into ledger (run, step) values ($1, $2) returning no",
                      params, &rows));
        all = hf_sprintf(wf, "%s%s", all, rows);
    }
    return hf_return(wf, all);
}

static void
offer_counts(hf *h)
{
    OK(h, hf_workflow(h, "counts", 1, counts));
}

/* Workers are killed, and so are backends while they commit. */
TEST_WITHIN(g_an_sql_step_takes_effect_exactly_once_through_kills, 100)
{
    open_database();
    pg_exec(url,
            "create table ledger (no bigint generated always as identity, run text, step int)");
    for (int i = 0; i < RUNS; i++)
        OK(client, hf_start(client, "counts", NULL, NULL, NULL));
    srand(3);
    for (int i = 0; i < KILLS; i++) {
        pid_t pid =
            worker_start(offer_counts, HF_WORKER(.slots = 3, .max_crashes = 1000, .lease_ms = 300));
        UNTIL_WITHIN(20, pg_int(url, "select count(*) from holdfast.worker where expires_at > "
                                     "now()") > 0);
        for (int k = 0; k < 4; k++) {
            usleep((unsigned)(rand() % 20000));
            pg_exec(url, "select pg_terminate_backend(pid) from pg_stat_activity where "
                         "application_name like 'holdfast/%' and query not like '%pg_terminate%' "
                         "order by random() limit 1");
        }
        usleep((unsigned)(rand() % 60000));
        if (i < 4)
            OK(client, hf_start(client, "counts", NULL, NULL, NULL));
        worker_kill(pid);
    }
    CHECK_INT(worker_wait(worker_start(
                  offer_counts, HF_WORKER(.drain = 1, .max_crashes = 1000, .lease_ms = 1000))),
              0);
    CHECK_INT(pg_int(url, "select count(*) from (select 1 from ledger group by run, step having "
                          "count(*) > 1) t"),
              0);
    CHECK_INT(pg_int(url, "select count(*) from ledger"), (RUNS + 4) * STEPS);
    CHECK_INT(pg_int(url, "select count(*) from holdfast.run where status = 4 and output = (select "
                          "string_agg(format('[{\"no\":%s}]', no), '' order by step) from ledger l "
                          "where l.run = run.id)"),
              RUNS + 4);
}
