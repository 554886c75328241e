/*
 * What comes for a run from outside: results of its jobs, inbox rows, timers that are due. A run
 * that is with a slot gets them when it is back; the order in which they came is kept.
 */
#include "worker/lane.h"

#include <string.h>

#include "base/id.h"
#include "base/mem.h"

/* ---- results ---- */

/* A row that is not wanted any more goes with the run's commit. */
static int
delete_row(struct live *live, int64_t no, struct err *err)
{
    struct extra *x = live_extra(live, WRITE_TASK_DELETE);
    if (x == NULL ||
        (x->write.task = arena_zalloc(&live->run.arena, sizeof(struct task_row))) == NULL)
        return err_nomem(err);
    x->write.task->no = no;
    return HF_OK;
}

static int
delete_inbox(struct live *live, int64_t no, struct err *err)
{
    struct extra *x = live_extra(live, WRITE_INBOX_DELETE);
    if (x == NULL)
        return err_nomem(err);
    x->write.inbox.no = no;
    return HF_OK;
}

void
live_unmake_row(struct live *live, struct job *job)
{
    job->to_row = false;
    for (struct extra **p = &live->extras; *p; p = &(*p)->next)
        if ((*p)->write.kind == WRITE_TASK_NEW && (*p)->write.task == &job->row) {
            struct extra *x = *p;
            *p = x->next;
            if (live->extras_end == &x->next)
                live->extras_end = p;
            return;
        }
}

/* Tries again later, as a row. */
static int
retry_call(struct lane *l, struct live *live, struct job *job, int64_t at_us, struct err *err)
{
    job->row.attempt = job->attempt;
    job->row.crashes = 0;
    return job_leave_as_row(l, live, job, at_us, err);
}

static int
record_result(struct lane *l, struct live *live, const struct job *job, int code, struct err *err)
{
    struct event e = {
        .kind = code == HF_OK ? EVENT_DONE : EVENT_ERROR,
        .ref = job->row.ref,
        .attempts = job->attempt > 1 ? job->attempt : 0,
        .time_ms = lane_now_us(l) / US_PER_MS,
    };
    if (code == HF_OK) {
        e.output = job->output;
    } else {
        e.code = code == HF_FAILED ? 0 : code;
        e.error_name = job->error_name        ? job->error_name
                       : code == HF_CANCELLED ? "cancelled"
                                              : "failed";
        e.message = job->error_message;
    }
    return live_record(l, live, &e, err);
}

static int
take_job(struct lane *l, struct live *live, struct job *job, struct err *err)
{
    struct run  *r = &live->run;
    struct call *c = job->execution == r->row.execution ? run_find(r, job->row.ref) : NULL;
    bool         wanted = c && !c->closed && !live->ended;
    bool         failed = job->code == HF_FAILED || job->code == HF_TIMEOUT;

    /* From before another owner made a row of it: a failure is that row's to tell. */
    if (wanted && c->sent && job->row.no == 0 && !job->to_row && failed)
        wanted = false;
    if (c && c->job == job) {
        c->job = NULL;
        live->jobs--;
    }
    if (job->to_row && job->released) { /* given up: the row is for whoever reads it */
        int rc = job_leave_its_row(live, job, err);
        lane_forget_job(l, job);
        return rc;
    }
    if (job->to_row)
        live_unmake_row(live, job);
    live_dirty(l, live);
    int code = job->code;
    if (wanted && code == HF_FAILED && c->settled && c->code == HF_CANCELLED)
        code = HF_CANCELLED;
    failed = code == HF_FAILED || code == HF_TIMEOUT;
    int64_t again_us = wanted && failed ? job_retry_at_us(l, job) : 0;
    int     rc = HF_OK;
    if (again_us) {
        rc = retry_call(l, live, job, again_us, err);
    } else {
        if (wanted)
            rc = record_result(l, live, job, code, err);
        if (rc == HF_OK && job->row.no)
            rc = delete_row(live, job->row.no, err);
    }
    if (rc == HF_OK && job->inbox_no) {
        rc = delete_inbox(live, job->inbox_no, err);
        job->inbox_no = 0;
    }
    if (wanted && !again_us && rc == HF_OK) { /* kept until it is stored: a commit may get lost */
        job->call = NULL;
        job->next = live->recorded;
        live->recorded = job;
    } else {
        lane_forget_job(l, job);
    }
    return rc;
}

