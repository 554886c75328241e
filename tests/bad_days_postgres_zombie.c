/*
 * Zombies: a worker that is stopped for longer than its lease, at any moment, and then goes on as
 * if nothing had happened. Another has its work by then. What it still writes is refused, it joins
 * anew, and begins nothing that is not its own any more.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/relay.h"
#include "ledger.h"

enum { LEASE_MS = 1000 };

TEST_SETUP(cluster_start)

static hf *client;

#define MEMBER(...) HF_WORKER(.lease_ms = LEASE_MS, __VA_ARGS__)

/* Stops a worker until another has taken its partitions. */
static void
stop_until_replaced(pid_t stopped, pid_t other)
{
    UNTIL(worker_of(other));
    kill(stopped, SIGSTOP);
    UNTIL(partitions_of(other) == 8);
}

/* The stopped one goes on, finds out, and is a worker again under another number. */
static void
wake(pid_t stopped, int64_t old_number)
{
    kill(stopped, SIGCONT);
    UNTIL(worker_of(stopped) > old_number);
    CHECK(logged("lease_lost") >= 1);
}

/* ---- idle */

TEST_WITHIN(a_stopped_worker_is_replaced_and_joins_anew_when_it_goes_on, 60)
{
    cluster_database();
    pid_t a = worker_start(ledger_offer, MEMBER(.slots = 2));
    UNTIL(partitions_of(a) == 8);
    int64_t number = worker_of(a);
    pid_t   b = worker_start(ledger_offer, MEMBER(.slots = 2));
    stop_until_replaced(a, b);
    CHECK_INT(worker_of(a), 0);
    wake(a, number);
    CHECK_INT(worker_stop(b), 0);
    UNTIL(partitions_of(a) == 8);
    CHECK_INT(worker_stop(a), 0);
    check_at_rest();
}

/* ---- with tasks and steps under way */

/* "begun TASK PID" each time that one begins: who began what how often. */
static int
slow(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("begun %s %d", hf_tk_input(tk), (int)getpid());
    effect("any %s", hf_tk_input(tk));
    sleep_ms(300);
    return hf_tk_return(tk, hf_tk_sprintf(tk, "%d", (int)getpid()));
}

static int
note_step(hf_st *st, void *arg)
{
    effect("step %s", (const char *)arg);
    return hf_step_return(st, "noted");
}

static int
calls_slow(hf_wf *wf)
{
    char id[40];
    snprintf(id, sizeof(id), "%s", hf_run_id(wf));
    HF_TRY(hf_task(wf, "slow", hf_run_id(wf), NULL));
    HF_TRY(hf_step(wf, "note", note_step, id, NULL));
    return hf_return(wf, "well");
}

static void
offer_slow(hf *h)
{
    OK(h, hf_workflow(h, "w", 1, calls_slow));
    OK(h, hf_handler(h, "slow", slow, NULL, NULL));
}

enum { RUNS = 12, SLOTS = 2 };

/* How many times tasks were begun by a process. */
static int
begun_by(pid_t pid)
{
    char line[60];
    int  n = 0;
    for (int i = 0; i < RUNS; i++) {
        snprintf(line, sizeof(line), "begun r%d %d", i, (int)pid);
        n += effects(line);
    }
    return n;
}

/* Two slots and ten calls that wait for them: the ten are another's when it wakes. */
TEST_WITHIN(a_zombie_begins_nothing_of_what_waited_for_its_slots, 60)
{
    char id[40];

    cluster_database();
    client = client_open();
    pid_t a = worker_start(offer_slow, MEMBER(.slots = SLOTS));
    UNTIL(partitions_of(a) == 8);
    int64_t number = worker_of(a);
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "w", NULL, HF_OPT(.id = id), NULL));
    }
    UNTIL(begun_by(a) == SLOTS);
    kill(a, SIGSTOP);
    int   before = begun_by(a);
    pid_t b = worker_start(offer_slow, MEMBER(.slots = RUNS));
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_wait(client, id, 15000 * test_slowness(), NULL));
    }
    wake(a, number);
    sleep_ms(1000);
    CHECK_INT(begun_by(a), before); /* not one more */
    CHECK_INT(begun_by(b), RUNS);
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "step r%d", i);
        CHECK_INT(effects(id), 1);
    }
    CHECK_INT(worker_stop(a), 0);
    CHECK_INT(worker_stop(b), 0);
    check_at_rest();
}

/* The same, woken while the other is still at work: each call is begun by the other and at most
 * once by the zombie, before it slept. */
