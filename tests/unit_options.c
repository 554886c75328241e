/* Every option of a call, by its effect, on the test handle's clock. */
#include <stdio.h>
#include <string.h>

#include "runs.h"

static hf     *h;
static int64_t times[64]; /* of attempts, since the world began */
static int     n_times;
static int64_t begun;

static int
fails(hf_tk *tk, void *arg)
{
    (void)arg;
    times[n_times++] = hf_test_now(h) - begun;
    return hf_tk_fail(tk, "down", "attempt %d", hf_tk_attempt(tk));
}

static void
open_with(const hf_opt *defaults)
{
    h = world_open();
    begun = hf_test_now(h);
    OK(h, hf_handler(h, "fails", fails, NULL, defaults));
}

static void
enqueue_and_wait(const hf_opt *opt)
{
    OK(h, hf_enqueue(h, "fails", NULL, opt, NULL));
    OK(h, hf_test_advance(h, HF_DAY));
}

/* The waits between attempts are the promise that a policy makes to a service in trouble. */
TEST(the_default_policy_is_5_attempts_after_1_2_4_8_seconds_give_or_take_a_tenth)
{
    open_with(NULL);
    enqueue_and_wait(NULL);
    CHECK_INT(n_times, 5);
    for (int i = 0; i < 4; i++) {
        int64_t wait = times[i + 1] - times[i];
        CHECK(wait >= 900 << i && wait <= 1100 << i);
    }
}

TEST(first_delay_factor_and_max_delay_make_the_waits)
{
    open_with(NULL);
    enqueue_and_wait(HF_OPT(.max_attempts = 6, .first_delay_ms = 100, .factor = 3,
                            .max_delay_ms = 1000, .jitter = -1));
    static const int64_t should[] = {0, 100, 400, 1300, 2300, 3300};
    CHECK_INT(n_times, 6);
    for (int i = 0; i < 6; i++)
        CHECK_INT(times[i], should[i]);
}

/* Jitter spreads a thundering herd, within its bounds. */
TEST(jitter_keeps_within_its_bounds_and_differs)
{
    int differs = 0;
    open_with(NULL);
    enqueue_and_wait(
        HF_OPT(.max_attempts = 40, .first_delay_ms = 1000, .factor = 1, .jitter = 0.5));
    CHECK_INT(n_times, 40);
    for (int i = 0; i < 39; i++) {
        int64_t wait = times[i + 1] - times[i];
        CHECK(wait >= 500 && wait <= 1500);
        differs += wait < 900 || wait > 1100;
    }
    CHECK(differs > 5);
}

TEST(the_options_of_a_call_come_before_those_of_the_handler)
{
    open_with(HF_OPT(.max_attempts = 2, .jitter = -1, .first_delay_ms = 10));
    enqueue_and_wait(HF_OPT(.first_delay_ms = 20));
    CHECK_INT(n_times, 2);
    CHECK_INT(times[1], 20);
}

static int
calls_without_limit(hf_wf *wf)
{
    return hf_task(wf, "fails", NULL, NULL, HF_OPT(.max_attempts = -1, .max_delay_ms = 60000));
}

TEST(max_attempts_minus_one_is_without_limit)
{
    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, calls_without_limit));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_advance(h, 30 * HF_MINUTE));
    CHECK(n_times > 25);
    CHECK_TEXT(status_of(h, "r"), "waiting");
}

static int
calls_with_no_retry(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "fails", NULL, NULL, HF_OPT(.no_retry = "other, down")));
    return 0;
}

/* A declined card is declined the fifth time too. */
TEST(an_error_named_in_no_retry_is_final)
{
    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, calls_with_no_retry));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_advance(h, HF_DAY));
    CHECK_INT(n_times, 1);
    CHECK_TEXT(status_of(h, "r"), "failed");
    CHECK_TEXT(error_of(h, "r"), "down");
    CHECK_TEXT(message_of(h, "r"), "attempt 1");
}

static int
fails_final(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_fail_final(tk, "no", "never");
}

