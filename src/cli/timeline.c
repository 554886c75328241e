/* `show` for people: a state line, a timeline with a bar for each call, and what is open. */
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "cli/view.h"

enum { BAR = 28, TEXT_COLUMNS = 100, NAME_MAX_WIDTH = 32 };

static void
print_field(const char *name, const char *text)
{
    if (text == NULL)
        return;
    printf("  %s%-9s%s ", paint(PAINT_DIM), name, paint(PAINT_OFF));
    print_text(text, on_terminal() ? (size_t)terminal_columns() - 13 : SIZE_MAX);
    putchar('\n');
}

/* Which execution it is, what became of the one before it, and how to see that. */
static void
print_execution(const struct view *v)
{
    const struct run_row *r = &v->run;
    char                  line[HF_ID_SIZE + 4 * TIME_SIZE], of[TIME_SIZE] = "";

    if (v->newest == 1)
        return;
    if (r->execution < v->newest)
        snprintf(of, sizeof(of), " of %d", v->newest);
    snprintf(line, sizeof(line), "%d%s%s", r->execution, of,
             r->execution == 1 ? ""
             : v->replaced     ? "; the previous life was replaced"
                               : "; continued from the previous one");
    print_field("execution", line);
    if (v->oldest == r->execution)
        return;
    snprintf(line, sizeof(line), "holdfast show %s --execution %d", r->id, r->execution - 1);
    print_field("previous", line);
}

static void
print_head(const struct view *v)
{
    const struct run_row *r = &v->run;
    const char           *status = v->end ? v->end : run_status_name(r->status);
    int64_t               begin_ms = r->started_us / US_PER_MS;
    char                  ago[TIME_SIZE], took[TIME_SIZE], started[TIME_SIZE], line[4 * TIME_SIZE];

    format_from_now(begin_ms, v->now_ms, ago);
    format_duration(r->ended_us / US_PER_MS - begin_ms, took);
    printf("%s%s%s", paint(PAINT_BOLD), r->id, paint(PAINT_OFF));
    if (r->workflow)
        printf("  %s", r->workflow);
    if (r->workflow && r->version)
        printf("@%d", r->version);
    printf("  %s%s%s%s%s\n", paint(status_paint(status)), status, paint(PAINT_OFF),
           r->ended_us ? " after " : ", started ", r->ended_us ? took : ago);
    print_field("queue", r->queue);
    format_time(begin_ms, started);
    snprintf(line, sizeof(line), "%s (%s)", started, ago);
    print_field("started", r->ended_us ? line : started);
    print_execution(v);
    print_field("says", r->custom);
    print_field("input", r->input);
    print_field("output", r->output);
    if (r->error_name || r->error_message) {
        printf("  %s%-9s %s%s", paint(PAINT_RED), "error", r->error_name ? r->error_name : "",
               r->error_name && r->error_message ? ": " : "");
        print_text(r->error_message ? r->error_message : "", SIZE_MAX);
        printf("%s\n", paint(PAINT_OFF));
    }
}

/* Where a moment lies on the bar. */
static int
place(int64_t ms, int64_t from_ms, int64_t to_ms)
{
    if (ms <= from_ms || to_ms <= from_ms)
        return 0;
    if (ms >= to_ms)
        return BAR - 1;
    return (int)((double)(ms - from_ms) / (double)(to_ms - from_ms) * (BAR - 1) + 0.5);
}

static enum paint
item_paint(const struct item *i)
{
    if (i->open)
        return PAINT_BLUE;
    return i->code == HF_OK ? PAINT_GREEN : i->code == HF_CANCELLED ? PAINT_YELLOW : PAINT_RED;
}

static void
print_bar(const struct item *i, int64_t from_ms, int64_t to_ms)
{
    const char *full = on_terminal() ? "\u2501" : "=", *dot = on_terminal() ? "\u00b7" : ".";
    int         first = place(i->begin_ms, from_ms, to_ms);
    int         last = i->open ? BAR - 1 : place(i->end_ms, from_ms, to_ms);

    fputs(paint(PAINT_DIM), stdout);
    for (int k = 0; k < first; k++)
        fputs(dot, stdout);
    printf("%s%s", paint(PAINT_OFF), paint(item_paint(i)));
    for (int k = first; k <= last; k++)
        fputs(k == last && i->open ? ">" : full, stdout);
    printf("%s%s", paint(PAINT_OFF), paint(PAINT_DIM));
    for (int k = last + 1; k < BAR; k++)
        fputs(dot, stdout);
    fputs(paint(PAINT_OFF), stdout);
}

/* How an item stands: "done", "open", "declined: card 7 is over its limit". */
static void
put_outcome(struct buf *b, const struct item *i)
{
    const char *end = NULL;
    char        count[TIME_SIZE];

    if (i->detached)
        buf_puts(b, "on its own");
    else if (i->open)
        buf_puts(b, i->kind == EVENT_CALL && (i->task == NULL || i->task->claimed) ? "running"
                                                                                   : "waiting");
    else if (i->code == HF_OK)
        buf_puts(b, i->kind == EVENT_TIMER ? "fired" : i->kind == EVENT_WAIT ? "came" : "done");
    else
        end = i->error_name ? i->error_name : i->code == HF_TIMEOUT ? "timeout" : "cancelled";
    if (end)
        buf_puts(b, end);
    if (end && i->message)
        buf_printf(b, ": %s", i->message);
    int attempts = i->open && i->task ? i->task->attempt : i->attempts;
    if (attempts > 1 || (i->open && attempts == 1))
        buf_printf(b, ", %s", format_count(attempts, "attempt", count));
    if (i->open && i->task && i->task->error_name)
        buf_printf(b, ", last error %s", i->task->error_name);
    if (i->output && i->kind != EVENT_TIMER)
        buf_printf(b, "  %s", i->output);
}

