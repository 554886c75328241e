/*
 * For which partitions a worker works. On an exclusive store it owns all or waits; the lane renews
 * the lease itself. On a shared store the keeper renews it, takes over from the dead and counts the
 * living; here, in the lane's thread, the worker takes what is free and gives away what others can
 * do better (balance.c).
 */
#include "worker/worker.h"

#include <time.h>

#include "base/mem.h"
#include "worker/balance.h"

enum { OWNER_POLL_MS = 250, RENEWALS_A_LEASE = 3 };

static const int64_t FULL_AFTER_US = 300 * US_PER_MS, /* no free slot for so long, with work */
    LOOK_US = 250 * US_PER_MS;                        /* at what is full, and stuck */

/* ---- exclusive ---- */

static int
renew(struct worker *w, struct err *err)
{
    struct lane *l = &w->lane;
    int64_t      now = clock_steady_us();

    if (now < w->renewed_us + w->opt.lease_us / RENEWALS_A_LEASE)
        return HF_OK;
    const char *said = stats_text(&w->stats, now);
    int rc = l->store->ops->renew(l->store, l->worker, (int)pool_free_slots(l->pool), said, NULL,
                                  NULL, err);
    if (rc == HF_UNAVAILABLE)
        return HF_OK; /* the commit says so too, and waits */
    if (rc == HF_OK) {
        w->renewed_us = now;
        if (said)
            stats_said(&w->stats);
        atomic_store(&l->pool->start_until_us, now + w->opt.lease_us * 2 / 3);
    }
    return rc;
}

/* ---- joining ---- */

int
ownership_open(struct worker *w, struct err *err)
{
    struct store *own;

    TRY(w->store->ops->clone(w->store, &own, err));
    own->log = w->h->log;
    return keeper_open(own, w->lane.pool, w->opt.lease_us, w->opt.queues, &w->stats, &w->h->log,
                       &w->keeper, err);
}

void
ownership_close(struct worker *w)
{
    keeper_close(w->keeper);
    view_free(w->view);
    w->keeper = NULL;
    w->view = NULL;
}

/* Whether a join is to be tried again: the server went away in the middle of it, or this process
 * stood still for so long that what it had joined as is dead already. */
static bool
joins_again(const struct worker *w, int rc)
{
    return w->keeper && (rc == HF_UNAVAILABLE || rc == HF_STALE);
}

int
ownership_join(struct worker *w, struct err *err)
{
    for (;;) {
        int rc = lane_acquire(&w->lane, w->handlers.data, err);
        if (rc == HF_OK && w->keeper)
            keeper_serve(w->keeper, w->lane.worker);
        if (rc == HF_OK) {
            w->renewed_us = 0;
            return w->keeper ? HF_OK : renew(w, err);
        }
        if (rc != HF_OWNED && !joins_again(w, rc))
            return rc;
        if (!w->told_owner++)
            log_event(&w->h->log, LOG_INFO, rc == HF_OWNED ? "owner" : "store_unavailable",
                      "waiting=1 message=%s", err->text);
        if (worker_stops(w))
            return HF_CANCELLED;
        worker_pause_ms(w, OWNER_POLL_MS);
    }
}

int
ownership_rejoin(struct worker *w, struct err *err)
{
    struct err ignored = {0};

    log_event(&w->h->log, LOG_WARNING, "lease_lost", "worker=%lld message=%s",
              (long long)w->lane.worker, err->text);
    keeper_serve(w->keeper, 0);
    /* If it is there after all, what it has is given back now: nobody keeps its lease. */
    w->store->ops->leave(w->store, w->lane.worker, &ignored);
    view_free(w->view);
    view_free(keeper_take(w->keeper));
    w->view = NULL;
    for (;;) {
        int rc = lane_rejoin(&w->lane, w->handlers.data, err);
        if (rc == HF_OK)
            break;
        if (!joins_again(w, rc) || worker_stops(w))
            return rc;
        worker_pause_ms(w, OWNER_POLL_MS);
    }
    keeper_serve(w->keeper, w->lane.worker);
    w->moved_us = clock_steady_us();
    return HF_OK;
}

/* ---- giving away ---- */

static void
count_jobs(const struct job_list *list, const struct lane *l, struct balance_part *parts)
{
    for (const struct job *job = list->head; job; job = job->next) {
        struct part *part = lane_part(l, job->row.no ? job->row.no : job->run_no);
        int64_t      begun = atomic_load(&((struct job *)job)->begun_us);
        if (part == NULL || begun == JOB_WITHDRAWN)
            continue;
        struct balance_part *p = &parts[part - l->parts];
        if (begun > 0)
            p->running++;
        else
            p->waiting++;
    }
}

