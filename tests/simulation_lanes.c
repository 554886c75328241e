/*
 * Several workers on one shared store: lanes with inline slots that take turns by the seed, come,
 * hand partitions to each other, leave, and (but in MODE_NONE) die, sleep through their lease and
 * wake up, and have their store calls fail. Each has a keeper that renews its lease at once
 * whenever the clock moves, unless it sleeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation.h"
#include "store/memory.h"

enum {
    PLACES = 4,
    PARTITIONS_A_QUEUE = 3,
    LEASE_US = 200 * US_PER_MS,
    PASSES_MAX = 20000,
    EVENTS_MAX = 30,
    STORMS_MAX = 10
};

enum state { ABSENT, AWAKE, ASLEEP };

static struct worker_place {
    struct store *store;
    struct lane   lane;
    enum state    state;
    bool          crashed; /* by the store call under way */
    bool          passes;  /* the last batch passed the fence */
    bool          leaving, stale, come;
    int           drowsy;     /* awake again, but its keeper has not looked for so many rounds */
    int64_t       renewed_us; /* store time */
} places[PLACES];

static struct store *base;
static int           events_left;

/* Those in the last places serve one queue each. */
static const char *const served[PLACES] = {NULL, NULL, "default", "far"};

static int
pick(int n)
{
    return random_below(&simulation.rng, n);
}

static struct memory_db *
db(void)
{
    return memory_of(base)->db;
}

/* ---- faults ---- */

static int
choose_mode(struct simulation *s)
{
    s->calls++;
    if (s->opt.mode == MODE_NONE || s->storms_left == 0 || pick(8) != 0)
        return MODE_NONE;
    s->storms_left--;
    return 1 + pick(MODES - 1);
}

/* With TRACE=1: what is in a batch. */
static void
show_batch(const struct batch *b)
{
    static const char *const kinds[] = {"history",      "run",  "restart",  "prune", "start",
                                        "task-new",     "task", "delete",   "dead",  "inbox",
                                        "inbox-delete", "calm", "hand-over"};
    for (size_t i = 0; b && i < b->n_writes; i++) {
        const struct write *w = &b->writes[i];
        printf("  %lld: %s", (long long)b->worker, kinds[w->kind]);
        if (w->kind == WRITE_HISTORY)
            printf(" %lld %.*s", (long long)w->history.run_no, (int)w->history.events_len,
                   w->history.events);
        else if (w->kind == WRITE_RUN)
            printf(" %lld %s", (long long)w->run->no, run_status_name(w->run->status));
        else if (w->kind >= WRITE_TASK_NEW && w->kind <= WRITE_DEAD)
            printf(" %lld run=%lld claimed=%d", (long long)w->task->no, (long long)w->task->run_no,
                   w->task->claimed);
        else if (w->kind == WRITE_INBOX || w->kind == WRITE_INBOX_DELETE)
            printf(" %lld run=%lld task=%lld kind=%d code=%d", (long long)w->inbox.no,
                   (long long)w->inbox.run_no, (long long)w->inbox.task_no, w->inbox.kind,
                   w->inbox.code);
        else if (w->kind == WRITE_HAND_OVER)
            printf(" %d to=%lld", w->partition, (long long)w->to);
        printf("\n");
    }
}

static enum fault
fail_place(void *arg, const char *verb, struct batch *batch)
{
    struct worker_place *w = arg;
    struct simulation   *s = &simulation;
    struct err           err;

    if (s->quiet_store || strcmp(verb, "clone") == 0)
        return FAULT_NONE;
    if (getenv("TRACE"))
        show_batch(batch);
    int mode = choose_mode(s);
    w->crashed = w->crashed || mode == MODE_CRASH_BEFORE || mode == MODE_CRASH_AFTER;
    enum fault fault = sim_fault(mode, verb);
    w->passes = batch && batch->n_writes && shared_fence(db(), batch, &err) == HF_OK;
    if (w->passes && fault != FAULT_BEFORE && fault != FAULT_LOST)
        effects_note_batch(s, batch);
    return fault;
}

static enum fault
fail_client(void *arg, const char *verb, struct batch *batch)
{
    struct simulation *s = arg;
    (void)batch;
    if (s->quiet_store || strcmp(verb, "clone") == 0)
        return FAULT_NONE;
    return sim_fault(choose_mode(s), verb);
}

