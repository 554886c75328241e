/*
 * `holdfast doctor`: what is wrong with the store, or with the fit of its work and its workers, and
 * what to do about it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/print.h"
#include "cli/view.h"

enum { FINDINGS_MAX = 32, SAMPLE = 1000, NAMED_MAX = 5, LOG_LARGE = 256 * 1024 * 1024 };

struct report {
    struct finding findings[FINDINGS_MAX];
    size_t         n;
    bool           bad, notes;
};

static void
add(struct report *r, enum grade grade, const char *check, const char *text, const char *advice)
{
    if (r->n < FINDINGS_MAX)
        r->findings[r->n++] = (struct finding){grade, check, text ? text : "out of memory", advice};
    r->bad |= grade == GRADE_BAD;
    r->notes |= grade == GRADE_NOTE;
}

/* The schema is what this program works with, or it would not have been opened. */
static void
check_server(struct cli *c, const struct store_info *i, struct report *r)
{
    for (size_t k = 0; k < i->n_findings; k++) {
        const struct finding *f = &i->findings[k];
        add(r, f->grade, f->check, f->text, f->advice);
    }
    add(r, GRADE_FINE, "schema",
        arena_printf(&c->arena, "version %d, this program knows %d", i->schema, i->schema_known),
        NULL);
}

static void
check_file(struct cli *c, const struct store_info *i, struct report *r)
{
    bool full = i->synchronous == NULL || strcasecmp(i->synchronous, "full") == 0 ||
                strcasecmp(i->synchronous, "extra") == 0 || strcmp(i->synchronous, "2") == 0 ||
                strcmp(i->synchronous, "3") == 0;
    bool wal = i->journal == NULL || strcasecmp(i->journal, "wal") == 0;

    add(r, GRADE_FINE, "store", arena_printf(&c->arena, "%s %s, %s", i->kind, i->version, i->path),
        NULL);
    if (i->path && access(i->path, W_OK) != 0)
        add(r, GRADE_BAD, "writable",
            arena_printf(&c->arena, "%s is read-only for this user", i->path),
            "give the user who runs the worker write access to the file and its directory");
    else
        add(r, GRADE_FINE, "writable", "yes", NULL);
    add(r, i->schema == i->schema_known ? GRADE_FINE : GRADE_BAD, "schema",
        arena_printf(&c->arena, "version %d, this program knows %d", i->schema, i->schema_known),
        i->schema == i->schema_known ? NULL : "use the version of holdfast that made it");
    add(r, i->damage ? GRADE_BAD : GRADE_FINE, "damage", i->damage ? i->damage : "none found",
        i->damage ? "stop the worker, keep a copy of the file, and restore a backup" : NULL);
    add(r, wal && full ? GRADE_FINE : GRADE_BAD, "durability",
        arena_printf(&c->arena, "journal %s, synchronous %s", i->journal ? i->journal : "built in",
                     i->synchronous ? i->synchronous : "full"),
        wal && full ? NULL : "another program has changed the settings: wal and full are needed");
    bool large = i->log_bytes > LOG_LARGE;
    add(r, large ? GRADE_BAD : GRADE_FINE, "size",
        arena_printf(&c->arena, "%.1f MB, log %.1f MB%s", (double)i->file_bytes / 1e6,
                     (double)i->log_bytes / 1e6, large ? ": the log is very large" : ""),
        large ? "end long transactions of other programs on the file, they hold the log; then "
                "restart the worker"
              : NULL);
    add(r, GRADE_FINE, "owner", i->owner ? i->owner : "nobody: no worker is running", NULL);
}

/* What waits for a worker that is not there, by a sample of the newest runs and oldest tasks. */
static int
check_fit(struct cli *c, const struct fleet *f, const struct pending *p, struct report *r)
{
    struct store      *s = c->h->store;
    struct run_row    *runs;
    struct task_row   *tasks;
    size_t             n_runs, n_tasks;
    struct run_filter  running = {.status = RUN_RUNNING, .limit = SAMPLE};
    struct task_filter any = {.limit = SAMPLE};
    const char        *gap = NULL;
    char               a[TIME_SIZE], b[TIME_SIZE];

    TRY(s->ops->run_list(s, &running, &c->arena, &runs, &n_runs, &c->err));
    TRY(s->ops->task_list(s, &any, &c->arena, &tasks, &n_tasks, &c->err));
    for (size_t i = 0; gap == NULL && i < n_runs; i++)
        gap = fleet_gap(c, f, runs[i].queue, runs[i].workflow, runs[i].version, NULL);
    for (size_t i = 0; gap == NULL && i < n_tasks; i++)
        gap = fleet_gap(c, f, tasks[i].queue, NULL, 0, tasks[i].name);
    const char *work =
        arena_printf(&c->arena, "%s and %s to do", format_count(p->running + p->due, "run", a),
                     format_count(p->tasks, "task", b));
    if (work == NULL)
        return cli_nomem(c);
    if (gap)
        add(r, GRADE_BAD, "work", arena_printf(&c->arena, "%s; %s", work, gap),
            "start `holdfast worker` with the module or command that offers it");
    else
        add(r, GRADE_FINE, "work", work, NULL);
    return HF_OK;
}

