/*
 * How runs leave the stage: they end, go on as another execution, are cancelled bit by bit, or are
 * blocked until people mend something. Everything here happens in memory, on an idle run; the next
 * commit makes it true.
 */
#include "worker/lane.h"

#include <string.h>

#include "base/mem.h"

/* ---- cancelling ---- */

static int
cancel_child(struct live *live, struct call *c)
{
    struct extra *x = live_extra(live, WRITE_INBOX);
    if (x == NULL)
        return HF_NOMEM;
    x->write.inbox = (struct inbox_row){.kind = INBOX_CANCEL,
                                        .payload = "its parent was cancelled or has ended"};
    x->write.target = c->run_id;
    c->listed = true; /* asked once */
    return HF_OK;
}

/* A call that nobody works on has ended. */
int
live_call_cancelled(struct lane *l, struct live *live, const struct call *c, struct err *err)
{
    struct event e = {
        .kind = EVENT_ERROR,
        .ref = call_ref(c, &live->run.arena),
        .code = HF_CANCELLED,
        .error_name = "cancelled",
        .time_ms = lane_now_us(l) / US_PER_MS,
    };
    return e.ref ? live_record(l, live, &e, err) : err_nomem(err);
}

/* Asks open calls to stop; those that are with nobody are over at once. `all`: the shielded too. */
int
live_cancel_calls(struct lane *l, struct live *live, bool all, struct err *err)
{
    struct run *r = &live->run;

    for (struct call *c = r->open, *next; c; c = next) {
        next = c->open_next;
        if (c->shielded && !all)
            continue;
        if (c->kind == CALL_CHILD && !c->listed) {
            if (cancel_child(live, c))
                return err_nomem(err);
        } else if (c->kind == CALL_TASK && c->job) {
            atomic_store(&((struct job *)c->job)->cancelled,
                         1); /* it comes back through the done stack, begun or not */
        } else if (c->kind == CALL_TASK && c->sent && l->store->shared) {
            if (!c->listed)
                TRY(live_stop_sent(l, live, c, true, err));
        } else if (c->kind == CALL_TASK) {
            TRY(live_call_cancelled(l, live, c, err));
        }
    }
    return HF_OK;
}

/* ---- ends ---- */

static int
cancel_children(struct live *live, struct err *err)
{
    for (struct call *c = live->run.open; c; c = c->open_next)
        if (c->kind == CALL_CHILD && !c->listed && cancel_child(live, c))
            return err_nomem(err);
    return HF_OK;
}

/* The run needs none of its jobs any more. */
static int
orphan_jobs(struct lane *l, struct live *live, struct err *err)
{
    for (struct call *c = live->run.open; c; c = c->open_next) {
        struct job *job = c->job;
        if (job == NULL && c->kind == CALL_TASK && c->sent && !c->listed && l->store->shared)
            TRY(live_stop_sent(l, live, c, false, err));
        if (job == NULL)
            continue;
        c->job = NULL;
        job->call = NULL;
        job->unwanted = true;
        atomic_store(&job->cancelled, 1);
        live->jobs--;
        if (job->to_row) {
            live_unmake_row(live, job);
            if (job->handed_us == 0) /* in no list: it waits for its row */
                lane_forget_job(l, job);
        } else if (job->row.no) {
            struct extra *x = live_extra(live, WRITE_TASK_DELETE);
            if (x) /* else the row is found to be stale when it is read again */
                x->write.task = arena_zalloc(&live->run.arena, sizeof(struct task_row));
            if (x && x->write.task)
                x->write.task->no = job->row.no;
        }
    }
    while (live->starting) {
        struct job *job = live->starting;
        live->starting = job->next;
        lane_forget_job(l, job);
    }
    return HF_OK;
}

static int
tell_parent(struct live *live, struct err *err)
{
    struct run_row *row = &live->run.row;
    struct extra   *x = row->parent_no ? live_extra(live, WRITE_INBOX) : NULL;

    if (row->parent_no == 0)
        return HF_OK;
    if (x == NULL)
        return err_nomem(err);
    static const int codes[RUN_STATUSES] = {[RUN_COMPLETED] = HF_OK,
                                            [RUN_FAILED] = HF_FAILED,
                                            [RUN_CANCELLED] = HF_CANCELLED,
                                            [RUN_TERMINATED] = HF_TERMINATED};
    x->write.inbox = (struct inbox_row){
        .run_no = row->parent_no,
        .kind = INBOX_CHILD,
        .name = row->parent_ref,
        .aux = row->parent_execution,
        .code = codes[row->status],
        .payload = row->status == RUN_COMPLETED ? row->output : row->error_message,
        .key = row->error_name,
    };
    return HF_OK;
}

int
live_end(struct lane *l, struct live *live, int status, int event, struct err *err)
{
    struct run_row *row = &live->run.row;

    TRY(orphan_jobs(l, live, err));
    TRY(cancel_children(live, err));
    row->status = status;
    row->output = live->run.end_output;
    row->error_name = live->run.end_name;
    row->error_message = live->run.end_message;
    row->ended_us = lane_now_us(l);
    row->wake_us = NEVER_US;
    run_append_end(&live->run, event, row->ended_us / US_PER_MS);
    TRY(tell_parent(live, err));
    live->ended = true;
    live->wants_turn = live->wants_step = false;
    live_dirty(l, live);
    return live->run.out.failed ? err_nomem(err) : HF_OK;
}

