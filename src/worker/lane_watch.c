/*
 * Jobs that take their time: calls that are no longer quick become rows, attempts that took too
 * long are over for the record, and slots whose handlers do not return are lost.
 */
#include <stdio.h>

#include "base/mem.h"
#include "worker/lane.h"

enum { LOST_AFTER_US = 5 * US_PER_S };

/* The attempt is over for the record, though its slot still has it: a copy takes its place. */
static int
abandon(struct lane *l, struct job *job, const char *name, const char *message, bool final,
        struct err *err)
{
    struct job *copy = job_copy(&job->row, job->id);
    if (copy == NULL)
        return err_nomem(err);
    copy->bytes = job->bytes; /* it takes over what is counted for the job */
    copy->handler = job->handler;
    copy->policy = job->policy;
    copy->policy.no_retry = arena_strdup(&copy->arena, job->policy.no_retry);
    copy->attempt = job->attempt;
    copy->run_no = job->run_no;
    copy->far_run_no = job->far_run_no;
    copy->code = HF_TIMEOUT;
    copy->final = final;
    copy->error_name = mem_strdup(name);
    copy->error_message = mem_strdup(message);
    copy->call = job->call;
    if (copy->row.no && !map_put(&l->rows, copy->row.no, copy)) {
        job_free(copy);
        return err_nomem(err);
    }
    if (copy->call)
        copy->call->job = copy;
    lane_count_attempt(l, copy, clock_steady_us() - job->handed_us);
    atomic_store(&job->cancelled, 1);
    job->abandoned = true;
    job_list_remove(job->is_slow ? &l->slow : &l->handed, job);
    job->is_slow = false;
    job->handed_us = clock_steady_us(); /* from now on: how long it has been told to stop */
    job_list_put(&l->abandoned, job);
    if (l->suspect == job)
        l->suspect = NULL;
    log_event(l->log, LOG_WARNING, "task_timeout", "task=%s id=%s attempt=%d", copy->name, copy->id,
              copy->attempt);
    if (copy->run_no == 0) {
        job_list_put(&l->finished, copy);
        return HF_OK;
    }
    return lane_deliver(l, copy, err);
}

/* Steady time at which the job's time is up; NEVER_US if it has no limit. *deadline: it is that of
 * all attempts. */
static int64_t
time_up(const struct lane *l, struct job *job, int64_t now, bool *deadline)
{
    int64_t begun = atomic_load(&job->begun_us), up = NEVER_US;

    *deadline = false;
    if (job->policy.timeout_ms)
        up = (begun ? begun : now) + job->policy.timeout_ms * US_PER_MS;
    if (job->policy.deadline_ms) {
        int64_t at = now + job->created_us + job->policy.deadline_ms * US_PER_MS - lane_now_us(l);
        if (at < up) {
            up = at;
            *deadline = true;
        }
    }
    return up;
}

static int
watch_timeouts(struct lane *l, struct job_list *list, int64_t now, struct err *err)
{
    for (struct job *job = list->head, *next; job; job = next) {
        bool    deadline;
        int64_t up = time_up(l, job, now, &deadline);
        next = job->next;
        if (up == NEVER_US || atomic_load(&job->begun_us) == JOB_WITHDRAWN)
            continue;
        if (up > now) {
            if (up < l->next_timeout_us)
                l->next_timeout_us = up;
            continue;
        }
        char message[80];
        snprintf(message, sizeof(message),
                 deadline ? "not done within %lld ms" : "attempt took over %lld ms",
                 (long long)(deadline ? job->policy.deadline_ms : job->policy.timeout_ms));
        TRY(abandon(l, job, "timeout", message, deadline, err));
    }
    return HF_OK;
}

/* Calls that are no longer quick become rows. */
static int
watch_slow(struct lane *l, int64_t now, struct err *err)
{
    for (struct job *job = l->handed.head, *next; job && job->handed_us + l->opt.spill_us <= now;
         job = next) {
        next = job->next;
        struct live *live = job->call ? map_get(&l->lives, job->run_no) : NULL;
        if (live && live->place != LIVE_IDLE)
            continue; /* at its next look */
        job_list_remove(&l->handed, job);
        job->is_slow = true;
        job_list_put(&l->slow, job);
        if (live && job->row.no == 0 && !job->to_row && !live->ended)
            TRY(job_to_row(l, live, job, atomic_load(&job->begun_us) > 0, err));
    }
    return HF_OK;
}

/* Slots whose handler was told to stop and does not. */
static void
watch_lost(struct lane *l, int64_t now)
{
    for (struct job *job = l->abandoned.head, *next; job && job->handed_us + LOST_AFTER_US <= now;
         job = next) {
        next = job->next;
        job_list_remove(&l->abandoned, job);
        job->is_slow = true; /* counted as lost, until it comes back after all */
        l->n_lost++;
        log_event(l->log, LOG_ERROR, "slot_lost", "task=%s id=%s lost=%zu slots=%d", job->name,
                  job->id, l->n_lost, l->opt.slots);
    }
}

int
lane_watch_jobs(struct lane *l, struct err *err)
{
    int64_t now = clock_steady_us();

    if (l->pool == NULL && l->hold == NULL)
        return HF_OK;
    TRY(watch_slow(l, now, err));
    watch_lost(l, now);
    TRY(lane_watch_held(l, err));
    if (now < l->next_timeout_us)
        return HF_OK;
    l->next_timeout_us = NEVER_US;
    TRY(watch_timeouts(l, &l->handed, now, err));
    return watch_timeouts(l, &l->slow, now, err);
}
