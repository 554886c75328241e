/* The store suite: cursors. Every row is brought once, in order, whatever the room. */
#include <stdio.h>
#include <stdlib.h>

#include "store_suite.h"

TEST(a_new_owner_reads_everything_from_the_beginning)
{
    open_store();
    start("a");
    start("b");
    enqueue("x", NULL, STREAM_NORMAL, 0);
    signal_run("a", "s");
    OK(own());
    fetch();
    CHECK_LIST(fetched_runs(), "a,b");
    CHECK_TEXT(fetched_tasks(), "x");
    CHECK_TEXT(fetched_inbox(), "s");
    CHECK_INT(w.rows.n_due, 0);
    CHECK_INT(w.rows.now_us, w.now_us);
    CHECK_INT(w.rows.next_due_us, NEVER_US);
    CHECK(w.rows.partitions == 1 || subject.shared);
    CHECK(!w.rows.more);
    fetch();
    CHECK_INT(w.rows.n_runs + w.rows.n_tasks + w.rows.n_inbox, 0);
}

TEST(fetched_rows_carry_all_their_fields)
{
    struct submit items[] = {
        {.kind = SUBMIT_START,
         .id = "a",
         .name = "wf",
         .payload = "in",
         .queue = "q",
         .cls = 1,
         .version = 2,
         .token = "tok"},
        {.kind = SUBMIT_ENQUEUE,
         .id = "x",
         .name = "t",
         .payload = "p",
         .queue = "q",
         .cls = 1,
         .opts = "{}"},
        {.kind = SUBMIT_SIGNAL, .id = "a", .name = "s", .payload = "sp", .key = "k"}};
    open_store();
    OK(submit(items, COUNT(items)));
    OK(own());
    fetch();
    CHECK_INT(w.rows.n_runs, 1);
    CHECK_TEXT(w.rows.runs[0].workflow, "wf");
    CHECK_TEXT(w.rows.runs[0].input, "in");
    CHECK_TEXT(w.rows.runs[0].queue, "q");
    CHECK_TEXT(w.rows.runs[0].token, "tok");
    CHECK_INT(w.rows.runs[0].version, 2);
    CHECK_INT(w.rows.runs[0].wake_us, NEVER_US);
    CHECK_TEXT(w.rows.tasks[0].name, "t");
    CHECK_TEXT(w.rows.tasks[0].payload, "p");
    CHECK_TEXT(w.rows.tasks[0].queue, "q");
    CHECK_TEXT(w.rows.tasks[0].opts, "{}");
    CHECK_INT(w.rows.tasks[0].created_us, w.now_us);
    CHECK_TEXT(w.rows.inbox[0].payload, "sp");
    CHECK_TEXT(w.rows.inbox[0].key, "k");
    CHECK_INT(w.rows.inbox[0].run_no, w.rows.runs[0].no);
    CHECK_INT(w.rows.inbox[0].time_us, w.now_us);
}

TEST(only_runs_stored_after_the_cursor_began_are_surely_without_history)
{
    open_store();
    start("old");
    OK(own());
    fetch();
    CHECK(!w.rows.runs[0].fresh);
    start("new");
    fetch();
    CHECK_TEXT(fetched_runs(), "new");
    CHECK(w.rows.runs[0].fresh);
}

TEST_EXCLUSIVE(urgent_work_overtakes_an_unread_backlog)
{
    owned();
    enqueue("bulk", NULL, STREAM_BULK, 0);
    enqueue("normal", NULL, STREAM_NORMAL, 0);
    enqueue("normal2", NULL, STREAM_NORMAL, 0);
    w.room.tasks = 1;
    fetch();
    CHECK_TEXT(fetched_tasks(), "normal");
    CHECK(w.rows.more);
    enqueue("urgent", NULL, STREAM_URGENT, 0);
    start_on("b", NULL, STREAM_BULK);
    start_on("u", NULL, STREAM_URGENT);
    w.room.tasks = 9;
    fetch();
    CHECK_TEXT(fetched_tasks(), "urgent,normal2,bulk");
    CHECK_TEXT(fetched_runs(), "u,b");
}

