/*
 * The memory store: the reference model of store.h, without a file. All connections (store_clone)
 * share one database; the last one closed frees it. Closing the owner's connection without `leave`
 * is what a crash of its process would be, so tests keep another connection and go on with that.
 */
#include "store/memory.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

static struct memory_store *
memory_of(struct store *s)
{
    return (struct memory_store *)s;
}

struct memory_db *
db_lock(struct store *s)
{
    struct memory_db *db = memory_of(s)->db;
    pthread_mutex_lock(&db->mutex);
    return db;
}

void
db_unlock(struct memory_db *db)
{
    pthread_mutex_unlock(&db->mutex);
}

void
db_hint(struct memory_db *db, const struct store *but)
{
    for (struct memory_store *m = db->connections; m; m = m->next)
        if (&m->store != but)
            eventfd_write(m->hint, 1);
}

static void
memory_close(struct store *s)
{
    struct memory_store  *m = memory_of(s);
    struct memory_db     *db = db_lock(s);
    struct memory_store **at = &db->connections;

    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    if (db->owner == m)
        db->owner = NULL;
    bool is_last = db->connections == NULL;
    db_unlock(db);
    close(m->hint);
    mem_free(m);
    if (is_last) {
        db_release(db);
        pthread_cond_destroy(&db->ended);
        pthread_mutex_destroy(&db->mutex);
        mem_free(db);
    }
}

static int
memory_now(struct store *s, int64_t *us, struct err *err)
{
    (void)err;
    *us = clock_now_us(&s->clock);
    return HF_OK;
}

static int
memory_info(struct store *s, struct arena *a, struct store_info *out, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = HF_OK;

    *out = (struct store_info){.kind = "memory"};
    if (db->owner) {
        out->owner = arena_printf(a, "worker %lld of this process", (long long)db->last_worker);
        if (out->owner == NULL)
            rc = err_nomem(err);
    }
    db_unlock(db);
    return rc;
}

/* ---- ownership */

