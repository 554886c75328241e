/* Threads, rings and wake-ups. */
#include "worker/pool.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { QUICK_US = 50, DEEP_QUEUE = 512 };

int64_t
slot_cpu_us(const struct slot *s)
{
    struct timespec t = {0};
    clockid_t       id;

    if (pthread_getcpuclockid(s->thread, &id) == 0)
        clock_gettime(id, &t);
    return t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* ---- wake-ups ---- */

/* Wakes one sleeper, unless as many are on their way as there are items. */
static void
wake_one(struct sleepers *s, size_t items)
{
    bool wake = false;

    if (items == 0 || atomic_load(&s->count) == 0)
        return;
    pthread_mutex_lock(&s->mutex);
    if (s->tickets < atomic_load(&s->count) && (size_t)s->tickets < items) {
        s->tickets++;
        wake = true;
    }
    pthread_mutex_unlock(&s->mutex);
    if (wake)
        pthread_cond_signal(&s->cond);
}

static void
wake_all(struct sleepers *s)
{
    pthread_mutex_lock(&s->mutex);
    s->tickets = atomic_load(&s->count);
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

/* Sleeps until woken, unless the ring has something now. */
static void
sleep_for_work(struct pool *p, struct sleepers *s, struct ring *ring)
{
    pthread_mutex_lock(&s->mutex);
    atomic_fetch_add(&s->count, 1);
    while (s->tickets == 0 && ring_count(ring) == 0 && !atomic_load(&p->stopping))
        pthread_cond_wait(&s->cond, &s->mutex);
    if (s->tickets > 0)
        s->tickets--;
    atomic_fetch_sub(&s->count, 1);
    if (s->tickets > atomic_load(&s->count))
        s->tickets = atomic_load(&s->count);
    pthread_mutex_unlock(&s->mutex);
}

static void
wake_lane(struct pool *p)
{
    if (atomic_load(&p->lane_sleeps) && atomic_exchange(&p->lane_sleeps, 0)) {
        uint64_t one = 1;
        if (write(p->wake_fd, &one, sizeof(one)) < 0) {
            /* full: it is readable, which is all that is wanted */
        }
    }
}

bool
pool_lane_sleeps(struct pool *p)
{
    atomic_store(&p->lane_sleeps, 1);
    if (atomic_load(&p->jobs_done.top) || atomic_load(&p->turns_done.top)) {
        atomic_store(&p->lane_sleeps, 0);
        return false;
    }
    return true;
}

void
pool_lane_woke(struct pool *p)
{
    uint64_t n;
    atomic_store(&p->lane_sleeps, 0);
    if (read(p->wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN) {
        /* nothing to be done: the next wait says what is wrong */
    }
}

/* ---- slots ---- */

/* After a stop of the whole process (SIGSTOP, suspend) the lease may be over: nothing starts before
 * the lane has renewed it. */
static bool
may_start(struct pool *p, int64_t now_us)
{
    return now_us < atomic_load_explicit(&p->start_until_us, memory_order_relaxed);
}

static void
wait_for_lease(struct pool *p)
{
    while (!may_start(p, clock_steady_us()) && !atomic_load(&p->stopping)) {
        struct timespec t = {.tv_nsec = 5 * 1000 * 1000};
        nanosleep(&t, NULL);
    }
}

static void
do_turn(struct slot *s, struct live *live, bool may_step)
{
    s->began_us = clock_steady_us();
    if (!may_start(s->pool, s->began_us)) {
        wait_for_lease(s->pool);
        s->began_us = clock_steady_us();
    }
    s->pool->execute_turn(live, s, may_step);
    wake_lane(s->pool);
}

static void
do_job(struct slot *s, struct job *job)
{
    struct pool    *p = s->pool;
    struct handler *h = job->handler;
    int             mean = atomic_load_explicit(&h->mean_us, memory_order_relaxed);

    size_t left = ring_count(p->tasks);
    if (left > (mean > 0 && mean <= QUICK_US ? DEEP_QUEUE : 0))
        wake_one(&p->task_sleepers, left);
    job->started_us = clock_steady_us();
    if (!may_start(p, job->started_us)) {
        wait_for_lease(p);
        job->started_us = clock_steady_us();
    }
    int64_t waits = 0;
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed) || atomic_load(&p->quiesce) ||
        !atomic_compare_exchange_strong(&job->begun_us, &waits, job->started_us)) {
        job->code = HF_CANCELLED; /* not begun */
    } else {
        job->lease_until_us = &p->lease_until_us;
        job_execute(job, &s->arena);
        job->ended_us = clock_steady_us();
        int64_t took = job->ended_us - job->started_us;
        int     sample = took > 1000000 ? 1000000 : (int)took + 1;
        atomic_store_explicit(&h->mean_us, mean == 0 ? sample : mean + (sample - mean) / 8,
                              memory_order_relaxed);
    }
    stack_push(&p->jobs_done, &job->node);
    wake_lane(p);
}

static void *
slot_main(void *arg)
{
    struct slot     *s = arg;
    struct pool     *p = s->pool;
    struct ring     *ring = s->for_turns ? p->turns : p->tasks;
    struct sleepers *sleepers = s->for_turns ? &p->turn_sleepers : &p->task_sleepers;

    pthread_setname_np(pthread_self(), s->for_turns ? "holdfast-turn" : "holdfast-slot");
    while (!atomic_load_explicit(&p->stopping, memory_order_relaxed)) {
        void *item = ring_take(ring);
        if (item == NULL) {
            sleep_for_work(p, sleepers, ring);
        } else if (s->for_turns) {
            if (ring_count(ring) > DEEP_QUEUE)
                wake_one(sleepers, DEEP_QUEUE);
            do_turn(s, item, false);
        } else if ((uintptr_t)item & 1) {
            wake_one(sleepers, ring_count(ring));
            do_turn(s, (struct live *)((uintptr_t)item & ~(uintptr_t)1), true);
        } else {
            do_job(s, item);
        }
    }
    arena_release(&s->arena);
    atomic_fetch_sub(&p->running, 1);
    wake_lane(p);
    return NULL;
}

static int
add_slot(struct pool *p, bool for_turns, struct err *err)
{
    struct slot  *s = mem_zalloc(sizeof(*s));
    struct slot **slots =
        s ? mem_realloc(p->slots, (p->n_slots + p->n_turn_slots + 1) * sizeof(*slots)) : NULL;

    if (slots)
        p->slots = slots;
    if (slots == NULL) {
        mem_free(s);
        return err_nomem(err);
    }
    s->pool = p;
    s->for_turns = for_turns;
    atomic_fetch_add(&p->running, 1);
    sigset_t all, old; /* signals go to the program's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&s->thread, NULL, slot_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        atomic_fetch_sub(&p->running, 1);
        mem_free(s);
        return err_set(err, HF_UNAVAILABLE, "no more threads: slot %zu",
                       p->n_slots + p->n_turn_slots + 1);
    }
    slots[p->n_slots + p->n_turn_slots] = s;
    if (for_turns)
        p->n_turn_slots++;
    else
        p->n_slots++;
    return HF_OK;
}

int
pool_replace_turn_slot(struct pool *p, struct err *err)
{
    return add_slot(p, true, err);
}

int
pool_open(int slots, void (*execute_turn)(struct live *, struct slot *, bool), struct pool **out,
          struct err *err)
{
    struct pool *p = mem_zalloc(sizeof(*p));
    int          rc = HF_OK;

    if (p == NULL)
        return err_nomem(err);
    pthread_mutex_init(&p->task_sleepers.mutex, NULL);
    pthread_cond_init(&p->task_sleepers.cond, NULL);
    pthread_mutex_init(&p->turn_sleepers.mutex, NULL);
    pthread_cond_init(&p->turn_sleepers.cond, NULL);
    p->execute_turn = execute_turn;
    atomic_store(&p->start_until_us, INT64_MAX);
    atomic_store(&p->lease_until_us, INT64_MAX);
    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->tasks = ring_new();
    p->turns = ring_new();
    if (p->wake_fd < 0)
        rc = err_set(err, HF_UNAVAILABLE, "no file descriptor for the worker");
    else if (p->tasks == NULL || p->turns == NULL)
        rc = err_nomem(err);
    for (int i = 0; rc == HF_OK && i < slots; i++)
        rc = add_slot(p, false, err);
    for (int i = 0; rc == HF_OK && i < POOL_TURN_SLOTS; i++)
        rc = add_slot(p, true, err);
    if (rc) {
        pool_close(p, clock_steady_us() + US_PER_S);
        return rc;
    }
    *out = p;
    return HF_OK;
}

bool
pool_close(struct pool *p, int64_t deadline_us)
{
    atomic_store(&p->quiesce, 1);
    atomic_store(&p->stopping, 1);
    wake_all(&p->task_sleepers);
    wake_all(&p->turn_sleepers);
    while (atomic_load(&p->running) > 0 && clock_steady_us() < deadline_us) {
        struct timespec t = {.tv_nsec = 1000 * 1000};
        nanosleep(&t, NULL);
    }
    bool all = atomic_load(&p->running) == 0;
    for (size_t i = 0; i < p->n_slots + p->n_turn_slots; i++) {
        if (!all) {
            pthread_detach(p->slots[i]->thread);
            continue;
        }
        pthread_join(p->slots[i]->thread, NULL);
        mem_free(p->slots[i]);
    }
    if (!all)
        return false;
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    mem_free(p->slots);
    mem_free(p->tasks);
    mem_free(p->turns);
    pthread_mutex_destroy(&p->task_sleepers.mutex);
    pthread_cond_destroy(&p->task_sleepers.cond);
    pthread_mutex_destroy(&p->turn_sleepers.mutex);
    pthread_cond_destroy(&p->turn_sleepers.cond);
    mem_free(p);
    return true;
}

bool
pool_put_job(struct pool *p, struct job *job)
{
    return ring_put(p->tasks, job);
}

bool
pool_put_turn(struct pool *p, struct live *live, bool may_step)
{
    return may_step ? ring_put(p->tasks, (void *)((uintptr_t)live | 1)) : ring_put(p->turns, live);
}

void
pool_wake(struct pool *p)
{
    wake_one(&p->turn_sleepers, ring_count(p->turns));
    wake_one(&p->task_sleepers, ring_count(p->tasks));
}

size_t
pool_free_slots(const struct pool *p)
{
    return (size_t)atomic_load(&p->task_sleepers.count);
}
