/* Results of a benchmark: JSON for programs, a table for people. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli/print.h"
#include "store/cost.h"

/* ---- JSON */

/* Six significant digits; null if it is not known. */
static void
put_number(struct buf *b, const char *name, double v)
{
    put_member(b, name);
    if (!isfinite(v))
        buf_puts(b, "null");
    else if (v >= 100000)
        buf_printf(b, "%.0f", v);
    else
        buf_printf(b, "%.6g", v);
}

static void
put_percentiles(struct buf *b, const char *name, const struct percentiles *p)
{
    put_member(b, name);
    buf_putc(b, '{');
    put_number(b, "p50", p->p50);
    put_number(b, "p95", p->p95);
    put_number(b, "p99", p->p99);
    put_number(b, "max", p->max);
    buf_putc(b, '}');
}

/* detailed: also what a single run tells. */
static void
put_numbers(struct buf *b, const struct numbers *n, bool detailed)
{
    put_number(b, "units", n->units);
    put_number(b, "throughput_per_s", n->throughput);
    put_number(b, "enqueue_per_s", n->enqueue);
    put_member(b, "latency_ms");
    buf_putc(b, '{');
    put_percentiles(b, "start", &n->start);
    put_percentiles(b, "result", &n->result);
    if (detailed)
        put_percentiles(b, "stored", &n->stored);
    buf_puts(b, "}");
    put_member(b, "per_unit");
    buf_putc(b, '{');
    put_number(b, "statements", n->statements);
    put_number(b, "commits", n->commits);
    put_number(b, "rows_written", n->rows);
    put_number(b, "wal_bytes", n->bytes);
    put_number(b, "roundtrips", n->roundtrips);
    buf_puts(b, "}");
    put_member(b, "cpu_s_per_1000");
    buf_putc(b, '{');
    put_number(b, "worker", n->worker_cpu);
    if (detailed)
        put_number(b, "load", n->load_cpu);
    put_number(b, "server", n->server_cpu);
    buf_puts(b, "}");
    put_number(b, "peak_rss_mb", n->rss);
}

static void
put_result(struct buf *b, const struct bench *bench, const struct result *r)
{
    buf_putc(b, '{');
    put_text_member(b, "scenario", bench_scenario_name(r->scenario));
    put_text_member(b, "store", bench->c->h->store->ops->name);
    put_int_member(b, "workers", r->workers);
    put_member(b, "in_flight");
    if (r->in_flight > 0)
        buf_int(b, r->in_flight);
    else
        buf_puts(b, "null");
    put_numbers(b, &r->median, false);
    put_member(b, "runs");
    buf_putc(b, '[');
    for (size_t i = 0; i < r->n_runs; i++) {
        buf_puts(b, i > 0 ? ",{" : "{");
        put_numbers(b, &r->runs[i], true);
        buf_putc(b, '}');
    }
    buf_puts(b, "]}");
}

static void
put_settings(struct buf *b, const struct bench *bench, const struct store_setting *rows, size_t n)
{
    put_member(b, "settings");
    buf_putc(b, '{');
    buf_printf(b, "\"holdfast\":\"%d.%d.%d\"", HF_VERSION_MAJOR, HF_VERSION_MINOR,
               HF_VERSION_PATCH);
    put_text_member(b, "queue", bench->queue);
    put_int_member(b, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    put_int_member(b, "slots", bench->slots);
    put_int_member(b, "repeat", bench->repeat);
    put_int_member(b, "duration_ms", bench->duration_ms);
    put_int_member(b, "backlog", bench->backlog);
    put_int_member(b, "parked", bench->parked);
    put_int_member(b, "rtt_ms", bench->rtt_ms);
    put_member(b, "server");
    buf_putc(b, '{');
    for (size_t i = 0; i < n; i++)
        put_text_member(b, rows[i].name, rows[i].value);
    buf_puts(b, "}}");
}

static int
print_json(struct bench *bench, const struct result *results, size_t n,
           const struct store_setting *rows, size_t n_rows)
{
    struct buf b = {0};

    buf_puts(&b, "{\"version\":1");
    put_settings(&b, bench, rows, n_rows);
    put_member(&b, "results");
    buf_putc(&b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_result(&b, bench, &results[i]);
    }
    buf_puts(&b, "]}");
    return print_buf(bench->c, &b);
}

/* ---- the table */

static const char *
cell(struct arena *a, double v)
{
    if (!isfinite(v))
        return "";
    return arena_printf(a, v >= 100 ? "%.0f" : v >= 1 ? "%.2f" : "%.4f", v);
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

static int
print_table(struct bench *b, const struct result *results, size_t n,
            const struct store_setting *rows, size_t n_rows)
{
    struct arena *a = &b->c->arena;
    struct table  t = {.head = {"SCENARIO", "WORKERS", "IN FLIGHT", "PER SECOND", "STORED/S",
                                "START MS", "RESULT MS", "PER UNIT"},
                       .columns = 8,
                       .status = -1};
    bool          ok = true;

    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].value)
            printf("%s%s %s", i > 0 ? ", " : "", rows[i].name, rows[i].value);
    printf(", %ld cores, %d slots; medians of %d; ms: p50 / p95 / p99 / max\n",
           sysconf(_SC_NPROCESSORS_ONLN), b->slots, b->repeat);
    for (size_t i = 0; ok && i < n; i++) {
        const struct result *r = &results[i];
        const char          *cells[] = {
                     bench_scenario_name(r->scenario),
                     arena_printf(a, "%d", r->workers),
            r->in_flight ? arena_printf(a, "%d", r->in_flight) : "",
                     cell(a, r->median.throughput),
                     cell(a, r->median.enqueue),
                     latency_cell(a, &r->median.start),
                     latency_cell(a, &r->median.result),
                     cost_cell(a, &r->median),
        };
        for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]); k++)
            ok = ok && cells[k];
        ok = ok && table_add(&t, cells);
    }
    if (ok)
        table_print(&t);
    return ok ? HF_OK : cli_nomem(b->c);
}

int
bench_print(struct bench *b, const struct result *results, size_t n)
{
    struct store_setting *rows;
    size_t                n_rows;

    TRY(store_settings(b->c->h->store, &b->c->arena, &rows, &n_rows, &b->c->err));
    return b->c->json ? print_json(b, results, n, rows, n_rows)
                      : print_table(b, results, n, rows, n_rows);
}
