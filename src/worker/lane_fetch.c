/*
 * What the fetch brings: new runs and tasks, runs and tasks whose time has come, inbox rows. Memory
 * is keyed by row number; a second sight of a row is ignored. Work that this program has no handler
 * for is left as it is.
 */
#include "worker/lane.h"

#include <stdio.h>

#include "base/mem.h"

enum { PAGE = 4000, RUNS_PAGE = 1000, LIVES_MAX = 50000, BYTES_MAX = 512 * 1024 * 1024 };

struct room
lane_room(const struct lane *l)
{
    size_t busy = l->lives.count - l->n_lru;
    size_t runs = busy < LIVES_MAX && l->n_jobs < l->opt.local_max / 2 ? LIVES_MAX - busy : 0;
    size_t tasks = l->n_jobs < l->opt.local_max ? l->opt.local_max - l->n_jobs : 0;
    size_t share = l->n_parts > 1 ? 2 * PAGE / l->n_parts + 1 : PAGE; /* of each partition */
    size_t runs_share = l->n_parts > 1 ? 2 * RUNS_PAGE / l->n_parts + 1 : RUNS_PAGE;
    if (l->stopping && !lane_is_unread(l))
        return (struct room){.patient = true};
    if (l->job_bytes + l->live_bytes > BYTES_MAX)
        runs = tasks = 0;
    return (struct room){.runs = runs < runs_share ? runs : runs_share,
                         .tasks = tasks < share ? tasks : share,
                         .inbox = PAGE,
                         .patient = !lane_is_unread(l)};
}

/* ---- runs ---- */

static void
block_crashed(struct lane *l, struct live *live)
{
    char message[120];
    snprintf(message, sizeof(message),
             "it was running in %d processes that died; `holdfast resume` tries again",
             live->run.row.crashes);
    live_block(l, live, "crashed", message); /* a new owner leaves it blocked */
}

static void
wake(struct lane *l, struct live *live)
{
    live->wants_turn = true;
    live_ready(l, live);
    live_dirty(l, live);
}

/* Inbox rows that were read while nobody could take them. */
static int
take_left_behind(struct lane *l, struct live *live, struct err *err)
{
    struct arena      a = {0};
    struct inbox_row *rows = NULL;
    size_t            n = 0;

    int rc = l->store->ops->inbox_list(l->store, live->run.row.no, &a, &rows, &n, err);
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        if (map_get(&l->inbox, rows[i].no) == NULL)
            rc = live_arrive(l, live, ARRIVE_INBOX, &rows[i], NULL, err);
    arena_release(&a);
    return rc;
}

static int
add_loaded(struct lane *l, const struct loaded *loaded, struct err *err)
{
    struct live *live;
    struct err   why = {0};

    if (!loaded->found || run_has_ended(loaded->run.status) || map_get(&l->lives, loaded->run.no) ||
        !lane_owns(l, loaded->run.no))
        return HF_OK;
    TRY(live_add(l, &loaded->run, &live, err));
    live->workflow =
        registry_find_workflow(l->registry, live->run.row.workflow, live->run.row.version);
    int rc = run_load(&live->run, loaded->history, loaded->n_history, &why);
    if (rc == HF_NOMEM) {
        live_free(l, live);
        return err_nomem(err);
    }
    if (rc) {
        live_block(l, live, err_name(rc), why.text);
        return HF_OK;
    }
    live->workflow =
        registry_find_workflow(l->registry, live->run.row.workflow, live->run.row.version);
    if (live->workflow && live->run.row.version == 0)
        live->run.row.version = live->workflow->version;
    if (live->run.cancel_order)
        TRY(live_cancel_calls(l, live, false, err));
    if (live->run.row.status == RUN_RUNNING)
        wake(l, live);
    else
        live_dirty(l, live);
    return live->run.row.status == RUN_BLOCKED || l->n_reload ? take_left_behind(l, live, err)
                                                              : HF_OK;
}

