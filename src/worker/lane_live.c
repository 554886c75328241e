/* Runs in memory: made, parked, forgotten. A waiting run whose state is stored may be forgotten at
 * any time; what it waits for brings it back. */
#include "worker/lane.h"

#include "base/mem.h"

enum { CACHE_BYTES = 128 * 1024 * 1024 };

/* Messages that they were to delete are not pending any more: deleted, or to be read again. */
void
live_drop_extras(struct lane *l, struct live *live)
{
    for (struct extra *x = live->extras; l && x; x = x->next)
        if (x->write.kind == WRITE_INBOX_DELETE)
            map_remove(&l->inbox, x->write.inbox.no);
    live->extras = NULL;
    live->extras_end = &live->extras;
}

static void
init_lists(struct live *live)
{
    live->extras_end = &live->extras;
    live->arrivals_end = &live->arrivals;
}

static void
note_stored(struct live *live)
{
    const struct run_row *row = &live->run.row;
    live->stored_status = row->status;
    live->stored_wake_us = row->wake_us;
    live->stored_claimed = row->claimed;
    live->stored_crashes = row->crashes;
}

int
live_add(struct lane *l, const struct run_row *row, struct live **out, struct err *err)
{
    struct live *live = mem_zalloc(sizeof(*live));
    if (live == NULL)
        return err_nomem(err);
    if (run_init(&live->run, row, err) || !map_put(&l->lives, row->no, live)) {
        run_release(&live->run);
        mem_free(live);
        return err_nomem(err);
    }
    init_lists(live);
    note_stored(live);
    l->n_claimed_turns += row->claimed;
    *out = live;
    return HF_OK;
}

static void
leave_lru(struct lane *l, struct live *live)
{
    if (!live->in_lru)
        return;
    *(live->lru_prev ? &live->lru_prev->lru_next : &l->lru_head) = live->lru_next;
    *(live->lru_next ? &live->lru_next->lru_prev : &l->lru_tail) = live->lru_prev;
    live->lru_prev = live->lru_next = NULL;
    live->in_lru = false;
    l->n_lru--;
}

void
live_free_old(struct live *live)
{
    for (struct old_run *old = live->old_runs, *next; old; old = next) {
        next = old->next;
        run_release(&old->run);
        mem_free(old);
    }
    live->old_runs = NULL;
}

/* The lists hold it no more. Linear, but rare: a live is in them only for the length of a round. */
static void
leave_lists(struct lane *l, struct live *live)
{
    if (live->listed_ready) {
        struct live **p = &l->ready;
        while (*p && *p != live)
            p = &(*p)->ready_next;
        if (*p)
            *p = live->ready_next;
        for (l->ready_end = &l->ready; *l->ready_end; l->ready_end = &(*l->ready_end)->ready_next)
            ;
        live->listed_ready = false;
    }
    if (live->dirty) {
        struct live **p = &l->dirty;
        while (*p && *p != live)
            p = &(*p)->dirty_next;
        if (*p)
            *p = live->dirty_next;
        for (l->dirty_end = &l->dirty; *l->dirty_end; l->dirty_end = &(*l->dirty_end)->dirty_next)
            ;
        live->dirty = false;
    }
}

void
live_forget_recorded(struct lane *l, struct live *live)
{
    while (live->recorded) {
        struct job *job = live->recorded;
        live->recorded = job->next;
        job->next = NULL;
        if (l)
            lane_forget_job(l, job);
        else
            job_free(job);
    }
}

void
live_free(struct lane *l, struct live *live)
{
    if (live == NULL)
        return;
    if (l) {
        leave_lists(l, live); /* a paused run may be listed as ready */
        leave_lru(l, live);
        if (map_get(&l->lives, live->run.row.no) == live)
            map_remove(&l->lives, live->run.row.no);
        if (l->suspect_live == live)
            l->suspect_live = NULL;
        if (live->run.row.claimed)
            l->n_claimed_turns--;
        l->live_bytes -= live->bytes;
    }
    live_drop_extras(l, live);
    live_free_old(live);
    live_forget_recorded(l, live);
    for (struct arrival *a = live->arrivals, *next; a; a = next) {
        next = a->next;
        if (l && a->kind == ARRIVE_INBOX)
            map_remove(&l->inbox, a->inbox.no);
        arena_release(&a->arena);
        mem_free(a);
    }
    run_release(&live->run);
    mem_free(live);
}

