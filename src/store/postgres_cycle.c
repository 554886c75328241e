/*
 * The cycle: one pipeline, so one roundtrip. [begin, fence, writes, commit, Sync] [who waits for
 * the runs that it ended, Sync] [begin, reads of one snapshot, commit, Sync]. Hints to other owners
 * follow when the results have told which partitions got rows; nobody waits for these.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "store/postgres_cycle.h"

enum { TRIES = 5, PAUSE_US = 2000, FETCHES = 4 };
/* Load is so many rows read in such a time. The owner's own idea of how long it is busy must not
 * end before the server's: it counts from the answer, and a little longer. */
enum { LOAD_ROWS = 1000, LOAD_US = 250000 };
enum { BUSY_EVERY_US = 1000000, BUSY_FOR_US = 1500000, BUSY_LONGER_US = 50000 };

struct cycle {
    struct postgres  *s;
    struct batch     *batch;
    struct arena     *a;
    struct pg_writing writing;
    struct pg_fetch   fetch;
    bool              writes, told, failed; /* failed: the fetch alone */
    bool              busy;                 /* the batch says so */
};

static struct pg_cursors *
cursors_of(struct postgres *s, struct err *err)
{
    if (s->cursors == NULL && (s->cursors = mem_zalloc(sizeof(*s->cursors))) == NULL)
        err_nomem(err);
    return s->cursors;
}

/*
 * Under load the owner says, at most once a second, that it looks by itself: hints cost their
 * senders a commit each. Load is many writes, a tenth of a millisecond each or less, in commits
 * that follow each other. A client that starts one run after the other is none: it would wait for
 * the next look each time.
 */
static void
say_busy(struct cycle *c)
{
    struct pg_cursors *all = c->fetch.all;
    int64_t            now_us = clock_steady_us();

    c->busy = all->loaded && now_us - all->busy_at_us >= BUSY_EVERY_US;
    if (!c->busy)
        return;
    all->busy_at_us = now_us;
    struct pg_args *a = pg_args(c->s);
    pg_put_int8(a, c->batch->worker);
    int id = pg_array(a, PG_INT2);
    for (size_t i = 0; i < c->fetch.n_cursors; i++)
        pg_add_int2(a, id, c->fetch.cursors[i].partition);
    pg_put_int8(a, BUSY_FOR_US);
    pg_send(c->s, PG_fetch_busy, a);
}

/* Counts what comes, to tell load from a run now and then, which is served sooner by a hint. */
static void
count_load(struct postgres *s, struct pg_cursors *all, const struct rows *rows)
{
    int64_t now_us = clock_steady_us();
    size_t  n = rows->n_runs + rows->n_tasks + rows->n_inbox;

    all->load_rows += n;
    if (n > 0)
        s->nap_us = 0;
    if (now_us - all->load_us < LOAD_US)
        return;
    all->loaded = all->load_rows >= LOAD_ROWS && now_us - all->load_us < 2 * LOAD_US;
    all->load_rows = 0;
    all->load_us = now_us;
}

static void
send_batch(struct cycle *c)
{
    pg_begin(c->s);
    pg_write_send(&c->writing);
    say_busy(c);
    pg_commit(c->s);
    c->told = pg_write_tell(&c->writing);
}

static int
batch_results(struct cycle *c, struct err *err)
{
    struct err first = {0};
    int        rc = pg_write_results(&c->writing, &first), end = pg_synced(c->s, err);
    if (rc == HF_OK || end != HF_OK)
        return end;
    *err = first;
    return rc;
}

static bool
makes_rows(const struct pg_writing *t)
{
    return t->count[WRITE_START] || t->count[WRITE_TASK_NEW] || t->count[WRITE_INBOX];
}

static void
due_at(struct cycle *c, int64_t no, int64_t us)
{
    struct pg_cursor *cursor = map_get(&c->fetch.all->of, row_partition(no));
    if (cursor && us < cursor->next_due_us)
        cursor->next_due_us = us;
}

/* What the batch has put off may come before all that the last read has seen; a partition that
 * rests is not read meanwhile. */
static void
note_due(struct cycle *c)
{
    for (size_t i = 0; i < c->batch->n_writes; i++) {
        const struct write *w = &c->batch->writes[i];
        bool                run = w->kind == WRITE_RUN || w->kind == WRITE_RESTART;
        bool                task = w->kind == WRITE_TASK || w->kind == WRITE_TASK_NEW;
        if (run && !run_has_ended(w->run->status))
            due_at(c, w->run->no, w->run->wake_us);
        else if (task && w->task->run_at_us)
            due_at(c, w->task->no, w->task->run_at_us);
    }
}

