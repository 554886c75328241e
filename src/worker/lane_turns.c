/*
 * Turns in the lane: runs that can go on are given to slots, and what a turn said becomes state,
 * extras for the commit, and jobs. The rule of who may touch a run: the slot while place is
 * LIVE_TURN or LIVE_STEP, the lane otherwise.
 */
#include "worker/lane.h"

#include <stdio.h>
#include <string.h>

enum { WATCH_US = 200 * US_PER_MS };

/* ---- with slots ---- */

void
lane_execute_turn(struct live *live, struct slot *slot, bool may_step)
{
    struct turn_env env = {.clock = &slot->pool->clock,
                           .log = slot->pool->log,
                           .arena = &slot->arena,
                           .may_step = may_step,
                           .worker = live->worker,
                           .sql = sql_conn_run,
                           .sql_arg = slot->pool->sql};

    atomic_fetch_add_explicit(&slot->turns, 1, memory_order_relaxed);
    atomic_store(&slot->turn, live);
    if (!atomic_load(&live->doomed))
        run_turn(&live->run, live->workflow->fn, &env);
    arena_reset(&slot->arena);
    live->turn_us = clock_steady_us() - slot->began_us;
    struct live *mine = live;
    if (atomic_compare_exchange_strong(&slot->turn, &mine, NULL))
        stack_push(&slot->pool->turns_done, &live->node);
    else /* the lane has given it up: nobody else knows it any more */
        live_free(NULL, live);
}

static void
execute_inline(struct lane *l, struct live *live)
{
    struct turn_env env = {.clock = &l->store->clock,
                           .log = l->log,
                           .arena = &l->turn_arena,
                           .may_step = live->place == LIVE_STEP,
                           .worker = live->worker,
                           .sql = sql_conn_run,
                           .sql_arg = &l->sql};
    if (!live->doomed)
        run_turn(&live->run, live->workflow->fn, &env);
    arena_reset(&l->turn_arena);
}

/* Whether an inline slot still has it. */
static bool
is_held(struct lane *l, struct live *live)
{
    if (live->held) {
        if (lane_holds(l, false))
            return true;
        live->held = false;
        execute_inline(l, live);
    }
    return lane_holds(l, true);
}

static bool
dispatch(struct lane *l, struct live *live, bool may_step)
{
    live->place = may_step ? LIVE_STEP : LIVE_TURN;
    live->worker = l->worker;
    live->wants_turn = false;
    live->wants_step = false;
    l->n_turns++;
    if (l->pool == NULL) {
        live->held = lane_holds(l, false);
        if (!live->held)
            execute_inline(l, live);
        stack_push(&l->own_turns, &live->node);
        return true;
    }
    if (pool_put_turn(l->pool, live, may_step))
        return true;
    live->place = LIVE_IDLE;
    live->wants_turn = !may_step;
    live->wants_step = may_step;
    l->n_turns--;
    return false;
}

void
live_ready(struct lane *l, struct live *live)
{
    if (live->listed_ready || live->ended)
        return;
    live->listed_ready = true;
    live->ready_next = NULL;
    *l->ready_end = live;
    l->ready_end = &live->ready_next;
}

/* A run that was there in crashes, or any run after one, is stored as claimed before its turn. */
static bool
must_claim(struct lane *l, struct live *live)
{
    return (live->run.row.crashes > 0 || lane_is_careful(l, live->run.row.no)) &&
           !live->stored_claimed;
}