static void
open_shared(struct simulation *s, const struct clock *clock, struct store **client)
{
    struct err    err = {0};
    struct store *own;

    SIM_CHECK(memory_store_open_shared(clock, PARTITIONS_A_QUEUE, &base, &err) == HF_OK);
    SIM_CHECK(memory_store_answer_sql(base, plan_answer_sql, NULL, &err) == HF_OK);
    SIM_CHECK(base->ops->clone(base, &own, &err) == HF_OK);
    SIM_CHECK(fault_store_open(own, fail_client, s, client, &err) == HF_OK);
    memset(places, 0, sizeof(places));
    s->strict = s->opt.mode == MODE_NONE;
    events_left = EVENTS_MAX;
    s->storms_left = s->opt.at % 2 ? STORMS_MAX : 0;
}

/* ---- one worker ---- */

static bool
keeps(void *arg, bool begun)
{
    struct worker_place *w = arg;
    if (!begun && simulation.now_us > w->renewed_us + LEASE_US * 2 / 3)
        return true; /* nothing begins when the lease may be over */
    return simulation.opt.hold && pick(3) == 0;
}

static void
drop(struct worker_place *w)
{
    lane_close(&w->lane, clock_steady_us());
    w->store->ops->close(w->store);
    w->state = ABSENT;
}

/* Whether the census counts other partitions for it than it knows. */
static bool
is_miscounted(const struct worker_place *w)
{
    size_t n = 0;
    EACH(db(), PARTITIONS, struct partition, p)
    {
        n += p->owner == w->lane.worker;
    }
    return w->lane.n_parting == 0 && n != w->lane.n_parts;
}

static void
keep_lease(struct worker_place *w)
{
    struct err err;
    if (w->state != AWAKE || w->lane.worker == 0)
        return;
    if (base->ops->renew(base, w->lane.worker, 1, NULL, NULL, NULL, &err) == HF_OK)
        w->renewed_us = simulation.now_us;
    else
        w->stale = true;
}

static void
settle(struct worker_place *w, int rc, const struct err *err)
{
    if (w->crashed) {
        drop(w);
        return;
    }
    if (rc == HF_STALE && w->passes)
        sim_fail("a batch passed the fence and was refused: %s", err->text);
    if (rc == HF_STALE)
        w->stale = true;
    else if (rc != HF_OK && rc != HF_UNAVAILABLE && rc != HF_UNKNOWN)
        sim_fail("a lane: %s: %s", err_name(rc), err->text);
}

static void
join(struct simulation *s, int place)
{
    struct worker_place *w = &places[place];
    struct err           err = {0};
    struct store        *own;
    struct lane_opt      opt = {
             .queues = served[place],
             .slots = 1,
             .lease_us = LEASE_US,
             .max_crashes = 1000000,
             .spill_us = pick(2) ? 0 : US_PER_S * 1000,
             .local_max = 1000,
             .cache_runs = s->opt.cache_runs,
             .inline_slots = true,
    };

    *w = (struct worker_place){.state = AWAKE, .renewed_us = s->now_us};
    SIM_CHECK(base->ops->clone(base, &own, &err) == HF_OK);
    SIM_CHECK(fault_store_open(own, fail_place, w, &w->store, &err) == HF_OK);
    w->store = sim_traced(w->store);
    SIM_CHECK(lane_open(&w->lane, w->store, &s->h->registry, &s->h->log, &opt, &err) == HF_OK);
    w->lane.hold = keeps;
    w->lane.hold_arg = w;
    int rc = lane_acquire(&w->lane, s->handlers.data, &err);
    settle(w, rc, &err);
    if (w->state == AWAKE && rc != HF_OK)
        drop(w);
}

static bool
is_peer(const struct worker_place *w, const char *queue)
{
    return w->state == AWAKE && !w->leaving && !w->stale && w->lane.worker &&
           queue_in_list(w->lane.opt.queues, queue);
}

/* Another one that serves the queue, or nobody. */
static int64_t
heir(const struct worker_place *but, const char *queue)
{
    int first = pick(PLACES + 1);
    for (int i = 0; i < PLACES && first < PLACES; i++) {
        struct worker_place *w = &places[(first + i) % PLACES];
        if (w != but && is_peer(w, queue))
            return w->lane.worker;
    }
    return 0;
}

static void
part_with_all(struct worker_place *w)
{
    for (size_t i = 0; i < w->lane.n_parts; i++)
        if (!w->lane.parts[i].parting)
            lane_part_with(&w->lane, w->lane.parts[i].row.id, heir(w, w->lane.parts[i].row.queue));
}

static void
leave(struct worker_place *w)
{
    struct err err;
    if (!w->stale && w->store->ops->leave(w->store, w->lane.worker, &err) == HF_OK)
        w->lane.worker = 0;
    drop(w);
}

