/*
 * Jobs in the lane: handed to slots, made into rows, and taken back. A job that is with a slot
 * belongs to the slot until it comes back through the done stack; the lane reads only its atomics
 * meanwhile.
 */
#include "worker/lane.h"

#include "base/id.h"
#include "base/mem.h"

void
lane_forget_job(struct lane *l, struct job *job)
{
    if (job->row.no && map_get(&l->rows, job->row.no) == job)
        map_remove(&l->rows, job->row.no);
    if (job->inbox_no)
        map_remove(&l->inbox, job->inbox_no);
    if (l->suspect == job)
        l->suspect = NULL;
    l->n_jobs--;
    l->job_bytes -= job->bytes;
    job_free(job);
}

/* ---- to slots ---- */

void
lane_queue_job(struct lane *l, struct job *job)
{
    if (job->row.crashes > 0)
        job_list_put(&l->suspects, job);
    else if (!job->row.claimed && lane_is_careful(l, job->row.no ? job->row.no : job->run_no))
        job_list_put(&l->to_claim, job);
    else
        job_list_put(&l->waiting, job);
}

/* As a slot does it (pool.c). */
static void
execute_inline(struct lane *l, struct job *job)
{
    int64_t waits = 0;

    if (atomic_load(&job->cancelled) || l->stopping ||
        !atomic_compare_exchange_strong(&job->begun_us, &waits, clock_steady_us())) {
        job->code = HF_CANCELLED;
        return;
    }
    job->handler->count++;
    job_execute(job, &l->turn_arena);
}

/* Whether an inline slot still has it. A job without handed_us has never been with one. */
static bool
is_held(struct lane *l, struct job *job)
{
    if (l->pool == NULL && job->handed_us && atomic_load(&job->begun_us) == 0 &&
        job->code == HF_OK) {
        if (lane_holds(l, false))
            return true;
        execute_inline(l, job);
    }
    return lane_holds(l, true);
}

static bool
hand_over(struct lane *l, struct job *job)
{
    const struct policy *p = &job->policy;
    int64_t              now = clock_steady_us();

    job_clear_result(job);
    job->handed_us = now;
    if (l->pool == NULL) {
        if (!lane_holds(l, false))
            execute_inline(l, job);
        stack_push(&l->own_jobs, &job->node);
    }
    job_list_put(&l->handed, job); /* before a slot can give it back */
    if (l->pool && !pool_put_job(l->pool, job)) {
        job_list_remove(&l->handed, job);
        return false;
    }
    if (p->timeout_ms && now + p->timeout_ms * US_PER_MS < l->next_timeout_us)
        l->next_timeout_us = now + p->timeout_ms * US_PER_MS;
    if (p->deadline_ms) {
        int64_t left = job->created_us + p->deadline_ms * US_PER_MS - lane_now_us(l);
        if (now + left < l->next_timeout_us)
            l->next_timeout_us = now + left;
    }
    return true;
}

void
lane_hand_jobs(struct lane *l, bool *did)
{
    if (l->stopping)
        return;
    if (l->suspect == NULL && l->suspect_live == NULL &&
        l->suspects.head) { /* alone among its kind, and claimed */
        l->suspect = job_list_take(&l->suspects);
        job_list_put(l->suspect->row.claimed ? &l->waiting : &l->to_claim, l->suspect);
        *did = true;
    }
    bool any = false;
    for (size_t n = l->waiting.count; n > 0; n--) {
        struct job *job = job_list_take(&l->waiting);
        if (lane_is_parting(l, job->row.no ? job->row.no : job->run_no)) {
            job_list_put(&l->waiting, job);
            continue;
        }
        if (!hand_over(l, job)) {
            job_list_put_first(&l->waiting, job);
            break;
        }
        any = true;
    }
    *did = *did || any;
    if (l->pool)
        pool_wake(l->pool);
}

/* ---- becoming a row ---- */