static int
count_crash(struct memory_db *db, int64_t now_us, struct err *err)
{
    struct worker_row *last = db_find(db, WORKERS, &(struct worker_row){.id = db->last_worker});

    EACH(db, PARTITIONS, struct partition, p)
    {
        struct partition row = *p;
        if (last && !db_is_listed(last->queues, row.queue))
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
        if (!db_is_listed(queues, p->queue))
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

static int
memory_acquire(struct store *s, const struct worker_self *self, int64_t *worker, struct arena *a,
               struct partition_row **out, size_t *n, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = acquire(memory_of(s), self, worker, a, out, n, err);
    db_unlock(db);
    return rc;
}

static int
memory_renew(struct store *s, int64_t worker, int slots_free, struct arena *a, struct census *out,
             struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = memory_fence(db, worker, err);

    (void)slots_free, (void)a;
    if (out)
        *out = (struct census){0};
    db_unlock(db);
    return rc;
}

static int
memory_leave(struct store *s, int64_t worker, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = memory_fence(db, worker, err);

    if (rc == HF_OK) {
        db_begin(db);
        rc = db_drop(db, WORKERS, &(struct worker_row){.id = worker}, err);
        db_commit(db);
    }
    if (rc == HF_OK) {
        db->has_left = true;
        db->owner = NULL;
    }
    db_unlock(db);
    return rc;
}

/* ---- waiting */

static int
memory_wait(struct store *s, int wake_fd, int64_t deadline_us, struct err *err)
{
    struct memory_store *m = memory_of(s);
    struct pollfd        fds[2] = {{m->hint, POLLIN, 0}, {wake_fd, POLLIN, 0}};
    eventfd_t            hints;

    (void)err;
    int64_t left_us = deadline_us - clock_steady_us();
    if (left_us > 0) {
        struct timespec left = {left_us / US_PER_S, left_us % US_PER_S * 1000};
        ppoll(fds, 2, &left, NULL);
    }
    eventfd_read(m->hint, &hints);
    return HF_OK;
}

/* Waits at most a second at a time: the deadline's clock is not the condition's. */
static void
wait_for_an_end(struct memory_db *db, int64_t left_us)
{
    struct timespec until;

    if (left_us > US_PER_S)
        left_us = US_PER_S;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + left_us * 1000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&db->ended, &db->mutex, &until);
}

static int
memory_wait_result(struct store *s, const char *id, const char *token, int64_t deadline_us,
                   struct arena *a, struct run_row *out, struct err *err)
{
    struct memory_db *db = db_lock(s);
    int               rc = -1;

    while (rc == -1) {
        struct run_row *run = db_run_by_id(db, id);
        int64_t         left_us = deadline_us - clock_steady_us();
        if (run == NULL)
            rc = err_set(err, HF_NOT_FOUND, "run %s: there is none", id);
        else if (run_has_ended(run->status) && (token == NULL || is_text(run->token, token)))
            rc = db_copy(RUNS, run, a, out, err);
        else if (left_us > 0)
            wait_for_an_end(db, left_us);
        else if ((rc = db_copy(RUNS, run, a, out, err)) == HF_OK)
            rc = err_set(err, HF_TIMEOUT, "run %s: it has not ended", id);
    }
    db_unlock(db);
    return rc;
}

static void
memory_tell_waiters(struct store *s)
{
    struct memory_db *db = db_lock(s);
    pthread_cond_broadcast(&db->ended);
    db_unlock(db);
}

/* ---- opening */

static int memory_clone(struct store *s, struct store **out, struct err *err);

static const struct store_ops memory_ops = {
    .name = "memory",
    .close = memory_close,
    .clone = memory_clone,
    .now = memory_now,
    .submit = memory_submit,
    .wait_result = memory_wait_result,
    .run_get = memory_run_get,
    .run_list = memory_run_list,
    .history = memory_history,
    .inbox_list = memory_inbox_list,
    .children = memory_children,
    .task_get = memory_task_get,
    .task_list = memory_task_list,
    .dead_get = memory_dead_get,
    .dead_list = memory_dead_list,
    .workers = memory_workers,
    .pending = memory_pending,
    .info = memory_info,
    .queues = memory_queues,
    .retain = memory_retain,
    .purge = memory_purge,
    .acquire = memory_acquire,
    .renew = memory_renew,
    .leave = memory_leave,
    .cycle = memory_cycle,
    .load = memory_load,
    .wait = memory_wait,
    .tell_waiters = memory_tell_waiters,
};

static int
connect_to(struct memory_db *db, const struct clock *clock, struct store **out, struct err *err)
{
    struct memory_store *m = mem_zalloc(sizeof(*m));

    if (m == NULL)
        return err_nomem(err);
    m->hint = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->hint < 0) {
        mem_free(m);
        return err_set(err, HF_UNAVAILABLE, "eventfd: too many files are open");
    }
    m->store.ops = &memory_ops;
    if (clock)
        m->store.clock = *clock;
    m->db = db;
    pthread_mutex_lock(&db->mutex);
    m->next = db->connections;
    db->connections = m;
    pthread_mutex_unlock(&db->mutex);
    *out = &m->store;
    return HF_OK;
}

static int
memory_clone(struct store *s, struct store **out, struct err *err)
{
    TRY(connect_to(memory_of(s)->db, &s->clock, out, err));
    (*out)->log = s->log;
    return HF_OK;
}

int
memory_store_open(const struct clock *clock, struct store **out, struct err *err)
{
    struct memory_db  *db = mem_zalloc(sizeof(*db));
    pthread_condattr_t attr;
    int32_t            first;

    *out = NULL;
    if (db == NULL)
        return err_nomem(err);
    pthread_mutex_init(&db->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&db->ended, &attr);
    pthread_condattr_destroy(&attr);
    db->has_left = true;
    db_begin(db);
    int rc = db_partition_for(db, "default", &first, err);
    db_commit(db);
    if (rc == HF_OK)
        rc = connect_to(db, clock, out, err);
    if (rc) {
        db_release(db);
        pthread_cond_destroy(&db->ended);
        pthread_mutex_destroy(&db->mutex);
        mem_free(db);
    }
    return rc;
}
