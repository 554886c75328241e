/* The memory store's batch: the owner's writes, one after the other, in a transaction. */
#include <string.h>

#include "base/mem.h"
#include "store/memory.h"

int
memory_fence(const struct memory_db *db, int64_t worker, struct err *err)
{
    if (worker == 0 || worker != db->last_worker || db->has_left)
        return err_set(err, HF_STALE, "worker %lld is not the owner any more", (long long)worker);
    return HF_OK;
}

/* The rule of the data that this store does not take, for tests: it is in the text, as it is or as
 * JSON says it. */
static bool
is_refused(const char *text)
{
    return text && (strstr(text, "\x01refuse") || strstr(text, "\\u0001refuse"));
}

static int
refuse(struct batch *batch, const struct write *w, struct err *err)
{
    batch->refused = w->unit;
    return err_set(err, HF_REFUSED, "unit %u: the store does not take it", w->unit);
}

static int
write_history(struct memory_db *db, struct batch *batch, const struct write *w, struct err *err)
{
    struct history_row row = w->history;
    int                rc;

    if (db_find(db, HISTORY, &row))
        return err_set(err, HF_STALE, "history %lld/%d/%d: it is there already",
                       (long long)row.run_no, row.execution, row.seq);
    char *events = mem_alloc(row.events_len + 1);
    if (events == NULL)
        return err_nomem(err);
    if (row.events_len)
        memcpy(events, row.events, row.events_len);
    events[row.events_len] = '\0';
    row.events = events;
    rc = is_refused(events) ? refuse(batch, w, err) : db_put(db, HISTORY, &row, err);
    mem_free(events);
    return rc;
}

/* The mutable fields of a run; those of another life too. */
static int
write_run(struct memory_db *db, struct batch *batch, const struct write *w, int64_t now_us,
          struct err *err)
{
    struct run_row *old = db_run(db, w->run->no), row = *w->run;

    if (is_refused(row.output))
        return refuse(batch, w, err);
    if (old == NULL)
        return HF_OK;
    row.id = old->id;
    row.queue = old->queue;
    row.parent_no = old->parent_no;
    row.parent_ref = old->parent_ref;
    row.parent_execution = old->parent_execution;
    row.fresh = false;
    if (run_has_ended(row.status)) {
        row.wake_us = NEVER_US;
        row.ended_us = row.ended_us ? row.ended_us : now_us;
    } else {
        row.ended_us = 0;
    }
    if (w->kind == WRITE_RUN) {
        row.workflow = old->workflow;
        row.input = old->input;
        row.token = old->token;
        row.started_us = old->started_us;
    }
    return db_put(db, RUNS, &row, err);
}

static int
write_prune(struct memory_db *db, const struct write *w, struct err *err)
{
    const struct history_row *limit = &w->history;
    struct history_row        from = {.run_no = limit->run_no};

    for (size_t i; (i = db_after(db, HISTORY, &from)) < db->tables[HISTORY].n;) {
        struct history_row *row = db->tables[HISTORY].rows[i];
        if (row->run_no != limit->run_no || row->execution >= limit->execution)
            break;
        TRY(db_drop(db, HISTORY, row, err));
    }
    return HF_OK;
}

static int
write_inbox(struct memory_db *db, struct inbox_row row, const char *target, int64_t now_us,
            struct err *err)
{
    if (db->partitions_a_queue && row.run_no == 0 && row.task_no && target == NULL)
        return db_add_inbox(db, &row, now_us, err);
    struct run_row *run = row.run_no ? db_run(db, row.run_no)
                          : target   ? db_run_by_id(db, target)
                                     : NULL;

    if (run == NULL || run_has_ended(run->status))
        return HF_OK;
    row.run_no = run->no;
    return db_add_inbox(db, &row, now_us, err);
}

static int
write_start(struct memory_db *db, const struct write *w, int64_t now_us, struct err *err)
{
    struct run_row *run = db_run_by_id(db, w->start->id);

    if (run == NULL)
        return db_add_run(db, w->start,
                          &(struct run_row){.parent_no = w->parent_no,
                                            .parent_ref = w->parent_ref,
                                            .parent_execution = w->parent_execution},
                          now_us, err);
    w->start->no = run->no;
    w->start->existed = true;
    bool is_ours = is_text(run->token, w->start->token);
    if (is_ours || w->parent_no == 0)
        return HF_OK;
    struct inbox_row answer = {.run_no = w->parent_no,
                               .kind = INBOX_CHILD,
                               .name = w->parent_ref,
                               .payload = "a run with this id is there already",
                               .key = "exists",
                               .aux = w->parent_execution,
                               .code = HF_FAILED};
    return db_add_inbox(db, &answer, now_us, err);
}

/* An exclusive store has but one worker, and does not say which. */
static int64_t
holder(const struct memory_db *db, const struct batch *batch, const struct task_row *task)
{
    return db->partitions_a_queue && task->claimed ? batch->worker : 0;
}

static int
write_task_new(struct memory_db *db, struct batch *batch, const struct write *w, int64_t now_us,
               struct err *err)
{
    struct task_row task = *w->task;
    struct run_row *run = task.run_no ? db_run(db, task.run_no) : NULL;

