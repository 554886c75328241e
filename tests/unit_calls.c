/* What a run can wait for, alone and together, on the test handle's clock. */
#include <stdio.h>
#include <string.h>

#include "runs.h"

static hf *h;

static int
echo(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_return(tk, hf_tk_input(tk));
}

/* A world with the workflow "w" started as "r", and worked on. */
static void
start(hf_workflow_fn fn, const char *input)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, fn));
    OK(h, hf_handler(h, "echo", echo, NULL, NULL));
    OK(h, hf_test_fake(h, "broken", NULL, "broken"));
    OK(h, hf_start(h, "w", input, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
}

static void
expect(const char *output)
{
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK_TEXT(output_of(h, "r"), output);
}

/* ---- all and any */

static int
child_echo(hf_wf *wf)
{
    HF_TRY(hf_signal(wf, "child", NULL));
    return hf_return(wf, hf_input(wf));
}

static int
start_mix(hf_wf *wf, hf_call *calls)
{
    HF_TRY(hf_task_start(wf, "echo", "task", &calls[0]));
    HF_TRY(hf_timer_start(wf, 5000, &calls[1]));
    HF_TRY(hf_signal_start(wf, "s", &calls[2], HF_OPT(.timeout_ms = 60000)));
    return hf_child_start(wf, "child", "from child", &calls[3]);
}

static int
all_of_a_mix(hf_wf *wf)
{
    hf_call     calls[4];
    const char *a, *c, *d;

    HF_TRY(start_mix(wf, calls));
    HF_TRY(hf_all(wf, calls, 4));
    HF_TRY(hf_result(wf, calls[0], &a));
    HF_TRY(hf_result(wf, calls[2], &c));
    HF_TRY(hf_result(wf, calls[3], &d));
    return hf_return(wf, hf_sprintf(wf, "%s, %s, %s", a, c, d));
}

TEST(all_waits_for_a_mix_of_calls_whatever_ends_first)
{
    start(all_of_a_mix, NULL);
    /* the child's workflow was not offered: it waits for a program that has it */
    OK(h, hf_test_crash(h));
    OK(h, hf_workflow(h, "child", 1, child_echo));
    OK(h, hf_test_run(h));
    OK(h, hf_send(h, "r/0.4", "child", NULL, NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, 5000));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_send(h, "r", "s", "signal", NULL));
    OK(h, hf_test_run(h));
    expect("task, signal, from child");
}

static int
all_with_failures(hf_wf *wf)
{
    hf_call calls[3];
    HF_TRY(hf_signal_start(wf, "never", &calls[0], HF_OPT(.timeout_ms = 9000)));
    HF_TRY(hf_task_start(wf, "echo", "x", &calls[1]));
    HF_TRY(hf_task_start(wf, "broken", "x", &calls[2],
                         HF_OPT(.max_attempts = 2, .first_delay_ms = 2000, .jitter = -1)));
    int rc = hf_all(wf, calls, 3);
    HF_TRY(rc > 0 ? 0 : rc);
    return hf_return(wf, hf_sprintf(wf, "%d %s", rc, hf_error_name(wf)));
}

/* The first failure in time is the one that people look for, not the first in the list. */
TEST(all_gives_the_failure_that_came_first_in_history)
{
    start(all_with_failures, NULL);
    OK(h, hf_test_advance(h, 8000));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, 1000));
    expect("1 broken");
}

static int
any_then_the_loser(hf_wf *wf)
{
    hf_call     calls[2];
    size_t      first;
    const char *text;

    HF_TRY(hf_timer_start(wf, 1000, &calls[0]));
    HF_TRY(hf_signal_start(wf, "s", &calls[1]));
    HF_TRY(hf_any(wf, calls, 2, &first));
    HF_TRY(hf_result(wf, calls[1], &text)); /* the loser is still there to be waited for */
    return hf_return(wf, hf_sprintf(wf, "%d %s", (int)first, text));
}

TEST(the_loser_of_any_is_not_lost)
{
    start(any_then_the_loser, NULL);
    OK(h, hf_test_advance(h, 1000));
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "s", "late", NULL));
    OK(h, hf_test_run(h));
    expect("0 late");
}

/* After a crash both have happened: who was first stays first. */
TEST(any_gives_the_first_in_history_also_when_both_have_come)
{
    start(any_then_the_loser, NULL);
    OK(h, hf_send(h, "r", "s", "early", NULL));
    OK(h, hf_test_run(h));
    expect("1 early");
}

