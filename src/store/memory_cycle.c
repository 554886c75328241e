/*
 * The memory store's cycle: the batch, then the fetch. A cursor keeps the last number read of each
 * stream, the last (time, number) read of what comes due, and how far released claims have been
 * read; a row is delivered by one of them and never by two.
 */
#include <stdlib.h>
#include <string.h>

#include "store/memory.h"

struct fetch {
    struct memory_db *db;
    int64_t           now_us, worker;
    struct picks      runs, due, tasks, inbox;
    size_t            runs_left, tasks_left, inbox_left;
    bool              more;
    int64_t           next_due_us;
};

/* One more row, if there is room; *position moves on to it. */
static bool
take(struct fetch *f, size_t *left, struct picks *picks, const void *row)
{
    if (*left == 0) {
        f->more = true;
        return false;
    }
    --*left;
    picks_add(picks, row);
    return true;
}

/* Blocked ones are for a new owner, who may be able to go on: those that were there when it began.
 */
static bool
is_wanted_run(const struct cursor *c, const struct run_row *run)
{
    bool by_crashes = run->error_name && strcmp(run->error_name, "crashed") == 0;
    bool was_there = row_seq(run->no) <= c->known_no;
    return run->status == RUN_RUNNING || (run->status == RUN_BLOCKED && was_there && !by_crashes);
}

/* The next row of a stream after *position; NULL at its end. Numbers come first in every row. */
static const void *
next_of(struct memory_db *db, enum table table, int32_t partition, int stream,
        const int64_t *position)
{
    int64_t from = row_no(partition, stream, 0);
    union {
        int64_t          no;
        struct run_row   run;
        struct task_row  task;
        struct inbox_row inbox;
    } key = {.no = *position > from ? *position : from};
    size_t i = db_after(db, table, &key);

    if (i == db->tables[table].n)
        return NULL;
    const int64_t *row = db->tables[table].rows[i];
    return row_partition(*row) == partition && row_stream(*row) == stream ? row : NULL;
}

static void
fetch_runs(struct fetch *f, struct cursor *c, int stream)
{
    const struct run_row *run;

    while ((run = next_of(f->db, RUNS, c->partition, stream, &c->run[stream]))) {
        if (is_wanted_run(c, run) && !take(f, &f->runs_left, &f->runs, run))
            break;
        c->run[stream] = run->no;
    }
}

static bool
is_after(int64_t time_us, int64_t no, int64_t than_us, int64_t than_no)
{
    return time_us > than_us || (time_us == than_us && no > than_no);
}

/* Not what another worker executes. */
static bool
is_ours(const struct fetch *f, const struct task_row *task)
{
    return !task->claimed || task->holder == 0 || task->holder == f->worker;
}

/* A task that begins at once. In the delayed stream: that the due position has passed. */
static bool
is_wanted_task(const struct fetch *f, const struct cursor *c, const struct task_row *task)
{
    if (!is_ours(f, task))
        return false;
    return row_stream(task->no) == STREAM_DELAYED
               ? !is_after(task->run_at_us, task->no, c->due_task_us, c->due_task_no)
               : task->run_at_us == 0;
}

static bool
is_again(struct memory_db *db, const struct task_row *task)
{
    return db_find(db, AGAIN, &(struct again){.task_no = task->no}) != NULL;
}

static void
fetch_tasks(struct fetch *f, struct cursor *c, int stream)
{
    const struct task_row *task;

    while ((task = next_of(f->db, TASKS, c->partition, stream, &c->task[stream]))) {
        if (!is_again(f->db, task) && is_wanted_task(f, c, task) &&
            !take(f, &f->tasks_left, &f->tasks, task))
            break;
        c->task[stream] = task->no;
    }
}

/* The next released claim of the partition. */
static const struct again *
next_again(struct memory_db *db, const struct cursor *c)
{
    const struct again *next = NULL;

    EACH(db, AGAIN, struct again, row)
    {
        if (row_partition(row->task_no) == c->partition && row->seq > c->again &&
            (next == NULL || row->seq < next->seq))
            next = row;
    }
    return next;
}

