/*
 * Days on which workers differ or are unequally loaded: long tasks that lie in the partitions of
 * one, and a release that goes out worker by worker.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"

enum { LEASE_MS = 2000 };

TEST_SETUP(cluster_start)

static hf *client;

/* ---- fourteen to two */

static int
hold(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("begun %d", (int)getpid());
    effect("begun");
    while (effects("go") == 0 && !hf_tk_cancelled(tk))
        sleep_ms(10);
    return hf_tk_return(tk, NULL);
}

static void
offer_hold(hf *h)
{
    OK(h, hf_handler(h, "hold", hold, NULL, NULL));
}

/* Tasks by their ids until one worker's partitions have 14 and the other's 2. */
static void
add_unequally(const pid_t pids[2])
{
    int  want[2] = {14, 2}, n = 0;
    char id[40];

    int64_t first = worker_of(pids[0]);
    while (want[0] + want[1] > 0) {
        snprintf(id, sizeof(id), "t%d", n++);
        OK(client, hf_enqueue(client, "nobody", NULL, HF_OPT(.id = id), NULL));
        int which = db_int("select p.owner from holdfast.task t join holdfast.partition p on "
                           "p.id = t.partition_id where t.id = '%s'",
                           id) != first;
        db_exec("delete from holdfast.task where id = '%s'", id);
        if (want[which]-- <= 0)
            want[which] = 0;
        else
            OK(client, hf_enqueue(client, "hold", NULL, HF_OPT(.id = id), NULL));
    }
}

TEST_WITHIN(sixteen_long_tasks_that_lie_fourteen_to_two_all_run_within_3_s, 60)
{
    pid_t pids[2];

    cluster_database();
    client = client_open();
    for (int i = 0; i < 2; i++)
        pids[i] = worker_start(offer_hold, HF_WORKER(.slots = 8, .lease_ms = LEASE_MS));
    UNTIL(partitions_of(pids[0]) == 4 && partitions_of(pids[1]) == 4);
    int64_t began = clock_ms();
    add_unequally(pids);
    UNTIL(effects("begun") == 16);
    int64_t took = clock_ms() - began;
    printf("# all run after %lld ms, handed over %d\n", (long long)took, logged("handed_over"));
    CHECK(took < 3000 * test_slowness());
    effect("go");
    UNTIL(db_int("select count(*) from holdfast.task where name = 'hold'") == 0);
    CHECK_INT(effects("begun"), 16); /* none was begun twice */
    for (int i = 0; i < 2; i++)
        CHECK_INT(worker_stop(pids[i]), 0);
}

/* ---- a release */

static int
note_v1(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_return(tk, "old");
}

static int
note_v2(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_return(tk, "new");
}

static int
order_v1(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_signal(wf, "go", NULL));
    HF_TRY(hf_task(wf, "note", NULL, &out));
    return hf_return(wf, out);
}

static int
order_v2(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "check", NULL, &out)); /* a task that only the new program knows */
    return hf_return(wf, out);
}

static void
offer_old(hf *h)
{
    OK(h, hf_workflow(h, "order", 1, order_v1));
    OK(h, hf_handler(h, "note", note_v1, NULL, NULL));
}

static void
offer_new(hf *h)
{
    OK(h, hf_workflow(h, "order", 1, order_v1));
    OK(h, hf_workflow(h, "order", 2, order_v2));
    OK(h, hf_handler(h, "note", note_v1, NULL, NULL));
    OK(h, hf_handler(h, "check", note_v2, NULL, NULL));
}

enum { OLD = 40, NEW = 40 };

static void
start_orders(const char *prefix, int n, int version)
{
    char id[40];
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "%s%d", prefix, i);
        OK(client, hf_start(client, "order", NULL, HF_OPT(.id = id, .version = version), NULL));
    }
}

static void
await_orders(const char *prefix, int n, const char *output)
{
    char id[40];
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "%s%d", prefix, i);
        OK(client, hf_wait(client, id, 15000 * test_slowness(), NULL));
        CHECK_TEXT(output_of(client, id), output);
    }
}

/* Old and new side by side: what only the new can do goes to the new at once. */
TEST_WITHIN(in_a_rolling_deploy_new_runs_go_to_new_workers_and_old_ones_finish, 90)
{
    const hf_worker_opt *opt = HF_WORKER(.slots = 4, .lease_ms = LEASE_MS);
    pid_t                old[2], new[2];
    char                 id[40];

    cluster_database();
    client = client_open();
    for (int i = 0; i < 2; i++)
        old[i] = worker_start(offer_old, opt);
    UNTIL(partitions_of(old[0]) == 4 && partitions_of(old[1]) == 4);
    start_orders("old", OLD, 1);
    new[0] = worker_start(offer_new, opt);
    UNTIL(worker_of(new[0]));
    int64_t began = clock_ms();
    start_orders("new", NEW, 2);
    await_orders("new", NEW, "new");
    printf("# %d new runs done after %lld ms beside two old workers\n", NEW,
           (long long)(clock_ms() - began));
    CHECK(clock_ms() - began < 8000 * test_slowness());
    CHECK(logged("handed_over partition=") >= 1);
    CHECK_INT(worker_stop(old[0]), 0);
    new[1] = worker_start(offer_new, opt);
    CHECK_INT(worker_stop(old[1]), 0);
    for (int i = 0; i < OLD; i++) {
        snprintf(id, sizeof(id), "old%d", i);
        OK(client, hf_send(client, id, "go", NULL, NULL));
    }
    await_orders("old", OLD, "old");
    CHECK_INT(logged("takeover from="), 0); /* all in good order */
    for (int i = 0; i < 2; i++)
        CHECK_INT(worker_stop(new[i]), 0);
    check_at_rest();
}
