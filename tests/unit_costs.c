/*
 * What things cost, counted exactly: commits, and writes by kind, as the lane hands them to the
 * store. A change that adds a row write to the hot path fails here, whatever the machine's speed.
 */
#include <string.h>

#include "base/id.h"
#include "client/handle.h"
#include "test.h"
#include "worker/lane.h"

enum { KINDS = WRITE_CALM + 1 };

struct count {
    size_t commits, cycles, writes[KINDS], total;
    int    lose; /* this commit from now on does not happen, and nobody knows */
};

static int executed;

struct rig {
    int64_t         now_us;
    struct clock    clock;
    struct store   *client, *store;
    struct registry registry;
    struct lane     lane;
    struct count    count;
};

static enum fault
tally(void *arg, const char *verb, struct batch *batch)
{
    struct count *n = arg;

    if (strcmp(verb, "cycle") != 0)
        return FAULT_NONE;
    n->cycles++;
    n->commits += batch->n_writes > 0;
    n->total += batch->n_writes;
    for (size_t i = 0; i < batch->n_writes; i++)
        n->writes[batch->writes[i].kind]++;
    if (batch->n_writes && n->lose && --n->lose == 0)
        return FAULT_LOST;
    return FAULT_NONE;
}

static int
noop(hf_tk *tk, void *arg)
{
    (void)tk, (void)arg;
    executed++;
    return HF_OK;
}

static int
one_task(hf_wf *wf)
{
    return hf_task(wf, "noop", NULL, NULL);
}

static int
fan_out(hf_wf *wf)
{
    hf_call calls[5];
    for (int i = 0; i < 5; i++)
        HF_TRY(hf_task_start(wf, "noop", NULL, &calls[i]));
    return hf_all(wf, calls, 5);
}

static int
step(hf_st *st, void *arg)
{
    (void)arg;
    return hf_step_return(st, NULL);
}

static int
ten_steps(hf_wf *wf)
{
    for (int i = 0; i < 10; i++)
        HF_TRY(hf_step(wf, "step", step, NULL, NULL));
    return HF_OK;
}

static int
sleeper(hf_wf *wf)
{
    return hf_sleep(wf, 1000);
}

static int
listener(hf_wf *wf)
{
    return hf_signal(wf, "go", NULL);
}

static void
open_rig(struct rig *g)
{
    struct err      err = {0};
    struct store   *inner = NULL;
    struct lane_opt opt = {.slots = 1,
                           .lease_us = US_PER_S,
                           .max_crashes = 5,
                           .spill_us = US_PER_S,
                           .local_max = 20000,
                           .cache_runs = 10000,
                           .inline_slots = true};

    *g = (struct rig){.now_us = 1000000000LL * US_PER_S};
    g->clock = clock_fake(&g->now_us);
    CHECK_INT(memory_store_open(&g->clock, &g->client, &err), HF_OK);
    CHECK_INT(g->client->ops->clone(g->client, &inner, &err), HF_OK);
    CHECK_INT(fault_store_open(inner, tally, &g->count, &g->store, &err), HF_OK);
    CHECK_INT(registry_add_handler(&g->registry, "noop", noop, NULL, NULL, &err), HF_OK);
    CHECK_INT(registry_add_workflow(&g->registry, "one", 1, one_task, &err), HF_OK);
    CHECK_INT(registry_add_workflow(&g->registry, "fan-out", 1, fan_out, &err), HF_OK);
    CHECK_INT(registry_add_workflow(&g->registry, "steps", 1, ten_steps, &err), HF_OK);
    CHECK_INT(registry_add_workflow(&g->registry, "sleeper", 1, sleeper, &err), HF_OK);
    CHECK_INT(registry_add_workflow(&g->registry, "listener", 1, listener, &err), HF_OK);
    CHECK_INT(lane_open(&g->lane, g->store, &g->registry, NULL, &opt, &err), HF_OK);
    CHECK_INT(lane_acquire(&g->lane, "", &err), HF_OK);
}

static void
close_rig(struct rig *g)
{
    lane_close(&g->lane, clock_steady_us());
    g->store->ops->close(g->store);
    g->client->ops->close(g->client);
    registry_release(&g->registry);
}

static void
submit(struct rig *g, int kind, const char *name, size_t n)
{
    struct err    err = {0};
    struct submit s = {.kind = kind, .name = name, .cls = STREAM_NORMAL};
    char          id[UUID_SIZE];
    size_t        bad;

    for (size_t i = 0; i < n; i++) {
        id_uuid7(g->now_us, id);
        if (kind == SUBMIT_START)
            s.id = s.token = id;
        CHECK_INT(g->client->ops->submit(g->client, &s, 1, &bad, &err), HF_OK);
    }
}

static void
work(struct rig *g)
{
    struct err err = {0};
    bool       idle = false;
    g->lane.fetch_wanted = true;
    while (!idle || !lane_is_quiet(&g->lane))
        CHECK_INT(lane_round(&g->lane, &idle, &err), HF_OK);
}

static int64_t
completed(struct rig *g)
{
    struct err        err = {0};
    struct arena      a = {0};
    struct run_row   *rows;
    struct run_filter all = {.status = RUN_COMPLETED, .limit = 100000};
    size_t            n = 0;
    CHECK_INT(g->client->ops->run_list(g->client, &all, &a, &rows, &n, &err), HF_OK);
    arena_release(&a);
    return (int64_t)n;
}

