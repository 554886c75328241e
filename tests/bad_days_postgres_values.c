/*
 * Values that the server does not take, a schema that is not there or not ours, a role that may
 * not, a clock that is wrong: each is said in a sentence, and hits nobody else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "client/handle.h"
#include "ledger.h"
#include "store/store.h"

enum { LEASE_MS = 1500, RUNS = 1000, CULPRIT = 617 };

TEST_SETUP(cluster_start)

static hf *client;

#define MEMBER HF_WORKER(.slots = 4, .lease_ms = LEASE_MS)

/* ---- one value among a thousand */

static int
answer(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_return(tk, atoi(hf_tk_input(tk)) == CULPRIT ? "\xe2\x98\x83 snow" : "fine");
}

static int
two_tasks(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_sleep(wf, 300)); /* so that all are in flight together */
    HF_TRY(hf_task(wf, "answer", hf_input(wf), NULL));
    HF_TRY(hf_task(wf, "answer", hf_input(wf), &out));
    return hf_return(wf, out);
}

static void
offer_answers(hf *h)
{
    OK(h, hf_workflow(h, "w", 1, two_tasks));
    OK(h, hf_handler(h, "answer", answer, NULL, NULL));
}

static void
start_all(void)
{
    char id[40];
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "%d", i);
        OK(client, hf_start(client, "w", id, HF_OPT(.id = id), NULL));
    }
}

/* All have ended well but the one, which says what the server has said. */
static void
check_all_but_one(const char *words)
{
    char id[40];

    UNTIL_WITHIN(60, db_int("select count(*) from holdfast.run where status = 4") == RUNS - 1);
    snprintf(id, sizeof(id), "%d", CULPRIT);
    CHECK_TEXT(status_of(client, id), "blocked");
    CHECK_TEXT(error_of(client, id), "HF_REFUSED");
    if (!contains(message_of(client, id), words))
        test_fail(__FILE__, __LINE__, "%s: no '%s' in it", message_of(client, id), words);
    CHECK_INT(logged("lease_lost") + logged("takeover from="), 0);
}

/* An old database in LATIN1, and a snowman. */
TEST_WITHIN(a_character_that_the_database_does_not_know_blocks_its_run_and_no_other, 90)
{
    struct buf log = {0};
    struct err err = {0};

    cluster_database();
    pg_exec(pg_url(cluster), "drop database if exists latin");
    pg_exec(pg_url(cluster),
            "create database latin encoding 'LATIN1' locale 'C' template template0");
    const char *url = cluster_url_of("latin", "postgres");
    CHECK_INT(store_migrate(url, MIGRATE_RUN, &log, &err), HF_OK);
    buf_release(&log);
    cluster_look_at(url);
    client = client_open();
    start_all();
    pid_t worker = worker_start(offer_answers, MEMBER);
    check_all_but_one("no equivalent in encoding \"LATIN1\"");
    CHECK_INT(worker_stop(worker), 0);
    check_at_rest();
}

static void
forbid(int no)
{
    db_exec("alter table holdfast.run add constraint no_such_end check (id <> '%d' or "
            "status <> 4)",
            no);
}

/* Somebody's own constraint on our table. It goes, and the run goes on. */
TEST_WITHIN(a_constraint_that_somebody_added_blocks_the_run_that_breaks_it_and_no_other, 90)
{
    char id[40];

    cluster_database();
    client = client_open();
    forbid(CULPRIT);
    start_all();
    pid_t worker = worker_start(offer_answers, MEMBER);
    check_all_but_one("no_such_end");
    db_exec("alter table holdfast.run drop constraint no_such_end");
    snprintf(id, sizeof(id), "%d", CULPRIT);
    OK(client, hf_resume(client, id));
    OK(client, hf_wait(client, id, 10000 * test_slowness(), NULL));
    CHECK_INT(worker_stop(worker), 0);
    check_at_rest();
}

/* ---- the schema */

static void
cannot_open(const char *url, int code, const char *words)
{
    hf *h;
    int rc = hf_open(url, &h);
    if (rc != code || !contains(hf_errmsg(h), words))
        test_fail(__FILE__, __LINE__, "%s (%s), should be %s with '%s'", hf_code_name(rc),
                  hf_errmsg(h), hf_code_name(code), words);
    hf_close(h);
}

TEST(a_database_without_the_schema_says_what_to_run)
{
    cluster_database();
    db_exec("drop schema holdfast cascade");
    cannot_open(cluster_url(), HF_NOT_FOUND, "holdfast migrate");
    CHECK_INT(worker_wait(worker_start(offer_answers, MEMBER)), 99);
    CHECK_INT(logged("holdfast migrate"), 1);
}

TEST(a_schema_that_is_newer_than_the_program_is_left_alone)
{
    cluster_database();
    db_exec("insert into holdfast.migration (version, name, checksum) values (999, 'future', 'x')");
    cannot_open(cluster_url(), HF_NEWER, "newer");
    CHECK_INT(worker_wait(worker_start(offer_answers, MEMBER)), 99);
    CHECK_INT(db_int("select count(*) from holdfast.worker"), 0);
}

/* The schema goes while a worker is at work, by mistake: it says so, and does not crash. */
TEST_WITHIN(a_schema_that_is_dropped_under_a_worker_ends_it_with_a_sentence, 60)
{
    cluster_database();
    pid_t worker = worker_start(offer_answers, MEMBER);
    UNTIL(partitions_of(worker) == 8);
    db_exec("drop schema holdfast cascade");
    CHECK_INT(worker_wait(worker), 1);
    CHECK(logged("holdfast migrate") >= 1);
}

/* ---- rights */

TEST(a_role_without_rights_is_told_which_one_it_lacks)
{
    cluster_database();
    pg_exec(pg_url(cluster), "drop role if exists poor");
    pg_exec(pg_url(cluster), "create role poor login");
    const char *poor = cluster_url_of(cluster_name(), "poor");
    cluster_serve("%s", poor);
    cannot_open(poor, HF_INVALID, "holdfast_worker");
    db_exec("grant usage on schema holdfast to poor");
    db_exec("grant select on all tables in schema holdfast to poor");
    client = client_open();
    GIVES(client, hf_start(client, "w", NULL, NULL, NULL), HF_INVALID);
    CHECK(contains(hf_errmsg(client), "permission denied"));
    CHECK(contains(hf_errmsg(client), "holdfast_client"));
    hf_close(client);
    CHECK_INT(worker_wait(worker_start(offer_answers, MEMBER)), 1);
    CHECK(logged("permission denied") >= 1);
    db_exec("drop owned by poor");
}
