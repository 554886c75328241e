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

enum { NAMES_MAX = 300, ROUNDS_MAX = 20000, END_ROUNDS_MAX = 400 };

/* run numbers and ids, as seen */
static struct {
    int64_t no;
    char    id[HF_ID_SIZE];
} names[NAMES_MAX];
static int n_names;

static const char *const mode_names[] = {"none",    "crash-before", "crash-after", "unavailable",
                                         "unknown", "lost",         "modes",       "storm"};

static int
where(char *out, size_t size)
{
    const struct simulation *s = &simulation;
    return snprintf(out, size, "SEED=%llu MODE=%s K=%ld CACHE=%zu HOLD=%d (call %ld)",
                    s->plan ? (unsigned long long)s->plan->seed : 0ULL, mode_names[s->opt.mode],
                    s->opt.at, s->opt.cache_runs, s->opt.hold, s->calls);
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

static const char *
name_of(struct simulation *s, int64_t no)
{
    struct arena  a = {0};
    struct loaded loaded = {0};
    struct err    err;

    for (int i = 0; i < n_names; i++)
        if (names[i].no == no)
            return names[i].id;
    s->quiet_store = true;
    int rc = s->h->store->ops->load(s->h->store, &no, 1, &a, &loaded, &err);
    s->quiet_store = false;
    SIM_CHECK(rc == HF_OK && loaded.found && n_names < NAMES_MAX);
    names[n_names].no = no;
    snprintf(names[n_names].id, HF_ID_SIZE, "%s", loaded.run.id);
    arena_release(&a);
    return names[n_names++].id;
}

static void
note_history(struct simulation *s, const struct history_row *row)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct event *events;
    size_t        n;
    char          key[HF_ID_SIZE + 100];
    const char   *id = name_of(s, row->run_no);

    if (event_decode(row->events, row->events_len, &a, &events, &n, &err))
        sim_fail("a row that cannot be read is committed: %s: %.*s", err.text, (int)row->events_len,
                 row->events);
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        bool has_result = e->kind == EVENT_DONE || e->kind == EVENT_ERROR || e->kind == EVENT_STEP;
        if (!has_result)
            continue;
        snprintf(key, sizeof(key), "%s/%d/%s", id, row->execution,
                 e->kind == EVENT_STEP ? e->name : e->ref);
        effect_recorded(key);
    }
    arena_release(&a);
}

/* What becomes durable with this batch. */
static void
note_batch(struct simulation *s, const struct batch *batch)
{
    for (size_t i = 0; i < batch->n_writes; i++) {
        const struct write *w = &batch->writes[i];
        if (w->kind == WRITE_HISTORY)
            note_history(s, &w->history);
        if ((w->kind == WRITE_TASK_DELETE || w->kind == WRITE_DEAD) && w->task->id &&
            w->task->run_no == 0)
            effect_recorded(w->task->id);
    }
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
    static const enum fault faults[] = {
        [MODE_CRASH_BEFORE] = FAULT_BEFORE, [MODE_CRASH_AFTER] = FAULT_AFTER,
        [MODE_UNAVAILABLE] = FAULT_BEFORE,  [MODE_UNKNOWN] = FAULT_AFTER,
        [MODE_LOST] = FAULT_LOST,
    };
    struct simulation *s = arg;

    if (s->quiet_store || strcmp(verb, "clone") == 0)
        return FAULT_NONE;
    if (s->crashed) /* the dead do nothing more */
        return FAULT_BEFORE;
    int mode = choose_mode(s);
    snprintf(s->failed_verb, sizeof(s->failed_verb), "%s", verb);
    s->crashed = s->crashed || mode == MODE_CRASH_BEFORE || mode == MODE_CRASH_AFTER;
    bool only_reads = strcmp(verb, "load") == 0 || strcmp(verb, "inbox_list") == 0 ||
                      strcmp(verb, "acquire") == 0 || strcmp(verb, "leave") == 0;
    if (only_reads && (mode == MODE_UNKNOWN || mode == MODE_LOST))
        mode = MODE_UNAVAILABLE;
    if (batch && faults[mode] != FAULT_BEFORE && faults[mode] != FAULT_LOST)
        note_batch(s, batch);
    return mode == MODE_NONE ? FAULT_NONE : faults[mode];
}

