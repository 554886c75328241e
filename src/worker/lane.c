/* The lane's life and its round. */
#include "worker/lane.h"

#include <string.h>

#include "base/mem.h"

/* With inline slots the lane's connection is idle then. */
static int
clone_store(void *arg, struct store **out, struct err *err)
{
    struct lane *l = arg;
    return l->store->ops->clone(l->store, out, err);
}

/* For slots: timers are set by the time of the store, whatever the clock of this machine says. */
static int64_t
server_time(void *arg)
{
    struct pool *p = arg;
    return clock_steady_us() + atomic_load(&p->store_ahead_us);
}

void
lane_note_now(struct lane *l, int64_t now_us)
{
    l->now_us = now_us;
    l->now_at_us = clock_steady_us();
    if (l->pool)
        atomic_store(&l->pool->store_ahead_us, now_us - l->now_at_us);
}

int
lane_open(struct lane *l, struct store *store, struct registry *registry, const struct log *log,
          const struct lane_opt *opt, struct err *err)
{
    *l = (struct lane){
        .store = store,
        .registry = registry,
        .log = log,
        .opt = *opt,
        .next_timeout_us = NEVER_US,
        .next_due_us = NEVER_US,
        .fetch_wanted = true,
    };
    l->ready_end = &l->ready;
    l->dirty_end = &l->dirty;
    sql_conn_init(&l->sql, clone_store, l);
    int64_t now_us;
    TRY(store->ops->now(store, &now_us, err));
    lane_note_now(l, now_us);
    if (opt->inline_slots)
        return HF_OK;
    TRY(pool_open(opt->slots, lane_execute_turn, &l->pool, err));
    atomic_store(&l->pool->store_ahead_us, l->now_us - l->now_at_us);
    l->pool->clock = store->clock;
    if (store->shared && store->clock.now_us == NULL)
        l->pool->clock = (struct clock){.now_us = server_time, .arg = l->pool};
    l->pool->log = log;
    l->pool->sql = &l->sql;
    l->sql.stopping = &l->pool->quiesce;
    return HF_OK;
}

void
lane_set_sql(struct lane *l, sql_open_fn open, void *arg)
{
    l->sql.open = open;
    l->sql.arg = arg;
}

void
lane_close(struct lane *l, int64_t deadline_us)
{
    bool all_back = l->pool == NULL || pool_close(l->pool, deadline_us);

    l->stopping = true;
    if (l->pool && !all_back)
        return; /* handlers still use what is theirs: the process is about to end */
    for (struct job *job; (job = job_list_take(&l->abandoned));)
        job_free(job);
    l->pool = NULL;
    sql_conn_release(&l->sql);
    lane_drop_all(l, false);
    struct live *live;
    for (size_t at = 0; (live = map_next(&l->lives, &at)); at = 0) {
        live_forget_arrivals(l, live);
        live_drop(l, live);
    }
    struct job_list *lists[] = {&l->handed, &l->slow};
    for (size_t i = 0; i < 2; i++)
        for (struct job *job; (job = job_list_take(lists[i]));)
            lane_forget_job(l, job);
    map_release(&l->lives);
    map_release(&l->rows);
    arena_release(&l->rows_arena);
    arena_release(&l->turn_arena);
    arena_release(&l->partition_arena);
    mem_free(l->writes);
    mem_free(l->units);
    mem_free(l->reload);
    mem_free(l->cursors);
    mem_free(l->parts);
    mem_free(l->touched);
    mem_free(l->read_inbox);
    map_release(&l->inbox);
}

int64_t
lane_now_us(const struct lane *l)
{
    if (l->pool == NULL) /* tests: the store's clock stands still between answers */
        return clock_now_us(&l->store->clock);
    return l->now_us + (clock_steady_us() - l->now_at_us);
}

