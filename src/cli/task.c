/* `holdfast task`: dead letters (list, retry, discard) and live tasks (list --live, show). */
#include <string.h>

#include "cli/print.h"
#include "core/policy.h"

enum { LIST_DEFAULT = 50, PAGE = 1000 };

/* A live task or a dead letter, as it is printed. */
struct entry {
    int64_t     no;
    const char *id, *name, *queue, *status, *payload;
    int         attempts;
    const char *error_name, *error_message;
    int64_t     created_us, due_us, died_us;
};

static void
put_entry(struct buf *b, const struct entry *e)
{
    buf_putc(b, '{');
    put_text_member(b, "id", e->id);
    put_text_member(b, "name", e->name);
    put_text_member(b, "queue", e->queue);
    put_text_member(b, "status", e->status);
    put_payload_member(b, "input", e->payload);
    put_int_member(b, "attempts", e->attempts);
    put_error_member(b, "error", e->error_name, e->error_message);
    put_time_member(b, "created", e->created_us / US_PER_MS);
    put_time_member(b, "due", e->due_us / US_PER_MS);
    put_time_member(b, "died", e->died_us / US_PER_MS);
    buf_putc(b, '}');
}

static int
from_task(struct cli *c, const struct task_row *t, int64_t now_us, struct entry *out)
{
    char id[HF_ID_SIZE];

    task_id_format(t->no, id);
    *out = (struct entry){
        .no = t->no,
        .id = t->id ? t->id : arena_strdup(&c->arena, id),
        .name = t->name,
        .queue = t->queue,
        .status = t->run_at_us > now_us ? (t->attempt ? "retry" : "delayed")
                  : t->claimed          ? "running"
                                        : "waiting",
        .payload = t->payload,
        .attempts = t->attempt,
        .error_name = t->error_name,
        .error_message = t->error_message,
        .created_us = t->created_us,
        .due_us = t->run_at_us,
    };
    return out->id ? HF_OK : cli_nomem(c);
}

static struct entry
from_dead(const struct dead_row *d)
{
    return (struct entry){
        .no = d->no,
        .id = d->id,
        .name = d->name,
        .queue = d->queue,
        .status = "dead",
        .payload = d->payload,
        .attempts = d->attempts,
        .error_name = d->error_name,
        .error_message = d->error_message,
        .created_us = d->created_us,
        .died_us = d->died_us,
    };
}

static int
load(struct cli *c, bool live, const struct task_filter *f, struct entry **out, size_t *n)
{
    struct store    *s = c->h->store;
    struct task_row *tasks = NULL;
    struct dead_row *dead = NULL;
    int64_t          now_us;

    TRY(s->ops->now(s, &now_us, &c->err));
    TRY(live ? s->ops->task_list(s, f, &c->arena, &tasks, n, &c->err)
             : s->ops->dead_list(s, f, &c->arena, &dead, n, &c->err));
    *out = arena_alloc(&c->arena, (*n + 1) * sizeof(**out));
    if (*out == NULL)
        return cli_nomem(c);
    for (size_t i = 0; i < *n; i++)
        if (live)
            TRY(from_task(c, &tasks[i], now_us, &(*out)[i]));
        else
            (*out)[i] = from_dead(&dead[i]);
    return HF_OK;
}

static struct task_filter
filter(struct cli *c, int limit)
{
    return (struct task_filter){
        .name = args_text(c, "name", NULL), .queue = args_text(c, "queue", NULL), .limit = limit};
}

static int
print_entries(struct cli *c, const struct entry *entries, size_t n, bool live)
{
    struct table t = {.head = {"TASK", "NAME", "STATUS", "QUEUE", "ATTEMPTS", live ? "DUE" : "DIED",
                               "LAST ERROR"},
                      .columns = 7,
                      .status = 2};
    bool         ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        const struct entry *e = &entries[i];
        int64_t             at_us = live ? e->due_us : e->died_us;
        char                at[TIME_SIZE];
        const char         *name = e->error_name ? e->error_name : "";
        const char         *message = e->error_message ? e->error_message : "";
        const char         *cells[] = {
                    e->id,
                    e->name,
                    e->status,
                    e->queue,
                    arena_printf(&c->arena, "%d", e->attempts),
            at_us ? arena_strdup(&c->arena, format_time(at_us / US_PER_MS, at)) : "",
                    arena_printf(&c->arena, "%s%s%s", name, name[0] && message[0] ? ": " : "", message),
        };
        ok = cells[4] && cells[5] && cells[6] && table_add(&t, cells);
    }
    if (ok && n == 0)
        puts(live ? "no tasks" : "no dead letters");
    else if (ok)
        table_print(&t);
    return ok ? HF_OK : cli_nomem(c);
}

