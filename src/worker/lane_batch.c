/*
 * What the next commit stores: idle runs and ended tasks become units of writes, and the state of
 * each run says who has to bring it back, its owner's memory or what is stored. Nothing is changed
 * in the store here.
 */
#include "worker/lane.h"

#include <string.h>

#include "base/id.h"
#include "base/mem.h"

enum { UNITS_MAX = 4000, CALM_AFTER_S = 600 };

struct write *
add_write(struct lane *l, uint32_t kind)
{
    if (l->n_writes == l->size_writes) {
        size_t        size = l->size_writes ? l->size_writes * 2 : 256;
        struct write *writes = mem_realloc(l->writes, size * sizeof(*writes));
        if (writes == NULL)
            return NULL;
        l->writes = writes;
        l->size_writes = size;
    }
    struct write *w = &l->writes[l->n_writes++];
    *w = (struct write){.kind = kind, .unit = (uint32_t)(l->n_units - 1)};
    return w;
}

struct unit *
add_unit(struct lane *l, struct live *live, struct job *job)
{
    if (l->n_units == l->size_units) {
        size_t       size = l->size_units ? l->size_units * 2 : 256;
        struct unit *units = mem_realloc(l->units, size * sizeof(*units));
        if (units == NULL)
            return NULL;
        l->units = units;
        l->size_units = size;
    }
    l->units[l->n_units] = (struct unit){.live = live, .job = job};
    return &l->units[l->n_units++];
}

/* A unit of one write for a job; NULL, and no unit, when memory is out. */
struct write *
add_job_write(struct lane *l, struct job *job, uint32_t kind)
{
    if (add_unit(l, NULL, job) == NULL)
        return NULL;
    struct write *w = add_write(l, kind);
    if (w == NULL)
        l->n_units--; /* the job is still in its list */
    else
        w->task = &job->row;
    return w;
}

/* The message that told of it goes in the same unit. */
int
add_message_read(struct lane *l, int64_t inbox_no, struct err *err)
{
    struct write *w = inbox_no ? add_write(l, WRITE_INBOX_DELETE) : NULL;

    if (inbox_no && w == NULL)
        return err_nomem(err);
    if (w)
        w->inbox = (struct inbox_row){.no = inbox_no};
    return HF_OK;
}

static int
add_messages_read(struct lane *l, struct err *err)
{
    for (; l->n_read_inbox > 0; l->n_read_inbox--) {
        if (add_unit(l, NULL, NULL) == NULL)
            return err_nomem(err);
        TRY(add_message_read(l, l->read_inbox[l->n_read_inbox - 1], err));
    }
    return HF_OK;
}

/* A task that was claimed and has not begun: as if it had not been claimed. */
static int
add_released(struct lane *l, struct job *job, struct err *err)
{
    if (!lane_owns(l, job->row.no))
        return add_far_finished(l, job, err);
    if (add_job_write(l, job, WRITE_TASK) == NULL)
        return err_nomem(err);
    job->row.claimed = false;
    return add_message_read(l, job->inbox_no, err);
}

/* A standalone task that has ended: gone, tried again, or a dead letter. One that a run of another
 * worker has called tells it; one whose row is another's tells that. */
static int
add_finished(struct lane *l, struct job *job, struct err *err)
{
    if (job->released)
        return add_released(l, job, err);
    if (!lane_owns(l, job->row.no))
        return add_far_finished(l, job, err);
    bool    wanted = !(job->far_run_no && atomic_load(&job->cancelled));
    int64_t again_us = job->code != HF_OK && wanted ? job_retry_at_us(l, job) : 0;
    if (job->far_run_no && again_us == 0)
        return add_far_result(l, job, err);
    uint32_t kind = job->code == HF_OK ? WRITE_TASK_DELETE : again_us ? WRITE_TASK : WRITE_DEAD;

    if (add_job_write(l, job, kind) == NULL)
        return err_nomem(err);
    job->row.attempt = job->attempt;
    job->row.run_at_us = again_us;
    job->row.claimed = false;
    if (job->code != HF_CRASHED)
        job->row.crashes = 0;
    job->row.error_name = job->error_name;
    job->row.error_message = job->error_message;
    return add_message_read(l, job->inbox_no, err);
}

static int
add_claim(struct lane *l, struct job *job, struct err *err)
{
    if (add_job_write(l, job, WRITE_TASK) == NULL)
        return err_nomem(err);
    l->units[l->n_units - 1].claims = true;
    job->row.claimed = true;
    return HF_OK;
}

/* Careful: at most as many are claimed as there are slots, so a crash names only what was running.
 * A called task becomes a row now, with its run. */
static int
add_claims(struct lane *l, struct err *err)
{
    size_t active = l->handed.count + l->slow.count + l->waiting.count, n = l->to_claim.count;

    for (; n > 0 && active < (size_t)l->opt.slots && l->n_units < UNITS_MAX; n--, active++) {
        struct job  *job = l->to_claim.head;
        struct live *live = job->call && job->row.no == 0 ? map_get(&l->lives, job->run_no) : NULL;
        bool         later = live && live->place != LIVE_IDLE;
        if (!later)
            TRY(live ? job_to_row(l, live, job, true, err) : add_claim(l, job, err));
        job_list_remove(&l->to_claim, job);
        if (later)
            job_list_put(&l->to_claim, job);
    }
    return HF_OK;
}