int
lane_load(struct lane *l, const int64_t *nos, size_t n, struct err *err)
{
    struct arena   a = {0};
    struct loaded *loaded = n ? arena_alloc(&a, n * sizeof(*loaded)) : NULL;
    int            rc = HF_OK;

    if (n == 0)
        return HF_OK;
    if (loaded == NULL)
        return err_nomem(err);
    rc = l->store->ops->load(l->store, nos, n, &a, loaded, err);
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        rc = add_loaded(l, &loaded[i], err);
    arena_release(&a);
    return rc;
}

/* A run that has work to do: new, or left by an owner before. */
static int
take_run(struct lane *l, const struct run_row *row, struct err *err)
{
    struct live *live = map_get(&l->lives, row->no);

    if (live == NULL && row->fresh) {
        const struct workflow *w = registry_find_workflow(l->registry, row->workflow, row->version);
        if (w == NULL) {
            lane_note_no_worker(l, row->no, "workflow", row->workflow, row->version);
            return HF_OK;
        }
        TRY(live_add(l, row, &live, err));
        live->workflow = w;
        if (row->version == 0)
            live->run.row.version = w->version;
    }
    if (live == NULL || live->place != LIVE_IDLE || live->ended || live->forget)
        return HF_OK;
    if (live->run.row.crashes >= l->opt.max_crashes) {
        if (live->run.row.status != RUN_BLOCKED)
            block_crashed(l, live);
        return HF_OK;
    }
    if (live->run.row.status == RUN_BLOCKED &&
        live->run.end == TURN_NONE) { /* a new owner tries again: the program may be mended */
        live->run.row.status = RUN_RUNNING;
        live->run.row.error_name = live->run.row.error_message = NULL;
    }
    if (live->run.row.status == RUN_RUNNING && live->run.end == TURN_NONE)
        wake(l, live);
    return HF_OK;
}

/* ---- tasks ---- */

/* The outcome of a task that is not started any more. */
static int
finish_unstarted(struct lane *l, struct live *live, struct job *job, int code, const char *message,
                 struct err *err)
{
    job->code = code;
    job->final = true;
    job->attempt = job->row.attempt;
    job->error_name = mem_strdup(code == HF_CRASHED ? "crashed"
                                 : code == HF_LOST  ? "lost"
                                                    : "timeout");
    job->error_message = mem_strdup(message);
    if (live)
        return live_arrive(l, live, ARRIVE_RESULT, NULL, job, err);
    job_list_put(&l->finished, job);
    return HF_OK;
}

int
lane_start_row(struct lane *l, struct live *live, struct job *job, struct err *err)
{
    char message[100];

    if (job->row.crashes >= l->opt.max_crashes) {
        snprintf(message, sizeof(message), "it was running in %d processes that died",
                 job->row.crashes);
        return finish_unstarted(l, live, job, HF_CRASHED, message, err);
    }
    if (job->row.crashes > 0 && job->policy.on_crash == HF_FAIL)
        return finish_unstarted(l, live, job, HF_LOST,
                                "its worker died while it ran, and it is not to be repeated", err);
    if (job->row.claimed && job->policy.on_crash == HF_FAIL) /* begun, and its result is nowhere */
        return finish_unstarted(l, live, job, HF_LOST,
                                "its result was lost on the way, and it is not to be repeated",
                                err);
    if (job->policy.deadline_ms &&
        lane_now_us(l) >= job->created_us + job->policy.deadline_ms * US_PER_MS) {
        snprintf(message, sizeof(message), "not done within %lld ms",
                 (long long)job->policy.deadline_ms);
        return finish_unstarted(l, live, job, HF_TIMEOUT, message, err);
    }
    if (l->store->shared && job->row.holder != l->worker)
        job->row.claimed = false; /* by one that has left */
    if (job->policy.on_crash == HF_FAIL && !job->row.claimed)
        job_list_put(&l->to_claim, job);
    else
        lane_queue_job(l, job);
    return HF_OK;
}

/* Whether the run is about to change or delete the row: a message said that the attempt has ended,
 * and that is not stored yet. */