TEST(signals_come_in_the_order_in_which_they_were_stored)
{
    owned();
    start("a");
    start("b");
    for (int i = 0; i < 20; i++)
        signal_run(i % 3 || subject.shared ? "a" : "b", (char[]){(char)('a' + i), 0});
    w.room.inbox = 7;
    fetch();
    CHECK_TEXT(fetched_inbox(), "a,b,c,d,e,f,g");
    CHECK(w.rows.more);
    fetch();
    CHECK_TEXT(fetched_inbox(), "h,i,j,k,l,m,n");
    fetch();
    CHECK_TEXT(fetched_inbox(), "o,p,q,r,s,t");
}

/* The point of row numbers: with any room and any interleaving nothing is missed and nothing comes
 * twice. */
TEST(no_row_is_missed_or_brought_twice_under_interleaved_submits_and_small_rooms)
{
    enum { ROWS = 600 };
    static int seen_runs[ROWS], seen_tasks[ROWS], seen_inbox[ROWS];
    unsigned   seed = 7;
    int        n = 0;
    char       id[30];
    owned();
    for (int idle = 0; idle < 3;) {
        int burst = n < ROWS ? rand_r(&seed) % 9 : 0;
        for (int i = 0; i < burst && n < ROWS; i++, n++) {
            snprintf(id, sizeof(id), "%d", n);
            int64_t late_us = rand_r(&seed) % 3 ? 0 : w.now_us + rand_r(&seed) % 50;
            start_on(id, NULL, rand_r(&seed) % 3);
            enqueue(id, NULL, rand_r(&seed) % 3, late_us);
            signal_run(id, id);
        }
        at(w.now_us + rand_r(&seed) % 20);
        w.room = (struct room){
            .runs = rand_r(&seed) % 5, .tasks = rand_r(&seed) % 5, .inbox = rand_r(&seed) % 5};
        fetch();
        for (size_t i = 0; i < w.rows.n_runs; i++)
            seen_runs[atoi(w.rows.runs[i].id)]++;
        for (size_t i = 0; i < w.rows.n_tasks; i++)
            seen_tasks[atoi(w.rows.tasks[i].id)]++;
        for (size_t i = 0; i < w.rows.n_inbox; i++)
            seen_inbox[atoi(w.rows.inbox[i].name)]++;
        CHECK(w.rows.n_runs + w.rows.n_due <= w.room.runs * w.n_cursors || w.room.runs == 0);
        CHECK(w.rows.n_tasks <= w.room.tasks * w.n_cursors);
        CHECK(w.rows.n_inbox <= w.room.inbox * w.n_cursors);
        idle = n == ROWS && !w.rows.more && w.rows.next_due_us == NEVER_US ? idle + 1 : 0;
    }
    for (int i = 0; i < ROWS; i++) {
        CHECK_INT(seen_runs[i], 1);
        CHECK_INT(seen_tasks[i], 1);
        CHECK_INT(seen_inbox[i], 1);
    }
}

TEST(a_delayed_task_comes_when_its_time_has_come_and_not_before)
{
    owned();
    enqueue("late", NULL, STREAM_NORMAL, SECONDS(10));
    enqueue("later", NULL, STREAM_URGENT, SECONDS(20));
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
    CHECK_INT(w.rows.next_due_us, SECONDS(10));
    at(SECONDS(10) - 1);
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
    at(SECONDS(10));
    fetch();
    CHECK_TEXT(fetched_tasks(), "late");
    CHECK_INT(w.rows.next_due_us, SECONDS(20));
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
    at(SECONDS(99));
    fetch();
    CHECK_TEXT(fetched_tasks(), "later");
    CHECK_INT(w.rows.next_due_us, NEVER_US);
}

