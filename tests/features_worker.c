/* Every option of a worker, by its effect: worker processes on an SQLite file. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"
#include "store/store.h"

static hf *client;

/* Says when it begins and ends; sleeps as long as its input says, less if nobody wants it. */
static int
sleepy(hf_tk *tk, void *arg)
{
    const char *ms = hf_tk_get(tk, "ms");
    int         left = 0;

    (void)arg;
    if (ms)
        sscanf(ms, "%d", &left);
    effect("begin %s %d", hf_tk_get(tk, "id"), hf_tk_attempt(tk));
    for (; left > 0 && !hf_tk_cancelled(tk); left -= 10)
        sleep_ms(10);
    effect("%s %s", left > 0 ? "cancelled" : "end", hf_tk_get(tk, "id"));
    return left > 0 ? hf_tk_fail(tk, "cancelled", "told to stop") : hf_tk_return(tk, ms);
}

static int
calls_sleepy(hf_wf *wf)
{
    const char *out = NULL;
    HF_TRY(hf_task(wf, "sleepy", hf_input(wf), &out));
    return hf_return(wf, out);
}

static int
calls_lossy(hf_wf *wf)
{
    int rc = hf_task(wf, "sleepy", hf_input(wf), NULL, HF_OPT(.on_crash = HF_FAIL));
    if (rc == HF_LOST)
        return hf_return(wf, hf_error_name(wf));
    return rc;
}

static int
calls_with_timeout(hf_wf *wf)
{
    int rc = hf_task(wf, "sleepy", hf_input(wf), NULL,
                     HF_OPT(.timeout_ms = 100, .max_attempts = 2, .first_delay_ms = 1));
    HF_TRY(rc > 0 ? 0 : rc);
    return hf_return(wf, hf_sprintf(wf, "%d %s", rc, hf_error_name(wf)));
}

static int
calls_with_deadline(hf_wf *wf)
{
    int rc = hf_task(wf, "sleepy", hf_input(wf), NULL, HF_OPT(.deadline_ms = 200));
    HF_TRY(rc > 0 ? 0 : rc);
    return hf_return(wf, hf_sprintf(wf, "%d %s", rc, hf_error_name(wf)));
}

static int
compensates(hf_wf *wf)
{
    HF_TRY(hf_on_fail(wf, "sleepy", "{\"id\":\"undo\",\"ms\":0}"));
    return hf_task(wf, "sleepy", hf_input(wf), NULL);
}

static int
waits(hf_wf *wf)
{
    HF_TRY(hf_signal(wf, "go", NULL));
    return hf_return(wf, "gone");
}

static void
offer(hf *h)
{
    OK(h, hf_workflow(h, "w", 1, calls_sleepy));
    OK(h, hf_workflow(h, "lossy", 1, calls_lossy));
    OK(h, hf_workflow(h, "timeout", 1, calls_with_timeout));
    OK(h, hf_workflow(h, "deadline", 1, calls_with_deadline));
    OK(h, hf_workflow(h, "compensates", 1, compensates));
    OK(h, hf_workflow(h, "waits", 1, waits));
    OK(h, hf_handler(h, "sleepy", sleepy, NULL, NULL));
}

static const char *
input(const char *id, int ms)
{
    static char text[8][60];
    static int  n;
    char       *to = text[n++ % 8];
    snprintf(to, 60, "{\"id\":\"%s\",\"ms\":%d}", id, ms);
    return to;
}

/* Two at a time, never three. */
TEST(slots_bound_what_runs_at_once)
{
    client = client_open();
    for (int i = 0; i < 6; i++)
        OK(client, hf_enqueue(client, "sleepy", input("s", 100), NULL, NULL));
    CHECK_INT(worker_wait(worker_start(offer, HF_WORKER(.slots = 2, .drain = 1))), 0);
    FILE *f = fopen("effects", "r");
    char  line[100];
    int   now = 0, most = 0;
    while (fgets(line, sizeof(line), f)) {
        now += strncmp(line, "begin", 5) == 0 ? 1 : -1;
        most = now > most ? now : most;
    }
    fclose(f);
    CHECK_INT(most, 2);
    CHECK_INT(effects("end s"), 6);
}

