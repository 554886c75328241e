/*
 * The guarantee about cancelling: it wakes everything, everything that is not shielded says so, and
 * compensation begins when nothing else of the run is under way any more.
 */
#include <string.h>

#include "runs.h"

static hf  *h;
static char trail[400]; /* what tasks did, in order */

static int
note(hf_tk *tk, void *arg)
{
    (void)arg;
    const char *input = hf_tk_input(tk);
    strncat(trail, hf_tk_name(tk), sizeof(trail) - strlen(trail) - 1);
    if (input)
        strncat(strcat(trail, ":"), input, sizeof(trail) - strlen(trail) - 1);
    strncat(trail, " ", sizeof(trail) - strlen(trail) - 1);
    return hf_tk_return(tk, NULL);
}

static void
open_world(hf_workflow_fn fn)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, fn));
    static const char *const tasks[] = {"undo", "clean", "work"};
    for (size_t i = 0; i < 3; i++)
        OK(h, hf_handler(h, tasks[i], note, NULL, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "waiting");
}

static int
sleeps(hf_wf *wf)
{
    return hf_sleep(wf, 365 * HF_DAY);
}

static int
waits(hf_wf *wf)
{
    return hf_signal(wf, "never", NULL);
}

/* Nobody waits a year for a cancelled run to find out. */
TEST(g10_cancel_wakes_a_sleeper)
{
    open_world(sleeps);
    OK(h, hf_cancel(h, "r", "not needed"));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "cancelled");
    CHECK_TEXT(message_of(h, "r"), "not needed");
    GIVES(h, hf_wait(h, "r", 0, NULL), HF_CANCELLED);
    hf_close(h);
}

TEST(g10_cancel_wakes_a_waiter_also_after_a_crash)
{
    open_world(waits);
    OK(h, hf_cancel(h, "r", NULL));
    OK(h, hf_cancel(h, "r", NULL)); /* repeating is safe */
    OK(h, hf_test_crash(h));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "cancelled");
    hf_close(h);
}

static int codes[6], was_cancelled;

static int
asks_on(hf_wf *wf)
{
    hf_call call;
    size_t  which;

    codes[0] = hf_sleep(wf, HF_DAY);
    HF_TRY(codes[0] == HF_CANCELLED ? 0 : codes[0]);
    was_cancelled = hf_is_cancelled(wf);
    codes[1] = hf_task(wf, "work", "not to be", NULL);
    codes[2] = hf_signal(wf, "s", NULL);
    codes[3] = hf_child(wf, "w", NULL, NULL);
    HF_TRY(hf_timer_start(wf, 1, &call));
    codes[4] = hf_any(wf, &call, 1, &which);
    hf_shield(wf);
    codes[5] = hf_task(wf, "clean", NULL, NULL); /* clean-up has to be able to work */
    HF_TRY(codes[5]);
    hf_unshield(wf);
    return hf_sleep(wf, 1);
}

/* Code that goes on after a cancel must not be able to begin anything by accident. */
TEST(g10_after_a_cancel_every_call_that_is_not_shielded_is_cancelled)
{
    open_world(asks_on);
    OK(h, hf_cancel(h, "r", "stop"));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "cancelled");
    CHECK_INT(was_cancelled, 1);
    for (int i = 0; i < 5; i++)
        CHECK_INT(codes[i], HF_CANCELLED);
    CHECK_INT(codes[5], HF_OK);
    CHECK_TEXT(trail, "clean ");
    GIVES(h, hf_describe(h, "r/0.4", &(hf_info *){0}), HF_NOT_FOUND);
    hf_close(h);
}

static int
shields_sleep(hf_wf *wf)
{
    hf_shield(wf);
    int rc = hf_sleep(wf, HF_HOUR);
    HF_TRY(rc);
    rc = hf_signal(wf, "go", NULL);
    HF_TRY(rc);
    hf_unshield(wf);
    return hf_return(wf, "whole");
}

/* A shield that lets a sleep through would cut a clean-up in the middle. */
TEST(g10_shielded_waits_are_not_touched_by_a_cancel)
{
    open_world(shields_sleep);
    OK(h, hf_cancel(h, "r", NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, HF_HOUR));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "whole"); /* it never looked: it is done, not cancelled */
    hf_close(h);
}

/* ---- compensation */

static int
child_that_cleans(hf_wf *wf)
{
    int rc = hf_sleep(wf, HF_DAY);
    if (rc == HF_CANCELLED) {
        hf_shield(wf);
        HF_TRY(hf_task(wf, "clean", "child", NULL));
        HF_TRY(hf_sleep(wf, HF_MINUTE));
        hf_unshield(wf);
    }
    return rc;
}

static int
with_child(hf_wf *wf)
{
    hf_call child;
    HF_TRY(hf_on_fail(wf, "undo", "1"));
    HF_TRY(hf_on_fail(wf, "undo", "2"));
    HF_TRY(hf_child_start(wf, "child", NULL, &child));
    return hf_result(wf, child, NULL);
}

/* Undoing while the work is still being done leaves a mess: outstanding calls end first. */
TEST(g10_outstanding_calls_are_cancelled_and_awaited_before_compensation)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, with_child));
    OK(h, hf_workflow(h, "child", 1, child_that_cleans));
    OK(h, hf_handler(h, "undo", note, NULL, NULL));
    OK(h, hf_handler(h, "clean", note, NULL, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_cancel(h, "r", "enough"));
    OK(h, hf_test_run(h));
    CHECK_TEXT(trail, "clean:child ");
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, HF_MINUTE - 1));
    CHECK_TEXT(trail, "clean:child ");
    OK(h, hf_test_advance(h, 1));
    CHECK_TEXT(trail, "clean:child undo:2 undo:1 ");
    CHECK_TEXT(status_of(h, "r/0.1"), "cancelled");
    CHECK_TEXT(status_of(h, "r"), "cancelled");
    CHECK_TEXT(message_of(h, "r"), "enough");
    hf_close(h);
}

static int
fails_beside_open_task(hf_wf *wf)
{
    hf_call slow;
    HF_TRY(hf_on_fail(wf, "undo", "it"));
    HF_TRY(hf_task_start(wf, "flaky", NULL, &slow, HF_OPT(.max_attempts = -1)));
    HF_TRY(hf_sleep(wf, HF_SECOND / 2));
    return hf_fail(wf, "broken", "while flaky waits for its next attempt");
}

/* A task between two attempts is outstanding too, and must not begin another one afterwards. */
TEST(g10_a_call_that_waits_for_its_retry_is_cancelled_before_compensation)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, fails_beside_open_task));
    OK(h, hf_handler(h, "undo", note, NULL, NULL));
    OK(h, hf_test_fake(h, "flaky", NULL, "down"));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_advance(h, HF_SECOND / 2));
    CHECK_TEXT(trail, "undo:it ");
    CHECK_TEXT(status_of(h, "r"), "failed");
    CHECK_TEXT(error_of(h, "r"), "broken");
    int n = hf_test_count(h, "flaky");
    OK(h, hf_test_advance(h, HF_DAY));
    CHECK_INT(hf_test_count(h, "flaky"), n);
    hf_close(h);
}
