/*
 * What a run is beside its calls: executions, status text, time and chance, patches, its log,
 * steps, limits, pause. On the test handle's clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "runs.h"

static hf *h;

static int
echo(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_return(tk, hf_tk_input(tk));
}

static void
start(hf_workflow_fn fn, const char *input)
{
    h = world_open();
    runs_keep_log(h);
    OK(h, hf_workflow(h, "w", 1, fn));
    OK(h, hf_handler(h, "echo", echo, NULL, NULL));
    OK(h, hf_start(h, "w", input, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_run(h));
}

static void
expect(const char *output)
{
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK_TEXT(output_of(h, "r"), output);
}

/* ---- continue-as-new */

static int
counts_on(hf_wf *wf)
{
    const char *text;
    int         n = atoi(hf_input(wf));

    HF_TRY(hf_signal(wf, "n", &text));
    if (strcmp(text, "end") == 0)
        return hf_return(wf, hf_sprintf(wf, "%d", n));
    return hf_continue(wf, hf_sprintf(wf, "%d", n + atoi(text)));
}

/* History rows of an execution, by the store itself. */
static size_t
history_rows(const char *run, int execution)
{
    struct arena        a = {0};
    struct run_row      row;
    struct history_row *rows;
    size_t              n;
    struct err          err = {0};

    CHECK_INT(h->store->ops->run_get(h->store, run, &a, &row, &err), HF_OK);
    CHECK_INT(h->store->ops->history(h->store, row.no, execution, &a, &rows, &n, &err), HF_OK);
    arena_release(&a);
    return n;
}

/* A subscription lives for years: each month begins with an empty history, and what was said in
 * between is not lost. */
TEST(continue_as_new_carries_unread_signals_and_prunes_history)
{
    start(counts_on, "0");
    for (int i = 1; i <= 4; i++) {
        char text[10];
        snprintf(text, sizeof(text), "%d", i);
        OK(h, hf_send(h, "r", "n", text, NULL));
    }
    OK(h, hf_test_run(h));
    CHECK_INT(execution_of(h, "r"), 5);
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "n", "end", NULL));
    OK(h, hf_test_run(h));
    expect("10");
    CHECK_INT(history_rows("r", 1), 0);
    CHECK_INT(history_rows("r", 3), 0);
    CHECK(history_rows("r", 5) > 0);
}

/* ---- status text */

static int
says_status(hf_wf *wf)
{
    HF_TRY(hf_status(wf, "packing"));
    HF_TRY(hf_signal(wf, "go", NULL));
    HF_TRY(hf_status(wf, "shipping"));
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, NULL);
}

TEST(the_status_text_is_that_of_the_last_place_the_run_came_to)
{
    start(says_status, NULL);
    CHECK_TEXT(custom_of(h, "r"), "packing");
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_TEXT(custom_of(h, "r"), "shipping");
    OK(h, hf_test_crash(h));
    OK(h, hf_test_run(h));
    CHECK_TEXT(custom_of(h, "r"), "shipping");
}

/* ---- time and chance */

static char drawn[20][200];
static int  turns;

static int
draws(hf_wf *wf)
{
    char now[3][40];

    snprintf(now[0], 40, "%lld", (long long)hf_now(wf));
    const char *a = hf_uuid(wf);
    uint64_t    b = hf_random(wf);
    char       *at = drawn[turns++];
    snprintf(at, 200, "%s %s %llu", now[0], a, (unsigned long long)b);
    HF_TRY(hf_signal(wf, "go", NULL));
    snprintf(at + strlen(at), 200 - strlen(at), " %lld %s", (long long)hf_now(wf), hf_uuid(wf));
    HF_TRY(hf_sleep(wf, 1000));
    return hf_return(wf, at);
}

/* A turn that saw another time or another id would take another way than history says. */
TEST(time_ids_and_random_numbers_are_the_same_in_every_turn_and_after_crashes)
{
    start(draws, NULL);
    OK(h, hf_test_advance(h, 5000));
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, 1000));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK(turns >= 3);
    for (int i = 1; i < turns; i++)
        CHECK(strncmp(drawn[0], drawn[i], strlen(drawn[0])) == 0);
    CHECK_TEXT(drawn[turns - 1], output_of(h, "r"));
    CHECK_TEXT(drawn[turns - 1], drawn[turns - 2]);
    /* and another run draws others */
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r2"), NULL));
    OK(h, hf_test_run(h));
    CHECK(strcmp(strchr(drawn[turns - 1], ' '), strchr(drawn[0], ' ')) != 0);
    CHECK(strncmp(strchr(drawn[turns - 1], ' '), strchr(drawn[0], ' '), 38) != 0);
}