TEST_WITHIN(a_zombie_that_wakes_into_the_work_of_its_successor_does_not_touch_it, 60)
{
    char id[40];

    cluster_database();
    client = client_open();
    pid_t a = worker_start(offer_slow, MEMBER(.slots = SLOTS));
    UNTIL(partitions_of(a) == 8);
    int64_t number = worker_of(a);
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "w", NULL, HF_OPT(.id = id), NULL));
    }
    UNTIL(begun_by(a) == SLOTS);
    kill(a, SIGSTOP);
    int   before = begun_by(a);
    pid_t b = worker_start(offer_slow, MEMBER(.slots = 1));
    UNTIL(begun_by(b) == 2);
    wake(a, number);
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_wait(client, id, 20000 * test_slowness(), NULL));
        snprintf(id, sizeof(id), "step r%d", i);
        CHECK_INT(effects(id), 1);
        snprintf(id, sizeof(id), "any r%d", i);
        CHECK(effects(id) <= 2);
    }
    /* what was under way when it was stopped may be done twice, nothing else */
    CHECK(begun_by(a) + begun_by(b) <= RUNS + before);
    CHECK_INT(worker_stop(a), 0);
    CHECK_INT(worker_stop(b), 0);
    check_at_rest();
}

/* ---- in the middle of sending a batch */

static int
big(hf_tk *tk, void *arg)
{
    (void)arg;
    char *text = hf_tk_alloc(tk, 200001);
    memset(text, 'x', 200000);
    effect("big %s", hf_tk_input(tk));
    while (effects("go") == 0)
        sleep_ms(5);
    return hf_tk_return(tk, text);
}

static int
calls_big(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "big", hf_run_id(wf), NULL));
    return hf_return(wf, "well");
}

static void
offer_big(hf *h)
{
    OK(h, hf_workflow(h, "big", 1, calls_big));
    OK(h, hf_handler(h, "big", big, NULL, NULL));
}

static int64_t
backends_of(int64_t number)
{
    return db_int("select count(*) from pg_stat_activity where application_name = 'holdfast/%lld'",
                  (long long)number);
}

/*
 * The server has half a batch, waits for the rest for ever, and holds the locks of its fence. Only
 * ending that connection helps.
 */
TEST_WITHIN(a_half_sent_batch_does_not_keep_its_partitions_from_being_taken_over, 60)
{
    enum { BIG = 16 };
    struct relay *relay;
    struct err    err = {0};
    char          id[40];

    cluster_database();
    client = client_open();
    CHECK_INT(relay_open(pg_socket(cluster), 0, 0, &relay, &err), HF_OK);
    cluster_serve("%s", pg_tcp_url(cluster, cluster_name(), relay_port(relay)));
    pid_t a = worker_start(offer_big, MEMBER(.slots = BIG));
    UNTIL(partitions_of(a) == 8);
    int64_t number = worker_of(a);
    for (int i = 0; i < BIG; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "big", NULL, HF_OPT(.id = id), NULL));
    }
    UNTIL(effects(NULL) == BIG);
    relay_drop_after(relay, RELAY_TO_SERVER, 300000); /* a batch of 3 MB is on its way */
    effect("go");
    UNTIL(db_int("select count(*) from pg_stat_activity where application_name = 'holdfast/%lld' "
                 "and wait_event = 'ClientRead' and state = 'active'",
                 (long long)number) >= 1 ||
          logged("lease_lost") > 0);
    kill(a, SIGSTOP);
    cluster_serve("%s", cluster_url());
    int64_t stopped = clock_ms();
    pid_t   b = worker_start(offer_big, MEMBER(.slots = BIG));
    UNTIL(partitions_of(b) == 8);
    printf("# taken over %lld ms after the stop\n", (long long)(clock_ms() - stopped));
    for (int i = 0; i < BIG; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_wait(client, id, 20000 * test_slowness(), NULL));
    }
    CHECK_INT(backends_of(number), 0); /* its connections were ended */
    relay_resume(relay);
    wake(a, number);
    CHECK_INT(worker_stop(a), 0);
    CHECK_INT(worker_stop(b), 0);
    relay_close(relay);
    check_at_rest();
}

/* ---- at any moment, under load */

TEST_WITHIN(workers_stopped_longer_than_their_lease_at_random_moments_make_no_fork, 120)
{
    pid_t   pids[3], orders[2];
    int64_t end = clock_ms() + (test_is_quick() ? 6000 : 15000);

    seed_random();
    cluster_database();
    for (int i = 0; i < 3; i++)
        pids[i] = worker_start(ledger_offer, MEMBER(.slots = 4, .max_crashes = 1000));
    for (int i = 0; i < 2; i++)
        orders[i] = ledger_client_start(i, 8000);
    while (clock_ms() < end) {
        int i = rand() % 3;
        sleep_ms(100 + rand() % 400);
        kill(pids[i], SIGSTOP);
        sleep_ms(rand() % 3 ? LEASE_MS + 200 + rand() % 800 : rand() % 100);
        kill(pids[i], SIGCONT);
    }
    for (int i = 0; i < 2; i++)
        worker_kill(orders[i]);
    for (int i = 0; i < 3; i++)
        CHECK_INT(worker_stop(pids[i]), 0);
    printf("# %d leases lost, %d takeovers\n", logged("lease_lost"), logged("takeover from="));
    CHECK(logged("lease_lost") >= 1);
    ledger_settle(50);
}