static int
asks_for_time(hf_tk *tk, void *arg)
{
    (void)arg;
    times[n_times++] = hf_test_now(h) - begun;
    hf_tk_retry_after(tk, 7000);
    return hf_tk_attempt(tk) < 3 ? hf_tk_fail(tk, "busy", "later") : hf_tk_return(tk, "ok");
}

static int
calls_named(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, hf_input(wf), NULL, &out));
    return hf_return(wf, out);
}

TEST(a_task_can_say_that_its_failure_is_final_and_how_long_to_wait)
{
    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, calls_named));
    OK(h, hf_handler(h, "final", fails_final, NULL, NULL));
    OK(h, hf_handler(h, "asks", asks_for_time, NULL, NULL));
    OK(h, hf_start(h, "w", "final", HF_OPT(.id = "r1"), NULL));
    OK(h, hf_start(h, "w", "asks", HF_OPT(.id = "r2"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(error_of(h, "r1"), "no");
    OK(h, hf_test_advance(h, HF_MINUTE));
    CHECK_TEXT(output_of(h, "r2"), "ok");
    CHECK_INT(times[1], 7000);
    CHECK_INT(times[2], 14000);
}

static int
calls_with_deadline(hf_wf *wf)
{
    int rc = hf_task(wf, "fails", NULL, NULL,
                     HF_OPT(.deadline_ms = 10000, .max_attempts = -1, .jitter = -1));
    HF_TRY(rc == HF_TIMEOUT || rc == HF_FAILED ? 0 : rc);
    return hf_return(wf,
                     hf_sprintf(wf, "%s %lld", hf_error_name(wf), (long long)(hf_now(wf) - begun)));
}

/* All attempts and waits together: 0, 1, 3, 7 s, and the one at 15 s would be too late. */
TEST(a_deadline_bounds_all_attempts_together)
{
    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, calls_with_deadline));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_advance(h, HF_HOUR));
    CHECK_INT(n_times, 4);
    CHECK_TEXT(output_of(h, "r"), "down 7000");
}

/* ---- when and in what order */

static char order[600];

static int
note_input(hf_tk *tk, void *arg)
{
    (void)arg;
    int64_t at = hf_test_now(h) - begun;
    snprintf(order + strlen(order), sizeof(order) - strlen(order), "%s@%lld ", hf_tk_input(tk),
             (long long)at);
    return hf_tk_return(tk, NULL);
}

TEST(delay_and_at_hold_a_task_back_until_their_time)
{
    open_with(NULL);
    OK(h, hf_handler(h, "note", note_input, NULL, NULL));
    OK(h, hf_enqueue(h, "note", "delay", HF_OPT(.delay_ms = 5000), NULL));
    OK(h, hf_enqueue(h, "note", "at", HF_OPT(.at_ms = begun + 3000), NULL));
    OK(h, hf_enqueue(h, "note", "past", HF_OPT(.at_ms = begun - 3000), NULL));
    OK(h, hf_enqueue(h, "note", "both", HF_OPT(.at_ms = begun + 4000, .delay_ms = 9000), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(order, "past@0 ");
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, HF_MINUTE));
    CHECK_TEXT(order, "past@0 at@3000 delay@5000 both@9000 ");
}

/* The customer who is at the counter does not wait behind the night's batch. */
TEST(urgent_tasks_overtake_a_backlog_and_bulk_comes_last)
{
    open_with(NULL);
    OK(h, hf_handler(h, "note", note_input, NULL, NULL));
    OK(h, hf_enqueue(h, "note", "bulk", HF_OPT(.class_ = HF_BULK), NULL));
    OK(h, hf_enqueue(h, "note", "normal", NULL, NULL));
    OK(h, hf_enqueue(h, "note", "normal2", HF_OPT(.class_ = HF_NORMAL), NULL));
    OK(h, hf_enqueue(h, "note", "urgent", HF_OPT(.class_ = HF_URGENT), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(order, "urgent@0 normal@0 normal2@0 bulk@0 ");
}

static int
says_queue(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "note", "own", NULL));
    HF_TRY(hf_task(wf, "note", "other", NULL, HF_OPT(.queue = "slow")));
    return hf_return(wf, NULL);
}