TEST_EXCLUSIVE(due_tasks_come_in_order_of_time_page_by_page)
{
    owned();
    enqueue("c", NULL, STREAM_NORMAL, SECONDS(3));
    enqueue("a", NULL, STREAM_NORMAL, SECONDS(1));
    enqueue("b1", NULL, STREAM_NORMAL, SECONDS(2));
    enqueue("b2", NULL, STREAM_NORMAL, SECONDS(2));
    enqueue("b3", NULL, STREAM_NORMAL, SECONDS(2));
    at(SECONDS(5));
    w.room.tasks = 2;
    fetch();
    CHECK_TEXT(fetched_tasks(), "a,b1");
    CHECK(w.rows.more);
    enqueue("new", NULL, STREAM_NORMAL, SECONDS(9)); /* behind the page, not lost */
    fetch();
    CHECK_TEXT(fetched_tasks(), "b2,b3");
    fetch();
    CHECK_TEXT(fetched_tasks(), "c");
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
    CHECK_INT(w.rows.next_due_us, SECONDS(9));
    at(SECONDS(9));
    fetch();
    CHECK_TEXT(fetched_tasks(), "new");
}

/* The clock of another machine may be behind: its "in a second" is already past here. */
/* Also while the store has reason to leave the partition out of its reads. */
TEST(what_the_owner_puts_off_is_the_next_due_at_once)
{
    owned();
    start("x");
    fetch();
    w.room.patient = true;
    for (int i = 0; i < 5; i++)
        fetch();
    struct run_row r = run("x");
    r.status = RUN_WAITING;
    r.wake_us = SECONDS(3);
    struct write w1 = {.kind = WRITE_RUN, .run = &r};
    int32_t      p = row_partition(r.no);
    struct batch batch = {
        .worker = w.worker, .partitions = &p, .n_partitions = 1, .writes = &w1, .n_writes = 1};
    OK(w.owner->ops->cycle(w.owner, &batch, w.cursors, w.n_cursors, &w.room, &w.arena, &w.rows,
                           &w.err));
    CHECK_INT(w.rows.next_due_us, SECONDS(3));
    at(SECONDS(3));
    fetch();
    CHECK_TEXT(fetched_due(), "x");
}

TEST(a_delayed_task_stored_behind_the_time_that_was_read_comes_at_once)
{
    owned();
    at(SECONDS(50));
    fetch();
    at(SECONDS(10));
    enqueue("behind", NULL, STREAM_NORMAL, SECONDS(20));
    enqueue("ahead", NULL, STREAM_NORMAL, SECONDS(60));
    at(SECONDS(51));
    fetch();
    CHECK_TEXT(fetched_tasks(), "behind");
    CHECK_INT(w.rows.next_due_us, SECONDS(60));
    at(SECONDS(60));
    fetch();
    CHECK_TEXT(fetched_tasks(), "ahead");
}

TEST(a_new_owner_gets_delayed_tasks_when_they_are_due)
{
    open_store();
    enqueue("soon", NULL, STREAM_NORMAL, SECONDS(1));
    enqueue("late", NULL, STREAM_NORMAL, SECONDS(9));
    at(SECONDS(2));
    OK(own());
    fetch();
    CHECK_TEXT(fetched_tasks(), "soon");
    at(SECONDS(9));
    fetch();
    CHECK_TEXT(fetched_tasks(), "late");
}

/* A retry: the row stays in its stream, and its time says when it is looked at again. */
TEST(a_task_given_a_later_time_by_its_owner_is_due_then_for_a_new_owner_too)
{
    owned();
    enqueue("x", NULL, STREAM_NORMAL, 0);
    fetch();
    struct task_row t = w.rows.tasks[0];
    t.attempt = 1;
    t.run_at_us = SECONDS(5);
    t.error_name = "e";
    OK(save_task(&t));
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
    CHECK_INT(w.rows.next_due_us, SECONDS(5));
    crash();
    OK(own());
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
    CHECK_INT(w.rows.next_due_us, SECONDS(5));
    at(SECONDS(5));
    fetch();
    CHECK_TEXT(fetched_tasks(), "x");
    CHECK_INT(w.rows.tasks[0].attempt, 1);
    CHECK_TEXT(w.rows.tasks[0].error_name, "e");
    CHECK_INT(w.rows.tasks[0].run_at_us, SECONDS(5));
}