static int
tells_time(hf_wf *wf)
{
    int64_t a = hf_now(wf);
    HF_TRY(hf_sleep(wf, 5000));
    int64_t b = hf_now(wf);
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, hf_sprintf(wf, "%d %d", (int)(b - a), (int)(hf_now(wf) - b)));
}

TEST(now_is_the_time_of_the_event_that_brought_the_run_here)
{
    start(tells_time, NULL);
    OK(h, hf_test_advance(h, 8000));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    expect("5000 3000");
}

/* ---- patches */

static int
before_patch(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "echo", "old", NULL));
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, "old");
}

static int patch_seen;

static int
with_patch(hf_wf *wf)
{
    if ((patch_seen = hf_patch(wf, "check-first")))
        HF_TRY(hf_task(wf, "echo", "check", NULL));
    HF_TRY(hf_task(wf, "echo", "old", NULL));
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, hf_patch(wf, "check-first") ? "new" : "old");
}

static hf_workflow_fn code;

static int
patched(hf_wf *wf)
{
    return code(wf);
}

/* Old runs go on as they were, new ones take the new way, in one program. */
TEST(a_patch_is_decided_once_old_runs_keep_the_old_way)
{
    code = before_patch;
    start(patched, NULL);
    code = with_patch;
    OK(h, hf_test_crash(h));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "new"), NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_INT(patch_seen, 0);
    expect("old");
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "new", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_INT(patch_seen, 1);
    CHECK_TEXT(output_of(h, "new"), "new");
}

/* ---- the log */

static int
logs(hf_wf *wf)
{
    hf_log(wf, "line one");
    HF_TRY(hf_task(wf, "echo", "x", NULL));
    hf_log(wf, "line two");
    HF_TRY(hf_signal(wf, "go", NULL));
    hf_log(wf, "line three");
    HF_TRY(hf_sleep(wf, 1000));
    hf_log(wf, "line four");
    return hf_return(wf, NULL);
}

/* A log that repeats itself with every turn is no log. */
TEST(a_log_line_is_written_once_also_after_a_crash)
{
    start(logs, NULL);
    OK(h, hf_test_crash(h));
    OK(h, hf_test_run(h));
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    CHECK_INT(runs_logged("line one"), 1);
    CHECK_INT(runs_logged("line two"), 1);
    CHECK_INT(runs_logged("line three"), 1);
    OK(h, hf_test_crash(h));
    OK(h, hf_test_advance(h, 1000));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK_INT(runs_logged("line one"), 1);
    CHECK_INT(runs_logged("line two"), 1);
    CHECK_INT(runs_logged("line three"), 1);
    CHECK_INT(runs_logged("line four"), 1);
}

/* ---- steps */

static int  steps;
static char seen_by_step[100];

static int
step(hf_st *st, void *arg)
{
    steps++;
    snprintf(seen_by_step, sizeof(seen_by_step), "%s", (const char *)arg);
    return hf_step_return(st, steps == 1 ? "first" : "again");
}

static int
bad_step(hf_st *st, void *arg)
{
    (void)arg;
    steps++;
    return hf_step_fail(st, "odd", "number %d", 7);
}

static int
with_steps(hf_wf *wf)
{
    const char *a, *b;
    hf_call     call;

    HF_TRY(hf_task_start(wf, "echo", "task", &call));
    HF_TRY(hf_step(wf, "one", step, "before the task's result", &a));
    HF_TRY(hf_result(wf, call, &b));
    HF_TRY(hf_signal(wf, "go", NULL));
    int rc = hf_step(wf, "two", bad_step, NULL, NULL);
    HF_TRY(rc == HF_FAILED ? 0 : rc);
    return hf_return(wf,
                     hf_sprintf(wf, "%s %s %s: %s", a, b, hf_error_name(wf), hf_error_message(wf)));
}

