/*
 * Orders of a shop: stock is reserved, a card charged, three boxes packed at the same time, some
 * orders wait for a clerk's approval, and what can be is shipped. What was done for an order that
 * fails is undone, the last thing first. `holdfast demo` runs a thousand of them while it kills the
 * worker, and then compares the ledger with the store.
 *
 * Each task writes a line to $ORDERS_LEDGER when it does its work: the world outside, which knows
 * nothing of the store. A task that runs twice writes twice, under the same idempotency key.
 */
#include <holdfast.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BOXES = 3, WORK_MS = 8 };

/* ---- tasks */

/* One write of a line to a file opened for appending: lines of several processes do not mix. */
static bool
write_ledger(hf_tk *tk, bool ok, const char *result)
{
    const char *path = getenv("ORDERS_LEDGER");
    const char *box = hf_tk_get(tk, "box");
    const char *line =
        hf_tk_sprintf(tk,
                      "{\"task\":\"%s\",\"order\":\"%s\",\"box\":%s,\"key\":\"%s\",\"attempt\":%d,"
                      "\"pid\":%d,\"ok\":%s,\"result\":%s}\n",
                      hf_tk_name(tk), hf_tk_get(tk, "order"), box ? box : "0", hf_tk_key(tk),
                      hf_tk_attempt(tk), (int)getpid(), ok ? "true" : "false", result);
    if (path == NULL)
        return true;
    if (line == NULL)
        return false;
    int     fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    ssize_t n = fd < 0 ? -1 : write(fd, line, strlen(line));
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(line);
}

/* The work of a task: takes a moment, and leaves a result that tells this attempt from others. */
static int
work(hf_tk *tk)
{
    nanosleep(&(struct timespec){.tv_nsec = WORK_MS * 1000000}, NULL);
    const char *result =
        hf_tk_sprintf(tk, "{\"%s\":\"%s\",\"attempt\":%d,\"pid\":%d}", hf_tk_name(tk),
                      hf_tk_get(tk, "order"), hf_tk_attempt(tk), (int)getpid());
    if (result == NULL || !write_ledger(tk, true, result))
        return hf_tk_fail(tk, "ledger", "the ledger cannot be written");
    return hf_tk_return(tk, result);
}

static int
simple_task(hf_tk *tk, void *arg)
{
    (void)arg;
    return work(tk);
}

/* The card's bank: some cards are declined, some answer only when asked again. */
static int
charge(hf_tk *tk, void *arg)
{
    const char *card = hf_tk_get(tk, "card");
    int bad = card && strcmp(card, "flaky") == 0 ? 1 : card && strcmp(card, "slow") == 0 ? 2 : 0;

    (void)arg;
    if (card && strcmp(card, "declined") == 0) {
        if (!write_ledger(tk, false, "\"declined\""))
            return hf_tk_fail(tk, "ledger", "the ledger cannot be written");
        return hf_tk_fail_final(tk, "declined", "the bank declines the card of %s",
                                hf_tk_get(tk, "order"));
    }
    if (hf_tk_attempt(tk) <= bad) {
        if (!write_ledger(tk, false, "\"busy\""))
            return hf_tk_fail(tk, "ledger", "the ledger cannot be written");
        return hf_tk_fail(tk, "busy", "the bank does not answer (attempt %d)", hf_tk_attempt(tk));
    }
    return work(tk);
}

/* ---- the workflow */

static int
pack_boxes(hf_wf *wf, const char *order)
{
    hf_call boxes[BOXES];

    for (int i = 0; i < BOXES; i++) {
        const char *input = hf_sprintf(wf, "{\"order\":\"%s\",\"box\":%d}", order, i + 1);
        HF_TRY(hf_task_start(wf, "pack", input, &boxes[i]));
    }
    return hf_all(wf, boxes, BOXES);
}

static int
wait_for_clerk(hf_wf *wf, const char *order)
{
    const char *answer;

    HF_TRY(hf_status(wf, "waits for approval"));
    HF_TRY(hf_signal(wf, "approval", &answer, HF_OPT(.timeout_ms = HF_DAY)));
    HF_TRY(hf_status(wf, "answered"));
    if (answer == NULL || strcmp(answer, "\"yes\"") != 0)
        return hf_fail(wf, "rejected", "the clerk does not approve %s", order);
    return HF_OK;
}

static int
order_workflow(hf_wf *wf)
{
    const char *input = hf_input(wf), *order = hf_get(wf, input, "order");
    const char *shipped, *approval = hf_get(wf, input, "approval");

    if (order == NULL)
        return hf_fail(wf, "invalid", "the input has no order");
    HF_TRY(hf_task(wf, "reserve", input, NULL));
    HF_TRY(hf_on_fail(wf, "release", input));
    HF_TRY(hf_task(wf, "charge", input, NULL));
    HF_TRY(hf_on_fail(wf, "refund", input));
    HF_TRY(pack_boxes(wf, order));
    HF_TRY(hf_sleep(wf, 200)); /* the boxes cool down */
    if (approval && strcmp(approval, "none") != 0)
        HF_TRY(wait_for_clerk(wf, order));
    HF_TRY(hf_task(wf, "ship", input, &shipped));
    return hf_return(wf, shipped);
}

HF_API int holdfast_module(hf *h);

int
holdfast_module(hf *h)
{
    static const char *const simple[] = {"reserve", "release", "refund", "pack", "ship"};
    const hf_opt            *patient = HF_OPT(.max_attempts = 10, .first_delay_ms = 50);

    for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
        HF_TRY(hf_handler(h, simple[i], simple_task, NULL, patient));
    HF_TRY(hf_handler(h, "charge", charge, NULL, patient));
    return hf_workflow(h, "order", 1, order_workflow);
}
