/*
 * `holdfast explain`: a store of its own for each scenario, which is filled, explained, and goes.
 * What is found is said once a scenario is done.
 */
#include "bench/explain.h"

#include <string.h>
#include <unistd.h>

#include "bench/site.h"
#include "bench/watch.h"
#include "cli/print.h"

enum { SCENARIOS_MAX = 8, ROWS_DEFAULT = 1000000, ROWS_MAX = 100000000 };

struct explain {
    struct cli               *c;
    struct site               site;
    const char               *dir; /* NULL: no files */
    int64_t                   rows;
    enum statistics           statistics;
    bool                      outside; /* said that functions are not looked into */
    struct explained_scenario done[SCENARIOS_MAX];
    size_t                    n;
};

/* Sites serve others too. */
static int
own_words(struct explain *x, int rc)
{
    return rc ? err_prefix(&x->c->err, "explain: ") : HF_OK;
}

/* ---- options */

static int
read_options(struct explain *x)
{
    struct cli *c = x->c;
    bool        sqlite = args_given(c, "sqlite");

    x->dir = args_text(c, "out", NULL);
    x->rows = args_number(c, "rows", ROWS_DEFAULT);
    if (x->rows < 1 || x->rows > ROWS_MAX)
        return err_set(&c->err, HF_INVALID, "explain: --rows: %lld, 1 to %d", (long long)x->rows,
                       ROWS_MAX);
    if (sqlite && c->store_url && strncmp(c->store_url, "postgres", 8) == 0)
        return err_set(&c->err, HF_INVALID, "explain: --sqlite with a PostgreSQL store");
    if (x->dir)
        TRY(files_prepare(x->dir, &c->err));
    return HF_OK;
}

static int
open_site(struct explain *x)
{
    struct cli *c = x->c;

    if (c->store_url)
        return site_open_url(&x->site, c->store_url, &c->arena, &c->err);
    if (args_given(c, "sqlite"))
        return site_open_directory(&x->site, &c->arena, &c->err);
    watch_say("starting a PostgreSQL server");
    return site_open_server(&x->site, &c->arena, &c->err);
}

/* Nobody analyses an SQLite file. */
static enum statistics
statistics_wanted(const struct explain *x)
{
    bool sqlite = strcmp(x->site.store, "sqlite") == 0;
    return (enum statistics)args_choice(x->c, "statistics",
                                        sqlite ? STATISTICS_NEVER : STATISTICS_ANALYSED);
}

/* ---- one scenario */

static int
fill(struct explain *x, const struct scenario *scenario, const char *url)
{
    struct store *s;

    watch_say("%s: filling", scenario->name);
    TRY(store_open(url, NULL, &s, &x->c->err));
    int rc = scenario_fill(scenario, s, x->rows, x->statistics, watch_stopped, &x->c->err);
    s->ops->close(s);
    return rc;
}

static void
tell_outside(struct explain *x)
{
    if (!x->outside) {
        watch_say("%s", "");
        fputs("holdfast: explain: the plans of statements inside functions are not shown: that "
              "takes a superuser, without a pooler\n",
              stderr);
    }
    x->outside = true;
}

/* On a connection of its own, which has planned nothing yet. */
static int
explain(struct explain *x, struct explained_scenario *e, const char *url)
{
    struct err   *err = &x->c->err, end = {0};
    struct store *s;
    bool          inside = true;

    watch_say("%s: explaining", e->scenario->name);
    TRY(store_open(url, NULL, &s, err));
    int rc = store_explain(s, plans_add, &e->plans, &inside, err);
    if (rc == HF_OK)
        rc = explain_drive(s, &e->plans.hot, err);
    if (store_explain_end(s, &end) && rc == HF_OK)
        rc = err_set(err, end.code, "%s", end.text);
    s->ops->close(s);
    if (!inside)
        tell_outside(x);
    return rc == HF_OK && e->plans.failed ? cli_nomem(x->c) : rc;
}

static int
run_scenario(struct explain *x, const struct scenario *scenario)
{
    struct explained_scenario *e = &x->done[x->n++];
    struct err                *err = &x->c->err, ignored = {0};
    const char                *url;

    *e = (struct explained_scenario){.scenario = scenario, .rows = x->rows};
    TRY(own_words(x, site_make_store(&x->site, &x->c->arena, &url, err)));
    int rc = fill(x, scenario, url);
    if (rc == HF_OK)
        rc = explain(x, e, url);
    int gone = site_drop_store(&x->site, url, rc ? &ignored : err);
    watch_say("%s", "");
    if (watch_stopped())
        return err_set(err, HF_CANCELLED, "explain: stopped");
    TRY(rc ? rc : gone);
    if (x->dir)
        TRY(files_write_plans(x->dir, e, err));
    if (!args_given(x->c, "json"))
        print_scenario(e, x->dir, &x->c->arena);
    return HF_OK;
}

/* ---- all */

static int
run_all(struct explain *x)
{
    int wanted = args_choice(x->c, "scenario", -1);

    for (int i = 0; explain_scenarios[i].name; i++)
        if (wanted < 0 || wanted == i)
            TRY(run_scenario(x, &explain_scenarios[i]));
    for (size_t i = 0; i < x->n; i++)
        if (plans_are_bad(&x->done[i].plans))
            x->c->exit_code = 1;
    return HF_OK;
}

static int
finish(struct explain *x)
{
    struct buf b = {0};
    int        rc = HF_OK;

    put_summary(&b, x->site.store, x->done, x->n);
    if (b.failed)
        rc = cli_nomem(x->c);
    else if (x->dir)
        rc = files_write(x->dir, "summary.json", &b, &x->c->err);
    if (rc == HF_OK && args_given(x->c, "json"))
        return print_buf(x->c, &b);
    buf_release(&b);
    return rc;
}

int
run_explain(struct cli *c)
{
    struct explain *x = arena_zalloc(&c->arena, sizeof(*x));

    if (x == NULL)
        return cli_nomem(c);
    x->c = c;
    TRY(read_options(x));
    watch_interrupts();
    TRY(own_words(x, open_site(x)));
    x->statistics = statistics_wanted(x);
    int rc = run_all(x);
    if (rc == HF_OK)
        rc = finish(x);
    site_close(&x->site);
    for (size_t i = 0; i < x->n; i++)
        plans_release(&x->done[i].plans);
    return rc;
}
