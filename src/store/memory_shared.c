/*
 * The memory store's owners, when it is shared: each partition names its owner, and that alone says
 * who it is. Workers have leases by the store's clock, which say when a takeover may be tried.
 */
#include "store/memory.h"

#include <unistd.h>

static struct worker_row *
find_worker(const struct memory_db *db, int64_t id)
{
    return db_find(db, WORKERS, &(struct worker_row){.id = id});
}

static int
gone(int64_t worker, struct err *err)
{
    return err_set(err, HF_STALE, "worker %lld has left, or was taken over", (long long)worker);
}

static int
end(struct memory_store *m, int rc)
{
    if (rc == HF_OK) {
        db_hint(m->db, &m->store);
        db_commit(m->db);
    } else {
        db_rollback(m->db);
    }
    return rc;
}

/* ---- joining */

static int
join(struct memory_db *db, int64_t id, const struct worker_self *self, int64_t now_us,
     struct err *err)
{
    char              host[256] = "";
    struct worker_row row = {.id = id,
                             .name = self->name,
                             .host = host,
                             .pid = getpid(),
                             .queues = self->queues,
                             .handlers = self->handlers,
                             .since_us = now_us,
                             .slots = self->slots,
                             .slots_free = self->slots,
                             .lease_us = self->lease_us,
                             .expires_us = now_us + self->lease_us};

    gethostname(host, sizeof(host) - 1);
    return db_put(db, WORKERS, &row, err);
}

static int
take_unowned(struct memory_db *db, int64_t worker, const char *queues, struct err *err)
{
    EACH(db, PARTITIONS, struct partition, p)
    {
        struct partition row = *p;
        if (row.owner || !queue_in_list(queues, row.queue))
            continue;
        row.owner = worker;
        TRY(db_put(db, PARTITIONS, &row, err));
    }
    return HF_OK;
}

static int
owned(struct memory_db *db, int64_t worker, struct arena *a, struct partition_row **out, size_t *n,
      struct err *err)
{
    struct partition_row *rows = arena_alloc(a, db->tables[PARTITIONS].n * sizeof(*rows));
    size_t                count = 0;

    if (rows == NULL)
        return err_nomem(err);
    EACH(db, PARTITIONS, struct partition, p)
    {
        if (p->owner != worker)
            continue;
        const char *queue = arena_strdup(a, p->queue);
        if (queue == NULL)
            return err_nomem(err);
        rows[count++] = (struct partition_row){(int32_t)p->id, queue, p->crashes, p->crashed_us};
    }
    *out = rows;
    *n = count;
    return HF_OK;
}

int
shared_acquire(struct memory_store *m, const struct worker_self *self, int64_t *worker,
               struct arena *a, struct partition_row **out, size_t *n, struct err *err)
{
    struct memory_db *db = m->db;
    int64_t           id = *worker ? *worker : db->last_worker + 1;
    int               rc = HF_OK;

    if (*worker && find_worker(db, id) == NULL)
        return gone(id, err);
    db_begin(db);
    if (*worker == 0)
        rc = join(db, id, self, clock_now_us(&m->store.clock), err);
    if (rc == HF_OK)
        rc = take_unowned(db, id, self->queues, err);
    if (rc == HF_OK)
        rc = owned(db, id, a, out, n, err);
    TRY(end(m, rc));
    if (*worker == 0)
        db->last_worker = id;
    m->worker = *worker = id;
    return HF_OK;
}

/* ---- the lease, and who else is there */

int
shared_census(struct memory_db *db, int64_t now_us, struct arena *a, struct worker_row **out,
              size_t *n, struct err *err)
{
    struct picks picks = {0};

    EACH(db, WORKERS, struct worker_row, worker)
    {
        picks_add(&picks, worker);
    }
    TRY(picks_take(&picks, WORKERS, a, out, n, err));
    for (size_t i = 0; i < *n; i++) {
        struct worker_row *row = *out + i;
        row->live = row->expires_us >= now_us;
        EACH(db, PARTITIONS, struct partition, p)
        {
            row->partitions += p->owner == row->id;
        }
    }
    return HF_OK;
}

static int
take_census(struct memory_db *db, const struct worker_row *self, int64_t now_us, struct arena *a,
            struct census *out, struct err *err)
{
    struct census census = {.now_us = now_us};

    TRY(shared_census(db, now_us, a, &census.workers, &census.n_workers, err));
    EACH(db, PARTITIONS, struct partition, p)
    {
        census.unowned += p->owner == 0 && queue_in_list(self->queues, p->queue);
    }
    *out = census;
    return HF_OK;
}

int
shared_renew(struct memory_db *db, int64_t worker, int slots_free, int64_t now_us, struct arena *a,
             struct census *out, struct err *err)
{
    struct worker_row *self = find_worker(db, worker), was;

    if (self == NULL)
        return gone(worker, err);
    was = *self;
    self->slots_free = slots_free;
    self->expires_us = now_us + self->lease_us;
    int rc = out ? take_census(db, self, now_us, a, out, err) : HF_OK;
    if (rc)
        *self = was;
    return rc;
}

uint32_t
shared_news(const struct memory_db *db, int64_t worker)
{
    struct worker_row *self = find_worker(db, worker);
    int64_t            last = 0;

    EACH(db, PARTITIONS, struct partition, p)
    {
        bool is_mine = p->owner == worker;
        bool is_free = p->owner == 0 && self && queue_in_list(self->queues, p->queue);
        if ((is_mine || is_free) && p->moved > last)
            last = p->moved;
    }
    return (uint32_t)last;
}

