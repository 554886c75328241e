/*
 * Work that misbehaves without dying: it does not return, it loops, it ignores what it is told, it
 * gives what cannot be stored. The culprit is named and set aside, its neighbours go on.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

static hf *client;

static int
quick(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("quick %s", hf_tk_input(tk));
    return hf_tk_return(tk, "done");
}

static int
hangs(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("hang %d", hf_tk_attempt(tk));
    if (hf_tk_attempt(tk) == 1)
        for (;;)
            pause(); /* deaf to everything */
    return hf_tk_return(tk, "second try");
}

static __attribute__((noreturn)) int
hangs_always(hf_tk *tk, void *arg)
{
    (void)tk, (void)arg;
    effect("stuck");
    for (;;)
        pause();
}

static int
good(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "quick", hf_run_id(wf), &out));
    HF_TRY(hf_sleep(wf, 50));
    return hf_return(wf, out);
}

static int
calls_hangs(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "hangs", NULL, &out, HF_OPT(.timeout_ms = 200, .first_delay_ms = 10)));
    return hf_return(wf, out);
}

static int
loops(hf_wf *wf)
{
    volatile unsigned n = 0;
    HF_TRY(hf_task(wf, "quick", "looper", NULL));
    for (;;)
        n++;
}

static int
ignores_codes(hf_wf *wf)
{
    for (int i = 0; i < 1000000; i++)
        if (hf_signal(wf, "never", NULL) == 0)
            break;
    return 0;
}

static int
ignores_codes_a_little(hf_wf *wf)
{
    for (int i = 0; i < 1100; i++)
        if (hf_signal(wf, "never", NULL) == 0)
            break;
    return 0;
}

static int
invents_code(hf_wf *wf)
{
    (void)wf;
    return -99;
}

static int
bad_argument(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "quick", "before", NULL));
    HF_TRY(hf_task(wf, "", NULL, NULL));
    return 0;
}

static int
bad_utf8(hf_wf *wf)
{
    return hf_return(wf, "\xff\xfe");
}

static int
nobody(hf_wf *wf)
{
    hf_call call = {NULL};
    return hf_result(wf, call, NULL);
}

static void
offer(hf *h)
{
    static const struct {
        const char    *name;
        hf_workflow_fn fn;
    } workflows[] = {
        {"good", good},
        {"calls_hangs", calls_hangs},
        {"loops", loops},
        {"ignores", ignores_codes},
        {"ignores_little", ignores_codes_a_little},
        {"invents", invents_code},
        {"bad_argument", bad_argument},
        {"bad_utf8", bad_utf8},
        {"nobody", nobody},
    };
    for (size_t i = 0; i < sizeof(workflows) / sizeof(workflows[0]); i++)
        OK(h, hf_workflow(h, workflows[i].name, 1, workflows[i].fn));
    OK(h, hf_handler(h, "quick", quick, NULL, NULL));
    OK(h, hf_handler(h, "hangs", hangs, NULL, NULL));
    OK(h, hf_handler(h, "stuck", hangs_always, NULL, HF_OPT(.timeout_ms = 100)));
}

static void
check_neighbour(const char *id)
{
    OK(client, hf_start(client, "good", NULL, HF_OPT(.id = id), NULL));
    OK(client, hf_wait(client, id, 10000 * test_slowness(), NULL));
}

/* C cannot kill a thread: the record goes on without it. */
TEST(a_task_that_never_returns_times_out_and_its_retry_goes_on)
{
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 4, .grace_ms = 100));
    OK(client, hf_start(client, "calls_hangs", NULL, HF_OPT(.id = "r"), NULL));
    OK(client, hf_wait(client, "r", 15000 * test_slowness(), NULL));
    CHECK_TEXT(output_of(client, "r"), "second try");
    CHECK_INT(logged("task_timeout"), 1);
    check_neighbour("n");
    UNTIL(logged("slot_lost") == 1); /* people see that a slot is gone */
    worker_kill(worker);
}

/* A worker that has lost half of its slots asks to be started anew, while it still works. */
TEST(a_worker_that_has_lost_half_of_its_slots_exits_70_and_the_next_goes_on)
{
    client = client_open();
    OK(client, hf_enqueue(client, "stuck", NULL, HF_OPT(.id = "t1", .max_attempts = 1), NULL));
    OK(client, hf_enqueue(client, "stuck", NULL, HF_OPT(.id = "t2", .max_attempts = 1), NULL));
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 4, .grace_ms = 100));
    UNTIL(effects("stuck") == 2);
    check_neighbour("n1");
    CHECK_INT(worker_wait(worker), 70);
    CHECK_INT(logged("slot_lost"), 2);
    CHECK(logged("2 of 4 slots are lost") == 1);
    worker = worker_start(offer, NULL);
    check_neighbour("n2");
    CHECK_INT(effects("stuck"), 2); /* one attempt each: they are dead letters */
    CHECK_INT(worker_stop(worker), 0);
}

static void
check_blocked(const char *id, const char *part)
{
    UNTIL(strcmp(status_of(client, id), "blocked") == 0);
    if (!contains(message_of(client, id), part))
        test_fail(__FILE__, __LINE__, "%s: '%s' lacks '%s'", id, message_of(client, id), part);
}

TEST(a_workflow_that_loops_is_blocked_and_others_go_on)
{
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 4, .turn_cpu_ms = 150, .grace_ms = 100));
    OK(client, hf_start(client, "loops", NULL, HF_OPT(.id = "r1"), NULL));
    OK(client, hf_start(client, "loops", NULL, HF_OPT(.id = "r2"), NULL));
    OK(client, hf_start(client, "loops", NULL, HF_OPT(.id = "r3"), NULL));
    check_neighbour("n1");
    check_blocked("r1", "150 ms of CPU");
    check_blocked("r2", "150 ms of CPU");
    check_blocked("r3", "150 ms of CPU");
    CHECK_TEXT(error_of(client, "r1"), "looping");
    check_neighbour("n2");
    worker_kill(worker);
}

/* The commonest mistake: not returning what a call said. It gets a sentence, not a riddle. */
TEST(a_workflow_that_ignores_negative_codes_is_blocked_with_a_sentence)
{
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 4, .turn_cpu_ms = 300, .grace_ms = 100));
    OK(client, hf_start(client, "ignores", NULL, HF_OPT(.id = "r1"), NULL));
    OK(client, hf_start(client, "ignores_little", NULL, HF_OPT(.id = "r2"), NULL));
    check_blocked("r1", "return negative codes");
    check_blocked("r2", "return negative codes");
    check_neighbour("n");
    worker_kill(worker);
}

TEST(mistakes_of_a_workflow_block_its_run_with_a_sentence)
{
    client = client_open();
    static const struct {
        const char *workflow, *part;
    } cases[] = {
        {"invents", "returned -99"},
        {"bad_argument", "hf_task: task"},
        {"bad_utf8", "UTF-8"},
        {"nobody", "never started"},
    };
    for (size_t i = 0; i < 4; i++)
        OK(client,
           hf_start(client, cases[i].workflow, NULL, HF_OPT(.id = cases[i].workflow), NULL));
    pid_t worker = worker_start(offer, NULL);
    for (size_t i = 0; i < 4; i++)
        check_blocked(cases[i].workflow, cases[i].part);
    check_neighbour("n");
    CHECK_INT(worker_stop(worker), 0);
}