static struct extra *
row_extra(struct lane *l, struct live *live, struct job *job, struct err *err)
{
    bool          is_new = job->row.no == 0;
    struct extra *x = live_extra(live, is_new ? WRITE_TASK_NEW : WRITE_TASK);
    struct event  e = {
         .kind = EVENT_SENT, .ref = job->row.ref, .time_ms = lane_now_us(l) / US_PER_MS};

    if (x == NULL)
        err_nomem(err);
    else if (is_new && run_record(&live->run, &e, NULL, err))
        x = NULL;
    live_dirty(l, live);
    return x;
}

int
job_to_row(struct lane *l, struct live *live, struct job *job, bool claimed, struct err *err)
{
    struct extra *x = row_extra(l, live, job, err);
    if (x == NULL)
        return err->code;
    job->row.claimed = claimed;
    job->row.run_at_us = 0;
    x->write.task = &job->row;
    x->job = job;
    job->to_row = true;
    return HF_OK;
}

/* A copy of its row in the run's arena, for the job is about to go. */
static struct task_row *
copy_row(struct live *live, const struct job *job, int64_t run_at_us)
{
    struct arena    *a = &live->run.arena;
    struct task_row *row = arena_alloc(a, sizeof(*row));

    if (row == NULL)
        return NULL;
    *row = job->row;
    row->claimed = false;
    row->run_at_us = run_at_us;
    row->id = NULL;
    row->name = arena_strdup(a, job->row.name);
    row->payload = arena_strdup(a, job->row.payload);
    row->queue = arena_strdup(a, job->row.queue);
    row->opts = arena_strdup(a, job->row.opts);
    row->ref = arena_strdup(a, job->row.ref);
    row->error_name = arena_strdup(a, job->error_name);
    row->error_message = arena_strdup(a, job->error_message);
    bool whole = row->name && row->ref && (row->payload || job->row.payload == NULL) &&
                 (row->opts || job->row.opts == NULL);
    return whole ? row : NULL;
}

int
job_leave_as_row(struct lane *l, struct live *live, struct job *job, int64_t run_at_us,
                 struct err *err)
{
    struct extra    *x = row_extra(l, live, job, err);
    struct task_row *row = x ? copy_row(live, job, run_at_us) : NULL;

    if (row == NULL)
        return err_nomem(err);
    x->write.task = row;
    return HF_OK;
}

int
job_leave_its_row(struct live *live, struct job *job, struct err *err)
{
    struct task_row *row = copy_row(live, job, 0);

    if (row == NULL)
        return err_nomem(err);
    for (struct extra *x = live->extras; x; x = x->next)
        if (x->job == job) {
            x->write.task = row;
            x->job = NULL;
        }
    job->to_row = false;
    return HF_OK;
}

/* ---- trying again ---- */

int64_t
job_retry_at_us(const struct lane *l, const struct job *job)
{
    const struct policy *p = &job->policy;

    if (job->final || !policy_retries(p, job->attempt, job->error_name))
        return 0;
    int64_t delay_ms = job->retry_after_ms >= 0 ? job->retry_after_ms
                                                : policy_delay_ms(p, job->attempt, id_random());
    int64_t at_us = lane_now_us(l) + delay_ms * US_PER_MS;
    if (p->deadline_ms && at_us >= job->created_us + p->deadline_ms * US_PER_MS)
        return 0;
    return at_us > l->now_us ? at_us : l->now_us + 1; /* what is due has been read up to now_us */
}

/* ---- from slots ---- */

struct node *
lane_next_back(struct stack *done, struct node **back)
{
    if (*back == NULL)
        *back = stack_take(done);
    struct node *n = *back;
    if (n)
        *back = n->next;
    return n;
}

void
lane_count_attempt(struct lane *l, const struct job *job, int64_t took_us)
{
    const struct part *part = lane_part(l, job->row.no ? job->row.no : job->run_no);
    bool               did_well = job->code == HF_OK;

    tally_add(did_well ? &l->tally.tasks : &l->tally.failed, 1);
    tally_add(&l->tally.task_us, took_us > 0 ? (uint64_t)took_us : 0);
    if (part && part->tally)
        tally_add(did_well ? &part->tally->tasks : &part->tally->failed, 1);
}

static void
note_returned(struct lane *l, struct job *job)
{
    job_list_remove(job->is_slow ? &l->slow : &l->handed, job);
    if (l->suspect == job)
        l->suspect = NULL;
    if (atomic_load(&job->begun_us) > 0)
        lane_count_attempt(l, job, job->ended_us - job->started_us);
}

