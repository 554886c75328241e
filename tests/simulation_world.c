/*
 * The world of a simulation: a memory store behind injected faults, a clock that stands still, a
 * handle for the client and a lane in the place of a worker. A crash drops the lane without leave.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "simulation.h"

struct simulation simulation;

enum { ROUNDS_MAX = 20000 };

static const char *const mode_names[] = {"none",    "crash-before", "crash-after", "unavailable",
                                         "unknown", "lost",         "modes",       "storm"};

static int
where(char *out, size_t size)
{
    const struct simulation *s = &simulation;
    return snprintf(out, size, "SEED=%llu MODE=%s K=%ld CACHE=%zu HOLD=%d%s (call %ld)",
                    s->plan ? (unsigned long long)s->plan->seed : 0ULL, mode_names[s->opt.mode],
                    s->opt.at, s->opt.cache_runs, s->opt.hold, s->opt.shared ? " shared" : "",
                    s->calls);
}

_Noreturn void
sim_fail(const char *fmt, ...)
{
    char    text[1000], place[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    where(place, sizeof(place));
    if (simulation.plan)
        plan_print(simulation.plan);
    test_fail("simulation", 0, "%s: %s", place, text);
}

/* A crash of the library itself must not hide the seed. */
static void
show_place(int number)
{
    char place[200];
    int  n = where(place, sizeof(place) - 1);
    place[n] = '\n';
    if (write(STDERR_FILENO, place, (size_t)n + 1) < 0)
        _exit(3);
    signal(number, SIG_DFL);
    raise(number);
}

/* ---- faults ---- */

/* How a verb fails; what only reads is never in doubt. */
enum fault
sim_fault(int mode, const char *verb)
{
    static const enum fault faults[] = {
        [MODE_NONE] = FAULT_NONE,         [MODE_CRASH_BEFORE] = FAULT_BEFORE,
        [MODE_CRASH_AFTER] = FAULT_AFTER, [MODE_UNAVAILABLE] = FAULT_BEFORE,
        [MODE_UNKNOWN] = FAULT_AFTER,     [MODE_LOST] = FAULT_LOST,
    };
    static const char *const certain[] = {"load",      "load_tasks", "inbox_list",
                                          "task_list", "acquire",    "leave"};
    for (size_t i = 0; i < sizeof(certain) / sizeof(certain[0]); i++)
        if (strcmp(verb, certain[i]) == 0 && (mode == MODE_UNKNOWN || mode == MODE_LOST))
            mode = MODE_UNAVAILABLE;
    return faults[mode];
}

static int
choose_mode(struct simulation *s)
{
    s->calls++;
    if (s->opt.mode != MODE_STORM)
        return s->calls == s->opt.at ? s->opt.mode : MODE_NONE;
    if (s->storms_left == 0 || random_below(&s->rng, 6) != 0)
        return MODE_NONE;
    s->storms_left--;
    return 1 + random_below(&s->rng, MODES - 1);
}

static enum fault
choose_fault(void *arg, const char *verb, struct batch *batch)
{
    struct simulation *s = arg;

    if (s->quiet_store || strcmp(verb, "clone") == 0)
        return FAULT_NONE;
    if (s->crashed) /* the dead do nothing more */
        return FAULT_BEFORE;
    int mode = choose_mode(s);
    snprintf(s->failed_verb, sizeof(s->failed_verb), "%s", verb);
    s->crashed = s->crashed || mode == MODE_CRASH_BEFORE || mode == MODE_CRASH_AFTER;
    enum fault fault = sim_fault(mode, verb);
    if (batch && fault != FAULT_BEFORE && fault != FAULT_LOST)
        effects_note_batch(s, batch);
    return fault;
}

static bool
choose_hold(void *arg, bool begun)
{
    (void)begun;
    struct simulation *s = arg;
    return random_below(&s->rng, 3) == 0;
}

/* ---- the worker ---- */

static void
drop_lane(struct simulation *s)
{
    if (!s->working)
        return;
    lane_close(&s->lane, clock_steady_us());
    s->store->ops->close(s->store);
    s->working = false;
}

static int
open_lane(struct simulation *s, struct err *err)
{
    struct lane_opt opt = {
        .slots = 1,
        .lease_us = 10 * US_PER_S,
        .max_crashes = 1000000,
        .spill_us = US_PER_S,
        .local_max = 1000,
        .cache_runs = s->opt.cache_runs,
        .inline_slots = true,
    };
    TRY(s->h->store->ops->clone(s->h->store, &s->store, err));
    TRY(lane_open(&s->lane, s->store, &s->h->registry, &s->h->log, &opt, err));
    s->working = true;
    if (s->opt.hold) {
        s->lane.hold = choose_hold;
        s->lane.hold_arg = s;
    }
    return lane_acquire(&s->lane, s->handlers.data, err);
}

/* As the worker does when the store fails it: what runs is brought in, then it leaves. */
static void
wind_down(struct simulation *s)
{
    struct err err;
    bool       idle = false;

    s->lane.stopping = true;
    for (int i = 0; i < ROUNDS_MAX && !s->crashed; i++) {
        if (lane_round(&s->lane, &idle, &err))
            break;
        if (idle && s->lane.handed.count == 0 && s->lane.n_turns == 0 && s->lane.n_units == 0 &&
            s->lane.finished.count == 0)
            break;
    }
    if (!s->crashed)
        (void)s->store->ops->leave(s->store, s->lane.worker, &err);
    drop_lane(s);
}

