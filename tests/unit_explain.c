/*
 * What `holdfast explain` stands on: a connection that tells plans does the same as every other,
 * and a plan that hurts is found.
 */
#include "pg.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/explain.h"

static struct pg *server;
static struct err err;

static void
start_server(void)
{
    server = pg_start(&(struct pg_opt){.fast = true, .settings = "autovacuum = off\n"});
}

TEST_SETUP(start_server)

static const char *
filled_database(const char *suffix)
{
    char          name[40];
    struct buf    log = {0};
    struct store *s;

    snprintf(name, sizeof(name), "explain_%s_%d", suffix, (int)getpid());
    const char *url = pg_new_database(server, name);
    CHECK_INT(store_migrate(url, MIGRATE_RUN, &log, &err), 0);
    buf_release(&log);
    CHECK_INT(store_open(url, NULL, &s, &err), 0);
    CHECK_INT(store_statistics(s, STATISTICS_ANALYSED, false, &err), 0);
    CHECK_INT(store_fill(s, FILL_QUEUES, 1, 2, 0, &err), 0);
    CHECK_INT(store_fill(s, FILL_TASKS, 1, 3000, 0, &err), 0);
    CHECK_INT(store_fill(s, FILL_CLAIMED, 1, 100, 0, &err), 0);
    CHECK_INT(store_fill(s, FILL_DEAD, 1, 100, 0, &err), 0);
    CHECK_INT(store_fill(s, FILL_RUNNING, 1, 1000, 0, &err), 0);
    CHECK_INT(store_fill(s, FILL_SLEEPING, 1001, 3000, 0, &err), 0);
    CHECK_INT(store_fill(s, FILL_HISTORY, 1, 1000, 2, &err), 0);
    CHECK_INT(store_fill(s, FILL_INBOX, 1, 3000, 0, &err), 0);
    CHECK_INT(store_statistics(s, STATISTICS_ANALYSED, true, &err), 0);
    s->ops->close(s);
    return url;
}

static void
drive(const char *url, struct plans *plans)
{
    struct store *s;
    bool          inside = false, hot;

    CHECK_INT(store_open(url, NULL, &s, &err), 0);
    if (plans) {
        CHECK_INT(store_explain(s, plans_add, plans, &inside, &err), 0);
        CHECK(inside);
    }
    if (explain_drive(s, plans ? &plans->hot : &hot, &err))
        test_fail(__FILE__, __LINE__, "%s", err.text);
    CHECK_INT(store_explain_end(s, &err), 0);
    s->ops->close(s);
}

static const struct plan *
plan_named(const struct plans *plans, const char *name)
{
    for (size_t i = 0; i < plans->n; i++)
        if (strncmp(plans->rows[i].name, name, strlen(name)) == 0)
            return &plans->rows[i];
    test_fail(__FILE__, __LINE__, "%s was not explained", name);
}

/* Rows by their kind and state, without what is different each time. */
static int64_t
contents(const char *url)
{
    return pg_int(
        url, "select sum(hashtextextended(x.row, 0) / 1000000)::bigint from ("
             "select format('run %s %s %s %s', id, status, execution, wake_us is null) as row"
             "  from holdfast.run"
             " union all select format('task %s %s %s %s', id, attempt, class, claimed_by is null)"
             "  from holdfast.task"
             " union all select format('dead %s', id is null) from holdfast.dead"
             " union all select format('inbox %s %s', kind, key) from holdfast.inbox"
             " union all select format('history %s %s', execution, seq) from holdfast.history) x");
}

/* Else the plans would be those of another program. */
TEST_WITHIN(a_connection_that_explains_does_what_every_other_does, 60)
{
    const char  *plain = filled_database("plain"), *told = filled_database("told");
    struct plans plans = {0};

    CHECK_INT(contents(plain), contents(told));
    drive(plain, NULL);
    drive(told, &plans);
    CHECK(plans.n > 80);
    CHECK_INT(contents(plain), contents(told));
    plans_release(&plans);
}

/* With parameters that match rows, and what is inside functions. */
TEST_WITHIN(statements_are_explained_as_they_are_sent, 60)
{
    struct plans plans = {0};

    drive(filled_database("sent"), &plans);
    CHECK(!plans.failed);
    CHECK_INT(plan_named(&plans, "load_runs")->rows, 500);
    CHECK_TEXT(plan_named(&plans, "commit_task_deletes")->indexes, "task_pkey");
    CHECK(plan_named(&plans, "commit_task_deletes")->rows > 50);
    CHECK(plan_named(&plans, "takeover:")->inside);
    CHECK(plan_named(&plans, "fetch_tasks")->plan_ms > 0);
    CHECK(plan_named(&plans, "fetch_tasks")->hot);
    CHECK(!plan_named(&plans, "run_list")->hot);
    for (size_t i = 0; i < plans.n; i++)
        for (enum flag f = 0; f < FLAGS; f++)
            if (plan_is_bad(&plans.rows[i], f))
                test_fail(__FILE__, __LINE__, "%s: flag %d: %s", plans.rows[i].name, (int)f,
                          plans.rows[i].detail[f]);
    plans_release(&plans);
}

