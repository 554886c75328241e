/* Several workers on one store, in one process: threads with handles of their own on a shared
 * memory store. What processes and servers add is tested with PostgreSQL. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client/handle.h"
#include "runs.h"
#include "store/store.h"

enum { PARTITIONS = 8 };

static struct store *base;
static hf           *client;
static _Atomic int   begun, ended, cancelled, cancelled_then, let_go;

struct member {
    hf           *h;
    pthread_t     thread;
    hf_worker_opt opt;
    int           rc;
};

static void
sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* Waits until the condition holds, failing the test after some seconds. */
#define SOON(cond)                                                                                 \
    do {                                                                                           \
        int64_t until_ = clock_steady_us() + 5 * US_PER_S * test_slowness();                       \
        while (!(cond) && clock_steady_us() < until_)                                              \
            sleep_ms(5);                                                                           \
        CHECK(cond);                                                                               \
    } while (0)

static hf *
connect_to_base(void)
{
    struct err    err = {0};
    struct store *s;
    hf           *h;
    CHECK_INT(base->ops->clone(base, &s, &err), HF_OK);
    CHECK_INT(handle_new(s, &h), HF_OK);
    return h;
}

static void
open_base(void)
{
    struct err err = {0};
    CHECK_INT(memory_store_open_shared(NULL, PARTITIONS, &base, &err), HF_OK);
    client = connect_to_base();
}

static void *
run_member(void *arg)
{
    struct member *m = arg;
    m->rc = hf_run(m->h, &m->opt);
    return NULL;
}

static void
begin(struct member *m, void (*offer)(hf *h), hf_worker_opt opt)
{
    m->h = connect_to_base();
    offer(m->h);
    m->opt = opt;
    m->opt.size = sizeof(opt);
    pthread_create(&m->thread, NULL, run_member, m);
}

static void
end_told(struct member *m)
{
    pthread_join(m->thread, NULL);
    OK(m->h, m->rc);
    hf_close(m->h);
}

static void
end(struct member *m)
{
    hf_stop(m->h);
    end_told(m);
}

/* How many partitions each live worker owns, "5 3"; the text lives until the next call. */
static const char *
owned(void)
{
    static char        text[200];
    struct arena       a = {0};
    struct worker_row *rows = NULL;
    size_t             n = 0;
    struct err         err = {0};
    int                len = 0;

    CHECK_INT(base->ops->workers(base, &a, &rows, &n, &err), HF_OK);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%d", i ? " " : "",
                        rows[i].partitions);
    arena_release(&a);
    return text;
}

static int
owns(const char *should)
{
    return strcmp(owned(), should) == 0;
}

/* ---- what the workers offer ---- */

static int
hold(hf_tk *tk, void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&let_go) && !hf_tk_cancelled(tk))
        sleep_ms(2);
    if (!atomic_load(&let_go)) {
        atomic_fetch_add(&cancelled, 1);
        return hf_tk_fail(tk, "cancelled", "told to stop");
    }
    atomic_fetch_add(&ended, 1);
    return hf_tk_return(tk, "\"held\"");
}

static int
quick(hf_tk *tk, void *arg)
{
    (void)arg;
    cancelled_then = cancelled;
    atomic_fetch_add(&ended, 1);
    return hf_tk_return(tk, "\"quick\"");
}

static int
flaky(hf_tk *tk, void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    if (hf_tk_attempt(tk) < 3)
        return hf_tk_fail(tk, "flaky", "try again");
    return hf_tk_return(tk, "\"at last\"");
}

static int
calls_hold(hf_wf *wf)
{
    const char *out = NULL;
    HF_TRY(hf_task(wf, "hold", NULL, &out));
    return hf_return(wf, out);
}

static int
calls_far(hf_wf *wf)
{
    const char *out = NULL;
    HF_TRY(hf_task(wf, hf_input(wf), NULL, &out,
                   HF_OPT(.queue = "far", .max_attempts = 3, .first_delay_ms = 1)));
    return hf_return(wf, out);
}

static int
compensates_far(hf_wf *wf)
{
    HF_TRY(hf_on_fail(wf, "quick", NULL));
    return calls_far(wf);
}

static int
fans_out(hf_wf *wf)
{
    hf_call box[5];
    for (int i = 0; i < 5; i++)
        HF_TRY(hf_task_start(wf, "quick", NULL, &box[i]));
    HF_TRY(hf_all(wf, box, 5));
    return hf_return(wf, "\"done\"");
}

static void
offer_all(hf *h)
{
    OK(h, hf_workflow(h, "calls_hold", 1, calls_hold));
    OK(h, hf_workflow(h, "calls_far", 1, calls_far));
    OK(h, hf_workflow(h, "compensates_far", 1, compensates_far));
    OK(h, hf_workflow(h, "fans_out", 1, fans_out));
    OK(h, hf_handler(h, "hold", hold, NULL, NULL));
    OK(h, hf_handler(h, "quick", quick, NULL, NULL));
    OK(h, hf_handler(h, "flaky", flaky, NULL, NULL));
}

static void
offer_quick(hf *h)
{
    OK(h, hf_handler(h, "quick", quick, NULL, NULL));
}

static void
offer_hold(hf *h)
{
    OK(h, hf_handler(h, "hold", hold, NULL, NULL));
}

/* ---- balance ---- */

