/*
 * Queues: on SQLite each is one partition, made by the first that stores something for it, and
 * never renamed or removed. So their names are read once and kept with the connection.
 */
#include "store/sqlite.h"

#include <string.h>

#include "base/mem.h"

enum { PARTITIONS_MAX = 32767 };

static int
keep(struct sqlite *s, int32_t partition, const char *name, struct err *err)
{
    struct queue_names *k = &s->queues;
    if (k->n == k->size) {
        size_t             size = k->size ? k->size * 2 : 8;
        struct queue_name *rows = mem_realloc(k->rows, size * sizeof(*rows));
        if (rows == NULL)
            return err_nomem(err);
        k->rows = rows;
        k->size = size;
    }
    char *copy = mem_strdup(name);
    if (copy == NULL)
        return err_nomem(err);
    k->rows[k->n++] = (struct queue_name){partition, copy};
    if (!s->in_txn)
        k->n_committed = k->n;
    return HF_OK;
}

int
queue_find(struct sqlite *s, const char *queue, int32_t *out, struct err *err)
{
    struct queue_names *k = &s->queues;
    if (queue == NULL)
        queue = "default";
    if (k->last < k->n && strcmp(k->rows[k->last].name, queue) == 0) {
        *out = k->rows[k->last].partition;
        return HF_OK;
    }
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->rows[i].name, queue) == 0) {
            k->last = i;
            *out = k->rows[i].partition;
            return HF_OK;
        }
    }
    sqlite3_stmt *q = sql_get(s, SQL_partition_of, err);
    int64_t       id = 0;
    if (q == NULL)
        return err->code;
    bind_text(q, 1, queue);
    TRY(sql_int(s, q, 0, &id, err));
    *out = (int32_t)id;
    return id ? keep(s, (int32_t)id, queue, err) : HF_OK;
}

int
queue_need(struct sqlite *s, const char *queue, int32_t *out, struct err *err)
{
    TRY(queue_find(s, queue, out, err));
    if (*out)
        return HF_OK;
    int64_t count = 0, id = 0;
    TRY(sql_get_int(s, SQL_partition_count, &count, err));
    if (count >= PARTITIONS_MAX)
        return err_set(err, HF_REFUSED, "queue %s: a store has at most %d queues", queue,
                       PARTITIONS_MAX);
    sqlite3_stmt *q = sql_get(s, SQL_add_partition, err);
    if (q == NULL)
        return err->code;
    bind_text(q, 1, queue);
    TRY(sql_int(s, q, 0, &id, err));
    *out = (int32_t)id;
    s->wrote_rows = true;
    return keep(s, (int32_t)id, queue, err);
}

const char *
queue_name(struct sqlite *s, int32_t partition)
{
    struct queue_names *k = &s->queues;
    if (k->last < k->n && k->rows[k->last].partition == partition)
        return k->rows[k->last].name;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < k->n; i++) {
            if (k->rows[i].partition == partition) {
                k->last = i;
                return k->rows[i].name;
            }
        }
        struct err    ignored = {0};
        sqlite3_stmt *q = sql_get(s, SQL_partition_list, &ignored);
        if (q == NULL)
            return NULL;
        while (sqlite3_step(q) == SQLITE_ROW)
            if (sqlite3_column_int(q, 0) == partition &&
                keep(s, partition, (const char *)sqlite3_column_text(q, 1), &ignored) != HF_OK)
                break;
        sqlite3_reset(q);
    }
    return NULL;
}

void
queues_settle(struct sqlite *s, bool committed)
{
    struct queue_names *k = &s->queues;
    while (!committed && k->n > k->n_committed)
        mem_free(k->rows[--k->n].name);
    k->n_committed = k->n;
}

void
queues_release(struct sqlite *s)
{
    queues_settle(s, true);
    for (size_t i = 0; i < s->queues.n; i++)
        mem_free(s->queues.rows[i].name);
    mem_free(s->queues.rows);
    s->queues = (struct queue_names){0};
}
