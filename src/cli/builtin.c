/* Tasks and workflows for trying a store out and for measuring it. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli/offer.h"

/* How often a sleeping task looks whether it is still wanted. */
enum { TICK_MS = 250 };

static int
noop_task(hf_tk *tk, void *arg)
{
    (void)tk;
    (void)arg;
    return HF_OK;
}

static int64_t
whole_number(const char *text, int64_t fallback)
{
    return text ? strtoll(text, NULL, 10) : fallback;
}

static int
sleep_task(hf_tk *tk, void *arg)
{
    int64_t end_us = clock_steady_us() + whole_number(hf_tk_get(tk, "ms"), 0) * US_PER_MS;

    (void)arg;
    for (int64_t left_us; (left_us = end_us - clock_steady_us()) > 0;) {
        if (hf_tk_cancelled(tk))
            return hf_tk_fail(tk, "cancelled", "nobody waits for it any more");
        int64_t ms = (left_us + US_PER_MS - 1) / US_PER_MS;
        poll(NULL, 0, (int)(ms < TICK_MS ? ms : TICK_MS));
    }
    return HF_OK;
}

static int
fail_task(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_fail(tk, "fail", "attempt %d failed, as it always does", hf_tk_attempt(tk));
}

static int
noop_workflow(hf_wf *wf)
{
    return hf_task(wf, "noop", NULL, NULL);
}

static int
fan_out_workflow(hf_wf *wf)
{
    int64_t n = whole_number(hf_get(wf, hf_input(wf), "n"), 5);
    if (n < 0 || n > HF_EVENTS_MAX / 2)
        return hf_fail(wf, "invalid", "n is %lld, 0 to %d", (long long)n, HF_EVENTS_MAX / 2);
    hf_call *calls = hf_alloc(wf, ((size_t)n + 1) * sizeof(*calls));
    for (int64_t i = 0; calls && i < n; i++)
        HF_TRY(hf_task_start(wf, "noop", NULL, &calls[i]));
    return hf_all(wf, calls, calls ? (size_t)n : 0);
}

static int
sleep_workflow(hf_wf *wf)
{
    return hf_sleep(wf, whole_number(hf_get(wf, hf_input(wf), "ms"), 0));
}

static int
count_step(hf_st *st, void *arg)
{
    (void)arg;
    return hf_step_return(st, NULL);
}

static int
steps_workflow(hf_wf *wf)
{
    int64_t n = whole_number(hf_get(wf, hf_input(wf), "n"), 5);
    for (int64_t i = 0; i < n; i++)
        HF_TRY(hf_step(wf, "count", count_step, NULL, NULL));
    return HF_OK;
}

/* Each name offers a task, a workflow, or one of each. */
static const struct builtin {
    const char    *name;
    hf_task_fn     task;
    hf_workflow_fn workflow;
} builtins[] = {
    {"noop", noop_task, noop_workflow}, {"sleep", sleep_task, sleep_workflow},
    {"fail", fail_task, NULL},          {"fan-out", NULL, fan_out_workflow},
    {"steps", NULL, steps_workflow},
};

enum { BUILTINS = sizeof(builtins) / sizeof(builtins[0]) };

static int
offer_one(struct cli *c, const struct builtin *b)
{
    if (b->task && hf_handler(c->h, b->name, b->task, NULL, NULL))
        return cli_fail(c);
    if (b->workflow && hf_workflow(c->h, b->name, 1, b->workflow))
        return cli_fail(c);
    return HF_OK;
}

int
offer_builtin(struct cli *c, const char *names)
{
    if (strcmp(names, "bench") == 0)
        return offer_bench(c);
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, ",");
        bool   found = false;
        for (size_t i = 0; i < BUILTINS; i++) {
            bool all = n == 3 && memcmp(p, "all", 3) == 0;
            if (!all && (strlen(builtins[i].name) != n || memcmp(p, builtins[i].name, n) != 0))
                continue;
            TRY(offer_one(c, &builtins[i]));
            found = true;
        }
        if (!found)
            return err_set(&c->err, HF_INVALID,
                           "worker: --builtin: %.*s is not one of noop, sleep, fail, fan-out, "
                           "steps, all",
                           (int)n, p);
        p += n + (p[n] == ',');
    }
    return HF_OK;
}
