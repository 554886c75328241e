/*
 * Everything that is asked of a store, once: clients store and signal, a worker joins, reads,
 * writes a batch of every kind, hands over and leaves, people look, and old runs are purged. Items
 * by the hundred, as under load: a plan that is right for one row is not yet right for many.
 */
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "bench/explain.h"

enum { MANY = 500, SOME = 100, FEW = 5, WRITES_MAX = MANY * 6 };
/* REST: longer than a partition is left alone that was just found empty. */
enum { PAGE = 4000, LEASE_S = 600, REST_MS = 150 };

struct drive {
    struct store         *s;
    struct arena          a;
    struct err           *err;
    int64_t               worker;
    struct partition_row *parts;
    size_t                n_parts;
    struct cursor        *cursors;
    struct rows           rows;
    struct loaded        *loaded; /* of rows.runs */
    size_t                n_loaded;

    struct write writes[WRITES_MAX];
    size_t       n_writes;
    uint32_t     unit;
    bool         touched[1 << 15];
};

static const char *
name(struct drive *d, const char *kind, int i)
{
    const char *text = arena_printf(&d->a, "explain-%s-%d", kind, i);
    return text ? text : "";
}

/* ---- clients */

static int
submit(struct drive *d, struct submit *items, size_t n)
{
    return d->s->ops->submit(d->s, items, n, NULL, d->err);
}

static int
start_runs(struct drive *d)
{
    struct submit *items = arena_zalloc(&d->a, MANY * sizeof(*items));

    if (items == NULL)
        return err_nomem(d->err);
    for (int i = 0; i < MANY; i++)
        items[i] = (struct submit){.kind = SUBMIT_START,
                                   .id = name(d, "run", i),
                                   .name = "workflow",
                                   .payload = "{\"it's\": \"a \\\"test\\\"\"}",
                                   .queue = "filled-1",
                                   .token = name(d, "token", i),
                                   .cls = STREAM_NORMAL};
    TRY(submit(d, items, MANY));
    return submit(d, items, MANY); /* again, as after a lost answer */
}

static int
enqueue_tasks(struct drive *d)
{
    struct submit *items = arena_zalloc(&d->a, MANY * sizeof(*items));
    int64_t        now_us = 0;

    if (items == NULL)
        return err_nomem(d->err);
    for (int i = 0; i < MANY; i++)
        items[i] = (struct submit){.kind = SUBMIT_ENQUEUE,
                                   .name = "task",
                                   .payload = "{}",
                                   .queue = "filled-1",
                                   .cls = STREAM_NORMAL};
    TRY(submit(d, items, MANY));
    TRY(d->s->ops->now(d->s, &now_us, d->err));
    for (int i = 0; i < MANY; i++) {
        items[i].id = name(d, "task", i);
        items[i].run_at_us = i % 2 ? now_us + 1000 * US_PER_S : 0;
    }
    return submit(d, items, MANY);
}

static int
tell_runs(struct drive *d)
{
    static const int kinds[] = {SUBMIT_CANCEL, SUBMIT_PAUSE, SUBMIT_RESUME, SUBMIT_TERMINATE};
    struct submit   *items = arena_zalloc(&d->a, MANY * sizeof(*items));

    if (items == NULL)
        return err_nomem(d->err);
    for (int i = 0; i < MANY; i++)
        items[i] = (struct submit){.kind = SUBMIT_SIGNAL,
                                   .id = name(d, "run", i),
                                   .name = "signal",
                                   .payload = "{}",
                                   .key = name(d, "key", i)};
    TRY(submit(d, items, MANY));
    for (int i = 0; i < SOME; i++)
        items[i] = (struct submit){.kind = kinds[i % 4], .id = items[i].id, .payload = "why not"};
    return submit(d, items, SOME);
}

static int
mend_dead(struct drive *d)
{
    struct task_filter f = {.limit = 2 * FEW};
    struct dead_row   *dead;
    struct submit      items[2 * FEW];
    size_t             n;

    TRY(d->s->ops->dead_list(d->s, &f, &d->a, &dead, &n, d->err));
    for (size_t i = 0; i < n; i++)
        items[i] = (struct submit){.kind = i % 2 ? SUBMIT_RETRY : SUBMIT_DISCARD, .id = dead[i].id};
    return submit(d, items, n);
}