static bool
choose_hold(void *arg)
{
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

/* ---- the script ---- */

/* Clients repeat what is safe to repeat. */
static int
until_known(struct simulation   *s, int (*call)(struct simulation *, const struct action *),
            const struct action *a)
{
    for (int i = 0;; i++) {
        int rc = call(s, a);
        if (s->crashed)
            drop_lane(s);
        s->crashed = false;
        if (rc != HF_UNAVAILABLE && rc != HF_UNKNOWN)
            return rc;
        SIM_CHECK(i < 50);
    }
}

static const char *
run_id(const struct action *a, char out[8])
{
    snprintf(out, 8, "r%d", a->run % RUNS_MAX);
    return out;
}

static int
do_start(struct simulation *s, const struct action *a)
{
    char id[8], input[20];
    snprintf(input, sizeof(input), "%d 0", a->run);
    return hf_start(
        s->h, "program", input,
        HF_OPT(.id = run_id(a, id), .class_ = 1 + a->run % 3,
               .if_exists = a->kind == ACT_REPLACE ? HF_IF_EXISTS_REPLACE : HF_IF_EXISTS_USE),
        NULL);
}

static int
do_send(struct simulation *s, const struct action *a)
{
    char id[8], text[12];
    snprintf(text, sizeof(text), "%d", a->n);
    return hf_send(s->h, run_id(a, id), "s", text, HF_OPT(.key = text));
}

static int
do_tell(struct simulation *s, const struct action *a)
{
    char id[8];
    run_id(a, id);
    switch (a->kind) {
    case ACT_PAUSE:
        return hf_pause(s->h, id);
    case ACT_RESUME:
        return hf_resume(s->h, id);
    default:
        return a->n ? hf_terminate(s->h, id, "enough") : hf_cancel(s->h, id, "enough");
    }
}

static int
do_enqueue(struct simulation *s, const struct action *a)
{
    char id[20], input[20];
    snprintf(id, sizeof(id), "job%d", a->run);
    snprintf(input, sizeof(input), "%d %d", a->run, a->n);
    int rc =
        hf_enqueue(s->h, "work", input,
                   HF_OPT(.id = id, .max_attempts = 4, .first_delay_ms = 50, .jitter = -1), NULL);
    return rc == HF_EXISTS ? HF_OK : rc; /* from a repeat */
}

static void
act(struct simulation *s, const struct action *a)
{
    int  rc = HF_OK;
    bool strict = !s->plan->loose[a->run < RUNS_MAX ? a->run : 0];

    switch (a->kind) {
    case ACT_START:
    case ACT_REPLACE:
        rc = until_known(s, do_start, a);
        break;
    case ACT_SIGNAL:
        rc = until_known(s, do_send, a);
        if (rc == HF_DONE && !strict)
            rc = HF_OK;
        break;
    case ACT_RESEND:
        rc = until_known(s, do_send, a);
        if (rc == HF_DONE)
            rc = HF_OK;
        break;
    case ACT_PAUSE:
    case ACT_RESUME:
    case ACT_CANCEL:
        rc = until_known(s, do_tell, a);
        if (rc == HF_DONE)
            rc = HF_OK;
        break;
    case ACT_ENQUEUE:
        rc = until_known(s, do_enqueue, a);
        break;
    case ACT_ROUNDS:
        if (s->working)
            s->lane.fetch_wanted = true;
        for (int i = 0; i < a->n; i++)
            round_is_idle(s);
        break;
    case ACT_WORK:
        work(s);
        break;
    default:
        advance(s, a->n);
    }
    if (rc)
        sim_fail("action %d run %d: %s: %s", a->kind, a->run, err_name(rc), hf_errmsg(s->h));
}

/* Lets all end: paused runs go on, parked ones are cancelled. */
static bool
all_have_ended(struct simulation *s)
{
    bool           ended = true;
    struct pending p;
    struct err     err;

    for (int i = 0; i < s->plan->n_runs; i++) {
        char     id[8];
        hf_info *info;
        snprintf(id, sizeof(id), "r%d", i % RUNS_MAX);
        s->quiet_store = true;
        SIM_CHECK(hf_describe(s->h, id, &info) == HF_OK);
        s->quiet_store = false;
        bool parked = info->custom_status && strcmp(info->custom_status, "parked") == 0;
        if (strcmp(info->status, "blocked") == 0)
            sim_fail("%s is blocked: %s", id, info->error_message);
        if (!info->done && strcmp(info->status, "paused") == 0)
            act(s, &(struct action){ACT_RESUME, i, 0});
        else if (!info->done && parked)
            act(s, &(struct action){ACT_CANCEL, i, 0});
        ended = ended && info->done;
        hf_info_free(info);
    }
    s->quiet_store = true;
    SIM_CHECK(s->h->store->ops->pending(s->h->store, NULL, s->now_us, &p, &err) == HF_OK);
    s->quiet_store = false;
    return ended && p.tasks == 0 && p.running == 0 && p.due == 0 && p.waiting == 0 && p.inbox == 0;
}

static void
finish(struct simulation *s)
{
    for (int i = 0; i < END_ROUNDS_MAX; i++) {
        work(s);
        if (all_have_ended(s))
            return;
        advance(s, i < 100 ? 500 : 60000);
    }
    struct buf out = {0};
    outcome_read(s, &out);
    printf("%s", out.data);
    sim_fail("not everything has ended");
}

/* ---- from beginning to end ---- */

static void
print_line(void *arg, int level, const char *event, const char *fields)
{
    (void)arg;
    printf("%d %s %s\n", level, event, fields);
}

/* With TRACE=1 every store call is shown. */
static struct store *
maybe_traced(struct store *store)
{
    static const struct log log = {print_line, NULL};
    struct store           *traced;
    struct err              err;

    if (getenv("TRACE") == NULL || simulation.opt.mode == MODE_NONE)
        return store;
    SIM_CHECK(trace_store_open(store, &log, &traced, &err) == HF_OK);
    return traced;
}

static void
begin(struct simulation *s, const struct plan *plan, const struct sim_options *opt)
{
    struct err    err = {0};
    struct store *inner, *store;

    *s = (struct simulation){.plan = plan,
                             .opt = *opt,
                             .rng = plan->seed * 31 + (uint64_t)opt->at,
                             .now_us = 1767225600LL * US_PER_S,
                             .storms_left = 10};
    n_names = 0;
    effects_reset();
    signal(SIGABRT, show_place);
    signal(SIGSEGV, show_place);
    struct clock clock = clock_fake(&s->now_us);
    SIM_CHECK(memory_store_open(&clock, &inner, &err) == HF_OK);
    SIM_CHECK(memory_store_answer_sql(inner, plan_answer_sql, NULL, &err) == HF_OK);
    SIM_CHECK(fault_store_open(inner, choose_fault, s, &store, &err) == HF_OK);
    SIM_CHECK(handle_new(maybe_traced(store), &s->h) == HF_OK);
    if (getenv("TRACE"))
        hf_set_log(s->h, print_line, NULL);
    plan_register(s->h);
    SIM_CHECK(registry_describe(&s->h->registry, &s->handlers, &err) == HF_OK);
}

long
simulate(const struct plan *plan, const struct sim_options *opt, struct buf *out)
{
    struct simulation *s = &simulation;

    begin(s, plan, opt);
    for (int i = 0; i < plan->n_actions; i++)
        act(s, &plan->actions[i]);
    finish(s);
    outcome_read(s, out);
    long calls = s->calls;
    drop_lane(s);
    hf_close(s->h);
    buf_release(&s->handlers);
    return calls;
}