static bool
may_leave(const struct worker_place *w, bool idle)
{
    const struct lane *l = &w->lane;
    return idle && l->n_parting == 0 && l->n_read_inbox == 0 && l->n_turns == 0 &&
           l->handed.count + l->slow.count == 0 && l->n_units == 0 && l->finished.count == 0;
}

/* What it believes to own is its own, as long as its lease lasts. */
static void
check_owned(const struct worker_place *w)
{
    const struct lane *l = &w->lane;
    if (w->stale || w->drowsy || l->own_again ||
        simulation.now_us > w->renewed_us + LEASE_US * 2 / 3)
        return;
    for (size_t i = 0; i < l->n_parts; i++) {
        struct partition *p = db_partition(db(), l->parts[i].row.id);
        if (p->owner != l->worker)
            sim_fail("worker %lld thinks that partition %d is its own, but it is that of %lld",
                     (long long)l->worker, l->parts[i].row.id, (long long)p->owner);
    }
}

static int
take_free(struct worker_place *w, struct err *err)
{
    w->come = false;
    return lane_acquire(&w->lane, simulation.handlers.data, err);
}

/* One round, with what the worker does before it. */
static bool
round_is_idle(struct simulation *s, struct worker_place *w)
{
    struct err err = {0};
    bool       idle = false, did = false;
    int        rc = HF_OK;

    if (w->drowsy > 0 && --w->drowsy == 0)
        keep_lease(w);
    if (w->stale && w->leaving) {
        leave(w);
        return false;
    }
    if (w->stale) {
        rc = lane_rejoin(&w->lane, s->handlers.data, &err);
        settle(w, rc, &err);
        if (w->state == AWAKE && rc == HF_OK) {
            w->stale = false;
            w->renewed_us = s->now_us;
        }
        return false;
    }
    if ((s->ending || pick(4) == 0) && is_miscounted(w))
        w->come = true;
    bool news = w->come || w->lane.partitions_now != w->lane.partitions_seen;
    if (news && !w->leaving && (s->ending || pick(4))) {
        rc = take_free(w, &err);
        did = true;
    }
    if (w->leaving)
        part_with_all(w);
    w->lane.held_seen_us = pick(2) ? -US_PER_S * 1000000 : INT64_MAX / 2;
    if (rc == HF_OK)
        rc = lane_round(&w->lane, &idle, &err);
    settle(w, rc, &err);
    if (w->state != AWAKE)
        return false;
    check_owned(w);
    if (w->leaving && !w->stale && rc == HF_OK && may_leave(w, idle)) {
        leave(w);
        return false;
    }
    news = w->lane.partitions_now != w->lane.partitions_seen && !w->leaving;
    return rc == HF_OK && idle && !did && !news && lane_is_quiet(&w->lane);
}

/* ---- what happens ---- */

static void
move_clock(struct simulation *s, int64_t to_us)
{
    if (to_us > s->now_us)
        s->now_us = to_us;
    for (int i = 0; i < PLACES; i++)
        if (places[i].drowsy == 0)
            keep_lease(&places[i]);
}

static struct worker_place *
any(enum state state)
{
    int first = pick(PLACES);
    for (int i = 0; i < PLACES; i++)
        if (places[(first + i) % PLACES].state == state)
            return &places[(first + i) % PLACES];
    return NULL;
}

static void
wake(struct worker_place *w, int drowsy)
{
    if (w == NULL)
        return;
    w->state = AWAKE;
    w->drowsy = drowsy;
    if (drowsy == 0)
        keep_lease(w);
}

static bool
is_awake(int64_t worker)
{
    for (int i = 0; i < PLACES; i++)
        if (places[i].state == AWAKE && places[i].lane.worker == worker)
            return true;
    return false;
}

/* The lease of one that is dead or asleep ends, and another takes over. */
static void
take_over(struct simulation *s)
{
    struct arena         a = {0};
    struct worker_row   *rows = NULL;
    struct worker_place *w = any(AWAKE);
    struct err           err = {0};
    size_t               n = 0;

    SIM_CHECK(base->ops->workers(base, &a, &rows, &n, &err) == HF_OK);
    for (size_t i = 0; i < n; i++) {
        if (is_awake(rows[i].id))
            continue;
        move_clock(s, rows[i].expires_us + 1);
        if (w == NULL || w->state != AWAKE || w->stale || w->drowsy || w->leaving)
            continue;
        int rc = w->store->ops->takeover(w->store, w->lane.worker, rows[i].id, &err);
        w->come = w->come || rc == HF_OK;
        if (rc == HF_STALE || w->crashed)
            settle(w, rc, &err);
    }
    arena_release(&a);
}