/* Whether this is no result: the worker stops, and the attempt did not begin, or was told to give
 * up and did. */
static bool
is_given_up(const struct lane *l, struct job *job)
{
    if (!l->stopping)
        return atomic_load(&job->begun_us) == 0 && !atomic_load(&job->cancelled);
    return atomic_load(&job->begun_us) == 0 || (job->code != HF_OK && atomic_load(&job->cancelled));
}

/* As if it had never been handed out: whoever owns the work next finds it as it was. */
static int
give_up(struct lane *l, struct job *job, struct err *err)
{
    struct live *live = job->call ? map_get(&l->lives, job->run_no) : NULL;

    if (live && job->to_row) { /* the run is about to store that it is sent */
        job->released = true;
        return live_arrive(l, live, ARRIVE_RESULT, NULL, job, err);
    }
    if (job->call)
        job->call->job = NULL;
    if (live)
        live->jobs--;
    if (job->row.no && job->row.claimed && atomic_load(&job->begun_us) == 0) {
        job->released = true;
        job_list_put(&l->finished, job);
    } else {
        lane_forget_job(l, job);
    }
    return HF_OK;
}

static void
come_back(struct lane *l, struct job *job)
{
    job_list_put(&l->handed, job);
    stack_push(l->pool ? &l->pool->jobs_done : &l->own_jobs, &job->node);
}

/* The partition went to another worker, with the run. If that was a hand-over whose answer was
 * lost, the job has a row which we hold, under a number that we were not told. */
static int
deliver_far(struct lane *l, struct job *job, struct err *err)
{
    l->n_orphans -= job->call == NULL;
    job->call = NULL;
    if (job->row.no == 0)
        TRY(lane_find_held(l, job, err));
    job->run_no = 0;
    if (job->row.no)
        job_list_put(&l->finished, job);
    else
        lane_forget_job(l, job);
    return HF_OK;
}

int
lane_deliver(struct lane *l, struct job *job, struct err *err)
{
    if (!lane_owns(l, job->run_no)) {
        int rc = deliver_far(l, job, err);
        if (rc) /* it comes back once more */
            come_back(l, job);
        return rc;
    }
    if (job->call == NULL) { /* its run left memory meanwhile */
        int rc = lane_load(l, &job->run_no, 1, err);
        if (rc) {
            come_back(l, job);
            return rc;
        }
        l->n_orphans--;
    }
    struct live *live = map_get(&l->lives, job->run_no);
    if (live)
        return live_arrive(l, live, ARRIVE_RESULT, NULL, job, err);
    lane_forget_job(l, job);
    return HF_OK;
}

static int
take_back(struct lane *l, struct job *job, struct err *err)
{
    if (job->unwanted) {
        lane_forget_job(l, job);
        return HF_OK;
    }
    if (is_given_up(l, job))
        return give_up(l, job, err);
    if (job->row.no && job->run_no && !(lane_owns(l, job->row.no) && lane_owns(l, job->run_no)))
        job_make_far(l, job);
    if (job->run_no == 0) {
        job_list_put(&l->finished, job);
        return HF_OK;
    }
    return lane_deliver(l, job, err);
}

int
lane_collect_jobs(struct lane *l, bool *did, struct err *err)
{
    struct stack *done = l->pool ? &l->pool->jobs_done : &l->own_jobs;
    struct node  *held = NULL;
    int           rc = HF_OK;

    for (struct node *n; rc == HF_OK && (n = lane_next_back(done, &l->jobs_back));) {
        struct job *job = (struct job *)n; /* node is its first member */
        *did = true;
        if (is_held(l, job)) {
            n->next = held;
            held = n;
            continue;
        }
        if (job->abandoned) {
            if (job->is_slow)
                l->n_lost--;
            else
                job_list_remove(&l->abandoned, job);
            job_free(job);
            continue;
        }
        note_returned(l, job);
        job->is_slow = false;
        rc = take_back(l, job, err);
    }
    stack_give_back(done, held);
    return rc;
}