TEST(a_newcomer_gets_its_share)
{
    struct member a, b;
    open_base();
    begin(&a, offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
    SOON(owns("8"));
    begin(&b, offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
    SOON(owns("4 4"));
    end(&b);
    SOON(owns("8"));
    end(&a);
}

TEST(runs_go_on_while_workers_come_and_go)
{
    enum { RUNS = 400 };
    struct member m[4];
    char          ids[RUNS][HF_ID_SIZE];

    open_base();
    for (int i = 0; i < 2; i++)
        begin(&m[i], offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
    for (int i = 0; i < RUNS; i++) {
        OK(client, hf_start(client, "fans_out", NULL, NULL, ids[i]));
        if (i == RUNS / 4)
            begin(&m[2], offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
        if (i == RUNS / 2)
            end(&m[0]);
        if (i == RUNS * 3 / 4)
            begin(&m[3], offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
        if (i % 20 == 0)
            sleep_ms(10);
    }
    for (int i = 0; i < RUNS; i++)
        OK(client, hf_wait(client, ids[i], 10000, NULL));
    CHECK_INT(ended, RUNS * 5);
    for (int i = 1; i < 4; i++)
        end(&m[i]);
}

/* Partitions of the tasks without an id go round, so this makes 14 : 2 by choosing when to add. */
TEST(sixteen_long_tasks_on_two_workers_all_run)
{
    struct member a, b;
    open_base();
    begin(&a, offer_all, (hf_worker_opt){.slots = 8, .lease_ms = 2000});
    SOON(owns("8"));
    for (int i = 0; i < 14; i++)
        OK(client, hf_enqueue(client, "hold", NULL, NULL, NULL));
    SOON(begun == 8);
    begin(&b, offer_all, (hf_worker_opt){.slots = 8, .lease_ms = 2000});
    for (int i = 0; i < 2; i++)
        OK(client, hf_enqueue(client, "hold", NULL, NULL, NULL));
    int64_t began_us = clock_steady_us();
    SOON(begun == 16);
    CHECK(clock_steady_us() - began_us < 3 * US_PER_S * test_slowness());
    CHECK_INT(ended, 0);
    let_go = 1;
    SOON(ended == 16);
    end(&a);
    end(&b);
    CHECK_INT(begun, 16);
}

TEST(work_goes_to_a_worker_that_can_do_it)
{
    struct member a, b;
    open_base();
    begin(&a, offer_quick, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
    SOON(owns("8"));
    for (int i = 0; i < 16; i++)
        OK(client, hf_enqueue(client, i % 2 ? "quick" : "hold", NULL, NULL, NULL));
    SOON(ended == 8);
    let_go = 1;
    begin(&b, offer_hold, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
    SOON(ended == 16);
    for (int i = 0; i < 16; i++)
        OK(client, hf_enqueue(client, i % 2 ? "quick" : "hold", NULL, NULL, NULL));
    SOON(ended == 32);
    end(&a);
    end(&b);
}

/* ---- hand-over ---- */

TEST(a_running_call_is_not_begun_again_when_its_partition_moves)
{
    struct member a, b;
    char          id[HF_ID_SIZE];
    open_base();
    begin(&a, offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000, .grace_ms = 10000});
    SOON(owns("8"));
    OK(client, hf_start(client, "calls_hold", NULL, NULL, id));
    SOON(begun == 1);
    begin(&b, offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
    hf_stop(a.h); /* all goes to b, but for what runs */
    SOON(owns("0 8") || owns("8 0"));
    sleep_ms(100);
    CHECK_INT(begun, 1);
    let_go = 1;
    OK(client, hf_wait(client, id, 10000, NULL));
    CHECK_TEXT(output_of(client, id), "\"held\"");
    CHECK_INT(begun, 1);
    end_told(&a);
    end(&b);
    CHECK_INT(begun, 1);
}

TEST(a_task_that_was_handed_over_while_it_ran_is_told_of_a_cancel)
{
    struct member a, b;
    char          id[HF_ID_SIZE];
    open_base();
    begin(&a, offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000, .grace_ms = 10000});
    SOON(owns("8"));
    OK(client, hf_start(client, "calls_hold", NULL, NULL, id));
    SOON(begun == 1);
    begin(&b, offer_all, (hf_worker_opt){.slots = 2, .lease_ms = 3000});
    hf_stop(a.h);
    SOON(owns("0 8") || owns("8 0"));
    OK(client, hf_cancel(client, id, "enough"));
    GIVES(client, hf_wait(client, id, 10000, NULL), HF_CANCELLED);
    SOON(cancelled == 1);
    end_told(&a);
    end(&b);
}

/* ---- rows and runs of others ---- */

TEST(a_task_of_another_queue_is_done_by_its_worker)
{
    struct member a, b;
    char          id[HF_ID_SIZE];
    open_base();
    begin(&a, offer_all, (hf_worker_opt){.queues = "default", .slots = 2, .lease_ms = 3000});
    begin(&b, offer_all, (hf_worker_opt){.queues = "far", .slots = 2, .lease_ms = 3000});
    OK(client, hf_start(client, "calls_far", "flaky", NULL, id));
    OK(client, hf_wait(client, id, 10000, NULL));
    CHECK_TEXT(output_of(client, id), "\"at last\"");
    CHECK_INT(begun, 3);
    end(&a);
    end(&b);
}

TEST(a_task_of_another_queue_is_told_of_a_cancel_and_awaited)
{
    struct member a, b;
    char          id[HF_ID_SIZE];
    open_base();
    begin(&a, offer_all, (hf_worker_opt){.queues = "default", .slots = 2, .lease_ms = 3000});
    begin(&b, offer_all, (hf_worker_opt){.queues = "far", .slots = 2, .lease_ms = 3000});
    OK(client, hf_start(client, "compensates_far", "hold", NULL, id));
    SOON(begun == 1);
    OK(client, hf_cancel(client, id, "enough"));
    GIVES(client, hf_wait(client, id, 10000, NULL), HF_CANCELLED);
    CHECK_INT(cancelled, 1);
    CHECK_INT(ended, 1);          /* the compensation */
    CHECK_INT(cancelled_then, 1); /* ... began after the task had given up */
    end(&a);
    end(&b);
}