static int
await(struct drive *d)
{
    struct run_row run;

    int rc = d->s->ops->wait_result(d->s, "explain-run-0", NULL, 0, &d->a, &run, d->err);
    return rc == HF_TIMEOUT ? HF_OK : rc;
}

/* ---- a worker */

static int
join(struct drive *d)
{
    struct worker_self self = {
        .name = "explain", .handlers = "", .lease_us = LEASE_S * US_PER_S, .slots = 16};
    struct census census;

    TRY(d->s->ops->acquire(d->s, &self, &d->worker, &d->a, &d->parts, &d->n_parts, d->err));
    TRY(d->s->ops->renew(d->s, d->worker, 16, NULL, &d->a, NULL, d->err));
    TRY(d->s->ops->renew(d->s, d->worker, 16, NULL, &d->a, &census, d->err));
    for (size_t i = 0; i < census.n_workers; i++)
        if (!census.workers[i].live)
            TRY(d->s->ops->takeover(d->s, d->worker, census.workers[i].id, d->err));
    TRY(d->s->ops->acquire(d->s, &self, &d->worker, &d->a, &d->parts, &d->n_parts, d->err));
    d->cursors = arena_zalloc(&d->a, (d->n_parts + 1) * sizeof(*d->cursors));
    for (size_t i = 0; d->cursors && i < d->n_parts; i++)
        d->cursors[i].partition = d->parts[i].id;
    return d->cursors ? HF_OK : err_nomem(d->err);
}

static int
fetch(struct drive *d, bool patient, struct rows *out)
{
    struct batch nothing = {.worker = d->worker};
    size_t       share = 2 * PAGE / (d->n_parts + 1) + 1; /* as a lane's */
    struct room  room = {.runs = share / 4 + 1, .tasks = share, .inbox = PAGE, .patient = patient};

    return d->s->ops->cycle(d->s, &nothing, d->cursors, d->n_parts, &room, &d->a, out, d->err);
}

/* At the beginning, in the middle, and a look where very likely nothing is. */
static int
fetch_all(struct drive *d)
{
    struct rows more = {.more = true};

    TRY(fetch(d, false, &d->rows));
    for (int i = 0; i < FEW && more.more; i++)
        TRY(fetch(d, false, &more));
    poll(NULL, 0, REST_MS);
    TRY(fetch(d, true, &more));
    poll(NULL, 0, REST_MS);
    return fetch(d, true, &more);
}

static int
load(struct drive *d)
{
    size_t           n = d->rows.n_runs < MANY ? d->rows.n_runs : MANY;
    size_t           n_tasks = d->rows.n_tasks < MANY ? d->rows.n_tasks : MANY;
    int64_t         *nos = arena_zalloc(&d->a, MANY * sizeof(*nos));
    struct task_row *tasks = arena_zalloc(&d->a, MANY * sizeof(*tasks));

    d->loaded = arena_zalloc(&d->a, MANY * sizeof(*d->loaded));
    if (nos == NULL || tasks == NULL || d->loaded == NULL)
        return err_nomem(d->err);
    for (size_t i = 0; i < n; i++)
        nos[i] = d->rows.runs[i].no;
    TRY(d->s->ops->load(d->s, nos, n, &d->a, d->loaded, d->err));
    d->n_loaded = n;
    for (size_t i = 0; i < n_tasks; i++)
        nos[i] = d->rows.tasks[i].no;
    return d->s->ops->load_tasks(d->s, nos, n_tasks, &d->a, tasks, d->err);
}

/* ---- a batch of every kind */

/* The next write of the unit; it changes rows where `no` lives. */
static struct write *
put(struct drive *d, enum write_kind kind, int64_t no)
{
    static struct write lost;
    struct write       *w = d->n_writes < WRITES_MAX ? &d->writes[d->n_writes++] : &lost;

    *w = (struct write){.kind = kind, .unit = d->unit};
    if (no)
        d->touched[row_partition(no)] = true;
    return w;
}

static void
put_task(struct drive *d, struct task_row *t, int i)
{
    static const enum write_kind kinds[] = {WRITE_TASK_DELETE, WRITE_TASK, WRITE_DEAD,
                                            WRITE_TASK_DELETE};
    struct write                *w = put(d, kinds[i % 4], t->no);

    t->attempt++;
    t->claimed = false;
    t->error_name = i % 4 ? "failed" : NULL;
    t->run_at_us = d->rows.now_us + 60 * US_PER_S;
    w->task = t;
    d->unit++;
}