TEST(a_step_runs_once_and_its_result_or_failure_is_recorded)
{
    start(with_steps, NULL);
    CHECK_INT(steps, 1);
    CHECK_TEXT(seen_by_step, "before the task's result");
    OK(h, hf_test_crash(h));
    OK(h, hf_test_run(h));
    CHECK_INT(steps, 1);
    OK(h, hf_send(h, "r", "go", NULL, NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_test_run(h));
    CHECK_INT(steps, 2);
    expect("first task odd: number 7");
}

/* ---- limits */

static int events_asked, was_told;

static int
many_events(hf_wf *wf)
{
    hf_call call;
    for (int i = 0; i < events_asked; i++)
        HF_TRY(hf_signal_start(wf, "s", &call));
    was_told = hf_should_continue(wf);
    return hf_signal(wf, "go", NULL);
}

/* A history without a limit is a turn without an end: the run says so while it can still be
 * mended. */
TEST(a_history_over_its_limit_blocks_the_run_and_should_continue_says_so_before)
{
    events_asked = HF_EVENTS_MAX / 5 - 100;
    start(many_events, NULL);
    CHECK_TEXT(status_of(h, "r"), "waiting");
    CHECK_INT(was_told, 0);
    hf_close(h);
    events_asked = HF_EVENTS_MAX / 5 + 1;
    start(many_events, NULL);
    CHECK_TEXT(status_of(h, "r"), "waiting");
    CHECK_INT(was_told, 1);
    hf_close(h);
    events_asked = HF_EVENTS_MAX + 10;
    start(many_events, NULL);
    CHECK_TEXT(status_of(h, "r"), "blocked");
    CHECK_TEXT(error_of(h, "r"), "HF_TOO_BIG");
    CHECK(contains(message_of(h, "r"), "hf_continue"));
}

static int
big_input(hf_wf *wf)
{
    char *text = hf_alloc(wf, HF_PAYLOAD_MAX + 2);
    memset(text, 'x', HF_PAYLOAD_MAX);
    HF_TRY(hf_task(wf, "echo", text, NULL)); /* exactly the limit */
    text[HF_PAYLOAD_MAX] = 'x';
    HF_TRY(hf_task(wf, "echo", text, NULL));
    return 0;
}

TEST(a_payload_at_the_limit_passes_and_one_over_it_blocks_the_run)
{
    start(big_input, NULL);
    CHECK_TEXT(status_of(h, "r"), "blocked");
    CHECK_TEXT(error_of(h, "r"), "HF_TOO_BIG");
    CHECK(contains(message_of(h, "r"), "input"));
    CHECK_INT(hf_test_count(h, "echo"), 1);
}

static int
big_output(hf_tk *tk, void *arg)
{
    (void)arg;
    char *text = hf_tk_alloc(tk, HF_PAYLOAD_MAX + 2);
    memset(text, 'x', HF_PAYLOAD_MAX + 1);
    return hf_tk_return(tk, text);
}

static int
calls_big_output(hf_wf *wf)
{
    int rc = hf_task(wf, "big", NULL, NULL, HF_OPT(.max_attempts = 2));
    HF_TRY(rc == HF_FAILED ? 0 : rc);
    return hf_return(wf, hf_sprintf(wf, "%s: %s", hf_error_name(wf), hf_error_message(wf)));
}

/* The task did its work: that its answer is too long must not repeat it for ever, nor stop the
 * queue. */
TEST(a_task_whose_output_is_too_big_fails_with_a_sentence)
{
    h = world_open();
    OK(h, hf_workflow(h, "w", 1, calls_big_output));
    OK(h, hf_handler(h, "big", big_output, NULL, NULL));
    OK(h, hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL));
    OK(h, hf_test_advance(h, HF_MINUTE));
    CHECK_TEXT(status_of(h, "r"), "completed");
    CHECK(contains(output_of(h, "r"), "1048577"));
}

/* ---- pause */

TEST(a_paused_run_rests_also_over_a_crash_and_resumes_with_what_came_meanwhile)
{
    start(counts_on, "0");
    OK(h, hf_pause(h, "r"));
    OK(h, hf_test_run(h));
    CHECK_TEXT(status_of(h, "r"), "paused");
    OK(h, hf_send(h, "r", "n", "2", NULL));
    OK(h, hf_test_run(h));
    OK(h, hf_test_crash(h));
    OK(h, hf_send(h, "r", "n", "end", NULL));
    OK(h, hf_test_advance(h, HF_HOUR));
    CHECK_TEXT(status_of(h, "r"), "paused");
    OK(h, hf_resume(h, "r"));
    OK(h, hf_test_run(h));
    expect("2");
}
