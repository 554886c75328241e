/* Workers, queues and what is left to do: for people, and for drain. */
#include "store/postgres_read.h"

#include <string.h>

enum { COUNT_MAX = 100000 };

static void
worker_of(struct postgres *s, int row, struct arena *a, struct worker_row *out, bool *failed)
{
    *out = (struct worker_row){
        .id = pg_get_int(s, row, 0),
        .name = pg_get_text(s, row, 1, a, failed),
        .host = pg_get_text(s, row, 2, a, failed),
        .pid = pg_get_int(s, row, 3),
        .queues = pg_get_text(s, row, 4, a, failed),
        .handlers = pg_get_text(s, row, 5, a, failed),
        .since_us = pg_get_int(s, row, 6),
        .live = pg_get_int(s, row, 7) != 0,
        .slots = (int)pg_get_int(s, row, 8),
        .slots_free = (int)pg_get_int(s, row, 9),
        .partitions = (int)pg_get_int(s, row, 10),
        .lease_us = pg_get_int(s, row, 11),
        .expires_us = pg_get_int(s, row, 12),
        .stats = pg_get_text(s, row, 13, a, failed),
    };
}

static void
queue_of(struct postgres *s, int row, struct arena *a, struct queue_row *out, bool *failed)
{
    *out = (struct queue_row){
        .name = pg_get_text(s, row, 0, a, failed),
        .partitions = (int)pg_get_int(s, row, 1),
        .unowned = (int)pg_get_int(s, row, 2),
        .by_sql = pg_get_int(s, row, 3) != 0,
        .backlog_more = pg_get_int(s, row, 4) != 0,
        .tasks = pg_get_int(s, row, 5),
        .delayed = pg_get_int(s, row, 6),
        .runs = pg_get_int(s, row, 7),
        .oldest_us = pg_get_int(s, row, 8),
        .retain_us = pg_get_int(s, row, 9),
        .crashes = (int)pg_get_int(s, row, 10),
    };
}

int
postgres_workers(struct store *base, struct arena *a, struct worker_row **out, size_t *n,
                 struct err *err)
{
    struct postgres   *s = postgres_of(base);
    struct worker_row *rows = NULL;
    bool               failed = false;
    int                count = 0;

    *out = NULL;
    *n = 0;
    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_now(s, args);
    pg_send_read(s, PG_worker_list, args);
    if (pg_result(s, err) == HF_OK) {
        count = pg_rows(s);
        rows = arena_zalloc(a, ((size_t)count + 1) * sizeof(*rows));
        for (int i = 0; rows && i < count; i++)
            worker_of(s, i, a, &rows[i], &failed);
        failed |= rows == NULL;
    }
    TRY(pg_synced(s, err));
    if (failed)
        return err_nomem(err);
    *out = rows;
    *n = (size_t)count;
    return HF_OK;
}

int
postgres_queues(struct store *base, int count_max, struct arena *a, struct queue_row **out,
                size_t *n, struct err *err)
{
    struct postgres  *s = postgres_of(base);
    struct queue_row *rows = NULL;
    bool              failed = false;
    int               count = 0;

    *out = NULL;
    *n = 0;
    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    pg_now(s, args);
    pg_put_int8(args, count_max);
    pg_send_read(s, PG_queue_list, args);
    if (pg_result(s, err) == HF_OK) {
        count = pg_rows(s);
        rows = arena_zalloc(a, ((size_t)count + 1) * sizeof(*rows));
        for (int i = 0; rows && i < count; i++)
            queue_of(s, i, a, &rows[i], &failed);
        failed |= rows == NULL;
    }
    TRY(pg_synced(s, err));
    if (failed)
        return err_nomem(err);
    *out = rows;
    *n = (size_t)count;
    return HF_OK;
}

/* "a,b c" as the next parameter, a text[]; NULL: null. */
static void
add_names(struct pg_args *args, const char *queues)
{
    if (queues == NULL) {
        pg_put_null(args);
        return;
    }
    int names = pg_array(args, PG_TEXT);
    for (const char *p = queues + strspn(queues, " ,"); *p; p += strspn(p, " ,")) {
        size_t len = strcspn(p, " ,");
        pg_add_text_n(args, names, p, len);
        p += len;
    }
}

static int64_t
counted(struct postgres *s, int col)
{
    int64_t n = pg_get_int(s, 0, col);
    return n < COUNT_MAX ? n : COUNT_MAX;
}

int
postgres_pending(struct store *base, const char *queues, int64_t due_until_us, struct pending *out,
                 struct err *err)
{
    struct postgres *s = postgres_of(base);
    struct pending   p = {0};

    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    add_names(args, queues);
    pg_put_int8(args, due_until_us);
    pg_put_int8(args, COUNT_MAX);
    pg_send_read(s, PG_pending, args);
    if (pg_result(s, err) == HF_OK)
        p = (struct pending){
            .tasks = counted(s, 0),
            .running = counted(s, 1),
            .due = counted(s, 2),
            .waiting = counted(s, 3),
            .paused = counted(s, 4),
            .blocked = counted(s, 5),
            .inbox = counted(s, 6),
            .dead = counted(s, 7),
        };
    TRY(pg_synced(s, err));
    *out = p;
    return HF_OK;
}
