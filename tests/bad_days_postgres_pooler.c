/*
 * Through PgBouncer in transaction mode: no LISTEN, no named statements, a connection that is
 * another one each time. Workers and clients only look, and all else holds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"

enum { LEASE_MS = 1500 };

static void
set_up(void)
{
    cluster_start();
    pg_bouncer_start(cluster, NULL);
}

TEST_SETUP(set_up)

static hf *client;

#define MEMBER HF_WORKER(.slots = 4, .lease_ms = LEASE_MS, .max_crashes = 1000)

static void
serve_by_pooler(void)
{
    cluster_database();
    cluster_serve("%s", pg_bouncer_url(cluster, cluster_name()));
}

static int64_t
listeners(void)
{
    return db_int("select count(*) from pg_stat_activity where query ilike 'listen%%'");
}

/* ---- a quiet cluster */

static int
quick(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("did %s", hf_tk_input(tk));
    return hf_tk_return(tk, hf_tk_input(tk));
}

static int
whole_life(hf_wf *wf)
{
    const char *out, *signal;
    HF_TRY(hf_task(wf, "quick", "x", NULL));
    HF_TRY(hf_sleep(wf, 100));
    HF_TRY(hf_signal(wf, "go", &signal));
    HF_TRY(hf_child(wf, "child", signal, &out));
    return hf_return(wf, out);
}

static int
child(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "quick", hf_input(wf), &out));
    return hf_return(wf, out);
}

static void
offer_life(hf *h)
{
    OK(h, hf_workflow(h, "life", 1, whole_life));
    OK(h, hf_workflow(h, "child", 1, child));
    OK(h, hf_handler(h, "quick", quick, NULL, NULL));
}

/* Idle partitions are looked at once a second at least: a step of a run's life takes no longer. */
TEST_WITHIN(a_whole_life_through_a_pooler_takes_seconds_and_no_hint, 60)
{
    char    id[40];
    pid_t   pids[2];
    int64_t worst = 0;

    serve_by_pooler();
    for (int i = 0; i < 2; i++)
        pids[i] = worker_start(offer_life, MEMBER);
    UNTIL(partitions_of(pids[0]) == 4 && partitions_of(pids[1]) == 4);
    client = client_open();
    for (int i = 0; i < 5; i++) {
        sleep_ms(1200); /* they sleep as deeply as they ever do */
        int64_t began = clock_ms();
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "life", NULL, HF_OPT(.id = id), NULL));
        OK(client, hf_send(client, id, "go", "well", NULL));
        OK(client, hf_wait(client, id, 20000 * test_slowness(), NULL));
        CHECK_TEXT(output_of(client, id), "well");
        if (clock_ms() - began > worst)
            worst = clock_ms() - began;
    }
    printf("# at worst %lld ms\n", (long long)worst);
    CHECK(worst < 5000 * test_slowness());
    CHECK_INT(listeners(), 0);
    CHECK_INT(effects("did x") + effects("did well"), 10);
    for (int i = 0; i < 2; i++)
        CHECK_INT(worker_stop(pids[i]), 0);
    hf_close(client);
    check_at_rest();
}

TEST_WITHIN(a_killed_worker_is_replaced_through_a_pooler_within_its_lease, 60)
{
    pid_t pids[2];
    char  input[40];

    serve_by_pooler();
    for (int i = 0; i < 2; i++)
        pids[i] = worker_start(offer_life, MEMBER);
    UNTIL(partitions_of(pids[0]) == 4 && partitions_of(pids[1]) == 4);
    sleep_ms(LEASE_MS + 100);
    int64_t died = clock_ms();
    worker_kill(pids[0]);
    client = client_open();
    for (int i = 0; i < 16; i++) {
        snprintf(input, sizeof(input), "%d", i);
        OK(client, hf_enqueue(client, "quick", input, NULL, NULL));
    }
    UNTIL(partitions_of(pids[1]) == 8);
    int64_t took = clock_ms() - died;
    printf("# taken over after %lld ms, lease %d ms\n", (long long)took, LEASE_MS);
    CHECK(took <= LEASE_MS * 12 / 10 * test_slowness());
    UNTIL(effects(NULL) == 16);
    CHECK_INT(worker_stop(pids[1]), 0);
    check_at_rest();
}

/* ---- under load */

TEST_WITHIN(load_through_a_pooler_survives_kills_stops_and_the_end_of_connections, 90)
{
    pid_t   pids[2], orders[2];
    int64_t end = clock_ms() + (test_is_quick() ? 4000 : 10000);

    seed_random();
    serve_by_pooler();
    for (int i = 0; i < 2; i++) {
        pids[i] = worker_start(ledger_offer, MEMBER);
        orders[i] = ledger_client_start(i, 10000);
    }
    while (clock_ms() < end) {
        int i = rand() % 2, what = rand() % 4;
        sleep_ms(100 + rand() % 500);
        if (what == 0) {
            worker_kill(pids[i]);
            pids[i] = worker_start(ledger_offer, MEMBER);
        } else if (what == 1) {
            kill(pids[i], SIGSTOP);
            sleep_ms(LEASE_MS + rand() % 500);
            kill(pids[i], SIGCONT);
        } else {
            db_int("select count(pg_terminate_backend(pid)) from (select pid from "
                   "pg_stat_activity where datname = current_database() and "
                   "pid <> pg_backend_pid() order by random() limit 1) x");
        }
    }
    for (int i = 0; i < 2; i++)
        worker_kill(orders[i]);
    for (int i = 0; i < 2; i++) {
        UNTIL(worker_of(pids[i]));
        CHECK_INT(worker_stop(pids[i]), 0);
    }
    CHECK_INT(logged("history_key"), 0);
    ledger_settle(50);
}