void
lane_dispatch_turns(struct lane *l, bool *did)
{
    struct live *list = l->ready;

    if (l->stopping)
        return;
    l->ready = NULL;
    l->ready_end = &l->ready;
    for (struct live *live = list, *next; live; live = next) {
        next = live->ready_next;
        live->listed_ready = false;
        int status = live->run.row.status;
        if (live->place != LIVE_IDLE || live->ended || !(live->wants_turn || live->wants_step) ||
            live->workflow == NULL || status == RUN_PAUSED || status == RUN_BLOCKED)
            continue;
        if (lane_is_parting(l, live->run.row.no)) {
            live_ready(l, live);
            continue;
        }
        bool claim = must_claim(l, live);
        if (claim && l->n_claimed_turns >= (size_t)l->opt.slots) { /* a crash is to name few */
            live_ready(l, live); /* nor is it the suspect yet: another may have its claim already */
            continue;
        }
        if (live->run.row.crashes > 0 && l->suspect_live != live) {
            if (l->suspect || l->suspect_live) {
                live_ready(l, live); /* one suspect at a time */
                continue;
            }
            l->suspect_live = live;
        }
        if (claim) {
            l->n_claimed_turns++;
            live->run.row.claimed = true;
            live_dirty(l, live);
            *did = true;
            continue; /* comes back from the commit */
        }
        if (live->wants_step && (live->run.out.len > 0 || live->extras)) {
            live_dirty(l, live);
            continue;
        }
        if (!dispatch(l, live, live->wants_step))
            live_ready(l, live);
        else
            *did = true;
    }
    if (l->pool)
        pool_wake(l->pool);
}

/* ---- what a turn asked for ---- */

static int
start_child(struct live *live, struct call *c, struct err *err)
{
    struct extra  *x = live_extra(live, WRITE_START);
    struct run    *r = &live->run;
    struct submit *s = arena_zalloc(&r->arena, sizeof(*s));
    const char    *ref = call_ref(c, &r->arena);

    if (x == NULL || s == NULL || ref == NULL)
        return err_nomem(err);
    s->kind = SUBMIT_START;
    s->id = c->run_id;
    s->name = c->name;
    s->payload = c->input;
    s->queue = c->opt && c->opt->queue ? c->opt->queue : r->row.queue;
    s->cls = c->opt && c->opt->class_ ? c->opt->class_ - 1 : row_stream(r->row.no);
    s->version = c->opt ? c->opt->version : 0;
    s->token = arena_printf(&r->arena, "%s/%d/%s", r->row.id, r->row.execution, ref);
    x->write.start = s;
    x->write.parent_no = c->detached ? 0 : r->row.no;
    x->write.parent_ref = ref;
    x->write.parent_execution = r->row.execution;
    return s->token ? HF_OK : err_nomem(err);
}

/* Whether a called task has to be a row from the start. */
static bool
starts_as_row(const struct lane *l, const struct live *live, const struct job *job)
{
    const char *queue = job->row.queue;
    return (queue && live->run.row.queue && strcmp(queue, live->run.row.queue) != 0) ||
           job->policy.on_crash == HF_FAIL || job->handler == NULL || l->n_jobs > l->opt.local_max;
}

static struct job *
find_orphan(struct lane *l, const struct live *live, const struct call *c)
{
    struct job_list *lists[] = {&l->handed, &l->slow};
    char             ref[HF_ID_SIZE];

    snprintf(ref, sizeof(ref), "%s.%u", c->branch->path, c->n);
    for (size_t i = 0; i < 2; i++)
        for (struct job *job = lists[i]->head; job; job = job->next)
            if (job->call == NULL && !job->unwanted && job->run_no == live->run.row.no &&
                job->execution == live->run.row.execution && strcmp(job->row.ref, ref) == 0)
                return job;
    return NULL;
}

/* One that came back while the run was with its slot. */
static struct job *
find_arrived(const struct live *live, const struct call *c)
{
    char ref[HF_ID_SIZE];

    snprintf(ref, sizeof(ref), "%s.%u", c->branch->path, c->n);
    for (const struct arrival *a = live->arrivals; a; a = a->next)
        if (a->kind == ARRIVE_RESULT && a->job->call == NULL &&
            a->job->execution == live->run.row.execution && strcmp(a->job->row.ref, ref) == 0)
            return a->job;
    return NULL;
}

