/*
 * Clients' writes: all items of a submit in one transaction, in order. Nothing is allocated for an
 * item; its strings are bound as they are.
 */
#include "store/sqlite.h"

#include <string.h>

struct found {
    bool    there, same_token;
    int64_t no;
    int     status;
};

struct submitting {
    struct sqlite *s;
    int64_t        next; /* sequence number for the next row */
    int64_t        now_us;
};

static int
find_run(struct sqlite *s, const char *id, const char *token, struct found *out, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_run_find, err);
    *out = (struct found){0};
    if (q == NULL)
        return err->code;
    bind_text(q, 1, id);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        const char *has = token ? (const char *)sqlite3_column_text(q, 2) : NULL;
        *out = (struct found){
            .there = true,
            .no = sqlite3_column_int64(q, 0),
            .status = sqlite3_column_int(q, 1),
            .same_token = has && strcmp(has, token) == 0,
        };
    }
    sqlite3_reset(q);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? HF_OK : sqlite_fail(s, rc, "find a run", err);
}

/* The number of an unread row of a run, of a kind (and with that key, if not NULL); 0: none. */
static int
has_unread(struct sqlite *s, int64_t run_no, int kind, const char *key, int64_t *no,
           struct err *err)
{
    sqlite3_stmt *q = sql_get(s, key ? SQL_inbox_has_key : SQL_inbox_has_kind, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, run_no);
    bind_int(q, 2, kind);
    if (key)
        bind_text(q, 3, key);
    return sql_int(s, q, 0, no, err);
}

static int
add_inbox(struct submitting *t, const struct submit *item, int64_t run_no, int kind, int64_t *no,
          struct err *err)
{
    sqlite3_stmt *q = sql_get(t->s, SQL_insert_inbox, err);
    if (q == NULL)
        return err->code;
    bool replace = kind == INBOX_REPLACE;
    *no = row_no(row_partition(run_no), 0, t->next++);
    bind_int(q, 1, *no);
    bind_int(q, 2, run_no);
    bind_int(q, 3, kind);
    bind_text(q, 4, replace || kind == INBOX_SIGNAL ? item->name : NULL);
    bind_text(q, 5, item->payload);
    bind_text(q, 6, replace ? item->token : item->key);
    bind_int(q, 7, replace ? item->version : 0);
    bind_int(q, 8, 0);
    bind_int(q, 9, t->now_us);
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(t->s, rc, "store a message", err);
}

/* The id is taken. */
static int
start_existing(struct submitting *t, struct submit *item, const struct found *run, struct err *err)
{
    int64_t no = 0, again = 0, replacing = 0;

    item->no = run->no;
    item->existed = true;
    if (run->same_token)
        return HF_OK;
    if (item->token)
        TRY(has_unread(t->s, run->no, INBOX_REPLACE, item->token, &again, err));
    if (again || item->if_exists == HF_IF_EXISTS_USE)
        return HF_OK;
    if (item->if_exists == IF_EXISTS_LIVE) {
        if (run_has_ended(run->status))
            TRY(has_unread(t->s, run->no, INBOX_REPLACE, NULL, &replacing, err));
        if (!run_has_ended(run->status) || replacing)
            return HF_OK;
    } else if (item->if_exists != HF_IF_EXISTS_REPLACE) {
        return err_set(err, HF_EXISTS, "run %s: the id is taken", item->id);
    }
    return add_inbox(t, item, run->no, INBOX_REPLACE, &no, err);
}

static int
start(struct submitting *t, struct submit *item, struct err *err)
{
    struct found run;
    int32_t      partition = 0;

    TRY(find_run(t->s, item->id, item->token, &run, err));
    if (run.there)
        return start_existing(t, item, &run, err);
    TRY(queue_need(t->s, item->queue, &partition, err));
    sqlite3_stmt *q = sql_get(t->s, SQL_insert_run, err);
    if (q == NULL)
        return err->code;
    item->existed = false;
    item->no = row_no(partition, immediate_stream(item->cls), t->next++);
    bind_int(q, 1, item->no);
    bind_text(q, 2, item->id);
    bind_text(q, 3, item->name);
    bind_text(q, 4, item->payload);
    bind_text(q, 5, item->token);
    sqlite3_bind_null(q, 6);
    sqlite3_bind_null(q, 7);
    bind_int(q, 8, 0);
    bind_int(q, 9, t->now_us);
    bind_int(q, 10, item->version);
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(t->s, rc, "store a run", err);
}

static int
message(struct submitting *t, struct submit *item, int kind, struct err *err)
{
    struct found run;
    int64_t      there = 0;

    TRY(find_run(t->s, item->id, NULL, &run, err));
    if (!run.there)
        return err_set(err, HF_NOT_FOUND, "run %s: not found", item->id);
    if (run_has_ended(run.status)) { /* one that is about to begin anew takes signals already */
        if (kind == INBOX_SIGNAL)
            TRY(has_unread(t->s, run.no, INBOX_REPLACE, NULL, &there, err));
        if (!there)
            return err_set(err, HF_DONE, "run %s: it has ended (%s)", item->id,
                           run_status_name(run.status));
    }
    if (kind == INBOX_SIGNAL && item->key) {
        TRY(has_unread(t->s, run.no, kind, item->key, &there, err));
        if (there) {
            item->no = there;
            return HF_OK;
        }
    }
    return add_inbox(t, item, run.no, kind, &item->no, err);
}

