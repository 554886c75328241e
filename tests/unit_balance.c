/* Which partitions go to whom: a pure function of what a worker knows. */
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "worker/balance.h"

enum { WORKERS = 4, PARTS = 16 };

/* Worker i has the number i + 1. Worker 1 is asked, unless a test says otherwise. */
static struct worker_row   workers[WORKERS];
static struct balance_part parts[PARTS];
static struct move         moves[PARTS];
static struct census       census;
static struct balance      b;
static char                text[400];

static void
begin(size_t n_workers, size_t n_parts)
{
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = (struct worker_row){.id = (int64_t)i + 1,
                                         .handlers = "task:a task:b",
                                         .slots = 4,
                                         .slots_free = 4,
                                         .expires_us = 100};
    for (size_t i = 0; i < PARTS; i++)
        parts[i] = (struct balance_part){.partition = (int32_t)i + 1, .queue = "default"};
    workers[0].partitions = (int)n_parts;
    census = (struct census){.workers = workers, .n_workers = n_workers, .now_us = 50};
    b = (struct balance){.me = 1, .census = &census, .parts = parts, .n_parts = n_parts};
}

/* "1>2 3>2": partition 1 goes to worker 2, ... */
static const char *
moved(void)
{
    size_t n = balance(&b, moves), len = 0;
    CHECK(n <= b.n_parts);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d>%lld", i ? " " : "",
                                moves[i].partition, (long long)moves[i].to);
    return text;
}

/* ---- leaving ---- */

TEST(who_leaves_gives_everything_to_those_with_least)
{
    begin(3, 4);
    workers[1].partitions = 2;
    b.leaving = true;
    CHECK_TEXT(moved(), "1>3 2>3 3>2 4>3");
}

TEST(who_leaves_gives_nothing_to_the_dead_the_leaving_or_other_queues)
{
    begin(4, 2);
    workers[1].expires_us = 50;
    workers[2].slots_free = -1;
    workers[3].queues = "other,defaults";
    b.leaving = true;
    CHECK_TEXT(moved(), "");
    workers[3].queues = "other,default";
    CHECK_TEXT(moved(), "1>4 2>4");
}

TEST(what_is_moving_is_left_alone)
{
    begin(2, 3);
    parts[1].moving = true;
    b.leaving = true;
    CHECK_TEXT(moved(), "1>2 3>2");
}

/* ---- work that we cannot do ---- */

static struct balance_stuck stuck[2];

static void
begin_stuck(const char *what)
{
    begin(2, 2);
    workers[1].partitions = 2;
    stuck[0] = (struct balance_stuck){2, what};
    b.stuck = stuck;
    b.n_stuck = 1;
}

TEST(work_without_a_handler_goes_to_one_that_has_it)
{
    begin_stuck("task:c");
    CHECK_TEXT(moved(), "");
    workers[1].handlers = "task:cc workflow:c@1";
    CHECK_TEXT(moved(), "");
    workers[1].handlers = "task:c";
    CHECK_TEXT(moved(), "2>2");
}

TEST(version_0_of_a_workflow_is_any)
{
    begin_stuck("workflow:w@0");
    workers[1].handlers = "task:w workflow:w@3";
    CHECK_TEXT(moved(), "2>2");
    CHECK(handlers_have("workflow:w@3", "workflow:w@3"));
    CHECK(!handlers_have("workflow:w@3", "workflow:w@2"));
    CHECK(!handlers_have("workflow:ww@3", "workflow:w@0"));
}

/* To an older worker that cannot do all that we can, only if we do nothing there: else the
 * partition would come back for what that one cannot do. */
TEST(busy_partitions_go_to_newer_workers_or_to_those_that_can_do_all)
{
    begin_stuck("task:c");
    b.me = 2;
    workers[0].handlers = "task:c";
    CHECK_TEXT(moved(), "2>1");
    parts[1].running = 1;
    CHECK_TEXT(moved(), "");
    workers[0].handlers = "task:a task:b task:c";
    CHECK_TEXT(moved(), "2>1");
    b.me = 1;
    workers[1].handlers = "task:c";
    CHECK_TEXT(moved(), "2>2");
}

