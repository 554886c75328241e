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

/* The worker that a change is news for: what is new in its partitions or may be claimed again, and
 * partitions that it was given. 0: all of them (nobody's partitions); -1: nobody. */
static int64_t
concerned(const struct memory_db *db, const struct change *c)
{
    const struct partition *p = c->is, *was = c->was;

    if (c->is == NULL)
        return -1;
    if (c->table == PARTITIONS)
        return was && was->owner == p->owner ? -1 : p->owner;
    bool is_new = (c->table == RUNS || c->table == TASKS || c->table == INBOX) && c->was == NULL;
    if (!is_new && c->table != AGAIN)
        return -1;
    p = db_partition(db, row_partition(*(const int64_t *)c->is));
    return p && p->owner ? p->owner : -1;
}

static bool
is_hinted(const struct memory_db *db, int64_t worker)
{
    if (db->partitions_a_queue == 0)
        return true;
    for (size_t i = 0; i < db->n_changes; i++) {
        int64_t who = concerned(db, &db->changes[i]);
        if (who == 0 || who == worker)
            return true;
    }
    return false;
}

void
db_hint(struct memory_db *db, const struct store *but)
{
    for (struct memory_store *m = db->connections; m; m = m->next)
        if (&m->store != but && is_hinted(db, m->worker))
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
    if (db->partitions_a_queue && db->tables[WORKERS].n) {
        out->owner = arena_printf(a, "%zu workers", db->tables[WORKERS].n);
        if (out->owner == NULL)
            rc = err_nomem(err);
    } else if (db->owner) {
        out->owner = arena_printf(a, "worker %lld of this process", (long long)db->last_worker);
        if (out->owner == NULL)
            rc = err_nomem(err);
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
    .takeover = memory_takeover,
    .leave = memory_leave,
    .cycle = memory_cycle,
    .load = memory_load,
    .load_tasks = memory_load_tasks,
    .sql_step = memory_sql_step,
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
    m->store.shared = db->partitions_a_queue > 0;
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

static int
open_new(const struct clock *clock, int partitions_a_queue, struct store **out, struct err *err)
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
    db->partitions_a_queue = partitions_a_queue;
    db_begin(db);
    int rc = db_partition_for(db, "default", NULL, &first, err);
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

int
memory_store_open(const struct clock *clock, struct store **out, struct err *err)
{
    return open_new(clock, 0, out, err);
}

int
memory_store_open_shared(const struct clock *clock, int partitions_a_queue, struct store **out,
                         struct err *err)
{
    return open_new(clock, partitions_a_queue < 1 ? 1 : partitions_a_queue, out, err);
}
