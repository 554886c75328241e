/* The keeper's thread. */
#include "worker/keeper.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "worker/retention.h"

/* A look is not only for the lease: it also shows newcomers, who are given partitions. */
enum {
    RENEWALS_A_LEASE = 3,
    LOOK_MAX_US = 5 * US_PER_S,
    RETRY_US = 200 * US_PER_MS,
    AFTER_EXPIRY_US = 20 * US_PER_MS
};

struct keeper {
    pthread_t              thread;
    struct store          *store;
    struct pool           *pool;
    struct stats          *stats;
    const struct log      *log;
    int64_t                lease_us;
    int                    kick_fd, view_fd;
    _Atomic int            stopping, leaving;
    _Atomic int64_t        worker;
    _Atomic(struct view *) fresh;
    /* the thread's */
    int64_t          served;   /* the worker whose lease it keeps */
    int64_t          asked_us; /* steady clock: the last renewal that did well was asked for then */
    int64_t          steady_us; /* there was no gap since then */
    int64_t          failed_us; /* steady clock: renewals fail since then; 0: the last did not */
    struct retention retention;
};

void
view_free(struct view *v)
{
    if (v == NULL)
        return;
    arena_release(&v->arena);
    mem_free(v);
}

static void
publish(struct keeper *k, struct view *v)
{
    struct view *unseen = atomic_exchange(&k->fresh, NULL);
    if (unseen && unseen->worker == v->worker) {
        v->took_over = v->took_over || unseen->took_over;
        v->stale = v->stale || unseen->stale;
    }
    view_free(unseen);
    atomic_store(&k->fresh, v);
    eventfd_write(k->view_fd, 1);
}

/* ---- one look */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Takes over from those whose lease is over. A renewal that is due goes first. */
static void
judge(struct keeper *k, struct view *v)
{
    struct err err = {0};

    for (size_t i = 0; i < v->census.n_workers; i++) {
        const struct worker_row *w = &v->census.workers[i];
        if (w->id == k->served || w->expires_us > v->census.now_us)
            continue;
        if (clock_steady_us() > k->asked_us + k->lease_us / 2)
            return;
        int rc = k->store->ops->takeover(k->store, k->served, w->id, &err);
        if (rc == HF_OK) {
            v->took_over = true;
            log_event(k->log, LOG_WARNING, "takeover", "from=%lld host=%s pid=%lld",
                      (long long)w->id, w->host ? w->host : "", (long long)w->pid);
        } else if (rc != HF_NOT_FOUND) {
            log_event(k->log, LOG_WARNING, "takeover_failed", "from=%lld message=%s",
                      (long long)w->id, err.text);
        }
    }
}

static bool
same_queues(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static size_t
count_sharers(const struct keeper *k, const struct census *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_workers; i++)
        n += same_queues(c->workers[i].queues, k->retention.queues);
    return n;
}

/* When to look again: for the lease, or as soon as that of another is over. */
static int64_t
next_look(const struct keeper *k, const struct view *v)
{
    int64_t now = clock_steady_us(),
            at = k->asked_us + earlier(k->lease_us / RENEWALS_A_LEASE, LOOK_MAX_US);

    for (size_t i = 0; i < v->census.n_workers; i++) {
        const struct worker_row *w = &v->census.workers[i];
        int64_t over = v->asked_us + (w->expires_us - v->census.now_us) + AFTER_EXPIRY_US;
        if (w->id == k->served)
            continue;
        if (over < k->steady_us + k->lease_us)
            over = k->steady_us + k->lease_us;
        at = earlier(at, over > now ? over : now + RETRY_US);
    }
    return at;
}

/* The lease has just been renewed, so there is time for a statement that does nothing but go there
 * and back. */
static void
measure_roundtrip(struct keeper *k)
{
    int64_t store_us, began_us = clock_steady_us();

    if (k->store->ops->now(k->store, &store_us, NULL) == HF_OK)
        stats_ping(k->stats, clock_steady_us() - began_us);
}

/* Once for each time that it lasts: an idle worker has nothing else to say it with. */
static void
note_renewal(struct keeper *k, int64_t now_us, const struct err *err)
{
    if (err && k->failed_us == 0) {
        k->failed_us = now_us;
        log_event(k->log, LOG_WARNING, "renewal_failed", "code=%s message=%s", err_name(err->code),
                  err->text);
    } else if (err == NULL && k->failed_us) {
        log_event(k->log, LOG_INFO, "renewed", "after_ms=%lld",
                  (long long)((now_us - k->failed_us) / US_PER_MS));
        k->failed_us = 0;
    }
}

