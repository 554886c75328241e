/*
 * hf_run: serves the store's queues with one lane until it is told to stop, has nothing left to do
 * (drain), or cannot go on. The lane runs in the caller's thread; ownership.c says for which
 * partitions.
 */
#include "worker/worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { DRAIN_CHECK_MS = 100, RETRY_MS = 100 };

/* ---- options ---- */

#define GIVEN(o, field, otherwise) ((o)->field ? (o)->field : (otherwise))

static int
read_options(struct worker *w, const hf_worker_opt *given, struct err *err)
{
    hf_worker_opt o = {0};

    if (given && given->size == 0)
        return err_set(err, HF_INVALID, "worker options: use HF_WORKER(...)");
    if (given)
        memcpy(&o, given, given->size < sizeof(o) ? given->size : sizeof(o));
    if (o.slots < 0 || o.slots > POOL_SLOTS_MAX)
        return err_set(err, HF_INVALID, "slots: %d, 1 to %d", o.slots, POOL_SLOTS_MAX);
    if (o.lease_ms < 0 || o.grace_ms < 0 || o.max_crashes < 0 || o.turn_cpu_ms < 0 ||
        o.spill_ms < 0)
        return err_set(err, HF_INVALID, "worker options: no number may be below 0");
    if (o.lease_ms && o.lease_ms < 100)
        return err_set(err, HF_INVALID, "lease_ms: %lld, at least 100", (long long)o.lease_ms);
    w->opt = (struct lane_opt){
        .queues = o.queues,
        .slots = GIVEN(&o, slots, 16),
        .lease_us = GIVEN(&o, lease_ms, 10000) * US_PER_MS,
        .grace_us = GIVEN(&o, grace_ms, 10000) * US_PER_MS,
        .max_crashes = GIVEN(&o, max_crashes, 5),
        .turn_cpu_us = GIVEN(&o, turn_cpu_ms, 1000) * US_PER_MS,
        .spill_us = GIVEN(&o, spill_ms, 1000) * US_PER_MS,
        .local_max = GIVEN(&o, local_max, 60000),
        .cache_runs = GIVEN(&o, cache_runs, 10000),
    };
    w->drain = o.drain;
    w->signal_fd = o.handle_signals ? 0 : -1;
    return HF_OK;
}

/* ---- stopping ---- */

