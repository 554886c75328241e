/* The memory store's reading verbs. */
#include <stdlib.h>
#include <string.h>

#include "store/memory.h"

enum { COUNT_MAX = 100000 };

static bool
fits(const char *wanted, const char *is)
{
    return wanted == NULL || (is && strcmp(wanted, is) == 0);
}

int
memory_run_get(struct store *s, const char *id, struct arena *a, struct run_row *out,
               struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct run_row   *run = db_run_by_id(db, id);
    int               rc = run ? db_copy(RUNS, run, a, out, err)
                               : err_set(err, HF_NOT_FOUND, "run %s: there is none", id);
    db_unlock(db);
    return rc;
}

static int
newest_first(const void *a, const void *b)
{
    const struct run_row *x = *(const struct run_row *const *)a;
    const struct run_row *y = *(const struct run_row *const *)b;

    if (x->started_us != y->started_us)
        return x->started_us < y->started_us ? 1 : -1;
    return x->no < y->no ? 1 : x->no > y->no ? -1 : 0;
}

int
memory_run_list(struct store *s, const struct run_filter *f, struct arena *a, struct run_row **out,
                size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct picks      picks = {0};

    EACH(db, RUNS, struct run_row, run)
    {
        if ((f->status < 0 || run->status == f->status) && fits(f->workflow, run->workflow) &&
            fits(f->queue, run->queue) && (f->before_us == 0 || run->started_us < f->before_us))
            picks_add(&picks, run);
    }
    if (picks.n)
        qsort(picks.rows, picks.n, sizeof(*picks.rows), newest_first);
    if (f->limit >= 0 && picks.n > (size_t)f->limit)
        picks.n = (size_t)f->limit;
    int rc = picks_take(&picks, RUNS, a, out, n, err);
    db_unlock(db);
    return rc;
}

static void
pick_history(struct memory_db *db, int64_t run_no, int execution, struct picks *picks)
{
    size_t i =
        db_after(db, HISTORY, &(struct history_row){.run_no = run_no, .execution = execution});

    for (; i < db->tables[HISTORY].n; i++) {
        struct history_row *row = db->tables[HISTORY].rows[i];
        if (row->run_no != run_no || row->execution != execution)
            break;
        picks_add(picks, row);
    }
}

int
memory_history(struct store *s, int64_t run_no, int execution, struct arena *a,
               struct history_row **out, size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct picks      picks = {0};

    pick_history(db, run_no, execution, &picks);
    int rc = picks_take(&picks, HISTORY, a, out, n, err);
    db_unlock(db);
    return rc;
}

int
memory_inbox_list(struct store *s, int64_t run_no, struct arena *a, struct inbox_row **out,
                  size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct picks      picks = {0};

    EACH(db, INBOX, struct inbox_row, row)
    {
        if (row->run_no == run_no)
            picks_add(&picks, row);
    }
    int rc = picks_take(&picks, INBOX, a, out, n, err);
    db_unlock(db);
    return rc;
}

int
memory_children(struct store *s, int64_t run_no, struct arena *a, struct run_row **out, size_t *n,
                struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct picks      picks = {0};

    EACH(db, RUNS, struct run_row, run)
    {
        if (run_no && run->parent_no == run_no)
            picks_add(&picks, run);
    }
    int rc = picks_take(&picks, RUNS, a, out, n, err);
    db_unlock(db);
    return rc;
}

int
memory_task_get(struct store *s, const char *id, struct arena *a, struct task_row *out,
                struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct name      *given = db_find(db, TASK_IDS, &(struct name){.text = id});
    int64_t           no = given ? given->no : task_id_parse(id);
    struct task_row  *task = db_find(db, TASKS, &(struct task_row){.no = no});

    if (task && task->id && given == NULL) /* known by the id it was given, and by no other */
        task = NULL;
    int rc = task ? db_copy(TASKS, task, a, out, err)
                  : err_set(err, HF_NOT_FOUND, "task %s: there is none", id);
    db_unlock(db);
    return rc;
}

int
memory_task_list(struct store *s, const struct task_filter *f, struct arena *a,
                 struct task_row **out, size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct picks      picks = {0};

    EACH(db, TASKS, struct task_row, task)
    {
        if (task->no > f->after_no && fits(f->name, task->name) && fits(f->queue, task->queue) &&
            (f->run_no == 0 || task->run_no == f->run_no) &&
            (f->limit < 0 || picks.n < (size_t)f->limit))
            picks_add(&picks, task);
    }
    int rc = picks_take(&picks, TASKS, a, out, n, err);
    db_unlock(db);
    return rc;
}

