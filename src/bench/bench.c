/* `holdfast bench`: the options, and each point on each site, so often as asked. */
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "bench/watch.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "store/cost.h"

enum { REPEAT_DEFAULT = 3, REPEAT_MAX = 101, SLOTS_DEFAULT = 16, SLOTS_MAX = 2500 };

/* A command that finds no regression says 0, one that does 1. */
enum { EXIT_WORSE = 1 };

int
bench_check_stop(struct bench *b)
{
    return watch_stopped() ? err_set(&b->c->err, HF_CANCELLED, "bench: stopped") : HF_OK;
}

/* ---- options */

/* A number of units, or a duration with its unit: milliseconds; -1 if it was not given. */
static int
read_time(struct cli *c, const char *option, int64_t unit_ms, int64_t *out)
{
    const char *text = args_text(c, option, NULL);

    *out = -1;
    if (text == NULL)
        return HF_OK;
    if (text[0] && text[strspn(text, "0123456789")] == '\0') {
        TRY(parse_number(text, out, &c->err));
        *out *= unit_ms;
        return HF_OK;
    }
    if (parse_duration(text, out, &c->err))
        return err_prefix(&c->err, "bench: --%s: ", option);
    return HF_OK;
}

/* A count of at least 1; -1 if it was not given. */
static int
read_count(struct cli *c, const char *option, int64_t max, int64_t *out)
{
    *out = args_number(c, option, -1);
    if (args_given(c, option) && (*out < 1 || *out > max))
        return err_set(&c->err, HF_INVALID, "bench: --%s: %lld, 1 to %lld", option, (long long)*out,
                       (long long)max);
    return HF_OK;
}

static int
read_options(struct bench *b)
{
    struct cli *c = b->c;
    int64_t     repeat;

    TRY(read_count(c, "tasks", INT64_MAX / 2, &b->units));
    TRY(read_count(c, "slots", SLOTS_MAX, &b->slots));
    TRY(read_count(c, "workers", BENCH_WORKERS_MAX, &b->workers));
    TRY(read_count(c, "in-flight", 50000, &b->in_flight));
    TRY(read_count(c, "payload", HF_PAYLOAD_MAX, &b->payload));
    TRY(read_count(c, "repeat", REPEAT_MAX, &repeat));
    TRY(read_time(c, "rtt", 1, &b->rtt_ms));
    TRY(read_time(c, "duration", HF_SECOND, &b->duration_ms));
    b->repeat = repeat > 0 ? (int)repeat : REPEAT_DEFAULT;
    return HF_OK;
}

static int
check_names(struct bench *b)
{
    struct cli *c = b->c;

    for (int k = 0; k < c->n_operands; k++) {
        const struct scenario *s = scenarios;
        while (s->name && strcmp(c->operands[k], s->name) != 0)
            s++;
        if (s->name == NULL)
            return err_set(&c->err, HF_INVALID, "bench: %s is not one of %s", c->operands[k],
                           scenario_names(&c->arena));
    }
    return HF_OK;
}

static bool
is_wanted(const struct bench *b, const struct point *p)
{
    const struct cli *c = b->c;

    for (int k = 0; k < c->n_operands; k++)
        if (strcmp(c->operands[k], p->scenario) == 0)
            return true;
    return args_given(c, "all") || (c->n_operands == 0 && strcmp(p->scenario, "default") == 0);
}

