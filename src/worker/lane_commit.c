/*
 * The commit: the batch that lane_batch.c built is stored, with the fetch behind it; what waited
 * for that begins. A unit that the store refuses is taken out and its run blocked; the others go
 * on.
 */
#include "worker/lane.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/id.h"
#include "base/mem.h"
#include "core/state.h"

enum { BACKOFF_MAX_MS = 1000 };

/* ---- after the commit ---- */

static int
begin_extras(struct lane *l, struct live *live, struct err *err)
{
    for (struct extra *x = live->extras; x; x = x->next) {
        struct job *job = x->job;
        if (job == NULL)
            continue;
        job->to_row = false;
        if (!map_put(&l->rows, job->row.no, job))
            return err_nomem(err);
        if (job->handed_us == 0)
            lane_queue_job(l, job);
    }
    live_drop_extras(l, live);
    return HF_OK;
}

static int
add_reload(struct lane *l, int64_t no, struct err *err)
{
    if (l->n_reload == l->size_reload) {
        size_t   size = l->size_reload ? l->size_reload * 2 : 16;
        int64_t *nos = mem_realloc(l->reload, size * sizeof(*nos));
        if (nos == NULL)
            return err_nomem(err);
        l->reload = nos;
        l->size_reload = size;
    }
    l->reload[l->n_reload++] = no;
    l->reload_at_us = clock_steady_us() + 100 * US_PER_MS;
    return HF_OK;
}

static void
count_end(struct lane *l, const struct live *live)
{
    const struct part *part = lane_part(l, live->run.row.no);

    l->ended_in_batch++;
    tally_add(&l->tally.runs, 1);
    if (part && part->tally)
        tally_add(&part->tally->runs, 1);
}

/* An ended or forgotten run leaves; what came too late for it is looked at anew. */
static int
dismiss(struct lane *l, struct live *live, struct err *err)
{
    struct arrival *left = live->ended ? live->arrivals : NULL;
    int             rc = HF_OK;

    if (live->ended)
        count_end(l, live);
    else
        live_forget_arrivals(l, live); /* tasks are run again when the run goes on */
    if (live->reload)
        rc = add_reload(l, live->run.row.no, err);
    if (left)
        live->arrivals = NULL;
    live_drop(l, live);
    for (struct arrival *next; left; left = next) {
        next = left->next;
        if (left->kind == ARRIVE_INBOX)
            map_remove(&l->inbox, left->inbox.no);
        if (left->job)
            lane_forget_job(l, left->job);
        else if (rc == HF_OK && left->kind == ARRIVE_INBOX)
            rc = lane_take_inbox(l, &left->inbox, err);
        arena_release(&left->arena);
        mem_free(left);
    }
    return rc;
}

/* In the order of their calls; the list has the newest first. */
static void
start_jobs(struct lane *l, struct live *live)
{
    struct job *list = NULL;

    for (struct job *job = live->starting, *next; job; job = next) {
        next = job->next;
        job->next = list;
        list = job;
    }
    live->starting = NULL;
    for (struct job *next; list; list = next) {
        next = list->next;
        lane_queue_job(l, list);
    }
}

static int
stored_live(struct lane *l, struct live *live, struct err *err)
{
    struct run *r = &live->run;

    buf_clear(&r->out);
    live_forget_recorded(l, live);
    TRY(begin_extras(l, live, err));
    live_free_old(live);
    bool another_life = live->restart && run_has_ended(live->stored_status);
    assert(run_may_move(another_life ? RUN_RUNNING : live->stored_status, r->row.status));
    live->stored_status = r->row.status;
    live->stored_wake_us = r->row.wake_us;
    live->stored_claimed = r->row.claimed;
    live->stored_crashes = r->row.crashes;
    live->restart = r->custom_changed = false;
    if (live->ended || live->forget)
        return dismiss(l, live, err);
    live_weigh(l, live);
    start_jobs(l, live);
    if (live->workflow == NULL) { /* nobody here can go on with it */
        lane_note_no_worker(l, r->row.no, "workflow", r->row.workflow, r->row.version);
        live_drop(l, live);
        return HF_OK;
    }
    bool rests = r->row.status == RUN_PAUSED || r->row.status == RUN_BLOCKED;
    if ((live->wants_turn || live->wants_step) && !rests)
        live_ready(l, live);
    else if (live->jobs == 0 && r->row.status != RUN_RUNNING)
        live_park(l, live);
    return HF_OK;
}

static int
after_commit(struct lane *l, struct err *err)
{
    l->ended_in_batch = 0;
    for (size_t i = 0; i < l->n_writes; i++)
        if (l->writes[i].kind == WRITE_INBOX_DELETE)
            map_remove(&l->inbox, l->writes[i].inbox.no);
    for (size_t i = 0; i < l->n_units; i++) {
        struct unit u = l->units[i];
        l->units[i] = (struct unit){0};
        if (u.live)
            TRY(stored_live(l, u.live, err));
        else if (u.job && u.claims)
            job_list_put(&l->waiting, u.job);
        else if (u.job && !u.keeps)
            lane_forget_job(l, u.job);
    }
    lane_parted(l);
    if (l->ended_in_batch)
        l->store->ops->tell_waiters(l->store);
    if (l->n_writes)
        tally_add(&l->tally.commits, 1);
    l->n_writes = l->n_units = 0;
    return HF_OK;
}

/* ---- when the store says no ---- */