bool
lane_is_quiet(const struct lane *l)
{
    return l->n_turns == 0 && l->handed.count == 0 && l->slow.count == 0 && l->waiting.count == 0 &&
           l->finished.count == 0 && l->to_claim.count == 0 && l->suspects.count == 0 &&
           l->ready == NULL && l->dirty == NULL && l->n_units == 0 && l->n_parting == 0 &&
           l->n_read_inbox == 0;
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t
lane_deadline_us(const struct lane *l)
{
    int64_t now = clock_steady_us(), at = l->next_timeout_us;

    if (l->next_due_us != NEVER_US &&
        !l->more) /* what is cut off is due, but there is no room for it */
        at = earlier(at, now + l->next_due_us - lane_now_us(l));
    if (l->handed.head) { /* one whose run is with a slot stays overdue until that is back */
        int64_t slow_at = l->handed.head->handed_us + l->opt.spill_us;
        at = earlier(at, slow_at > now ? slow_at : now + 100 * US_PER_MS);
    }
    if (l->abandoned.head)
        at = earlier(at, now + US_PER_S);
    if (l->n_turns)
        at = earlier(at, now + 200 * US_PER_MS);
    if (l->n_reload)
        at = earlier(at, l->reload_at_us);
    if (l->pool && ring_count(l->pool->tasks) && pool_free_slots(l->pool))
        at = earlier(
            at, now + US_PER_MS); /* a quick task may have turned out slow: wake another slot */
    if (l->more)
        at = earlier(at, now + 50 * US_PER_MS);
    return at;
}

void
lane_note_no_worker(struct lane *l, int64_t no, const char *kind, const char *name, int version)
{
    enum { NOTES_MAX = 20 };
    struct buf   what = {0};
    struct part *part = lane_part(l, no);

    if (l->n_no_worker++ < NOTES_MAX)
        log_event(l->log, LOG_WARNING, "no_worker", "%s=%s version=%d", kind, name, version);
    if (strcmp(kind, "task") == 0)
        registry_put_task(&what, name);
    else
        registry_put_workflow(&what, name, version);
    bool known = what.failed || part == NULL || what.len >= sizeof(l->stuck[0].what);
    for (size_t i = 0; i < l->n_stuck && !known; i++)
        known = l->stuck[i].partition == part->row.id && strcmp(l->stuck[i].what, what.data) == 0;
    if (!known && l->n_stuck < STUCK_MAX) {
        struct stuck *stuck = &l->stuck[l->n_stuck++];
        stuck->partition = part->row.id;
        memcpy(stuck->what, what.data, what.len + 1);
    }
    buf_release(&what);
}

static int
reload(struct lane *l, bool *did, struct err *err)
{
    if (l->n_reload == 0 || (l->pool && clock_steady_us() < l->reload_at_us))
        return HF_OK;
    int rc = lane_load(l, l->reload, l->n_reload, err);
    l->n_reload = 0;
    *did = true;
    return rc;
}

/* What is in memory cannot be trusted (a commit may have happened or not, or memory was short in
 * the middle of something): what the store says counts. Jobs that run go on; their results are
 * offered again when their run has been read. */
static void
recover(struct lane *l, const struct err *err)
{
    log_event(l->log, LOG_WARNING, "memory_dropped", "code=%s message=%s", err_name(err->code),
              err->text);
    lane_drop_all(l, true);
    lane_reset_cursors(l);
    l->own_again = l->store->shared; /* a partition may have gone with that commit */
}

static int
do_round(struct lane *l, bool *did, struct err *err)
{
    if (l->n_units ==
        0) { /* else a batch is still to be stored, and what it speaks of must stay as it is */
        TRY(lane_collect_jobs(l, did, err));
        TRY(lane_collect_turns(l, did, err));
        TRY(lane_watch_jobs(l, err));
        TRY(lane_watch_turns(l, err));
        TRY(reload(l, did, err));
        lane_dispatch_turns(l, did);
    }
    TRY(lane_commit(l, did, err));
    lane_dispatch_turns(l, did);
    lane_hand_jobs(l, did);
    return HF_OK;
}

int
lane_round(struct lane *l, bool *idle, struct err *err)
{
    bool did = false;

    l->batch_waits = false;
    int rc = l->own_again ? lane_acquire(l, l->handlers, err) : HF_OK;
    if (rc == HF_OK)
        rc = do_round(l, &did, err);
    *idle = !did;
    if ((rc == HF_UNAVAILABLE || rc == HF_NOMEM) && l->batch_waits)
        return rc; /* nothing was stored, nothing has changed: the next round tries again */
    if (rc == HF_UNKNOWN || rc == HF_UNAVAILABLE || rc == HF_NOMEM) {
        *idle = false;
        recover(l, err);
        return rc == HF_UNKNOWN ? HF_OK : rc;
    }
    return rc;
}