static void
hand_over(struct worker_place *w)
{
    if (w == NULL || w->lane.n_parts == 0 || w->leaving)
        return;
    const struct part *part = &w->lane.parts[pick((int)w->lane.n_parts)];
    lane_part_with(&w->lane, part->row.id, heir(w, part->row.queue));
}

static void
something_happens(struct simulation *s)
{
    struct worker_place *w = any(AWAKE);
    struct err           err = {0};

    switch (w ? pick(s->strict ? 10 : 20) : 9) {
    case 6:
        if (!w->leaving && !w->stale)
            settle(w, take_free(w, &err), &err);
        break;
    case 7:
        w->leaving = w->lane.stopping = true;
        break;
    case 8:
    case 9:
        for (int i = 0, first = pick(PLACES); i < PLACES; i++)
            if (places[(first + i) % PLACES].state == ABSENT) {
                join(s, (first + i) % PLACES);
                break;
            }
        break;
    case 10:
    case 11:
        drop(w); /* it dies */
        break;
    case 12:
    case 13:
        w->state = ASLEEP;
        break;
    case 14:
    case 15:
        wake(any(ASLEEP), pick(4));
        break;
    case 16:
    case 17:
        take_over(s);
        break;
    case 18:
        leave(w); /* its grace is over */
        break;
    default:
        hand_over(w);
    }
}

/* ---- the world ---- */

/* Somebody is there for every queue; at the end, nobody is away. */
static void
ensure_workers(struct simulation *s)
{
    if (s->ending && events_left == 0) {
        for (int i = 0; i < PLACES; i++)
            if (places[i].state == ASLEEP)
                wake(&places[i], 0);
        take_over(s);
    }
    for (int i = 0; i < PLACES; i++)
        if (places[i].state == AWAKE && !places[i].leaving && served[i] == NULL)
            return;
    for (int i = 0; i < PLACES; i++)
        if (places[i].state == ABSENT && served[i] == NULL) {
            join(s, i);
            return;
        }
}

static bool
pass(struct simulation *s, bool to_end)
{
    bool idle = true;
    int  first = pick(PLACES);

    ensure_workers(s);
    for (int i = 0; i < PLACES; i++) {
        struct worker_place *w = &places[(first + i) % PLACES];
        if (events_left > 0 && pick(5) == 0) {
            events_left--;
            something_happens(s);
            idle = false;
        }
        if (w->state != AWAKE || (!to_end && pick(2)))
            continue;
        w->lane.fetch_wanted = true;
        idle = round_is_idle(s, w) && idle;
    }
    return idle;
}

static void
play_rounds(struct simulation *s, int n)
{
    for (int i = 0; i < n; i++)
        pass(s, false);
}

static void
work(struct simulation *s)
{
    for (int i = 0, quiet = 0; quiet < 2; i++) {
        quiet = pass(s, true) ? quiet + 1 : 0;
        if (i == PASSES_MAX)
            sim_fail("still busy after %d passes", i);
    }
}

static void
advance(struct simulation *s, int64_t ms)
{
    int64_t target = s->now_us + ms * US_PER_MS;
    for (work(s); s->now_us < target; work(s)) {
        int64_t next = target;
        for (int i = 0; i < PLACES; i++) {
            int64_t due_us = places[i].state == AWAKE ? places[i].lane.next_due_us : NEVER_US;
            if (due_us > s->now_us && due_us < next)
                next = due_us;
        }
        move_clock(s, next);
    }
}

static void
client_called(struct simulation *s)
{
    (void)s;
}

static void
show(struct simulation *s)
{
    (void)s;
    for (int i = 0; i < PLACES; i++)
        if (places[i].state != ABSENT)
            sim_show_lane(&places[i].lane);
}

static void
close_shared(struct simulation *s)
{
    (void)s;
    struct memory_db *left = db();
    for (size_t i = 0; i < left->tables[INBOX].n; i++) {
        const struct inbox_row *row = left->tables[INBOX].rows[i];
        if (row->run_no == 0)
            sim_fail("a message of kind %d to task %lld is left", row->kind,
                     (long long)row->task_no);
    }
    for (int i = 0; i < PLACES; i++)
        if (places[i].state != ABSENT)
            drop(&places[i]);
    base->ops->close(base);
}

const struct sim_world several_lanes = {
    open_shared, play_rounds, work, advance, client_called, show, close_shared,
};
