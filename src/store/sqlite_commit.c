/*
 * The writes of an owner's batch, inside its transaction, and the transaction itself: fence,
 * writes, commit. Whatever is refused takes the whole batch back and names the unit.
 */
#include "store/sqlite.h"

#include <string.h>
#include <time.h>

enum { PAUSE_US = 500, WINDOW_US = 2000, BUSY_TENTHS = 6, OTHERS_US = 100000 };

struct writing {
    struct sqlite *s;
    int64_t        next; /* sequence number for the next row */
    int64_t        now_us;
};

static int
done(struct writing *t, sqlite3_stmt *q, const char *doing, struct err *err)
{
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(t->s, rc, doing, err);
}

int
sqlite_write_history(struct sqlite *s, const struct history_row *h, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_insert_history, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, h->run_no);
    bind_int(q, 2, h->execution);
    bind_int(q, 3, h->seq);
    sqlite3_bind_text64(q, 4, h->events, h->events_len, SQLITE_STATIC, SQLITE_UTF8);
    int rc = sql_run(q);
    if (rc == SQLITE_CONSTRAINT_PRIMARYKEY)
        return err_set(err, HF_STALE, "history row %d of execution %d is there already", h->seq,
                       h->execution);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, "write history", err);
}

static int
write_run(struct writing *t, const struct run_row *r, bool restart, struct err *err)
{
    sqlite3_stmt *q = sql_get(t->s, restart ? SQL_restart_run : SQL_update_run, err);
    if (q == NULL)
        return err->code;
    bool ended = run_has_ended(r->status);
    bind_int(q, 1, r->no);
    bind_int(q, 2, r->status);
    bind_int(q, 3, r->version);
    bind_int(q, 4, r->execution);
    bind_unless(q, 5, ended ? NEVER_US : r->wake_us, NEVER_US);
    bind_int(q, 6, r->crashes);
    bind_int(q, 7, r->claimed);
    bind_text(q, 8, r->custom);
    bind_text(q, 9, r->output);
    bind_text(q, 10, r->error_name);
    bind_text(q, 11, r->error_message);
    bind_int(q, 12, ended ? (r->ended_us ? r->ended_us : t->now_us) : 0);
    if (restart) {
        bind_text(q, 13, r->workflow);
        bind_text(q, 14, r->input);
        bind_text(q, 15, r->token);
        bind_int(q, 16, r->started_us);
    }
    if (t->s->fetched.next_due_us != NEVER_US || (!ended && r->wake_us != NEVER_US))
        t->s->wrote_due = true;
    return done(t, q, restart ? "restart a run" : "write a run", err);
}

static int
add_inbox(struct writing *t, const struct inbox_row *row, int64_t run_no, struct err *err)
{
    sqlite3_stmt *q = sql_get(t->s, SQL_insert_inbox, err);
    if (q == NULL)
        return err->code;
    t->s->wrote_rows = true;
    bind_int(q, 1, row_no(row_partition(run_no), 0, t->next++));
    bind_int(q, 2, run_no);
    bind_int(q, 3, row->kind);
    bind_text(q, 4, row->name);
    bind_text(q, 5, row->payload);
    bind_text(q, 6, row->key);
    bind_int(q, 7, row->aux);
    bind_int(q, 8, row->code);
    bind_int(q, 9, row->time_us ? row->time_us : t->now_us);
    return done(t, q, "write a message", err);
}

static int
write_inbox(struct writing *t, const struct write *w, struct err *err)
{
    struct sqlite *s = t->s;
    int64_t        no = w->inbox.run_no, status = -1;
    if (no == 0) {
        sqlite3_stmt *q = sql_get(s, SQL_run_find, err);
        if (q == NULL)
            return err->code;
        bind_text(q, 1, w->target);
        TRY(sql_int(s, q, 0, &no, err));
        if (no == 0)
            return HF_OK;
    }
    sqlite3_stmt *q = sql_get(s, SQL_run_status, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, no);
    TRY(sql_int(s, q, -1, &status, err));
    if (status < 0 || run_has_ended((int)status))
        return HF_OK;
    return add_inbox(t, &w->inbox, no, err);
}

/* The id of a child (or a detached run) is taken: by an earlier try of the same start, or not. */
static int
start_taken(struct writing *t, const struct write *w, bool ours, struct err *err)
{
    if (ours || w->parent_no == 0)
        return HF_OK;
    struct inbox_row row = {
        .kind = INBOX_CHILD,
        .name = w->parent_ref,
        .payload = "a run with this id is there already",
        .key = "exists",
        .aux = w->parent_execution,
        .code = HF_FAILED,
    };
    return add_inbox(t, &row, w->parent_no, err);
}

