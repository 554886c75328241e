/* `holdfast stats`, printed: tables for people, or JSON. */
#include <string.h>

#include "cli/print.h"
#include "cli/stats.h"

enum { STATEMENTS_SHOWN = 15 };

/* ---- cells */

/* "870 us", "1.23 ms", "12.3 s" */
static const char *
time_cell(struct cli *c, int64_t us)
{
    if (us < US_PER_MS)
        return arena_printf(&c->arena, "%lld us", (long long)us);
    if (us < US_PER_S)
        return arena_printf(&c->arena, "%lld.%02d ms", (long long)(us / US_PER_MS),
                            (int)(us % US_PER_MS / 10));
    return arena_printf(&c->arena, "%lld.%02d s", (long long)(us / US_PER_S),
                        (int)(us % US_PER_S / 10000));
}

static const char *
int_cell(struct cli *c, int64_t n)
{
    return n ? arena_printf(&c->arena, "%lld", (long long)n) : "";
}

static const char *
rate_cell(struct cli *c, const json_t *of)
{
    int64_t tenths = (int64_t)(json_number_value(json_object_get(of, "per_s")) * 10 + 0.5);
    return arena_printf(&c->arena, "%lld.%d", (long long)(tenths / 10), (int)(tenths % 10));
}

static int64_t
ratio(int64_t sum, int64_t n)
{
    return n ? sum / n : 0;
}

static bool
add_row(struct table *t, const char *const *cells, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cells[i] == NULL)
            return false;
    return table_add(t, cells);
}

/* ---- for people */

static bool
print_operations(struct cli *c, const json_t *said)
{
    struct table t = {
        .head = {"OPERATION", "COUNT", "PER SECOND", "MEAN", "P50", "P99", "MAX", "ERRORS"},
        .columns = 8,
        .status = -1};
    json_t     *operations = json_object_get(said, "operations"), *of;
    const char *name;
    bool        ok = true;

    json_object_foreach(operations, name, of)
    {
        int64_t     count = said_int(of, NULL, "count");
        const char *cells[] = {
            name,
            int_cell(c, count),
            rate_cell(c, of),
            time_cell(c, ratio(said_int(of, NULL, "total_us"), count)),
            time_cell(c, said_int(of, NULL, "p50_us")),
            time_cell(c, said_int(of, NULL, "p99_us")),
            time_cell(c, said_int(of, NULL, "max_us")),
            int_cell(c, said_int(of, NULL, "errors")),
        };
        ok = ok && add_row(&t, cells, sizeof(cells) / sizeof(cells[0]));
    }
    if (ok)
        table_print(&t);
    return ok;
}

static bool
print_engine(struct cli *c, const json_t *said)
{
    int64_t turns = said_int(said, "engine", "turns"), tasks = said_int(said, "engine", "tasks"),
            failed = said_int(said, "engine", "failed"),
            commits = said_int(said, "engine", "commits"),
            fetches = said_int(said, "engine", "fetches");
    const char *turn = time_cell(c, ratio(said_int(said, "engine", "turn_us"), turns)),
               *task = time_cell(c, ratio(said_int(said, "engine", "task_us"), tasks + failed));

    if (turn == NULL || task == NULL)
        return false;
    printf("\nruns ended %lld   turns %lld, %s each   steps %lld\n",
           (long long)said_int(said, "engine", "runs"), (long long)turns, turn,
           (long long)said_int(said, "engine", "steps"));
    printf("tasks done %lld   failed attempts %lld   %s each\n", (long long)tasks,
           (long long)failed, task);
    printf("commits %lld, %lld writes each   fetches that brought something %lld, %lld rows each\n",
           (long long)commits, (long long)ratio(said_int(said, "engine", "writes"), commits),
           (long long)fetches, (long long)ratio(said_int(said, "engine", "rows"), fetches));
    return true;
}

static bool
print_parts(struct cli *c, const struct statistics *s, const struct worker_stats *w)
{
    struct cycle_parts p;

    if (!cycle_parts(s, w, &p))
        return true;
    const char *mean = time_cell(c, p.mean_us), *network = time_cell(c, p.network_us),
               *rest = time_cell(c, p.rest_us > 0 ? p.rest_us : 0),
               *server = time_cell(c, p.server_us);
    if (mean == NULL || network == NULL || rest == NULL || server == NULL)
        return false;
    if (p.server_us >= 0)
        printf("a cycle: %s = server %s + network %s + rest %s\n", mean, server, network, rest);
    else
        printf("a cycle: %s = network %s + server and rest %s\n", mean, network, rest);
    return true;
}

static bool
print_worker(struct cli *c, const struct statistics *s, const struct worker_stats *w)
{
    char up[TIME_SIZE];

    printf("%sworker %lld%s%s: %lld on %s, up %s%s\n", paint(PAINT_BOLD), (long long)w->row.id,
           w->row.name ? " " : "", w->row.name ? w->row.name : "", (long long)w->row.pid,
           w->row.host ? w->row.host : "?",
           format_duration((s->now_us - w->row.since_us) / US_PER_MS, up), paint(PAINT_OFF));
    if (w->said == NULL) {
        puts("it has not said anything yet");
        return true;
    }
    if (!print_operations(c, w->said) || !print_engine(c, w->said))
        return false;
    return print_parts(c, s, w);
}