static int
start_task(struct lane *l, struct live *live, struct call *c, struct err *err)
{
    struct job *job = l->n_orphans ? find_orphan(l, live, c) : NULL;

    if (job)
        l->n_orphans--;
    else if (live->arrivals)
        job = find_arrived(live, c);
    if (job) { /* it runs already, from before the run left memory, or has run */
        job->call = c;
        c->job = job;
        live->jobs++;
        return HF_OK;
    }
    TRY(job_from_call(l, live, c, &job, err));
    if (!starts_as_row(l, live, job)) {
        job->next = live->starting;
        live->starting = job;
        return HF_OK;
    }
    bool here = job->handler && l->n_jobs <= l->opt.local_max &&
                (job->row.queue == NULL || live->run.row.queue == NULL ||
                 strcmp(job->row.queue, live->run.row.queue) == 0);
    if (here)
        return job_to_row(l, live, job, true, err);
    TRY(job_leave_as_row(l, live, job, 0,
                         err)); /* it comes back through the fetch when there is room for it */
    c->job = NULL;
    live->jobs--;
    lane_forget_job(l, job);
    return HF_OK;
}

static int
take_to_start(struct lane *l, struct live *live, bool closing, struct err *err)
{
    struct run  *r = &live->run;
    struct call *list = NULL;

    while (r->to_start) { /* it was built newest first */
        struct call *c = r->to_start;
        r->to_start = c->start_next;
        c->start_next = list;
        list = c;
    }
    for (struct call *c = list, *next; c; c = next) {
        next = c->start_next;
        c->listed = false;
        if (c->kind == CALL_CHILD && (!closing || c->detached)) {
            TRY(start_child(live, c, err));
        } else if (c->kind == CALL_TASK && !closing && !c->closed && !c->settled) {
            TRY(start_task(l, live, c, err));
        } else if (!c->closed) {
            TRY(live_call_cancelled(l, live, c, err));
        }
    }
    return HF_OK;
}

/* ---- back from slots ---- */

static bool
has_signal(const struct live *live)
{
    for (const struct arrival *a = live->arrivals; a; a = a->next)
        if (a->kind == ARRIVE_INBOX && a->inbox.kind == INBOX_SIGNAL)
            return true;
    return false;
}

static int
judge_turn(struct lane *l, struct live *live, struct err *err)
{
    struct run *r = &live->run;
    bool        again = r->end >= TURN_COMPLETED && r->end <= TURN_CONTINUED && has_signal(live);

    if (r->end != TURN_BLOCKED && r->end != TURN_NOMEM)
        TRY(take_to_start(l, live, r->end >= TURN_CLOSING && r->end <= TURN_CONTINUED && !again,
                          err));
    if (r->row.crashes > 0) { /* it came back */
        r->row.crashes = 0;
        live_dirty(l, live);
    }
    if (r->custom_changed)
        r->row.custom = r->custom;
    if (r->row.claimed)
        l->n_claimed_turns--;
    r->row.claimed = false;
    if (again) {
        live->wants_turn = true;
        live_ready(l, live);
        return HF_OK;
    }
    switch (r->end) {
    case TURN_SUSPENDED:
        r->horizon = r->end_seen;
        return HF_OK;
    case TURN_STEP:
        r->horizon = r->end_seen;
        live->wants_step = true;
        if (r->out.len == 0)
            live_ready(l, live);
        return HF_OK;
    case TURN_CLOSING:
        r->horizon = r->end_seen;
        TRY(live_cancel_calls(l, live, true, err));
        if (!run_has_open_work(r)) { /* what a branch asked for in this very turn did not begin */
            live->wants_turn = true;
            live_ready(l, live);
        }
        return HF_OK;
    case TURN_COMPLETED:
        return live_end(l, live, RUN_COMPLETED, EVENT_COMPLETED, err);
    case TURN_FAILED:
        return live_end(l, live, RUN_FAILED, EVENT_FAILED, err);
    case TURN_CANCELLED:
        return live_end(l, live, RUN_CANCELLED, EVENT_CANCELLED, err);
    case TURN_CONTINUED:
        return live_continue(l, live, NULL, err);
    case TURN_BLOCKED:
        run_take_back(r);
        live_block(l, live, r->end_name, r->end_message);
        return HF_OK;
    default:
        run_take_back(r);
        live->forget = live->reload = true;
        r->row.status = RUN_RUNNING; /* as it is read again, it has this turn to do */
        log_event(l->log, LOG_WARNING, "no_memory", "run=%s", r->row.id);
        return HF_OK;
    }
}