/* The rest of an execution's history, as extras, since the run's own events are those of the next
 * one. */
static int
close_history(struct live *live, int event, int64_t now_ms, struct err *err)
{
    struct run *r = &live->run;

    run_append_end(r, event, now_ms);
    buf_puts(&r->out, "]");
    if (r->out.failed)
        return err_nomem(err);
    for (char *at = r->out.data, *end = at + r->out.len; at < end;) {
        char         *eol = memchr(at, '\n', (size_t)(end - at));
        size_t        len = (size_t)((eol ? eol : end) - at);
        struct extra *x = live_extra(live, WRITE_HISTORY);
        if (x == NULL)
            return err_nomem(err);
        x->write.history = (struct history_row){r->row.no, r->row.execution, ++r->seq, at, len};
        at += len + 1;
    }
    struct extra *prune = live_extra(live, WRITE_PRUNE); /* the one before this one goes */
    if (prune == NULL)
        return err_nomem(err);
    prune->write.history = (struct history_row){.run_no = r->row.no, .execution = r->row.execution};
    return HF_OK;
}

static bool
is_unread(const struct run *r, const char *key)
{
    for (const struct signal *s = r->signals; s; s = s->next)
        if (s->key && strcmp(s->key, key) == 0)
            return true;
    return false;
}

/* Keys of signals that were read: a repeated one is still known for what it is. */
static int
carry_keys(struct run *next, const struct run *r, int64_t now_ms, struct err *err)
{
    size_t n = 0;
    for (const struct key *k = r->keys; k && n < RUN_KEYS_MAX; k = k->next, n++) {
        struct event e = {.kind = EVENT_KEY, .key = k->text, .time_ms = now_ms};
        if (!is_unread(r, k->text))
            TRY(run_record(next, &e, NULL, err));
    }
    return HF_OK;
}

/* The first events of the next execution. Unread signals go along. */
static int
begin_execution(struct run *next, const struct run *r, bool replaced, int64_t now_ms,
                struct err *err)
{
    struct event started = {
        .kind = EVENT_STARTED,
        .version = next->row.version,
        .time_ms = now_ms,
        .input = replaced ? next->row.input : r->end_output,
    };
    TRY(run_record(next, &started, NULL, err));
    if (!replaced)
        TRY(carry_keys(next, r, now_ms, err));
    for (struct signal *s = r->signals; !replaced && s; s = s->next) {
        struct event e = {.kind = EVENT_SIGNAL,
                          .name = s->name,
                          .output = s->payload,
                          .key = s->key,
                          .time_ms = s->time_ms};
        TRY(run_record(next, &e, NULL, err));
    }
    return HF_OK;
}

/* The row of the next execution: for a replaced run it is another life under the same id. */
static struct run_row
next_row(const struct lane *l, const struct run_row *row, const struct inbox_row *replace)
{
    struct run_row next = *row;

    next.execution++;
    next.status = RUN_RUNNING;
    if (replace) {
        next.workflow = replace->name;
        next.version = replace->aux;
        next.input = replace->payload;
        next.token = replace->key;
        next.started_us = lane_now_us(l);
        next.custom = next.output = next.error_name = next.error_message = NULL;
        next.ended_us = 0;
        next.crashes = 0;
        next.claimed = false;
    }
    return next;
}

int
live_continue(struct lane *l, struct live *live, const struct inbox_row *replace, struct err *err)
{
    struct run_row         row = next_row(l, &live->run.row, replace);
    int64_t                now_ms = lane_now_us(l) / US_PER_MS;
    const struct workflow *w = registry_find_workflow(l->registry, row.workflow, row.version);
    struct old_run        *old = mem_zalloc(sizeof(*old));

    if (old == NULL)
        return err_nomem(err);
    if (w && row.version == 0)
        row.version = w->version;
    int rc = orphan_jobs(l, live, err);
    if (rc == HF_OK)
        rc = cancel_children(live, err);
    if (rc == HF_OK && !run_has_ended(live->run.row.status))
        rc = close_history(live, replace ? EVENT_TERMINATED : EVENT_CONTINUED, now_ms, err);
    if (rc == HF_OK)
        rc = run_init(&old->run, &row, err); /* the next one, for a moment */
    if (rc == HF_OK && (rc = begin_execution(&old->run, &live->run, replace != NULL, now_ms, err)))
        run_release(&old->run);
    if (rc) {
        mem_free(old);
        return rc;
    }
    if (replace && live->run.row.claimed)
        l->n_claimed_turns--;
    struct run next = old->run;
    old->run = live->run;
    old->next = live->old_runs;
    live->old_runs = old;
    live->run = next;
    live->restart = live->restart || replace != NULL;
    live->workflow = w;
    live->wants_turn = true;
    live_ready(l, live);
    live_dirty(l, live);
    return HF_OK;
}

/* Something is wrong that only people can mend: the run rests, with nothing lost. What came from
 * outside is stored. */
void
live_block(struct lane *l, struct live *live, const char *name, const char *message)
{
    struct run *r = &live->run;

    log_event(l->log, LOG_ERROR, "run_blocked", "run=%s workflow=%s code=%s message=%s", r->row.id,
              r->row.workflow, name, message ? message : "");
    r->row.status = RUN_BLOCKED;
    r->row.error_name = name;
    r->row.error_message =
        arena_strdup(&r->arena, message); /* without memory: blocked in few words */
    live->forget = true;
    live->wants_turn = live->wants_step = false;
    live_dirty(l, live);
}