static int
write_start(struct writing *t, const struct write *w, struct err *err)
{
    struct sqlite *s = t->s;
    struct submit *item = w->start;
    int32_t        partition = 0;
    sqlite3_stmt  *find = sql_get(s, SQL_run_find, err), *q = sql_get(s, SQL_insert_run, err);
    if (find == NULL || q == NULL)
        return err->code;
    bind_text(find, 1, item->id);
    int rc = sqlite3_step(find);
    item->existed = rc == SQLITE_ROW;
    const char *has = item->existed ? (const char *)sqlite3_column_text(find, 2) : NULL;
    bool        ours = has && item->token && strcmp(has, item->token) == 0;
    if (item->existed)
        item->no = sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    if (item->existed)
        return start_taken(t, w, ours, err);
    if (rc != SQLITE_DONE)
        return sqlite_fail(s, rc, "find a run", err);
    TRY(queue_need(s, item->queue, &partition, err));
    item->no = row_no(partition, immediate_stream(item->cls), t->next++);
    s->wrote_rows = true;
    bind_int(q, 1, item->no);
    bind_text(q, 2, item->id);
    bind_text(q, 3, item->name);
    bind_text(q, 4, item->payload);
    bind_text(q, 5, item->token);
    bind_unless(q, 6, w->parent_no, 0);
    bind_text(q, 7, w->parent_ref);
    bind_int(q, 8, w->parent_execution);
    bind_int(q, 9, t->now_us);
    bind_int(q, 10, item->version);
    return done(t, q, "write a run", err);
}

static int
write_new_task(struct writing *t, struct task_row *k, struct err *err)
{
    struct sqlite *s = t->s;
    int32_t        partition = row_partition(k->run_no);
    int            stream = k->run_no ? row_stream(k->run_no) : STREAM_NORMAL;
    sqlite3_stmt  *q = sql_get(s, SQL_insert_called_task, err);
    if (q == NULL)
        return err->code;
    if (k->queue || partition == 0)
        TRY(queue_need(s, k->queue, &partition, err));
    int64_t run_at_us = k->run_at_us > t->now_us ? k->run_at_us : 0;
    k->no = row_no(partition, run_at_us ? STREAM_DELAYED : stream, t->next++);
    s->wrote_rows = s->wrote_due = true;
    bind_int(q, 1, k->no);
    bind_text(q, 2, k->id);
    bind_text(q, 3, k->name);
    bind_text(q, 4, k->payload);
    bind_text(q, 5, k->opts);
    bind_int(q, 6, k->created_us ? k->created_us : t->now_us);
    bind_unless(q, 7, run_at_us, 0);
    bind_unless(q, 8, k->run_no, 0);
    bind_int(q, 9, k->execution);
    bind_text(q, 10, k->ref);
    bind_int(q, 11, k->attempt);
    bind_int(q, 12, k->claimed);
    bind_int(q, 13, k->crashes);
    bind_text(q, 14, k->error_name);
    bind_text(q, 15, k->error_message);
    return done(t, q, "write a task", err);
}

static int
write_task(struct writing *t, const struct task_row *k, struct err *err)
{
    sqlite3_stmt *q = sql_get(t->s, SQL_update_task, err);
    if (q == NULL)
        return err->code;
    /* A row of the delayed stream is only found by its time: it must keep one. */
    int64_t run_at_us = k->run_at_us == 0 && row_stream(k->no) == STREAM_DELAYED ? 1 : k->run_at_us;
    bind_int(q, 1, k->no);
    bind_int(q, 2, k->attempt);
    bind_unless(q, 3, run_at_us, 0);
    bind_int(q, 4, k->claimed);
    bind_int(q, 5, k->crashes);
    bind_text(q, 6, k->error_name);
    bind_text(q, 7, k->error_message);
    t->s->wrote_due = true;
    return done(t, q, "write a task", err);
}

static int
change_row(struct writing *t, enum sql id, int64_t no, struct err *err)
{
    sqlite3_stmt *q = sql_get(t->s, id, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, no);
    if (t->s->fetched.next_due_us != NEVER_US)
        t->s->wrote_due = true;
    return done(t, q, sql_text(id), err);
}