static int64_t
look(struct keeper *k)
{
    struct err   err = {0};
    int64_t      worker = atomic_load(&k->worker), now = clock_steady_us();
    int          free_slots = atomic_load(&k->leaving) ? -1 : (int)pool_free_slots(k->pool);
    struct view *v = worker ? mem_zalloc(sizeof(*v)) : NULL;

    if (v == NULL)
        return now + (worker ? RETRY_US : US_PER_S);
    if (worker != k->served || now > k->asked_us + k->lease_us)
        k->steady_us = now;
    if (worker != k->served)
        stats_forget(k->stats);
    k->served = worker;
    v->worker = worker;
    v->asked_us = now;
    const char *said = stats_text(k->stats, now);
    int rc = k->store->ops->renew(k->store, worker, free_slots, said, &v->arena, &v->census, &err);
    if (rc == HF_STALE) {
        v->stale = true;
        atomic_compare_exchange_strong(&k->worker, &worker, 0);
        publish(k, v);
        return now + US_PER_S;
    }
    if (rc != HF_OK) {
        note_renewal(k, now, &err);
        k->steady_us = now;
        view_free(v);
        return now + RETRY_US;
    }
    note_renewal(k, now, NULL);
    k->retention.sharers = count_sharers(k, &v->census);
    k->asked_us = now;
    atomic_store(&k->pool->start_until_us, now + k->lease_us * 2 / 3);
    atomic_store(&k->pool->lease_until_us, now + k->lease_us);
    if (said) {
        stats_said(k->stats);
        measure_roundtrip(k);
    }
    if (now >= k->steady_us + k->lease_us)
        judge(k, v);
    int64_t next = next_look(k, v);
    publish(k, v);
    return next;
}

/* Only when a renewal is not near: a lease matters more than old runs. When to wake up next. */
static int64_t
delete_old(struct keeper *k, int64_t next_look_us)
{
    struct err err = {0};
    int64_t    now = clock_steady_us();

    if (now >= k->retention.next_us && next_look_us > now + RETRY_US &&
        retention_tick(&k->retention, k->store, now, &err))
        log_event(k->log, LOG_WARNING, "retention_failed", "message=%s", err.text);
    return earlier(next_look_us, k->retention.next_us);
}

static void *
keep(void *arg)
{
    struct keeper *k = arg;
    int64_t        next = k->store->shared ? 0 : NEVER_US, wake = 0;

    pthread_setname_np(pthread_self(), "holdfast-keeper");
    while (!atomic_load(&k->stopping)) {
        eventfd_t     kicks;
        int64_t       left_us = wake - clock_steady_us();
        struct pollfd fd = {.fd = k->kick_fd, .events = POLLIN};
        if (left_us > 0)
            poll(&fd, 1, (int)(left_us / US_PER_MS) + 1);
        bool kicked = eventfd_read(k->kick_fd, &kicks) == 0;
        if (atomic_load(&k->stopping))
            break;
        if (k->store->shared && (kicked || clock_steady_us() >= next))
            next = look(k);
        wake = delete_old(k, next);
    }
    return NULL;
}

/* ---- for the lane */

int
keeper_open(struct store *store, struct pool *pool, int64_t lease_us, const char *queues,
            struct stats *stats, const struct log *log, struct keeper **out, struct err *err)
{
    struct keeper *k = mem_zalloc(sizeof(*k));
    sigset_t       all, old;

    if (k == NULL) {
        store->ops->close(store);
        return err_nomem(err);
    }
    *k = (struct keeper){
        .store = store, .pool = pool, .stats = stats, .lease_us = lease_us, .log = log};
    k->retention = retention_begin(queues, clock_steady_us(), getpid());
    k->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    k->view_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = k->kick_fd < 0 || k->view_fd < 0 ? -1 : pthread_create(&k->thread, NULL, keep, k);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) {
        k->thread = 0;
        keeper_close(k);
        return err_set(err, HF_UNAVAILABLE, "no thread for the lease");
    }
    *out = k;
    return HF_OK;
}

void
keeper_close(struct keeper *k)
{
    if (k == NULL)
        return;
    atomic_store(&k->stopping, 1);
    if (k->kick_fd >= 0)
        eventfd_write(k->kick_fd, 1);
    if (k->thread)
        pthread_join(k->thread, NULL);
    if (k->kick_fd >= 0)
        close(k->kick_fd);
    if (k->view_fd >= 0)
        close(k->view_fd);
    view_free(atomic_load(&k->fresh));
    k->store->ops->close(k->store);
    mem_free(k);
}

void
keeper_serve(struct keeper *k, int64_t worker)
{
    atomic_store(&k->worker, worker);
    eventfd_write(k->kick_fd, 1);
}

void
keeper_kick(struct keeper *k, bool leaving)
{
    if (leaving)
        atomic_store(&k->leaving, 1);
    eventfd_write(k->kick_fd, 1);
}

struct view *
keeper_take(struct keeper *k)
{
    eventfd_t n;
    eventfd_read(k->view_fd, &n);
    return atomic_exchange(&k->fresh, NULL);
}

int
keeper_fd(const struct keeper *k)
{
    return k->view_fd;
}