static int
has_id(struct sqlite *s, enum sql id, const char *text, int64_t *no, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, id, err);
    if (q == NULL)
        return err->code;
    bind_text(q, 1, text);
    return sql_int(s, q, 0, no, err);
}

static int
enqueue(struct submitting *t, struct submit *item, struct err *err)
{
    struct sqlite *s = t->s;
    int64_t        taken = 0;
    int32_t        partition = 0;
    bool           delayed = item->run_at_us > t->now_us;

    if (item->id) {
        TRY(has_id(s, SQL_task_has_id, item->id, &taken, err));
        if (!taken)
            TRY(has_id(s, SQL_dead_has_id, item->id, &taken, err));
        if (taken)
            return err_set(err, HF_EXISTS, "task %s: the id is taken", item->id);
    }
    TRY(queue_need(s, item->queue, &partition, err));
    sqlite3_stmt *q = sql_get(s, SQL_insert_task, err);
    if (q == NULL)
        return err->code;
    item->no = row_no(partition, delayed ? STREAM_DELAYED : immediate_stream(item->cls), t->next++);
    bind_int(q, 1, item->no);
    bind_text(q, 2, item->id);
    bind_text(q, 3, item->name);
    bind_text(q, 4, item->payload);
    bind_text(q, 5, item->opts);
    bind_int(q, 6, t->now_us);
    bind_unless(q, 7, delayed ? item->run_at_us : 0, 0);
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, "store a task", err);
}

/* A dead letter is brought back to life, or dropped. */
static int
settle_dead(struct submitting *t, struct submit *item, struct err *err)
{
    struct sqlite *s = t->s;
    int64_t        no = 0;
    int            rc = SQLITE_OK;

    TRY(has_id(s, SQL_dead_has_id, item->id, &no, err));
    if (no == 0)
        return err_set(err, HF_NOT_FOUND, "dead letter %s: not found", item->id);
    sqlite3_stmt *copy = sql_get(s, SQL_dead_to_task, err),
                 *drop = sql_get(s, SQL_delete_dead, err);
    if (copy == NULL || drop == NULL)
        return err->code;
    item->no = no;
    if (item->kind == SUBMIT_RETRY) {
        char own[HF_ID_SIZE];
        task_id_format(no, own);
        item->no = row_no(row_partition(no), immediate_stream(row_stream(no)), t->next++);
        bind_int(copy, 1, item->no);
        bind_int(copy, 2, no);
        bind_text(copy, 3, own);
        rc = sql_run(copy);
    }
    bind_int(drop, 1, no);
    if (rc == SQLITE_OK)
        rc = sql_run(drop);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, "settle a dead letter", err);
}

static int
store_item(struct submitting *t, struct submit *item, struct err *err)
{
    static const int inbox_kinds[] = {[SUBMIT_SIGNAL] = INBOX_SIGNAL,
                                      [SUBMIT_CANCEL] = INBOX_CANCEL,
                                      [SUBMIT_TERMINATE] = INBOX_TERMINATE,
                                      [SUBMIT_PAUSE] = INBOX_PAUSE,
                                      [SUBMIT_RESUME] = INBOX_RESUME};
    switch (item->kind) {
    case SUBMIT_START:
        return start(t, item, err);
    case SUBMIT_ENQUEUE:
        return enqueue(t, item, err);
    case SUBMIT_RETRY:
    case SUBMIT_DISCARD:
        return settle_dead(t, item, err);
    default:
        return message(t, item, inbox_kinds[item->kind], err);
    }
}

static int
store_items(struct sqlite *s, struct submit *items, size_t n, size_t *bad, struct err *err)
{
    struct submitting t = {.s = s, .now_us = clock_now_us(&s->base.clock)};
    TRY(sqlite_take_numbers(s, n, &t.next, err));
    for (size_t i = 0; i < n; i++) {
        *bad = i;
        TRY(store_item(&t, &items[i], err));
    }
    return HF_OK;
}

int
sqlite_submit(struct store *base, struct submit *items, size_t n, size_t *bad, struct err *err)
{
    struct sqlite *s = sqlite_of(base);
    size_t         index = 0;

    if (n == 0)
        return HF_OK;
    if (bad == NULL)
        bad = &index;
    *bad = 0;
    TRY(sqlite_begin_write(s, err));
    s->wrote_rows = s->wrote_due = true;
    int rc = store_items(s, items, n, bad, err);
    if (rc != HF_OK) {
        sqlite_rollback(s);
        return rc;
    }
    TRY(sqlite_commit(s, err));
    checkpointer_restart(s);
    hints_send(s);
    return HF_OK;
}
