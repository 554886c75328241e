/*
 * The audit at the end of the demonstration: orders, ledger and store must tell the same story.
 * The ledger may say more than the store (work done by a worker that died before it could record
 * it), never less.
 */
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/demo.h"
#include "cli/print.h"
#include "cli/view.h"

enum { PROBLEMS_SHOWN = 10 };

struct audit {
    struct tally       *tally;
    const struct order *order;
    struct view         view;
    const struct entry *entries;
    size_t              n_entries;
};

static void problem(struct audit *a, const char *fmt, ...) HF_PRINTF(2, 3);

static void
problem(struct audit *a, const char *fmt, ...)
{
    va_list ap;

    if (a->tally->problems++ >= PROBLEMS_SHOWN)
        return;
    printf("WRONG  %s: ", a->order ? a->order->id : "ledger");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* How often the history says that a task was done. */
static size_t
recorded(const struct audit *a, const char *task)
{
    size_t n = 0;
    for (size_t k = 0; k < a->view.n_items; k++) {
        const struct item *i = &a->view.items[k];
        n += i->kind == EVENT_CALL && !i->open && i->code == HF_OK && strcmp(i->name, task) == 0;
    }
    return n;
}

static bool
in_ledger(const struct audit *a, const char *task, const char *result)
{
    for (size_t k = 0; k < a->n_entries; k++)
        if (a->entries[k].ok && strcmp(a->entries[k].task, task) == 0 &&
            strcmp(a->entries[k].result, result) == 0)
            return true;
    return false;
}

/* Every result in the history is one that a task wrote down. */
static void
check_results(struct audit *a, struct arena *arena)
{
    for (size_t k = 0; k < a->view.n_items; k++) {
        const struct item *i = &a->view.items[k];
        if (i->kind != EVENT_CALL || i->open || i->code != HF_OK)
            continue;
        json_t     *v = i->output ? json_loads(i->output, JSON_DECODE_ANY, NULL) : NULL;
        const char *result = compact_json(arena, v);
        if (result == NULL || !in_ledger(a, i->name, result))
            problem(a, "%s %s: the ledger does not know the result %s", i->name, i->ref,
                    i->output ? i->output : "null");
        json_decref(v);
    }
}

/* One key for all attempts at a task. Entries are sorted, so attempts stand side by side. */
static void
check_keys(struct audit *a)
{
    for (size_t k = 1; k < a->n_entries; k++) {
        const struct entry *e = &a->entries[k], *before = e - 1;
        if (strcmp(e->task, before->task) != 0 || e->box != before->box)
            continue;
        a->tally->repeated++;
        if (strcmp(e->key, before->key) != 0)
            problem(a, "%s has two keys: %s and %s", e->task, before->key, e->key);
    }
}

static void
expect(struct audit *a, const char *task, size_t n)
{
    size_t found = recorded(a, task);
    if (found != n)
        problem(a, "%s: %zu times in the history, expected %zu", task, found, n);
}

static void
check_completed(struct audit *a)
{
    a->tally->completed++;
    expect(a, "reserve", 1);
    expect(a, "charge", 1);
    expect(a, "pack", DEMO_BOXES);
    expect(a, "ship", 1);
    expect(a, "refund", 0);
    expect(a, "release", 0);
    if (strcmp(a->order->card, "good") != 0 && strcmp(a->order->approval, "yes") == 0 &&
        a->tally->sample == NULL)
        a->tally->sample = a->order->id;
}

static void
check_failed(struct audit *a, bool declined)
{
    const char *name = declined ? "declined" : "rejected";

    if (a->view.run.error_name == NULL || strcmp(a->view.run.error_name, name) != 0)
        problem(a, "failed with %s, expected %s",
                a->view.run.error_name ? a->view.run.error_name : "nothing", name);
    *(declined ? &a->tally->declined : &a->tally->rejected) += 1;
    expect(a, "reserve", 1);
    expect(a, "charge", declined ? 0 : 1);
    expect(a, "ship", 0);
    expect(a, "refund", declined ? 0 : 1);
    expect(a, "release", 1);
    a->tally->refunded += recorded(a, "refund");
    a->tally->released += recorded(a, "release");
    for (size_t k = 0; k < a->n_entries; k++)
        if (strcmp(a->entries[k].task, "ship") == 0)
            problem(a, "was shipped although it failed");
}

static int
check_order(struct demo *d, struct audit *a)
{
    struct cli sub = {.h = d->c->h}; /* an arena for one order */
    bool       declined = strcmp(a->order->card, "declined") == 0;
    bool       rejected = !declined && strcmp(a->order->approval, "no") == 0;

    int rc = view_load(&sub, a->order->id, 0, &a->view);
    if (rc == HF_OK) {
        int expected = declined || rejected ? RUN_FAILED : RUN_COMPLETED;
        if (a->view.run.status != expected)
            problem(a, "is %s, expected %s%s%s", run_status_name(a->view.run.status),
                    run_status_name(expected), a->view.run.error_message ? ": " : "",
                    a->view.run.error_message ? a->view.run.error_message : "");
        else if (declined || rejected)
            check_failed(a, declined);
        else
            check_completed(a);
        check_results(a, &sub.arena);
        check_keys(a);
    } else if (rc == HF_NOT_FOUND) {
        problem(a, "the store does not know it");
        rc = HF_OK;
    } else {
        d->c->err = sub.err;
    }
    arena_release(&sub.arena);
    return rc;
}

static int
compare_keys(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

/* No two tasks share a key, all over the ledger. */
static int
check_all_keys(struct demo *d, const struct ledger *l, struct audit *a)
{
    const struct entry **sorted = mem_alloc((l->n + 1) * sizeof(*sorted));

    if (sorted == NULL)
        return cli_nomem(d->c);
    for (size_t k = 0; k < l->n; k++)
        sorted[k] = &l->entries[k];
    qsort(sorted, l->n, sizeof(*sorted), compare_keys);
    a->order = NULL;
    for (size_t k = 1; k < l->n; k++) {
        const struct entry *e = sorted[k], *before = sorted[k - 1];
        if (strcmp(e->key, before->key) == 0 &&
            (strcmp(e->order, before->order) != 0 || strcmp(e->task, before->task) != 0 ||
             e->box != before->box))
            problem(a, "%s of %s and %s of %s have the same key %s", before->task, before->order,
                    e->task, e->order, e->key);
    }
    mem_free(sorted);
    return HF_OK;
}

int
demo_check(struct demo *d, const struct ledger *l, struct tally *out)
{
    struct audit a = {.tally = out};
    size_t       known = 0;

    *out = (struct tally){0};
    for (size_t k = 0; k < d->n_orders; k++) {
        a.order = &d->orders[k];
        a.n_entries = ledger_of(l, a.order->id, &a.entries);
        known += a.n_entries;
        TRY(check_order(d, &a));
    }
    a.order = NULL;
    if (known != l->n)
        problem(&a, "%zu lines belong to no order", l->n - known);
    TRY(check_all_keys(d, l, &a));
    if (out->problems > 0)
        return err_set(&d->c->err, HF_FAILED, "demo: %zu things are wrong; everything is in %s",
                       out->problems, d->dir);
    return HF_OK;
}
