/*
 * The tasks and workflows that are measured, offered by `holdfast worker --builtin bench`. Each
 * task counts on the board, if there is one. What a point of scenarios.c wants is in the names, not
 * in inputs: reading JSON would be measured too.
 */
#include <poll.h>
#include <stdlib.h>

#include "bench/board.h"
#include "cli/offer.h"

enum { FAN = 5, STEPS = 10, CHILDREN = 5, EXECUTIONS = 10, ROUNDS = 10, PAUSE_MS = 10, FIB = 20 };

/* ---- tasks */

static int
nothing_task(hf_tk *tk, void *board)
{
    (void)tk;
    board_count(board, BOARD_TASKS);
    return HF_OK;
}

static int
wait_task(hf_tk *tk, void *board)
{
    (void)tk;
    poll(NULL, 0, PAUSE_MS);
    board_count(board, BOARD_TASKS);
    return HF_OK;
}

static unsigned
fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static int
compute_task(hf_tk *tk, void *board)
{
    board_count(board, BOARD_TASKS);
    return hf_tk_return(tk, hf_tk_sprintf(tk, "%u", fib(FIB)));
}

/* Says when it was begun, by the clock of its machine: microseconds. */
static int
stamp_task(hf_tk *tk, void *board)
{
    board_count(board, BOARD_TASKS);
    return hf_tk_return(tk, hf_tk_sprintf(tk, "%lld", (long long)clock_system_us()));
}

/* Sends the ball to the run that its input names; that one may not be there yet. */
static int
throw_task(hf_tk *tk, void *h)
{
    enum { TRIES = 200, TRY_MS = 5 };
    int rc = HF_NOT_FOUND;

    for (int i = 0; rc == HF_NOT_FOUND && i < TRIES; i++) {
        rc = hf_send(h, hf_tk_input(tk), "ball", NULL, HF_OPT(.key = hf_tk_key(tk)));
        if (rc == HF_NOT_FOUND)
            poll(NULL, 0, TRY_MS);
    }
    return rc ? hf_tk_fail(tk, "send", "%s", hf_errmsg(h)) : HF_OK;
}

/* ---- workflows */

/* Workflows are not handed an argument. */
static struct board *the_board;

/* Counts a run whose function is at its end. */
static int
ended(int rc)
{
    if (rc == HF_OK)
        board_count(the_board, BOARD_RUNS);
    return rc;
}

static int
fan_out(hf_wf *wf, const char *task, size_t n)
{
    hf_call *calls = hf_alloc(wf, n * sizeof(*calls));

    for (size_t i = 0; calls && i < n; i++)
        HF_TRY(hf_task_start(wf, task, NULL, &calls[i]));
    return ended(hf_all(wf, calls, calls ? n : 0));
}

static int
fan_out_workflow(hf_wf *wf)
{
    return fan_out(wf, "nothing", FAN);
}

static int
fan_out_wait_workflow(hf_wf *wf)
{
    return fan_out(wf, "wait", FAN);
}

static int
fan_out_1000_workflow(hf_wf *wf)
{
    return fan_out(wf, "nothing", 1000);
}

static int
sequence(hf_wf *wf, int n)
{
    for (int i = 0; i < n; i++)
        HF_TRY(hf_task(wf, "nothing", NULL, NULL));
    return ended(HF_OK);
}

static int
sequence_workflow(hf_wf *wf)
{
    return sequence(wf, 10);
}

static int
sequence_1000_workflow(hf_wf *wf)
{
    return sequence(wf, 1000);
}

static int
count_step(hf_st *st, void *arg)
{
    (void)arg;
    return hf_step_return(st, NULL);
}

static int
steps_workflow(hf_wf *wf)
{
    for (int i = 0; i < STEPS; i++)
        HF_TRY(hf_step(wf, "count", count_step, NULL, NULL));
    return ended(HF_OK);
}

static int
leaf_workflow(hf_wf *wf)
{
    return hf_return(wf, "1");
}

