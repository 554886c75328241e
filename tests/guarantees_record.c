/*
 * The guarantees about a run's record: results, timers, signals, changed code. With the test
 * handle's clock and crashes: whatever is in memory may go at any moment, what is recorded counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runs.h"

static hf *h; /* one a test: each has a process of its own */

/* ---- 2 and 3: results */

static int draws;

/* Gives another number each time it runs: executing it again would show. */
static int
draw(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_return(tk, hf_tk_sprintf(tk, "%d", ++draws));
}

static int
three_draws(hf_wf *wf)
{
    const char *a, *b, *c;
    HF_TRY(hf_task(wf, "draw", NULL, &a));
    HF_TRY(hf_signal(wf, "go", NULL));
    HF_TRY(hf_task(wf, "draw", NULL, &b));
    HF_TRY(hf_sleep(wf, HF_HOUR));
    HF_TRY(hf_task(wf, "draw", NULL, &c));
    return hf_return(wf, hf_sprintf(wf, "%s %s %s", a, b, c));
}

/* A charge that is made again because the process forgot the answer is money lost: what is recorded
 * is never asked for again, however often memory goes. */
TEST(g2_a_recorded_result_is_never_executed_again)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, three_draws));
    OK(h, hf_handler(h, "draw", draw, NULL, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, HF_HOUR));
    CHECK_TEXT(output_of(h, "r"), "1 2 3");
    CHECK_INT(hf_test_count(h, "draw"), 3);
    hf_close(h);
}

/* ---- 5: timers */

static int64_t woken_at;
static int     wakes;

static int
sleeper(hf_wf *wf)
{
    HF_TRY(hf_sleep(wf, 90 * HF_SECOND));
    woken_at = hf_now(wf);
    HF_TRY(hf_task(wf, "after", NULL, NULL));
    return hf_return(wf, "up");
}

static int
count_wake(hf_tk *tk, void *arg)
{
    (void)arg;
    wakes++;
    return hf_tk_return(tk, NULL);
}

/* A reminder before its time is wrong, and one that comes twice is spam. */
TEST(g5_a_timer_never_fires_early_and_fires_once)
{
    h = world_open();
    OK(h, hf_workflow(h, "sleeper", 1, sleeper));
    OK(h, hf_handler(h, "after", count_wake, NULL, NULL));
    int64_t begun = hf_test_now(h);
    OK(h, hf_start(h, "sleeper", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_advance(h, 90 * HF_SECOND - 1));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_test_crash(h)); /* the timer is in the store, not in memory */
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    CHECK_INT(wakes, 0);
    OK(h, hf_test_advance(h, 1));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK(woken_at >= begun + 90 * HF_SECOND);
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, HF_HOUR));
    CHECK_INT(wakes, 1);
    hf_close(h);
}

/* A worker that was away when the timer was due fires it when it is back. */
TEST(g5_a_timer_that_was_due_during_a_crash_fires_afterwards)
{
    h = world_open();
    OK(h, hf_workflow(h, "sleeper", 1, sleeper));
    OK(h, hf_handler(h, "after", count_wake, NULL, NULL));
    OK(h, hf_start(h, "sleeper", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, HF_DAY));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK_INT(wakes, 1);
    hf_close(h);
}

/* ---- 6: signals */

static int
reads_three(hf_wf *wf)
{
    const char *a, *b, *c;
    HF_TRY(hf_sleep(wf, HF_SECOND));
    HF_TRY(hf_signal(wf, "item", &a));
    HF_TRY(hf_signal(wf, "item", &b));
    HF_TRY(hf_signal(wf, "item", &c));
    return hf_return(wf, hf_sprintf(wf, "%s%s%s", a, b, c));
}

/* Messages of one sender tell a story: out of order or doubled they tell another one. */
TEST(g6_signals_are_delivered_once_and_in_order_also_when_they_come_early)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, reads_three));
    OK(h, hf_start_send(h, "w", NULL, "item", "1", HF_OPT(.id = "r"), NULL));
    OK(h, hf_send(h, "r", "other", "x", NULL));
    OK(h, hf_send(h, "r", "item", "2", HF_OPT(.key = "k2")));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "item", "2", HF_OPT(.key = "k2"))); /* repeated after a lost answer */
    OK(h, hf_test_advance(h, HF_SECOND));
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "item", "3", NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "123");
    hf_close(h);
}

static int sends_to_itself;

