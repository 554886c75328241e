/*
 * The second half of a cycle: what is new for the cursors, in one read transaction.
 *
 * Numbers of one stream grow in commit order, as SQLite has one writer at a time: "after the last
 * number read" is exact. What has a time is read by (time, number) when the time has come; the only
 * rows which that would lose are delayed tasks stored with a time already passed, and these are
 * found in their stream, before the position in time moves on.
 *
 * If nobody has committed since the last fetch, nothing was cut off then, and no time has come, the
 * fetch would find nothing and is left out.
 */
#include "store/sqlite.h"

#include <string.h>

#include "base/mem.h"

struct fetching {
    struct sqlite     *s;
    const struct room *room;
    struct arena      *a;
    struct rows       *out;
    struct err        *err;
    int64_t            last_seq; /* all rows up to this number are visible */
    size_t             runs_left, tasks_left;
};

enum kind { KIND_RUN, KIND_DUE_RUN, KIND_TASK, KIND_INBOX };

struct page {
    size_t  n;
    bool    cut;     /* there is more */
    int64_t last_no; /* of the last row */
    int64_t last_us; /* and its time, of due rows */
};

static int64_t
range_end(int32_t partition, int stream)
{
    return row_no(partition, stream, ((int64_t)1 << 46) - 1);
}

static int
take_row(struct fetching *f, sqlite3_stmt *q, enum kind kind, int64_t known_no, struct page *page)
{
    struct rows *o = f->out;
    int          rc;
    if (kind == KIND_TASK) {
        if ((o->tasks = rows_grow(f->a, o->tasks, o->n_tasks, sizeof(*o->tasks))) == NULL)
            return HF_NOMEM;
        rc = row_to_task(f->s, q, f->a, &o->tasks[o->n_tasks++]);
        page->last_us = sqlite3_column_int64(q, 10);
    } else if (kind == KIND_INBOX) {
        if ((o->inbox = rows_grow(f->a, o->inbox, o->n_inbox, sizeof(*o->inbox))) == NULL)
            return HF_NOMEM;
        rc = row_to_inbox(q, f->a, &o->inbox[o->n_inbox++]);
    } else if (kind == KIND_DUE_RUN) {
        if ((o->due = rows_grow(f->a, o->due, o->n_due, sizeof(*o->due))) == NULL)
            return HF_NOMEM;
        rc = row_to_run(f->s, q, f->a, &o->due[o->n_due++]);
        page->last_us = sqlite3_column_int64(q, 12);
    } else {
        if ((o->runs = rows_grow(f->a, o->runs, o->n_runs, sizeof(*o->runs))) == NULL)
            return HF_NOMEM;
        struct run_row *r = &o->runs[o->n_runs++];
        rc = row_to_run(f->s, q, f->a, r);
        r->fresh = rc == HF_OK && row_seq(r->no) > known_no;
    }
    page->last_no = sqlite3_column_int64(q, 0);
    page->n++;
    return rc;
}

/* Takes rows while there is room; page->cut if there was one row too many. The statement has its
 * parameters. */
static int
take_page(struct fetching *f, sqlite3_stmt *q, enum kind kind, size_t *left, int64_t known_no,
          struct page *page)
{
    int rc, code = HF_OK;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (*left == 0 || f->a->total > FETCH_BYTES_MAX) {
            page->cut = f->out->more = true;
            break;
        }
        code = take_row(f, q, kind, known_no, page);
        if (code != HF_OK)
            break;
        --*left;
    }
    sqlite3_reset(q);
    if (code != HF_OK)
        return err_nomem(f->err);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? HF_OK : sqlite_fail(f->s, rc, "fetch", f->err);
}

/* Rows of a stream after *position, which moves to the last one taken, or to the end of what is
 * visible. */
static int
take_stream(struct fetching *f, enum sql id, enum kind kind, struct cursor *c, int stream,
            int64_t *position, size_t *left)
{
    struct page   page = {0};
    sqlite3_stmt *q = sql_get(f->s, id, f->err);
    if (q == NULL)
        return f->err->code;
    int64_t first = row_no(c->partition, stream, 0), end = range_end(c->partition, stream);
    if (kind == KIND_INBOX)
        end = range_end(c->partition, STREAMS - 1);
    bind_int(q, 1, *position > first ? *position : first);
    bind_int(q, 2, end);
    if (id == SQL_fetch_late_tasks) {
        bind_int(q, 3, c->due_task_us);
        bind_int(q, 4, c->due_task_no);
    }
    TRY(take_page(f, q, kind, left, c->known_no, &page));
    if (page.n > 0)
        *position = page.last_no;
    if (!page.cut)
        *position = row_no(c->partition, stream, f->last_seq);
    return HF_OK;
}

struct due {
    enum sql  same, after, next;
    enum kind kind;
    int64_t  *us, *no;
    size_t   *left;
};