TEST(runs_and_tasks_go_through_the_queue_that_they_name)
{
    hf_info *info;

    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, says_queue));
    OK(h, hf_handler(h, "note", note_input, NULL, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r", .queue = "fast"), NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK_TEXT(order, "own@0 other@0 ");
    OK(h, hf_describe(h, "r", &info));
    CHECK_TEXT(info->queue, "fast");
    hf_info_free(info);
}

/* ---- id, if_exists, key, version */

static int
returns_input(hf_wf *wf)
{
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, hf_input(wf));
}

static int
returns_count(hf_wf *wf)
{
    int n = 0;
    while (n < 2) {
        HF_TRY(hf_signal(wf, "n", NULL));
        n++;
    }
    return hf_return(wf, "2");
}

/* A start that is repeated by an impatient client must not begin a second life, unless asked to. */
TEST(if_exists_fails_uses_or_replaces)
{
    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, returns_input));
    OK(h, hf_start(h, "w", "1", HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
    GIVES(h, hf_start(h, "w", "2", HF_OPT(.id = "r"), NULL), HF_EXISTS);
    OK(h, hf_start(h, "w", "3", HF_OPT(.id = "r", .if_exists = HF_IF_EXISTS_USE), NULL));
    OK(h, hf_test_run(h));
    hf_info *info;
    OK(h, hf_describe(h, "r", &info));
    CHECK_TEXT(info->input, "1");
    CHECK_INT(info->execution, 1);
    hf_info_free(info);
    OK(h, hf_start(h, "w", "4", HF_OPT(.id = "r", .if_exists = HF_IF_EXISTS_REPLACE), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "4");
    OK(h, hf_start(h, "w", "5", HF_OPT(.id = "r", .if_exists = HF_IF_EXISTS_USE), NULL));
    CHECK_TEXT(output_of(h, "r"), "4"); /* one that has ended is there too */
    OK(h, hf_start(h, "w", "6", HF_OPT(.id = "r", .if_exists = HF_IF_EXISTS_REPLACE), NULL));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "r"), "6");
    OK(h, hf_enqueue(h, "nobody", NULL, HF_OPT(.id = "t"), NULL));
    GIVES(h, hf_enqueue(h, "nobody", NULL, HF_OPT(.id = "t"), NULL), HF_EXISTS);
}

TEST(a_signal_with_a_key_counts_once)
{
    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, returns_count));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    for (int i = 0; i < 5; i++) {
        OK(h, hf_send(h, "r", "n", NULL, HF_OPT(.key = "a")));
        if (i % 2)
            OK(h, hf_test_crash(h));
        OK(h, hf_test_run(h));
    }
    CHECK_TEXT(status_of(h, "r"), "waiting");
    OK(h, hf_send(h, "r", "n", NULL, HF_OPT(.key = "b")));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "completed");
}

static int
version_one(hf_wf *wf)
{
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, "one");
}

static int
version_two(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "new", NULL, NULL));
    return hf_return(wf, "two");
}

/* A deploy of version 2 must not touch the runs that began with version 1. */
TEST(a_run_stays_with_its_version_and_new_ones_take_the_newest)
{
    open_with(NULL);
    OK(h, hf_workflow(h, "w", 1, version_one));
    OK(h, hf_test_fake(h, "new", NULL, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "old"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "new", .version = 0), NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "asked", .version = 1), NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "future", .version = 3), NULL));
    OK(h, hf_workflow(h, "w", 2, version_two));
    OK(h, hf_send(h, "old", "go", NULL, NULL));
    OK(h, hf_send(h, "asked", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(output_of(h, "old"), "one");
    CHECK_TEXT(output_of(h, "new"), "two");
    CHECK_TEXT(output_of(h, "asked"), "one");
    CHECK_TEXT(status_of(h, "future"), "running");
}