static int
list_tasks(struct cli *c)
{
    struct task_filter f = filter(c, (int)args_number(c, "limit", LIST_DEFAULT));
    bool               live = args_given(c, "live");
    struct entry      *entries;
    struct buf         b = {0};
    size_t             n;

    TRY(load(c, live, &f, &entries, &n));
    if (!c->json)
        return print_entries(c, entries, n, live);
    buf_puts(&b, "{\"tasks\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_entry(&b, &entries[i]);
    }
    buf_puts(&b, "]}");
    return print_buf(c, &b);
}

static int
find(struct cli *c, const char *id, struct entry *out)
{
    struct store   *s = c->h->store;
    struct task_row t;
    struct dead_row d;
    int64_t         now_us;

    int rc = s->ops->task_get(s, id, &c->arena, &t, &c->err);
    if (rc == HF_OK) {
        TRY(s->ops->now(s, &now_us, &c->err));
        return from_task(c, &t, now_us, out);
    }
    if (rc == HF_NOT_FOUND)
        rc = s->ops->dead_get(s, id, &c->arena, &d, &c->err);
    if (rc == HF_OK)
        *out = from_dead(&d);
    if (rc == HF_NOT_FOUND)
        return err_set(&c->err, rc, "task %s: not found", id);
    return rc;
}

static void
print_line(const char *name, const char *text)
{
    if (text) {
        printf("  %s%-9s%s ", paint(PAINT_DIM), name, paint(PAINT_OFF));
        print_text(text, SIZE_MAX);
        putchar('\n');
    }
}

static int
show_task(struct cli *c, const char *id)
{
    struct entry e;
    struct buf   b = {0};
    char         at[TIME_SIZE], attempts[16];

    TRY(find(c, id, &e));
    if (c->json) {
        put_entry(&b, &e);
        return print_buf(c, &b);
    }
    snprintf(attempts, sizeof(attempts), "%d", e.attempts);
    printf("%s%s%s  %s  %s\n", paint(PAINT_BOLD), e.id, paint(PAINT_OFF), e.name, e.status);
    print_line("queue", e.queue);
    print_line("input", e.payload);
    print_line("attempts", attempts);
    print_line("created", format_time(e.created_us / US_PER_MS, at));
    print_line("due", e.due_us ? format_time(e.due_us / US_PER_MS, at) : NULL);
    print_line("died", e.died_us ? format_time(e.died_us / US_PER_MS, at) : NULL);
    print_line("error", e.error_name && e.error_message
                            ? arena_printf(&c->arena, "%s: %s", e.error_name, e.error_message)
                        : e.error_name ? e.error_name
                                       : e.error_message);
    return HF_OK;
}

static int
submit_one(struct cli *c, int kind, const char *id)
{
    struct store *s = c->h->store;
    struct submit item = {.kind = kind, .id = id};
    size_t        bad;

    return s->ops->submit(s, &item, 1, &bad, &c->err);
}

/* Retries or discards all dead letters that the options choose, page by page in the order of their
 * numbers. */
static int
settle_all(struct cli *c, int kind)
{
    struct task_filter f = filter(c, PAGE);
    struct entry      *entries;
    size_t             n, done = 0;

    do {
        TRY(load(c, false, &f, &entries, &n));
        for (size_t i = 0; i < n; i++, done++)
            TRY(submit_one(c, kind, entries[i].id));
        if (n > 0)
            f.after_no = entries[n - 1].no;
    } while (n == PAGE);
    printf("%zu %s\n", done, kind == SUBMIT_RETRY ? "to be tried again" : "discarded");
    return HF_OK;
}

static int
settle(struct cli *c, int kind)
{
    if (args_given(c, "all")) {
        if (c->n_operands > 1)
            return err_set(&c->err, HF_INVALID, "task: --all goes without ids");
        return settle_all(c, kind);
    }
    if (c->n_operands < 2)
        return err_set(&c->err, HF_INVALID, "task %s: expected ID or --all", c->operands[0]);
    for (int i = 1; i < c->n_operands; i++)
        TRY(submit_one(c, kind, c->operands[i]));
    return HF_OK;
}

int
run_task(struct cli *c)
{
    static const char *const verbs[] = {"list", "show", "retry", "discard"};
    const char              *verb = c->operands[0];
    size_t                   k = 0;

    while (k < 4 && strcmp(verb, verbs[k]) != 0)
        k++;
    if (k == 4) {
        const char *near = nearest_name(verb, verbs, 4);
        return err_set(&c->err, HF_INVALID, "task: unknown verb %s%s%s%s", verb,
                       near ? "; did you mean " : "; list, show, retry or discard",
                       near ? near : "", near ? "?" : "");
    }
    if (k == 0 && c->n_operands > 1)
        return err_set(&c->err, HF_INVALID, "task list: unexpected argument %s", c->operands[1]);
    if (k == 1 && c->n_operands != 2)
        return err_set(&c->err, HF_INVALID, "task show: expected one ID");
    TRY(cli_open(c, false));
    if (k == 0)
        return list_tasks(c);
    if (k == 1)
        return show_task(c, c->operands[1]);
    return settle(c, k == 2 ? SUBMIT_RETRY : SUBMIT_DISCARD);
}
