/*
 * SQL steps on an SQLite file: what statements give, what they may not do, what of them survives.
 * Workers are processes; the test looks at the user's table with a connection of its own.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

static hf *client;

/* ---- the user's own database */

static const char *
query(const char *sql)
{
    static char   text[8][400];
    static int    n;
    char         *to = text[n++ % 8];
    sqlite3      *db;
    sqlite3_stmt *q = NULL;

    CHECK_INT(sqlite3_open("t.db", &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", sql, sqlite3_errmsg(db));
    int         rc = sqlite3_step(q);
    const char *value = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    snprintf(to, 400, "%s", value ? value : "");
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        test_fail(__FILE__, __LINE__, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(q);
    sqlite3_close(db);
    return to;
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

static void
offer_statement(hf *h)
{
    OK(h, hf_workflow(h, "statement", 1, run_statement));
}

/* Runs it to its end; the id of the run. */
static const char *
run(const char *sql, const char *params)
{
    static char id[8][20];
    static int  n;
    char       *to = id[n++ % 8];
    char        input[2000], quoted[1500] = "";

    for (size_t i = 0, k = 0; sql[i] && k < sizeof(quoted) - 3; i++) {
        if (sql[i] == '"' || sql[i] == '\\' || sql[i] == '\n')
            quoted[k++] = '\\';
        quoted[k++] = sql[i] == '\n' ? 'n' : sql[i];
        quoted[k] = '\0';
    }
    snprintf(to, 20, "r%d", n);
    snprintf(input, sizeof(input), "{\"sql\":\"%s\",\"params\":%s}", quoted,
             params ? params : "null");
    OK(client, hf_start(client, "statement", input, HF_OPT(.id = to), NULL));
    worker_drain(offer_statement);
    return to;
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
    CHECK_TEXT(status_of(client, id), "failed");
    return error_of(client, id);
}

TEST(rows_come_as_json_objects)
{
    client = client_open();
    query("create table item (id integer primary key, name text, price real, data blob)");
    CHECK_TEXT(answer("insert into item values ($1, $2, $3, x'00ff')",
                      "[7, \"Grüße \\\"☃\\\" \\n\", 0.1]"),
               "[]");
    CHECK_TEXT(answer("select id, name, price, data, null as none from item", NULL),
               "[{\"id\":7,\"name\":\"Grüße \\\"☃\\\" \\n\",\"price\":0.1,"
               "\"data\":\"\\\\x00ff\",\"none\":null}]");
    CHECK_TEXT(answer("update item set price = price * 2 returning price", NULL),
               "[{\"price\":0.2}]");
    CHECK_TEXT(answer("select 1 as a where 1 = 0", NULL), "[]");
    CHECK_TEXT(answer("select 1 as a union select 2", "[]"), "[{\"a\":1},{\"a\":2}]");
    CHECK_TEXT(answer("select 9e999 as a, 1e300 as b, 3.0 as c, -9223372036854775808 as d", NULL),
               "[{\"a\":\"Infinity\",\"b\":1.0e+300,\"c\":3.0,\"d\":-9223372036854775808}]");
}

TEST(parameters_have_the_types_of_their_json)
{
    client = client_open();
    CHECK_TEXT(answer("select typeof($1) a, typeof($2) b, typeof($3) c, typeof($4) d, $5 e, $6 f",
                      "[1, 1.5, \"1\", null, true, {\"x\": [1, \"],}\"]}]"),
               "[{\"a\":\"integer\",\"b\":\"real\",\"c\":\"text\",\"d\":\"null\",\"e\":1,"
               "\"f\":\"{\\\"x\\\":[1,\\\"],}\\\"]}\"}]");
    CHECK_TEXT(answer("select $2 b, $1 a, $2 c", "[1, 2]"), "[{\"b\":2,\"a\":1,\"c\":2}]");
    CHECK_TEXT(answer("select $1 a", "[9007199254740993]"), "[{\"a\":9007199254740993}]");
    CHECK_TEXT(answer("select $1 a", "[\"'); drop table hf_run; --\"]"),
               "[{\"a\":\"'); drop table hf_run; --\"}]");
    CHECK_TEXT(error("select $1 a", NULL), "SQLITE_RANGE");
    CHECK_TEXT(error("select $1 a", "[1,2]"), "SQLITE_RANGE");
    CHECK_TEXT(error("select :name a", "[1]"), "SQLITE_RANGE");
}

/* What is no array of parameters is a mistake of the program: mended, the run goes on. */
TEST(bad_arguments_block_the_run)
{
    client = client_open();
    const char *id = run("select 1 as a", "{\"a\":1}");
    CHECK_TEXT(status_of(client, id), "blocked");
    CHECK(contains(message_of(client, id), "no JSON array"));
    id = run(" ; ", NULL);
    CHECK_TEXT(status_of(client, id), "blocked");
    CHECK(contains(message_of(client, id), "no statement"));
}

/* Recorded, with nothing left of what it did. */
TEST(an_error_of_the_statement_is_the_step_s)
{
    client = client_open();
    query("create table item (id integer primary key, n int check (n >= 0))");
    query("insert into item values (1, 5)");
    CHECK_TEXT(error("insert into item values (1, 2)", NULL), "SQLITE_CONSTRAINT_PRIMARYKEY");
    CHECK_TEXT(error("update item set n = n - $1", "[6]"), "SQLITE_CONSTRAINT_CHECK");
    CHECK_TEXT(error("insert into item values (2, 1), (3, 1), (1, 1)", NULL),
               "SQLITE_CONSTRAINT_PRIMARYKEY");
    CHECK_TEXT(error("selekt 1", NULL), "SQLITE_ERROR");
    CHECK_TEXT(error("select * from nowhere", NULL), "SQLITE_ERROR");
    CHECK_TEXT(query("select count(*) || ' ' || sum(n) from item"), "1 5");
}

/* Checked at the commit, which is that of the step alone. */
TEST(a_deferred_constraint_is_the_step_s_error)
{
    client = client_open();
    query("create table parent (id integer primary key)");
    query("create table child (id int references parent deferrable initially deferred)");
    CHECK_TEXT(error("insert into child values (1)", NULL), "SQLITE_CONSTRAINT_FOREIGNKEY");
    CHECK_TEXT(query("select count(*) from child"), "0");
    query("insert into parent values (1)");
    CHECK_TEXT(answer("insert into child values (1) returning id", NULL), "[{\"id\":1}]");
}

TEST(a_step_is_one_statement_that_cannot_end_its_transaction)
{
    static const char *const refused[] = {
        "commit",
        "rollback",
        "end",
        "begin",
        "savepoint a",
        "release a",
        "attach 'x.db' as x",
        "pragma synchronous = off",
        "pragma foreign_keys = off",
        "delete from hf_history",
        "update hf_run set status = 4",
        "drop table hf_run",
        "create trigger t after insert on hf_history begin select 1; end",
        "insert into hf_counter values (1, 1)",
        "alter table hf_run rename to x",
    };
    client = client_open();
    query("create table item (id integer primary key)");
    CHECK_TEXT(error("insert into item values (1); insert into item values (2)", NULL),
               "SQLITE_ERROR");
    CHECK_TEXT(error("insert into item values (1); garbage", NULL), "SQLITE_ERROR");
    CHECK_TEXT(query("select count(*) from item"), "0");
    CHECK_TEXT(answer("-- first\n insert into item values (1) ; -- that is all\n ; ", NULL), "[]");
    CHECK_TEXT(answer("with a as (select 1) select count(*) n from hf_run", NULL), "[{\"n\":4}]");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *name = error(refused[i], NULL);
        if (strcmp(name, "SQLITE_AUTH") != 0)
            test_fail(__FILE__, __LINE__, "%s: %s", refused[i], name);
    }
    CHECK_TEXT(error("vacuum", NULL), "SQLITE_ERROR");
}

TEST(a_statement_may_change_the_schema)
{
    client = client_open();
    CHECK_TEXT(answer("create table made (n int)", NULL), "[]");
    CHECK_TEXT(answer("alter table made add column m int not null default 3", NULL), "[]");
    CHECK_TEXT(answer("insert into made (n) values (1) returning n, m", NULL),
               "[{\"n\":1,\"m\":3}]");
}

TEST(a_result_that_is_too_big_leaves_nothing)
{
    client = client_open();
    query("create table item (t text)");
    const char *id = run("insert into item select hex(zeroblob(300000)) from (select 1 union "
                         "select 2) returning t",
                         NULL);
    CHECK_TEXT(status_of(client, id), "blocked");
    CHECK_TEXT(error_of(client, id), "HF_TOO_BIG");
    CHECK_TEXT(query("select count(*) from item"), "0");
    CHECK_TEXT(error("select cast(x'ff' as text) as t", NULL), "SQLITE_MISMATCH");
}

TEST(a_statement_that_takes_too_long_is_ended)
{
    client = client_open();
    query("create table item (n int)");
    OK(client, hf_start(client, "statement",
                        "{\"ms\":100,\"sql\":\"insert into item with recursive r(n) as (select 1 "
                        "union all select n + 1 from r) select n from r\"}",
                        HF_OPT(.id = "r"), NULL));
    worker_drain(offer_statement);
    CHECK_TEXT(status_of(client, "r"), "failed");
    CHECK_TEXT(error_of(client, "r"), "timeout");
    CHECK_TEXT(query("select count(*) from item"), "0");
}

/* ---- runs that are killed */

enum { STEPS = 6, RUNS = 8 };

/* Each statement counts; the numbers that it gave are what the run returns. */
static int
counts(hf_wf *wf)
{
    const char *rows, *all = "";

    for (int i = 0; i < STEPS; i++) {
        const char *params = hf_sprintf(wf, "[%s, %d]", hf_quote(wf, hf_run_id(wf)), i);
        HF_TRY(hf_sql(wf, "count", "insert into ledger (run, step) values ($1, $2) returning no",
                      params, &rows));
        if (i % 3 == 2)
            HF_TRY(hf_sleep(wf, 1));
        all = hf_sprintf(wf, "%s%s", all, rows);
    }
    return hf_return(wf, all);
}

static void
offer_counts(hf *h)
{
    OK(h, hf_workflow(h, "counts", 1, counts));
}

/* The guarantee of hf_sql, at moments that nobody chose. */
TEST_WITHIN(g_an_sql_step_takes_effect_exactly_once_through_kill_9, 60)
{
    client = client_open();
    query("create table ledger (no integer primary key, run text, step int)");
    srand(7);
    for (int i = 0; i < RUNS; i++) {
        char id[20];
        snprintf(id, sizeof(id), "c%d", i);
        OK(client, hf_start(client, "counts", NULL, HF_OPT(.id = id), NULL));
    }
    int wait_us = 2000;
    for (int i = 0; i < 40; i++, wait_us += 800) {
        pid_t pid = worker_start(offer_counts, HF_WORKER(.slots = 3, .max_crashes = 1000));
        usleep((unsigned)(wait_us * test_slowness() + rand() % 3000));
        worker_kill(pid);
        if (i > 5 && i % 5 == 0) {
            char id[20];
            snprintf(id, sizeof(id), "k%d", i);
            OK(client, hf_start(client, "counts", NULL, HF_OPT(.id = id), NULL));
        }
    }
    CHECK_INT(worker_wait(worker_start(offer_counts, HF_WORKER(.drain = 1, .max_crashes = 1000))),
              0);
    CHECK_TEXT(query("select count(*) from (select 1 from ledger group by run, step "
                     "having count(*) > 1)"),
               "0");
    CHECK_TEXT(query("select count(*) = 6 * count(distinct run) and count(distinct run) = 14 "
                     "from ledger"),
               "1");
    for (int i = 0; i < RUNS; i++) { /* and what was recorded is what happened */
        char id[20], sql[200];
        snprintf(id, sizeof(id), "c%d", i);
        snprintf(sql, sizeof(sql),
                 "select group_concat('[{\"no\":' || no || '}]', '') from (select no from ledger "
                 "where run = '%s' order by step)",
                 id);
        CHECK_TEXT(output_of(client, id), query(sql));
    }
}

/* Many at once, on the slots of one worker. */
TEST(statements_of_many_runs_go_through_one_connection)
{
    client = client_open();
    query("create table ledger (no integer primary key, run text, step int)");
    for (int i = 0; i < 60; i++)
        OK(client, hf_start(client, "counts", NULL, NULL, NULL));
    CHECK_INT(worker_wait(worker_start(offer_counts, HF_WORKER(.slots = 8, .drain = 1))), 0);
    CHECK_TEXT(query("select count(*) || ' ' || count(distinct run) from ledger"), "360 60");
}