/* What runs when the worker is asked to stop ends well within the grace. */
TEST(a_stop_waits_for_running_tasks_as_long_as_the_grace)
{
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 2, .grace_ms = 20000));
    OK(client, hf_start(client, "w", input("a", 500), HF_OPT(.id = "r"), NULL));
    UNTIL(effects("begin a 1") == 1);
    CHECK_INT(worker_stop(worker), 0);
    CHECK_INT(effects("end a"), 1);
    worker_drain(offer);
    CHECK_TEXT(status_of(client, "r"), "completed");
    CHECK_INT(effects("begin a 1"), 1);
}

/* After the grace it is told to stop, and begins again elsewhere: that is no failed attempt. */
TEST(a_task_that_outlasts_the_grace_is_told_to_stop_and_repeated)
{
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 2, .grace_ms = 50));
    OK(client, hf_start(client, "w", input("a", 1500), HF_OPT(.id = "r"), NULL));
    OK(client, hf_enqueue(client, "sleepy", input("b", 1500), NULL, NULL));
    UNTIL(effects("begin a 1") == 1 && effects("begin b 1") == 1);
    CHECK_INT(worker_stop(worker), 0);
    CHECK_INT(effects("cancelled a"), 1);
    CHECK_INT(effects("cancelled b"), 1);
    worker_drain(offer);
    CHECK_TEXT(status_of(client, "r"), "completed");
    CHECK_INT(effects("begin a 1"), 2);
    CHECK_INT(effects("begin b 1"), 2);
}

/* A drain is for the end of a job: every task counts, also one that is to come, and no run that
 * could still do something within the hour is left behind. */
TEST(a_drain_ends_when_no_task_is_left_and_no_run_can_go_on_within_an_hour)
{
    client = client_open();
    OK(client, hf_start(client, "waits", NULL, HF_OPT(.id = "r"), NULL));
    OK(client, hf_start(client, "w", input("a", 10), HF_OPT(.id = "r2"), NULL));
    OK(client, hf_enqueue(client, "sleepy", input("soon", 0), HF_OPT(.delay_ms = 700), NULL));
    worker_drain(offer);
    CHECK_TEXT(status_of(client, "r"), "waiting");
    CHECK_TEXT(status_of(client, "r2"), "completed");
    CHECK_INT(effects("end soon"), 1);
}

TEST(a_worker_serves_only_the_queues_that_it_is_given)
{
    client = client_open();
    OK(client, hf_enqueue(client, "sleepy", input("a", 0), HF_OPT(.queue = "a"), NULL));
    OK(client, hf_enqueue(client, "sleepy", input("b", 0), HF_OPT(.queue = "b"), NULL));
    OK(client, hf_enqueue(client, "sleepy", input("c", 0), NULL, NULL));
    CHECK_INT(worker_wait(worker_start(offer, HF_WORKER(.queues = "a,b", .drain = 1))), 0);
    CHECK_INT(effects("end a") + effects("end b"), 2);
    CHECK_INT(effects("end c"), 0);
    worker_drain(offer);
    CHECK_INT(effects("end c"), 1);
}

/* A payment must not be made twice because a process died: it asked to be told instead. */
TEST(a_call_with_on_crash_fail_is_lost_with_its_worker_and_not_repeated)
{
    client = client_open();
    pid_t worker = worker_start(offer, NULL);
    OK(client, hf_start(client, "lossy", input("a", 20000), HF_OPT(.id = "r"), NULL));
    UNTIL(effects("begin a 1") == 1);
    worker_kill(worker);
    worker_drain(offer);
    CHECK_TEXT(output_of(client, "r"), "lost");
    CHECK_INT(effects("begin a 1"), 1);
}