    if (task.id && db_find(db, TASK_IDS, &(struct name){.text = task.id}))
        return refuse(batch, w, err);
    task.holder = holder(db, batch, &task);
    TRY(db_add_task(db, &task, task.queue == NULL && run ? row_partition(run->no) : 0,
                    run ? row_stream(run->no) : STREAM_NORMAL, now_us, err));
    w->task->no = task.no;
    return HF_OK;
}

static int
write_task(struct memory_db *db, const struct batch *batch, const struct task_row *task,
           struct err *err)
{
    struct task_row *old = db_find(db, TASKS, task), row;

    if (old == NULL)
        return HF_OK;
    row = *old;
    row.attempt = task->attempt;
    row.run_at_us = task->run_at_us;
    row.claimed = task->claimed;
    row.holder = holder(db, batch, task);
    row.crashes = task->crashes;
    row.error_name = task->error_name;
    row.error_message = task->error_message;
    return db_put(db, TASKS, &row, err);
}

/* The id of a task goes with it, unless it becomes that of a dead letter. */
static int
drop_task(struct memory_db *db, int64_t no, bool with_id, struct err *err)
{
    struct task_row *old = db_find(db, TASKS, &(struct task_row){.no = no});

    if (old == NULL)
        return HF_OK;
    if (old->id && with_id)
        TRY(db_drop(db, TASK_IDS, &(struct name){.text = old->id}, err));
    TRY(db_drop(db, AGAIN, &(struct again){.task_no = no}, err));
    return db_drop(db, TASKS, old, err);
}

static int
write_dead(struct memory_db *db, const struct task_row *task, int64_t now_us, struct err *err)
{
    struct task_row *old = db_find(db, TASKS, task);
    char             id[HF_ID_SIZE];

    if (old == NULL)
        return HF_OK;
    task_id_format(old->no, id);
    struct dead_row dead = {.no = old->no,
                            .id = old->id ? old->id : id,
                            .name = old->name,
                            .payload = old->payload,
                            .queue = old->queue,
                            .opts = old->opts,
                            .attempts = task->attempt,
                            .crashes = task->crashes,
                            .error_name = task->error_name,
                            .error_message = task->error_message,
                            .created_us = old->created_us,
                            .died_us = now_us};
    TRY(db_put(db, DEAD, &dead, err));
    return drop_task(db, old->no, false, err);
}

static int
write_calm(struct memory_db *db, int32_t id, struct err *err)
{
    struct partition *old = db_find(db, PARTITIONS, &(struct partition){.id = id}), row;

    if (old == NULL)
        return HF_OK;
    row = *old;
    row.crashes = 0;
    return db_put(db, PARTITIONS, &row, err);
}

static int
write_one(struct memory_db *db, struct batch *batch, struct write *w, int64_t now_us,
          struct err *err)
{
    switch ((enum write_kind)w->kind) {
    case WRITE_HISTORY:
        return write_history(db, batch, w, err);
    case WRITE_RUN:
    case WRITE_RESTART:
        return write_run(db, batch, w, now_us, err);
    case WRITE_PRUNE:
        return write_prune(db, w, err);
    case WRITE_START:
        return write_start(db, w, now_us, err);
    case WRITE_TASK_NEW:
        return write_task_new(db, batch, w, now_us, err);
    case WRITE_TASK:
        return write_task(db, batch, w->task, err);
    case WRITE_TASK_DELETE:
        return drop_task(db, w->task->no, true, err);
    case WRITE_DEAD:
        return write_dead(db, w->task, now_us, err);
    case WRITE_INBOX:
        return write_inbox(db, w->inbox, w->target, now_us, err);
    case WRITE_INBOX_DELETE:
        return db_drop(db, INBOX, &w->inbox, err);
    case WRITE_CALM:
        return write_calm(db, w->partition, err);
    case WRITE_HAND_OVER:
        if (db->partitions_a_queue)
            return shared_hand_over(db, w, err);
        break;
    }
    return err_set(err, HF_INTERNAL, "write: no such kind: %u", w->kind);
}

static bool
makes_row(const struct write *w)
{
    return w->kind == WRITE_START || w->kind == WRITE_TASK_NEW || w->kind == WRITE_INBOX;
}

int
memory_write(struct memory_store *m, struct batch *batch, int64_t now_us, struct err *err)
{
    struct memory_db *db = m->db;
    int64_t           makers = 0;
    int rc = m->store.shared ? shared_fence(db, batch, err) : memory_fence(db, batch->worker, err);

    db_begin(db);
    for (size_t i = 0; i < batch->n_writes; i++)
        makers += makes_row(&batch->writes[i]);
    for (size_t i = 0; i < batch->n_writes && rc == HF_OK; i++)
        rc = write_one(db, batch, &batch->writes[i], now_us, err);
    db->last_seq = db->seq_before + makers;
    if (rc == HF_OK) {
        db_hint(db, &m->store);
        db_commit(db);
    } else {
        db_rollback(db);
    }
    return rc;
}
