/* SQL steps in a workflow's test: statements answered by a function, on a test handle. */
#include <stdio.h>
#include <string.h>

#include "runs.h"

struct database {
    int  asked;
    char sql[100], params[100];
    int  fails;
};

static int
answer(void *arg, const char *sql, const char *params, const char **out)
{
    struct database *db = arg;
    snprintf(db->sql, sizeof(db->sql), "%s", sql);
    snprintf(db->params, sizeof(db->params), "%s", params ? params : "none");
    db->asked++;
    *out = db->fails ? "23505" : "[{\"left\":3}]";
    return db->fails ? HF_FAILED : 0;
}

static const char *name = "take";

static int
takes(hf_wf *wf)
{
    const char *rows;
    int         rc = hf_sql(wf, name, "update stock set n = n - 1 where sku = $1 returning n",
                            hf_sprintf(wf, "[%s]", hf_quote(wf, hf_input(wf))), &rows);
    if (rc == HF_FAILED)
        return hf_return(wf, hf_sprintf(wf, "no: %s", hf_error_name(wf)));
    HF_TRY(rc);
    HF_TRY(hf_sleep(wf, 1000));
    HF_TRY(hf_sql(wf, "second", "select 1", NULL, NULL));
    return hf_return(wf, rows);
}

TEST(statements_are_answered_by_a_function)
{
    hf             *h = world_open();
    struct database db = {0};
    OK(h, hf_workflow(h, "takes", 1, takes));
    OK(h, hf_test_sql(h, answer, &db));
    OK(h, hf_start(h, "takes", "a \"b\"", HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(db.params, "[\"a \\\"b\\\"\"]");
    CHECK(strncmp(db.sql, "update stock", 12) == 0);
    OK(h, hf_test_crash(h)); /* it is not asked again */
    OK(h, hf_test_run(h));
    CHECK_INT(db.asked, 1);
    OK(h, hf_test_advance(h, 1000));
    CHECK_INT(db.asked, 2);
    CHECK_TEXT(db.params, "none");
    CHECK_TEXT(output_of(h, "r"), "[{\"left\":3}]");
    hf_close(h);
}

TEST(an_error_of_the_function_is_recorded)
{
    hf             *h = world_open();
    struct database db = {.fails = 1};
    OK(h, hf_workflow(h, "takes", 1, takes));
    OK(h, hf_test_sql(h, answer, &db));
    OK(h, hf_start(h, "takes", "a", HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "no: 23505");
    CHECK_INT(db.asked, 1);
    hf_close(h);
}

/* What a store in memory cannot do is said, and the run waits for it. */
TEST(without_a_function_the_run_is_blocked)
{
    hf             *h = world_open();
    struct database db = {0};
    OK(h, hf_workflow(h, "takes", 1, takes));
    OK(h, hf_start(h, "takes", "a", HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "blocked");
    CHECK(contains(message_of(h, "r"), "hf_test_sql"));
    OK(h, hf_test_sql(h, answer, &db));
    OK(h, hf_resume(h, "r"));
    OK(h, hf_test_advance(h, 2000));
    CHECK_TEXT(status_of(h, "r"), "completed");
    hf_close(h);
}

/* Another name is another step, another text is not. */
TEST(a_step_of_another_name_is_a_mismatch)
{
    hf             *h = world_open();
    struct database db = {0};
    OK(h, hf_workflow(h, "takes", 1, takes));
    OK(h, hf_test_sql(h, answer, &db));
    OK(h, hf_start(h, "takes", "a", HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    name = "other";
    OK(h, hf_test_advance(h, 2000));
    CHECK_TEXT(status_of(h, "r"), "blocked");
    CHECK_TEXT(error_of(h, "r"), "HF_MISMATCH");
    CHECK(contains(message_of(h, "r"), "step take"));
    hf_close(h);
}

/* ---- branches, a step beside, cancel */

static int
in_branch(hf_wf *wf, void *arg)
{
    const char *rows;
    HF_TRY(hf_sql(wf, arg, "select 1", NULL, &rows));
    return hf_return(wf, rows);
}

static int
two_branches(hf_wf *wf)
{
    char        a[] = "a", b[] = "b";
    hf_call     calls[2];
    const char *one, *two;
    HF_TRY(hf_branch_start(wf, in_branch, a, &calls[0]));
    HF_TRY(hf_branch_start(wf, in_branch, b, &calls[1]));
    HF_TRY(hf_all(wf, calls, 2));
    HF_TRY(hf_result(wf, calls[0], &one));
    HF_TRY(hf_result(wf, calls[1], &two));
    return hf_return(wf, hf_sprintf(wf, "%s%s", one, two));
}

TEST(statements_run_in_branches)
{
    hf             *h = world_open();
    struct database db = {0};
    OK(h, hf_workflow(h, "two", 1, two_branches));
    OK(h, hf_test_sql(h, answer, &db));
    OK(h, hf_start(h, "two", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "[{\"left\":3}][{\"left\":3}]");
    CHECK_INT(db.asked, 2);
    hf_close(h);
}

static int
waits_then_takes(hf_wf *wf)
{
    int rc = hf_sleep(wf, 1000);
    if (rc < 0)
        return rc;
    return hf_sql(wf, "late", "select 1", NULL, NULL);
}

TEST(a_cancelled_run_runs_no_statement)
{
    hf             *h = world_open();
    struct database db = {0};
    OK(h, hf_workflow(h, "late", 1, waits_then_takes));
    OK(h, hf_test_sql(h, answer, &db));
    OK(h, hf_start(h, "late", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_cancel(h, "r", NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "cancelled");
    CHECK_INT(db.asked, 0);
    hf_close(h);
}