TEST(an_attempt_over_its_timeout_is_recorded_and_tried_again)
{
    client = client_open();
    pid_t worker = worker_start(offer, NULL);
    OK(client, hf_start(client, "timeout", input("a", 5000), HF_OPT(.id = "r"), NULL));
    OK(client, hf_wait(client, "r", 10000 * test_slowness(), NULL));
    CHECK_TEXT(output_of(client, "r"), "2 timeout");
    CHECK_INT(effects("begin a 1"), 1);
    CHECK_INT(effects("begin a 2"), 1);
    UNTIL(effects("cancelled a") == 2); /* they are told, and their slots come back */
    CHECK_INT(worker_stop(worker), 0);
}

TEST(a_deadline_ends_the_attempt_that_is_under_way)
{
    client = client_open();
    pid_t worker = worker_start(offer, NULL);
    OK(client, hf_start(client, "deadline", input("a", 5000), HF_OPT(.id = "r"), NULL));
    OK(client, hf_wait(client, "r", 10000 * test_slowness(), NULL));
    CHECK_TEXT(output_of(client, "r"), "2 timeout");
    UNTIL(effects("cancelled a") == 1);
    CHECK_INT(effects("begin a 2"), 0);
    CHECK_INT(worker_stop(worker), 0);
}

/* The position of a line in the file of effects. */
static int
position(const char *line)
{
    FILE *f = fopen("effects", "r");
    char  text[200];
    int   at = 0, found = -1;
    while (f && fgets(text, sizeof(text), f)) {
        text[strcspn(text, "\n")] = '\0';
        if (strcmp(text, line) == 0)
            found = at;
        at++;
    }
    if (f)
        fclose(f);
    return found;
}

/* A task at work on behalf of a cancelled run is told, and is over before anything is undone. */
TEST(a_running_task_is_told_of_its_runs_cancel_and_awaited_before_compensation)
{
    for (int spilled = 0; spilled < 2; spilled++) {
        char id[20], begun[40], ended[40];
        snprintf(id, sizeof(id), "r%d", spilled);
        snprintf(begun, sizeof(begun), "begin %s 1", id);
        snprintf(ended, sizeof(ended), "cancelled %s", id);
        client = client_open();
        pid_t worker = worker_start(offer, HF_WORKER(.slots = 2, .spill_ms = spilled ? 50 : 60000));
        OK(client, hf_start(client, "compensates", input(id, 20000), HF_OPT(.id = id), NULL));
        UNTIL(effects(begun) == 1);
        sleep_ms(200);
        OK(client, hf_cancel(client, id, "enough"));
        GIVES(client, hf_wait(client, id, 10000 * test_slowness(), NULL), HF_CANCELLED);
        CHECK_INT(effects(ended), 1);
        CHECK_INT(effects("end undo"), 1 + spilled);
        CHECK(position("begin undo 1") > position(ended));
        CHECK_INT(worker_stop(worker), 0);
        hf_close(client);
    }
}

/* ---- rows */

static size_t
task_rows(const char *name, int *claimed)
{
    struct store    *s;
    struct err       err = {0};
    struct arena     a = {0};
    struct task_row *rows;
    size_t           n;

    CHECK_INT(store_open(STORE, NULL, &s, &err), HF_OK);
    CHECK_INT(s->ops->task_list(s, &(struct task_filter){.name = name, .limit = 100}, &a, &rows, &n,
                                &err),
              HF_OK);
    *claimed = 0;
    for (size_t i = 0; i < n; i++)
        *claimed += rows[i].claimed;
    s->ops->close(s);
    arena_release(&a);
    return n;
}

/* The events of a run's history that are of a kind. */
static int
events(const char *run, const char *kind)
{
    struct store       *s;
    struct err          err = {0};
    struct arena        a = {0};
    struct run_row      row;
    struct history_row *rows;
    size_t              n;
    int                 count = 0;

    CHECK_INT(store_open(STORE, NULL, &s, &err), HF_OK);
    CHECK_INT(s->ops->run_get(s, run, &a, &row, &err), HF_OK);
    CHECK_INT(s->ops->history(s, row.no, row.execution, &a, &rows, &n, &err), HF_OK);
    for (size_t i = 0; i < n; i++)
        for (const char *at = rows[i].events; (at = strstr(at, kind)); at++)
            count++;
    s->ops->close(s);
    arena_release(&a);
    return count;
}