static void
read_signals(struct worker *w)
{
    struct signalfd_siginfo info;
    while (w->signal_fd >= 0 && read(w->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        log_event(&w->h->log, LOG_INFO, "signal", "number=%u", info.ssi_signo);
        hf_stop(w->h);
    }
}

int
worker_stops(struct worker *w)
{
    read_signals(w);
    return atomic_load(&w->h->stops);
}

static bool
stop_wanted(void *arg)
{
    return worker_stops(arg) > 0;
}

static int
open_stops(struct worker *w, struct err *err)
{
    sigset_t set;

    if (atomic_exchange(&w->h->running, 1))
        return err_set(err, HF_INVALID, "this handle runs a worker already");
    w->running = true;
    w->stop_fd = atomic_load(&w->h->stop_fd);
    if (w->stop_fd < 0 && (w->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0)
        return err_set(err, HF_UNAVAILABLE, "no file descriptor for the worker");
    atomic_store(&w->h->stop_fd, w->stop_fd);
    if (w->signal_fd < 0)
        return HF_OK;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, &w->old_mask);
    w->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return w->signal_fd < 0 ? err_set(err, HF_UNAVAILABLE, "no file descriptor for signals")
                            : HF_OK;
}

static void
close_stops(struct worker *w)
{
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    eventfd_t stops;
    if (w->running && w->stop_fd >= 0)
        eventfd_read(w->stop_fd, &stops);
    if (w->signal_fd > 0) {
        close(w->signal_fd);
        pthread_sigmask(SIG_SETMASK, &w->old_mask, NULL);
    }
}

/* Sleeps unless told to stop. */
void
worker_pause_ms(struct worker *w, int ms)
{
    struct pollfd fds[2] = {{.fd = w->stop_fd, .events = POLLIN},
                            {.fd = w->signal_fd, .events = POLLIN}};
    poll(fds, w->signal_fd >= 0 ? 2 : 1, ms);
}

/* ---- the loop ---- */

/* Whether anything is left that can go on within an hour. */
static int
check_drained(struct worker *w, bool *drained, struct err *err)
{
    struct lane   *l = &w->lane;
    struct pending p = {0};

    *drained = false;
    if (!w->drain || !lane_is_quiet(l) || clock_steady_us() < w->drain_check_us)
        return HF_OK;
    w->drain_check_us = clock_steady_us() + DRAIN_CHECK_MS * US_PER_MS;
    int rc =
        l->store->ops->pending(l->store, w->opt.queues, lane_now_us(l) + 3600 * US_PER_S, &p, err);
    if (rc == HF_UNAVAILABLE)
        return HF_OK;
    TRY(rc);
    if (p.tasks || p.running || p.due || p.inbox)
        return HF_OK;
    log_event(&w->h->log, LOG_INFO, "drained", "waiting=%lld paused=%lld blocked=%lld dead=%lld",
              (long long)p.waiting, (long long)p.paused, (long long)p.blocked, (long long)p.dead);
    *drained = true;
    return HF_OK;
}

static int
sleep_until_work(struct worker *w, struct err *err)
{
    struct lane *l = &w->lane;
    int64_t      deadline = lane_deadline_us(l), own = ownership_deadline_us(w);

    if (own < deadline)
        deadline = own;
    if (w->drain && w->drain_check_us > clock_steady_us() && w->drain_check_us < deadline)
        deadline = w->drain_check_us;
    if (!pool_lane_sleeps(l->pool))
        return HF_OK;
    int rc = l->store->ops->wait(l->store, w->wake_fd, deadline, err);
    pool_lane_woke(l->pool);
    l->fetch_wanted = true;
    if (rc == HF_UNAVAILABLE) { /* as the next commit will say */
        worker_pause_ms(w, RETRY_MS);
        return HF_OK;
    }
    return rc;
}

static bool
too_many_lost(const struct worker *w)
{
    return w->lane.n_lost * 2 >= (size_t)w->opt.slots || w->lane.n_lost_turns >= 8;
}

static int
serve(struct worker *w, struct err *err)
{
    struct lane *l = &w->lane;

    for (;;) {
        bool idle, drained;
        int  rc;
        if (worker_stops(w))
            return HF_OK;
        rc = ownership_tick(w, err);
        if (rc == HF_OK)
            rc = lane_round(l, &idle, err);
        if (rc == HF_STALE && w->store->shared) { /* nothing is ours any more, but we may go on */
            rc = ownership_rejoin(w, err);
            if (rc == HF_OK)
                continue;
        }
        if ((rc == HF_UNAVAILABLE || rc == HF_NOMEM) &&
            !worker_stops(w)) { /* the store or memory comes back */
            worker_pause_ms(w, RETRY_MS);
            continue;
        }
        if (rc == HF_UNAVAILABLE) /* told to stop: there is the grace for it to come back */
            return HF_OK;
        TRY(rc);
        if (l->n_lost && too_many_lost(w))
            return err_set(
                err, HF_INTERNAL,
                "%zu of %d slots are lost to tasks that do not return: start the worker anew",
                l->n_lost, w->opt.slots);
        if (w->lane.n_lost_turns && too_many_lost(w))
            return err_set(err, HF_INTERNAL, "%zu turns do not return: start the worker anew",
                           l->n_lost_turns);
        if (!idle)
            continue;
        TRY(check_drained(w, &drained, err));
        if (drained)
            return HF_OK;
        TRY(sleep_until_work(w, err));
    }
}

static void
cancel_running(struct job_list *list)
{
    for (struct job *job = list->head; job; job = job->next)
        atomic_store(&job->cancelled, 1);
}

/* Nothing new starts; what runs gets the grace, then is told to stop and gets one more second. */
static int
wind_down(struct worker *w, struct err *err)
{
    struct lane *l = &w->lane;
    int64_t      begun = clock_steady_us(), told = 0;
    bool         idle;

    l->stopping = true;
    atomic_store(&l->pool->quiesce, 1);
    ownership_leave(w);
    for (;;) {
        int64_t now = clock_steady_us();
        int     rc = ownership_tick(w, err);
        if (rc == HF_OK)
            rc = lane_round(l, &idle, err);
        if (rc == HF_UNAVAILABLE && now < begun + w->opt.grace_us && worker_stops(w) < 2) {
            poll(NULL, 0, RETRY_MS);
            continue;
        }
        TRY(rc);
        if (l->n_parting == 0 && l->n_read_inbox == 0 && l->handed.count + l->slow.count == 0 &&
            l->n_turns == 0 && l->n_units == 0 && l->finished.count == 0 && idle)
            return HF_OK;
        if (!told && (now > begun + w->opt.grace_us || worker_stops(w) > 1)) {
            told = now;
            cancel_running(&l->handed);
            cancel_running(&l->slow);
        }
        if (told && now > told + US_PER_S)
            return HF_OK;
        if (idle && pool_lane_sleeps(l->pool)) {
            struct pollfd fd = {.fd = l->pool->wake_fd, .events = POLLIN};
            poll(&fd, 1, 50);
            pool_lane_woke(l->pool);
        }
    }
}

static int
open_wake(struct worker *w, struct err *err)
{
    int fds[] = {w->lane.pool->wake_fd, w->stop_fd, w->signal_fd, ownership_fd(w)};

    w->wake_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; w->wake_fd >= 0 && i < sizeof(fds) / sizeof(fds[0]); i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fds[i]};
        if (fds[i] >= 0 && epoll_ctl(w->wake_fd, EPOLL_CTL_ADD, fds[i], &e))
            return err_set(err, HF_UNAVAILABLE, "no epoll for the worker");
    }
    return w->wake_fd < 0 ? err_set(err, HF_UNAVAILABLE, "no file descriptor for the worker")
                          : HF_OK;
}

