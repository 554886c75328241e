/*
 * Workers and what they own. Only the row of a partition says who owns it, and only updates of that
 * row change it; a worker's own row is its lease, which says when a takeover is tried, never
 * whether a write is good.
 */
#include <string.h>
#include <unistd.h>

#include "store/postgres_cycle.h"

enum { RESTAMP_ROWS = 10000 };

/* A statement alone, that commits by itself; its one number in *out. */
static int
run_alone(struct postgres *s, enum pg_sql id, struct pg_args *a, int64_t *out, struct err *err)
{
    pg_send(s, id, a);
    pg_sync_write(s);
    return pg_one_int(s, 0, out, err);
}

/* ---- joining and acquiring */

static int
join(struct postgres *s, const struct worker_self *self, int64_t *worker, struct err *err)
{
    char            host[256] = "";
    struct pg_args *a = pg_args(s);

    gethostname(host, sizeof(host) - 1);
    pg_put_text(a, self->name);
    pg_put_text(a, host);
    pg_put_int8(a, getpid());
    pg_put_text(a, self->queues);
    pg_put_text(a, self->handlers ? self->handlers : "");
    pg_put_int4(a, self->slots);
    pg_put_int8(a, self->lease_us);
    pg_now(s, a);
    return run_alone(s, PG_owner_join, a, worker, err);
}

/* Rows from another server are given transaction ids of this one, before anything is read. */
static int
restamp(struct postgres *s, int64_t worker, const struct partition_row *rows, size_t n,
        struct err *err)
{
    int64_t found = 1;
    while (found > 0 && n > 0) {
        struct pg_args *a = pg_args(s);
        pg_put_int8(a, worker);
        int id = pg_array(a, PG_INT2);
        for (size_t i = 0; i < n; i++)
            pg_add_int2(a, id, rows[i].id);
        pg_put_int4(a, RESTAMP_ROWS);
        TRY(run_alone(s, PG_owner_restamp, a, &found, err));
    }
    return HF_OK;
}

static int
list(struct postgres *s, int64_t worker, struct arena *arena, struct partition_row **out, size_t *n,
     struct err *err)
{
    bool            failed = false;
    struct pg_args *a = pg_args(s);

    pg_put_int8(a, worker);
    pg_send(s, PG_owner_partitions, a);
    pg_sync(s);
    TRY(pg_result(s, err));
    int                   count = pg_rows(s);
    struct partition_row *rows = arena_zalloc(arena, ((size_t)count + 1) * sizeof(*rows));
    for (int i = 0; rows && i < count; i++)
        rows[i] = (struct partition_row){.id = (int32_t)pg_get_int(s, i, 0),
                                         .queue = pg_get_text(s, i, 1, arena, &failed),
                                         .crashes = (int)pg_get_int(s, i, 2),
                                         .crashed_us = pg_get_int(s, i, 3)};
    TRY(pg_synced(s, err));
    if (rows == NULL || failed)
        return err_nomem(err);
    *out = rows;
    *n = (size_t)count;
    return HF_OK;
}

int
postgres_acquire(struct store *base, const struct worker_self *self, int64_t *worker,
                 struct arena *a, struct partition_row **out, size_t *n, struct err *err)
{
    struct postgres      *s = postgres_of(base);
    int64_t               none, id = *worker;
    struct partition_row *rows = NULL;
    size_t                count = 0;
    bool                  joined = id == 0;

    TRY(pg_ready(s, err));
    if (joined)
        TRY(join(s, self, &id, err));
    TRY(pg_serve(s, id, s->listens, err));
    struct pg_args *args = pg_args(s);
    pg_put_int8(args, id);
    TRY(run_alone(s, PG_owner_take_free, args, &none, err));
    TRY(list(s, id, a, &rows, &count, err));
    TRY(restamp(s, id, rows, count, err));
    if (joined) {
        pg_hint_workers(s);
        pg_push(s);
    }
    *worker = id;
    *out = rows;
    *n = count;
    return HF_OK;
}

/* ---- the lease */

static int
gone(struct postgres *s, int64_t worker, struct err *err)
{
    return err_set(err, HF_STALE, "%s: worker %lld is not there any more", s->target.where,
                   (long long)worker);
}