static int
write_dead(struct writing *t, const struct task_row *k, struct err *err)
{
    char          id[HF_ID_SIZE];
    sqlite3_stmt *q = sql_get(t->s, SQL_task_to_dead, err);
    if (q == NULL)
        return err->code;
    task_id_format(k->no, id);
    bind_int(q, 1, k->no);
    bind_text(q, 2, id);
    bind_int(q, 3, k->attempt);
    bind_int(q, 4, k->crashes);
    bind_text(q, 5, k->error_name);
    bind_text(q, 6, k->error_message);
    bind_int(q, 7, t->now_us);
    TRY(done(t, q, "write a dead letter", err));
    return change_row(t, SQL_delete_task, k->no, err);
}

static int
write_prune(struct writing *t, const struct history_row *h, struct err *err)
{
    sqlite3_stmt *q = sql_get(t->s, SQL_prune_history, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, h->run_no);
    bind_int(q, 2, h->execution);
    return done(t, q, "prune history", err);
}

static int
write_one(struct writing *t, struct write *w, struct err *err)
{
    switch ((enum write_kind)w->kind) {
    case WRITE_HISTORY:
        return sqlite_write_history(t->s, &w->history, err);
    case WRITE_RUN:
    case WRITE_RESTART:
        return write_run(t, w->run, w->kind == WRITE_RESTART, err);
    case WRITE_PRUNE:
        return write_prune(t, &w->history, err);
    case WRITE_START:
        return write_start(t, w, err);
    case WRITE_TASK_NEW:
        return write_new_task(t, w->task, err);
    case WRITE_TASK:
        return write_task(t, w->task, err);
    case WRITE_TASK_DELETE:
        return change_row(t, SQL_delete_task, w->task->no, err);
    case WRITE_DEAD:
        return write_dead(t, w->task, err);
    case WRITE_INBOX:
        return write_inbox(t, w, err);
    case WRITE_INBOX_DELETE:
        return change_row(t, SQL_delete_inbox, w->inbox.no, err);
    case WRITE_CALM:
        return change_row(t, SQL_calm, w->partition, err);
    case WRITE_HAND_OVER:
        break;
    }
    return err_set(err, HF_INTERNAL, "unknown write %u", w->kind);
}

static bool
makes_row(const struct write *w)
{
    return w->kind == WRITE_START || w->kind == WRITE_TASK_NEW || w->kind == WRITE_INBOX;
}

static int
write_all(struct sqlite *s, struct batch *batch, struct err *err)
{
    struct writing t = {.s = s, .now_us = clock_now_us(&s->base.clock)};
    size_t         rows = 0;

    TRY(sqlite_fence(s, batch->worker, err));
    for (size_t i = 0; i < batch->n_writes; i++)
        rows += makes_row(&batch->writes[i]);
    if (rows > 0)
        TRY(sqlite_take_numbers(s, rows, &t.next, err));
    for (size_t i = 0; i < batch->n_writes; i++) {
        int rc = write_one(&t, &batch->writes[i], err);
        if (rc == HF_REFUSED)
            batch->refused = batch->writes[i].unit;
        if (rc != HF_OK)
            return rc;
    }
    return sqlite_publish(s, err);
}

/*
 * Others that write too get a moment when the owner has held the lock most of the time lately, or
 * they would starve. A run alone, with a commit now and then, needs no gap: it would only be
 * latency.
 */
static int
let_others(struct sqlite *s, struct err *err)
{
    int64_t version = 0, now_us = clock_steady_us();
    TRY(sqlite_data_version(s, &version, err));
    if (version != s->others_version) {
        if (s->others_version >= 0)
            s->others_us = now_us;
        s->others_version = version;
    }
    int64_t window_us = now_us - s->window_us;
    if (window_us < WINDOW_US)
        return HF_OK;
    if (s->others_us && now_us - s->others_us < OTHERS_US &&
        s->held_us * 10 > window_us * BUSY_TENTHS)
        nanosleep(&(struct timespec){0, PAUSE_US * 1000}, NULL);
    s->window_us = clock_steady_us();
    s->held_us = 0;
    return HF_OK;
}

int
sqlite_write_batch(struct sqlite *s, struct batch *batch, struct err *err)
{
    if (batch->worker != s->epoch) /* else the lock is held: nobody can have joined since */
        TRY(sqlite_fence(s, batch->worker, err));
    if (batch->n_writes == 0)
        return HF_OK;
    TRY(let_others(s, err));
    TRY(sqlite_begin_write(s, err));
    int64_t begun_us = clock_steady_us();
    int     rc = write_all(s, batch, err);
    if (rc != HF_OK) {
        sqlite_rollback(s);
        return rc;
    }
    rc = sqlite_commit(s, err);
    s->stats_wait = s->stats_wait && rc != HF_OK;
    s->wrote_us = clock_steady_us();
    s->held_us += s->wrote_us - begun_us;
    checkpointer_restart(s);
    return rc;
}