/* The events, a write for each row of them. */
static int
add_history(struct lane *l, struct run *r, struct err *err)
{
    if (r->out.len == 0)
        return HF_OK;
    buf_putc(&r->out, ']');
    if (r->out.failed)
        return err_nomem(err);
    for (char *at = r->out.data, *end = at + r->out.len; at < end;) {
        char         *eol = memchr(at, '\n', (size_t)(end - at));
        size_t        len = (size_t)((eol ? eol : end) - at);
        struct write *w = add_write(l, WRITE_HISTORY);
        if (w == NULL)
            return err_nomem(err);
        w->history = (struct history_row){r->row.no, r->row.execution, ++r->seq, at, len};
        r->history_bytes += len;
        at += len + 1;
    }
    return HF_OK;
}

static bool
row_changed(const struct live *live)
{
    const struct run_row *row = &live->run.row;
    return live->ended || live->restart || row->status != live->stored_status ||
           row->wake_us != live->stored_wake_us || row->claimed != live->stored_claimed ||
           row->crashes != live->stored_crashes || live->run.custom_changed ||
           live->old_runs != NULL;
}

/* What the row is to say: who has to bring this run back, its owner's memory or what is stored. */
static void
set_state(struct live *live)
{
    struct run *r = &live->run;
    int64_t     due_ms = run_next_due_ms(r);

    if (live->ended)
        return;
    r->row.wake_us = due_ms ? due_ms * US_PER_MS : NEVER_US;
    if (r->row.status == RUN_PAUSED || r->row.status == RUN_BLOCKED)
        return;
    bool busy = live->wants_turn || live->wants_step || live->starting || live->reload ||
                run_needs_owner(r);
    r->row.status = busy ? RUN_RUNNING : RUN_WAITING;
}

/* The run may have been with its slot since the time was chosen: what is due has been read up to
 * now_us, and nothing is stored behind that. */
static void
keep_ahead(const struct lane *l, const struct write *w)
{
    bool is_task = w->kind == WRITE_TASK || w->kind == WRITE_TASK_NEW;
    if (is_task && w->task->run_at_us && w->task->run_at_us <= l->now_us)
        w->task->run_at_us = l->now_us + 1;
}

static int
add_live(struct lane *l, struct live *live, struct err *err)
{
    if (!live->ended && !live->forget)
        set_state(live);
    if (live->extras == NULL && live->run.out.len == 0 && !row_changed(live)) {
        bool begins = live->starting || live->wants_step || live->forget;
        if (!begins && live->jobs == 0 && live->run.row.status != RUN_RUNNING)
            live_park(l, live);
        else if (begins &&
                 add_unit(l, live, NULL) == NULL) /* nothing to store, but something to begin */
            return err_nomem(err);
        return HF_OK;
    }
    if (add_unit(l, live, NULL) == NULL)
        return err_nomem(err);
    for (struct extra *x = live->extras; x; x = x->next) {
        struct write *w = add_write(l, x->write.kind);
        if (w == NULL)
            return err_nomem(err);
        uint32_t unit = w->unit;
        *w = x->write;
        w->unit = unit;
        keep_ahead(l, w);
    }
    TRY(add_history(l, &live->run, err));
    if (row_changed(live)) {
        struct write *w = add_write(l, live->restart ? WRITE_RESTART : WRITE_RUN);
        if (w == NULL)
            return err_nomem(err);
        w->run = &live->run.row;
    }
    return HF_OK;
}

/* A run whose turn is about to come is stored with what the turn says. */
static bool
waits_for_turn(const struct lane *l, const struct live *live)
{
    const struct run_row *row = &live->run.row;
    return live->wants_turn && live->listed_ready && !live->ended && !live->forget &&
           !l->stopping && live->workflow && !lane_is_parting(l, row->no) &&
           row->status != RUN_PAUSED && row->status != RUN_BLOCKED && row->crashes == 0 &&
           !row->claimed;
}

int
lane_build(struct lane *l, struct err *err)
{
    l->n_writes = l->n_units = 0;
    TRY(lane_prepare_parting(l, err));
    TRY(add_messages_read(l, err));
    while (l->n_units < UNITS_MAX && l->finished.head) {
        TRY(add_finished(l, l->finished.head, err));
        job_list_take(&l->finished);
    }
    TRY(add_claims(l, err));

    struct live *list = l->dirty;
    l->dirty = NULL;
    l->dirty_end = &l->dirty;
    for (struct live *live = list, *next; live; live = next) {
        next = live->dirty_next;
        if (live->place == LIVE_IDLE &&
            !live->forget) { /* nothing is stored that has its time behind it */
            int64_t due_ms = run_next_due_ms(&live->run);
            if (due_ms && due_ms * US_PER_MS <= lane_now_us(l))
                TRY(live_take_due(l, live, err));
        }
        live->dirty = false;
        if (live->place != LIVE_IDLE)
            continue; /* it is dirty again when it comes back */
        if (l->n_units >= UNITS_MAX || waits_for_turn(l, live)) {
            live_dirty(l, live);
            continue;
        }
        TRY(add_live(l, live, err));
    }
    for (size_t i = 0; l->careful && i < l->n_parts; i++) {
        struct partition_row *p = &l->parts[i].row;
        if (p->crashes == 0 || p->crashed_us + CALM_AFTER_S * US_PER_S > lane_now_us(l))
            continue;
        struct write *w = add_unit(l, NULL, NULL) ? add_write(l, WRITE_CALM) : NULL;
        if (w == NULL)
            return err_nomem(err);
        w->partition = p->id;
        p->crashes = 0;
    }
    TRY(lane_add_parting(l, err));
    return lane_touch(l, err);
}