static int
children_workflow(hf_wf *wf)
{
    hf_call calls[CHILDREN];

    for (int i = 0; i < CHILDREN; i++)
        HF_TRY(hf_child_start(wf, "leaf", NULL, &calls[i]));
    return ended(hf_all(wf, calls, CHILDREN));
}

/* A task in each execution. */
static int
continue_workflow(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "nothing", NULL, NULL));
    return hf_execution(wf) < EXECUTIONS ? hf_continue(wf, NULL) : ended(HF_OK);
}

static int
play(hf_wf *wf, const char *partner, bool serve)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (serve)
            HF_TRY(hf_task(wf, "throw", partner, NULL));
        HF_TRY(hf_signal(wf, "ball", NULL));
        if (!serve)
            HF_TRY(hf_task(wf, "throw", partner, NULL));
    }
    return HF_OK;
}

/* Two runs that throw a ball ROUNDS times each. */
static int
ping_workflow(hf_wf *wf)
{
    const char *partner = hf_sprintf(wf, "%s-pong", hf_run_id(wf));
    hf_call     pong;

    HF_TRY(hf_child_start(wf, "pong", hf_run_id(wf), &pong, HF_OPT(.id = partner)));
    HF_TRY(play(wf, partner, true));
    return ended(hf_result(wf, pong, NULL));
}

static int
pong_workflow(hf_wf *wf)
{
    return play(wf, hf_input(wf), false);
}

/* Until the time that its input says, Unix time in ms. */
static int
sleeper_workflow(hf_wf *wf)
{
    return ended(hf_sleep(wf, strtoll(hf_input(wf), NULL, 10) - hf_now(wf)));
}

static int
stamp_workflow(hf_wf *wf)
{
    const char *when;

    HF_TRY(hf_task(wf, "stamp", NULL, &when));
    return ended(hf_return(wf, when));
}

/* The first one's word. */
static int
stamps_workflow(hf_wf *wf)
{
    hf_call     calls[FAN];
    const char *first;

    for (int i = 0; i < FAN; i++)
        HF_TRY(hf_task_start(wf, "stamp", NULL, &calls[i]));
    HF_TRY(hf_all(wf, calls, FAN));
    HF_TRY(hf_result(wf, calls[0], &first));
    return ended(hf_return(wf, first));
}

/* One of the others, as chance has it. */
static int
mixed_workflow(hf_wf *wf)
{
    static const hf_workflow_fn all[] = {fan_out_workflow, sequence_workflow, steps_workflow,
                                         children_workflow, fan_out_wait_workflow};
    return all[hf_random(wf) % (sizeof(all) / sizeof(all[0]))](wf);
}

/* ---- the offer */

static const struct {
    const char *name;
    hf_task_fn  fn;
} tasks[] = {
    {"nothing", nothing_task}, {"wait", wait_task},   {"compute", compute_task},
    {"stamp", stamp_task},     {"throw", throw_task},
};

static const struct {
    const char    *name;
    hf_workflow_fn fn;
} workflows[] = {
    {"fan-out", fan_out_workflow},
    {"fan-out-wait", fan_out_wait_workflow},
    {"fan-out-1000", fan_out_1000_workflow},
    {"sequence", sequence_workflow},
    {"sequence-1000", sequence_1000_workflow},
    {"steps", steps_workflow},
    {"leaf", leaf_workflow},
    {"children", children_workflow},
    {"continue", continue_workflow},
    {"ping", ping_workflow},
    {"pong", pong_workflow},
    {"sleeper", sleeper_workflow},
    {"stamp", stamp_workflow},
    {"stamps", stamps_workflow},
    {"mixed", mixed_workflow},
};

int
offer_bench(struct cli *c)
{
    struct board *board = the_board = board_find();

    for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
        void *arg = tasks[i].fn == throw_task ? (void *)c->h : (void *)board;
        if (hf_handler(c->h, tasks[i].name, tasks[i].fn, arg, NULL))
            return cli_fail(c);
    }
    for (size_t i = 0; i < sizeof(workflows) / sizeof(workflows[0]); i++)
        if (hf_workflow(c->h, workflows[i].name, 1, workflows[i].fn))
            return cli_fail(c);
    return HF_OK;
}
