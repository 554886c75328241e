/*
 * Days on which the link between a worker or a client and the server is bad: cut, silent, slow, or
 * losing the answer to a commit. Nothing that is recorded is done again.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/relay.h"
#include "ledger.h"

enum { LEASE_MS = 1500 };

TEST_SETUP(cluster_start)

static struct relay *relay;
static hf           *client;

/* Who opens the store from now on, does so through the relay. */
static void
serve_by_relay(int64_t rtt_us, const char *query)
{
    struct err err = {0};
    CHECK_INT(relay_open(pg_socket(cluster), 0, rtt_us, &relay, &err), HF_OK);
    const char *url = pg_tcp_url(cluster, cluster_name(), relay_port(relay));
    cluster_serve("%s%s%s", url, *query ? strchr(url, '?') ? "&" : "?" : "", query);
}

static void
serve_directly(void)
{
    cluster_serve("%s", cluster_url());
}

#define MEMBER HF_WORKER(.slots = 4, .lease_ms = LEASE_MS, .max_crashes = 1000)

/* Load through the relay, by a worker and a client; another worker and client without it. */
static void
begin_day(pid_t pids[4])
{
    seed_random();
    cluster_database();
    serve_by_relay(0, "");
    pids[0] = worker_start(ledger_offer, MEMBER);
    pids[1] = ledger_client_start(1, 8000);
    serve_directly();
    pids[2] = worker_start(ledger_offer, MEMBER);
    pids[3] = ledger_client_start(2, 8000);
    UNTIL(partitions_of(pids[0]) == 4 && partitions_of(pids[2]) == 4);
    UNTIL(ledger_acknowledged() > 20);
}

static void
end_day(pid_t pids[4])
{
    int before = ledger_acknowledged();
    UNTIL_WITHIN(20, ledger_acknowledged() > before + 10);
    worker_kill(pids[1]);
    worker_kill(pids[3]);
    CHECK_INT(worker_stop(pids[0]), 0);
    CHECK_INT(worker_stop(pids[2]), 0);
    printf("# in doubt %d times, unavailable %d times, leases lost %d, takeovers %d\n",
           logged("memory_dropped code=HF_UNKNOWN"), logged("store_unavailable"),
           logged("lease_lost"), logged("takeover from="));
    relay_close(relay);
    ledger_settle(50);
}

/* ---- cut and silent, under load */

TEST_WITHIN(links_that_are_cut_again_and_again_cost_nothing, 90)
{
    pid_t pids[4];

    begin_day(pids);
    for (int64_t end = clock_ms() + (test_is_quick() ? 3000 : 8000); clock_ms() < end;) {
        relay_cut(relay);
        sleep_ms(50 + rand() % 250);
    }
    CHECK(logged("memory_dropped code=HF_UNKNOWN") + logged("store_unavailable") >= 3);
    end_day(pids);
}

/* Nothing comes and nothing ends: the worst link. The others do not wait for it. */
TEST_WITHIN(a_worker_behind_a_silent_link_is_replaced_and_comes_back_when_the_link_does, 90)
{
    pid_t pids[4];

    begin_day(pids);
    sleep_ms(LEASE_MS); /* after which they judge each other */
    int64_t number = worker_of(pids[0]);
    relay_stall(relay);
    int64_t stalled = clock_ms();
    UNTIL(partitions_of(pids[2]) == 8);
    printf("# taken over after %lld ms, lease %d ms\n", (long long)(clock_ms() - stalled),
           LEASE_MS);
    CHECK(clock_ms() - stalled <= (LEASE_MS * 12 / 10 + 600) * test_slowness());
    int before = ledger_acknowledged();
    UNTIL(ledger_acknowledged() > before + 10); /* of the other client */
    relay_resume(relay);
    UNTIL_WITHIN(30, worker_of(pids[0]) > number);
    end_day(pids);
}

/* ---- slow */

static int
quick(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("did");
    return hf_tk_return(tk, hf_tk_input(tk));
}

static int
three_tasks(hf_wf *wf)
{
    const char *out;
    for (int i = 0; i < 3; i++)
        HF_TRY(hf_task(wf, "quick", "x", &out));
    return hf_return(wf, out);
}

static void
offer_quick(hf *h)
{
    OK(h, hf_workflow(h, "w", 1, three_tasks));
    OK(h, hf_handler(h, "quick", quick, NULL, NULL));
}

/* A roundtrip of 150 ms: each commit costs one, whatever it holds. */
TEST_WITHIN(a_slow_link_delays_but_does_not_multiply, 60)
{
    enum { RUNS = 50 };
    char id[40];

    cluster_database();
    serve_by_relay(150000, "");
    pid_t worker = worker_start(offer_quick, MEMBER);
    UNTIL_WITHIN(20, partitions_of(worker) == 8);
    client = client_open();
    int64_t began = clock_ms();
    OK(client, hf_start(client, "w", NULL, HF_OPT(.id = "first"), NULL));
    OK(client, hf_wait(client, "first", 20000 * test_slowness(), NULL));
    int64_t took = clock_ms() - began;
    printf("# a run of three tasks: %lld ms\n", (long long)took);
    CHECK(took < 25 * 150 * test_slowness()); /* connections, start, commits: one after another */
    serve_directly();
    hf *near = client_open();
    began = clock_ms();
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(near, hf_start(near, "w", NULL, HF_OPT(.id = id), NULL));
    }
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(near, hf_wait(near, id, 20000 * test_slowness(), NULL));
    }
    took = clock_ms() - began;
    printf("# fifty of them: %lld ms\n", (long long)took);
    CHECK(took < 25 * 150 * test_slowness()); /* together */
    CHECK_INT(effects("did"), 3 * (RUNS + 1));
    CHECK_INT(logged("lease_lost") + logged("takeover from="), 0);
    CHECK_INT(worker_stop(worker), 0);
    hf_close(near);
    check_at_rest();
}