/* A connection of the worker's, from one of the handle's. */
static int
open_metered(struct worker *w, struct store **out, struct err *err)
{
    struct store *plain;

    pthread_mutex_lock(&w->h->mutex);
    int rc = w->h->store->ops->clone(w->h->store, &plain, err);
    pthread_mutex_unlock(&w->h->mutex);
    TRY(rc);
    rc = meter_store_open(plain, &w->meter, out, err);
    if (rc)
        plain->ops->close(plain);
    else
        (*out)->log = w->h->log;
    return rc;
}

/* In the thread of a slot. */
static int
open_sql(void *arg, struct store **out, struct err *err)
{
    return open_metered(arg, out, err);
}

static int
open_worker(struct worker *w, struct err *err)
{
    hf *h = w->h;

    if (h->store == NULL)
        return err_set(err, h->err.code ? h->err.code : HF_UNAVAILABLE, "%s", h->err.text);
    if (h->test)
        return err_set(err, HF_INVALID, "a test handle works in hf_test_run");
    pthread_mutex_lock(&h->mutex);
    h->registry.sealed = true;
    pthread_mutex_unlock(&h->mutex);
    TRY(open_metered(w, &w->store, err));
    TRY(registry_describe(&h->registry, &w->handlers, err));
    TRY(lane_open(&w->lane, w->store, &h->registry, &h->log, &w->opt, err));
    lane_set_sql(&w->lane, open_sql, w);
    stats_init(&w->stats, &w->lane.tally, &w->meter);
    TRY(ownership_open(w, err));
    TRY(open_wake(w, err));
    w->lane.stop_wanted = stop_wanted;
    w->lane.stop_arg = w;
    return HF_OK;
}

/* Everything between having the lane and having left. */
static int
work(struct worker *w, struct err *err)
{
    int rc = ownership_join(w, err);
    if (rc == HF_CANCELLED)
        return HF_OK;
    TRY(rc);
    log_event(&w->h->log, LOG_INFO, "started", "pid=%d slots=%d partitions=%zu", (int)getpid(),
              w->opt.slots, w->lane.n_parts);
    rc = serve(w, err);
    struct err late = {0};
    int        rc2 = rc == HF_STALE || rc == HF_CORRUPT ? HF_OK : wind_down(w, &late);
    bool lost = rc2 == HF_STALE && w->store->shared; /* nothing is ours any more: all the better */
    if (rc == HF_OK && rc2 && rc2 != HF_UNAVAILABLE && !lost) {
        *err = late;
        rc = rc2;
    }
    if (w->store->ops->leave(w->store, w->lane.worker, &late) && rc == HF_OK)
        log_event(&w->h->log, LOG_WARNING, "leave", "message=%s", late.text);
    const struct tally *t = &w->lane.tally;
    log_event(&w->h->log, LOG_INFO, "stopped", "commits=%llu turns=%llu tasks=%llu",
              (unsigned long long)t->commits, (unsigned long long)t->turns,
              (unsigned long long)(t->tasks + t->failed));
    return rc;
}

int
hf_run(hf *h, const hf_worker_opt *opt)
{
    struct err     err = {0};
    struct worker *w = mem_zalloc(sizeof(*w));

    if (w == NULL)
        return err_set(&err, HF_NOMEM, "out of memory"), handle_fail(h, &err);
    w->h = h;
    w->stop_fd = w->signal_fd = w->wake_fd = -1;
    int rc = read_options(w, opt, &err);
    if (rc == HF_OK)
        rc = open_stops(w, &err);
    if (rc == HF_OK)
        rc = open_worker(w, &err);
    if (rc == HF_OK)
        rc = work(w, &err);
    bool stuck = w->lane.pool && w->lane.handed.count + w->lane.slow.count +
                                         w->lane.abandoned.count + w->lane.n_lost +
                                         w->lane.n_lost_turns >
                                     0;
    ownership_close(w);
    if (w->lane.store)
        lane_close(&w->lane, clock_steady_us() + (stuck ? 100 * US_PER_MS : 5 * US_PER_S));
    bool in_use = w->lane.pool != NULL; /* slots that do not come back still use it */
    if (w->store)
        w->store->ops->close(w->store);
    buf_release(&w->handlers);
    stats_release(&w->stats);
    close_stops(w);
    if (w->running) {
        atomic_store(&h->stops, 0);
        atomic_store(&h->running, 0);
    }
    if (!in_use)
        mem_free(w);
    return rc ? handle_fail(h, &err) : HF_OK;
}
