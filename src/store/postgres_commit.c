/*
 * A batch's writes as statements over arrays: one for each kind, in an order in which nothing is
 * lost (runs before messages, dead letters before the deletion of their tasks). Nothing is looked
 * at in between; what comes back are the numbers of new rows.
 */
#include <string.h>

#include "store/postgres_cycle.h"

#define EACH_WRITE(t, w, k)                                                                        \
    for (struct write *w = (t)->batch->writes, *w##_end = w + (t)->batch->n_writes; w < w##_end;   \
         w++)                                                                                      \
        if (w->kind == (k) && w->unit >= (t)->from && w->unit < (t)->to)

/* From the last to the first: of two updates of one row in a statement the first one counts. */
#define EACH_WRITE_BACK(t, w, k)                                                                   \
    for (struct write *w##_first = (t)->batch->writes, *w = w##_first + (t)->batch->n_writes;      \
         w-- > w##_first;)                                                                         \
        if (w->kind == (k) && w->unit >= (t)->from && w->unit < (t)->to)

/* The partition in which a write changes or deletes rows; 0: it only inserts. */
static int32_t
partition_changed(const struct write *w)
{
    switch ((enum write_kind)w->kind) {
    case WRITE_HISTORY:
    case WRITE_PRUNE:
        return row_partition(w->history.run_no);
    case WRITE_RUN:
    case WRITE_RESTART:
        return row_partition(w->run->no);
    case WRITE_TASK:
    case WRITE_TASK_DELETE:
    case WRITE_DEAD:
        return row_partition(w->task->no);
    case WRITE_INBOX_DELETE:
        return row_partition(w->inbox.no);
    case WRITE_CALM:
    case WRITE_HAND_OVER:
        return w->partition;
    case WRITE_TASK_NEW: /* by the partition's owner, unless it goes to a queue */
        return w->task->queue ? 0 : row_partition(w->task->run_no);
    case WRITE_START:
    case WRITE_INBOX:
        break;
    }
    return 0;
}

/* A write outside the fence would be no error for the server. */
static bool
is_fenced(const struct batch *batch, int32_t partition, int32_t *last)
{
    if (partition == 0 || partition == *last)
        return true;
    *last = partition;
    for (size_t i = 0; i < batch->n_partitions; i++)
        if (batch->partitions[i] == partition)
            return true;
    return false;
}

int
pg_write_begin(struct pg_writing *t, struct postgres *s, struct batch *batch, uint32_t from,
               uint32_t to, struct arena *a, struct err *err)
{
    int32_t last = 0;
    *t = (struct pg_writing){.s = s, .batch = batch, .from = from, .to = to};
    for (size_t i = 0; i < batch->n_writes; i++) {
        const struct write *w = &batch->writes[i];
        if (w->kind > WRITE_HAND_OVER)
            return err_set(err, HF_INTERNAL, "unknown write %u", w->kind);
        if (!is_fenced(batch, partition_changed(w), &last))
            return err_set(err, HF_INTERNAL, "write %zu: partition %d is not among the batch's", i,
                           (int)last);
        if (w->unit >= from && w->unit < to)
            t->count[w->kind]++;
    }
    t->ended =
        arena_alloc(a, (t->count[WRITE_RUN] + t->count[WRITE_RESTART] + 1) * sizeof(int64_t));
    t->touched = arena_alloc(
        a, (t->count[WRITE_START] + t->count[WRITE_TASK_NEW] + t->count[WRITE_INBOX] + 1) *
               sizeof(int32_t));
    return t->ended && t->touched ? HF_OK : err_nomem(err);
}

/* ---- sending */

static void
send_fence(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    pg_put_int8(a, t->batch->worker);
    int ids = pg_array(a, PG_INT2);
    for (size_t i = 0; i < t->batch->n_partitions; i++)
        pg_add_int2(a, ids, t->batch->partitions[i]);
    pg_send(t->s, PG_commit_fence, a);
}

static void
send_starts(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int id = pg_array(a, PG_TEXT), workflow = pg_array(a, PG_TEXT), queue = pg_array(a, PG_TEXT),
        cls = pg_array(a, PG_INT2), version = pg_array(a, PG_INT4), input = pg_array(a, PG_TEXT),
        token = pg_array(a, PG_TEXT), parent = pg_array(a, PG_INT8), ref = pg_array(a, PG_TEXT),
        execution = pg_array(a, PG_INT4);
    EACH_WRITE(t, w, WRITE_START)
    {
        pg_add_text(a, id, w->start->id);
        pg_add_text(a, workflow, w->start->name);
        pg_add_text(a, queue, w->start->queue ? w->start->queue : "default");
        pg_add_int2(a, cls, pg_class(w->start->cls));
        pg_add_int4(a, version, w->start->version);
        pg_add_text(a, input, w->start->payload);
        pg_add_text(a, token, w->start->token);
        pg_add_int8_unless(a, parent, w->parent_no, 0);
        pg_add_text(a, ref, w->parent_ref);
        pg_add_int4(a, execution, w->parent_execution);
    }
    pg_now(t->s, a);
    pg_send(t->s, PG_commit_starts, a);
}

static void
send_started(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int             id = pg_array(a, PG_TEXT), token = pg_array(a, PG_TEXT);
    EACH_WRITE(t, w, WRITE_START)
    {
        pg_add_text(a, id, w->start->id);
        pg_add_text(a, token, w->start->token);
    }
    pg_send(t->s, PG_commit_started, a);
}

static void
send_taken(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int id = pg_array(a, PG_TEXT), token = pg_array(a, PG_TEXT), parent = pg_array(a, PG_INT8),
        ref = pg_array(a, PG_TEXT), execution = pg_array(a, PG_INT4);
    EACH_WRITE(t, w, WRITE_START)
    {
        pg_add_text(a, id, w->start->id);
        pg_add_text(a, token, w->start->token);
        pg_add_int8_unless(a, parent, w->parent_no, 0);
        pg_add_text(a, ref, w->parent_ref);
        pg_add_int4(a, execution, w->parent_execution);
    }
    pg_put_int2(a, INBOX_CHILD);
    pg_put_int4(a, HF_FAILED);
    pg_now(t->s, a);
    pg_send(t->s, PG_commit_taken, a);
}

static void
send_history(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int no = pg_array(a, PG_INT8), execution = pg_array(a, PG_INT4), seq = pg_array(a, PG_INT4),
        events = pg_array(a, PG_TEXT);
    EACH_WRITE(t, w, WRITE_HISTORY)
    {
        pg_add_int8(a, no, w->history.run_no);
        pg_add_int4(a, execution, w->history.execution);
        pg_add_int4(a, seq, w->history.seq);
        pg_add_text_n(a, events, w->history.events, w->history.events_len);
    }
    pg_send(t->s, PG_commit_history, a);
}

static void
send_prunes(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int             no = pg_array(a, PG_INT8), execution = pg_array(a, PG_INT4);
    EACH_WRITE(t, w, WRITE_PRUNE)
    {
        pg_add_int8(a, no, w->history.run_no);
        pg_add_int4(a, execution, w->history.execution);
    }
    pg_send(t->s, PG_commit_prune, a);
}

static void
send_runs(struct pg_writing *t, enum write_kind kind)
{
    struct pg_args *a = pg_args(t->s);
    int no = pg_array(a, PG_INT8), status = pg_array(a, PG_INT2), version = pg_array(a, PG_INT4),
        execution = pg_array(a, PG_INT4), wake = pg_array(a, PG_INT8),
        crashes = pg_array(a, PG_INT4), claimed = pg_array(a, PG_BOOL),
        custom = pg_array(a, PG_TEXT), output = pg_array(a, PG_TEXT),
        error_name = pg_array(a, PG_TEXT), error_message = pg_array(a, PG_TEXT),
        ended = pg_array(a, PG_INT8);
    pg_now(t->s, a);
    EACH_WRITE_BACK(t, w, kind)
    {
        const struct run_row *r = w->run;
        bool                  has_ended = run_has_ended(r->status);
        if (has_ended)
            t->ended[t->n_ended++] = r->no;
        pg_add_int8(a, no, r->no);
        pg_add_int2(a, status, r->status);
        pg_add_int4(a, version, r->version);
        pg_add_int4(a, execution, r->execution);
        pg_add_int8_unless(a, wake, has_ended ? NEVER_US : r->wake_us, NEVER_US);
        pg_add_int4(a, crashes, r->crashes);
        pg_add_bool(a, claimed, r->claimed && !has_ended);
        pg_add_text(a, custom, r->custom);
        pg_add_text(a, output, r->output);
        pg_add_text(a, error_name, r->error_name);
        pg_add_text(a, error_message, r->error_message);
        pg_add_int8_unless(a, ended, r->ended_us, 0);
    }
    if (kind == WRITE_RESTART) {
        int workflow = pg_array(a, PG_TEXT), input = pg_array(a, PG_TEXT),
            token = pg_array(a, PG_TEXT), started = pg_array(a, PG_INT8);
        EACH_WRITE_BACK(t, w, kind)
        {
            pg_add_text(a, workflow, w->run->workflow);
            pg_add_text(a, input, w->run->input);
            pg_add_text(a, token, w->run->token);
            pg_add_int8(a, started, w->run->started_us);
        }
    }
    pg_send(t->s, kind == WRITE_RESTART ? PG_commit_restarts : PG_commit_runs, a);
}

static void
send_new_tasks(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int id = pg_array(a, PG_TEXT), name = pg_array(a, PG_TEXT), payload = pg_array(a, PG_TEXT),
        opts = pg_array(a, PG_TEXT), queue = pg_array(a, PG_TEXT), cls = pg_array(a, PG_INT2),
        run = pg_array(a, PG_INT8), execution = pg_array(a, PG_INT4), ref = pg_array(a, PG_TEXT),
        created = pg_array(a, PG_INT8), run_at = pg_array(a, PG_INT8),
        attempt = pg_array(a, PG_INT4), crashes = pg_array(a, PG_INT4),
        claimed = pg_array(a, PG_INT8), error_name = pg_array(a, PG_TEXT),
        error_message = pg_array(a, PG_TEXT);
    EACH_WRITE(t, w, WRITE_TASK_NEW)
    {
        const struct task_row *k = w->task;
        pg_add_text(a, id, k->id);
        pg_add_text(a, name, k->name);
        pg_add_text(a, payload, k->payload);
        pg_add_text(a, opts, k->opts);
        pg_add_text(a, queue, k->queue || k->run_no ? k->queue : "default");
        pg_add_int2(a, cls, k->run_no ? pg_class(row_stream(k->run_no)) : STREAM_NORMAL);
        pg_add_int8_unless(a, run, k->run_no, 0);
        pg_add_int4(a, execution, k->execution);
        pg_add_text(a, ref, k->ref);
        pg_add_int8_unless(a, created, k->created_us, 0);
        pg_add_int8_unless(a, run_at, k->run_at_us, 0);
        pg_add_int4(a, attempt, k->attempt);
        pg_add_int4(a, crashes, k->crashes);
        pg_add_int8_unless(a, claimed, k->claimed ? t->batch->worker : 0, 0);
        pg_add_text(a, error_name, k->error_name);
        pg_add_text(a, error_message, k->error_message);
    }
    pg_now(t->s, a);
    pg_send(t->s, PG_commit_new_tasks, a);
}

static void
send_tasks(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int no = pg_array(a, PG_INT8), attempt = pg_array(a, PG_INT4), run_at = pg_array(a, PG_INT8),
        crashes = pg_array(a, PG_INT4), claimed = pg_array(a, PG_INT8),
        error_name = pg_array(a, PG_TEXT), error_message = pg_array(a, PG_TEXT);
    EACH_WRITE_BACK(t, w, WRITE_TASK)
    {
        const struct task_row *k = w->task;
        pg_add_int8(a, no, k->no);
        pg_add_int4(a, attempt, k->attempt);
        pg_add_int8_unless(a, run_at, k->run_at_us, 0);
        pg_add_int4(a, crashes, k->crashes);
        pg_add_int8_unless(a, claimed, k->claimed ? t->batch->worker : 0, 0);
        pg_add_text(a, error_name, k->error_name);
        pg_add_text(a, error_message, k->error_message);
    }
    pg_send(t->s, PG_commit_tasks, a);
}

static void
send_dead(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int no = pg_array(a, PG_INT8), id = pg_array(a, PG_TEXT), attempts = pg_array(a, PG_INT4),
        crashes = pg_array(a, PG_INT4), error_name = pg_array(a, PG_TEXT),
        error_message = pg_array(a, PG_TEXT);
    EACH_WRITE(t, w, WRITE_DEAD)
    {
        char text[HF_ID_SIZE];
        task_id_format(w->task->no, text);
        pg_add_int8(a, no, w->task->no);
        pg_add_text(a, id, text);
        pg_add_int4(a, attempts, w->task->attempt);
        pg_add_int4(a, crashes, w->task->crashes);
        pg_add_text(a, error_name, w->task->error_name);
        pg_add_text(a, error_message, w->task->error_message);
    }
    pg_now(t->s, a);
    pg_send(t->s, PG_commit_dead, a);
}

static void
send_task_deletes(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int             no = pg_array(a, PG_INT8);
    EACH_WRITE(t, w, WRITE_TASK_DELETE)
    pg_add_int8(a, no, w->task->no);
    EACH_WRITE(t, w, WRITE_DEAD)
    pg_add_int8(a, no, w->task->no);
    pg_send(t->s, PG_commit_task_deletes, a);
}

static void
send_inbox(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int run = pg_array(a, PG_INT8), id = pg_array(a, PG_TEXT), task = pg_array(a, PG_INT8),
        kind = pg_array(a, PG_INT2), name = pg_array(a, PG_TEXT), payload = pg_array(a, PG_TEXT),
        key = pg_array(a, PG_TEXT), aux = pg_array(a, PG_INT4), code = pg_array(a, PG_INT4),
        attempt = pg_array(a, PG_INT4), sender = pg_array(a, PG_INT8), time = pg_array(a, PG_INT8);
    EACH_WRITE(t, w, WRITE_INBOX)
    {
        const struct inbox_row *i = &w->inbox;
        pg_add_int8_unless(a, run, i->run_no, 0);
        pg_add_text(a, id, i->run_no ? NULL : w->target);
        pg_add_int8_unless(a, task, i->task_no, 0);
        pg_add_int2(a, kind, i->kind);
        pg_add_text(a, name, i->name);
        pg_add_text(a, payload, i->payload);
        pg_add_text(a, key, i->key);
        pg_add_int4(a, aux, i->aux);
        pg_add_int4(a, code, i->code);
        pg_add_int4(a, attempt, i->attempt);
        pg_add_int8_unless(a, sender, i->sender, 0);
        pg_add_int8_unless(a, time, i->time_us, 0);
    }
    pg_now(t->s, a);
    pg_send(t->s, PG_commit_inbox, a);
}

static void
send_inbox_deletes(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int             no = pg_array(a, PG_INT8);
    EACH_WRITE(t, w, WRITE_INBOX_DELETE)
    pg_add_int8(a, no, w->inbox.no);
    pg_send(t->s, PG_commit_inbox_deletes, a);
}

static void
send_calm(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    int             id = pg_array(a, PG_INT2);
    EACH_WRITE(t, w, WRITE_CALM)
    pg_add_int2(a, id, w->partition);
    pg_send(t->s, PG_commit_calm, a);
}

static void
send_hand_over(struct pg_writing *t)
{
    struct pg_args *a = pg_args(t->s);
    pg_put_int8(a, t->batch->worker);
    int id = pg_array(a, PG_INT2), to = pg_array(a, PG_INT8);
    EACH_WRITE(t, w, WRITE_HAND_OVER)
    {
        pg_add_int2(a, id, w->partition);
        pg_add_int8(a, to, w->to);
    }
    pg_send(t->s, PG_commit_hand_over, a);
}

void
pg_write_send(struct pg_writing *t)
{
    const uint32_t *count = t->count;

    send_fence(t);
    if (count[WRITE_START]) {
        send_starts(t);
        send_started(t);
        send_taken(t);
    }
    if (count[WRITE_HISTORY])
        send_history(t);
    if (count[WRITE_PRUNE])
        send_prunes(t);
    if (count[WRITE_RESTART])
        send_runs(t, WRITE_RESTART);
    if (count[WRITE_RUN])
        send_runs(t, WRITE_RUN);
    if (count[WRITE_TASK_NEW])
        send_new_tasks(t);
    if (count[WRITE_TASK])
        send_tasks(t);
    if (count[WRITE_DEAD])
        send_dead(t);
    if (count[WRITE_TASK_DELETE] || count[WRITE_DEAD])
        send_task_deletes(t);
    if (count[WRITE_INBOX])
        send_inbox(t);
    if (count[WRITE_INBOX_DELETE])
        send_inbox_deletes(t);
    if (count[WRITE_CALM])
        send_calm(t);
    if (count[WRITE_HAND_OVER])
        send_hand_over(t);
}

/* ---- results */

static void
touch(struct pg_writing *t, int64_t no)
{
    int32_t partition = row_partition(no);
    if (t->n_touched == 0 || t->touched[t->n_touched - 1] != partition)
        t->touched[t->n_touched++] = partition;
}

static int
skip(struct pg_writing *t, int n, struct err *err)
{
    while (n-- > 0)
        TRY(pg_result(t->s, err));
    return HF_OK;
}

static int
read_started(struct pg_writing *t, struct err *err)
{
    int i = 0;
    TRY(pg_result(t->s, err));
    EACH_WRITE(t, w, WRITE_START)
    {
        if (i >= pg_rows(t->s))
            break;
        w->start->no = pg_get_int(t->s, i, 0);
        w->start->existed = pg_get_int(t->s, i++, 1) != 0;
        if (w->start->no && !w->start->existed)
            touch(t, w->start->no);
    }
    return HF_OK;
}

static int
read_new_tasks(struct pg_writing *t, struct err *err)
{
    int i = 0;
    TRY(pg_result(t->s, err));
    EACH_WRITE(t, w, WRITE_TASK_NEW)
    {
        if (i >= pg_rows(t->s))
            break;
        w->task->no = pg_get_int(t->s, i++, 0);
        touch(t, w->task->no);
    }
    return HF_OK;
}

int
pg_write_results(struct pg_writing *t, struct err *err)
{
    const uint32_t *count = t->count;

    TRY(skip(t, 1, err));
    if (count[WRITE_START]) {
        TRY(skip(t, 1, err));
        TRY(read_started(t, err));
        TRY(skip(t, 1, err));
    }
    TRY(skip(t,
             !!count[WRITE_HISTORY] + !!count[WRITE_PRUNE] + !!count[WRITE_RESTART] +
                 !!count[WRITE_RUN],
             err));
    if (count[WRITE_TASK_NEW])
        TRY(read_new_tasks(t, err));
    TRY(skip(t,
             !!count[WRITE_TASK] + !!count[WRITE_DEAD] +
                 (count[WRITE_TASK_DELETE] || count[WRITE_DEAD]),
             err));
    if (count[WRITE_INBOX] == 0)
        return HF_OK;
    TRY(pg_result(t->s, err));
    for (int i = 0; i < pg_rows(t->s); i++)
        touch(t, pg_get_int(t->s, i, 0));
    return HF_OK;
}

/* ---- behind the commit */

bool
pg_write_tell(struct pg_writing *t)
{
    return t->n_ended > 0 && pg_tell(t->s, t->ended, t->n_ended);
}

void
pg_write_hint(struct pg_writing *t, const struct cursor *cursors, size_t n)
{
    size_t others = 0;
    bool   sent = false;

    for (size_t i = 0; i < t->n_touched; i++) {
        size_t k = 0;
        while (k < n && cursors[k].partition != t->touched[i])
            k++;
        if (k == n)
            t->touched[others++] = t->touched[i];
    }
    if (others > 0) {
        pg_hint(t->s, t->touched, others);
        sent = true;
    }
    EACH_WRITE(t, w, WRITE_HAND_OVER)
    {
        if (w->to)
            pg_hint_owner(t->s, w->to);
        else
            pg_hint_workers(t->s);
        sent = true;
    }
    if (sent)
        pg_push(t->s);
}