/* ---- the answer to a commit is lost */

static int64_t
answered(void)
{
    return relay_counts(relay).bytes[RELAY_TO_CLIENT];
}

static void
start_and_wait(const char *id)
{
    OK(client, hf_start(client, "w", NULL, HF_OPT(.id = id), NULL));
    OK(client, hf_wait(client, id, 15000 * test_slowness(), NULL));
}

/* Somewhere in the life of a run the answers to its worker are lost. What the record says is done,
 * is done, and what this process has done it knows. */
TEST_WITHIN(a_worker_whose_commits_answer_is_lost_repeats_nothing, 60)
{
    enum { TIMES = 100 };
    char id[40];

    seed_random();
    cluster_database();
    serve_by_relay(0, "");
    pid_t worker = worker_start(offer_quick, MEMBER);
    UNTIL(partitions_of(worker) == 8);
    serve_directly();
    client = client_open();
    start_and_wait("first");
    int64_t bytes = answered();
    start_and_wait("second");
    bytes = answered() - bytes; /* so many for a run */
    for (int i = 0; i < TIMES; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        relay_drop_after(relay, RELAY_TO_CLIENT, rand() % bytes);
        OK(client, hf_start(client, "w", NULL, HF_OPT(.id = id), NULL));
        sleep_ms(80);
        relay_resume(relay); /* the connections are reset */
        OK(client, hf_wait(client, id, 15000 * test_slowness(), NULL));
    }
    printf("# in doubt %d times, %d executions for %d calls\n",
           logged("memory_dropped code=HF_UNKNOWN"), effects("did"), 3 * (TIMES + 2));
    CHECK(logged("memory_dropped code=HF_UNKNOWN") >= 3);
    CHECK_INT(logged("lease_lost"), 0);
    CHECK_INT(effects("did"), 3 * (TIMES + 2));
    CHECK_INT(worker_stop(worker), 0);
    relay_close(relay);
    check_at_rest();
}

/* A call under way while answers are dropped hears nothing until its connection is reset. */
static void *
resume_soon(void *arg)
{
    (void)arg;
    sleep_ms(100);
    relay_resume(relay);
    return NULL;
}

#define WITHOUT_ANSWER_AFTER(bytes, call)                                                          \
    do {                                                                                           \
        pthread_t helper_;                                                                         \
        OK(client, hf_enqueue(client, "warm", NULL, NULL, NULL)); /* it is connected */            \
        relay_drop_after(relay, RELAY_TO_CLIENT, bytes);                                           \
        CHECK_INT(pthread_create(&helper_, NULL, resume_soon, NULL), 0);                           \
        call;                                                                                      \
        pthread_join(helper_, NULL);                                                               \
    } while (0)

/* Repeated under its token by the library, it finds itself: one run, and "started". */
TEST_WITHIN(a_client_whose_answer_is_lost_starts_one_run_and_sends_one_signal, 60)
{
    enum { TIMES = 15 };
    char id[40];

    cluster_database();
    serve_by_relay(0, "");
    client = client_open();
    for (int i = 0; i < TIMES; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        WITHOUT_ANSWER_AFTER(30 * i,
                             OK(client, hf_start(client, "w", NULL, HF_OPT(.id = id), NULL)));
        int rc;
        WITHOUT_ANSWER_AFTER(30 * i, rc = hf_send(client, id, "s", NULL, HF_OPT(.key = "k")));
        if (rc == HF_UNKNOWN || rc == HF_UNAVAILABLE)
            rc = hf_send(client, id, "s", NULL, HF_OPT(.key = "k"));
        OK(client, rc);
    }
    CHECK(relay_counts(relay).connections > TIMES / 2); /* that many were lost */
    CHECK_INT(db_int("select count(*) from holdfast.run"), TIMES);
    CHECK(db_int("select count(*) from holdfast.inbox") >= TIMES);
    CHECK_INT(db_int("select count(distinct run_no) from holdfast.inbox where kind = 0 and "
                     "key = 'k'"),
              TIMES);
    relay_close(relay);
}

/* Without an id nobody can tell a repetition from another task: the caller is told, and decides. */
TEST_WITHIN(a_client_whose_enqueue_has_no_id_is_told_that_nothing_is_known, 60)
{
    enum { TIMES = 15 };
    int known = 0, unknown = 0;

    cluster_database();
    serve_by_relay(0, "");
    client = client_open();
    for (int i = 0; i < TIMES; i++) {
        int rc;
        WITHOUT_ANSWER_AFTER(10 * i, rc = hf_enqueue(client, "t", NULL, NULL, NULL));
        if (rc == HF_UNKNOWN)
            unknown++;
        else if (rc == HF_OK)
            known++;
        else
            CHECK_INT(rc, HF_UNAVAILABLE);
    }
    int64_t rows = db_int("select count(*) from holdfast.task where name = 't'");
    printf("# %d known, %d unknown, %lld stored\n", known, unknown, (long long)rows);
    CHECK(unknown > 0);
    CHECK(rows >= known && rows <= known + unknown);
    relay_close(relay);
}
