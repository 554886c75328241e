/*
 * kill -9 of workers on PostgreSQL: others take over when the lease is over, nothing is lost,
 * nothing recorded twice, and who kills workers is found.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

enum { LEASE_MS = 1500, CRASHES = 3 };

TEST_SETUP(cluster_start)

static hf *client;

#define MEMBER HF_WORKER(.slots = 4, .lease_ms = LEASE_MS, .max_crashes = 1000)

/* Two workers that share the partitions, and have judged each other for a lease. */
static void
two_workers(offer_fn offer, const hf_worker_opt *opt, pid_t pids[2])
{
    for (int i = 0; i < 2; i++)
        pids[i] = worker_start(offer, opt);
    UNTIL(partitions_of(pids[0]) == 4 && partitions_of(pids[1]) == 4);
    sleep_ms(LEASE_MS + 100);
}

/* ---- takeover */

static int
quick(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("did %s", hf_tk_input(tk));
    return hf_tk_return(tk, NULL);
}

static int
long_task(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("begun %s %d", hf_tk_input(tk), hf_tk_attempt(tk));
    if (effects("let go") == 0)
        sleep_ms(20000);
    return hf_tk_return(tk, "done");
}

static void
offer_tasks(hf *h)
{
    OK(h, hf_handler(h, "quick", quick, NULL, NULL));
    OK(h, hf_handler(h, "long", long_task, NULL, NULL));
}

/* How long work stands still after a death, at worst: the lease, and no more. */
TEST_WITHIN(after_kill_9_all_partitions_are_taken_over_within_1_2_leases, 60)
{
    pid_t pids[2];
    char  input[40];

    cluster_database();
    client = client_open();
    two_workers(offer_tasks, MEMBER, pids);
    int64_t dead = worker_of(pids[0]), died = clock_ms();
    worker_kill(pids[0]);
    for (int i = 0; i < 16; i++) {
        snprintf(input, sizeof(input), "%d", i);
        OK(client, hf_enqueue(client, "quick", input, NULL, NULL));
    }
    UNTIL(partitions_of(pids[1]) == 8);
    int64_t took = clock_ms() - died;
    UNTIL(effects(NULL) == 16);
    printf("# taken over after %lld ms, lease %d ms, all done after %lld ms\n", (long long)took,
           LEASE_MS, (long long)(clock_ms() - died));
    CHECK(took <= LEASE_MS * 12 / 10 * test_slowness());
    CHECK_INT(db_int("select count(*) from holdfast.worker where id = %lld", (long long)dead), 0);
    CHECK_INT(logged("takeover from="), 1);
    CHECK_INT(worker_stop(pids[1]), 0);
    check_at_rest();
}

/* The first death is counted on the partition; from then on its owners are careful and claim what
 * they begin, so that the next one is counted on the task. */
TEST_WITHIN(a_task_that_was_running_in_a_killed_worker_is_repeated_and_the_crash_is_counted, 60)
{
    pid_t pid;

    cluster_database();
    client = client_open();
    OK(client, hf_enqueue(client, "long", "x", HF_OPT(.id = "x"), NULL));
    for (int i = 1; i <= 2; i++) {
        pid = worker_start(offer_tasks, MEMBER);
        UNTIL(effects("begun x 1") == i); /* a crash is no attempt */
        CHECK_INT(db_int("select max(crashes) from holdfast.partition"), i - 1);
        worker_kill(pid);
    }
    CHECK_INT(db_int("select count(*) from holdfast.task where claimed_by is not null"), 1);
    effect("let go");
    worker_drain(offer_tasks);
    CHECK_INT(effects("begun x 1"), 3);
    CHECK_INT(logged("takeover from="), 2);
    CHECK(logged("careful queue=default crashes=1") >= 1);
    CHECK(logged("careful queue=default crashes=2") >= 1);
    check_at_rest();
}

/* ---- under load */

