/* Which partitions are the lane's: taken, refreshed, lost. */
#include "worker/lane.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void
mark(struct lane *l, int32_t partition, bool owned)
{
    uint64_t bit = (uint64_t)1 << (partition % 64);
    if (owned)
        l->owned[partition / 64] |= bit;
    else
        l->owned[partition / 64] &= ~bit;
}

struct part *
lane_part(const struct lane *l, int64_t no)
{
    size_t low = 0, high = l->n_parts;

    if (!lane_owns(l, no))
        return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (l->parts[middle].row.id < row_partition(no))
            low = middle + 1;
        else
            high = middle;
    }
    return &l->parts[low];
}

bool
lane_is_parting(const struct lane *l, int64_t no)
{
    struct part *part = l->n_parting ? lane_part(l, no) : NULL;
    return part && part->parting;
}

bool
lane_is_careful(const struct lane *l, int64_t no)
{
    struct part *part = l->careful ? lane_part(l, no) : NULL;
    return part && part->row.crashes > 0;
}

void
lane_reset_cursors(struct lane *l)
{
    for (size_t i = 0; i < l->n_parts; i++) {
        l->cursors[i] = (struct cursor){.partition = l->parts[i].row.id};
        l->parts[i].unread = true;
    }
    l->fetch_wanted = true;
}

bool
lane_is_unread(const struct lane *l)
{
    for (size_t i = 0; l->n_parting > 0 && i < l->n_parts; i++)
        if (l->parts[i].parting && l->parts[i].unread)
            return true;
    return false;
}

static int
by_id(const void *a, const void *b)
{
    return ((const struct partition_row *)a)->id - ((const struct partition_row *)b)->id;
}

/* Those that were owned before stay as they are. */
static int
set_parts(struct lane *l, struct partition_row *rows, size_t n, struct err *err)
{
    struct cursor *cursors = mem_zalloc((n + 1) * sizeof(*cursors));
    struct part   *parts = mem_zalloc((n + 1) * sizeof(*parts));
    int32_t       *touched = mem_alloc((n + l->n_touched + 1) * sizeof(*touched));

    if (cursors == NULL || parts == NULL || touched == NULL) {
        mem_free(cursors);
        mem_free(parts);
        mem_free(touched);
        return err_nomem(err);
    }
    if (n > 0)
        qsort(rows, n, sizeof(*rows), by_id);
    if (l->n_touched > 0) /* a batch may be waiting to be stored */
        memcpy(touched, l->touched, l->n_touched * sizeof(*touched));
    l->careful = false;
    l->n_parting = 0;
    for (size_t i = 0, k = 0; i < n; i++) {
        while (k < l->n_parts && l->parts[k].row.id < rows[i].id)
            k++;
        bool had = k < l->n_parts && l->parts[k].row.id == rows[i].id;
        cursors[i] = had ? l->cursors[k] : (struct cursor){.partition = rows[i].id};
        parts[i] = had ? l->parts[k]
                       : (struct part){.since_us = clock_steady_us(),
                                       .tally = tally_queue(&l->tally, rows[i].queue)};
        parts[i].row = rows[i];
        l->n_parting += parts[i].parting;
        l->careful = l->careful || rows[i].crashes > 0;
    }
    mem_free(l->cursors);
    mem_free(l->parts);
    mem_free(l->touched);
    l->cursors = cursors;
    l->parts = parts;
    l->touched = touched;
    l->n_parts = n;
    memset(l->owned, 0, sizeof(l->owned));
    for (size_t i = 0; i < n; i++)
        mark(l, parts[i].row.id, true);
    return HF_OK;
}

