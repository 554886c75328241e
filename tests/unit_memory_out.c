/*
 * Each allocation in turn fails, over the library's main paths: no crash, no leak, an honest code,
 * and once there is memory again everything completes. What jansson and SQLite allocate themselves
 * is not touched.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "test.h"

static int
is_honest(int rc)
{
    return rc == HF_OK || rc == HF_NOMEM;
}

/* ---- clients ---- */

static int
may_be_absent(int rc)
{
    return is_honest(rc) || rc == HF_NOT_FOUND;
}

/* Opens, and does one thing of each kind. A bit for each that was done. */
static unsigned
use_as_client(void)
{
    unsigned    done = 0;
    hf         *h;
    hf_info    *info = NULL;
    char        id[HF_ID_SIZE], ids[3 * HF_ID_SIZE];
    const char *inputs[] = {"a", NULL, "c"};
    int         rc = hf_open("sqlite:clients.db", &h);

    CHECK(is_honest(rc));
    if (rc) {
        hf_close(h);
        return 0;
    }
    rc = hf_start(h, "wf", "in", HF_OPT(.id = "run", .if_exists = HF_IF_EXISTS_USE), id);
    CHECK(is_honest(rc));
    done |= rc ? 0 : 1;
    rc = hf_send(h, "run", "s", "payload", HF_OPT(.key = "k"));
    CHECK(may_be_absent(rc));
    done |= rc ? 0 : 2;
    rc = hf_start_send(h, "wf", "in", "s", "1", HF_OPT(.id = "both"), NULL);
    CHECK(is_honest(rc));
    done |= rc ? 0 : 4;
    rc = hf_enqueue(h, "work", "in", HF_OPT(.id = "task", .max_attempts = 3), NULL);
    CHECK(is_honest(rc) || rc == HF_EXISTS);
    done |= rc ? 0 : 8;
    rc = hf_enqueue_many(h, "work", inputs, 3, NULL, ids);
    CHECK(is_honest(rc));
    rc = hf_start_many(h, "wf", inputs, NULL, 3, NULL, ids);
    CHECK(is_honest(rc));
    rc = hf_describe(h, "run", &info);
    CHECK(may_be_absent(rc));
    CHECK((rc == HF_OK) == (info != NULL));
    hf_info_free(info);
    info = NULL;
    rc = hf_wait(h, "run", 0, &info);
    CHECK(may_be_absent(rc) || rc == HF_TIMEOUT);
    hf_info_free(info);
    CHECK(may_be_absent(hf_cancel(h, "both", "reason")));
    CHECK(may_be_absent(hf_pause(h, "both")));
    CHECK(may_be_absent(hf_resume(h, "both")));
    hf_close(h);
    return done;
}

TEST_WITHIN(a_client_without_memory_is_told_and_loses_nothing, 60)
{
    long n = 0;
    int  failed = 1;

    for (n = 1; failed; n++) {
        hf      *h;
        hf_info *info;
        mem_fail_at(n, 0);
        unsigned done = use_as_client();
        failed = mem_count() >= n;
        mem_fail_at(0, 0);
        CHECK_INT(hf_open("sqlite:clients.db", &h), HF_OK);
        if (done & 1) {
            CHECK_INT(hf_describe(h, "run", &info), HF_OK);
            CHECK_TEXT(info->input, "in");
            hf_info_free(info);
        }
        if (done & 4) {
            CHECK_INT(hf_describe(h, "both", &info), HF_OK);
            hf_info_free(info);
        }
        if (done & 8)
            CHECK_INT(hf_enqueue(h, "work", NULL, HF_OPT(.id = "task"), NULL), HF_EXISTS);
        hf_close(h);
    }
    printf("%ld allocations\n", n);
}

/* ---- a workflow with everything ---- */

static int
work(hf_tk *tk, void *arg)
{
    (void)arg;
    if (hf_tk_attempt(tk) == 1 && strcmp(hf_tk_input(tk), "retry") == 0)
        return hf_tk_fail(tk, "busy", "once");
    return hf_tk_return(tk, hf_tk_sprintf(tk, "did %s", hf_tk_input(tk)));
}