TEST_WITHIN(workers_killed_one_after_another_under_load_lose_and_double_nothing, 120)
{
    pid_t   pids[3], orders[2];
    int64_t end = clock_ms() + (test_is_quick() ? 5000 : 15000);
    int     kills = 0;

    seed_random();
    cluster_database();
    for (int i = 0; i < 3; i++)
        pids[i] = worker_start(ledger_offer, MEMBER);
    for (int i = 0; i < 2; i++)
        orders[i] = ledger_client_start(i, 8000);
    while (clock_ms() < end) {
        sleep_ms(300 + rand() % 1200);
        int i = rand() % 3;
        worker_kill(pids[i]);
        kills++;
        pids[i] = worker_start(ledger_offer, MEMBER);
    }
    for (int i = 0; i < 2; i++)
        worker_kill(orders[i]);
    for (int i = 0; i < 3; i++) {
        UNTIL(worker_of(pids[i]));
        CHECK_INT(worker_stop(pids[i]), 0);
    }
    printf("# %d kills, %d takeovers\n", kills, logged("takeover from="));
    CHECK(logged("takeover from=") >= 1);
    ledger_settle(50);
}

/* ---- who kills workers */

static int
bomb(hf_tk *tk, void *arg)
{
    (void)arg, (void)tk;
    effect("bomb");
    segfault();
}

static int
bomb_turn(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "quick", "before", NULL));
    effect("turn");
    segfault();
}

static int
good(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "quick", hf_input(wf), NULL));
    HF_TRY(hf_sleep(wf, 20));
    HF_TRY(hf_task(wf, "quick", hf_input(wf), NULL));
    return hf_return(wf, "good");
}

static void
offer_bombs(hf *h)
{
    OK(h, hf_workflow(h, "good", 1, good));
    OK(h, hf_workflow(h, "bomb_turn", 1, bomb_turn));
    OK(h, hf_handler(h, "bomb", bomb, NULL, NULL));
    OK(h, hf_handler(h, "quick", quick, NULL, NULL));
}

enum { NEIGHBOURS = 24 };

static void
add_neighbours(void)
{
    char text[40];
    for (int i = 0; i < NEIGHBOURS; i++) {
        snprintf(text, sizeof(text), "run%d", i);
        OK(client, hf_start(client, "good", text, HF_OPT(.id = text), NULL));
    }
}

/* Two places for workers, as a supervisor keeps them: who dies is started again at once. */
static int
supervise_until_drained(void)
{
    const hf_worker_opt *opt =
        HF_WORKER(.slots = 4, .lease_ms = 1000, .max_crashes = CRASHES, .drain = 1);
    pid_t   pids[2] = {worker_start(offer_bombs, opt), worker_start(offer_bombs, opt)};
    int     deaths = 0, done[2] = {0};
    int64_t end = clock_ms() + 60000 * test_slowness();

    for (int i = 0; !done[0] || !done[1]; i = !i) {
        CHECK(clock_ms() < end);
        int code = done[i] ? 0 : worker_poll(pids[i]);
        if (code >= 1000) {
            deaths++;
            pids[i] = worker_start(offer_bombs, opt);
        } else if (code == 0) {
            done[i] = 1;
        }
        sleep_ms(20);
    }
    return deaths;
}

static void
check_neighbours(void)
{
    char text[60];
    for (int i = 0; i < NEIGHBOURS; i++) {
        snprintf(text, sizeof(text), "run%d", i);
        CHECK_TEXT(output_of(client, text), "good");
    }
}

/* One poisoned task must not take a whole cluster down, worker by worker. */
TEST_WITHIN(a_task_that_kills_every_worker_becomes_a_dead_letter_and_its_neighbours_live, 90)
{
    cluster_database();
    client = client_open();
    add_neighbours();
    OK(client, hf_enqueue(client, "bomb", NULL, HF_OPT(.id = "b"), NULL));
    int deaths = supervise_until_drained();
    printf("# %d deaths\n", deaths);
    CHECK(deaths >= CRASHES && deaths <= CRASHES + 3);
    CHECK_INT(effects("bomb"), deaths);
    CHECK_TEXT(db_text("select error_name from holdfast.dead where id = 'b'"), "crashed");
    check_neighbours();
    check_at_rest();
}

TEST_WITHIN(a_run_that_kills_every_worker_is_blocked_and_its_neighbours_live, 90)
{
    cluster_database();
    client = client_open();
    add_neighbours();
    OK(client, hf_start(client, "bomb_turn", NULL, HF_OPT(.id = "b"), NULL));
    int deaths = supervise_until_drained();
    printf("# %d deaths\n", deaths);
    CHECK(deaths >= CRASHES && deaths <= CRASHES + 3);
    CHECK_TEXT(status_of(client, "b"), "blocked");
    CHECK_TEXT(error_of(client, "b"), "crashed");
    check_neighbours();
    check_at_rest();
}