int
lane_acquire(struct lane *l, const char *handlers, struct err *err)
{
    struct worker_self    self = {.queues = l->opt.queues,
                                  .handlers = handlers,
                                  .lease_us = l->opt.lease_us,
                                  .slots = l->opt.slots};
    struct arena          a = {0};
    struct partition_row *rows = NULL;
    size_t                n = 0;
    uint32_t              now = l->partitions_now;
    int rc = l->store->ops->acquire(l->store, &self, &l->worker, &a, &rows, &n, err);

    l->handlers = handlers;
    if (rc == HF_UNKNOWN) /* what it has taken, the next one says too */
        rc = err->code = HF_UNAVAILABLE;
    if (rc == HF_OK)
        rc = set_parts(l, rows, n, err);
    if (rc) {
        arena_release(&a);
        return rc;
    }
    arena_release(&l->partition_arena);
    l->partition_arena = a;
    l->partitions_seen = l->opt.queues || l->store->shared ? now : (uint32_t)n;
    l->fetch_wanted = true;
    l->own_again = false;
    for (size_t i = 0; i < n; i++)
        if (rows[i].crashes > 0)
            log_event(l->log, LOG_WARNING, "careful", "queue=%s crashes=%d", rows[i].queue,
                      rows[i].crashes);
    return HF_OK;
}

int
lane_rejoin(struct lane *l, const char *handlers, struct err *err)
{
    lane_drop_all(l, true);
    lane_disown_jobs(l);
    l->n_parts = l->n_parting = l->n_stuck = l->n_read_inbox = 0;
    memset(l->owned, 0, sizeof(l->owned));
    l->worker = 0;
    return lane_acquire(l, handlers, err);
}

void
lane_lose_part(struct lane *l, int32_t partition)
{
    for (size_t i = 0; i < l->n_parts; i++) {
        if (l->parts[i].row.id != partition)
            continue;
        l->n_parting -= l->parts[i].parting;
        size_t after = l->n_parts - i - 1;
        memmove(&l->parts[i], &l->parts[i + 1], after * sizeof(*l->parts));
        memmove(&l->cursors[i], &l->cursors[i + 1], after * sizeof(*l->cursors));
        l->n_parts--;
        mark(l, partition, false);
        break;
    }
    size_t kept = 0;
    for (size_t i = 0; i < l->n_stuck; i++)
        if (l->stuck[i].partition != partition)
            l->stuck[kept++] = l->stuck[i];
    l->n_stuck = kept;
}

/* ---- the fence ---- */

/* The row that a write changes; 0: it only inserts. */
int64_t
write_row(const struct write *w)
{
    switch ((enum write_kind)w->kind) {
    case WRITE_HISTORY:
    case WRITE_PRUNE:
        return w->history.run_no;
    case WRITE_RUN:
    case WRITE_RESTART:
        return w->run->no;
    case WRITE_TASK:
    case WRITE_TASK_DELETE:
    case WRITE_DEAD:
        return w->task->no;
    case WRITE_INBOX_DELETE:
        return w->inbox.no;
    case WRITE_CALM:
    case WRITE_HAND_OVER:
        return row_no(w->partition, 0, 0);
    case WRITE_TASK_NEW: /* beside its run, which only the owner may do */
        return w->task->queue ? 0 : w->task->run_no;
    case WRITE_START:
    case WRITE_INBOX:
        return 0;
    }
    return 0;
}

int
lane_touch(struct lane *l, struct err *err)
{
    uint64_t touched[PARTITION_WORDS] = {0};

    l->n_touched = 0;
    for (size_t i = 0; i < l->n_writes; i++) {
        int64_t no = write_row(&l->writes[i]);
        int32_t p = row_partition(no);
        if (no == 0)
            continue;
        if (!lane_owns(l, no))
            return err_set(err, HF_INTERNAL, "a write of kind %u in partition %d of another",
                           l->writes[i].kind, p);
        touched[p / 64] |= (uint64_t)1 << (p % 64);
    }
    for (size_t i = 0; i < l->n_parts; i++) {
        int32_t p = l->parts[i].row.id;
        if (touched[p / 64] >> (p % 64) & 1)
            l->touched[l->n_touched++] = p;
    }
    return HF_OK;
}
