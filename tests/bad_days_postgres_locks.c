/*
 * Others in the database: a session that holds locks on our rows, deadlocks, serialisation
 * failures. And a machine whose clock is an hour off.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"

enum { LEASE_MS = 1000 };

TEST_SETUP(cluster_start)

#define MEMBER HF_WORKER(.slots = 4, .lease_ms = LEASE_MS, .max_crashes = 1000)

static pid_t pids[2], order;

static void
begin_day(void)
{
    seed_random();
    cluster_database();
    for (int i = 0; i < 2; i++)
        pids[i] = worker_start(ledger_offer, MEMBER);
    order = ledger_client_start(0, 8000);
    UNTIL(partitions_of(pids[0]) == 4 && partitions_of(pids[1]) == 4);
    UNTIL(ledger_acknowledged() > 20);
}

static void
end_day(void)
{
    int before = ledger_acknowledged();
    UNTIL(ledger_acknowledged() > before + 5);
    worker_kill(order);
    for (int i = 0; i < 2; i++)
        CHECK_INT(worker_stop(pids[i]), 0);
    ledger_settle(50);
}

/* Three leases long no commit passes. The lease is not the lane's, so it holds. */
TEST_WITHIN(rows_that_somebody_locks_for_long_delay_commits_and_cost_no_lease, 60)
{
    begin_day();
    db_exec("begin; select 1 from holdfast.partition for update; select pg_sleep(3); commit");
    CHECK_INT(logged("lease_lost") + logged("takeover from="), 0);
    end_day();
}

/* One commit in five, at its history or at the end. */
TEST_WITHIN(deadlocks_and_serialisation_failures_are_tried_again, 60)
{
    begin_day();
    db_exec("create function public.fail_often() returns trigger language plpgsql as $$ "
            "begin if random() < 0.2 then raise exception 'injected' using errcode = "
            "(array['40001', '40P01', '55P03'])[1 + floor(random() * 3)::int]; end if; "
            "return null; end $$");
    db_exec("create trigger fail_often after insert on holdfast.history "
            "for each statement execute function public.fail_often()");
    sleep_ms(3000);
    int before = ledger_acknowledged();
    UNTIL(ledger_acknowledged() > before + 20); /* it goes on meanwhile */
    db_exec("drop trigger fail_often on holdfast.history");
    CHECK_INT(logged("lease_lost") + logged("memory_dropped"), 0);
    CHECK_INT(db_int("select count(*) from holdfast.run where status = 3"), 0); /* none blocked */
    end_day();
}

/* A real one: a session takes the rows in another order than the fence does. */
TEST_WITHIN(a_session_that_locks_in_another_order_deadlocks_and_nobody_loses, 60)
{
    begin_day();
    pg_exec(pg_url(cluster), "alter system set deadlock_timeout = '20ms'");
    pg_exec(pg_url(cluster), "select pg_reload_conf()");
    for (int i = 0; i < 15; i++) {
        fflush(NULL);
        pid_t other = fork(); /* it may be the victim: then its exit is not 0 */
        if (other == 0) {
            db_exec("begin; select 1 from holdfast.partition where id = 8 for update; "
                    "select pg_sleep(0.05); "
                    "select 1 from holdfast.partition order by id desc for update; "
                    "select pg_sleep(0.05); commit");
            _exit(0);
        }
        worker_wait(other);
    }
    pg_exec(pg_url(cluster), "alter system reset all");
    pg_exec(pg_url(cluster), "select pg_reload_conf()");
    CHECK_INT(logged("lease_lost") + logged("takeover from="), 0);
    end_day();
}

/* ---- a wrong clock: this program's own, for the real time only */

static int64_t skew_s;

int
clock_gettime(clockid_t id, struct timespec *t)
{
    long rc = syscall(SYS_clock_gettime, id, t);
    if (rc == 0 && id == CLOCK_REALTIME)
        t->tv_sec += skew_s;
    return (int)rc;
}

static int
note(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("note %s", hf_tk_input(tk));
    return hf_tk_return(tk, NULL);
}

static int
sleeps(hf_wf *wf)
{
    HF_TRY(hf_sleep(wf, 1500));
    HF_TRY(hf_task(wf, "note", hf_run_id(wf), NULL));
    return hf_return(wf, "slept");
}

static void
offer_sleep(hf *h)
{
    OK(h, hf_workflow(h, "sleeps", 1, sleeps));
    OK(h, hf_handler(h, "note", note, NULL, NULL));
}

/* Times are the server's: neither timers nor delays nor leases ask a machine what it thinks. */
TEST_WITHIN(a_worker_and_a_client_an_hour_off_are_neither_early_nor_late, 60)
{
    cluster_database();
    for (int i = 0; i < 2; i++) {
        skew_s = i ? 3600 : -3600;
        pids[i] = worker_start(offer_sleep, MEMBER);
    }
    UNTIL(partitions_of(pids[0]) == 4 && partitions_of(pids[1]) == 4);
    for (int i = 0; i < 2; i++) {
        char id[10], task[10], line[20];
        skew_s = i ? 3600 : -3600;
        hf     *client = client_open();
        int64_t began = clock_ms();
        snprintf(id, sizeof(id), "r%d", i);
        snprintf(task, sizeof(task), "t%d", i);
        OK(client, hf_start(client, "sleeps", NULL, HF_OPT(.id = id), NULL));
        OK(client, hf_enqueue(client, "note", task, HF_OPT(.delay_ms = 1500), NULL));
        OK(client, hf_wait(client, id, 10000 * test_slowness(), NULL));
        int64_t took = clock_ms() - began;
        printf("# a sleep of 1500 ms: %lld ms\n", (long long)took);
        CHECK(took >= 1500 && took < 4500 * test_slowness());
        snprintf(line, sizeof(line), "note %s", task);
        UNTIL(effects(line) == 1);
        took = clock_ms() - began;
        CHECK(took >= 1500 && took < 6000 * test_slowness());
        hf_close(client);
    }
    skew_s = 0;
    CHECK_INT(logged("lease_lost") + logged("takeover from="), 0);
    worker_kill(pids[0]); /* and the dead are found as ever */
    int64_t died = clock_ms();
    UNTIL(partitions_of(pids[1]) == 8);
    CHECK(clock_ms() - died <= LEASE_MS * 12 / 10 * test_slowness());
    CHECK_INT(worker_stop(pids[1]), 0);
    check_at_rest();
}
