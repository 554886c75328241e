/* Results as a table for people, and under it the shape of latencies and of throughput in time. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli/print.h"
#include "store/cost.h"

enum { BLOCKS = 8, SHAPE_WIDTH = 60 };

static const char *const blocks[BLOCKS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

static const char *
cell(struct arena *a, double v)
{
    if (!isfinite(v))
        return "";
    return arena_printf(a, v >= 100 ? "%.0f" : v >= 1 ? "%.2f" : v >= 0.001 ? "%.3f" : "%.5f", v);
}

/* "default", "fan-out 10 ms" */
static const char *
name_cell(struct arena *a, const struct point *p)
{
    const char *name = p->variant ? arena_printf(a, "%s %s", p->scenario, p->variant) : p->scenario;
    return name && p->rtt_ms ? arena_printf(a, "%s %lld ms", name, (long long)p->rtt_ms) : name;
}

/* "4", "4, 200 in flight" */
static const char *
workers_cell(struct arena *a, const struct point *p)
{
    return p->in_flight > 1 ? arena_printf(a, "%d, %d in flight", p->workers, p->in_flight)
                            : arena_printf(a, "%d", p->workers);
}

/* "52300 ±4%": half the distance of the repeats. */
static const char *
throughput_cell(struct arena *a, const struct result *r)
{
    const char *v = cell(a, r->median.throughput);
    return v && isfinite(r->spread) ? arena_printf(a, "%s ±%.0f%%", v, r->spread * 50) : v;
}

/* "0.31 / 0.70 / 0.90 / 2.10"; "" of none. */
static const char *
latency_cell(struct arena *a, const struct percentiles *p)
{
    if (!isfinite(p->p50))
        return "";
    return arena_printf(a, "%.2f / %.2f / %.2f / %.2f", p->p50, p->p95, p->p99, p->max);
}

static const char *
append(struct arena *a, const char *text, const char *what, double v)
{
    if (text == NULL || !isfinite(v))
        return text;
    return arena_printf(a, "%s%s%s %s", text, text[0] ? ", " : "", cell(a, v), what);
}

/* What a unit cost, as far as it is known. */
static const char *
cost_cell(struct arena *a, const struct numbers *n)
{
    const char *text = append(a, "", "statements", n->statements);
    text = append(a, text, "commits", n->commits);
    text = append(a, text, "rows", n->rows);
    text = append(a, text, "bytes", n->bytes);
    text = append(a, text, "roundtrips", n->roundtrips);
    return append(a, text, "ms CPU", n->worker_cpu + (isfinite(n->server_cpu) ? n->server_cpu : 0));
}

/* ---- shapes */

/* A line of blocks as high as the values. */
static const char *
shape(struct arena *a, const double *v, size_t n)
{
    struct buf  b = {0};
    double      most = 0;
    const char *out = NULL;

    for (size_t i = 0; i < n; i++)
        most = v[i] > most ? v[i] : most;
    for (size_t i = 0; i < n; i++) {
        double high = most > 0 ? ceil(v[i] / most * (BLOCKS - 1)) : 0;
        buf_puts(&b, blocks[(size_t)(high < BLOCKS - 1 ? high : BLOCKS - 1)]);
    }
    if (!b.failed)
        out = arena_strndup(a, b.data ? b.data : "", b.len);
    buf_release(&b);
    return out;
}

static bool
print_histogram(const struct result *r, struct arena *a)
{
    const struct histogram *h = &r->latency;
    double                  v[BENCH_BINS];

    if (h->bins == 0)
        return true;
    for (size_t i = 0; i < h->bins; i++)
        v[i] = h->n[i];
    const char *line = shape(a, v, h->bins);
    if (line)
        printf("  latency     %8.2f ms %s %.4g ms\n", h->least, line,
               h->least * pow(2, (double)h->bins / 2));
    return line;
}

/* Throughput in time: means of as many seconds as fit. */
static bool
print_series(const struct result *r, struct arena *a)
{
    size_t each = (r->n_series + SHAPE_WIDTH - 1) / SHAPE_WIDTH, n = 0;
    double v[SHAPE_WIDTH] = {0};

    if (r->n_series == 0)
        return true;
    for (size_t i = 0; i + each <= r->n_series; i += each, n++)
        for (size_t k = 0; k < each; k++)
            v[n] += r->series[i + k] / (double)each;
    const char *line = shape(a, v, n);
    if (line == NULL)
        return false;
    printf("  throughput  %s %zu s", line, r->n_series);
    if (!isnan(r->median.drift))
        printf("; the end is %.2f of the beginning", r->median.drift);
    putchar('\n');
    return true;
}

static bool
print_more(const struct result *r, struct arena *a)
{
    const struct numbers *n = &r->median;
    const char           *name = name_cell(a, &r->point);

    if (r->latency.bins == 0 && r->n_series == 0 && !isfinite(n->recovery))
        return true;
    printf("%s, %s, %d worker%s\n", name ? name : "", r->store, r->point.workers,
           r->point.workers == 1 ? "" : "s");
    if (isfinite(n->recovery))
        printf("  recovered in %.0f ms; %.0f effects twice, %.0f lost\n", n->recovery,
               n->duplicates, n->lost);
    return name && print_histogram(r, a) && print_series(r, a);
}

/* ---- the table */

static void
print_settings(const struct report *r)
{
    for (size_t k = 0; k < r->b->n_sites; k++) {
        printf("%s:", r->b->sites[k].store);
        for (size_t i = 0; i < r->n_settings[k]; i++)
            if (r->settings[k][i].value && strcmp(r->settings[k][i].name, "path") != 0)
                printf("%s %s %s", i > 0 ? "," : "", r->settings[k][i].name,
                       r->settings[k][i].value);
        putchar('\n');
    }
    printf("%ld cores; medians of %d; ms are p50 / p95 / p99 / max\n",
           sysconf(_SC_NPROCESSORS_ONLN), r->b->repeat);
}

int
print_results_table(const struct report *r, struct arena *a)
{
    struct table t = {.head = {"SCENARIO", "STORE", "WORKERS", "PER SECOND", "STORED/S", "START MS",
                               "RESULT MS", "PER UNIT"},
                      .columns = 8,
                      .status = -1};
    bool         ok = true;

    print_settings(r);
    for (size_t i = 0; ok && i < r->n; i++) {
        const struct result *one = &r->results[i];
        const char          *cells[] = {
                     name_cell(a, &one->point),
                     one->store,
                     workers_cell(a, &one->point),
                     throughput_cell(a, one),
                     cell(a, one->median.enqueue),
                     latency_cell(a, &one->median.start),
                     latency_cell(a, &one->median.result),
                     cost_cell(a, &one->median),
        };
        for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]); k++)
            ok = ok && cells[k];
        ok = ok && table_add(&t, cells);
    }
    if (ok)
        table_print(&t);
    for (size_t i = 0; ok && i < r->n; i++)
        ok = print_more(&r->results[i], a);
    return ok ? HF_OK : err_nomem(&r->b->c->err);
}
