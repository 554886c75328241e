/* What was found, for people and as JSON: a table of statements, and what to do about each flag. */
#include <math.h>
#include <string.h>

#include "bench/explain.h"
#include "cli/print.h"

enum { NAMED_MAX = 3 };

static const struct {
    const char *name, *advice;
} flags[FLAGS] = {
    [FLAG_SCAN] = {"SEQ SCAN", "reads a whole table: an index is missing, see `holdfast migrate "
                               "--sql` for those there should be"},
    [FLAG_INDEX] = {"OTHER INDEX", "goes by another index than it is written for: is one missing? "
                                   "`vacuum analyze`"},
    [FLAG_WASTE] = {"READS MUCH", "reads far more than it gives: `vacuum`, once no long "
                                  "transaction is open (`holdfast doctor` names it)"},
    [FLAG_ESTIMATE] = {"estimate", "the planner was out by a factor of 100: harmless while the "
                                   "index is right, as plans do not follow estimates here"},
    [FLAG_PLANNING] = {"planning", "is planned at each execution, for longer than it is executed: "
                                   "connect without a pooler in between"},
};

/* ---- the table */

static const char *
cell_ms(struct arena *a, double ms)
{
    return isnan(ms) ? "" : arena_printf(a, "%.2f", ms);
}

static const char *
cell_int(struct arena *a, int64_t v)
{
    return v < 0 ? "" : arena_printf(a, "%lld", (long long)v);
}

static const char *
cell_flags(struct arena *a, const struct plan *p)
{
    const char *out = "";

    for (enum flag f = 0; out && f < FLAGS; f++)
        if (p->flags & 1u << f)
            out = arena_printf(a, "%s%s%s", out, *out ? ", " : "", flags[f].name);
    return out;
}

static void
print_plans(const struct plans *all, struct arena *a)
{
    bool         steps = all->n && all->rows[0].steps >= 0;
    struct table t = {.head = {"STATEMENT", "TIMES", "PLAN ms", "EXEC ms",
                               steps ? "STEPS" : "BUFFERS", "ROWS", "INDEX", "FLAGS"},
                      .columns = 8,
                      .status = -1};

    for (size_t i = 0; i < all->n; i++) {
        const struct plan *p = &all->rows[i];
        const char        *cells[] = {arena_printf(a, "%s%s", p->inside ? "  " : "", p->name),
                                      cell_int(a, p->times),
                                      cell_ms(a, p->plan_ms),
                                      cell_ms(a, p->exec_ms),
                                      cell_int(a, steps ? p->steps : p->buffers),
                                      cell_int(a, p->rows),
                                      p->indexes,
                                      cell_flags(a, p)};
        for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]); k++)
            cells[k] = cells[k] ? cells[k] : "";
        table_add(&t, cells);
    }
    table_print(&t);
}

/* ---- what to do */

static void
print_bad(const struct plan *p, enum flag f, const char *scenario, const char *dir)
{
    printf("%s: %s (%s): it %s; if it stays, report it with its plan", flags[f].name, p->name,
           p->detail[f], flags[f].advice);
    if (dir)
        printf(", %s/%s/%s.%s\n", dir, scenario, p->name, p->steps < 0 ? "json" : "txt");
    else
        puts(", which --out DIR writes");
}

static void
print_notes(const struct plans *all, enum flag f)
{
    size_t n = 0;

    for (size_t i = 0; i < all->n; i++) {
        const struct plan *p = &all->rows[i];
        if (p->flags & 1u << f && !plan_is_bad(p, f) && n++ < NAMED_MAX)
            printf("%s%s (%s)", n == 1 ? "" : ", ", p->name, p->detail[f]);
    }
    if (n > NAMED_MAX)
        printf(" and %zu more", n - NAMED_MAX);
    if (n > 0 && f <= FLAG_WASTE)
        printf(": %s: no work waits for it, only somebody who looks\n", flags[f].name);
    else if (n > 0)
        printf(": %s: %s\n", flags[f].name, flags[f].advice);
}

void
print_scenario(const struct explained_scenario *e, const char *dir, struct arena *a)
{
    const struct scenario *s = e->scenario;

    printf("%s: %lld %s\n\n", s->name, (long long)scenario_count(s, s->main, e->rows), s->what);
    print_plans(&e->plans, a);
    putchar('\n');
    for (enum flag f = 0; f < FLAGS; f++) {
        for (size_t i = 0; i < e->plans.n; i++)
            if (plan_is_bad(&e->plans.rows[i], f))
                print_bad(&e->plans.rows[i], f, s->name, dir);
        print_notes(&e->plans, f);
    }
    putchar('\n');
    fflush(stdout);
}

/* ---- JSON */

static void
put_ms(struct buf *b, const char *name, double ms)
{
    put_member(b, name);
    buf_printf(b, isnan(ms) ? "null" : "%.3f", ms);
}

static void
put_count(struct buf *b, const char *name, int64_t v)
{
    put_member(b, name);
    buf_printf(b, v < 0 ? "null" : "%lld", (long long)v);
}

static void
put_plan(struct buf *b, const struct plan *p)
{
    buf_putc(b, '{');
    put_text_member(b, "statement", p->name);
    put_member(b, "inside_function");
    buf_puts(b, p->inside ? "true" : "false");
    put_member(b, "hot");
    buf_puts(b, p->hot ? "true" : "false");
    put_int_member(b, "times", p->times);
    put_ms(b, "plan_ms", p->plan_ms);
    put_ms(b, "exec_ms", p->exec_ms);
    put_count(b, p->steps < 0 ? "buffers" : "steps", p->steps < 0 ? p->buffers : p->steps);
    put_count(b, "rows", p->rows);
    put_text_member(b, "indexes", p->indexes);
    put_member(b, "flags");
    buf_putc(b, '[');
    for (enum flag f = 0, n = 0; f < FLAGS; f++) {
        if (!(p->flags & 1u << f))
            continue;
        buf_puts(b, n++ ? ",{" : "{");
        put_text_member(b, "flag", flags[f].name);
        put_text_member(b, "detail", p->detail[f]);
        put_member(b, "bad");
        buf_puts(b, plan_is_bad(p, f) ? "true}" : "false}");
    }
    buf_puts(b, "]}");
}

void
put_summary(struct buf *b, const char *store, const struct explained_scenario *all, size_t n)
{
    buf_putc(b, '{');
    put_text_member(b, "store", store);
    put_member(b, "scenarios");
    for (size_t i = 0; i < n; i++) {
        buf_puts(b, i ? "," : "[");
        buf_putc(b, '{');
        put_text_member(b, "scenario", all[i].scenario->name);
        put_int_member(b, "count",
                       scenario_count(all[i].scenario, all[i].scenario->main, all[i].rows));
        put_text_member(b, "what", all[i].scenario->what);
        put_member(b, "statements");
        buf_putc(b, '[');
        for (size_t k = 0; k < all[i].plans.n; k++) {
            buf_puts(b, k ? "," : "");
            put_plan(b, &all[i].plans.rows[k]);
        }
        buf_puts(b, "]}");
    }
    buf_puts(b, "]}");
}