/* One round of the worker, with its beginnings and ends. */
static bool
round_is_idle(struct simulation *s)
{
    struct err err = {0};
    bool       idle = false;
    int        rc = s->working ? HF_OK : open_lane(s, &err);

    if (rc == HF_OK)
        rc = lane_round(&s->lane, &idle, &err);
    if (rc == HF_OK && !s->crashed && s->lane.partitions_now != s->lane.partitions_seen) {
        rc = lane_acquire(&s->lane, s->handlers.data, &err);
        idle = false;
    }
    if (s->crashed) {
        drop_lane(s);
        s->crashed = false;
        return false;
    }
    if (rc == HF_UNAVAILABLE && strcmp(s->failed_verb, "cycle") == 0)
        return false; /* the batch is tried again */
    if (rc == HF_UNAVAILABLE) {
        wind_down(s);
        s->crashed = false;
        return false;
    }
    if (rc)
        sim_fail("the lane: %s: %s", err_name(rc), err.text);
    return idle && lane_is_quiet(&s->lane);
}

static void
work(struct simulation *s)
{
    if (s->working)
        s->lane.fetch_wanted = true;
    for (int i = 0; !round_is_idle(s); i++)
        if (i == ROUNDS_MAX)
            sim_fail("still busy after %d rounds", i);
}

static void
advance(struct simulation *s, int64_t ms)
{
    int64_t target = s->now_us + ms * US_PER_MS;
    for (work(s); s->now_us < target; work(s)) {
        int64_t next = s->lane.next_due_us;
        s->now_us = next > s->now_us && next < target ? next : target;
    }
}

static void
play_rounds(struct simulation *s, int n)
{
    if (s->working)
        s->lane.fetch_wanted = true;
    for (int i = 0; i < n; i++)
        round_is_idle(s);
}

static void
client_called(struct simulation *s)
{
    if (s->crashed)
        drop_lane(s);
    s->crashed = false;
}

static void
open_one(struct simulation *s, const struct clock *clock, struct store **out)
{
    struct err    err = {0};
    struct store *inner;

    SIM_CHECK(memory_store_open(clock, &inner, &err) == HF_OK);
    SIM_CHECK(memory_store_answer_sql(inner, plan_answer_sql, NULL, &err) == HF_OK);
    SIM_CHECK(fault_store_open(inner, choose_fault, s, out, &err) == HF_OK);
}

void
sim_show_lane(const struct lane *l)
{
    struct job *job;

    printf("worker %lld: partitions=%zu turns=%zu handed=%zu slow=%zu waiting=%zu to_claim=%zu "
           "suspects=%zu finished=%zu orphans=%zu claimed_turns=%zu suspect=%d suspect_live=%d\n",
           (long long)l->worker, l->n_parts, l->n_turns, l->handed.count, l->slow.count,
           l->waiting.count, l->to_claim.count, l->suspects.count, l->finished.count, l->n_orphans,
           l->n_claimed_turns, l->suspect != NULL, l->suspect_live != NULL);
    for (size_t at = 0; (job = map_next(&l->rows, &at));)
        printf("worker %lld: row %lld of %s\n", (long long)l->worker, (long long)job->row.no,
               job->id);
}

static void
show(struct simulation *s)
{
    if (s->working)
        sim_show_lane(&s->lane);
}

static const struct sim_world one_lane = {
    open_one, play_rounds, work, advance, client_called, show, drop_lane,
};

/* ---- from beginning to end ---- */

static void
print_line(void *arg, int level, const char *event, const char *fields)
{
    (void)arg;
    printf("%d %s %s\n", level, event, fields);
}

/* With TRACE=1 every store call is shown. */
struct store *
sim_traced(struct store *store)
{
    static const struct log log = {print_line, NULL};
    struct store           *traced;
    struct err              err;

    if (getenv("TRACE") == NULL || (simulation.opt.mode == MODE_NONE && !simulation.opt.shared))
        return store;
    SIM_CHECK(trace_store_open(store, &log, &traced, &err) == HF_OK);
    return traced;
}

static void
begin(struct simulation *s, const struct plan *plan, const struct sim_options *opt)
{
    struct err    err = {0};
    struct store *store;

    *s = (struct simulation){.plan = plan,
                             .opt = *opt,
                             .rng = plan->seed * 31 + (uint64_t)opt->at,
                             .now_us = 1767225600LL * US_PER_S,
                             .storms_left = 10};
    effects_reset();
    signal(SIGABRT, show_place);
    signal(SIGSEGV, show_place);
    struct clock clock = clock_fake(&s->now_us);
    s->world = opt->shared ? &several_lanes : &one_lane;
    s->world->open(s, &clock, &store);
    SIM_CHECK(handle_new(sim_traced(store), &s->h) == HF_OK);
    if (getenv("TRACE") && (opt->mode != MODE_NONE || opt->shared))
        hf_set_log(s->h, print_line, NULL);
    plan_register(s->h);
    SIM_CHECK(registry_describe(&s->h->registry, &s->handlers, &err) == HF_OK);
}

long
simulate(const struct plan *plan, const struct sim_options *opt, struct buf *out)
{
    struct simulation *s = &simulation;

    begin(s, plan, opt);
    script_play(s);
    outcome_read(s, out);
    long calls = s->calls;
    s->world->close(s);
    hf_close(s->h);
    buf_release(&s->handlers);
    return calls;
}