static void
put_called(struct drive *d, struct run_row *r)
{
    struct task_row *t = arena_zalloc(&d->a, sizeof(*t));
    struct submit   *start = arena_zalloc(&d->a, sizeof(*start));

    if (t == NULL || start == NULL)
        return;
    *t = (struct task_row){.name = "called", .payload = "{}", .run_no = r->no, .ref = "0.1"};
    t->execution = r->execution;
    put(d, WRITE_TASK_NEW, r->no)->task = t;
    *start = (struct submit){.kind = SUBMIT_START,
                             .id = name(d, "child", (int)d->unit),
                             .name = "child",
                             .queue = "filled-1",
                             .token = name(d, "token", (int)d->unit)};
    struct write *w = put(d, WRITE_START, 0);
    w->start = start;
    w->parent_no = r->no;
    w->parent_ref = "0.2";
    w->parent_execution = r->execution;
    w = put(d, WRITE_INBOX, 0);
    w->target = "explain-run-1";
    w->inbox = (struct inbox_row){.kind = INBOX_SIGNAL, .name = "hello", .payload = "{}"};
}

/* One row of history, and what the run has become. */
static void
put_run(struct drive *d, struct loaded *l, int i)
{
    struct run_row *r = &l->run;
    int             seq = l->n_history ? l->history[l->n_history - 1].seq + 1 : 1;
    bool            restarts = i % 5 == 1, ends = i % 5 == 2;

    put(d, WRITE_HISTORY, r->no)->history = (struct history_row){
        .run_no = r->no, .execution = r->execution, .seq = seq, .events = "[]", .events_len = 2};
    if (i % 5 == 3)
        put_called(d, r);
    if (restarts) {
        r->execution++;
        put(d, WRITE_PRUNE, r->no)->history =
            (struct history_row){.run_no = r->no, .execution = r->execution};
    }
    r->status = ends ? RUN_COMPLETED : i % 5 == 4 ? RUN_WAITING : RUN_RUNNING;
    r->wake_us = i % 5 == 4 ? d->rows.now_us + 60 * US_PER_S : NEVER_US;
    r->ended_us = ends ? d->rows.now_us : 0;
    put(d, restarts ? WRITE_RESTART : WRITE_RUN, r->no)->run = r;
    d->unit++;
}

static int
write_batch(struct drive *d)
{
    int32_t     *parts = arena_zalloc(&d->a, sizeof(d->touched) / sizeof(bool) * sizeof(*parts));
    struct batch b = {.worker = d->worker, .partitions = parts, .writes = d->writes};
    struct room  room = {.runs = SOME, .tasks = SOME, .inbox = SOME};

    if (parts == NULL)
        return err_nomem(d->err);
    for (int32_t p = 0; p < (int32_t)sizeof(d->touched); p++)
        if (d->touched[p])
            parts[b.n_partitions++] = p;
    b.n_writes = d->n_writes;
    TRY(d->s->ops->cycle(d->s, &b, d->cursors, d->n_parts, &room, &d->a, &d->rows, d->err));
    d->s->ops->tell_waiters(d->s);
    memset(d->touched, 0, sizeof(d->touched));
    d->n_writes = d->unit = 0;
    return HF_OK;
}

static int
commit(struct drive *d)
{
    for (int i = 0; i < (int)d->n_loaded; i++)
        if (d->loaded[i].found && d->n_writes < WRITES_MAX - MANY - SOME)
            put_run(d, &d->loaded[i], i);
    for (size_t i = 0; i < d->rows.n_tasks && i < MANY / 2; i++)
        if (d->rows.tasks[i].run_no == 0 && !d->rows.tasks[i].claimed)
            put_task(d, &d->rows.tasks[i], (int)i);
    for (size_t i = 0; i < d->rows.n_inbox && i < MANY / 2; i++)
        put(d, WRITE_INBOX_DELETE, d->rows.inbox[i].no)->inbox.no = d->rows.inbox[i].no;
    if (d->n_parts) {
        put(d, WRITE_CALM, 0)->partition = d->parts[0].id;
        d->touched[d->parts[0].id] = true;
    }
    return write_batch(d);
}

