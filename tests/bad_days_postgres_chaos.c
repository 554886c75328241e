/*
 * The worst day of a cluster: workers and clients on good and bad links, and every few hundred
 * milliseconds somebody is killed or stopped, a connection or the server ended, a link cut or
 * silent, rows locked, for a minute. In the end the ledger balances to the cent.
 *
 * CHAOS_SECONDS says how long, TEST_SEED what happens; `./dev chaos` sets both.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/relay.h"
#include "ledger.h"

enum { WORKERS = 3, CLIENTS = 2, LEASE_MS = 1500 };

TEST_SETUP(cluster_start)

static struct relay *relay;
static const char   *by_relay;
static pid_t         workers[WORKERS], clients[CLIENTS];

#define MEMBER HF_WORKER(.slots = 4, .lease_ms = LEASE_MS, .max_crashes = 100000, .spill_ms = 100)

/* Every second one is behind the relay. */
static void
choose_link(int i)
{
    cluster_serve("%s", i % 2 ? by_relay : cluster_url());
}

static void
start_worker(int i)
{
    choose_link(i);
    workers[i] = worker_start(ledger_offer, MEMBER);
}

static void
start_client(int i)
{
    choose_link(i);
    clients[i] = ledger_client_start(i, 10000);
}

/* A worker that ends by itself but is not killed has not lived through it. */
static void
check_alive(void)
{
    for (int i = 0; i < WORKERS; i++) {
        int code = worker_poll(workers[i]);
        if (code >= 0 && code != 99) /* 99: it could not open the store just then */
            test_fail(__FILE__, __LINE__, "worker %d ended with %d", i, code);
        if (code == 99)
            start_worker(i);
    }
}

/* ---- what happens */

static void
kill_worker(void)
{
    int i = rand() % WORKERS;
    worker_kill(workers[i]);
    start_worker(i);
}

static void
kill_client(void)
{
    int i = rand() % CLIENTS;
    worker_kill(clients[i]);
    start_client(i);
}

static void
stop_worker_short(void)
{
    int i = rand() % WORKERS;
    kill(workers[i], SIGSTOP);
    sleep_ms(rand() % 200);
    kill(workers[i], SIGCONT);
}

static void
stop_worker_long(void)
{
    int i = rand() % WORKERS;
    kill(workers[i], SIGSTOP);
    sleep_ms(LEASE_MS + rand() % 1500);
    kill(workers[i], SIGCONT);
}

static void
replace_worker(void)
{
    int i = rand() % WORKERS;
    kill(workers[i], SIGTERM);
    int code = worker_wait(workers[i]);
    if (code != 0 && code != 99 && code != 1000 + SIGTERM) /* before it took its signals */
        test_fail(__FILE__, __LINE__, "worker %d stopped with %d", i, code);
    start_worker(i);
}

static void
end_backends(void)
{
    db_int("select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity where "
           "datname = current_database() and pid <> pg_backend_pid() order by random() limit 3) x");
}

static void
restart_server(void)
{
    static const char *const how[] = {"fast", "immediate"};
    pg_halt(cluster, how[rand() % 2]);
    sleep_ms(rand() % 3 ? rand() % 500 : LEASE_MS * 2);
    pg_start_again(cluster);
}

static void
cut_links(void)
{
    relay_cut(relay);
}

static void
silence_links(void)
{
    relay_stall(relay);
    sleep_ms(rand() % (LEASE_MS * 2));
    relay_resume(relay);
}

static void
lose_answers(void)
{
    relay_drop_after(relay, rand() % 2 ? RELAY_TO_CLIENT : RELAY_TO_SERVER, rand() % 20000);
    sleep_ms(rand() % 500);
    relay_resume(relay);
}

static void
lock_rows(void)
{
    db_exec("begin; select 1 from holdfast.partition where id %% 3 = %d for update; "
            "select pg_sleep(%d.%d); commit",
            rand() % 3, rand() % 3, rand() % 10);
}

static const struct {
    const char *name;
    void (*happen)(void);
    int weight;
} events[] = {
    {"kill_worker", kill_worker, 8},
    {"kill_client", kill_client, 4},
    {"stop_short", stop_worker_short, 6},
    {"stop_long", stop_worker_long, 4},
    {"replace", replace_worker, 3},
    {"end_backends", end_backends, 6},
    {"restart", restart_server, 3},
    {"cut", cut_links, 6},
    {"silence", silence_links, 2},
    {"lose", lose_answers, 6},
    {"lock", lock_rows, 2},
};
enum { EVENTS = sizeof(events) / sizeof(events[0]) };

static int
pick_event(void)
{
    int sum = 0, i = 0;
    for (int k = 0; k < EVENTS; k++)
        sum += events[k].weight;
    for (int at = rand() % sum; at >= events[i].weight; i++)
        at -= events[i].weight;
    return i;
}

/* ---- the day */

static int
seconds_wanted(void)
{
    const char *given = getenv("CHAOS_SECONDS");
    return given ? atoi(given) : test_is_quick() ? 10 : 60;
}

static void
live_through(int seconds)
{
    int count[EVENTS] = {0};

    for (int64_t end = clock_ms() + seconds * 1000LL; clock_ms() < end;) {
        sleep_ms(rand() % 600);
        int i = pick_event();
        count[i]++;
        events[i].happen();
        check_alive();
    }
    for (int i = 0; i < EVENTS; i++)
        printf("# %d %s\n", count[i], events[i].name);
}

TEST_WITHIN(a_minute_in_which_everything_goes_wrong_loses_nothing_and_doubles_nothing, 100000)
{
    struct err err = {0};

    seed_random();
    cluster_database();
    CHECK_INT(relay_open(pg_socket(cluster), 0, 1000, &relay, &err), HF_OK);
    by_relay = pg_tcp_url(cluster, cluster_name(), relay_port(relay));
    for (int i = 0; i < WORKERS; i++)
        start_worker(i);
    for (int i = 0; i < CLIENTS; i++)
        start_client(i);
    UNTIL(ledger_acknowledged() > 10);
    live_through(seconds_wanted());
    for (int i = 0; i < CLIENTS; i++)
        worker_kill(clients[i]);
    for (int i = 0; i < WORKERS; i++) {
        UNTIL_WITHIN(20, worker_of(workers[i]));
        CHECK_INT(worker_stop(workers[i]), 0);
    }
    printf("# takeovers %d, leases lost %d, in doubt %d, unavailable %d\n",
           logged("takeover from="), logged("lease_lost"), logged("memory_dropped code=HF_UNKNOWN"),
           logged("store_unavailable"));
    relay_close(relay);
    cluster_serve("%s", cluster_url());
    CHECK_INT(logged("history_key"), 0);
    ledger_settle(50);
}
