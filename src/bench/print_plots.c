/*
 * Results as plots, SVG files of a directory: throughput by the number of workers (scale-*),
 * by the roundtrip (remote), and in time (pinned-horizon). A plot without results is not written.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "bench/bench.h"
#include "cli/cli.h"

enum {
    WIDTH = 720,
    HEIGHT = 400,
    LEFT = 90,
    RIGHT = 20,
    TOP = 50,
    BOTTOM = 50,
    LINES_MAX = 6,
    DOTS_MAX = BENCH_SERIES_MAX,
    TICKS = 4
};

struct line {
    const char *name;
    double      x[DOTS_MAX], y[DOTS_MAX];
    size_t      n;
};

struct plot {
    const char  *file, *title, *x_name, *y_name;
    bool         log_x; /* and only there: throughput begins at 0 */
    bool         dots;
    struct line *line;
    size_t       n;
};

static const char *const colours[LINES_MAX] = {"#1b6ca8", "#c8553d", "#3a7d44",
                                               "#7d4f9e", "#b8860b", "#555555"};

/* ---- scales */

struct scale {
    double x_least, x_most, y_most;
    bool   log_x;
};

static double
across(const struct scale *s, double x)
{
    double share = s->log_x ? log(x / s->x_least) / log(s->x_most / s->x_least)
                            : (x - s->x_least) / (s->x_most - s->x_least);
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double
down(const struct scale *s, double y)
{
    return HEIGHT - BOTTOM - y / s->y_most * (HEIGHT - TOP - BOTTOM);
}

/* The next 1, 2 or 5 times a power of ten. */
static double
round_up(double v)
{
    double power = pow(10, floor(log10(v)));
    double steps[] = {1, 2, 4, 5, 10};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (v <= steps[i] * power)
            return steps[i] * power;
    return v;
}

static struct scale
fit(const struct plot *p)
{
    struct scale s = {.x_least = INFINITY, .x_most = 0, .y_most = 0, .log_x = p->log_x};

    for (size_t k = 0; k < p->n; k++)
        for (size_t i = 0; i < p->line[k].n; i++) {
            s.x_least = fmin(s.x_least, p->line[k].x[i]);
            s.x_most = fmax(s.x_most, p->line[k].x[i]);
            s.y_most = fmax(s.y_most, p->line[k].y[i]);
        }
    if (s.x_most <= s.x_least)
        s.x_most = s.x_least + 1;
    s.y_most = s.y_most > 0 ? round_up(s.y_most) : 1;
    return s;
}

/* ---- drawing */

static void
put_frame(struct buf *b, const struct plot *p, const struct scale *s)
{
    buf_printf(b,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
               "font-family=\"sans-serif\" font-size=\"13\">\n"
               "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
               "<text x=\"%d\" y=\"22\" font-size=\"16\">%s</text>\n"
               "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n"
               "<text x=\"%d\" y=\"40\" fill=\"#555\">%s</text>\n",
               WIDTH, HEIGHT, LEFT, p->title, WIDTH - RIGHT, HEIGHT - 10, p->x_name, LEFT,
               p->y_name);
    for (int i = 0; i <= TICKS; i++) {
        double v = s->y_most * i / TICKS, y = down(s, v);
        buf_printf(b,
                   "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                   "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n",
                   LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4, v);
    }
}

static void
put_x_tick(struct buf *b, const struct scale *s, double x)
{
    buf_printf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", across(s, x),
               HEIGHT - BOTTOM + 20, x);
}

/* Where the dots are; of a series, round numbers. */
static void
put_x_ticks(struct buf *b, const struct plot *p, const struct scale *s)
{
    const struct line *l = &p->line[0];
    double             step = round_up((s->x_most - s->x_least) / 10);

    for (size_t i = 0; p->dots && i < l->n; i++)
        put_x_tick(b, s, l->x[i]);
    for (double x = step; !p->dots && x <= s->x_most; x += step)
        put_x_tick(b, s, x);
}

static void
put_line(struct buf *b, const struct plot *p, const struct scale *s, size_t k)
{
    const struct line *l = &p->line[k];

    buf_printf(b, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colours[k]);
    for (size_t i = 0; i < l->n; i++)
        buf_printf(b, "%.1f,%.1f ", across(s, l->x[i]), down(s, l->y[i]));
    buf_puts(b, "\"/>\n");
    for (size_t i = 0; p->dots && i < l->n; i++)
        buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", across(s, l->x[i]),
                   down(s, l->y[i]), colours[k]);
    buf_printf(b, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\" fill=\"%s\">%s</text>\n",
               WIDTH - RIGHT, 22 + 18 * k, colours[k], l->name);
}