static void
decide(struct worker *w, const struct view *v, bool full)
{
    struct lane         *l = &w->lane;
    struct arena         a = {0};
    struct balance_stuck stuck[STUCK_MAX];
    struct balance_part *parts = arena_zalloc(&a, (l->n_parts + 1) * sizeof(*parts));
    struct move         *moves = arena_alloc(&a, (l->n_parts + 1) * sizeof(*moves));

    for (size_t i = 0; parts && moves && i < l->n_parts; i++)
        parts[i] = (struct balance_part){.partition = l->parts[i].row.id,
                                         .queue = l->parts[i].row.queue,
                                         .moving = l->parts[i].parting};
    for (size_t i = 0; i < l->n_stuck; i++)
        stuck[i] = (struct balance_stuck){l->stuck[i].partition, l->stuck[i].what};
    if (parts && moves) { /* else the next look does it */
        count_jobs(&l->waiting, l, parts);
        count_jobs(&l->handed, l, parts);
        count_jobs(&l->slow, l, parts);
        struct balance b = {.me = l->worker,
                            .census = &v->census,
                            .parts = parts,
                            .n_parts = l->n_parts,
                            .stuck = stuck,
                            .n_stuck = l->n_stuck,
                            .full = full,
                            .leaving = w->leaving};
        size_t         n = balance(&b, moves);
        for (size_t i = 0; i < n; i++)
            lane_part_with(l, moves[i].partition, moves[i].to);
        if (n > 0)
            w->moved_us = clock_steady_us();
    }
    arena_release(&a);
}

/* Whether no slot has been free for a while though work waits for one. */
static bool
is_full(struct worker *w, int64_t now)
{
    struct lane *l = &w->lane;
    bool         waits = l->waiting.count > 0 || ring_count(l->pool->tasks) > 0;

    if (!waits || pool_free_slots(l->pool) > 0)
        w->full_us = 0;
    else if (w->full_us == 0)
        w->full_us = now;
    return w->full_us && now >= w->full_us + FULL_AFTER_US;
}

/* ---- the tick ---- */

static int
own_partitions(const struct view *v, int64_t worker)
{
    for (size_t i = 0; i < v->census.n_workers; i++)
        if (v->census.workers[i].id == worker)
            return v->census.workers[i].partitions;
    return 0;
}

static int
acquire(struct worker *w, struct err *err)
{
    w->moved_us = clock_steady_us();
    int rc = lane_acquire(&w->lane, w->handlers.data, err);
    if (rc != HF_OK) /* the view that has said so is gone */
        w->lane.own_again = true;
    return rc;
}

static int
take_view(struct worker *w, bool *come, struct err *err)
{
    struct view *v = keeper_take(w->keeper);

    if (v == NULL || v->worker != w->lane.worker) {
        view_free(v);
        return HF_OK;
    }
    if (v->stale) {
        view_free(v);
        return err_set(err, HF_STALE, "the lease was over, and others have taken what we had");
    }
    *come = v->took_over ||
            (v->asked_us > w->moved_us && w->lane.n_parting == 0 &&
             (v->census.unowned > 0 || own_partitions(v, w->lane.worker) != (int)w->lane.n_parts));
    view_free(w->view);
    w->view = v;
    return HF_OK;
}

static int
tick_shared(struct worker *w, struct err *err)
{
    struct lane *l = &w->lane;
    int64_t      now = clock_steady_us();
    bool         come = false;

    if (w->parting && l->n_parting == 0)
        w->moved_us = now;
    w->parting = l->n_parting > 0;
    TRY(take_view(w, &come, err));
    if (!w->leaving && (come || l->partitions_now != l->partitions_seen)) {
        if (!come) /* somebody came or went */
            keeper_kick(w->keeper, false);
        TRY(acquire(w, err));
    }
    bool full = is_full(w, now);
    if (w->view == NULL || now < w->balanced_us + LOOK_US)
        return HF_OK;
    w->balanced_us = now;
    bool others = w->view->census.n_workers > 1 || w->leaving;
    if ((full || l->n_stuck || w->leaving) && others && now > w->view->asked_us + US_PER_S)
        keeper_kick(w->keeper, w->leaving);
    if (others && w->view->asked_us > w->moved_us && l->n_parting == 0)
        decide(w, w->view, full);
    return HF_OK;
}

int
ownership_tick(struct worker *w, struct err *err)
{
    struct lane *l = &w->lane;

    if (w->store->shared)
        return tick_shared(w, err);
    TRY(renew(w, err));
    if (l->partitions_now != l->partitions_seen && !l->stopping)
        return ownership_join(w, err);
    return HF_OK;
}

void
ownership_leave(struct worker *w)
{
    if (!w->store->shared)
        return;
    w->leaving = true;
    w->balanced_us = 0;
    keeper_kick(w->keeper, true);
}

int64_t
ownership_deadline_us(const struct worker *w)
{
    if (!w->store->shared)
        return w->renewed_us + w->opt.lease_us / RENEWALS_A_LEASE;
    bool watch = w->view && w->view->census.n_workers > 1 && (w->full_us || w->lane.n_stuck);
    return watch ? clock_steady_us() + LOOK_US : NEVER_US;
}

int
ownership_fd(const struct worker *w)
{
    return w->keeper ? keeper_fd(w->keeper) : -1;
}