/* ---- timers ---- */

int
live_take_due(struct lane *l, struct live *live, struct err *err)
{
    int64_t now_ms = lane_now_us(l) / US_PER_MS;

    if (live->ended)
        return HF_OK;
    for (struct call *c = live->run.open, *next; c; c = next) {
        next = c->open_next;
        if (c->due_ms == 0 || c->due_ms > now_ms || c->settled)
            continue;
        const char  *ref = call_ref(c, &live->run.arena);
        struct event e = {.kind = EVENT_FIRED, .ref = ref, .time_ms = now_ms};
        if (ref == NULL)
            return err_nomem(err);
        TRY(live_record(l, live, &e, err));
    }
    live_dirty(l, live);
    return HF_OK;
}

/* ---- the inbox ---- */

static int
take_child(struct lane *l, struct live *live, const struct inbox_row *row, struct err *err)
{
    struct call *c = row->aux == live->run.row.execution ? run_find(&live->run, row->name) : NULL;
    struct event e = {
        .kind = row->code == HF_OK ? EVENT_DONE : EVENT_ERROR,
        .ref = row->name,
        .time_ms = lane_now_us(l) / US_PER_MS,
    };
    if (c == NULL)
        return HF_OK;
    if (row->code == HF_OK) {
        e.output = row->payload;
    } else {
        e.code = row->code == HF_FAILED ? 0 : row->code;
        e.error_name = row->key;
        e.message = row->payload;
    }
    return live_record(l, live, &e, err);
}

/* How a task ended whose row was another worker's. */
static int
take_result(struct lane *l, struct live *live, const struct inbox_row *row, struct err *err)
{
    struct call *c = row->aux == live->run.row.execution ? run_find(&live->run, row->name) : NULL;
    struct event e = {
        .kind = row->code == HF_OK ? EVENT_DONE : EVENT_ERROR,
        .ref = row->name,
        .attempts = row->attempt > 1 ? row->attempt : 0,
        .time_ms = lane_now_us(l) / US_PER_MS,
    };
    if (c == NULL || c->closed)
        return HF_OK;
    if (row->code == HF_OK) {
        e.output = row->payload;
    } else {
        e.code = row->code == HF_FAILED ? 0 : row->code;
        e.error_name = row->key ? row->key : row->code == HF_CANCELLED ? "cancelled" : "failed";
        e.message = row->payload;
    }
    return live_record(l, live, &e, err);
}

static int
take_cancel(struct lane *l, struct live *live, const struct inbox_row *row, struct err *err)
{
    struct event e = {
        .kind = EVENT_CANCEL, .message = row->payload, .time_ms = lane_now_us(l) / US_PER_MS};
    TRY(live_record(l, live, &e, err));
    return live_cancel_calls(l, live, false, err);
}

static int
take_signal(struct lane *l, struct live *live, const struct inbox_row *row, struct err *err)
{
    struct event e = {.kind = EVENT_SIGNAL,
                      .name = row->name,
                      .output = row->payload,
                      .key = row->key,
                      .time_ms = lane_now_us(l) / US_PER_MS};
    return live_record(l, live, &e, err);
}

static int
take_terminate(struct lane *l, struct live *live, const struct inbox_row *row, struct err *err)
{
    struct run *r = &live->run;
    r->end_output = NULL;
    r->end_name = "terminated";
    r->end_message = arena_strdup(&r->arena, row->payload);
    return live_end(l, live, RUN_TERMINATED, EVENT_TERMINATED, err);
}