static int
write_plot(const struct plot *p, const char *dir, struct err *err)
{
    struct buf   b = {0};
    struct scale s = fit(p);
    char         path[1000];

    if (p->n == 0)
        return HF_OK;
    put_frame(&b, p, &s);
    put_x_ticks(&b, p, &s);
    for (size_t k = 0; k < p->n; k++)
        put_line(&b, p, &s, k);
    buf_puts(&b, "</svg>\n");
    snprintf(path, sizeof(path), "%s/%s", dir, p->file);
    FILE *f = b.failed ? NULL : fopen(path, "we");
    bool  ok = f && fwrite(b.data, 1, b.len, f) == b.len;
    ok = f && fclose(f) == 0 && ok;
    buf_release(&b);
    return ok ? HF_OK : err_set(err, HF_UNAVAILABLE, "bench: --svg: %s: %s", path, strerror(errno));
}

/* ---- what is plotted */

static struct line *
line_of(struct plot *p, const char *name)
{
    for (size_t k = 0; k < p->n; k++)
        if (strcmp(p->line[k].name, name) == 0)
            return &p->line[k];
    if (p->n == LINES_MAX)
        return NULL;
    p->line[p->n].name = name;
    p->line[p->n].n = 0;
    return &p->line[p->n++];
}

static void
add_dot(struct line *l, double x, double y)
{
    if (l && l->n < DOTS_MAX && isfinite(y)) {
        l->x[l->n] = x;
        l->y[l->n++] = y;
    }
}

static int
plot_workers(const struct report *r, struct line *lines, const char *dir, struct err *err)
{
    struct plot p = {.file = "workers.svg",
                     .title = "No-op tasks by number of workers",
                     .x_name = "workers",
                     .y_name = "tasks a second",
                     .log_x = true,
                     .dots = true,
                     .line = lines};

    for (size_t i = 0; i < r->n; i++)
        if (strncmp(r->results[i].point.scenario, "scale-", 6) == 0 &&
            strcmp(r->results[i].store, "postgresql") == 0)
            add_dot(line_of(&p, r->results[i].store), r->results[i].point.workers,
                    r->results[i].median.throughput);
    return write_plot(&p, dir, err);
}

static int
plot_remote(const struct report *r, struct line *lines, const char *dir, bool alone,
            struct err *err)
{
    struct plot p = {.file = alone ? "remote-latency.svg" : "remote-throughput.svg",
                     .title = alone ? "A run of 5 tasks alone, start to result"
                                    : "Throughput over a slow link",
                     .x_name = "roundtrip, ms",
                     .y_name = alone ? "ms, p50" : "units a second",
                     .log_x = true,
                     .dots = true,
                     .line = lines};

    for (size_t i = 0; i < r->n; i++) {
        const struct result *one = &r->results[i];
        if (strcmp(one->point.scenario, "remote") == 0 &&
            (strcmp(one->point.variant, "alone") == 0) == alone)
            add_dot(line_of(&p, one->point.variant), (double)one->point.rtt_ms,
                    alone ? one->median.result.p50 : one->median.throughput);
    }
    return write_plot(&p, dir, err);
}

static int
plot_series(const struct report *r, struct line *lines, const char *dir, struct err *err)
{
    struct plot p = {.file = "pinned-horizon.svg",
                     .title = "Tasks in each second, while no dead row can be vacuumed",
                     .x_name = "seconds",
                     .y_name = "tasks a second",
                     .line = lines};

    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->results[i].n_series; k++)
            add_dot(line_of(&p, r->results[i].point.variant), (double)(k + 1),
                    r->results[i].series[k]);
    return write_plot(&p, dir, err);
}

int
write_plots(const struct report *r, const char *dir, struct err *err)
{
    struct line *lines = arena_alloc(&r->b->c->arena, LINES_MAX * sizeof(*lines));

    if (lines == NULL)
        return err_nomem(err);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return err_set(err, HF_INVALID, "bench: --svg: %s: %s", dir, strerror(errno));
    TRY(plot_workers(r, lines, dir, err));
    TRY(plot_remote(r, lines, dir, false, err));
    TRY(plot_remote(r, lines, dir, true, err));
    return plot_series(r, lines, dir, err);
}
