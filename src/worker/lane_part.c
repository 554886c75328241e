/*
 * Handing a partition over, without waiting for its tasks: what runs becomes claimed rows, and what
 * has not begun is as if it had never been read, all in the commit that gives the partition away.
 * Turns and steps of its runs are awaited; nothing new begins meanwhile.
 */
#include "worker/lane.h"

#include "base/mem.h"

void
lane_part_with(struct lane *l, int32_t partition, int64_t to)
{
    struct part *part = lane_part(l, row_no(partition, 0, 0));

    if (part == NULL || part->parting)
        return;
    part->parting = true;
    part->going = false;
    part->to = to;
    l->n_parting++;
}

/* ---- its jobs ---- */

static bool
row_in(const struct job *job, int32_t p)
{
    return row_partition(job->row.no ? job->row.no : job->run_no) == p;
}

static bool
run_in(const struct job *job, int32_t p)
{
    return job->run_no && row_partition(job->run_no) == p;
}

static void
detach(struct lane *l, struct job *job)
{
    struct live *live = job->call ? map_get(&l->lives, job->run_no) : NULL;
    if (job->call && job->call->job == job)
        job->call->job = NULL;
    if (live)
        live->jobs--;
    job->call = NULL;
}

/* Its row or its run is not ours any more: the one is told by the other's owner. */
void
job_make_far(struct lane *l, struct job *job)
{
    l->n_orphans -= job->call == NULL && l->n_orphans > 0;
    detach(l, job);
    job->far_run_no = job->run_no;
    job->run_no = 0;
}

static int
write_claim(struct lane *l, struct job *job, bool claimed, struct err *err)
{
    job->row.claimed = claimed;
    if (add_job_write(l, job, WRITE_TASK) == NULL)
        return err_nomem(err);
    l->units[l->n_units - 1].keeps = true;
    return HF_OK;
}

/* Jobs that have no slot yet. */
static void
part_queued(struct lane *l, struct job_list *list, int32_t p)
{
    for (struct job *job = list->head, *next; job; job = next) {
        next = job->next;
        if (!row_in(job, p)) {
            if (run_in(job, p))
                job_make_far(l, job);
            continue;
        }
        detach(l, job);
        job_list_remove(list, job);
        if (job->row.no && job->row.claimed) {
            job->released = true;
            job_list_put(&l->finished, job);
        } else {
            lane_forget_job(l, job);
        }
    }
}

/* Whether the job was taken back before its slot began it. */
static bool
withdraw(struct job *job)
{
    int64_t waits = 0;
    return atomic_compare_exchange_strong(&job->begun_us, &waits, JOB_WITHDRAWN);
}

static void
forget_withdrawn(struct lane *l, struct job *job)
{
    if (job->run_no && job->call == NULL && l->n_orphans > 0)
        l->n_orphans--;
    detach(l, job);
    job->unwanted = true; /* it only passes by */
    if (job->row.no && map_get(&l->rows, job->row.no) == job)
        map_remove(&l->rows, job->row.no);
}

void
lane_disown_jobs(struct lane *l)
{
    struct job_list *lists[] = {&l->handed, &l->slow};

    for (size_t i = 0; i < 2; i++)
        for (struct job *job = lists[i]->head; job; job = job->next)
            if (!job->unwanted && (withdraw(job) || job->row.no)) {
                atomic_store(&job->cancelled, 1);
                forget_withdrawn(l, job);
            }
    for (struct job *job; (job = job_list_take(&l->finished));)
        lane_forget_job(l, job);
}

static int
part_running(struct lane *l, struct job *job, struct err *err)
{
    struct live *live = job->call ? map_get(&l->lives, job->run_no) : NULL;

    if (withdraw(job)) {
        if (live && job->to_row) /* the run has said that it is sent */
            TRY(job_leave_its_row(live, job, err));
        forget_withdrawn(l, job);
        return job->row.no && job->row.claimed ? write_claim(l, job, false, err) : HF_OK;
    }
    if (job->row.no)
        return job->row.claimed ? HF_OK : write_claim(l, job, true, err);
    if (live && !job->to_row)
        return job_to_row(l, live, job, true, err);
    if (job->to_row)
        job->row.claimed = true;
    else
        job->unwanted = true; /* its run was read anew and does not know it */
    return HF_OK;
}

static int
part_handed(struct lane *l, struct job_list *list, int32_t p, struct err *err)
{
    for (struct job *job = list->head, *next; job; job = next) {
        next = job->next;
        if (job->unwanted)
            continue;
        if (row_in(job, p))
            TRY(part_running(l, job, err));
        else if (run_in(job, p))
            job_make_far(l, job);
    }
    return HF_OK;
}

