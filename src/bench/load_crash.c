/*
 * A worker is killed with SIGKILL in the middle of a backlog. How long until others own what it had
 * (on a store that one process serves: until another one executes), which effects happened twice,
 * and whether any is missing.
 */
#include <signal.h>

#include "bench/bench.h"

enum { LOOK_US = 5000, PATIENCE_S = 120 };

/* Whether some partition still has the dead one as its owner, or none. */
static int
is_orphaned(struct bench *b, struct store *s, pid_t dead, bool *out)
{
    struct arena       a = {0};
    struct worker_row *rows;
    size_t             n;

    int rc = s->ops->workers(s, &a, &rows, &n, &b->out->err);
    *out = false;
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        if (rows[i].pid == dead)
            *out = true;
    arena_release(&a);
    return rc;
}

/* So little work that it is done measures nothing. */
static int
check_rest(struct bench *b, struct store *s)
{
    struct pending p = {0};

    TRY(s->ops->pending(s, BENCH_QUEUE, 0, &p, &b->out->err));
    if (p.tasks > 0)
        return HF_OK;
    return err_set(&b->out->err, HF_INVALID,
                   "bench: crash: all was done before the worker was killed: more --tasks");
}

static int
wait_recovered(struct bench *b, struct store *s, pid_t dead, int64_t killed_us)
{
    int64_t done = board_done(b->board, BOARD_TASKS);
    bool    waiting = true;

    TRY(check_rest(b, s));
    while (waiting) {
        load_pause_us(LOOK_US);
        if (s->shared)
            TRY(is_orphaned(b, s, dead, &waiting));
        else
            waiting = board_done(b->board, BOARD_TASKS) == done;
        if (load_seconds_since(killed_us) > PATIENCE_S)
            return err_set(&b->out->err, HF_TIMEOUT, "bench: no recovery in %d s", PATIENCE_S);
    }
    b->out->recovery = load_seconds_since(killed_us) * 1e3;
    return HF_OK;
}

int
load_crash(struct bench *b, hf *h)
{
    struct outcome *o = b->out;
    int64_t         units = b->point.units, begin_us, killed_us;

    TRY(load_store_backlog(b, h, &begin_us));
    load_wait_done(b, BOARD_TASKS, units / 4);
    o->killed = 0;
    killed_us = clock_steady_us();
    kill(b->worker[0].pid, SIGKILL);
    load_pause_us(LOOK_US); /* what it had counted is on the board then */
    TRY(wait_recovered(b, h->store, b->worker[0].pid, killed_us));
    TRY(load_wait_no_task(b, h->store));
    o->seconds = load_seconds_since(begin_us);
    o->units = (double)units;
    double twice = (double)(board_done(b->board, BOARD_TASKS) - units);
    o->duplicates = twice > 0 ? twice : 0;
    o->lost = twice < 0 ? -twice : 0;
    return HF_OK;
}