/* Puts one write in the place of all that the unit had. */
static struct write *
replace_unit(struct lane *l, uint32_t unit, uint32_t kind)
{
    size_t from = 0, to;
    while (from < l->n_writes && l->writes[from].unit != unit)
        from++;
    for (to = from; to < l->n_writes && l->writes[to].unit == unit; to++)
        ;
    if (from == to)
        return NULL;
    memmove(&l->writes[from + 1], &l->writes[to], (l->n_writes - to) * sizeof(*l->writes));
    l->n_writes -= to - from - 1;
    l->writes[from] = (struct write){.kind = kind, .unit = unit};
    return &l->writes[from];
}

/* The culprit alone: a run is blocked with the store's words, a task's words are left out. */
static int
isolate(struct lane *l, uint32_t unit, struct err *err)
{
    if (unit >= l->n_units)
        return err_set(err, HF_INTERNAL, "the store refused unit %u of %zu", unit, l->n_units);
    struct unit *u = &l->units[unit];
    if (u->live && !u->live->forget) {
        struct live  *live = u->live;
        struct write *w = replace_unit(l, unit, WRITE_RUN);
        live_give_up_rows(l, live);
        buf_clear(&live->run.out);
        live->ended = live->restart = false;
        live->run.row.output = NULL;
        live->run.row.custom = NULL;
        live->run.row.ended_us = 0;
        live->run.row.wake_us = live->stored_wake_us;
        if (w == NULL)
            return HF_INTERNAL;
        w->run = &live->run.row;
        live->dirty = true; /* it is in this batch, not in the list */
        live_block(l, live, err_name(HF_REFUSED), err->text);
        return HF_OK;
    }
    if (u->job && u->job->row.error_message) {
        u->job->row.error_message = NULL;
        u->job->row.error_name = "refused";
        return HF_OK;
    }
    return HF_INTERNAL;
}

/* Waits a little longer each time; false if the worker is to stop. */
static bool
back_off(struct lane *l, const struct err *err)
{
    if (l->backoff_ms == 0)
        log_event(l->log, LOG_WARNING, "store_unavailable", "code=%s message=%s",
                  err_name(err->code), err->text);
    l->backoff_ms = l->backoff_ms == 0                   ? 5
                    : l->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
                                                         : l->backoff_ms * 2;
    if (l->pool == NULL || l->stopping)
        return false;
    struct timespec t = {.tv_sec = l->backoff_ms / 1000,
                         .tv_nsec = l->backoff_ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
    return !(l->stop_wanted && l->stop_wanted(l->stop_arg));
}

/* Nothing new is read in partitions that are about to go. */
static bool
is_read(const struct part *part)
{
    return !part->parting || part->unread;
}

static int
store_cycle(struct lane *l, struct batch *batch, struct rows *rows, struct err *err)
{
    struct room    room = lane_room(l);
    struct cursor *staying;
    size_t         n = 0;

    arena_reset(&l->rows_arena);
    staying = arena_alloc(&l->rows_arena, (l->n_parts + 1) * sizeof(*staying));
    if (staying == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < l->n_parts; i++)
        if (is_read(&l->parts[i]))
            staying[n++] = l->cursors[i];
    int rc = l->store->ops->cycle(l->store, batch, staying, n, &room, &l->rows_arena, rows, err);
    n = 0;
    for (size_t i = 0; i < l->n_parts; i++)
        if (is_read(&l->parts[i])) {
            l->cursors[i] = staying[n++];
            l->parts[i].unread = l->parts[i].unread && (rc != HF_OK || rows->more);
        }
    return rc;
}

/* One commit with its fetch, until it is stored. */
static int
cycle(struct lane *l, struct rows *rows, struct err *err)
{
    for (;;) {
        struct batch batch = {.worker = l->worker,
                              .partitions = l->touched,
                              .n_partitions = l->n_touched,
                              .writes = l->writes,
                              .n_writes = l->n_writes};
        int          rc = store_cycle(l, &batch, rows, err);
        if (rc == HF_OK && l->backoff_ms)
            log_event(l->log, LOG_INFO, "store_back", "after_ms=%d", l->backoff_ms);
        if (rc == HF_OK)
            l->backoff_ms = 0;
        if (rc == HF_REFUSED)
            TRY(isolate(l, batch.refused, err));
        else if ((rc != HF_UNAVAILABLE && rc != HF_NOMEM) || !back_off(l, err))
            return rc;
    }
}

int
lane_commit(struct lane *l, bool *did, struct err *err)
{
    struct rows rows = {0};
    struct room room = lane_room(l);

    if (l->n_units == 0) /* else the last batch is still to be stored */
        TRY(lane_build(l, err));
    bool fetch = l->fetch_wanted || (l->more && (room.tasks > 0 || room.runs > 0)) ||
                 l->next_due_us <= lane_now_us(l) || lane_is_unread(l);
    if (l->n_writes == 0 && !fetch) {
        bool any = l->n_units > 0;
        *did = *did || any;
        return after_commit(l, err);
    }
    int rc = cycle(l, &rows, err);
    l->batch_waits = rc != HF_OK && l->n_units > 0;
    TRY(rc);
    *did = *did || l->n_units > 0;
    l->fetch_wanted = false;
    l->more = rows.more;
    if (rows.now_us) {
        lane_note_now(l, rows.now_us);
        l->next_due_us = rows.next_due_us;
    }
    TRY(after_commit(l, err));
    if (rows.n_runs || rows.n_due || rows.n_tasks || rows.n_inbox)
        *did = true;
    if (rows.partitions)
        l->partitions_now = rows.partitions;
    return lane_take_rows(l, &rows, err);
}