int
memory_dead_get(struct store *s, const char *id, struct arena *a, struct dead_row *out,
                struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = HF_NOT_FOUND;

    EACH(db, DEAD, struct dead_row, dead)
    {
        if (strcmp(dead->id, id) == 0)
            rc = db_copy(DEAD, dead, a, out, err);
    }
    if (rc == HF_NOT_FOUND)
        err_set(err, rc, "task %s: no such dead letter", id);
    db_unlock(db);
    return rc;
}

int
memory_dead_list(struct store *s, const struct task_filter *f, struct arena *a,
                 struct dead_row **out, size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct picks      picks = {0};

    EACH(db, DEAD, struct dead_row, dead)
    {
        if (dead->no > f->after_no && fits(f->name, dead->name) && fits(f->queue, dead->queue) &&
            (f->limit < 0 || picks.n < (size_t)f->limit))
            picks_add(&picks, dead);
    }
    int rc = picks_take(&picks, DEAD, a, out, n, err);
    db_unlock(db);
    return rc;
}

int
memory_workers(struct store *s, struct arena *a, struct worker_row **out, size_t *n,
               struct err *err)
{
    struct memory_db *db = db_lock(s);
    struct picks      picks = {0};

    if (s->shared) {
        int code = shared_census(db, clock_now_us(&s->clock), a, out, n, err);
        db_unlock(db);
        return code;
    }
    EACH(db, WORKERS, struct worker_row, worker)
    {
        picks_add(&picks, worker);
    }
    int rc = picks_take(&picks, WORKERS, a, out, n, err);
    for (size_t i = 0; rc == HF_OK && i < *n; i++)
        (*out)[i].live = db->owner != NULL && (*out)[i].id == db->last_worker;
    db_unlock(db);
    return rc;
}

static void
count(int64_t *counter)
{
    if (*counter < COUNT_MAX)
        ++*counter;
}

int
memory_pending(struct store *s, const char *queues, int64_t due_until_us, struct pending *out,
               struct err *err)
{
    struct memory_db *db = db_lock(s);

    (void)err;
    *out = (struct pending){0};
    EACH(db, TASKS, struct task_row, task)
    {
        if (queue_in_list(queues, task->queue))
            count(&out->tasks);
    }
    EACH(db, RUNS, struct run_row, run)
    {
        bool due =
            run->status == RUN_WAITING && run->wake_us != NEVER_US && run->wake_us <= due_until_us;
        if (!run_has_ended(run->status) && queue_in_list(queues, run->queue))
            count(run->status == RUN_RUNNING   ? &out->running
                  : run->status == RUN_PAUSED  ? &out->paused
                  : run->status == RUN_BLOCKED ? &out->blocked
                  : due                        ? &out->due
                                               : &out->waiting);
    }
    EACH(db, INBOX, struct inbox_row, row)
    {
        struct run_row *run = db_run(db, row->run_no);
        if (run && !run_has_ended(run->status) && queue_in_list(queues, run->queue))
            count(&out->inbox);
    }
    EACH(db, DEAD, struct dead_row, dead)
    {
        if (queue_in_list(queues, dead->queue))
            count(&out->dead);
    }
    db_unlock(db);
    return HF_OK;
}

int
memory_load(struct store *s, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
            struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = HF_OK;

    for (size_t i = 0; rc == HF_OK && i < n; i++) {
        struct run_row *run = db_run(db, nos[i]);
        struct picks    picks = {0};
        out[i] = (struct loaded){.found = run != NULL};
        if (run == NULL)
            continue;
        rc = db_copy(RUNS, run, a, &out[i].run, err);
        if (rc == HF_OK) {
            pick_history(db, run->no, run->execution, &picks);
            rc = picks_take(&picks, HISTORY, a, &out[i].history, &out[i].n_history, err);
        }
    }
    db_unlock(db);
    return rc;
}

int
memory_load_tasks(struct store *s, const int64_t *nos, size_t n, struct arena *a,
                  struct task_row *out, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = HF_OK;

    for (size_t i = 0; rc == HF_OK && i < n; i++) {
        struct task_row *task = db_find(db, TASKS, &(struct task_row){.no = nos[i]});
        out[i] = (struct task_row){0};
        if (task)
            rc = db_copy(TASKS, task, a, &out[i], err);
    }
    db_unlock(db);
    return rc;
}