/* ---- branches */

static int
branch(hf_wf *wf, void *arg)
{
    const char *a, *b;
    int         i = *(int *)arg;

    HF_TRY(hf_signal(wf, i ? "s1" : "s0", &a));
    HF_TRY(hf_task(wf, "echo", hf_sprintf(wf, "b%d", i), &b));
    HF_TRY(hf_sleep(wf, 1000));
    return hf_return(wf, hf_sprintf(wf, "%s%s", a, b));
}

static int
two_branches(hf_wf *wf)
{
    int         ids[2] = {0, 1};
    hf_call     calls[2];
    const char *a, *b;

    for (int i = 0; i < 2; i++)
        HF_TRY(hf_branch_start(wf, branch, &ids[i], &calls[i]));
    HF_TRY(hf_all(wf, calls, 2));
    HF_TRY(hf_result(wf, calls[0], &a));
    HF_TRY(hf_result(wf, calls[1], &b));
    return hf_return(wf, hf_sprintf(wf, "%s %s", a, b));
}

/* Numbers that depended on who is first would mismatch at random. */
TEST(branches_keep_their_numbers_whoever_goes_first)
{
    for (int order = 0; order < 2; order++) {
        start(two_branches, NULL);
        OK(h, hf_send(h, "r", order ? "s0" : "s1", "x", NULL));
        OK(h, hf_test_run(h));
        OK(h, hf_test_crash(h));
        OK(h, hf_send(h, "r", order ? "s1" : "s0", "x", NULL));
        OK(h, hf_test_run(h));
        OK(h, hf_test_crash(h));
        OK(h, hf_test_advance(h, 1000));
        expect("xb0 xb1");
        hf_close(h);
    }
}

static int
failing_branch(hf_wf *wf, void *arg)
{
    (void)arg;
    HF_TRY(hf_sleep(wf, 10));
    return hf_fail(wf, "branch_broke", "in a branch");
}

static int
with_failing_branch(hf_wf *wf)
{
    hf_call call;
    HF_TRY(hf_branch_start(wf, failing_branch, NULL, &call));
    return hf_result(wf, call, NULL);
}

TEST(the_error_of_a_branch_is_that_of_its_call)
{
    start(with_failing_branch, NULL);
    OK(h, hf_test_advance(h, 10));
    CHECK_TEXT(status_of(h, "r"), "failed");
    CHECK_TEXT(error_of(h, "r"), "branch_broke");
    CHECK_TEXT(message_of(h, "r"), "in a branch");
}

/* ---- signals */

static int
signal_with_timeout(hf_wf *wf)
{
    const char *text;
    int         n = 0, rc;
    while ((rc = hf_signal(wf, "s", &text, HF_OPT(.timeout_ms = 1000))) == HF_TIMEOUT && ++n < 3)
        CHECK_TEXT(text, NULL);
    HF_TRY(rc == HF_TIMEOUT ? 0 : rc);
    return hf_return(wf, hf_sprintf(wf, "%d %s", n, rc ? hf_error_name(wf) : text));
}

TEST(a_wait_for_a_signal_times_out_and_the_next_wait_gets_it)
{
    start(signal_with_timeout, NULL);
    OK(h, hf_test_advance(h, 999));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_test_advance(h, 501));
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "s", "here", NULL));
    OK(h, hf_test_run(h));
    expect("1 here");
    hf_close(h);
    start(signal_with_timeout, NULL);
    OK(h, hf_test_advance(h, 3000));
    expect("3 timeout");
}

/* One worker of a team: whoever is first starts the run, the others only send. */
TEST(a_start_with_a_signal_starts_once_and_always_sends)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, child_echo));
    OK(h, hf_start_send(h, "w", "in", "x", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_start_send(h, "w", "other", "child", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    expect("in");
    CHECK_INT(execution_of(h, "r"), 1);
    /* it has ended: another life begins, with the signal */
    OK(h, hf_start_send(h, "w", "again", "child", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    expect("again");
}

/* ---- children */

static int
parent(hf_wf *wf)
{
    const char *out;
    int         rc = hf_child(wf, "child", "c", &out, HF_OPT(.id = "kid"));
    if (rc == HF_FAILED || rc == HF_TERMINATED)
        return hf_return(wf, hf_sprintf(wf, "%s %s", hf_error_name(wf), hf_error_message(wf)));
    HF_TRY(rc);
    return hf_return(wf, out);
}

static void
start_parent(hf_workflow_fn fn)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, fn));
    OK(h, hf_workflow(h, "child", 1, child_echo));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
}

TEST(a_child_is_awaited_across_crashes_of_both)
{
    start_parent(parent);
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "kid", "child", NULL, NULL));
    OK(h, hf_test_run(h));
    expect("c");
    hf_info *info;
    OK(h, hf_describe(h, "kid", &info));
    CHECK_TEXT(info->input, "c");
    CHECK_TEXT(info->queue, "default");
    hf_info_free(info);
}