/* Rows whose time has come, after the position (us, no). */
static int
take_due(struct fetching *f, const struct due *d, int32_t partition)
{
    struct page   page = {0};
    int64_t       now_us = f->out->now_us;
    sqlite3_stmt *q = sql_get(f->s, d->same, f->err);
    if (q == NULL)
        return f->err->code;
    if (*d->no != INT64_MAX && *d->us > 0) {
        bind_int(q, 1, partition);
        bind_int(q, 2, *d->us);
        bind_int(q, 3, *d->no);
        TRY(take_page(f, q, d->kind, d->left, 0, &page));
    }
    if (!page.cut && *d->us < now_us) {
        if ((q = sql_get(f->s, d->after, f->err)) == NULL)
            return f->err->code;
        bind_int(q, 1, partition);
        bind_int(q, 2, *d->us);
        bind_int(q, 3, now_us);
        TRY(take_page(f, q, d->kind, d->left, 0, &page));
    }
    if (page.cut && page.n > 0) {
        *d->us = page.last_us;
        *d->no = page.last_no;
    } else if (!page.cut) {
        *d->us = *d->us > now_us ? *d->us : now_us;
        *d->no = INT64_MAX;
    }
    return HF_OK;
}

/* The earliest time after the position: a probe of the index. */
static int
look_ahead(struct fetching *f, const struct due *d, int32_t partition)
{
    int64_t       next_us = NEVER_US;
    sqlite3_stmt *q = sql_get(f->s, d->next, f->err);
    if (q == NULL)
        return f->err->code;
    bind_int(q, 1, partition);
    bind_int(q, 2, *d->us);
    TRY(sql_int(f->s, q, NEVER_US, &next_us, f->err));
    if (next_us < f->out->next_due_us)
        f->out->next_due_us = next_us;
    return HF_OK;
}

static void
dues_of(struct fetching *f, struct cursor *c, struct due out[2])
{
    out[0] =
        (struct due){SQL_fetch_due_tasks_same, SQL_fetch_due_tasks, SQL_next_due_task, KIND_TASK,
                     &c->due_task_us,          &c->due_task_no,     &f->tasks_left};
    out[1] =
        (struct due){SQL_fetch_due_runs_same, SQL_fetch_due_runs, SQL_next_due_run, KIND_DUE_RUN,
                     &c->due_run_us,          &c->due_run_no,     &f->runs_left};
}

static int
fetch_tasks(struct fetching *f, struct cursor *c, const struct due *due)
{
    int64_t *late = &c->task[STREAM_DELAYED], before = *late;
    TRY(take_stream(f, SQL_fetch_late_tasks, KIND_TASK, c, STREAM_DELAYED, late, &f->tasks_left));
    /* Were the time to move on while late rows are unread, they would be found twice. */
    if (*late >= row_no(c->partition, STREAM_DELAYED, f->last_seq) || before > *late)
        TRY(take_due(f, due, c->partition));
    for (int i = STREAM_URGENT; i <= STREAM_BULK; i++)
        TRY(take_stream(f, SQL_fetch_tasks, KIND_TASK, c, i, &c->task[i], &f->tasks_left));
    return HF_OK;
}

static int
fetch_runs(struct fetching *f, struct cursor *c, const struct due *due)
{
    int64_t *blocked = &c->run[STREAM_DELAYED]; /* INT64_MAX: all read that were there at first */
    TRY(take_due(f, due, c->partition));
    for (int i = STREAM_URGENT; i <= STREAM_BULK; i++)
        TRY(take_stream(f, SQL_fetch_runs, KIND_RUN, c, i, &c->run[i], &f->runs_left));
    if (*blocked == INT64_MAX)
        return HF_OK;
    struct page   page = {0};
    sqlite3_stmt *q = sql_get(f->s, SQL_fetch_blocked, f->err);
    if (q == NULL)
        return f->err->code;
    int64_t first = row_no(c->partition, 0, 0);
    bind_int(q, 1, *blocked > first ? *blocked : first);
    bind_int(q, 2, range_end(c->partition, STREAM_BULK));
    TRY(take_page(f, q, KIND_RUN, &f->runs_left, c->known_no, &page));
    if (page.n > 0)
        *blocked = page.last_no;
    if (!page.cut)
        *blocked = INT64_MAX;
    return HF_OK;
}

static int
fetch_partition(struct fetching *f, struct cursor *c)
{
    struct due due[2];
    size_t     inbox_left = f->room->inbox;

    f->runs_left = f->room->runs;
    f->tasks_left = f->room->tasks;
    dues_of(f, c, due);
    if (!c->begun) {
        c->begun = true;
        c->known_no = f->last_seq;
        c->task[STREAM_DELAYED] = row_no(c->partition, STREAM_DELAYED, f->last_seq);
    }
    TRY(fetch_tasks(f, c, &due[0]));
    TRY(take_stream(f, SQL_fetch_inbox, KIND_INBOX, c, 0, &c->inbox, &inbox_left));
    TRY(fetch_runs(f, c, &due[1]));
    TRY(look_ahead(f, &due[0], c->partition));
    return look_ahead(f, &due[1], c->partition);
}