static const char *
item_title(struct cli *c, const struct item *i)
{
    const char *name = i->kind == EVENT_CHILD && i->run_id ? i->run_id : i->name ? i->name : "";
    const char *title =
        arena_printf(&c->arena, "%s%s%s", item_kind_name(i->kind), name[0] ? " " : "", name);
    return title ? title : "";
}

static size_t
title_width(struct cli *c, const struct view *v)
{
    size_t width = 0;
    for (size_t k = 0; k < v->n_items; k++) {
        size_t n = text_width(item_title(c, &v->items[k]));
        width = n > width ? n : width;
    }
    return width > NAME_MAX_WIDTH ? NAME_MAX_WIDTH : width;
}

static int
print_item(struct cli *c, const struct view *v, const struct item *i, int64_t to_ms, size_t width)
{
    int64_t     from_ms = v->begin_ms;
    struct buf  b = {0};
    char        offset[TIME_SIZE], took[TIME_SIZE], at[TIME_SIZE + 4];
    const char *title = item_title(c, i);
    size_t      n = text_width(title);

    put_outcome(&b, i);
    if (b.failed) {
        buf_release(&b);
        return cli_nomem(c);
    }
    snprintf(at, sizeof(at), "+%s", format_duration(i->begin_ms - from_ms, offset));
    format_duration((i->open ? to_ms : i->end_ms) - i->begin_ms, took);
    printf("  %9s  ", at);
    print_text(title, width);
    printf("%*s  ", n < width ? (int)(width - n) : 0, "");
    print_bar(i, from_ms, to_ms);
    printf("  %8s  ", i->detached ? "" : took);
    int used = 2 + 9 + 2 + (int)width + 2 + BAR + 2 + 8 + 2;
    int room = (on_terminal() ? terminal_columns() : TEXT_COLUMNS + used) - used;
    printf("%s", paint(item_paint(i)));
    print_text(b.data, room > 20 ? (size_t)room : 20);
    printf("%s\n", paint(PAINT_OFF));
    buf_release(&b);
    return HF_OK;
}

static int
print_items(struct cli *c, const struct view *v)
{
    int64_t to_ms = v->run.ended_us ? v->run.ended_us / US_PER_MS : v->now_ms;
    size_t  width = title_width(c, v);

    for (size_t k = 0; k < v->n_events; k++)
        if (v->events[k].time_ms > to_ms)
            to_ms = v->events[k].time_ms;
    if (v->n_items > 0)
        putchar('\n');
    for (size_t k = 0; k < v->n_items; k++)
        TRY(print_item(c, v, &v->items[k], to_ms, width));
    return HF_OK;
}

static int
print_waits(struct cli *c, const struct view *v)
{
    struct fleet  f;
    struct reason r;
    size_t        n = 0;

    if (v->end || run_has_ended(v->run.status))
        return HF_OK;
    TRY(fleet_load(c, &f));
    for (size_t k = 0; k < v->n_items; k++) {
        if (!v->items[k].open)
            continue;
        TRY(item_reason(c, v, &f, &v->items[k], &r));
        if (n++ == 0)
            printf("\n%swaits for%s\n", paint(PAINT_BOLD), paint(PAINT_OFF));
        printf("  %s\n", r.text);
    }
    const char *gap = fleet_gap(c, &f, v->run.queue, v->run.workflow, v->run.version, NULL);
    if (gap)
        printf("\n%s%s%s\n", paint(PAINT_YELLOW), gap, paint(PAINT_OFF));
    return HF_OK;
}

static void
print_signal(size_t n, const char *name, const char *payload)
{
    if (n == 0)
        printf("\n%sunread signals%s\n", paint(PAINT_BOLD), paint(PAINT_OFF));
    printf("  %s%s", name, payload && payload[0] ? "  " : "");
    print_text(payload ? payload : "", TEXT_COLUMNS);
    putchar('\n');
}

static void
print_beside(const struct view *v)
{
    size_t n = 0;

    for (size_t k = 0; k < v->n_children; k++) {
        const char *status = run_status_name(v->children[k].status);
        if (k == 0)
            printf("\n%schildren%s\n", paint(PAINT_BOLD), paint(PAINT_OFF));
        printf("  %s  %s  %s%s%s\n", v->children[k].id, v->children[k].workflow,
               paint(status_paint(status)), status, paint(PAINT_OFF));
    }
    for (size_t k = 0; k < v->n_signals; k++)
        print_signal(n++, v->signals[k].name, v->signals[k].output);
    for (size_t k = 0; k < v->n_inbox; k++)
        if (v->inbox[k].kind == INBOX_SIGNAL)
            print_signal(n++, v->inbox[k].name, v->inbox[k].payload);
}

int
print_timeline(struct cli *c, const struct view *v)
{
    print_head(v);
    TRY(print_items(c, v));
    TRY(print_waits(c, v));
    print_beside(v);
    return HF_OK;
}