/* Quick calls cost no row; one that turns out slow becomes one, so that it can be seen, cancelled,
 * and survives its owner with its attempts. */
TEST(a_call_becomes_a_claimed_row_when_it_is_slower_than_spill_ms)
{
    int claimed;
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 4, .spill_ms = 200));
    OK(client, hf_start(client, "w", input("quick", 10), HF_OPT(.id = "q"), NULL));
    OK(client, hf_wait(client, "q", 10000 * test_slowness(), NULL));
    OK(client, hf_start(client, "w", input("slow", 1000), HF_OPT(.id = "r"), NULL));
    UNTIL(task_rows("sleepy", &claimed) == 1);
    CHECK_INT(claimed, 1);
    CHECK_INT(effects("end slow"), 0);
    OK(client, hf_wait(client, "r", 10000 * test_slowness(), NULL));
    CHECK_INT((int)task_rows("sleepy", &claimed), 0);
    CHECK_INT(effects("begin slow 1"), 1);
    CHECK_INT(events("r", "sent"), 1);
    CHECK_INT(events("q", "sent"), 0);
    CHECK_INT(worker_stop(worker), 0);
}

enum { FAN = 40 };

static int
fans_out(hf_wf *wf)
{
    hf_call calls[FAN];
    for (int i = 0; i < FAN; i++)
        HF_TRY(hf_task_start(wf, "sleepy", "{\"id\":\"fan\",\"ms\":5}", &calls[i]));
    HF_TRY(hf_all(wf, calls, FAN));
    return hf_return(wf, "all");
}

static void
offer_fan(hf *h)
{
    offer(h);
    OK(h, hf_workflow(h, "fan", 1, fans_out));
}

/* Memory is bounded: what is over the bound waits in the store, and is done all the same. */
TEST(calls_over_local_max_wait_as_rows_and_are_all_done_once)
{
    client = client_open();
    OK(client, hf_start(client, "fan", NULL, HF_OPT(.id = "r"), NULL));
    pid_t worker = worker_start(offer_fan, HF_WORKER(.slots = 2, .local_max = 5));
    OK(client, hf_wait(client, "r", 20000 * test_slowness(), NULL));
    CHECK_INT(effects("end fan"), FAN);
    CHECK(events("r", "sent") >= FAN - 6);
    CHECK_INT(worker_stop(worker), 0);
}

/* Waiting runs leave memory and come back when what they wait for is there. */
TEST(more_waiting_runs_than_cache_runs_are_evicted_and_come_back)
{
    char id[40];
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 2, .cache_runs = 3));
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_start(client, "waits", NULL, HF_OPT(.id = id), NULL));
    }
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        UNTIL(strcmp(status_of(client, id), "waiting") == 0);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_send(client, id, "go", NULL, NULL));
    }
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(client, hf_wait(client, id, 10000 * test_slowness(), NULL));
    }
    CHECK_INT(worker_stop(worker), 0);
}

TEST(bad_worker_options_are_refused_with_a_sentence)
{
    hf *h = client_open();
    offer(h);
    GIVES(h, hf_run(h, HF_WORKER(.slots = -1)), HF_INVALID);
    CHECK(contains(hf_errmsg(h), "slots: -1"));
    GIVES(h, hf_run(h, HF_WORKER(.slots = 100000)), HF_INVALID);
    GIVES(h, hf_run(h, HF_WORKER(.lease_ms = 5)), HF_INVALID);
    CHECK(contains(hf_errmsg(h), "lease_ms: 5"));
    GIVES(h, hf_run(h, HF_WORKER(.grace_ms = -1)), HF_INVALID);
    GIVES(h, hf_run(h, &(hf_worker_opt){.slots = 1}), HF_INVALID);
    OK(h, hf_run(h, HF_WORKER(.drain = 1))); /* and it is as good as new */
    hf_close(h);
}
