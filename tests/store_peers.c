/* What tests of several owners share. */
#include "store_suite.h"

int
peer_acquire(struct peer *p)
{
    struct worker_self self = {.name = "peer",
                               .queues = p->queues,
                               .handlers = "task:t",
                               .lease_us = LEASE_US,
                               .slots = 4};
    struct cursor      old[PARTITIONS_MAX];
    size_t             n_old = p->n_cursors;

    memcpy(old, p->cursors, sizeof(old));
    TRY(p->store->ops->acquire(p->store, &self, &p->worker, &w.arena, &p->partitions,
                               &p->n_partitions, &w.err));
    CHECK(p->n_partitions <= COUNT(p->cursors));
    p->n_cursors = p->n_partitions;
    for (size_t i = 0; i < p->n_partitions; i++) {
        p->cursors[i] = (struct cursor){.partition = p->partitions[i].id};
        for (size_t k = 0; k < n_old; k++)
            if (old[k].partition == p->partitions[i].id)
                p->cursors[i] = old[k];
    }
    return HF_OK;
}

void
peer_join(struct peer *p, const char *queues)
{
    *p = (struct peer){.queues = queues, .room = {.runs = 100, .tasks = 100, .inbox = 100}};
    OK(w.client->ops->clone(w.client, &p->store, &w.err));
    OK(peer_acquire(p));
}

bool
peer_owns(const struct peer *p, int32_t partition)
{
    for (size_t i = 0; i < p->n_partitions; i++)
        if (p->partitions[i].id == partition)
            return true;
    return false;
}

int
peer_write(struct peer *p, int32_t partition, struct write *writes, size_t n)
{
    struct batch batch = {.worker = p->worker,
                          .partitions = &partition,
                          .n_partitions = partition != 0,
                          .writes = writes,
                          .n_writes = n};
    struct rows  rows;
    return p->store->ops->cycle(p->store, &batch, NULL, 0, &p->room, &w.arena, &rows, &w.err);
}

void
peer_fetch(struct peer *p)
{
    struct batch batch = {.worker = p->worker};
    OK(p->store->ops->cycle(p->store, &batch, p->cursors, p->n_cursors, &p->room, &w.arena,
                            &p->rows, &w.err));
}

int
peer_renew(struct peer *p, int slots_free, struct census *out)
{
    return p->store->ops->renew(p->store, p->worker, slots_free, NULL, &w.arena, out, &w.err);
}

int
peer_takeover(struct peer *p, int64_t dead)
{
    return p->store->ops->takeover(p->store, p->worker, dead, &w.err);
}

int
peer_leave(struct peer *p)
{
    return p->store->ops->leave(p->store, p->worker, &w.err);
}

int
peer_hand_over(struct peer *p, int32_t partition, int64_t to)
{
    struct write write = {.kind = WRITE_HAND_OVER, .partition = partition, .to = to};
    return peer_write(p, partition, &write, 1);
}

/* A partition that was handed over is no more its own, so its cursor is forgotten. */
void
give_all(struct peer *from, struct peer *to, const char *queue)
{
    for (size_t i = 0; i < from->n_partitions; i++)
        if (queue == NULL || strcmp(from->partitions[i].queue, queue) == 0)
            OK(peer_hand_over(from, from->partitions[i].id, to->worker));
    OK(peer_acquire(from));
    OK(peer_acquire(to));
}

int
claim_task(struct peer *p, const char *id)
{
    struct task_row t = task(id);
    t.claimed = true;
    return peer_write(p, row_partition(t.no), &(struct write){.kind = WRITE_TASK, .task = &t}, 1);
}

int
claim_run(struct peer *p, const char *id)
{
    struct run_row r = run(id);
    r.claimed = true;
    return peer_write(p, row_partition(r.no), &(struct write){.kind = WRITE_RUN, .run = &r}, 1);
}

int32_t
partition_of(const char *run_id)
{
    return row_partition(run(run_id).no);
}