static int
fetch_all(struct fetching *f, struct cursor *cursors, size_t n, int64_t *version)
{
    int64_t partitions = 0;
    TRY(sql_get_int(f->s, SQL_last_number, &f->last_seq, f->err)); /* the snapshot is of now */
    TRY(sqlite_data_version(f->s, version, f->err));
    TRY(sql_get_int(f->s, SQL_partition_count, &partitions, f->err));
    f->out->partitions = (uint32_t)partitions;
    for (size_t i = 0; i < n; i++)
        TRY(fetch_partition(f, &cursors[i]));
    return HF_OK;
}

/* Only the next time may have changed, by this connection's own writes. */
static int
look_ahead_only(struct fetching *f, struct cursor *cursors, size_t n)
{
    struct due due[2];
    for (size_t i = 0; i < n; i++) {
        dues_of(f, &cursors[i], due);
        TRY(look_ahead(f, &due[0], cursors[i].partition));
        TRY(look_ahead(f, &due[1], cursors[i].partition));
    }
    return HF_OK;
}

static void
remember(struct sqlite *s, int64_t version, const struct cursor *cursors, size_t n,
         const struct rows *out)
{
    struct fetched *m = &s->fetched;
    m->valid = false;
    if (m->size < n) {
        struct cursor *more = mem_realloc(m->cursors, n * sizeof(*more));
        if (more == NULL)
            return;
        m->cursors = more;
        m->size = n;
    }
    if (n > 0)
        memcpy(m->cursors, cursors, n * sizeof(*cursors));
    m->n = n;
    m->version = version;
    m->next_due_us = out->next_due_us;
    m->partitions = out->partitions;
    m->valid = !out->more;
}

void
fetched_release(struct sqlite *s)
{
    mem_free(s->fetched.cursors);
    s->fetched = (struct fetched){0};
}

/* Whether a fetch would find nothing. */
static int
nothing_new(struct sqlite *s, const struct cursor *cursors, size_t n, int64_t now_us, bool *out,
            struct err *err)
{
    const struct fetched *m = &s->fetched;
    int64_t               version = 0;

    *out = false;
    if (!m->valid || s->wrote_rows || now_us >= m->next_due_us || m->n != n ||
        (n > 0 && memcmp(m->cursors, cursors, n * sizeof(*cursors)) != 0))
        return HF_OK;
    TRY(sqlite_data_version(s, &version, err));
    *out = version == m->version;
    return HF_OK;
}

int
sqlite_fetch(struct sqlite *s, struct cursor *cursors, size_t n, const struct room *room,
             struct arena *a, struct rows *out, struct err *err)
{
    struct fetching f = {.s = s, .room = room, .a = a, .out = out, .err = err};
    bool            skip = false;
    int64_t         version = 0;

    *out = (struct rows){.now_us = clock_now_us(&s->base.clock), .next_due_us = NEVER_US};
    TRY(nothing_new(s, cursors, n, out->now_us, &skip, err));
    if (skip) {
        out->partitions = s->fetched.partitions;
        out->next_due_us = s->fetched.next_due_us;
        if (!s->wrote_due)
            return HF_OK;
        out->next_due_us = NEVER_US;
        TRY(look_ahead_only(&f, cursors, n));
        s->fetched.next_due_us = out->next_due_us;
        s->wrote_due = false;
        return HF_OK;
    }
    struct cursor *before = arena_alloc(a, n * sizeof(*before));
    if (before == NULL)
        return err_nomem(err);
    if (n > 0)
        memcpy(before, cursors, n * sizeof(*before));
    s->fetched.valid = false;
    TRY(sqlite_begin_read(s, err));
    int rc = fetch_all(&f, cursors, n, &version);
    if (rc == HF_OK)
        rc = sqlite_commit(s, err);
    if (rc != HF_OK) {
        sqlite_rollback(s);
        if (n > 0)
            memcpy(cursors, before, n * sizeof(*before));
        return rc;
    }
    s->wrote_rows = s->wrote_due = false;
    remember(s, version, cursors, n, out);
    return HF_OK;
}

/* Now and then: others fill the log too, and the owner may not commit for a while. */
static void
look_at_log(struct sqlite *s)
{
    int64_t now_us = clock_steady_us();
    if (s->checkpointer == NULL || now_us - s->log_looked_us < US_PER_S)
        return;
    s->log_looked_us = now_us;
    if (sqlite_log_bytes(s) > LOG_CHECKPOINT)
        checkpointer_wake(s);
}

int
sqlite_cycle(struct store *base, struct batch *batch, struct cursor *cursors, size_t n_cursors,
             const struct room *room, struct arena *a, struct rows *out, struct err *err)
{
    struct sqlite *s = sqlite_of(base);

    *out = (struct rows){.next_due_us = NEVER_US};
    TRY(sqlite_write_batch(s, batch, err));
    if (s->epoch)
        hints_drain(s);
    s->hinted = false;
    int rc = sqlite_fetch(s, cursors, n_cursors, room, a, out, err);
    if (rc != HF_OK) {
        *out = (struct rows){.next_due_us = NEVER_US,
                             .now_us = clock_now_us(&base->clock),
                             .partitions = s->fetched.partitions,
                             .more = true};
        return batch->n_writes > 0 ? HF_OK : rc;
    }
    if (!s->fetched.valid || out->n_tasks || out->n_runs)
        look_at_log(s);
    return HF_OK;
}