/* The point with what the options say put in; false: this store cannot do it. */
static bool
prepare(const struct bench *b, const struct point *p, const struct site *site, struct point *out)
{
    bool shared = strcmp(site->store, "postgresql") == 0;

    *out = *p;
    if (out->workers == 0)
        out->workers = 1;
    if (out->slots == 0)
        out->slots = SLOTS_DEFAULT;
    if (b->units > 0) { /* and what is beside them in proportion */
        double share = (double)b->units / (double)p->units;
        out->backlog = (int64_t)((double)p->backlog * share);
        out->parked = (int64_t)((double)p->parked * share);
        out->units = b->units;
    }
    if (b->slots > 0)
        out->slots = (int)b->slots;
    if (b->workers > 0)
        out->workers = (int)b->workers;
    if (b->in_flight > 0 && p->in_flight > 1)
        out->in_flight = (int)b->in_flight;
    if (b->payload > 0)
        out->payload = b->payload;
    if (b->rtt_ms >= 0)
        out->rtt_ms = b->rtt_ms;
    if (b->duration_ms > 0)
        out->duration_ms = b->duration_ms;
    if (shared)
        return true;
    /* One worker at a time serves a file: what is about more of them is not for it. */
    if (p->only_shared || out->rtt_ms || (strncmp(p->scenario, "scale-", 6) == 0 && p->workers > 1))
        return false;
    out->workers = 1;
    return true;
}

/* ---- sites */

int
bench_said(struct bench *b, int rc)
{
    return rc ? err_prefix(&b->c->err, "bench: ") : HF_OK;
}

static int
open_sites(struct bench *b)
{
    struct cli *c = b->c;
    const char *url = c->store_url ? c->store_url : getenv("HOLDFAST_STORE");

    if (url && url[0]) {
        b->n_sites = 1;
        return bench_said(b, site_open_url(&b->sites[0], url, &c->arena, &c->err));
    }
    int rc = bench_said(b, site_open_server(&b->sites[1], &c->arena, &c->err));
    if (rc == HF_NOT_FOUND)
        fprintf(stderr, "holdfast: %s; only SQLite is measured\n", c->err.text);
    else if (rc)
        return rc;
    b->n_sites = rc ? 1 : 2;
    return bench_said(b, site_open_directory(&b->sites[0], &c->arena, &c->err));
}

/* ---- running */

static int
repeat(struct bench *b, struct result *r)
{
    int n = r->point.once && !args_given(b->c, "repeat") ? 1 : b->repeat;

    r->runs = arena_zalloc(&b->c->arena, (size_t)n * sizeof(*r->runs));
    if (r->runs == NULL)
        return cli_nomem(b->c);
    int rc = HF_OK;
    for (int k = 0; rc == HF_OK && k < n; k++)
        rc = bench_run(b, r);
    r->median = numbers_median(r->runs, r->n_runs);
    r->spread = numbers_spread(r->runs, r->n_runs);
    return rc;
}

static int
run_all(struct bench *b, struct report *report)
{
    struct result *results = NULL;
    size_t         most = 0, *n = &report->n;
    int            rc = HF_OK;

    for (const struct point *p = points; p->scenario; p++)
        most += b->n_sites;
    report->results = results = arena_zalloc(&b->c->arena, most * sizeof(*results));
    if (results == NULL)
        return cli_nomem(b->c);
    for (const struct point *p = points; rc == HF_OK && p->scenario; p++)
        for (size_t k = 0; rc == HF_OK && is_wanted(b, p) && k < b->n_sites; k++) {
            struct result *r = &results[*n];
            if (!prepare(b, p, &b->sites[k], &r->point))
                continue;
            b->site = &b->sites[k];
            r->store = b->site->store;
            rc = repeat(b, r);
            *n += r->n_runs > 0;
        }
    watch_say("%s", "");
    if (rc == HF_OK && *n == 0)
        return err_set(&b->c->err, HF_INVALID, "bench: this is not for a store of this kind");
    return rc;
}

/* What durability and speed depend on. */
static int
read_settings(struct bench *b, struct report *r)
{
    for (size_t k = 0; k < b->n_sites; k++) {
        const char *url;
        TRY(bench_said(b, site_make_store(&b->sites[k], &b->c->arena, &url, &b->c->err)));
        b->c->store_url = url;
        int rc = cli_open(b->c, true);
        if (rc == HF_OK)
            rc = store_settings(b->c->h->store, &b->c->arena, &r->settings[k], &r->n_settings[k],
                                &b->c->err);
        hf_close(b->c->h);
        b->c->h = NULL;
        int dropped = site_drop_store(&b->sites[k], url, rc ? NULL : &b->c->err);
        TRY(rc ? rc : dropped);
    }
    return HF_OK;
}

