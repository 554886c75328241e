/* The store suite: queues for people, and the deletion of runs that have ended. */
#include "store_suite.h"

static struct queue_row
queue_counted(const char *name, int count_max)
{
    struct queue_row *rows;
    size_t            n;

    OK(w.client->ops->queues(w.client, count_max, &w.arena, &rows, &n, &w.err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i];
    test_fail(__FILE__, __LINE__, "there is no queue %s", name);
}

static struct queue_row
queue_of(const char *name)
{
    return queue_counted(name, QUEUE_COUNT_MAX);
}

static size_t
purge(struct purge what)
{
    size_t n = 99;
    OK(w.client->ops->purge(w.client, &what, &n, &w.err));
    return n;
}

/* Any status, of any queue. */
static struct purge
ended_before(int64_t us)
{
    return (struct purge){.ended_before = us, .status = -1, .limit = 100};
}

static int
get_run(const char *id)
{
    struct run_row r;
    return w.client->ops->run_get(w.client, id, &w.arena, &r, &w.err);
}

static size_t
count_history(int64_t no)
{
    struct history_row *rows;
    size_t              n;
    OK(w.client->ops->history(w.client, no, 1, &w.arena, &rows, &n, &w.err));
    return n;
}

static size_t
count_inbox(int64_t no)
{
    struct inbox_row *rows;
    size_t            n;
    OK(w.client->ops->inbox_list(w.client, no, &w.arena, &rows, &n, &w.err));
    return n;
}

TEST(the_default_queue_is_there_from_the_beginning)
{
    open_store();
    struct queue_row q = queue_of("default");
    CHECK(q.partitions >= 1);
    CHECK_INT(q.unowned, q.partitions);
    CHECK(!q.by_sql);
    CHECK(!q.backlog_more);
    CHECK_INT(q.tasks, 0);
    CHECK_INT(q.delayed, 0);
    CHECK_INT(q.runs, 0);
    CHECK_INT(q.oldest_us, 0);
    CHECK_INT(q.retain_us, 0);
    CHECK_INT(q.crashes, 0);
}

TEST(a_queue_says_whether_its_partitions_have_an_owner)
{
    owned();
    struct queue_row q = queue_of("default");
    CHECK_INT(q.unowned, 0);
    CHECK_INT(q.crashes, 0);
    start_on("a", "q", STREAM_NORMAL);
    CHECK(queue_of("q").partitions >= 1);
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    q = queue_of("default");
    CHECK_INT(q.unowned, q.partitions);
}

TEST(a_queue_counts_what_waits_and_since_when)
{
    open_store();
    start_on("r", "q", STREAM_NORMAL);
    start_on("other", "p", STREAM_NORMAL);
    at(SECONDS(1));
    enqueue("a", "q", STREAM_NORMAL, 0);
    at(SECONDS(2));
    enqueue("b", "q", STREAM_URGENT, 0);
    enqueue("c", "q", STREAM_NORMAL, SECONDS(5));
    enqueue("d", "p", STREAM_NORMAL, 0);
    struct queue_row q = queue_of("q");
    CHECK_INT(q.tasks, 2);
    CHECK_INT(q.delayed, 1);
    CHECK_INT(q.runs, 1);
    CHECK_INT(q.oldest_us, SECONDS(1));
    at(SECONDS(5));
    q = queue_of("q");
    CHECK_INT(q.tasks, 3);
    CHECK_INT(q.delayed, 0);
    CHECK_INT(q.oldest_us, SECONDS(1));
}

/* Workers ask once a minute how long runs are kept: what waits is not read for that. */
TEST(a_queue_is_listed_without_counting)
{
    owned();
    start("r");
    enqueue("a", "default", STREAM_NORMAL, 0);
    OK(w.client->ops->retain(w.client, "default", US_PER_S, &w.err));
    struct queue_row q = queue_counted("default", 0);
    CHECK_INT(q.tasks + q.delayed + q.runs, 0);
    CHECK(q.backlog_more);
    CHECK_INT(q.oldest_us, 0);
    CHECK_INT(q.unowned, 0);
    CHECK_INT(q.retain_us, US_PER_S);
    q = queue_counted("default", 1);
    CHECK_INT(q.tasks, 1);
    CHECK_INT(q.runs, 1);
    CHECK(q.backlog_more); /* there may be more: it did not look */
}

TEST(a_run_that_only_waits_has_no_work_to_do)
{
    owned();
    start("a");
    struct run_row r = run("a");
    r.status = RUN_WAITING;
    r.wake_us = SECONDS(9);
    OK(save_run(&r));
    CHECK_INT(queue_of("default").runs, 0);
    at(SECONDS(9));
    CHECK_INT(queue_of("default").runs, 1);
}

TEST(the_retention_of_a_queue_is_kept)
{
    open_store();
    start_on("r", "q", STREAM_NORMAL);
    OK(w.client->ops->retain(w.client, "q", 7 * US_PER_S, &w.err));
    CHECK_INT(queue_of("q").retain_us, 7 * US_PER_S);
    CHECK_INT(queue_of("default").retain_us, 0);
    OK(w.client->ops->retain(w.client, "q", 0, &w.err));
    CHECK_INT(queue_of("q").retain_us, 0);
    GIVES(HF_NOT_FOUND, w.client->ops->retain(w.client, "none", 1, &w.err));
}

TEST(a_purge_deletes_an_ended_run_with_its_history_and_messages)
{
    owned();
    int64_t no = start("a");
    signal_run("a", "s");
    struct write write = history_write(0, no, 1, 1, "[]");
    OK(commit(&write, 1));
    OK(end_run("a", RUN_COMPLETED));
    CHECK_INT(purge(ended_before(SECONDS(1))), 1);
    CHECK_INT(get_run("a"), HF_NOT_FOUND);
    CHECK_INT(count_history(no), 0);
    CHECK_INT(count_inbox(no), 0);
    CHECK_INT(purge(ended_before(SECONDS(1))), 0);
}

/* A purge that took a live run would lose work that somebody was promised. */
TEST(a_purge_never_deletes_a_live_run)
{
    static const int live[] = {RUN_RUNNING, RUN_WAITING, RUN_PAUSED, RUN_BLOCKED};
    owned();
    for (size_t i = 0; i < COUNT(live); i++) {
        const char *id = arena_printf(&w.arena, "r%zu", i);
        start(id);
        struct run_row r = run(id);
        r.status = live[i];
        OK(save_run(&r));
    }
    CHECK_INT(purge(ended_before(NEVER_US)), 0);
    for (size_t i = 0; i < COUNT(live); i++) {
        struct purge what = ended_before(NEVER_US);
        what.status = live[i];
        CHECK_INT(purge(what), 0);
        CHECK_INT(get_run(arena_printf(&w.arena, "r%zu", i)), HF_OK);
    }
}

TEST(a_purge_takes_those_that_ended_before_a_time)
{
    owned();
    start("a");
    start("b");
    at(SECONDS(10));
    OK(end_run("a", RUN_COMPLETED));
    at(SECONDS(20));
    OK(end_run("b", RUN_COMPLETED));
    CHECK_INT(purge(ended_before(SECONDS(10))), 0);
    CHECK_INT(purge(ended_before(SECONDS(10) + 1)), 1);
    CHECK_INT(get_run("a"), HF_NOT_FOUND);
    CHECK_INT(get_run("b"), HF_OK);
}

TEST(a_purge_chooses_by_status_and_queue)
{
    owned();
    start("done");
    start("failed");
    OK(end_run("done", RUN_COMPLETED));
    OK(end_run("failed", RUN_FAILED));
    struct purge what = ended_before(SECONDS(1));
    what.queue = "none";
    CHECK_INT(purge(what), 0);
    what.queue = "default";
    what.status = RUN_CANCELLED;
    CHECK_INT(purge(what), 0);
    what.status = RUN_FAILED;
    CHECK_INT(purge(what), 1);
    CHECK_INT(get_run("failed"), HF_NOT_FOUND);
    CHECK_INT(get_run("done"), HF_OK);
}

TEST(a_purge_stops_at_its_limit_and_goes_on)
{
    struct purge what = ended_before(SECONDS(1));
    owned();
    for (int i = 0; i < 5; i++) {
        const char *id = arena_printf(&w.arena, "r%d", i);
        start(id);
        OK(end_run(id, RUN_COMPLETED));
    }
    what.limit = 2;
    CHECK_INT(purge(what), 2);
    CHECK_INT(purge(what), 2);
    CHECK_INT(purge(what), 1);
    CHECK_INT(purge(what), 0);
    what.limit = 0;
    CHECK_INT(purge(what), 0);
}

TEST(a_purge_that_only_counts_deletes_nothing)
{
    struct purge what = ended_before(SECONDS(1));
    owned();
    start("a");
    start("b");
    OK(end_run("a", RUN_COMPLETED));
    OK(end_run("b", RUN_COMPLETED));
    what.count_only = true;
    CHECK_INT(purge(what), 2);
    what.limit = 1;
    CHECK_INT(purge(what), 1);
    CHECK_INT(get_run("a"), HF_OK);
    CHECK_INT(get_run("b"), HF_OK);
}

/* The start that replaces an ended run has been promised to somebody. */
TEST(a_run_that_is_about_to_begin_anew_is_not_purged)
{
    struct submit again = {.kind = SUBMIT_START,
                           .id = "a",
                           .name = "wf",
                           .if_exists = HF_IF_EXISTS_REPLACE,
                           .token = "2"};
    owned();
    start("a");
    OK(end_run("a", RUN_COMPLETED));
    OK(submit(&again, 1));
    CHECK_INT(purge(ended_before(SECONDS(1))), 0);
    CHECK_INT(get_run("a"), HF_OK);
}

TEST(a_run_whose_task_is_still_there_is_not_purged)
{
    owned();
    int64_t         no = start("a");
    struct task_row called = {
        .name = "t", .run_no = no, .execution = 1, .ref = "0.1", .created_us = w.now_us};
    OK(commit(&(struct write){.kind = WRITE_TASK_NEW, .task = &called}, 1));
    OK(end_run("a", RUN_CANCELLED));
    CHECK_INT(purge(ended_before(SECONDS(1))), 0);
    OK(commit(&(struct write){.kind = WRITE_TASK_DELETE, .task = &called}, 1));
    CHECK_INT(purge(ended_before(SECONDS(1))), 1);
}

TEST(an_id_may_be_used_again_after_a_purge)
{
    owned();
    start("a");
    OK(end_run("a", RUN_COMPLETED));
    CHECK_INT(purge(ended_before(SECONDS(1))), 1);
    start("a");
    CHECK_INT(run("a").status, RUN_RUNNING);
    fetch();
    CHECK_TEXT(fetched_runs(), "a");
}