static int
fetch_again(struct cycle *c, bool *again, struct err *err)
{
    c->fetch.with_commit = false;
    TRY(pg_fetch_begin(&c->fetch, false, err));
    pg_fetch_send(&c->fetch);
    return pg_fetch_results(&c->fetch, again, err);
}

static int
begin(struct cycle *c, struct err *err)
{
    int32_t *ids = arena_alloc(c->a, (c->fetch.n_cursors + 1) * sizeof(*ids));

    if (ids == NULL)
        return err_nomem(err);
    TRY(pg_ready(c->s, err));
    if (c->batch->worker)
        TRY(pg_serve(c->s, c->batch->worker, true, err));
    for (size_t i = 0; i < c->fetch.n_cursors; i++)
        ids[i] = c->fetch.cursors[i].partition;
    TRY(pg_queues_read(c->s, ids, c->fetch.n_cursors, err));
    if (c->writes)
        TRY(pg_write_begin(&c->writing, c->s, c->batch, 0, UINT32_MAX, c->a, err));
    c->fetch.with_commit = c->writes;
    return pg_fetch_begin(&c->fetch,
                          c->writes && (c->fetch.n_cursors == 0 || makes_rows(&c->writing)), err);
}

/* Once: what the store cannot do now, the caller tries again. */
static int
attempt(struct cycle *c, struct err *err)
{
    bool again = false;
    int  rc;

    c->told = c->failed = c->busy = false;
    TRY(begin(c, err));
    bool apart = c->writes && c->s->pooled; /* see pg_one_section */
    if (c->writes)
        send_batch(c);
    if (!apart)
        pg_fetch_send(&c->fetch);
    if (c->writes && (rc = batch_results(c, err)) != HF_OK) {
        pg_rollback(c->s);
        return rc;
    }
    if (c->writes)
        note_due(c);
    if (c->busy)
        c->s->busy_until_us = clock_steady_us() + BUSY_FOR_US + BUSY_LONGER_US;
    if (c->told)
        pg_synced(c->s, NULL);
    if (apart)
        pg_fetch_send(&c->fetch);
    rc = pg_fetch_results(&c->fetch, &again, err);
    for (int i = 0; rc == HF_OK && again && i < FETCHES; i++)
        rc = fetch_again(c, &again, err);
    c->failed = rc != HF_OK || again;
    if (c->writes)
        pg_write_hint(&c->writing, c->fetch.cursors, c->fetch.n_cursors);
    return c->writes ? HF_OK : rc;
}

static void
pause_before(int try)
{
    int64_t us = (int64_t)PAUSE_US << try;
    us += rand() % us;
    nanosleep(&(struct timespec){us / US_PER_S, us % US_PER_S * 1000}, NULL);
}

int
postgres_cycle(struct store *base, struct batch *batch, struct cursor *cursors, size_t n_cursors,
               const struct room *room, struct arena *a, struct rows *out, struct err *err)
{
    struct postgres *s = postgres_of(base);
    struct err       own = {0};
    struct cycle     c = {.s = s,
                          .batch = batch,
                          .a = a,
                          .writes = batch->n_writes > 0,
                          .fetch = {.s = s,
                                    .all = cursors_of(s, err),
                                    .worker = batch->worker,
                                    .cursors = cursors,
                                    .n_cursors = n_cursors,
                                    .room = room,
                                    .a = a,
                                    .out = out}};
    int              rc = HF_NOMEM;

    *out = (struct rows){.next_due_us = NEVER_US};
    if (c.fetch.all == NULL)
        return rc;
    for (int try = 0; try < TRIES; try++) {
        rc = attempt(&c, &own);
        if (rc != HF_UNAVAILABLE || !pg_try_again(s))
            break;
        pause_before(try);
    }
    if (rc == HF_REFUSED && strstr(own.text, "history_key"))
        rc = own.code = HF_STALE;
    if (rc == HF_REFUSED)
        rc = pg_find_refused(s, batch, a, &own);
    if (rc == HF_OK)
        count_load(s, c.fetch.all, out);
    if (rc == HF_OK && c.failed)
        *out = (struct rows){.next_due_us = NEVER_US,
                             .now_us = out->now_us,
                             .partitions = c.fetch.all->changes,
                             .more = true};
    if (rc != HF_OK && err)
        *err = own;
    return rc;
}
