/*
 * Results against those of an earlier benchmark, as its JSON has them. Exact costs (statements,
 * commits, rows, bytes a unit) may not grow by more than 5 %; those of many units in a batch depend
 * on how large the batches were, so each has a slack too. Times are told, and judge nothing.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "bench/bench.h"
#include "cli/print.h"

struct earlier {
    json_t *root;
};

static const double GROWTH_MAX = 1.05;

/* An exact cost: where it stands, and how much of it a unit may have more or less by chance. */
static const struct exact {
    const char *name;
    size_t      offset;
    double      slack;
} exacts[] = {
    {"statements", offsetof(struct numbers, statements), 0.02},
    {"commits", offsetof(struct numbers, commits), 0.02},
    {"rows_written", offsetof(struct numbers, rows), 0.05},
    {"wal_bytes", offsetof(struct numbers, bytes), 40},
};

enum { EXACTS = sizeof(exacts) / sizeof(exacts[0]) };

int
earlier_read(const char *path, struct earlier **out, struct err *err)
{
    json_error_t    why;
    struct earlier *e = mem_zalloc(sizeof(*e));

    if (e == NULL)
        return err_nomem(err);
    e->root = json_load_file(path, 0, &why);
    if (e->root == NULL) {
        mem_free(e);
        return err_set(err, HF_INVALID, "bench: --compare: %s: %s", path, why.text);
    }
    if (!json_is_array(json_object_get(e->root, "results"))) {
        earlier_free(e);
        return err_set(err, HF_INVALID, "bench: --compare: %s is no result of a benchmark", path);
    }
    *out = e;
    return HF_OK;
}

void
earlier_free(struct earlier *e)
{
    if (e == NULL)
        return;
    json_decref(e->root);
    mem_free(e);
}

/* ---- the same point */

static bool
same_text(const json_t *r, const char *name, const char *text)
{
    const char *was = json_string_value(json_object_get(r, name));
    return text ? was && strcmp(was, text) == 0 : was == NULL;
}

static bool
same_number(const json_t *r, const char *name, int64_t v)
{
    return json_integer_value(json_object_get(r, name)) == v;
}

static const json_t *
find(const struct earlier *e, const struct result *r)
{
    const json_t *all = json_object_get(e->root, "results");
    size_t        i;
    json_t       *one;

    json_array_foreach(all, i, one)
    {
        if (same_text(one, "scenario", r->point.scenario) && same_text(one, "store", r->store) &&
            same_text(one, "variant", r->point.variant) &&
            same_number(one, "workers", r->point.workers) &&
            same_number(one, "in_flight", r->point.in_flight) &&
            same_number(one, "rtt_ms", r->point.rtt_ms) &&
            same_number(one, "payload", r->point.payload))
            return one;
    }
    return NULL;
}

/* ---- ratios */

static double
was(const json_t *r, const char *group, const char *name)
{
    const json_t *from = group ? json_object_get(r, group) : r;
    const json_t *v = json_object_get(from, name);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static const char *
ratio_cell(struct arena *a, double now, double before)
{
    double ratio = now / before;
    return isfinite(ratio) ? arena_printf(a, "%.2f", ratio) : "";
}

/* "statements 2.5 to 3.1, ..." : what has grown too much; "" if nothing has. */
static const char *
judge(struct arena *a, const struct result *r, const json_t *before)
{
    const char *out = "";

    if (strcmp(r->store, "sqlite") == 0 && r->point.in_flight != 1)
        return out;
    for (size_t i = 0; out && i < EXACTS; i++) {
        double now, then = was(before, "per_unit", exacts[i].name);
        memcpy(&now, (const char *)&r->median + exacts[i].offset, sizeof(now));
        if (isfinite(now) && isfinite(then) && now > then * GROWTH_MAX + exacts[i].slack)
            out = arena_printf(a, "%s%s%s %.6g, was %.6g", out, out[0] ? "; " : "", exacts[i].name,
                               now, then);
    }
    return out;
}

static bool
compare_one(struct table *t, struct arena *a, const struct result *r, const json_t *before,
            bool *worse)
{
    const struct numbers *n = &r->median;
    const json_t         *latency = json_object_get(before, "latency_ms");
    const char           *grown = judge(a, r, before);
    const char           *cells[] = {
                  r->point.variant ? arena_printf(a, "%s %s", r->point.scenario, r->point.variant)
                                   : r->point.scenario,
        r->store,
        ratio_cell(a, n->throughput, was(before, NULL, "throughput_per_s")),
        ratio_cell(a, n->result.p50, was(latency, "result", "p50")),
        ratio_cell(a, n->statements, was(before, "per_unit", "statements")),
        ratio_cell(a, n->rows, was(before, "per_unit", "rows_written")),
        ratio_cell(a, n->bytes, was(before, "per_unit", "wal_bytes")),
        grown,
    };

    for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]); k++)
        if (cells[k] == NULL)
            return false;
    *worse = *worse || grown[0];
    return table_add(t, cells);
}

int
earlier_compare(const struct earlier *e, const struct result *results, size_t n, struct arena *a,
                bool *worse, struct err *err)
{
    struct table t = {.head = {"NOW BY EARLIER", "STORE", "PER SECOND", "RESULT P50", "STATEMENTS",
                               "ROWS", "BYTES", "WORSE"},
                      .columns = 8,
                      .status = -1};
    bool         ok = true;
    size_t       found = 0;

    *worse = false;
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *before = find(e, &results[i]);
        found += before != NULL;
        if (before)
            ok = compare_one(&t, a, &results[i], before, worse);
    }
    if (!ok)
        return err_nomem(err);
    if (found == 0)
        return err_set(err, HF_INVALID,
                       "bench: --compare: the file has none of the scenarios that were measured, "
                       "with the same store, workers and sizes");
    table_print(&t);
    return HF_OK;
}