/* "3 runs: a, b, c": those of a status, the newest first. */
static int
check_resting(struct cli *c, int status, int64_t count, const char *advice, struct report *r)
{
    struct store     *s = c->h->store;
    struct run_filter f = {.status = status, .limit = NAMED_MAX};
    struct run_row   *runs;
    struct buf        b = {0};
    size_t            n;
    char              text[TIME_SIZE];

    if (count == 0)
        return HF_OK;
    TRY(s->ops->run_list(s, &f, &c->arena, &runs, &n, &c->err));
    buf_puts(&b, format_count(count, "run", text));
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%s", i > 0 ? ", " : ": ", runs[i].id);
    if (count > (int64_t)n)
        buf_puts(&b, ", ...");
    add(r, GRADE_NOTE, run_status_name(status), b.failed ? NULL : arena_strdup(&c->arena, b.data),
        advice);
    buf_release(&b);
    return HF_OK;
}

/* What waits for people. */
static int
check_left(struct cli *c, const struct pending *p, struct report *r)
{
    char count[TIME_SIZE];

    TRY(check_resting(c, RUN_BLOCKED, p->blocked,
                      "`holdfast why RUN` says by what; mend it, then `holdfast resume RUN`", r));
    TRY(check_resting(c, RUN_PAUSED, p->paused, "`holdfast resume RUN` lets one go on", r));
    if (p->dead > 0)
        add(r, GRADE_NOTE, "dead",
            arena_strdup(&c->arena, format_count(p->dead, "dead letter", count)),
            "`holdfast task list` says why; then `holdfast task retry ID` or `discard ID`");
    return HF_OK;
}

static int
examine(struct cli *c, struct report *r)
{
    struct store     *s = c->h->store;
    struct store_info info = {0};
    struct pending    p = {0};
    struct fleet      f = {0};
    int64_t           now_us;
    size_t            live = 0;

    TRY(s->ops->info(s, &c->arena, &info, &c->err));
    if (info.n_findings)
        check_server(c, &info, r);
    else
        check_file(c, &info, r);
    if (info.damage)
        return HF_OK; /* reading on may fail anywhere */
    TRY(s->ops->now(s, &now_us, &c->err));
    TRY(s->ops->pending(s, NULL, now_us, &p, &c->err));
    TRY(fleet_load(c, &f));
    for (size_t i = 0; i < f.n; i++)
        live += f.workers[i].live;
    add(r, GRADE_FINE, "workers", arena_printf(&c->arena, "%zu running", live), NULL);
    TRY(check_fit(c, &f, &p, r));
    return check_left(c, &p, r);
}

static int
print_json(struct cli *c, const struct report *r)
{
    static const char *const grades[] = {"ok", "note", "bad"};
    struct buf               b = {0};

    buf_puts(&b, r->bad ? "{\"ok\":false,\"checks\":[" : "{\"ok\":true,\"checks\":[");
    for (size_t i = 0; i < r->n; i++) {
        const struct finding *f = &r->findings[i];
        if (i > 0)
            buf_putc(&b, ',');
        buf_putc(&b, '{');
        put_text_member(&b, "check", f->check);
        put_text_member(&b, "status", grades[f->grade]);
        put_text_member(&b, "text", f->text);
        put_text_member(&b, "advice", f->advice);
        buf_putc(&b, '}');
    }
    buf_puts(&b, "]}");
    return print_buf(c, &b);
}

static void
print_findings(const struct report *r)
{
    static const char *const marks[] = {"ok  ", "note", "BAD "};
    static const enum paint  paints[] = {PAINT_GREEN, PAINT_YELLOW, PAINT_RED};

    for (size_t i = 0; i < r->n; i++) {
        const struct finding *f = &r->findings[i];
        printf("%s%s%s  %-10s  %s\n", paint(paints[f->grade]), marks[f->grade], paint(PAINT_OFF),
               f->check, f->text);
        if (f->advice)
            printf("                  %s\n", f->advice);
    }
    puts(r->bad     ? "something is to be done"
         : r->notes ? "nothing is broken; some work waits for you"
                    : "all is well");
}

/* A store that does not open is a finding; a bad URL or the want of memory is not. */
static int
open_store(struct cli *c, struct report *r)
{
    static const struct {
        int         code;
        bool        file;
        const char *advice;
    } advices[] = {
        {HF_UNAVAILABLE, true,
         "check the path, and that this user may write to the file and its "
         "directory; a worker makes a new store"},
        {HF_UNAVAILABLE, false, "check the URL, and that the server runs and lets this role in"},
        {HF_NOT_FOUND, false,
         "run `holdfast migrate` with this store, as the role that is to own the tables"},
        {HF_CORRUPT, true,
         "check the path; if it is the right one: stop the worker, keep a copy of the "
         "file, and restore a backup"},
        {HF_CORRUPT, false,
         "a migration that was applied is not this program's: use the version "
         "of holdfast that made it"},
        {HF_NEWER, true, "use the version of holdfast that made it, or a newer one"},
        {HF_NEWER, false, "use the version of holdfast that made it, or a newer one"},
    };

    int rc = cli_open(c, false);
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (rc == advices[i].code && cli_is_file(c) == advices[i].file) {
            add(r, GRADE_BAD, "store", arena_strdup(&c->arena, c->err.text), advices[i].advice);
            return HF_OK;
        }
    return rc;
}

int
run_doctor(struct cli *c)
{
    struct report r = {0};
    int           rc = HF_OK;

    TRY(open_store(c, &r));
    if (!r.bad)
        TRY(examine(c, &r));
    if (c->json)
        rc = print_json(c, &r);
    else
        print_findings(&r);
    c->exit_code = r.bad ? 1 : 0;
    return rc;
}
