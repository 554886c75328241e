/* What the tests of the store suite share. */
#include <stdlib.h>

#include "store_suite.h"

struct world w;

void
at(int64_t us)
{
    __atomic_store_n(&w.now_us, us, __ATOMIC_RELEASE);
}

void
open_store(void)
{
    struct clock clock = clock_fake(&w.now_us);

    at(SECONDS(0));
    w.room = (struct room){.runs = 100, .tasks = 100, .inbox = 100};
    OK(subject.open(&clock, &w.client, &w.err));
}

static int
acquire(void)
{
    struct worker_self self = {.name = "test", .handlers = "task:t", .lease_us = 10 * US_PER_S};

    return w.owner->ops->acquire(w.owner, &self, &w.worker, &w.arena, &w.partitions,
                                 &w.n_partitions, &w.err);
}

/* The lease of a dead worker must be over first; then the clock goes back, for the tests' sake. */
static int
take_over(void)
{
    int64_t now_us = w.now_us;

    at(now_us + 60 * US_PER_S);
    int rc = w.owner->ops->takeover(w.owner, w.worker, w.dead, &w.err);
    at(now_us);
    w.dead = 0;
    if (rc && rc != HF_NOT_FOUND)
        return rc;
    return acquire();
}

int
own(void)
{
    if (w.owner == NULL)
        OK(w.client->ops->clone(w.client, &w.owner, &w.err));
    w.worker = 0;
    TRY(acquire());
    if (w.dead)
        TRY(take_over());
    w.n_cursors = w.n_partitions;
    CHECK(w.n_cursors <= COUNT(w.cursors));
    for (size_t i = 0; i < w.n_cursors; i++)
        w.cursors[i] = (struct cursor){.partition = w.partitions[i].id};
    return HF_OK;
}

void
owned(void)
{
    open_store();
    OK(own());
}

void
crash(void)
{
    w.owner->ops->close(w.owner);
    w.owner = NULL;
    w.dead = subject.shared ? w.worker : 0;
}

int
submit(struct submit *items, size_t n)
{
    w.bad = SIZE_MAX;
    return w.client->ops->submit(w.client, items, n, &w.bad, &w.err);
}

int64_t
start_on(const char *id, const char *queue, int cls)
{
    struct submit item = {.kind = SUBMIT_START,
                          .id = id,
                          .name = "wf",
                          .payload = "1",
                          .queue = queue,
                          .cls = cls,
                          .token = id};
    OK(submit(&item, 1));
    return item.no;
}

int64_t
start(const char *id)
{
    return start_on(id, NULL, STREAM_NORMAL);
}

int64_t
enqueue(const char *id, const char *queue, int cls, int64_t run_at_us)
{
    struct submit item = {.kind = SUBMIT_ENQUEUE,
                          .id = id,
                          .name = "t",
                          .payload = "2",
                          .queue = queue,
                          .cls = cls,
                          .run_at_us = run_at_us};
    OK(submit(&item, 1));
    return item.no;
}

int64_t
signal_run(const char *id, const char *name)
{
    struct submit item = {.kind = SUBMIT_SIGNAL, .id = id, .name = name, .payload = "3"};
    OK(submit(&item, 1));
    return item.no;
}

struct run_row
run(const char *id)
{
    struct run_row r;
    OK(w.client->ops->run_get(w.client, id, &w.arena, &r, &w.err));
    return r;
}

struct task_row
task(const char *id)
{
    struct task_row t;
    OK(w.client->ops->task_get(w.client, id, &w.arena, &t, &w.err));
    return t;
}

/* On a shared store the partitions of a new queue must be acquired before they are written in. */
int
commit(struct write *writes, size_t n)
{
    if (subject.shared && acquire() != HF_OK)
        w.err = (struct err){0}; /* the commit will say so too */

    struct batch batch = {.worker = w.worker, .writes = writes, .n_writes = n};
    struct rows  rows;
    int32_t      ids[COUNT(w.cursors)];

    CHECK(w.n_partitions <= COUNT(ids));
    for (size_t i = 0; i < w.n_partitions; i++)
        ids[i] = w.partitions[i].id;
    batch.partitions = ids;
    batch.n_partitions = w.n_partitions;
    int rc =
        w.owner->ops->cycle(w.owner, &batch, NULL, 0, &(struct room){0}, &w.arena, &rows, &w.err);
    w.refused = batch.refused;
    return rc;
}

void
fetch(void)
{
    struct batch batch = {.worker = w.worker};
    OK(w.owner->ops->cycle(w.owner, &batch, w.cursors, w.n_cursors, &w.room, &w.arena, &w.rows,
                           &w.err));
}

int
save_run(struct run_row *r)
{
    return commit(&(struct write){.kind = WRITE_RUN, .run = r}, 1);
}

int
save_task(struct task_row *t)
{
    return commit(&(struct write){.kind = WRITE_TASK, .task = t}, 1);
}

int
end_run(const char *id, int status)
{
    struct run_row r = run(id);
    r.status = status;
    r.ended_us = w.now_us;
    r.output = "4";
    return save_run(&r);
}

struct write
history_write(uint32_t unit, int64_t run_no, int execution, int seq, const char *text)
{
    return (struct write){.kind = WRITE_HISTORY,
                          .unit = unit,
                          .history = {run_no, execution, seq, text, strlen(text)}};
}

#define LIST(rows, n, text)                                                                        \
    char *list = arena_strdup(&w.arena, "");                                                       \
    for (size_t i = 0; i < (n); i++)                                                               \
        list = arena_printf(&w.arena, "%s%s%s", list, i ? "," : "", text);                         \
    return list

const char *
listed_runs(const struct rows *rows)
{
    LIST(rows->runs, rows->n_runs, rows->runs[i].id);
}

const char *
listed_due(const struct rows *rows)
{
    LIST(rows->due, rows->n_due, rows->due[i].id);
}

const char *
listed_tasks(const struct rows *rows)
{
    LIST(rows->tasks, rows->n_tasks, rows->tasks[i].id ? rows->tasks[i].id : "?");
}

const char *
listed_inbox(const struct rows *rows)
{
    LIST(rows->inbox, rows->n_inbox, rows->inbox[i].name ? rows->inbox[i].name : "?");
}

const char *
fetched_runs(void)
{
    return listed_runs(&w.rows);
}

const char *
fetched_due(void)
{
    return listed_due(&w.rows);
}

const char *
fetched_tasks(void)
{
    return listed_tasks(&w.rows);
}

const char *
fetched_inbox(void)
{
    return listed_inbox(&w.rows);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *
any_order(const char *list)
{
    char  *words[200], *text = arena_strdup(&w.arena, list), *rest;
    size_t n = 0;

    if (!subject.shared || *list == '\0')
        return list;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        CHECK(n < COUNT(words));
        words[n++] = word;
    }
    qsort(words, n, sizeof(*words), by_text);
    char *sorted = words[0];
    for (size_t i = 1; i < n; i++)
        sorted = arena_printf(&w.arena, "%s,%s", sorted, words[i]);
    return sorted;
}