static int
read_census(struct postgres *s, int64_t worker, struct arena *a, struct census *out,
            struct err *err)
{
    bool failed = false;
    TRY(pg_result(s, err));
    int n = pg_rows(s);
    *out = (struct census){.workers = arena_zalloc(a, ((size_t)n + 1) * sizeof(*out->workers))};
    if (out->workers == NULL)
        return err_nomem(err);
    for (int i = 0; i < n; i++) {
        out->now_us = pg_get_int(s, i, 0);
        out->unowned = (uint32_t)pg_get_int(s, i, 1);
        out->workers[out->n_workers++] =
            (struct worker_row){.id = pg_get_int(s, i, 2),
                                .name = pg_get_text(s, i, 3, a, &failed),
                                .host = pg_get_text(s, i, 4, a, &failed),
                                .pid = pg_get_int(s, i, 5),
                                .queues = pg_get_text(s, i, 6, a, &failed),
                                .handlers = pg_get_text(s, i, 7, a, &failed),
                                .since_us = pg_get_int(s, i, 8),
                                .live = pg_get_int(s, i, 13) >= out->now_us,
                                .slots = (int)pg_get_int(s, i, 9),
                                .slots_free = (int)pg_get_int(s, i, 10),
                                .partitions = (int)pg_get_int(s, i, 11),
                                .lease_us = pg_get_int(s, i, 12),
                                .expires_us = pg_get_int(s, i, 13)};
    }
    if (failed)
        return err_nomem(err);
    return n > 0 ? HF_OK : gone(s, worker, err);
}

int
postgres_renew(struct store *base, int64_t worker, int slots_free, const char *stats,
               struct arena *a, struct census *out, struct err *err)
{
    struct postgres *s = postgres_of(base);
    int64_t          id = 0;

    if (out)
        *out = (struct census){0};
    TRY(pg_ready(s, err));
    TRY(pg_serve(s, worker, s->listens, err));
    struct pg_args *args = pg_args(s);
    pg_put_int8(args, worker);
    pg_put_int4(args, slots_free);
    pg_now(s, args);
    pg_put_text(args, stats);
    if (out == NULL) {
        TRY(run_alone(s, PG_owner_renew, args, &id, err));
        return id == worker ? HF_OK : gone(s, worker, err);
    }
    pg_send(s, PG_owner_census, args);
    pg_sync(s);
    struct err own = {0};
    int        rc = read_census(s, worker, a, out, &own), end = pg_synced(s, err);
    if (rc == HF_OK || end != HF_OK)
        return end;
    if (err)
        *err = own;
    return rc;
}

/* ---- taking over and leaving */

static int
take_over(struct postgres *s, int64_t worker, int64_t dead, int64_t *taken, struct err *err)
{
    struct pg_args *a = pg_args(s);
    pg_put_int8(a, worker);
    pg_put_int8(a, dead);
    pg_now(s, a);
    return run_alone(s, PG_owner_takeover, a, taken, err);
}

/* The dead one may hold its partitions by half a batch that it has sent: its connections end. */
static int
end_backends(struct postgres *s, int64_t dead, struct err *err)
{
    struct pg_args *a = pg_args(s);
    char            name[CHANNEL_SIZE];
    pg_worker_name(s, dead, name);
    pg_put_text(a, name);
    pg_send(s, PG_owner_end_backends, a);
    pg_sync(s);
    return pg_synced(s, err);
}

int
postgres_takeover(struct store *base, int64_t worker, int64_t dead, struct err *err)
{
    struct postgres *s = postgres_of(base);
    int64_t          taken = 0;
    struct err       own = {0};

    TRY(pg_ready(s, err));
    TRY(pg_serve(s, worker, s->listens, err));
    int rc = take_over(s, worker, dead, &taken, &own);
    if (rc == HF_UNAVAILABLE && pg_try_again(s)) {
        TRY(end_backends(s, dead, err));
        rc = take_over(s, worker, dead, &taken, &own);
    }
    if (rc != HF_OK) {
        if (err)
            *err = own;
        return rc;
    }
    if (!taken)
        return err_set(err, HF_NOT_FOUND, "worker %lld lives, or is gone already", (long long)dead);
    pg_hint_workers(s);
    pg_push(s);
    return HF_OK;
}

int
postgres_leave(struct store *base, int64_t worker, struct err *err)
{
    struct postgres *s = postgres_of(base);
    int64_t          left = 0;

    TRY(pg_ready(s, err));
    struct pg_args *a = pg_args(s);
    pg_put_int8(a, worker);
    TRY(run_alone(s, PG_owner_leave, a, &left, err));
    if (!left)
        return gone(s, worker, err);
    pg_hint_workers(s);
    pg_push(s);
    return HF_OK;
}