static bool
print_statements(struct cli *c, const struct server_times *server)
{
    struct table t = {
        .head = {"STATEMENT", "CALLS", "MEAN", "TOTAL", "ROWS"}, .columns = 5, .status = -1};
    bool ok = true;

    for (size_t i = 0; ok && i < server->n && i < STATEMENTS_SHOWN; i++) {
        const struct server_time *row = &server->statements[i];
        const char               *cells[] = {row->name, int_cell(c, row->calls),
                                             time_cell(c, ratio(row->total_us, row->calls)),
                                             time_cell(c, row->total_us), int_cell(c, row->rows)};
        ok = add_row(&t, cells, sizeof(cells) / sizeof(cells[0]));
    }
    if (ok)
        table_print(&t);
    if (ok && server->n > STATEMENTS_SHOWN)
        printf("and %zu statements that took less, see --json\n", server->n - STATEMENTS_SHOWN);
    return ok;
}

static bool
print_server(struct cli *c, const struct statistics *s)
{
    const char *min = time_cell(c, s->roundtrip.min_us),
               *median = time_cell(c, s->roundtrip.median_us);
    char since[TIME_SIZE];

    if (min == NULL || median == NULL)
        return false;
    printf("roundtrip from here: %s at least, %s in the middle of %d\n", min, median,
           s->roundtrip.samples);
    if (s->server.unknown) {
        printf("time in the server: not known: %s\n", s->server.unknown);
        return true;
    }
    format_duration((s->now_us - s->server.since_us) / US_PER_MS, since);
    printf("\n%sthe server%s, counted for %s\n", paint(PAINT_BOLD), paint(PAINT_OFF), since);
    bool ok = print_statements(c, &s->server);
    if (s->server.hidden)
        printf("%lld calls are hidden from this role: grant it pg_read_all_stats\n",
               (long long)s->server.hidden);
    return ok;
}

int
stats_print(struct cli *c, const struct statistics *s)
{
    bool ok = true;

    if (s->n_workers == 0)
        puts("no workers");
    for (size_t i = 0; ok && i < s->n_workers; i++) {
        ok = print_worker(c, s, &s->workers[i]);
        if (i + 1 < s->n_workers || s->server.has_server)
            putchar('\n');
    }
    if (ok && s->server.has_server)
        ok = print_server(c, s);
    return ok ? HF_OK : cli_nomem(c);
}

/* ---- JSON */

static void
put_parts(struct buf *b, const struct statistics *s, const struct worker_stats *w)
{
    struct cycle_parts p;

    put_member(b, "cycle");
    if (!cycle_parts(s, w, &p)) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '{');
    put_int_member(b, "mean_us", p.mean_us);
    put_member(b, "server_us");
    if (p.server_us < 0)
        buf_puts(b, "null");
    else
        buf_int(b, p.server_us);
    put_int_member(b, "network_us", p.network_us);
    put_int_member(b, "rest_us", p.rest_us);
    buf_putc(b, '}');
}

static void
put_worker(struct buf *b, const struct statistics *s, const struct worker_stats *w)
{
    buf_putc(b, '{');
    put_int_member(b, "id", w->row.id);
    put_text_member(b, "name", w->row.name);
    put_text_member(b, "host", w->row.host);
    put_int_member(b, "pid", w->row.pid);
    put_time_member(b, "since", w->row.since_us / US_PER_MS);
    put_member(b, "stats");
    buf_puts(b, w->said ? w->row.stats : "null");
    put_parts(b, s, w);
    buf_putc(b, '}');
}

static void
put_roundtrip(struct buf *b, const struct roundtrip *r)
{
    put_member(b, "roundtrip");
    if (r->samples == 0) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '{');
    put_int_member(b, "samples", r->samples);
    put_int_member(b, "min_us", r->min_us);
    put_int_member(b, "median_us", r->median_us);
    buf_putc(b, '}');
}

static void
put_server(struct buf *b, const struct server_times *server)
{
    put_member(b, "server");
    if (!server->has_server) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '{');
    put_text_member(b, "unknown", server->unknown);
    put_time_member(b, "since", server->since_us / US_PER_MS);
    put_int_member(b, "hidden", server->hidden);
    put_member(b, "statements");
    buf_putc(b, '[');
    for (size_t i = 0; i < server->n; i++) {
        const struct server_time *row = &server->statements[i];
        buf_puts(b, i ? ",{" : "{");
        put_text_member(b, "name", row->name);
        put_int_member(b, "calls", row->calls);
        put_int_member(b, "total_us", row->total_us);
        put_int_member(b, "rows", row->rows);
        buf_putc(b, '}');
    }
    buf_puts(b, "]}");
}

int
stats_print_json(struct cli *c, const struct statistics *s)
{
    struct buf b = {0};

    buf_puts(&b, "{\"version\":1");
    put_text_member(&b, "store", s->kind);
    put_member(&b, "workers");
    buf_putc(&b, '[');
    for (size_t i = 0; i < s->n_workers; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_worker(&b, s, &s->workers[i]);
    }
    buf_putc(&b, ']');
    put_roundtrip(&b, &s->roundtrip);
    put_server(&b, &s->server);
    buf_putc(&b, '}');
    return print_buf(c, &b);
}