TEST(a_delayed_task_whose_time_was_taken_away_is_read_by_a_new_owner)
{
    owned();
    enqueue("x", NULL, STREAM_NORMAL, SECONDS(1));
    at(SECONDS(1));
    fetch();
    struct task_row t = w.rows.tasks[0];
    t.run_at_us = 0;
    t.claimed = true;
    OK(save_task(&t));
    crash();
    OK(own());
    fetch();
    CHECK_TEXT(fetched_tasks(), "x");
    CHECK_INT(w.rows.tasks[0].crashes, 1);
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
}

TEST(a_waiting_run_comes_when_its_timer_is_due)
{
    owned();
    start("a");
    start("b");
    fetch();
    struct run_row r = run("a"), q = run("b");
    r.status = q.status = RUN_WAITING;
    r.wake_us = SECONDS(5);
    OK(save_run(&r));
    OK(save_run(&q));
    fetch();
    CHECK_INT(w.rows.n_runs + w.rows.n_due, 0);
    CHECK_INT(w.rows.next_due_us, SECONDS(5));
    at(SECONDS(5));
    fetch();
    CHECK_TEXT(fetched_due(), "a");
    CHECK_INT(w.rows.due[0].wake_us, SECONDS(5));
    CHECK_INT(w.rows.next_due_us, NEVER_US);
    fetch();
    CHECK_INT(w.rows.n_due, 0);
}

TEST(a_timer_set_later_than_what_was_read_comes_again)
{
    owned();
    start("a");
    fetch();
    struct run_row r = w.rows.runs[0];
    r.status = RUN_WAITING;
    for (int i = 1; i <= 3; i++) {
        r.wake_us = SECONDS(i);
        OK(save_run(&r));
        at(SECONDS(i));
        fetch();
        CHECK_TEXT(fetched_due(), "a");
    }
}

TEST_EXCLUSIVE(due_runs_come_in_order_of_time_page_by_page)
{
    static const int wake[] = {3, 1, 2, 2, 2};
    owned();
    for (int i = 0; i < 5; i++)
        start((char[]){(char)('a' + i), 0});
    fetch();
    for (int i = 0; i < 5; i++) {
        w.rows.runs[i].status = RUN_WAITING;
        w.rows.runs[i].wake_us = SECONDS(wake[i]);
        OK(save_run(&w.rows.runs[i]));
    }
    at(SECONDS(3));
    w.room.runs = 2;
    fetch();
    CHECK_TEXT(fetched_due(), "b,c");
    CHECK(w.rows.more);
    fetch();
    CHECK_TEXT(fetched_due(), "d,e");
    fetch();
    CHECK_TEXT(fetched_due(), "a");
    fetch();
    CHECK_INT(w.rows.n_due, 0);
    CHECK(!w.rows.more);
}

TEST(a_new_owner_gets_runs_that_run_or_are_blocked_and_no_others)
{
    static const int status[] = {RUN_RUNNING, RUN_WAITING, RUN_PAUSED,    RUN_BLOCKED,
                                 RUN_FAILED,  RUN_BLOCKED, RUN_COMPLETED, RUN_RUNNING};
    owned();
    for (int i = 0; i < 8; i++) {
        start((char[]){(char)('a' + i), 0});
        struct run_row r = run((char[]){(char)('a' + i), 0});
        r.status = status[i];
        r.error_name = i == 5 ? "crashed" : status[i] == RUN_BLOCKED ? "mismatch" : NULL;
        OK(save_run(&r));
    }
    crash();
    OK(own());
    w.room.runs = 2;
    int seen = 0;
    do {
        fetch();
        for (size_t i = 0; i < w.rows.n_runs; i++)
            seen |= 1 << (w.rows.runs[i].id[0] - 'a');
        CHECK_INT(w.rows.n_due, 0);
    } while (w.rows.more);
    CHECK_INT(seen, 1 << 0 | 1 << 3 | 1 << 7);
}

