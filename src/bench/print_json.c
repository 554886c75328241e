/* Results as JSON: the format that `holdfast bench --compare` reads. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli/print.h"
#include "store/cost.h"

/* Six significant digits; null if it is not known. */
static void
put_number(struct buf *b, const char *name, double v)
{
    put_member(b, name);
    if (!isfinite(v))
        buf_puts(b, "null");
    else if (fabs(v) >= 100000)
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

static void
put_latency(struct buf *b, const struct numbers *n)
{
    put_member(b, "latency_ms");
    buf_putc(b, '{');
    put_percentiles(b, "start", &n->start);
    put_percentiles(b, "result", &n->result);
    put_percentiles(b, "stored", &n->stored);
    buf_putc(b, '}');
}

static void
put_costs(struct buf *b, const struct numbers *n)
{
    put_member(b, "per_unit");
    buf_putc(b, '{');
    put_number(b, "statements", n->statements);
    put_number(b, "commits", n->commits);
    put_number(b, "rows_written", n->rows);
    put_number(b, "wal_bytes", n->bytes);
    put_number(b, "roundtrips", n->roundtrips);
    buf_putc(b, '}');
    put_member(b, "cpu_s_per_1000");
    buf_putc(b, '{');
    put_number(b, "worker", n->worker_cpu);
    put_number(b, "load", n->load_cpu);
    put_number(b, "server", n->server_cpu);
    buf_putc(b, '}');
    put_number(b, "peak_rss_mb", n->rss);
}

static void
put_numbers(struct buf *b, const struct numbers *n)
{
    put_number(b, "units", n->units);
    put_number(b, "throughput_per_s", n->throughput);
    put_number(b, "enqueue_per_s", n->enqueue);
    put_latency(b, n);
    put_costs(b, n);
    put_number(b, "startup_ms", n->startup);
    put_number(b, "recovery_ms", n->recovery);
    put_number(b, "duplicates", n->duplicates);
    put_number(b, "lost", n->lost);
    put_number(b, "drift", n->drift);
}

static void
put_point(struct buf *b, const struct point *p)
{
    put_text_member(b, "scenario", p->scenario);
    put_text_member(b, "variant", p->variant);
    put_int_member(b, "workers", p->workers);
    put_member(b, "in_flight");
    if (p->in_flight > 0)
        buf_int(b, p->in_flight);
    else
        buf_puts(b, "null");
    put_int_member(b, "slots", p->slots);
    put_int_member(b, "backlog", p->backlog);
    put_int_member(b, "parked", p->parked);
    put_int_member(b, "payload", p->payload);
    put_int_member(b, "rtt_ms", p->rtt_ms);
}

static void
put_histogram(struct buf *b, const struct histogram *h)
{
    put_member(b, "histogram_ms");
    buf_putc(b, '[');
    for (size_t i = 0; i < h->bins; i++)
        buf_printf(b, "%s[%.4g,%u]", i ? "," : "", h->least * pow(2, (double)i / 2), h->n[i]);
    buf_putc(b, ']');
}

static void
put_result(struct buf *b, const struct result *r)
{
    buf_putc(b, '{');
    put_text_member(b, "store", r->store);
    put_point(b, &r->point);
    put_numbers(b, &r->median);
    put_number(b, "spread", r->spread);
    put_histogram(b, &r->latency);
    put_member(b, "series_per_s");
    buf_putc(b, '[');
    for (size_t i = 0; i < r->n_series; i++)
        buf_printf(b, "%s%.0f", i ? "," : "", r->series[i]);
    buf_putc(b, ']');
    put_member(b, "runs");
    buf_putc(b, '[');
    for (size_t i = 0; i < r->n_runs; i++) {
        buf_puts(b, i > 0 ? ",{" : "{");
        put_numbers(b, &r->runs[i]);
        buf_putc(b, '}');
    }
    buf_puts(b, "]}");
}

static void
put_settings(struct buf *b, const struct report *r)
{
    put_member(b, "settings");
    buf_putc(b, '{');
    put_text_member(b, "holdfast", hf_version_text());
    put_int_member(b, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    put_int_member(b, "repeat", r->b->repeat);
    put_int_member(b, "duration_ms", r->b->duration_ms > 0 ? r->b->duration_ms : 0);
    put_member(b, "stores");
    buf_putc(b, '{');
    for (size_t k = 0; k < r->b->n_sites; k++) {
        put_member(b, r->b->sites[k].store);
        buf_putc(b, '{');
        for (size_t i = 0; i < r->n_settings[k]; i++)
            put_text_member(b, r->settings[k][i].name, r->settings[k][i].value);
        buf_putc(b, '}');
    }
    buf_puts(b, "}}");
}

int
put_results_json(const struct report *r, struct buf *out)
{
    buf_puts(out, "{\"version\":1");
    put_settings(out, r);
    put_member(out, "results");
    buf_putc(out, '[');
    for (size_t i = 0; i < r->n; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_result(out, &r->results[i]);
    }
    buf_puts(out, "]}");
    return out->failed ? err_nomem(&r->b->c->err) : HF_OK;
}
