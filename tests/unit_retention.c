/* The worker's deletion of ended runs, over the stores that need no server. */
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "worker/retention.h"

enum { T0 = 1000 };

static int64_t       now_us = T0 * US_PER_S;
static struct store *s;
static struct arena  arena;
static struct err    err;
static int64_t       worker;

static int
open_memory(const struct clock *clock)
{
    return memory_store_open(clock, &s, &err);
}

static int
open_file(const struct clock *clock)
{
    return sqlite_store_open("retention.db", clock, &s, &err);
}

static void
open_store(int (*open_it)(const struct clock *))
{
    struct worker_self    self = {.name = "test", .lease_us = US_PER_S};
    struct clock          clock = clock_fake(&now_us);
    struct partition_row *partitions;
    size_t                n;

    worker = 0;
    CHECK_INT(open_it(&clock), HF_OK);
    CHECK_INT(s->ops->acquire(s, &self, &worker, &arena, &partitions, &n, &err), HF_OK);
}

/* A run of the queue that has ended at the present time. */
static void
ended_run(const char *id, const char *queue)
{
    struct submit start = {
        .kind = SUBMIT_START, .id = id, .name = "wf", .queue = queue, .cls = STREAM_NORMAL};
    struct run_row        r;
    struct rows           rows;
    struct worker_self    self = {.name = "test", .lease_us = US_PER_S};
    struct partition_row *partitions;
    size_t                n;

    CHECK_INT(s->ops->submit(s, &start, 1, &n, &err), HF_OK);
    CHECK_INT(s->ops->acquire(s, &self, &worker, &arena, &partitions, &n, &err), HF_OK);
    CHECK_INT(s->ops->run_get(s, id, &arena, &r, &err), HF_OK);
    r.status = RUN_COMPLETED;
    r.ended_us = now_us;
    int32_t      partition = row_partition(r.no);
    struct write write = {.kind = WRITE_RUN, .run = &r};
    struct batch batch = {.worker = worker,
                          .partitions = &partition,
                          .n_partitions = 1,
                          .writes = &write,
                          .n_writes = 1};
    struct room  room = {.runs = 0};
    CHECK_INT(s->ops->cycle(s, &batch, NULL, 0, &room, &arena, &rows, &err), HF_OK);
}

static bool
is_there(const char *id)
{
    struct run_row r;
    return s->ops->run_get(s, id, &arena, &r, &err) == HF_OK;
}

static void
close_store(void)
{
    s->ops->close(s);
    arena_release(&arena);
}

static void
purge_by_queue(int (*open_it)(const struct clock *))
{
    struct retention r = retention_begin("a,b", 0, 0);
    open_store(open_it);
    ended_run("a1", "a");
    ended_run("b1", "b");
    ended_run("c1", "c");
    CHECK_INT(s->ops->retain(s, "a", 10 * US_PER_S, &err), HF_OK);
    CHECK_INT(s->ops->retain(s, "c", 10 * US_PER_S, &err), HF_OK);
    now_us += 10 * US_PER_S;
    CHECK_INT(retention_tick(&r, s, 0, &err), HF_OK);
    CHECK(is_there("a1")); /* not a moment too early */
    CHECK_INT(r.next_us, RETENTION_EVERY_S * US_PER_S);
    now_us += 1;
    CHECK_INT(retention_tick(&r, s, r.next_us - 1, &err), HF_OK);
    CHECK(is_there("a1")); /* it was not time to look */
    CHECK_INT(retention_tick(&r, s, r.next_us, &err), HF_OK);
    CHECK(!is_there("a1"));
    CHECK(is_there("b1")); /* is kept for ever */
    CHECK(is_there("c1")); /* is not this worker's queue */
    CHECK_INT(r.deleted, 1);
    close_store();
}

TEST(runs_are_deleted_when_their_queue_has_kept_them_long_enough)
{
    purge_by_queue(open_memory);
    purge_by_queue(open_file);
}

TEST(a_full_batch_is_followed_by_another_one_soon)
{
    struct retention r = retention_begin(NULL, 0, 0);
    char             id[20];
    open_store(open_memory);
    for (int i = 0; i <= RETENTION_BATCH; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        ended_run(id, "default");
    }
    CHECK_INT(s->ops->retain(s, "default", 1, &err), HF_OK);
    now_us += 2;
    CHECK_INT(retention_tick(&r, s, 0, &err), HF_OK);
    CHECK_INT(r.deleted, RETENTION_BATCH);
    CHECK(r.next_us > 0 && r.next_us < RETENTION_EVERY_S * US_PER_S);
    CHECK_INT(retention_tick(&r, s, r.next_us, &err), HF_OK);
    CHECK_INT(r.deleted, RETENTION_BATCH + 1);
    close_store();
}

/* Each looks at what lives, too: fifty of them do not do that fifty times a minute. */
TEST(workers_of_the_same_queues_take_turns)
{
    struct retention r = retention_begin("a", 0, 0);
    open_store(open_memory);
    CHECK_INT(retention_tick(&r, s, 0, &err), HF_OK);
    CHECK_INT(r.next_us, RETENTION_EVERY_S * US_PER_S);
    r.sharers = 50;
    CHECK_INT(retention_tick(&r, s, r.next_us, &err), HF_OK);
    CHECK_INT(r.next_us, 51 * RETENTION_EVERY_S * US_PER_S);
    close_store();
}

static enum fault
fail_purge(void *arg, const char *verb, struct batch *batch)
{
    (void)arg, (void)batch;
    return strcmp(verb, "purge") == 0 ? FAULT_BEFORE : FAULT_NONE;
}

TEST(a_store_that_is_away_is_tried_again_in_a_minute)
{
    struct retention r = retention_begin(NULL, 0, 0);
    open_store(open_memory);
    ended_run("a1", "a");
    CHECK_INT(s->ops->retain(s, "a", 1, &err), HF_OK);
    now_us += 2;
    CHECK_INT(fault_store_open(s, fail_purge, NULL, &s, &err), HF_OK);
    CHECK_INT(retention_tick(&r, s, 0, &err), HF_UNAVAILABLE);
    CHECK_INT(r.next_us, RETENTION_EVERY_S * US_PER_S);
    CHECK(is_there("a1"));
    close_store();
}

TEST(workers_begin_at_different_moments_of_the_first_minute)
{
    struct retention a = retention_begin(NULL, US_PER_S, 1), b = retention_begin(NULL, US_PER_S, 2);
    CHECK(a.next_us != b.next_us);
    CHECK(a.next_us >= US_PER_S && a.next_us < (RETENTION_EVERY_S + 1) * US_PER_S);
}