/* A turn that was claimed and has not begun does not come: it blocks no other suspect. */
static void
take_pause(struct lane *l, struct live *live)
{
    struct run_row *row = &live->run.row;
    if (row->status == RUN_BLOCKED)
        return;
    row->status = RUN_PAUSED;
    if (row->claimed)
        l->n_claimed_turns--;
    row->claimed = false;
    if (l->suspect_live == live)
        l->suspect_live = NULL;
}

static int
take_resume(struct lane *l, struct live *live)
{
    struct run_row *row = &live->run.row;
    if (row->status != RUN_PAUSED && row->status != RUN_BLOCKED)
        return HF_OK;
    row->status = RUN_RUNNING;
    row->crashes = 0;
    row->error_name = row->error_message = NULL;
    live->wants_turn = true;
    live_ready(l, live);
    return HF_OK;
}

static int
take_inbox(struct lane *l, struct live *live, const struct inbox_row *row, struct err *err)
{
    if (live->ended)
        return HF_OK; /* it stays in the inbox, unread, for people to see */
    TRY(delete_inbox(live, row->no, err));
    live_dirty(l, live);
    switch (row->kind) {
    case INBOX_SIGNAL:
        return take_signal(l, live, row, err);
    case INBOX_CANCEL:
        return take_cancel(l, live, row, err);
    case INBOX_TERMINATE:
        return take_terminate(l, live, row, err);
    case INBOX_PAUSE:
        take_pause(l, live);
        return HF_OK;
    case INBOX_RESUME:
        return take_resume(l, live);
    case INBOX_REPLACE:
        return live_continue(l, live, row, err);
    case INBOX_CHILD:
        return take_child(l, live, row, err);
    case INBOX_RESULT:
        return take_result(l, live, row, err);
    default:
        log_event(l->log, LOG_WARNING, "inbox_unknown", "run=%s kind=%d", live->run.row.id,
                  row->kind);
        return HF_OK;
    }
}

/* ---- in order ---- */

/* A called task's row: it runs if its call is still open, else it only goes. */
static int
take_row(struct lane *l, struct live *live, struct job *job, struct err *err)
{
    struct run  *r = &live->run;
    struct call *c =
        job->execution == r->row.execution && !live->ended ? run_find(r, job->row.ref) : NULL;

    if (c == NULL || c->closed) {
        job->run_no = 0;
        job->code = HF_OK;
        job_list_put(&l->finished, job);
        return HF_OK;
    }
    if (c->job) {
        lane_forget_job(l, job);
        return HF_OK;
    }
    job->call = c;
    c->job = job;
    live->jobs++;
    live_dirty(l, live);
    return lane_start_row(l, live, job, err);
}

static int
take(struct lane *l, struct live *live, int kind, const struct inbox_row *inbox, struct job *job,
     struct err *err)
{
    switch (kind) {
    case ARRIVE_RESULT:
        return take_job(l, live, job, err);
    case ARRIVE_ROW:
        return take_row(l, live, job, err);
    case ARRIVE_DUE:
        return live_take_due(l, live, err);
    default:
        return take_inbox(l, live, inbox, err);
    }
}

/* Keeps it until the run is back from its slot. */
static int
keep(struct live *live, int kind, const struct inbox_row *inbox, struct job *job, struct err *err)
{
    struct arrival *a = mem_zalloc(sizeof(*a));
    if (a == NULL)
        return err_nomem(err);
    a->kind = kind;
    a->job = job;
    if (inbox) {
        a->inbox = *inbox;
        a->inbox.name = arena_strdup(&a->arena, inbox->name);
        a->inbox.payload = arena_strdup(&a->arena, inbox->payload);
        a->inbox.key = arena_strdup(&a->arena, inbox->key);
        if ((inbox->name && !a->inbox.name) || (inbox->payload && !a->inbox.payload) ||
            (inbox->key && !a->inbox.key)) {
            arena_release(&a->arena);
            mem_free(a);
            return err_nomem(err);
        }
    }
    *live->arrivals_end = a;
    live->arrivals_end = &a->next;
    return HF_OK;
}