/* ---- giving up, and taking over */

static int
give(struct memory_db *db, const struct partition *p, int64_t to, int64_t crashed_us,
     struct err *err)
{
    struct partition row = *p;

    row.owner = to;
    row.moved = ++db->last_moved;
    if (crashed_us) {
        row.crashes++;
        row.crashed_us = crashed_us;
    }
    return db_put(db, PARTITIONS, &row, err);
}

/* The runs of its partitions, and the tasks that it holds wherever they are. */
static int
release_runs(struct memory_db *db, int64_t worker, int crashes, struct err *err)
{
    EACH(db, RUNS, struct run_row, run)
    {
        struct run_row    row = *run;
        struct partition *p = db_partition(db, row_partition(row.no));
        if (!row.claimed || p == NULL || p->owner != worker)
            continue;
        row.claimed = false;
        row.crashes += crashes;
        TRY(db_put(db, RUNS, &row, err));
    }
    return HF_OK;
}

static int
release_tasks(struct memory_db *db, int64_t worker, int crashes, struct err *err)
{
    EACH(db, TASKS, struct task_row, task)
    {
        struct task_row row = *task;
        if (!row.claimed || row.holder != worker)
            continue;
        row.claimed = crashes == 0; /* who has left says nothing of what it had begun */
        row.holder = 0;
        row.crashes += crashes;
        if (row_stream(row.no) != STREAM_DELAYED)
            row.run_at_us = 0;
        TRY(db_put(db, TASKS, &row, err));
        TRY(db_put(db, AGAIN, &(struct again){row.no, ++db->last_again}, err));
    }
    return HF_OK;
}

/* Claims first: whose runs they are is said by the partitions. */
static int
part(struct memory_db *db, int64_t worker, int64_t heir, int64_t crashed_us, struct err *err)
{
    struct worker_row *row = heir ? db_find(db, WORKERS, &(struct worker_row){.id = heir}) : NULL;
    const char        *queues = row ? row->queues : NULL;

    TRY(release_runs(db, worker, crashed_us != 0, err));
    TRY(release_tasks(db, worker, crashed_us != 0, err));
    EACH(db, PARTITIONS, struct partition, p)
    {
        if (p->owner == worker)
            TRY(give(db, p, queue_in_list(queues, p->queue) ? heir : 0, crashed_us, err));
    }
    return db_drop(db, WORKERS, &(struct worker_row){.id = worker}, err);
}

int
shared_takeover(struct memory_store *m, int64_t worker, int64_t dead, struct err *err)
{
    int64_t            now_us = clock_now_us(&m->store.clock);
    struct worker_row *row = find_worker(m->db, dead);

    if (find_worker(m->db, worker) == NULL)
        return gone(worker, err);
    if (row == NULL || dead == worker || row->expires_us >= now_us)
        return err_set(err, HF_NOT_FOUND, "worker %lld: it lives, or is gone already",
                       (long long)dead);
    db_begin(m->db);
    return end(m, part(m->db, dead, worker, now_us, err));
}

int
shared_leave(struct memory_store *m, int64_t worker, struct err *err)
{
    if (find_worker(m->db, worker) == NULL)
        return gone(worker, err);
    db_begin(m->db);
    return end(m, part(m->db, worker, 0, 0, err));
}

int
shared_hand_over(struct memory_db *db, const struct write *w, struct err *err)
{
    struct partition *p = db_partition(db, w->partition);

    if (p == NULL || (w->to && find_worker(db, w->to) == NULL))
        return HF_OK;
    return give(db, p, w->to, 0, err);
}

/* ---- the fence */

/* The partition in which a write changes or deletes rows; 0: it only inserts. */
static int32_t
partition_changed(const struct write *w)
{
    switch ((enum write_kind)w->kind) {
    case WRITE_HISTORY:
    case WRITE_PRUNE:
        return row_partition(w->history.run_no);
    case WRITE_RUN:
    case WRITE_RESTART:
        return row_partition(w->run->no);
    case WRITE_TASK:
    case WRITE_TASK_DELETE:
    case WRITE_DEAD:
        return row_partition(w->task->no);
    case WRITE_INBOX_DELETE:
        return row_partition(w->inbox.no);
    case WRITE_CALM:
    case WRITE_HAND_OVER:
        return w->partition;
    case WRITE_TASK_NEW: /* by the partition's owner, unless it goes to a queue */
        return w->task->queue ? 0 : row_partition(w->task->run_no);
    case WRITE_START:
    case WRITE_INBOX:
        break;
    }
    return 0;
}

static bool
is_named(const struct batch *batch, int32_t partition)
{
    for (size_t i = 0; i < batch->n_partitions; i++)
        if (batch->partitions[i] == partition)
            return true;
    return false;
}

int
shared_fence(const struct memory_db *db, const struct batch *batch, struct err *err)
{
    for (size_t i = 0; i < batch->n_partitions; i++) {
        struct partition *p = db_partition(db, batch->partitions[i]);
        if (batch->worker == 0 || p == NULL || p->owner != batch->worker)
            return err_set(err, HF_STALE, "worker %lld does not own partition %d",
                           (long long)batch->worker, (int)batch->partitions[i]);
    }
    for (size_t i = 0; i < batch->n_writes; i++) {
        int32_t id = partition_changed(&batch->writes[i]);
        if (id && !is_named(batch, id))
            return err_set(err, HF_INTERNAL, "write %zu: partition %d is not among the batch's", i,
                           (int)id);
    }
    return HF_OK;
}