/* ---- results */

/* A file is opened before anything is measured, so that no result is lost. */
static int
open_output(struct cli *c, const char *option, FILE **out)
{
    const char *path = args_text(c, option, NULL);

    *out = NULL;
    if (path == NULL || strcmp(path, "-") == 0)
        return HF_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    *out = fd < 0 ? NULL : fdopen(fd, "w");
    return *out
               ? HF_OK
               : err_set(&c->err, HF_INVALID, "bench: --%s: %s: %s", option, path, strerror(errno));
}

static int
write_json(struct bench *b, const struct report *r, FILE *to)
{
    struct buf text = {0};

    TRY(put_results_json(r, &text));
    if (to == NULL)
        return print_buf(b->c, &text);
    bool ok = ftruncate(fileno(to), 0) == 0 && fwrite(text.data, 1, text.len, to) == text.len &&
              fputc('\n', to) != EOF && fflush(to) == 0;
    buf_release(&text);
    return ok ? HF_OK
              : err_set(&b->c->err, HF_UNAVAILABLE, "bench: --json: %s: %s",
                        args_text(b->c, "json", ""), strerror(errno));
}

static int
print_results(struct bench *b, const struct report *r, FILE *json, const struct earlier *earlier)
{
    const char *path = args_text(b->c, "json", NULL), *plots = args_text(b->c, "svg", NULL);
    bool        worse = false;

    if (path == NULL || json)
        TRY(print_results_table(r, &b->c->arena));
    if (path)
        TRY(write_json(b, r, json));
    if (plots)
        TRY(write_plots(r, plots, &b->c->err));
    if (earlier)
        TRY(earlier_compare(earlier, r->results, r->n, &b->c->arena, &worse, &b->c->err));
    if (worse)
        b->c->exit_code = EXIT_WORSE;
    return HF_OK;
}

static int
measure(struct bench *b, FILE *json, const struct earlier *earlier)
{
    struct report report = {.b = b};
    struct err    own;

    TRY(open_sites(b));
    TRY(read_settings(b, &report));
    int rc = run_all(b, &report);
    own = b->c->err;
    if (report.n > 0) { /* what there is, also after an interrupt */
        int printed = print_results(b, &report, json, earlier);
        if (rc == HF_OK)
            return printed;
    }
    b->c->err = own;
    return rc;
}

static void
list_scenarios(void)
{
    for (const struct scenario *s = scenarios; s->name; s++)
        printf("%-16s  %s\n", s->name, s->help);
}

int
run_bench(struct cli *c)
{
    struct bench   *b = arena_zalloc(&c->arena, sizeof(*b));
    struct earlier *earlier = NULL;
    FILE           *json = NULL;

    if (b == NULL)
        return cli_nomem(c);
    b->c = c;
    if (args_given(c, "list")) {
        list_scenarios();
        return HF_OK;
    }
    TRY(read_options(b));
    TRY(check_names(b));
    if (args_given(c, "compare"))
        TRY(earlier_read(args_text(c, "compare", NULL), &earlier, &c->err));
    int rc = open_output(c, "json", &json);
    b->out = mmap(NULL, sizeof(*b->out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rc == HF_OK)
        rc = b->out == MAP_FAILED ? cli_nomem(c) : board_make(&b->board, &c->err);
    watch_interrupts();
    if (rc == HF_OK)
        rc = measure(b, json, earlier);
    for (size_t k = 0; k < BENCH_SITES_MAX; k++)
        site_close(&b->sites[k]);
    if (json && fclose(json) != 0 && rc == HF_OK)
        rc = err_set(&c->err, HF_UNAVAILABLE, "bench: --json: %s", strerror(errno));
    board_free(b->board);
    munmap(b->out, sizeof(*b->out));
    earlier_free(earlier);
    return rc;
}
