/* The memory store's queues for people, how long their ended runs are kept, and the deletion of
 * those. */
#include <string.h>

#include "store/memory.h"

static void
count_task(struct queue_row *row, const struct task_row *task, int64_t now_us)
{
    int64_t since_us = task->created_us > task->run_at_us ? task->created_us : task->run_at_us;

    if (task->run_at_us > now_us) {
        row->delayed++;
        return;
    }
    row->tasks++;
    if (row->oldest_us == 0 || since_us < row->oldest_us)
        row->oldest_us = since_us;
}

/* Counts of one class stop: so do those of a partition, which is never searched further. */
static void
count_tasks(struct memory_db *db, int32_t partition, int count_max, int64_t now_us,
            struct queue_row *row)
{
    int64_t counted[STREAMS] = {0};

    EACH(db, TASKS, struct task_row, task)
    {
        int stream = row_stream(task->no);
        if (row_partition(task->no) != partition || counted[stream] == count_max)
            continue;
        row->backlog_more |= ++counted[stream] == count_max;
        count_task(row, task, now_us);
    }
}

static void
count_runs(struct memory_db *db, int32_t partition, int count_max, int64_t now_us,
           struct queue_row *row)
{
    int64_t running = 0, due = 0;

    EACH(db, RUNS, struct run_row, run)
    {
        if (row_partition(run->no) != partition)
            continue;
        if (run->status == RUN_RUNNING && running < count_max)
            running++;
        if (run->status == RUN_WAITING && run->wake_us <= now_us && due < count_max)
            due++;
    }
    row->runs += running + due;
    row->backlog_more |= running == count_max || due == count_max;
}

static bool
is_served(const struct memory_db *db, const struct partition *p)
{
    if (db->partitions_a_queue) /* shared */
        return p->owner != 0;
    struct worker_row *worker = db_find(db, WORKERS, &(struct worker_row){.id = db->last_worker});
    return db->owner && worker && queue_in_list(worker->queues, p->queue);
}

static struct queue_row *
row_of(struct queue_row *rows, size_t n, const char *queue)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, queue) == 0)
            return &rows[i];
    return NULL;
}

static int
list_queues(struct memory_db *db, int count_max, int64_t now_us, struct arena *a,
            struct queue_row **out, size_t *n, struct err *err)
{
    struct queue_row *rows = arena_alloc(a, db->tables[PARTITIONS].n * sizeof(*rows));

    *n = 0;
    if (rows == NULL)
        return err_nomem(err);
    EACH(db, PARTITIONS, struct partition, p)
    {
        struct queue_row *row = row_of(rows, *n, p->queue);
        if (row == NULL) {
            row = &rows[(*n)++];
            *row = (struct queue_row){.name = arena_strdup(a, p->queue), .retain_us = p->retain_us};
            if (row->name == NULL)
                return err_nomem(err);
        }
        row->partitions++;
        row->unowned += !is_served(db, p);
        row->crashes += p->crashes;
        count_tasks(db, (int32_t)p->id, count_max, now_us, row);
        count_runs(db, (int32_t)p->id, count_max, now_us, row);
    }
    *out = rows;
    return HF_OK;
}

int
memory_queues(struct store *s, int count_max, struct arena *a, struct queue_row **out, size_t *n,
              struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = list_queues(db, count_max, clock_now_us(&s->clock), a, out, n, err);
    db_unlock(db);
    return rc;
}

static int
set_retention(struct memory_db *db, const char *queue, int64_t retain_us, struct err *err)
{
    bool found = false;

    EACH(db, PARTITIONS, struct partition, p)
    {
        struct partition row = *p;
        if (strcmp(row.queue, queue) != 0)
            continue;
        found = true;
        row.retain_us = retain_us;
        TRY(db_put(db, PARTITIONS, &row, err));
    }
    return found ? HF_OK : err_set(err, HF_NOT_FOUND, "queue %s: there is none", queue);
}

int
memory_retain(struct store *s, const char *queue, int64_t retain_us, struct err *err)
{
    struct memory_db *db = db_lock(s);

    db_begin(db);
    int rc = set_retention(db, queue, retain_us, err);
    if (rc == HF_OK)
        db_commit(db);
    else
        db_rollback(db);
    db_unlock(db);
    return rc;
}

/* ---- purge */

/* Whether a message or a task still speaks of the run. */
static bool
is_needed(const struct memory_db *db, int64_t run_no)
{
    EACH(db, INBOX, struct inbox_row, row)
    {
        if (row->run_no == run_no && row->kind == INBOX_REPLACE)
            return true;
    }
    EACH(db, TASKS, struct task_row, task)
    {
        if (task->run_no == run_no)
            return true;
    }
    return false;
}

static bool
may_go(const struct memory_db *db, const struct run_row *run, const struct purge *what)
{
    return run_has_ended(run->status) && run->ended_us < what->ended_before &&
           (what->status < 0 || run->status == what->status) &&
           (what->queue == NULL || strcmp(run->queue, what->queue) == 0) && !is_needed(db, run->no);
}

static int
delete_run(struct memory_db *db, struct run_row *run, struct err *err)
{
    int64_t no = run->no;

    TRY(db_drop(db, RUN_IDS, &(struct name){.text = run->id}, err));
    TRY(db_drop(db, RUNS, &(struct run_row){.no = no}, err));
    for (size_t i = db->tables[HISTORY].n; i > 0; i--) {
        struct history_row *row = db->tables[HISTORY].rows[i - 1];
        if (row->run_no == no)
            TRY(db_drop(db, HISTORY, row, err));
    }
    for (size_t i = db->tables[INBOX].n; i > 0; i--) {
        struct inbox_row *row = db->tables[INBOX].rows[i - 1];
        if (row->run_no == no)
            TRY(db_drop(db, INBOX, row, err));
    }
    return HF_OK;
}

static int
purge(struct memory_db *db, const struct purge *what, size_t *n, struct err *err)
{
    size_t limit = what->limit > 0 ? (size_t)what->limit : 0;

    for (size_t i = 0; i < db->tables[RUNS].n && *n < limit; i++) {
        struct run_row *run = db->tables[RUNS].rows[i];
        if (!may_go(db, run, what))
            continue;
        ++*n;
        if (what->count_only)
            continue;
        TRY(delete_run(db, run, err));
        i--;
    }
    return HF_OK;
}

int
memory_purge(struct store *s, const struct purge *what, size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);

    *n = 0;
    db_begin(db);
    int rc = purge(db, what, n, err);
    if (rc == HF_OK) {
        db_commit(db);
    } else {
        db_rollback(db);
        *n = 0;
    }
    db_unlock(db);
    return rc;
}