static bool
is_changing(const struct live *live, int64_t row_no)
{
    for (const struct extra *x = live ? live->extras : NULL; x; x = x->next)
        if (write_row(&x->write) == row_no)
            return true;
    return false;
}

/* The row of a called task. Without its run (it has ended) the row is only to be deleted; if the
 * run is another worker's, that one is told of the end. */
static int
take_called(struct lane *l, const struct task_row *row, struct err *err)
{
    struct live *live = map_get(&l->lives, row->run_no);
    struct job  *job;

    if (is_changing(live, row->no))
        return HF_OK;
    if (registry_find_handler(l->registry, row->name) == NULL) {
        lane_note_no_worker(l, row->no, "task", row->name, 0);
        return HF_OK;
    }
    if (!lane_owns(l, row->run_no)) {
        TRY(job_from_row(l, row, NULL, &job, err));
        job->far_run_no = row->run_no;
        job->run_no = 0;
        return lane_start_row(l, NULL, job, err);
    }
    TRY(job_from_row(l, row, live ? live->run.row.id : NULL, &job, err));
    if (live)
        return live_arrive(l, live, ARRIVE_ROW, NULL, job, err);
    job->run_no = 0;
    job->code = HF_OK;
    job_list_put(&l->finished, job);
    return HF_OK;
}

static int
take_task(struct lane *l, const struct task_row *row, struct err *err)
{
    struct job *job;

    if (map_get(&l->rows, row->no))
        return HF_OK;
    if (row->run_no)
        return take_called(l, row, err);
    if (registry_find_handler(l->registry, row->name) == NULL) {
        lane_note_no_worker(l, row->no, "task", row->name, 0);
        return HF_OK;
    }
    TRY(job_from_row(l, row, NULL, &job, err));
    return lane_start_row(l, NULL, job, err);
}

/* ---- inbox and timers ---- */

/* Another life for a run that has ended. */
static int
replace_ended(struct lane *l, const struct inbox_row *row, struct err *err)
{
    struct arena  a = {0};
    struct loaded loaded = {0};
    struct live  *live;
    int           rc = l->store->ops->load(l->store, &row->run_no, 1, &a, &loaded, err);

    if (rc == HF_OK && loaded.found && run_has_ended(loaded.run.status)) {
        rc = live_add(l, &loaded.run, &live, err);
        if (rc == HF_OK)
            rc = live_arrive(l, live, ARRIVE_INBOX, row, NULL, err);
    }
    arena_release(&a);
    return rc;
}

int
lane_take_inbox(struct lane *l, const struct inbox_row *row, struct err *err)
{
    struct live *live = map_get(&l->lives, row->run_no);

    if (row->run_no == 0)
        return lane_take_far(l, row, err);
    if (live == NULL) {
        TRY(lane_load(l, &row->run_no, 1, err));
        live = map_get(&l->lives, row->run_no);
    }
    if (live == NULL)
        return row->kind == INBOX_REPLACE ? replace_ended(l, row, err) : HF_OK;
    return map_get(&l->inbox, row->no) ? HF_OK : live_arrive(l, live, ARRIVE_INBOX, row, NULL, err);
}

/* Runs that the rows speak of and that are not in memory. */
static int
load_missing(struct lane *l, const struct rows *rows, struct err *err)
{
    size_t     n = 0;
    int64_t   *nos = arena_alloc(&l->rows_arena,
                                 (rows->n_runs + rows->n_due + rows->n_tasks + rows->n_inbox + 1) *
                                     sizeof(*nos));
    struct map seen = {0};

    if (nos == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < rows->n_runs; i++)
        if (!rows->runs[i].fresh)
            nos[n++] = rows->runs[i].no;
    for (size_t i = 0; i < rows->n_due; i++)
        nos[n++] = rows->due[i].no;
    for (size_t i = 0; i < rows->n_tasks; i++)
        if (rows->tasks[i].run_no && lane_owns(l, rows->tasks[i].run_no) &&
            !map_get(&l->rows, rows->tasks[i].no))
            nos[n++] = rows->tasks[i].run_no;
    for (size_t i = 0; i < rows->n_inbox; i++)
        if (rows->inbox[i].run_no)
            nos[n++] = rows->inbox[i].run_no;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (map_get(&l->lives, nos[i]) || map_get(&seen, nos[i]))
            continue;
        if (!map_put(&seen, nos[i], l)) {
            map_release(&seen);
            return err_nomem(err);
        }
        nos[kept++] = nos[i];
    }
    map_release(&seen);
    return lane_load(l, nos, kept, err);
}