TEST(the_end_of_a_child_by_force_is_an_outcome_for_its_parent)
{
    start_parent(parent);
    OK(h, hf_terminate(h, "kid", "by hand"));
    OK(h, hf_test_run(h));
    expect("terminated by hand");
}

TEST(a_child_with_a_taken_id_fails_with_exists)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, parent));
    OK(h, hf_workflow(h, "child", 1, child_echo));
    OK(h, hf_start(h, "child", NULL, HF_OPT(.id = "kid"), NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK(contains(output_of(h, "r"), "exists"));
    CHECK_TEXT(status_of(h, "kid"), "waiting");
}

static int
ends_before_child(hf_wf *wf)
{
    hf_call     call;
    const char *id;
    HF_TRY(hf_child_start(wf, "child", NULL, &call, HF_OPT(.id = "kid")));
    HF_TRY(hf_detach(wf, "child", "free", &id, HF_OPT(.id = "free")));
    HF_TRY(hf_detach(wf, "child", "free", &id, NULL));
    HF_TRY(hf_sleep(wf, 1000));
    return hf_return(wf, id);
}

/* Children that nobody waits for any more are no work for ever; detached runs live on their own. */
TEST(a_child_is_cancelled_with_its_parent_and_a_detached_run_is_not)
{
    for (int by_cancel = 0; by_cancel < 2; by_cancel++) {
        start_parent(ends_before_child);
        if (by_cancel)
            OK(h, hf_cancel(h, "r", "over"));
        OK(h, hf_test_crash(h));
        OK(h, hf_test_advance(h, 1000));
        CHECK_TEXT(status_of(h, "r"), by_cancel ? "cancelled" : "completed");
        CHECK_TEXT(status_of(h, "kid"), "cancelled");
        CHECK_TEXT(status_of(h, "free"), "waiting");
        CHECK_TEXT(status_of(h, "r/0.3"), "waiting");
        OK(h, hf_send(h, "free", "child", NULL, NULL));
        OK(h, hf_test_run(h));
        CHECK_TEXT(output_of(h, "free"), "free");
        hf_close(h);
    }
}

/* ---- compensation */

static char undone[100];

static int
undo(hf_tk *tk, void *arg)
{
    (void)arg;
    strncat(undone, hf_tk_input(tk), sizeof(undone) - strlen(undone) - 1);
    return strcmp(hf_tk_input(tk), "2") == 0 ? hf_tk_fail_final(tk, "stuck", "cannot undo 2")
                                             : hf_tk_return(tk, NULL);
}

static int
compensates(hf_wf *wf)
{
    HF_TRY(hf_on_fail(wf, "undo", "1"));
    HF_TRY(hf_on_fail(wf, "undo", "2"));
    HF_TRY(hf_sleep(wf, 1000));
    HF_TRY(hf_on_fail(wf, "undo", "3"));
    if (strcmp(hf_input(wf), "fail") == 0)
        return hf_fail(wf, "no_stock", "sold out");
    return hf_return(wf, "sold");
}

static void
start_compensating(const char *input)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, compensates));
    OK(h, hf_handler(h, "undo", undo, NULL, NULL));
    OK(h, hf_start(h, "w", input, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, 1000));
}

TEST(compensation_runs_last_first_and_one_that_fails_is_named_in_the_error)
{
    start_compensating("fail");
    CHECK_TEXT(undone, "321");
    CHECK_TEXT(status_of(h, "r"), "failed");
    CHECK_TEXT(error_of(h, "r"), "no_stock");
    CHECK(contains(message_of(h, "r"), "sold out"));
    CHECK(contains(message_of(h, "r"), "undo failed: stuck: cannot undo 2"));
}

TEST(a_run_that_does_well_compensates_nothing)
{
    start_compensating("well");
    CHECK_TEXT(undone, "");
    expect("sold");
}
