/*
 * The memory store's owner, when it is exclusive: one worker has everything, and another one may
 * join once that one has left or its connection is gone. memory_shared.c is the other way.
 */
#include "store/memory.h"

#include <unistd.h>

static int
count_crash(struct memory_db *db, int64_t now_us, struct err *err)
{
    struct worker_row *last = db_find(db, WORKERS, &(struct worker_row){.id = db->last_worker});

    EACH(db, PARTITIONS, struct partition, p)
    {
        struct partition row = *p;
        if (last && !queue_in_list(last->queues, row.queue))
            continue;
        row.crashes++;
        row.crashed_us = now_us;
        TRY(db_put(db, PARTITIONS, &row, err));
    }
    EACH(db, RUNS, struct run_row, run)
    {
        struct run_row row = *run;
        if (!row.claimed)
            continue;
        row.crashes++;
        row.claimed = false;
        TRY(db_put(db, RUNS, &row, err));
    }
    EACH(db, TASKS, struct task_row, task)
    {
        struct task_row row = *task;
        if (!row.claimed)
            continue;
        row.crashes++;
        row.claimed = false;
        TRY(db_put(db, TASKS, &row, err));
    }
    return HF_OK;
}

static int
join(struct memory_store *m, const struct worker_self *self, struct err *err)
{
    struct memory_db *db = m->db;
    int64_t           now_us = clock_now_us(&m->store.clock);
    char              host[256] = "";
    struct worker_row last = {.id = db->last_worker}, row = {.id = db->last_worker + 1,
                                                             .name = self->name,
                                                             .host = host,
                                                             .pid = getpid(),
                                                             .queues = self->queues,
                                                             .handlers = self->handlers,
                                                             .since_us = now_us};

    gethostname(host, sizeof(host) - 1);
    if (!db->has_left)
        TRY(count_crash(db, now_us, err));
    TRY(db_drop(db, WORKERS, &last, err));
    return db_put(db, WORKERS, &row, err);
}

/* What the worker owns: whatever is of its queues. */
static int
owned(struct memory_db *db, const char *queues, struct arena *a, struct partition_row **out,
      size_t *n, struct err *err)
{
    struct partition_row *rows = arena_alloc(a, db->tables[PARTITIONS].n * sizeof(*rows));
    size_t                count = 0;

    if (rows == NULL)
        return err_nomem(err);
    EACH(db, PARTITIONS, struct partition, p)
    {
        if (!queue_in_list(queues, p->queue))
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

static int
acquire(struct memory_store *m, const struct worker_self *self, int64_t *worker, struct arena *a,
        struct partition_row **out, size_t *n, struct err *err)
{
    struct memory_db *db = m->db;

    if (*worker) {
        TRY(memory_fence(db, *worker, err));
        return owned(db, self->queues, a, out, n, err);
    }
    if (db->owner)
        return err_set(err, HF_OWNED, "worker %lld of this process owns the queues",
                       (long long)db->last_worker);
    db_begin(db);
    int rc = join(m, self, err);
    if (rc == HF_OK)
        rc = owned(db, self->queues, a, out, n, err);
    if (rc) {
        db_rollback(db);
        return rc;
    }
    db_commit(db);
    db->owner = m;
    db->has_left = false;
    *worker = ++db->last_worker;
    return HF_OK;
}

int
memory_acquire(struct store *s, const struct worker_self *self, int64_t *worker, struct arena *a,
               struct partition_row **out, size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = s->shared ? shared_acquire(memory_of(s), self, worker, a, out, n, err)
                                     : acquire(memory_of(s), self, worker, a, out, n, err);
    db_unlock(db);
    return rc;
}

static int
publish(struct memory_db *db, int64_t worker, const char *stats, struct err *err)
{
    struct worker_row *is = db_find(db, WORKERS, &(struct worker_row){.id = worker});
    struct worker_row  row = *is;

    row.stats = stats;
    db_begin(db);
    int rc = db_put(db, WORKERS, &row, err);
    if (rc)
        db_rollback(db);
    else
        db_commit(db);
    return rc;
}

int
memory_renew(struct store *s, int64_t worker, int slots_free, const char *stats, struct arena *a,
             struct census *out, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int64_t           now_us = clock_now_us(&s->clock);
    int               rc = HF_OK;

    if (out)
        *out = (struct census){0};
    if (s->shared)
        rc = shared_renew(db, worker, slots_free, now_us, a, out, err);
    else
        rc = memory_fence(db, worker, err);
    if (rc == HF_OK && stats)
        rc = publish(db, worker, stats, err);
    db_unlock(db);
    return rc;
}

int
memory_takeover(struct store *s, int64_t worker, int64_t dead, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = s->shared ? shared_takeover(memory_of(s), worker, dead, err)
                                     : err_set(err, HF_NOT_FOUND, "worker %lld: nothing to take over here",
                                               (long long)dead);
    db_unlock(db);
    return rc;
}

static int
leave(struct memory_db *db, int64_t worker, struct err *err)
{
    TRY(memory_fence(db, worker, err));
    db_begin(db);
    int rc = db_drop(db, WORKERS, &(struct worker_row){.id = worker}, err);
    db_commit(db);
    if (rc == HF_OK) {
        db->has_left = true;
        db->owner = NULL;
    }
    return rc;
}

int
memory_leave(struct store *s, int64_t worker, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int rc = s->shared ? shared_leave(memory_of(s), worker, err) : leave(db, worker, err);
    db_unlock(db);
    return rc;
}