static int
add_step(hf_st *st, void *arg)
{
    return hf_step_return(st, arg);
}

static int
branch(hf_wf *wf, void *arg)
{
    const char *out;
    HF_TRY(hf_task(wf, "work", arg, &out, HF_OPT(.max_attempts = -1)));
    return hf_return(wf, out);
}

static int
child(hf_wf *wf)
{
    HF_TRY(hf_sleep(wf, 10));
    return hf_return(wf, hf_sprintf(wf, "child %s", hf_input(wf)));
}

static int
everything(hf_wf *wf)
{
    const char *a, *b, *c, *d, *e;
    hf_call     calls[3];
    size_t      first;

    if (hf_execution(wf) == 1) {
        HF_TRY(hf_status(wf, "begun"));
        HF_TRY(hf_step(wf, "step", add_step, "stepped", &a));
        return hf_continue(wf, a);
    }
    HF_TRY(hf_on_fail(wf, "work", "undo", HF_OPT(.max_attempts = -1)));
    HF_TRY(hf_task(wf, "work", "retry", &a, HF_OPT(.max_attempts = -1, .jitter = -1)));
    HF_TRY(hf_task_start(wf, "work", "x", &calls[0],
                         HF_OPT(.max_attempts = -1, .on_crash = HF_RETRY)));
    HF_TRY(hf_branch_start(wf, branch, "in-branch", &calls[1]));
    HF_TRY(hf_timer_start(wf, 5, &calls[2]));
    HF_TRY(hf_any(wf, calls, 3, &first));
    HF_TRY(hf_all(wf, calls, 3));
    HF_TRY(hf_result(wf, calls[1], &b));
    if (!hf_patch(wf, "new"))
        return hf_uuid(wf) ? HF_SUSPENDED : HF_NOMEM; /* only after a stop */
    if (hf_signal(wf, "nobody", NULL, HF_OPT(.timeout_ms = 7)) < 0)
        return HF_SUSPENDED;
    hf_shield(wf);
    HF_TRY(hf_signal(wf, "s", &c));
    hf_unshield(wf);
    HF_TRY(hf_child(wf, "child", "1", &d));
    HF_TRY(hf_detach(wf, "child", "2", &e, NULL));
    hf_log(wf, "all is well");
    int rc = hf_fail(wf, "planned", "%s|%s|%s|%s|%s|%s", hf_input(wf), a, b, c, d, e);
    return rc;
}

static void
register_all(hf *h)
{
    CHECK_INT(hf_workflow(h, "everything", 1, everything), HF_OK);
    CHECK_INT(hf_workflow(h, "child", 1, child), HF_OK);
    CHECK_INT(hf_handler(h, "work", work, NULL, NULL), HF_OK);
}

static const char *const expected =
    "stepped|did retry|did in-branch|sig|child 1|run/0.8@2; compensation";

/* With the n-th allocation failing. 0 when there were not so many. */
static int
run_everything(long n, int forever)
{
    hf      *h;
    hf_info *info;
    CHECK_INT(hf_test_open(&h), HF_OK);
    register_all(h);
    CHECK_INT(hf_start(h, "everything", "in", HF_OPT(.id = "run"), NULL), HF_OK);
    CHECK_INT(hf_send(h, "run", "s", "sig", NULL), HF_OK);
    mem_fail_at(n, forever);
    int rc = hf_test_advance(h, 2000);
    int failed = mem_count() >= n;
    mem_fail_at(0, 0);
    if (!is_honest(rc))
        test_fail(__FILE__, __LINE__, "allocation %ld: %s %s", n, hf_code_name(rc), hf_errmsg(h));
    if (rc == HF_NOMEM) /* as a worker does: it ends, and another one begins */
        CHECK_INT(hf_test_crash(h), HF_OK);
    for (int i = 0; i < 3; i++) {
        rc = hf_test_advance(h, 120000);
        if (rc)
            test_fail(__FILE__, __LINE__, "allocation %ld: %s", n, hf_errmsg(h));
    }
    CHECK_INT(hf_describe(h, "run", &info), HF_OK);
    if (strcmp(info->status, "failed") != 0 || strcmp(info->error_name, "planned") != 0 ||
        strncmp(info->error_message, expected, strcspn(expected, ";")) != 0)
        test_fail(__FILE__, __LINE__, "allocation %ld: run is %s: %s: %s", n, info->status,
                  info->error_name ? info->error_name : "-",
                  info->error_message ? info->error_message : "-");
    hf_info_free(info);
    CHECK_INT(hf_describe(h, "run/0.8@2", &info), HF_OK);
    CHECK_TEXT(info->status, "completed");
    hf_info_free(info);
    hf_close(h);
    return failed;
}

