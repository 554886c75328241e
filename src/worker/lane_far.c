/*
 * Rows and runs of others, on a shared store. A job here may have its row in a partition that was
 * handed over while it ran: its end is told to the row's owner (FINISHED). A task row of ours may
 * have been called by a run of another worker: its result is told to the run's owner (RESULT), and
 * the run tells that it does not want it any more (STOP). All go through the inbox, in the commit
 * that they belong to; nothing is written in a partition of another.
 */
#include "worker/lane.h"

#include <string.h>

#include "base/mem.h"

enum { FINAL = 1, NOT_BEGUN = 2, LOOK_US = US_PER_S, ROWS_OF_A_RUN = 10000 };

/* ---- what has ended here ---- */

static const char *
payload_of(const struct job *job)
{
    return job->code == HF_OK ? job->output : job->error_message;
}

int
add_far_finished(struct lane *l, struct job *job, struct err *err)
{
    struct write *w = add_job_write(l, job, WRITE_INBOX);
    if (w == NULL)
        return err_nomem(err);
    w->inbox = (struct inbox_row){
        .task_no = job->row.no,
        .kind = INBOX_FINISHED,
        .code = job->code,
        .payload = payload_of(job),
        .key = job->error_name,
        .attempt = job->attempt,
        .aux = job->released ? NOT_BEGUN
               : job->final  ? FINAL
                             : 0,
        .sender = l->worker,
    };
    return HF_OK;
}

int
add_far_result(struct lane *l, struct job *job, struct err *err)
{
    struct write *w = add_job_write(l, job, WRITE_TASK_DELETE);
    struct write *told = w ? add_write(l, WRITE_INBOX) : NULL;
    if (told == NULL)
        return err_nomem(err);
    told->inbox = (struct inbox_row){
        .run_no = job->far_run_no,
        .task_no = job->row.no,
        .kind = INBOX_RESULT,
        .name = job->row.ref,
        .aux = job->execution,
        .code = job->code,
        .payload = payload_of(job),
        .key = job->error_name,
        .attempt = job->attempt,
    };
    return add_message_read(l, job->inbox_no, err);
}

/* ---- what has ended elsewhere ---- */

int
lane_read_inbox(struct lane *l, int64_t no, struct err *err)
{
    if (l->n_read_inbox == l->size_read_inbox) {
        size_t   size = l->size_read_inbox ? l->size_read_inbox * 2 : 16;
        int64_t *nos = mem_realloc(l->read_inbox, size * sizeof(*nos));
        if (nos == NULL)
            return err_nomem(err);
        l->read_inbox = nos;
        l->size_read_inbox = size;
    }
    if (!map_put(&l->inbox, no, l))
        return err_nomem(err);
    l->read_inbox[l->n_read_inbox++] = no;
    return HF_OK;
}

/* A job that stands for the row, with the message as its end; the message goes when the end is
 * recorded. */
static int
job_from_message(struct lane *l, const struct task_row *task, const struct inbox_row *row,
                 struct job **out, struct err *err)
{
    TRY(job_from_row(l, task, NULL, out, err));
    struct job *job = *out;
    job->inbox_no = row->no;
    job->code = row->code;
    job->attempt = row->attempt;
    if (map_put(&l->inbox, row->no, l))
        return HF_OK;
    lane_forget_job(l, job);
    return err_nomem(err);
}

/* To its run, if that is ours and here; else as a task of its own. */
static int
settle(struct lane *l, struct job *job, struct err *err)
{
    int64_t run_no = job->run_no;

    if (run_no && lane_owns(l, run_no)) {
        if (map_get(&l->lives, run_no) == NULL)
            TRY(lane_load(l, &run_no, 1, err));
        struct live *live = map_get(&l->lives, run_no);
        if (live && !job->released)
            return live_arrive(l, live, ARRIVE_RESULT, NULL, job, err);
        if (live == NULL) /* it has ended: the row only goes */
            job->code = HF_OK;
    } else if (run_no) {
        job->far_run_no = run_no;
    }
    job->run_no = 0;
    job_list_put(&l->finished, job);
    return HF_OK;
}

/* Who has left holds nothing, but what it said before is how the attempt has ended. */
static bool
is_from_holder(const struct task_row *task, const struct inbox_row *row)
{
    bool has_left = task->claimed && task->holder == 0 && task->attempt + 1 == row->attempt;
    return task->no && (task->holder == row->sender || has_left);
}

/* A worker to which we do not belong has ended a task of ours that it had claimed. */
static int
take_finished(struct lane *l, const struct inbox_row *row, const struct task_row *task,
              struct err *err)
{
    struct job *job;

    if (!is_from_holder(task, row) || map_get(&l->rows, task->no))
        return lane_read_inbox(l, row->no, err); /* it was another's by then */
    TRY(job_from_message(l, task, row, &job, err));
    job->released = row->aux == NOT_BEGUN;
    job->final = row->aux == FINAL;
    if (row->code == HF_OK)
        job->output = mem_strdup(row->payload);
    else
        job->error_message = mem_strdup(row->payload);
    job->error_name = mem_strdup(row->key);
    bool copied = row->payload == NULL || job->output || job->error_message;
    if (!copied || (row->key && job->error_name == NULL)) {
        map_remove(&l->inbox, row->no);
        lane_forget_job(l, job);
        return err_nomem(err);
    }
    return settle(l, job, err);
}

/* The run does not want it any more. One that another worker still executes is not awaited: that
 * worker sees within a second that the row is gone, and tells its handler. */
