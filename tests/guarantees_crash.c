/*
 * The guarantees that need a real death: clients and workers are processes on an SQLite file, ended
 * by kill -9 at moments that nobody chose, and compared with a file of effects.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

static hf *client;

/* ---- 1: what was acknowledged */

static int
waits_for_go(hf_wf *wf)
{
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, "gone");
}

static int
do_task(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("did %s", hf_tk_input(tk));
    return hf_tk_return(tk, NULL);
}

static void
offer_acknowledged(hf *h)
{
    OK(h, hf_workflow(h, "waits", 1, waits_for_go));
    OK(h, hf_handler(h, "task", do_task, NULL, NULL));
}

/* Says after each success what has succeeded, until it is killed. */
static _Noreturn void
acknowledge(int round)
{
    hf *h = client_open();
    for (int i = 0;; i++) {
        char id[40], task[40];
        snprintf(id, sizeof(id), "r%d-%d", round, i);
        snprintf(task, sizeof(task), "t%d-%d", round, i);
        OK(h, hf_start(h, "waits", NULL, HF_OPT(.id = id), NULL));
        effect("started %s", id);
        OK(h, hf_enqueue(h, "task", task, NULL, NULL));
        effect("enqueued %s", task);
        OK(h, hf_send(h, id, "go", NULL, NULL));
        effect("sent %s", id);
        if (i % 3)
            continue;
        snprintf(id, sizeof(id), "c%d-%d", round, i);
        OK(h, hf_start(h, "waits", NULL, HF_OPT(.id = id), NULL));
        OK(h, hf_cancel(h, id, NULL));
        effect("cancelled %s", id);
    }
}

static void
check_acknowledged(void)
{
    FILE *f = fopen("effects", "r");
    char  line[200], word[20], id[40], did[60];
    int   n = 0;

    while (f && fgets(line, sizeof(line), f)) {
        CHECK(sscanf(line, "%19s %39s", word, id) == 2);
        n++;
        snprintf(did, sizeof(did), "did %s", id);
        if (strcmp(word, "enqueued") == 0)
            CHECK(effects(did) >= 1);
        else if (strcmp(word, "sent") == 0)
            CHECK_TEXT(output_of(client, id), "gone");
        else if (strcmp(word, "cancelled") == 0)
            CHECK_TEXT(status_of(client, id), "cancelled");
        else if (strcmp(word, "started") == 0)
            CHECK(status_of(client, id) != NULL);
    }
    CHECK(n > 20);
    fclose(f);
}

/* "Success" is all that a client may rely on: it forgets the order that it handed over. */
TEST_WITHIN(g1_what_was_acknowledged_survives_the_death_of_everybody, 60)
{
    client = client_open();
    for (int round = 0; round < 4; round++) {
        pid_t worker = round % 2 ? worker_start(offer_acknowledged, NULL) : 0;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            acknowledge(round);
        sleep_ms((60 + rand() % 60) * test_slowness());
        worker_kill(pid);
        if (worker)
            worker_kill(worker);
    }
    worker_drain(offer_acknowledged);
    check_acknowledged();
}

/* ---- 2 and 3: runs that are killed */

enum { TASKS = 5, RUNS = 12 };

/* A token of its own for each execution: the recorded one is the one that later code sees. */
static int
make_token(hf_tk *tk, void *arg)
{
    (void)arg;
    int         token = (int)(clock_ms() % 100000) * 100 + rand() % 100;
    const char *key = hf_tk_key(tk);
    usleep((unsigned)(rand() % 4000));
    effect("%s %s %d %d", hf_tk_get(tk, "run"), hf_tk_get(tk, "n"), token, (int)strlen(key));
    return hf_tk_return(tk, hf_tk_sprintf(tk, "%d", token));
}

static int
chain(hf_wf *wf)
{
    const char *token, *all = "";
    for (int i = 0; i < TASKS; i++) {
        const char *input = hf_sprintf(wf, "{\"run\":\"%s\",\"n\":%d}", hf_run_id(wf), i);
        HF_TRY(hf_task(wf, "token", input, &token, HF_OPT(.first_delay_ms = 1)));
        all = hf_sprintf(wf, "%s%s ", all, token);
    }
    return hf_return(wf, all);
}

static void
offer_chain(hf *h)
{
    srand((unsigned)getpid());
    OK(h, hf_workflow(h, "chain", 1, chain));
    OK(h, hf_handler(h, "token", make_token, NULL, NULL));
}

/* In the order of the effects no run goes back to a task once a later one has begun, and the tokens
 * of its output are the last ones made for each task before that. */
static void
check_chain(const char *run)
{
    FILE *f = fopen("effects", "r");
    char  line[200], id[40], should[200] = "";
    int   n, token, key, seen[TASKS] = {0}, tokens[TASKS] = {0}, at = 0;

    while (f && fgets(line, sizeof(line), f)) {
        CHECK(sscanf(line, "%39s %d %d %d", id, &n, &token, &key) == 4);
        if (strcmp(id, run) != 0)
            continue;
        CHECK(n >= at); /* never executed again */
        CHECK(n <= at + 1);
        at = n;
        seen[n]++;
        tokens[n] = token;
    }
    fclose(f);
    for (int i = 0; i < TASKS; i++) {
        CHECK(seen[i] >= 1); /* at least once */
        snprintf(should + strlen(should), sizeof(should) - strlen(should), "%d ", tokens[i]);
    }
    CHECK_TEXT(output_of(client, run), should); /* exactly one of its results is recorded */
}