static int
take_turn(struct lane *l, struct live *live, struct err *err)
{
    TRY(judge_turn(l, live, err));
    TRY(live_take_arrivals(l, live, err));
    live_dirty(l, live);
    return HF_OK;
}

/* A statement may have been stored with its history row, or others have written there. */
static int
read_again(struct lane *l, struct live *live, struct err *err)
{
    const char *why = live->run.end_message;

    log_event(l->log, LOG_WARNING, "read_again", "run=%s message=%s", live->run.row.id,
              why ? why : "");
    l->own_again = l->store->shared; /* it may not be ours any more */
    return lane_read_again(l, live, err);
}

int
lane_collect_turns(struct lane *l, bool *did, struct err *err)
{
    struct stack *done = l->pool ? &l->pool->turns_done : &l->own_turns;
    struct node  *held = NULL;
    int           rc = HF_OK;

    for (struct node *n; rc == HF_OK && (n = lane_next_back(done, &l->turns_back));) {
        struct live *live = (struct live *)n; /* node is its first member */
        *did = true;
        if (is_held(l, live)) {
            n->next = held;
            held = n;
            continue;
        }
        l->n_turns--;
        tally_add(&l->tally.turns, 1);
        tally_add(&l->tally.steps, live->place == LIVE_STEP);
        tally_add(&l->tally.turn_us, (uint64_t)live->turn_us);
        live->place = LIVE_IDLE;
        if (l->suspect_live == live)
            l->suspect_live = NULL;
        rc = live->doomed                  ? lane_replace_doomed(l, live, err)
             : live->run.end == TURN_AGAIN ? read_again(l, live, err)
                                           : take_turn(l, live, err);
    }
    stack_give_back(done, held);
    return rc;
}

/* ---- the watchdog ---- */

/* Whether a turn has used up its CPU time since the lane first saw it. The looks are 200 ms apart,
 * so quick turns cost nothing. */
static bool
must_stop(const struct lane *l, struct slot *s, struct live *live)
{
    uint64_t turn = atomic_load_explicit(&s->turns, memory_order_relaxed);

    if (turn != s->watched_turn) {
        s->watched_turn = turn;
        s->watched_cpu_us = slot_cpu_us(s);
        return false;
    }
    return atomic_load(&live->run.spinning) ||
           slot_cpu_us(s) - s->watched_cpu_us > l->opt.turn_cpu_us;
}

/* Turns that burn the processor: the run is blocked, the thread is given up and replaced. */
int
lane_watch_turns(struct lane *l, struct err *err)
{
    int64_t now = clock_steady_us();

    if (l->pool == NULL || l->n_turns == 0 || now < l->next_watch_us)
        return HF_OK;
    l->next_watch_us = now + WATCH_US;
    for (size_t i = 0; i < l->pool->n_slots + l->pool->n_turn_slots; i++) {
        struct slot *s = l->pool->slots[i];
        struct live *live = s->lost || !s->for_turns ? NULL : atomic_load(&s->turn);
        if (live == NULL || !must_stop(l, s, live))
            continue;
        struct live *stub;
        bool         spins = atomic_load(&live->run.spinning);
        TRY(live_make_stub(live, &stub, err));
        struct live *expected = live;
        if (!atomic_compare_exchange_strong(&s->turn, &expected, NULL)) {
            stub->run.row.claimed =
                false; /* it came back just now: the claim is still that of the other */
            live_free(l, stub);
            continue;
        }
        s->lost = true;
        l->n_turns--;
        l->n_lost_turns++;
        char message[160];
        snprintf(message, sizeof(message),
                 spins ? "the workflow calls on although a call said stop: return negative codes"
                       : "a turn used over %lld ms of CPU: a workflow must not compute or loop; "
                         "put work into tasks",
                 (long long)(l->opt.turn_cpu_us / US_PER_MS));
        if (l->suspect_live == live)
            l->suspect_live = NULL;
        TRY(live_replace_by_stub(l, live, stub, err));
        live_block(l, stub, "looping", message);
        TRY(pool_replace_turn_slot(l->pool, err));
    }
    return HF_OK;
}