static int
take_stop(struct lane *l, const struct inbox_row *row, const struct task_row *task, struct err *err)
{
    struct job *job = map_get(&l->rows, row->task_no);

    if (job)
        atomic_store(&job->cancelled, 1);
    if (job || task->no == 0)
        return lane_read_inbox(l, row->no, err);
    struct inbox_row end = *row;
    end.code = HF_CANCELLED;
    end.attempt = task->attempt;
    TRY(job_from_message(l, task, &end, &job, err));
    job->final = true;
    return settle(l, job, err);
}

int
lane_take_far(struct lane *l, const struct inbox_row *row, struct err *err)
{
    struct arena    a = {0};
    struct task_row task = {0};

    if (map_get(&l->inbox, row->no))
        return HF_OK;
    int rc = l->store->ops->load_tasks(l->store, &row->task_no, 1, &a, &task, err);
    if (rc == HF_OK && row->kind == INBOX_FINISHED)
        rc = take_finished(l, row, &task, err);
    else if (rc == HF_OK && row->kind == INBOX_STOP)
        rc = take_stop(l, row, &task, err);
    else if (rc == HF_OK)
        rc = lane_read_inbox(l, row->no, err);
    arena_release(&a);
    return rc;
}

/* ---- what is not wanted any more ---- */

static int
stop_row(struct lane *l, struct live *live, struct call *c, const struct task_row *task,
         bool awaited, struct err *err)
{
    struct job *job = map_get(&l->rows, task->no);
    bool        ours = lane_owns(l, task->no) && (task->holder == 0 || task->holder == l->worker);

    c->listed = true; /* asked once */
    if (job) {        /* it is about to arrive */
        atomic_store(&job->cancelled, 1);
        return HF_OK;
    }
    struct extra *x = live_extra(live, ours ? WRITE_TASK_DELETE : WRITE_INBOX);
    if (x == NULL)
        return err_nomem(err);
    if (!ours) {
        x->write.inbox = (struct inbox_row){.task_no = task->no, .kind = INBOX_STOP};
        return HF_OK;
    }
    x->write.task = arena_zalloc(&live->run.arena, sizeof(struct task_row));
    if (x->write.task == NULL)
        return err_nomem(err);
    x->write.task->no = task->no;
    return awaited ? live_call_cancelled(l, live, c, err) : HF_OK;
}

/* The row of a call, by its run and ref. *found: {0} if there is none; texts in the arena. */
static int
find_row(struct lane *l, int64_t run_no, int execution, const char *ref, struct arena *a,
         struct task_row *found, struct err *err)
{
    struct task_filter f = {.run_no = run_no, .limit = ROWS_OF_A_RUN};
    struct task_row   *rows = NULL;
    size_t             n = 0;

    *found = (struct task_row){0};
    TRY(l->store->ops->task_list(l->store, &f, a, &rows, &n, err));
    for (size_t i = 0; i < n && found->no == 0; i++)
        if (rows[i].execution == execution && strcmp(rows[i].ref, ref) == 0)
            *found = rows[i];
    return HF_OK;
}

int
lane_find_held(struct lane *l, struct job *job, struct err *err)
{
    struct arena    a = {0};
    struct task_row row;

    int rc = find_row(l, job->run_no, job->execution, job->row.ref, &a, &row, err);
    if (rc == HF_OK && row.no && row.holder == l->worker)
        job->row.no = row.no;
    arena_release(&a);
    return rc;
}

int
live_stop_sent(struct lane *l, struct live *live, struct call *c, bool awaited, struct err *err)
{
    struct arena    a = {0};
    struct task_row row;
    const char     *ref = call_ref(c, &live->run.arena);

    if (ref == NULL)
        return err_nomem(err);
    int rc = find_row(l, live->run.row.no, live->run.row.execution, ref, &a, &row, err);
    if (rc == HF_OK && row.no)
        rc = stop_row(l, live, c, &row, awaited, err);
    else if (rc == HF_OK && awaited)
        rc = live_call_cancelled(l, live, c, err);
    arena_release(&a);
    return rc;
}

/* ---- what we hold for others ---- */

static size_t
held_rows(const struct lane *l, int64_t *nos, struct job **jobs)
{
    const struct job_list *lists[] = {&l->handed, &l->slow};
    size_t                 n = 0;

    for (size_t i = 0; i < 2; i++)
        for (struct job *job = lists[i]->head; job; job = job->next)
            if (job->row.no && !job->unwanted && !lane_owns(l, job->row.no)) {
                if (nos) {
                    nos[n] = job->row.no;
                    jobs[n] = job;
                }
                n++;
            }
    return n;
}

/* Their owners say by deleting or releasing a row that its result is not wanted. */
int
lane_watch_held(struct lane *l, struct err *err)
{
    struct arena a = {0};
    int64_t      now = clock_steady_us();

    if (l->n_held == 0 || now < l->held_seen_us + LOOK_US)
        return HF_OK;
    l->held_seen_us = now;
    size_t           n = l->n_held = held_rows(l, NULL, NULL);
    int64_t         *nos = arena_alloc(&a, (n + 1) * sizeof(*nos));
    struct job     **jobs = arena_alloc(&a, (n + 1) * sizeof(*jobs));
    struct task_row *rows = arena_zalloc(&a, (n + 1) * sizeof(*rows));
    int              rc = nos && jobs && rows ? HF_OK : err_nomem(err);
    if (rc == HF_OK && n > 0) {
        held_rows(l, nos, jobs);
        rc = l->store->ops->load_tasks(l->store, nos, n, &a, rows, err);
    }
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        if (rows[i].no == 0 || rows[i].holder != l->worker) {
            atomic_store(&jobs[i]->cancelled, 1);
            jobs[i]->unwanted = true;
        }
    arena_release(&a);
    return rc == HF_UNAVAILABLE || rc == HF_NOMEM ? HF_OK : rc; /* it is looked at again */
}