/* The engine's promise in one sentence: kill it anywhere, and the run goes on where it was. */
TEST_WITHIN(g2_g3_killed_workers_lose_no_result_and_repeat_no_recorded_one, 90)
{
    char id[40];

    client = client_open();
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "chain", NULL, HF_OPT(.id = id), NULL));
    }
    for (int round = 0; round < 10; round++) {
        pid_t pid = worker_start(offer_chain, HF_WORKER(.slots = 3, .max_crashes = 100));
        sleep_ms((15 + rand() % 25) * test_slowness());
        worker_kill(pid);
    }
    CHECK_INT(worker_wait(
                  worker_start(offer_chain, HF_WORKER(.slots = 3, .drain = 1, .max_crashes = 100))),
              0);
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        check_chain(id);
    }
}

/* ---- 4: one owner */

/* Two owners would charge twice. A stopped process is no dead one: it may go on at any moment. */
TEST(g4_a_second_worker_waits_for_a_stopped_owner_and_takes_over_from_a_killed_one)
{
    client = client_open();
    pid_t first = worker_start(offer_acknowledged, HF_WORKER(.lease_ms = 300));
    UNTIL(logged("started") == 1);
    /* Before the stop: it may come in a commit, and then nobody else can write to the file. */
    OK(client, hf_enqueue(client, "task", "x", HF_OPT(.delay_ms = 1000), NULL));
    kill(first, SIGSTOP);
    pid_t second = worker_start(offer_acknowledged, HF_WORKER(.lease_ms = 300));
    UNTIL(logged("owner waiting=1") == 1);
    sleep_ms(1500); /* five leases */
    CHECK_INT(effects("did x"), 0);
    CHECK_INT(logged("started"), 1);
    worker_kill(first);
    UNTIL(effects("did x") == 1);
    CHECK_INT(worker_stop(second), 0);
}

static int
slow_task(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("begun");
    sleep_ms(400);
    effect("ended %d", hf_tk_attempt(tk));
    return hf_tk_return(tk, "x");
}

static int
calls_slow(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "slow", NULL, &out));
    HF_TRY(hf_task(wf, "slow", NULL, &out));
    return hf_return(wf, out);
}

static void
offer_slow(hf *h)
{
    OK(h, hf_workflow(h, "w", 1, calls_slow));
    OK(h, hf_handler(h, "slow", slow_task, NULL, NULL));
}

/* Somebody deletes the lock file while its holder is stopped: the lock does not protect any more,
 * the fence in the store does. */
TEST(g4_an_owner_that_was_replaced_while_stopped_cannot_write)
{
    client = client_open();
    pid_t first = worker_start(offer_slow, NULL);
    OK(client, hf_start(client, "w", NULL, HF_OPT(.id = "r"), NULL));
    UNTIL(effects("begun") == 1);
    sleep_ms(100); /* in the task, when nothing is being stored */
    kill(first, SIGSTOP);
    CHECK(unlink("t.db-owner") == 0);
    pid_t second = worker_start(offer_slow, NULL);
    OK(client, hf_wait(client, "r", 10000 * test_slowness(), NULL));
    kill(first, SIGCONT);
    CHECK_INT(worker_wait(first), 1);
    CHECK(logged("run ") >= 1); /* it says why it ends */
    CHECK_TEXT(status_of(client, "r"), "completed");
    CHECK(effects(NULL) <= 6); /* the one that was under way, and its two by the second worker */
    OK(client, hf_start(client, "w", NULL, HF_OPT(.id = "r2"), NULL));
    OK(client, hf_wait(client, "r2", 10000 * test_slowness(), NULL));
    CHECK_INT(worker_stop(second), 0);
}

/* ---- 6: a signal during the last turn */

static int
ends_slowly(hf_wf *wf)
{
    hf_call call[2];
    size_t  which;

    HF_TRY(hf_signal_start(wf, "late", &call[0]));
    HF_TRY(hf_timer_start(wf, 1, &call[1]));
    HF_TRY(hf_any(wf, call, 2, &which));
    const char *text = "missed";
    if (which == 1) {
        effect("turn");
        sleep_ms(500); /* in a turn: only a test does that */
    } else {
        HF_TRY(hf_result(wf, call[0], &text));
    }
    return hf_return(wf, text);
}

static void
offer_ends_slowly(hf *h)
{
    OK(h, hf_workflow(h, "w", 1, ends_slowly));
}

/* The sender was told "stored" by a run that lived: the turn that wants to end it is run once more.
 */
TEST(g6_a_turn_that_would_end_its_run_is_run_once_more_for_a_signal_that_came_since)
{
    client = client_open();
    pid_t worker = worker_start(offer_ends_slowly, NULL);
    OK(client, hf_start(client, "w", NULL, HF_OPT(.id = "r"), NULL));
    UNTIL(effects("turn") == 1);
    OK(client, hf_send(client, "r", "late", "x", NULL));
    OK(client, hf_wait(client, "r", 10000 * test_slowness(), NULL));
    CHECK_INT(effects("turn"), 2); /* the timer was first: so says the record, so it stays */
    CHECK_TEXT(output_of(client, "r"), "missed");
    CHECK_INT(worker_stop(worker), 0);
}