static void
fetch_again(struct fetch *f, struct cursor *c)
{
    const struct again *next;

    while ((next = next_again(f->db, c))) {
        const struct task_row *task =
            db_find(f->db, TASKS, &(struct task_row){.no = next->task_no});
        if (task && is_wanted_task(f, c, task) && !take(f, &f->tasks_left, &f->tasks, task))
            break;
        c->again = next->seq;
    }
}

static void
fetch_inbox(struct fetch *f, struct cursor *c)
{
    const struct inbox_row *row;

    while ((row = next_of(f->db, INBOX, c->partition, 0, &c->inbox)) &&
           take(f, &f->inbox_left, &f->inbox, row))
        c->inbox = row->no;
}

static int
by_wake(const void *a, const void *b)
{
    const struct run_row *x = *(const struct run_row *const *)a;
    const struct run_row *y = *(const struct run_row *const *)b;
    return is_after(x->wake_us, x->no, y->wake_us, y->no) ? 1 : -1;
}

static int
by_run_at(const void *a, const void *b)
{
    const struct task_row *x = *(const struct task_row *const *)a;
    const struct task_row *y = *(const struct task_row *const *)b;
    return is_after(x->run_at_us, x->no, y->run_at_us, y->no) ? 1 : -1;
}

static void
consider_next(struct fetch *f, int64_t us)
{
    if (us < f->next_due_us)
        f->next_due_us = us;
}

static void
fetch_due_runs(struct fetch *f, struct cursor *c)
{
    struct picks found = {0};
    size_t       i = 0;

    EACH(f->db, RUNS, struct run_row, run)
    {
        if (row_partition(run->no) == c->partition && run->status <= RUN_WAITING &&
            run->wake_us != NEVER_US &&
            is_after(run->wake_us, run->no, c->due_run_us, c->due_run_no))
            picks_add(&found, run);
    }
    if (found.n)
        qsort(found.rows, found.n, sizeof(*found.rows), by_wake);
    for (; i < found.n; i++) {
        const struct run_row *run = found.rows[i];
        if (run->wake_us > f->now_us || !take(f, &f->runs_left, &f->due, run))
            break;
        c->due_run_us = run->wake_us;
        c->due_run_no = run->no;
    }
    if (i < found.n)
        consider_next(f, ((const struct run_row *)found.rows[i])->wake_us);
    if ((i == found.n || ((const struct run_row *)found.rows[i])->wake_us > f->now_us) &&
        is_after(f->now_us, INT64_MAX, c->due_run_us, c->due_run_no)) {
        c->due_run_us = f->now_us;
        c->due_run_no = INT64_MAX;
    }
    f->due.failed |= found.failed;
    picks_release(&found);
}

/* A delayed task whose time was taken away is due too: no other stream would bring it. */
static void
fetch_due_tasks(struct fetch *f, struct cursor *c)
{
    struct picks found = {0};
    size_t       i = 0;

    EACH(f->db, TASKS, struct task_row, task)
    {
        if (row_partition(task->no) == c->partition && is_ours(f, task) &&
            (task->run_at_us || row_stream(task->no) == STREAM_DELAYED) &&
            is_after(task->run_at_us, task->no, c->due_task_us, c->due_task_no))
            picks_add(&found, task);
    }
    if (found.n)
        qsort(found.rows, found.n, sizeof(*found.rows), by_run_at);
    for (; i < found.n; i++) {
        const struct task_row *task = found.rows[i];
        if (task->run_at_us > f->now_us || !take(f, &f->tasks_left, &f->tasks, task))
            break;
        c->due_task_us = task->run_at_us;
        c->due_task_no = task->no;
    }
    if (i < found.n)
        consider_next(f, ((const struct task_row *)found.rows[i])->run_at_us);
    if ((i == found.n || ((const struct task_row *)found.rows[i])->run_at_us > f->now_us) &&
        is_after(f->now_us, INT64_MAX, c->due_task_us, c->due_task_no)) {
        c->due_task_us = f->now_us;
        c->due_task_no = INT64_MAX;
    }
    f->tasks.failed |= found.failed;
    picks_release(&found);
}