static int
hand_over(struct drive *d)
{
    if (!d->s->shared || d->n_parts < 2)
        return HF_OK;
    d->n_parts--;
    put(d, WRITE_HAND_OVER, 0)->partition = d->parts[d->n_parts].id;
    d->touched[d->parts[d->n_parts].id] = true;
    return write_batch(d);
}

static int
leave(struct drive *d)
{
    return d->s->ops->leave(d->s, d->worker, d->err);
}

/* ---- people */

static int
look_at_run(struct drive *d)
{
    struct run_row      run, *runs;
    struct history_row *history;
    struct inbox_row   *inbox;
    size_t              n;

    TRY(d->s->ops->run_get(d->s, "explain-run-0", &d->a, &run, d->err));
    TRY(d->s->ops->history(d->s, run.no, run.execution, &d->a, &history, &n, d->err));
    TRY(d->s->ops->inbox_list(d->s, run.no, &d->a, &inbox, &n, d->err));
    TRY(d->s->ops->children(d->s, run.no, &d->a, &runs, &n, d->err));
    for (int status = -1; status < RUN_STATUSES; status++) {
        struct run_filter f = {.status = status, .limit = 50};
        TRY(d->s->ops->run_list(d->s, &f, &d->a, &runs, &n, d->err));
    }
    return HF_OK;
}

static int
look_at_tasks(struct drive *d)
{
    struct task_filter f = {.limit = 50};
    struct task_row    task, *tasks;
    struct dead_row    letter, *dead;
    size_t             n;

    int rc = d->s->ops->task_get(d->s, "explain-task-1", &d->a, &task, d->err);
    if (rc != HF_OK && rc != HF_NOT_FOUND)
        return rc;
    TRY(d->s->ops->task_list(d->s, &f, &d->a, &tasks, &n, d->err));
    f.run_no = d->n_loaded ? d->loaded[0].run.no : 1;
    TRY(d->s->ops->task_list(d->s, &f, &d->a, &tasks, &n, d->err));
    f.run_no = 0;
    TRY(d->s->ops->dead_list(d->s, &f, &d->a, &dead, &n, d->err));
    rc = d->s->ops->dead_get(d->s, n ? dead[0].id : "none", &d->a, &letter, d->err);
    return rc == HF_NOT_FOUND ? HF_OK : rc;
}

static int
look_at_all(struct drive *d)
{
    struct worker_row *workers;
    struct queue_row  *queues;
    struct pending     pending;
    size_t             n;

    TRY(d->s->ops->workers(d->s, &d->a, &workers, &n, d->err));
    TRY(d->s->ops->queues(d->s, QUEUE_COUNT_MAX, &d->a, &queues, &n, d->err));
    return d->s->ops->pending(d->s, NULL, d->rows.now_us, &pending, d->err);
}

static int
purge(struct drive *d)
{
    int64_t now_us;
    size_t  n;

    TRY(d->s->ops->now(d->s, &now_us, d->err));
    struct purge what = {.ended_before = now_us + US_PER_S, .status = -1, .limit = MANY};
    TRY(d->s->ops->retain(d->s, "filled-1", 3600 * US_PER_S, d->err));
    TRY(d->s->ops->purge(d->s, &what, &n, d->err));
    what.count_only = true;
    return d->s->ops->purge(d->s, &what, &n, d->err);
}

/* ---- all */

static const struct {
    int (*run)(struct drive *d);
    bool hot;
} acts[] = {{start_runs, true}, {enqueue_tasks, true}, {tell_runs, true},      {mend_dead, false},
            {join, true},       {fetch_all, true},     {load, true},           {commit, true},
            {fetch_all, true},  {look_at_run, false},  {look_at_tasks, false}, {look_at_all, false},
            {await, true},      {purge, true},         {hand_over, true},      {leave, true}};

int
explain_drive(struct store *s, bool *hot, struct err *err)
{
    struct drive *d = mem_zalloc(sizeof(*d));
    int           rc = HF_OK;

    if (d == NULL)
        return err_nomem(err);
    d->s = s;
    d->err = err;
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]) && rc == HF_OK; i++) {
        *hot = acts[i].hot;
        rc = acts[i].run(d);
    }
    arena_release(&d->a);
    mem_free(d);
    return rc;
}