/* ---- no slot is free ---- */

TEST(a_full_worker_gives_what_waits_to_those_with_free_slots)
{
    begin(3, 4);
    workers[1].partitions = workers[2].partitions = 4;
    workers[0].slots_free = 0;
    workers[1].slots_free = 1;
    workers[2].slots_free = 3;
    parts[0].waiting = parts[1].waiting = parts[3].waiting = 2;
    CHECK_TEXT(moved(), "");
    b.full = true;
    CHECK_TEXT(moved(), "1>2 2>3 4>3");
}

TEST(what_only_runs_stays_with_a_full_worker)
{
    begin(2, 2);
    workers[1].partitions = 2;
    parts[0].running = parts[1].running = 4;
    b.full = true;
    CHECK_TEXT(moved(), "");
}

/* ---- fair share ---- */

TEST(a_newcomer_gets_half_of_the_difference_the_idlest_first)
{
    begin(2, 4);
    parts[0].running = 1;
    parts[2].waiting = 3;
    CHECK_TEXT(moved(), "2>2 4>2");
}

TEST(a_difference_of_one_is_fair)
{
    begin(2, 4);
    workers[1].partitions = 3;
    CHECK_TEXT(moved(), "");
    workers[1].partitions = 2;
    CHECK_TEXT(moved(), "1>2");
}

TEST(who_has_no_free_slot_gets_no_share)
{
    begin(2, 4);
    workers[1].slots_free = 0;
    CHECK_TEXT(moved(), "");
}

TEST(an_older_worker_gets_a_share_if_it_can_do_all_that_we_can)
{
    begin(2, 4);
    b.me = 2;
    workers[0].partitions = 0;
    workers[1].partitions = 4;
    CHECK_TEXT(moved(), "1>1 2>1");
    workers[0].handlers = "task:a";
    CHECK_TEXT(moved(), "");
}

/* ---- several rounds ---- */

static int owner[PARTS]; /* index into workers */

static size_t
decide_for(int me)
{
    static struct balance_part mine[PARTS];
    size_t                     n = 0;

    for (int w = 0; w < WORKERS; w++)
        workers[w].partitions = 0;
    for (int p = 0; p < PARTS; p++) {
        workers[owner[p]].partitions++;
        if (owner[p] == me)
            mine[n++] = parts[p];
    }
    b = (struct balance){.me = me + 1, .census = &census, .parts = mine, .n_parts = n};
    n = balance(&b, moves);
    for (size_t i = 0; i < n; i++)
        owner[moves[i].partition - 1] = (int)moves[i].to - 1;
    return n;
}

/* Whoever begins with everything, after a few rounds all have as many, and nothing moves. */
TEST(shares_become_even_and_then_nothing_moves)
{
    for (int first = 0; first < WORKERS; first++) {
        begin(WORKERS, PARTS);
        for (int p = 0; p < PARTS; p++)
            owner[p] = first;
        for (int round = 0; round < 8; round++)
            for (int w = 0; w < WORKERS; w++)
                decide_for(w);
        size_t more = 0;
        for (int w = 0; w < WORKERS; w++) {
            more += decide_for(w);
            CHECK_INT(workers[w].partitions, PARTS / WORKERS);
        }
        CHECK_INT(more, 0);
    }
}

/* Programs of different versions: nothing goes back and forth for ever. */
TEST(workers_that_can_do_different_things_come_to_rest)
{
    static const char *const handlers[] = {"task:a task:b", "task:b", "task:b task:c",
                                           "task:a task:b task:c"};
    for (uint64_t mix = 0; mix < 256; mix++) {
        begin(WORKERS, PARTS);
        for (int w = 0; w < WORKERS; w++)
            workers[w].handlers = handlers[mix >> (2 * w) & 3];
        for (int p = 0; p < PARTS; p++)
            owner[p] = p % 3;
        size_t more = 1;
        for (int round = 0; round < 40 && more > 0; round++) {
            more = 0;
            for (int w = 0; w < WORKERS; w++)
                more += decide_for(w);
        }
        CHECK_INT(more, 0);
    }
}
