/*
 * Days on which the server is in trouble: restarted, crashed, away for long, read-only, full, or
 * ending connections one after another. Workers and clients wait and go on; what was acknowledged
 * is there, and nobody takes the living for dead.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger.h"

enum { LEASE_MS = 1500, WORKERS = 3, CLIENTS = 2 };

TEST_SETUP(cluster_start)

static pid_t workers[WORKERS], clients[CLIENTS];

static void
configure(const char *sql)
{
    pg_exec(pg_url(cluster), sql);
    pg_exec(pg_url(cluster), "select pg_reload_conf()");
}

static void
begin_day(void)
{
    seed_random();
    configure("alter system reset all"); /* what a test that failed has left */
    cluster_database();
    for (int i = 0; i < WORKERS; i++)
        workers[i] = worker_start(ledger_offer,
                                  HF_WORKER(.slots = 4, .lease_ms = LEASE_MS, .max_crashes = 1000));
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = ledger_client_start(i, 8000);
    for (int i = 0; i < WORKERS; i++)
        UNTIL(worker_of(workers[i]));
}

/* Whatever the day was like: all workers have lived through it, and all is in order. */
static void
end_day(int runs_min)
{
    int before = ledger_acknowledged();
    UNTIL(ledger_acknowledged() > before + 5); /* it goes on */
    for (int i = 0; i < CLIENTS; i++)
        worker_kill(clients[i]);
    for (int i = 0; i < WORKERS; i++)
        CHECK_INT(worker_stop(workers[i]), 0);
    printf("# unavailable %d times, back %d times, leases lost %d, takeovers %d\n",
           logged("store_unavailable"), logged("store_back"), logged("lease_lost"),
           logged("takeover from="));
    ledger_settle(runs_min);
}

/* ---- restarts */

TEST_WITHIN(a_server_that_is_restarted_fast_in_mid_load_costs_nothing, 90)
{
    begin_day();
    for (int i = 0; i < 3; i++) {
        sleep_ms(1500);
        pg_restart(cluster, "fast");
    }
    end_day(50);
}

/* Transaction ids that nobody has committed are given out again, and connections say nothing. */
TEST_WITHIN(a_server_that_crashes_in_mid_load_costs_nothing, 90)
{
    begin_day();
    for (int i = 0; i < 3; i++) {
        sleep_ms(1500);
        if (i == 1)
            pg_kill9(cluster);
        else
            pg_halt(cluster, "immediate");
        pg_start_again(cluster);
    }
    end_day(50);
}