static int
part_jobs(struct lane *l, int32_t p, struct err *err)
{
    part_queued(l, &l->waiting, p);
    part_queued(l, &l->suspects, p);
    part_queued(l, &l->to_claim, p);
    TRY(part_handed(l, &l->handed, p, err));
    return part_handed(l, &l->slow, p, err);
}

/* What its runs were about to claim: rows of jobs that have not begun, turns that have not come. */
static void
part_claims(struct lane *l, struct live *live)
{
    if (live->run.row.claimed) {
        live->run.row.claimed = false;
        l->n_claimed_turns--;
        if (l->suspect_live == live)
            l->suspect_live = NULL;
        live_dirty(l, live);
    }
    for (struct extra *x = live->extras; x; x = x->next)
        if (x->job && x->job->handed_us == 0)
            x->job->row.claimed = false;
}

/* ---- in the batch ---- */

static bool
is_busy(const struct lane *l, int32_t p)
{
    struct live *live;
    for (size_t at = 0; (live = map_next(&l->lives, &at));)
        if (row_partition(live->run.row.no) == p && live->place != LIVE_IDLE)
            return true;
    return false;
}

int
lane_prepare_parting(struct lane *l, struct err *err)
{
    struct live *live;

    for (size_t i = 0; l->n_parting > 0 && i < l->n_parts; i++) {
        struct part *part = &l->parts[i];
        part->going = part->parting && !part->unread && !is_busy(l, part->row.id);
        if (!part->going)
            continue;
        TRY(part_jobs(l, part->row.id, err));
        for (size_t at = 0; (live = map_next(&l->lives, &at));)
            if (row_partition(live->run.row.no) == part->row.id)
                part_claims(l, live);
    }
    return HF_OK;
}

/* Whether the run is not in this batch and has something to store in p: a called task's row that
 * is to go, or a result that waits until the run is back from its slot. */
static bool
still_writes(const struct live *live, int32_t p)
{
    if (!live->dirty && live->place == LIVE_IDLE)
        return false;
    for (const struct extra *x = live->extras; x; x = x->next)
        if (row_partition(write_row(&x->write)) == p)
            return true;
    for (const struct arrival *a = live->arrivals; a; a = a->next)
        if (a->job && row_partition(a->job->row.no) == p)
            return true;
    return false;
}

/* Whether everything of it is in the batch. */
static bool
is_complete(const struct lane *l, int32_t p)
{
    const struct live *live;

    for (live = l->dirty; live; live = live->dirty_next)
        if (row_partition(live->run.row.no) == p)
            return false;
    for (const struct job *job = l->finished.head; job; job = job->next)
        if (row_in(job, p))
            return false;
    for (size_t at = 0; (live = map_next(&l->lives, &at));)
        if (still_writes(live, p))
            return false;
    return true;
}

int
lane_add_parting(struct lane *l, struct err *err)
{
    for (size_t i = 0; l->n_parting > 0 && i < l->n_parts; i++) {
        struct part *part = &l->parts[i];
        part->going = part->going && is_complete(l, part->row.id);
        if (!part->going)
            continue;
        struct write *w = add_unit(l, NULL, NULL) ? add_write(l, WRITE_HAND_OVER) : NULL;
        if (w == NULL)
            return err_nomem(err);
        w->partition = part->row.id;
        w->to = part->to;
    }
    return HF_OK;
}

/* ---- gone ---- */

static void
leave_running(struct lane *l, struct job_list *list, int32_t p)
{
    for (struct job *job = list->head; job; job = job->next) {
        if (job->unwanted || !row_in(job, p))
            continue;
        if (job->run_no) /* by then the partition may be ours again */
            job_make_far(l, job);
        l->n_held++;
    }
}

static void
forget_part(struct lane *l, int32_t p)
{
    struct live *live;

    part_queued(l, &l->waiting, p); /* what this very commit was to begin */
    part_queued(l, &l->suspects, p);
    part_queued(l, &l->to_claim, p);
    leave_running(l, &l->handed, p);
    leave_running(l, &l->slow, p);
    for (size_t at = 0; (live = map_next(&l->lives, &at));)
        if (row_partition(live->run.row.no) == p) {
            live_forget_arrivals(l, live);
            live_drop(l, live);
            at = 0;
        }
}

void
lane_parted(struct lane *l)
{
    for (size_t i = l->n_parting > 0 ? l->n_parts : 0; i-- > 0;) {
        struct part *part = &l->parts[i];
        if (!part->going)
            continue;
        int32_t p = part->row.id;
        log_event(l->log, LOG_INFO, "handed_over", "partition=%d queue=%s to=%lld", p,
                  part->row.queue, (long long)part->to);
        forget_part(l, p);
        lane_lose_part(l, p);
    }
}