TEST_WITHIN(a_run_goes_through_the_failure_of_any_allocation, 60)
{
    long n = 1;
    while (run_everything(n, 0))
        n += test_is_quick() ? 3 : 1;
    printf("%ld allocations\n", n);
}

TEST_WITHIN(a_run_goes_on_after_a_time_without_memory, 60)
{
    long n = 1;
    while (run_everything(n, 1))
        n += test_is_quick() ? 13 : 4;
}

TEST(a_test_handle_that_cannot_be_made_leaves_nothing)
{
    hf  *h = NULL;
    int  rc = HF_NOMEM;
    long n;
    for (n = 1; rc == HF_NOMEM; n++) {
        mem_fail_at(n, 0);
        rc = hf_test_open(&h);
        mem_fail_at(0, 0);
        CHECK((rc == HF_OK) == (h != NULL));
    }
    CHECK_INT(rc, HF_OK);
    hf_close(h);
}

/* ---- a worker with threads ---- */

enum { RUNS = 3, TASKS = 10 };

TEST_WITHIN(a_worker_without_memory_ends_or_goes_on_and_loses_nothing, 100)
{
    hf  *h;
    long n = 1, step = test_is_quick() ? 11 : 1;

    for (int failed = 1; failed; n += step) {
        char     id[20];
        hf_info *info;
        remove("worker.db");
        remove("worker.db-wal");
        remove("worker.db-shm");
        CHECK_INT(hf_open("sqlite:worker.db", &h), HF_OK);
        CHECK_INT(hf_workflow(h, "child", 1, child), HF_OK);
        CHECK_INT(
            hf_handler(h, "work", work, NULL, HF_OPT(.max_attempts = -1, .first_delay_ms = 1)),
            HF_OK);
        for (int i = 0; i < RUNS; i++) {
            snprintf(id, sizeof(id), "run%d", i);
            CHECK_INT(hf_start(h, "child", id, HF_OPT(.id = id), NULL), HF_OK);
        }
        for (int i = 0; i < TASKS; i++)
            CHECK_INT(hf_enqueue(h, "work", "x", NULL, NULL), HF_OK);
        mem_fail_at(n, 0);
        int rc = hf_run(h, HF_WORKER(.slots = 2, .drain = 1));
        failed = mem_count() >= n;
        mem_fail_at(0, 0);
        if (!is_honest(rc))
            test_fail(__FILE__, __LINE__, "allocation %ld: %s", n, hf_errmsg(h));
        CHECK_INT(hf_run(h, HF_WORKER(.slots = 2, .drain = 1)), HF_OK);
        for (int i = 0; i < RUNS; i++) {
            char output[40];
            snprintf(id, sizeof(id), "run%d", i);
            snprintf(output, sizeof(output), "child run%d", i);
            CHECK_INT(hf_describe(h, id, &info), HF_OK);
            if (strcmp(info->status, "completed") != 0)
                test_fail(__FILE__, __LINE__, "allocation %ld: %s is %s: %s", n, id, info->status,
                          info->error_message ? info->error_message : "-");
            CHECK_TEXT(info->output, output);
            hf_info_free(info);
        }
        hf_close(h);
    }
    printf("%ld allocations\n", n);
}