static void
orphan(struct lane *l, struct job_list *list, int64_t run_no)
{
    for (struct job *job = list->head; job; job = job->next)
        if (job->run_no == run_no && job->call) {
            job->call = NULL;
            job->to_row = false;
            l->n_orphans++;
        }
}

void
live_give_up_rows(struct lane *l, struct live *live)
{
    for (struct extra *x = live->extras; x; x = x->next) {
        if (x->job == NULL || !x->job->to_row)
            continue;
        x->job->to_row = false;
        if (x->job->handed_us == 0) /* in no list: it waited for its row */
            lane_forget_job(l, x->job);
    }
    live_drop_extras(l, live);
}

/* Jobs of a run that leaves memory: those with slots go on, the others are forgotten. */
static void
orphan_jobs_of(struct lane *l, struct live *live)
{
    int64_t          no = live->run.row.no;
    struct job_list *queued[] = {&l->waiting, &l->suspects, &l->to_claim};

    orphan(l, &l->handed, no);
    orphan(l, &l->slow, no);
    for (size_t i = 0; i < sizeof(queued) / sizeof(queued[0]); i++)
        for (struct job *job = queued[i]->head, *next; job; job = next) {
            next = job->next;
            if (job->run_no != no)
                continue;
            job_list_remove(queued[i], job);
            lane_forget_job(l, job);
        }
    live_give_up_rows(l, live);
    while (live->starting) {
        struct job *job = live->starting;
        live->starting = job->next;
        lane_forget_job(l, job);
    }
}

void
live_drop(struct lane *l, struct live *live)
{
    if (live->jobs > 0)
        orphan_jobs_of(l, live);
    live_free(l, live);
}

void
live_dirty(struct lane *l, struct live *live)
{
    leave_lru(l, live);
    if (live->dirty)
        return;
    live->dirty = true;
    live->dirty_next = NULL;
    *l->dirty_end = live;
    l->dirty_end = &live->dirty_next;
}

void
live_weigh(struct lane *l, struct live *live)
{
    size_t bytes = sizeof(*live) + live->run.arena.total + live->run.out.size;
    l->live_bytes += bytes - live->bytes;
    live->bytes = bytes;
}

void
live_park(struct lane *l, struct live *live)
{
    if (live->in_lru)
        return;
    live->in_lru = true;
    live->lru_prev = l->lru_tail;
    live->lru_next = NULL;
    *(l->lru_tail ? &l->lru_tail->lru_next : &l->lru_head) = live;
    l->lru_tail = live;
    l->n_lru++;
    live_weigh(l, live);
    while (l->n_lru > l->opt.cache_runs || (l->n_lru > 0 && l->live_bytes > CACHE_BYTES))
        live_free(l, l->lru_head);
}

struct extra *
live_extra(struct live *live, uint32_t kind)
{
    struct extra *x = arena_zalloc(&live->run.arena, sizeof(*x));
    if (x == NULL)
        return NULL;
    x->write.kind = kind;
    *live->extras_end = x;
    live->extras_end = &x->next;
    return x;
}

int
live_record(struct lane *l, struct live *live, const struct event *e, struct err *err)
{
    struct run *r = &live->run;
    bool        taken;

    TRY(run_record(r, e, &taken, err));
    live_dirty(l, live);
    if (!taken || e->kind == EVENT_SENT)
        return HF_OK;
    if (r->waits_for == NULL || r->waits_for->settled || e->kind == EVENT_CANCEL ||
        r->end == TURN_CLOSING) {
        live->wants_turn = true;
        live_ready(l, live);
    }
    return HF_OK;
}

int
live_make_stub(const struct live *live, struct live **out, struct err *err)
{
    struct live   *stub = mem_zalloc(sizeof(*stub));
    struct run_row row = live->run.row;

    row.status = live->stored_status;
    row.wake_us = live->stored_wake_us;
    if (stub == NULL || run_init(&stub->run, &row, err)) {
        mem_free(stub);
        return err_nomem(err);
    }
    init_lists(stub);
    note_stored(stub);
    stub->stored_claimed = live->stored_claimed;
    stub->workflow = live->workflow;
    *out = stub;
    return HF_OK;
}

int
live_replace_by_stub(struct lane *l, struct live *live, struct live *stub, struct err *err)
{
    leave_lists(l, live);
    leave_lru(l, live);
    orphan(l, &l->handed, live->run.row.no);
    orphan(l, &l->slow, live->run.row.no);
    live_drop_extras(l, live);
    return map_put(&l->lives, stub->run.row.no, stub) ? HF_OK : err_nomem(err);
}