TEST(the_owners_own_new_rows_are_brought_like_all_others)
{
    owned();
    int64_t no = start("a");
    fetch();
    struct task_row soon = {.name = "t", .id = "soon", .run_no = no, .execution = 1, .ref = "0.1"};
    struct task_row late = soon;
    late.id = "late";
    late.run_at_us = SECONDS(5);
    struct submit child = {.id = "child", .name = "wf", .cls = STREAM_NORMAL, .token = "c"};
    struct write  writes[] = {{.kind = WRITE_TASK_NEW, .task = &soon},
                              {.kind = WRITE_TASK_NEW, .task = &late},
                              {.kind = WRITE_START, .start = &child},
                              {.kind = WRITE_INBOX, .inbox = {.run_no = no, .name = "note"}}};
    OK(commit(writes, COUNT(writes)));
    fetch();
    CHECK_TEXT(fetched_tasks(), "soon");
    CHECK_INT(w.rows.tasks[0].no, soon.no);
    CHECK_TEXT(fetched_runs(), "child");
    CHECK(w.rows.runs[0].fresh);
    CHECK_TEXT(fetched_inbox(), "note");
    CHECK_INT(w.rows.next_due_us, SECONDS(5));
    at(SECONDS(5));
    fetch();
    CHECK_TEXT(fetched_tasks(), "late");
    CHECK_INT(w.rows.tasks[0].no, late.no);
}

TEST(a_queue_is_made_on_first_use_and_its_owner_sees_that_there_is_one_more)
{
    owned();
    fetch();
    uint32_t partitions = w.rows.partitions;
    CHECK(partitions == 1 || subject.shared);
    start_on("a", "q", STREAM_NORMAL);
    enqueue("x", "r", STREAM_NORMAL, 0);
    enqueue("y", "q", STREAM_NORMAL, 0);
    fetch();
    CHECK(w.rows.partitions != partitions);
    CHECK(w.rows.partitions == 3 || subject.shared);
    CHECK_INT(w.rows.n_runs + w.rows.n_tasks, 0);

    struct worker_self self = {.name = "test", .lease_us = US_PER_S};
    OK(w.owner->ops->acquire(w.owner, &self, &w.worker, &w.arena, &w.partitions, &w.n_partitions,
                             &w.err));
    CHECK(w.n_partitions == 3 || subject.shared);
    size_t n = w.n_partitions / 3;
    CHECK_INT(w.n_cursors, n);
    CHECK_TEXT(w.partitions[0].queue, "default");
    CHECK_TEXT(w.partitions[n].queue, "q");
    CHECK_TEXT(w.partitions[2 * n].queue, "r");
    for (; w.n_cursors < 3 * n; w.n_cursors++)
        w.cursors[w.n_cursors] = (struct cursor){.partition = w.partitions[w.n_cursors].id};
    fetch();
    CHECK_TEXT(fetched_runs(), "a");
    CHECK_LIST(fetched_tasks(), "y,x");
}

TEST(a_fetch_that_has_no_room_brings_nothing_and_loses_nothing)
{
    owned();
    start("a");
    enqueue("x", NULL, STREAM_NORMAL, 0);
    enqueue("d", NULL, STREAM_NORMAL, SECONDS(1));
    signal_run("a", "s");
    at(SECONDS(2));
    w.room = (struct room){0};
    fetch();
    CHECK_INT(w.rows.n_runs + w.rows.n_tasks + w.rows.n_inbox, 0);
    CHECK(w.rows.more);
    w.room = (struct room){.runs = 9, .tasks = 9, .inbox = 9};
    fetch();
    CHECK_TEXT(fetched_runs(), "a");
    CHECK_INT(w.rows.n_tasks, 2);
    CHECK_TEXT(fetched_inbox(), "s");
}