int
lane_take_rows(struct lane *l, struct rows *rows, struct err *err)
{
    for (size_t i = 0; i < rows->n_runs;
         i++) /* first: a row that tells of a fresh run needs no load */
        if (rows->runs[i].fresh)
            TRY(take_run(l, &rows->runs[i], err));
    TRY(load_missing(l, rows, err));
    for (size_t i = 0; i < rows->n_runs; i++)
        if (!rows->runs[i].fresh)
            TRY(take_run(l, &rows->runs[i], err));
    for (size_t i = 0; i < rows->n_inbox; i++)
        TRY(lane_take_inbox(l, &rows->inbox[i], err));
    for (size_t i = 0; i < rows->n_due; i++) {
        struct live *live = map_get(&l->lives, rows->due[i].no);
        if (live)
            TRY(live_arrive(l, live, ARRIVE_DUE, NULL, NULL, err));
    }
    for (size_t i = 0; i < rows->n_tasks; i++)
        TRY(take_task(l, &rows->tasks[i], err));
    return HF_OK;
}

/* ---- forgetting everything ---- */

static void
drop_list(struct lane *l, struct job_list *list)
{
    for (struct job *job; (job = job_list_take(list));)
        lane_forget_job(l, job);
}

/* Results that may or may not be stored: they come back as from a slot, for the run as it is read
 * again. One that is stored already is late, and ignored. Those that no slot has made (a message, a
 * row that says that it must not begin) are read again. */
static void
offer_again(struct lane *l, struct live *live)
{
    while (live->recorded) {
        struct job *job = live->recorded;
        live->recorded = job->next;
        if (atomic_load(&job->begun_us) == 0) {
            lane_forget_job(l, job);
            continue;
        }
        l->n_orphans++;
        job_list_put(&l->handed, job);
        stack_push(l->pool ? &l->pool->jobs_done : &l->own_jobs, &job->node);
    }
}

/* Standalone tasks of a batch that may or may not be stored: those that were not are run again.
 * Those that go on are in a list of their own. */
static void
drop_units(struct lane *l)
{
    for (size_t i = 0; i < l->n_units; i++)
        if (l->units[i].job && !l->units[i].keeps)
            lane_forget_job(l, l->units[i].job);
    l->n_units = l->n_writes = 0;
}

/* What has been taken may be read again, but for the messages that results waiting to be stored
 * came with. Without memory for that a result is looked at twice, and the second is late. */
static void
forget_inbox(struct lane *l)
{
    map_release(&l->inbox);
    l->n_read_inbox = 0;
    for (struct job *job = l->finished.head; job; job = job->next)
        if (job->inbox_no)
            map_put(&l->inbox, job->inbox_no, l);
}

void
lane_drop_all(struct lane *l, bool keep)
{
    size_t       at = 0;
    struct live *live;

    while ((live = map_next(&l->lives, &at))) {
        live_forget_arrivals(l, live);
        if (keep)
            offer_again(l, live);
        if (live->place != LIVE_IDLE) {
            live->doomed = true;
            live_give_up_rows(l, live); /* its jobs may go before it does */
            continue;
        }
        live_drop(l, live);
        at = 0;
    }
    drop_list(l, &l->waiting);
    drop_list(l, &l->suspects);
    drop_list(l, &l->to_claim);
    if (!keep)
        drop_list(l, &l->finished);
    drop_units(l);
    forget_inbox(l);
}