int
live_arrive(struct lane *l, struct live *live, int kind, const struct inbox_row *inbox,
            struct job *job, struct err *err)
{
    bool later = live->place != LIVE_IDLE || live->arrivals || live->forget ||
                 (live->ended && inbox && inbox->kind == INBOX_REPLACE);

    if (inbox && !map_put(&l->inbox, inbox->no, l))
        return err_nomem(err);
    if (!later)
        return take(l, live, kind, inbox, job, err);
    int rc = keep(live, kind, inbox, job, err);
    if (rc && job) /* its run is read again, and so is its row */
        lane_forget_job(l, job);
    return rc;
}

int
live_take_arrivals(struct lane *l, struct live *live, struct err *err)
{
    while (live->arrivals && live->place == LIVE_IDLE && !live->forget) {
        struct arrival *a = live->arrivals;
        if (live->ended && a->kind == ARRIVE_INBOX && a->inbox.kind == INBOX_REPLACE)
            return HF_OK; /* for the run's next life: after the commit */
        live->arrivals = a->next;
        if (live->arrivals == NULL)
            live->arrivals_end = &live->arrivals;
        int rc = take(l, live, a->kind, &a->inbox, a->job, err);
        arena_release(&a->arena);
        mem_free(a);
        TRY(rc);
    }
    return HF_OK;
}

void
live_forget_arrivals(struct lane *l, struct live *live)
{
    for (struct arrival *a = live->arrivals, *next; a; a = next) {
        next = a->next;
        if (a->job && a->job->to_row)
            live_unmake_row(live, a->job);
        if (a->job)
            lane_forget_job(l, a->job);
        else if (a->kind == ARRIVE_INBOX)
            map_remove(&l->inbox, a->inbox.no);
        arena_release(&a->arena);
        mem_free(a);
    }
    live->arrivals = NULL;
    live->arrivals_end = &live->arrivals;
}

/* Rows of called tasks that have no slot yet: the fetch has passed them, and they are not read
 * again. */
static int
keep_rows(struct lane *l, struct live *live, struct err *err)
{
    struct job_list *queued[] = {&l->waiting, &l->suspects, &l->to_claim};
    int              rc = HF_OK;

    for (size_t i = 0; i < sizeof(queued) / sizeof(queued[0]); i++)
        for (struct job *job = queued[i]->head, *next; job && rc == HF_OK; job = next) {
            next = job->next;
            if (job->run_no != live->run.row.no || job->call == NULL || job->row.no == 0)
                continue;
            job_list_remove(queued[i], job);
            if (l->suspect == job)
                l->suspect = NULL;
            job->call = NULL;
            live->jobs--;
            if ((rc = keep(live, ARRIVE_ROW, NULL, job, err)))
                lane_forget_job(l, job);
        }
    return rc;
}

int
lane_read_again(struct lane *l, struct live *live, struct err *err)
{
    int rc = keep_rows(l, live, err);
    int rc2 = lane_replace_doomed(l, live, err);
    return rc ? rc : rc2;
}

/* What came for a run of which memory was in doubt came after that, and is true. */
int
lane_replace_doomed(struct lane *l, struct live *doomed, struct err *err)
{
    struct arrival *list = doomed->arrivals;
    int64_t         no = doomed->run.row.no;

    doomed->arrivals = NULL;
    live_drop(l, doomed);
    int rc = lane_load(l, &no, 1, err);
    for (struct arrival *a = list, *next; a; a = next) {
        next = a->next;
        struct live *live = map_get(&l->lives, no);
        if (a->kind == ARRIVE_INBOX)
            map_remove(&l->inbox, a->inbox.no);
        if (rc == HF_OK && a->kind == ARRIVE_INBOX)
            rc = lane_take_inbox(l, &a->inbox, err);
        else if (rc == HF_OK && live)
            rc = live_arrive(l, live, a->kind, NULL, a->job, err);
        else if (a->job)
            lane_forget_job(l, a->job);
        arena_release(&a->arena);
        mem_free(a);
    }
    return rc;
}