/* The hot path of the queue: no claim, no update, one delete each, thousands a commit. */
TEST(a_standalone_task_costs_one_delete_and_a_thousandth_of_a_commit)
{
    struct rig g;
    open_rig(&g);
    submit(&g, SUBMIT_ENQUEUE, "noop", 8000);
    work(&g);
    CHECK_INT(g.count.total, 8000);
    CHECK_INT(g.count.writes[WRITE_TASK_DELETE], 8000);
    CHECK(g.count.commits <= 4);
    close_rig(&g);
}

/* One history row a turn and the end of the run: with the row of the start, four row writes a run.
 */
TEST(a_fan_out_of_five_costs_two_history_rows_and_one_update)
{
    struct rig g;
    open_rig(&g);
    submit(&g, SUBMIT_START, "fan-out", 1000);
    work(&g);
    CHECK_INT(completed(&g), 1000);
    CHECK_INT(g.count.writes[WRITE_HISTORY], 2000);
    CHECK_INT(g.count.writes[WRITE_RUN], 1000);
    CHECK_INT(g.count.total, 3000);
    CHECK(g.count.commits <= 6);
    close_rig(&g);
}

/* Latency is commits and roundtrips: schedule, then result with the end. */
TEST(a_run_of_one_task_costs_two_commits)
{
    struct rig g;
    open_rig(&g);
    submit(&g, SUBMIT_START, "one", 1);
    work(&g);
    CHECK_INT(completed(&g), 1);
    CHECK_INT(g.count.commits, 2);
    CHECK_INT(g.count.total, 3);
    CHECK(g.count.cycles <= 5);
    close_rig(&g);
}

/* A step's body runs when all before it is durable: one commit each, and one for the end. */
TEST(ten_steps_cost_eleven_commits_and_no_row_beside_history)
{
    struct rig g;
    open_rig(&g);
    submit(&g, SUBMIT_START, "steps", 1);
    work(&g);
    CHECK_INT(completed(&g), 1);
    CHECK(g.count.commits <= 11);
    CHECK(g.count.writes[WRITE_HISTORY] <= 11);
    CHECK_INT(g.count.writes[WRITE_RUN], 1);
    close_rig(&g);
}

/* Parked timers are a column of the run: one update to sleep, none while asleep, one to end. */
TEST(a_sleep_costs_two_history_rows_and_two_updates)
{
    struct rig g;
    open_rig(&g);
    submit(&g, SUBMIT_START, "sleeper", 100);
    work(&g);
    CHECK_INT(g.count.total, 200);
    size_t asleep = g.count.total;
    g.now_us += 500 * US_PER_MS;
    work(&g);
    CHECK_INT(g.count.total, asleep);
    g.now_us += 600 * US_PER_MS;
    work(&g);
    CHECK_INT(completed(&g), 100);
    CHECK_INT(g.count.writes[WRITE_HISTORY], 200);
    CHECK_INT(g.count.writes[WRITE_RUN], 200);
    CHECK_INT(g.count.total, 400);
    close_rig(&g);
}

/* The arrival, the turn that it makes possible, and the end of the inbox row are one unit. */
TEST(a_signal_costs_one_inbox_delete_beside_the_turn)
{
    struct rig    g;
    struct err    err = {0};
    struct submit start = {
        .kind = SUBMIT_START, .id = "r", .token = "t", .name = "listener", .cls = STREAM_NORMAL};
    struct submit go = {.kind = SUBMIT_SIGNAL, .id = "r", .name = "go"};
    size_t        bad;

    open_rig(&g);
    CHECK_INT(g.client->ops->submit(g.client, &start, 1, &bad, &err), HF_OK);
    work(&g);
    CHECK_INT(g.count.total, 2);
    CHECK_INT(g.client->ops->submit(g.client, &go, 1, &bad, &err), HF_OK);
    work(&g);
    CHECK_INT(completed(&g), 1);
    CHECK_INT(g.count.commits, 2);
    CHECK_INT(g.count.writes[WRITE_INBOX_DELETE], 1);
    CHECK_INT(g.count.total, 5);
    close_rig(&g);
}

/* A broken connection costs a reload, not the work: the result is offered again to the run as it
 * was stored. */
TEST(a_result_in_a_commit_that_was_lost_is_not_computed_again)
{
    struct rig g;
    for (int lose = 1; lose <= 3; lose++) {
        open_rig(&g);
        executed = 0;
        g.count.lose = lose;
        submit(&g, SUBMIT_START, "one", 1);
        submit(&g, SUBMIT_START, "fan-out", 1);
        work(&g);
        CHECK_INT(completed(&g), 2);
        CHECK(g.count.lose == 0 || g.count.commits < 3);
        CHECK_INT(executed, 6);
        close_rig(&g);
    }
}

/* An idle lane asks the store for nothing. */
TEST(an_idle_lane_makes_no_cycle)
{
    struct rig g;
    struct err err = {0};
    bool       idle;
    open_rig(&g);
    work(&g);
    size_t cycles = g.count.cycles;
    for (int i = 0; i < 100; i++)
        CHECK_INT(lane_round(&g.lane, &idle, &err), HF_OK);
    CHECK_INT(g.count.cycles, cycles);
    close_rig(&g);
}