/* During the turn that would end the run, somebody sends it a signal. */
static int
ends_unless_signalled(hf_wf *wf)
{
    hf_call  call[2];
    size_t   which;
    unsigned n = 0;

    for (;;) {
        HF_TRY(hf_signal_start(wf, "more", &call[0]));
        HF_TRY(hf_timer_start(wf, 0, &call[1]));
        HF_TRY(hf_any(wf, call, 2, &which));
        if (which == 1)
            break;
        n++;
    }
    if (!sends_to_itself++)
        OK(h, hf_send(h, "r", "more", "late", NULL));
    return hf_return(wf, hf_sprintf(wf, "%u", n));
}

/* A sender was told "stored": a run that ends over it must look at it first. Whether this turn or
 * the next asks for it is the code's affair; here it does not, and the signal is shown as unread.
 */
TEST(g6_a_signal_stored_in_the_turn_that_ends_its_run_is_seen_by_it)
{
    SKIP("TODO: the commit that ends a run does not look at the inbox: a signal that was stored "
         "after the last fetch and before that commit is lost with HF_OK");
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, ends_unless_signalled));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_advance(h, 10));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK_INT(sends_to_itself, 2); /* it came to its end twice */
    GIVES(h, hf_send(h, "r", "more", NULL, NULL), HF_DONE);
    hf_close(h);
}

static int
nobody_asks(hf_wf *wf)
{
    return hf_return(wf, "done");
}

/* Signals that no code reads must not keep runs alive for ever. */
TEST(g6_a_signal_that_nobody_asks_for_does_not_hold_a_run_back)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, nobody_asks));
    OK(h, hf_start_send(h, "w", NULL, "unheard", "1", HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "done");
    hf_close(h);
}

/* ---- 9: changed code */

static int version_of_code = 1;

/* The program before a bad deploy (1), after it (2: another task, 3: a call left out), mended (1).
 */
static int
changing(hf_wf *wf)
{
    const char *a, *b = "-";
    HF_TRY(hf_task(wf, version_of_code == 2 ? "pay" : "charge", NULL, &a));
    if (version_of_code != 3)
        HF_TRY(hf_task(wf, "pack", NULL, &b));
    if (version_of_code == 3)
        return hf_return(wf, a);
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, hf_sprintf(wf, "%s %s", a, b));
}

static void
run_until_changed(int to)
{
    h = world_open();
    OK(h, hf_workflow(h, "changing", 1, changing));
    OK(h, hf_test_fake(h, "charge", "charged", NULL));
    OK(h, hf_test_fake(h, "pack", "packed", NULL));
    OK(h, hf_test_fake(h, "pay", "paid", NULL));
    OK(h, hf_start(h, "changing", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    version_of_code = to;
    OK(h, hf_test_crash(h)); /* the deploy */
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "blocked");
    CHECK_TEXT(error_of(h, "r"), "HF_MISMATCH");
}

static void
mend_and_finish(void)
{
    version_of_code = 1;
    OK(h, hf_test_crash(h));
    OK(h, hf_resume(h, "r"));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "charged packed"); /* the signal is not lost either */
    CHECK_INT(hf_test_count(h, "charge"), 1);
    CHECK_INT(hf_test_count(h, "pay"), 0);
    hf_close(h);
}

/* Going on with code that does not fit would pair results with the wrong calls. Whoever deployed it
 * has to learn where it differs, and lose nothing by mending it. */
TEST(g9_code_that_asks_for_another_call_blocks_its_run_until_it_is_mended)
{
    run_until_changed(2);
    CHECK(contains(message_of(h, "r"), "0.1"));
    CHECK(contains(message_of(h, "r"), "charge"));
    CHECK(contains(message_of(h, "r"), "pay"));
    mend_and_finish();
}

/* A run that ends while history holds calls that the code has lost would drop paid-for work. */
TEST(g9_history_left_over_at_the_return_blocks_its_run_until_it_is_mended)
{
    run_until_changed(3);
    CHECK(contains(message_of(h, "r"), "0.2"));
    CHECK(contains(message_of(h, "r"), "pack"));
    mend_and_finish();
}

/* A fixed program is started by people who should not have to name every blocked run. */
TEST(g9_a_worker_started_anew_with_the_fixed_program_goes_on_by_itself)
{
    run_until_changed(2);
    version_of_code = 1;
    OK(h, hf_test_crash(h));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "charged packed");
    hf_close(h);
}