/* Everything that is there counts as not fresh; delayed tasks that are there come by their time. */
static void
begin(struct memory_db *db, struct cursor *c)
{
    const struct task_row *task;

    *c = (struct cursor){.partition = c->partition, .begun = true, .known_no = db->last_seq};
    while ((task = next_of(db, TASKS, c->partition, STREAM_DELAYED, &c->task[STREAM_DELAYED])))
        c->task[STREAM_DELAYED] = task->no;
}

static void
fetch_partition(struct fetch *f, struct cursor *c, const struct room *room)
{
    if (!c->begun)
        begin(f->db, c);
    f->runs_left = room->runs;
    f->tasks_left = room->tasks;
    f->inbox_left = room->inbox;
    for (int stream = STREAM_URGENT; stream <= STREAM_BULK; stream++) {
        fetch_runs(f, c, stream);
        fetch_tasks(f, c, stream);
    }
    fetch_tasks(f, c, STREAM_DELAYED);
    fetch_again(f, c);
    fetch_due_runs(f, c);
    fetch_due_tasks(f, c);
    fetch_inbox(f, c);
}

/* The answer, or none: cursors move only if all of it could be copied. */
static int
fetch(struct memory_store *m, int64_t now_us, struct cursor *cursors, size_t n_cursors,
      const struct room *room, struct arena *a, struct rows *out, struct err *err)
{
    struct memory_db *db = m->db;
    struct fetch   f = {.db = db, .now_us = now_us, .worker = m->worker, .next_due_us = NEVER_US};
    struct rows    rows = {.now_us = now_us};
    struct cursor *moved = arena_alloc(a, (n_cursors ? n_cursors : 1) * sizeof(*moved));
    size_t         fresh = 0;

    if (moved == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n_cursors; i++) {
        moved[i] = cursors[i];
        fetch_partition(&f, &moved[i], room);
    }
    int rc = picks_take(&f.runs, RUNS, a, &rows.runs, &rows.n_runs, err);
    int rc2 = picks_take(&f.due, RUNS, a, &rows.due, &rows.n_due, err);
    int rc3 = picks_take(&f.tasks, TASKS, a, &rows.tasks, &rows.n_tasks, err);
    int rc4 = picks_take(&f.inbox, INBOX, a, &rows.inbox, &rows.n_inbox, err);
    if (rc || rc2 || rc3 || rc4)
        return rc ? rc : rc2 ? rc2 : rc3 ? rc3 : rc4;
    for (size_t i = 0; i < n_cursors; i++) {
        for (; fresh < rows.n_runs && row_partition(rows.runs[fresh].no) == moved[i].partition;
             fresh++)
            rows.runs[fresh].fresh = row_seq(rows.runs[fresh].no) > moved[i].known_no;
        cursors[i] = moved[i];
    }
    rows.more = f.more;
    rows.next_due_us = f.next_due_us;
    rows.partitions =
        m->store.shared ? shared_news(db, m->worker) : (uint32_t)db->tables[PARTITIONS].n;
    *out = rows;
    return HF_OK;
}

int
memory_cycle(struct store *s, struct batch *batch, struct cursor *cursors, size_t n_cursors,
             const struct room *room, struct arena *a, struct rows *out, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int64_t           now_us = clock_now_us(&s->clock);
    int               rc = HF_OK;

    *out = (struct rows){.now_us = now_us, .next_due_us = NEVER_US};
    if (batch && batch->worker)
        memory_of(s)->worker = batch->worker;
    if (batch && batch->n_writes == 0 && !s->shared)
        rc = memory_fence(db, batch->worker, err);
    if (batch && batch->n_writes) {
        rc = memory_write(memory_of(s), batch, now_us, err);
        if (rc == HF_OK)
            pthread_cond_broadcast(&db->ended);
    }
    if (s->shared)
        out->partitions = shared_news(db, memory_of(s)->worker);
    if (rc == HF_OK && n_cursors &&
        fetch(memory_of(s), now_us, cursors, n_cursors, room, a, out, err) != HF_OK) {
        if (batch == NULL || batch->n_writes == 0)
            rc = err->code;
        out->more = true;
    }
    db_unlock(db);
    return rc;
}