/* All leases are over, and nobody is dead. */
TEST_WITHIN(an_outage_longer_than_all_leases_is_followed_by_no_takeover, 90)
{
    int64_t numbers[WORKERS];

    begin_day();
    UNTIL(partitions_of(workers[0]) < 8 && partitions_of(workers[1]) < 8);
    sleep_ms(1000);
    for (int i = 0; i < WORKERS; i++)
        numbers[i] = worker_of(workers[i]);
    pg_halt(cluster, "fast");
    sleep_ms(LEASE_MS * 3);
    pg_start_again(cluster);
    sleep_ms(LEASE_MS * 2);
    CHECK_INT(logged("history_key"), 0);
    CHECK_INT(logged("takeover from="), 0);
    CHECK_INT(logged("lease_lost"), 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_INT(worker_of(workers[i]), numbers[i]);
    end_day(20);
}

/* ---- it says no */

TEST_WITHIN(a_server_that_is_read_only_for_a_while_is_waited_for, 90)
{
    begin_day();
    sleep_ms(1000);
    configure("alter system set default_transaction_read_only = on");
    UNTIL(logged("renewal_failed code=HF_UNAVAILABLE") == WORKERS);
    CHECK(logged("read-only") >= WORKERS);
    sleep_ms(LEASE_MS * 2);
    configure("alter system reset default_transaction_read_only");
    UNTIL(logged("renewed after_ms=") == WORKERS);
    CHECK_INT(logged("takeover from="), 0);
    end_day(20);
}

/* ---- a full disk: a tablespace on a file system of a few megabytes */

static int
fills(hf_tk *tk, void *arg)
{
    (void)arg;
    char *text = hf_tk_alloc(tk, 200001);
    for (int i = 0; i < 200000; i++)
        text[i] = (char)('a' + rand() % 26); /* does not compress */
    text[200000] = '\0';
    while (access("go", F_OK) != 0)
        sleep_ms(5);
    effect("filled");
    return hf_tk_return(tk, text);
}

static int
big_result(hf_wf *wf)
{
    HF_TRY(hf_task(wf, "fills", NULL, NULL));
    return hf_return(wf, "well");
}

static void
offer_fills(hf *h)
{
    OK(h, hf_workflow(h, "w", 1, big_result));
    OK(h, hf_handler(h, "fills", fills, NULL, NULL));
}

/* A server of the test's own, in a mount namespace where small/ is small. */
static void
small_server(void)
{
    char        sql[300], cwd[200];
    struct stat st;

    CHECK(mkdir("small", 0777) == 0 && getcwd(cwd, sizeof(cwd)) != NULL);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "small", "tmpfs", 0, "size=40m") != 0)
        SKIP("a small file system cannot be mounted here");
    cluster_start();
    CHECK(chmod(".", 0755) == 0);
    CHECK(stat(pg_dir(cluster), &st) == 0 && mkdir("small/t", 0700) == 0);
    CHECK(chown("small/t", st.st_uid, st.st_gid) == 0);
    snprintf(sql, sizeof(sql), "create tablespace small location '%s/small/t'", cwd);
    pg_exec(pg_url(cluster), sql);
    cluster_database();
    snprintf(sql, sizeof(sql), "alter database %s set tablespace small", cluster_name());
    pg_exec(pg_url(cluster), sql);
}

TEST_WITHIN(a_full_disk_is_waited_for_and_nothing_is_lost, 60)
{
    enum { FILLERS = 30 };
    char id[40];

    small_server();
    hf *client = client_open();
    for (int i = 0; i < FILLERS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "w", NULL, HF_OPT(.id = id), NULL));
    }
    pid_t worker = worker_start(offer_fills, HF_WORKER(.slots = FILLERS, .lease_ms = LEASE_MS));
    UNTIL(partitions_of(worker) == 8);
    CHECK(system("dd if=/dev/zero of=small/filler bs=64k 2>/dev/null; : >go") == 0);
    UNTIL(logged("disk is full") >= 1);
    CHECK_INT(logged("store_back"), 0);
    sleep_ms(1000);
    CHECK(unlink("small/filler") == 0);
    UNTIL(logged("store_back") >= 1);
    for (int i = 0; i < FILLERS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_wait(client, id, 15000 * test_slowness(), NULL));
    }
    CHECK_INT(effects("filled"), FILLERS); /* nothing was done twice */
    CHECK_INT(worker_stop(worker), 0);
    check_at_rest();
    hf_close(client);
    pg_stop(cluster);
}

/* ---- it ends connections */

static void
end_connections(int ms)
{
    for (int64_t end = clock_ms() + ms; clock_ms() < end;) {
        db_int("select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity "
               "where datname = current_database() and pid <> pg_backend_pid() "
               "order by state <> 'active', random() limit 1) x");
        sleep_ms(50 + rand() % 100);
    }
}

TEST_WITHIN(connections_that_are_ended_one_after_another_cost_nothing, 90)
{
    begin_day();
    end_connections(test_is_quick() ? 3000 : 8000);
    end_day(50);
}

/* With slow disks a commit takes long, and the end of its connection is said behind its answer: who
 * takes that for a refusal writes it twice. */
TEST_WITHIN(a_connection_that_is_ended_right_after_a_commit_does_not_make_it_undone, 90)
{
    configure("alter system set commit_delay = 20000");
    configure("alter system set commit_siblings = 0");
    begin_day();
    end_connections(test_is_quick() ? 3000 : 8000);
    configure("alter system reset all");
    CHECK_INT(logged("history_key"), 0);
    CHECK(logged("memory_dropped code=HF_UNKNOWN") >= 1);
    end_day(50);
}
