/* Names of queues by partition: a partition belongs to one queue for life, so they are read once.
 */
#include "store/postgres.h"

#include <string.h>

#include "base/mem.h"

const char *
pg_queue_name(const struct postgres *s, int32_t partition)
{
    return partition >= 0 && partition < s->queues.size ? s->queues.name[partition] : NULL;
}

static int
keep(struct queue_names *q, int32_t partition, const char *name, struct err *err)
{
    if (partition >= q->size) {
        int32_t size = (partition | 63) + 1;
        char  **more = mem_realloc(q->name, (size_t)size * sizeof(*more));
        if (more == NULL)
            return err_nomem(err);
        memset(more + q->size, 0, (size_t)(size - q->size) * sizeof(*more));
        q->name = more;
        q->size = size;
    }
    if (q->name[partition] == NULL && (q->name[partition] = mem_strdup(name)) == NULL)
        return err_nomem(err);
    return HF_OK;
}

int
pg_queues_read(struct postgres *s, const int32_t *partitions, size_t n, struct err *err)
{
    struct pg_args *a = pg_args(s);
    int             ids = pg_array(a, PG_INT2), rc;
    bool            missing = false;

    for (size_t i = 0; i < n; i++)
        if (pg_queue_name(s, partitions[i]) == NULL) {
            pg_add_int2(a, ids, partitions[i]);
            missing = true;
        }
    if (!missing)
        return HF_OK;
    pg_send(s, PG_partition_queues, a);
    pg_sync(s);
    rc = pg_result(s, err);
    for (int i = 0; rc == HF_OK && i < pg_rows(s); i++)
        rc = keep(&s->queues, (int32_t)pg_get_int(s, i, 0), pg_peek_text(s, i, 1), err);
    int end = pg_synced(s, rc == HF_OK ? err : NULL);
    return rc == HF_OK ? end : rc;
}

void
pg_queues_release(struct postgres *s)
{
    for (int32_t i = 0; i < s->queues.size; i++)
        mem_free(s->queues.name[i]);
    mem_free(s->queues.name);
    s->queues = (struct queue_names){0};
}
