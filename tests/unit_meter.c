/* The meter: what goes through a store is counted, whoever sends it. */
#include <pthread.h>
#include <string.h>

#include "store/meter.h"
#include "test.h"

static struct meter meter;
static struct arena arena;
static struct err   err;

static struct store *
open_metered(void)
{
    static int64_t now_us = 5 * US_PER_S;
    struct clock   clock = clock_fake(&now_us);
    struct store  *inner, *s;
    CHECK_INT(memory_store_open(&clock, &inner, &err), HF_OK);
    CHECK_INT(meter_store_open(inner, &meter, &s, &err), HF_OK);
    return s;
}

static int
start(struct store *s, const char *id)
{
    struct submit item = {.kind = SUBMIT_START, .id = id, .name = "wf", .cls = 1};
    size_t        bad;
    return s->ops->submit(s, &item, 1, &bad, &err);
}

#define COUNT_OF(verb)  ((int64_t)meter.ops[METER_##verb].count)
#define ERRORS_OF(verb) ((int64_t)meter.ops[METER_##verb].errors)

TEST(each_call_of_a_verb_is_counted_once)
{
    struct store  *s = open_metered();
    struct pending p;
    CHECK_INT(start(s, "a"), HF_OK);
    CHECK_INT(start(s, "b"), HF_OK);
    CHECK_INT(s->ops->pending(s, NULL, 0, &p, &err), HF_OK);
    CHECK_INT(p.running, 2);
    CHECK_INT(COUNT_OF(submit), 2);
    CHECK_INT(COUNT_OF(pending), 1);
    for (int i = 0; i < METER_OPS; i++)
        if (i != METER_submit && i != METER_pending)
            CHECK_INT((int64_t)meter.ops[i].count, 0);
    s->ops->close(s);
}

/* Who looks for errors must not find questions that were answered with no. */
TEST(an_answer_is_no_error_and_a_failure_is)
{
    struct store  *s = open_metered();
    struct run_row run;
    CHECK_INT(start(s, "a"), HF_OK);
    CHECK_INT(start(s, "a"), HF_EXISTS);
    CHECK_INT(s->ops->run_get(s, "b", &arena, &run, &err), HF_NOT_FOUND);
    CHECK_INT(ERRORS_OF(submit), 0);
    CHECK_INT(ERRORS_OF(run_get), 0);
    CHECK_INT(s->ops->renew(s, 7, 0, NULL, NULL, NULL, &err), HF_STALE);
    CHECK_INT(COUNT_OF(renew), 1);
    CHECK_INT(ERRORS_OF(renew), 1);
    s->ops->close(s);
}

TEST(a_cycle_says_how_much_it_carried)
{
    struct store         *s = open_metered();
    struct worker_self    self = {.name = "w"};
    struct partition_row *partitions;
    size_t                n;
    struct cursor         cursor = {.partition = 1};
    struct room           room = {9, 9, 9, false};
    struct rows           rows;
    struct batch          batch = {0};
    CHECK_INT(start(s, "a"), HF_OK);
    CHECK_INT(start(s, "b"), HF_OK);
    CHECK_INT(s->ops->acquire(s, &self, &batch.worker, &arena, &partitions, &n, &err), HF_OK);
    CHECK_INT(s->ops->cycle(s, &batch, &cursor, 1, &room, &arena, &rows, &err), HF_OK);
    CHECK_INT(rows.n_runs, 2);
    struct write writes[] = {{.kind = WRITE_RUN, .run = &rows.runs[0]},
                             {.kind = WRITE_RUN, .unit = 1, .run = &rows.runs[1]}};
    batch.writes = writes;
    batch.n_writes = 2;
    CHECK_INT(s->ops->cycle(s, &batch, &cursor, 1, &room, &arena, &rows, &err), HF_OK);
    CHECK_INT(COUNT_OF(cycle), 2);
    CHECK_INT((int64_t)meter.fetches, 1);
    CHECK_INT((int64_t)meter.rows, 2);
    CHECK_INT((int64_t)meter.commits, 1);
    CHECK_INT((int64_t)meter.writes, 2);
    s->ops->close(s);
    arena_release(&arena);
}

TEST(the_clones_of_a_store_share_its_meter)
{
    struct store *s = open_metered(), *copy;
    CHECK_INT(s->ops->clone(s, &copy, &err), HF_OK);
    CHECK_INT(start(s, "a"), HF_OK);
    CHECK_INT(start(copy, "b"), HF_OK);
    CHECK_INT(COUNT_OF(submit), 2);
    copy->ops->close(copy);
    s->ops->close(s);
}

enum { THREADS = 4, CALLS = 20000 };

static void *
count_many(void *arg)
{
    for (int i = 0; i < CALLS; i++)
        meter_add(arg, i % 100, i % 10 == 0);
    return NULL;
}

/* The lane, the keeper and the slots add at the same time. */
TEST(nothing_is_lost_when_several_threads_count)
{
    struct meter_op *op = &meter.ops[METER_cycle];
    pthread_t        threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, count_many, op), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT((int64_t)op->count, THREADS * CALLS);
    CHECK_INT((int64_t)op->errors, THREADS * CALLS / 10);
    CHECK_INT((int64_t)op->total_us, (int64_t)THREADS * CALLS / 100 * 4950);
    CHECK_INT((int64_t)op->max_us, 99);
}

static void
check_about(int64_t is, int64_t should)
{
    if (is < should || is > should + should / 4 + 1)
        test_fail(__FILE__, __LINE__, "%lld is not about %lld", (long long)is, (long long)should);
}

TEST(percentiles_are_never_too_low_and_at_most_a_quarter_too_high)
{
    struct meter_op *op = &meter.ops[METER_cycle];
    CHECK_INT(meter_percentile(op, 50), 0);
    for (int64_t i = 1; i <= 1000; i++)
        meter_add(op, i, false);
    check_about(meter_percentile(op, 50), 500);
    check_about(meter_percentile(op, 99), 990);
    CHECK_INT(meter_percentile(op, 100), 1000);
    for (int64_t us = 1; us < 60 * US_PER_S; us = us * 5 / 4 + 1) {
        struct meter_op one = {0};
        meter_add(&one, us, false);
        meter_add(&one, us * 3, false);
        check_about(meter_percentile(&one, 50), us);
    }
}

TEST(times_that_no_bucket_is_for_are_counted_all_the_same)
{
    struct meter_op op = {0};
    meter_add(&op, -5, false); /* a clock that was set back */
    meter_add(&op, INT64_MAX / 4, false);
    CHECK_INT((int64_t)op.count, 2);
    CHECK_INT(meter_percentile(&op, 50), 0);
    CHECK(meter_percentile(&op, 99) == INT64_MAX / 4);
}