/* The check can fail: an index that is gone is seen, by the statements that need it. */
TEST_WITHIN(a_missing_index_is_found, 60)
{
    const char  *url = filled_database("missing");
    struct plans plans = {0};

    pg_exec(url, "drop index holdfast.inbox_run, holdfast.run_wake");
    drive(url, &plans);
    CHECK(plans_are_bad(&plans));
    int scans = 0, detours = 0;
    for (size_t i = 0; i < plans.n; i++) {
        const struct plan *p = &plans.rows[i];
        scans += strncmp(p->name, "purge_runs:", 11) == 0 && plan_is_bad(p, FLAG_SCAN) &&
                 strcmp(p->detail[FLAG_SCAN], "inbox") == 0;
        detours += strncmp(p->name, "put_message:", 12) == 0 && plan_is_bad(p, FLAG_WASTE);
    }
    CHECK(scans > 0);
    CHECK(detours > 0);
    const struct plan *due = plan_named(&plans, "fetch_due_runs");
    CHECK(plan_is_bad(due, FLAG_SCAN) || plan_is_bad(due, FLAG_INDEX));
    CHECK(!plan_is_bad(plan_named(&plans, "fetch_tasks"), FLAG_SCAN));
    plans_release(&plans);
}

/* Sleeping runs may be a million, and older than what a queue keeps. */
TEST_WITHIN(a_purge_asks_nothing_about_runs_that_live, 60)
{
    struct plans plans = {0};
    int          asked = 0;

    drive(filled_database("purge"), &plans); /* 3,000 runs live */
    for (size_t i = 0; i < plans.n; i++)
        if (strncmp(plans.rows[i].name, "purge_find:", 11) == 0 &&
            strstr(plans.rows[i].indexes, "inbox_run"))
            asked += plans.rows[i].times;
    CHECK(asked > 0);
    CHECK(asked < 1000);
    plans_release(&plans);
}

/* Rows that were deleted and cannot be taken away yet. */
TEST(a_plan_that_reads_far_more_than_it_gives_is_found)
{
    static const char plan[] =
        "[{\"Plan\": {\"Node Type\": \"Index Scan\", \"Relation Name\": \"task\","
        " \"Index Name\": \"task_fetch\", \"Plan Rows\": 1, \"Actual Rows\": 3,"
        " \"Actual Loops\": 1, \"Shared Hit Blocks\": %d, \"Shared Read Blocks\": 0,"
        " \"Rows Removed by Filter\": %d}, \"Planning Time\": 0.01, \"Execution Time\": 2.0}]";
    static const struct {
        int  pages, removed;
        bool bad;
    } cases[] = {{900, 900, false}, {5000, 0, true}, {10, 5000, true}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plans plans = {.hot = true};
        char         text[600];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), plan, cases[i].pages, cases[i].removed);
#pragma GCC diagnostic pop
        struct explained e = {.statement = "x", .index = "task_fetch", .plan = text, .again = true};
        plans_add(&plans, &e);
        CHECK_INT(plan_is_bad(&plans.rows[0], FLAG_WASTE), cases[i].bad);
        plans_release(&plans);
    }
}

/* A partial index is scanned for the few rows that it is for. */
TEST(on_sqlite_a_scan_of_an_index_is_none_of_the_table)
{
    struct plans     plans = {.hot = true};
    struct explained e = {.statement = "x",
                          .index = "hf_task_claimed",
                          .plan = "SCAN hf_task USING INDEX hf_task_claimed",
                          .times = 1,
                          .again = true,
                          .scanned = 20000};

    plans_add(&plans, &e);
    CHECK(!plans_are_bad(&plans));
    plans_release(&plans);
}

TEST(on_sqlite_a_scan_of_a_whole_table_is_found)
{
    struct plans     plans = {.hot = true};
    struct explained e = {.statement = "x",
                          .index = "hf_inbox_run",
                          .plan =
                              "SCAN hf_inbox\nSEARCH hf_run USING INTEGER PRIMARY KEY (rowid=?)",
                          .times = 2,
                          .again = true};

    plans_add(&plans, &e);
    CHECK(plan_is_bad(&plans.rows[0], FLAG_SCAN));
    CHECK(plan_is_bad(&plans.rows[0], FLAG_INDEX));
    CHECK_TEXT(plans.rows[0].indexes, "primary key");
    plans_release(&plans);
}
