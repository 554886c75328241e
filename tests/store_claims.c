/* The store suite, shared stores: tasks that another worker executes, and what workers tell each
 * other by the inbox. */
#include "store_suite.h"

static struct peer a, b;

/* Two workers; a has everything that is there. */
static void
two_peers(void)
{
    open_store();
    peer_join(&a, NULL);
    peer_join(&b, NULL);
}

/* a executes task "t" of a partition that b owns. */
static void
claimed_from_afar(void)
{
    two_peers();
    enqueue("t", NULL, STREAM_NORMAL, 0);
    OK(claim_task(&a, "t"));
    give_all(&a, &b, NULL);
    peer_fetch(&b);
}

static int
save(struct peer *p, struct task_row *t)
{
    return peer_write(p, row_partition(t->no), &(struct write){.kind = WRITE_TASK, .task = t}, 1);
}

static void
expire(struct peer *but)
{
    at(w.now_us + LEASE_US + 1);
    OK(peer_renew(but, 0, NULL));
}

/* ---- who holds a task */

TEST_SHARED(a_claimed_task_says_which_worker_holds_it)
{
    two_peers();
    enqueue("t", NULL, STREAM_NORMAL, 0);
    CHECK_INT(task("t").holder, 0);
    OK(claim_task(&a, "t"));
    CHECK(task("t").claimed);
    CHECK_INT(task("t").holder, a.worker);
    struct task_row t = task("t");
    t.claimed = false;
    OK(save(&a, &t));
    CHECK(!task("t").claimed);
    CHECK_INT(task("t").holder, 0);
    start("x");
    struct run_row  r = run("x");
    struct task_row fresh = {.name = "t", .id = "f", .run_no = r.no, .ref = "0.1", .claimed = true};
    OK(peer_write(&a, row_partition(r.no), &(struct write){.kind = WRITE_TASK_NEW, .task = &fresh},
                  1));
    CHECK_INT(task("f").holder, a.worker);
    CHECK_INT(row_partition(task("f").no), row_partition(r.no));
}

TEST_SHARED(a_task_that_one_holds_oneself_is_brought_at_the_first_read)
{
    two_peers();
    enqueue("t", NULL, STREAM_NORMAL, 0);
    OK(claim_task(&a, "t"));
    peer_fetch(&a);
    CHECK_TEXT(listed_tasks(&a.rows), "t");
    CHECK_INT(a.rows.tasks[0].holder, a.worker);
    peer_fetch(&a);
    CHECK_INT(a.rows.n_tasks, 0);
}

TEST_SHARED(a_task_that_another_worker_holds_is_not_brought)
{
    claimed_from_afar();
    CHECK_INT(b.rows.n_tasks, 0);
    CHECK_INT(task("t").holder, a.worker);
    enqueue("u", NULL, STREAM_NORMAL, 0);
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "u");
}

TEST_SHARED(it_is_brought_when_its_holder_leaves)
{
    claimed_from_afar();
    OK(peer_leave(&a));
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    CHECK(b.rows.tasks[0].claimed && b.rows.tasks[0].holder == 0);
    CHECK_INT(b.rows.tasks[0].crashes, 0);
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
}

TEST_SHARED(it_is_brought_when_its_holder_is_taken_over_and_the_crash_is_counted)
{
    claimed_from_afar();
    expire(&b);
    OK(peer_takeover(&b, a.worker));
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    CHECK(!b.rows.tasks[0].claimed);
    CHECK_INT(b.rows.tasks[0].holder, 0);
    CHECK_INT(b.rows.tasks[0].crashes, 1);
    OK(peer_acquire(&b)); /* the dead one had none of these */
    CHECK_INT(b.partitions[0].crashes, 0);
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
}

TEST_SHARED(it_is_brought_again_each_time_that_it_is_released)
{
    static struct peer c;
    claimed_from_afar();
    expire(&b);
    OK(peer_takeover(&b, a.worker));
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    OK(claim_task(&b, "t"));
    peer_join(&c, NULL);
    give_all(&b, &c, NULL);
    peer_fetch(&c);
    CHECK_INT(c.rows.n_tasks, 0);
    expire(&c);
    OK(peer_takeover(&c, b.worker));
    peer_fetch(&c);
    CHECK_TEXT(listed_tasks(&c.rows), "t");
    CHECK_INT(c.rows.tasks[0].crashes, 2);
    peer_fetch(&c);
    CHECK_INT(c.rows.n_tasks, 0);
}

TEST_SHARED(released_before_its_partition_is_read_it_is_brought_once)
{
    two_peers();
    enqueue("t", NULL, STREAM_NORMAL, 0);
    enqueue("u", NULL, STREAM_NORMAL, 0);
    OK(claim_task(&a, "t"));
    give_all(&a, &b, NULL);
    OK(peer_leave(&a));
    b.room.tasks = 1;
    int n = 0;
    do {
        peer_fetch(&b);
        n += (int)b.rows.n_tasks;
    } while (b.rows.more);
    CHECK_INT(n, 2);
}

TEST_SHARED(a_released_task_is_not_lost_for_want_of_room)
{
    claimed_from_afar();
    OK(peer_leave(&a));
    b.room.tasks = 0;
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
    CHECK(b.rows.more);
    b.room.tasks = 1;
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    CHECK(!b.rows.more);
}

/* Made with a time to come; claimed once that had come. */
TEST_SHARED(a_delayed_task_that_is_released_is_brought)
{
    two_peers();
    enqueue("t", NULL, STREAM_NORMAL, SECONDS(1));
    at(SECONDS(1));
    peer_fetch(&a);
    CHECK_TEXT(listed_tasks(&a.rows), "t");
    OK(claim_task(&a, "t"));
    give_all(&a, &b, NULL);
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
    at(SECONDS(2));
    peer_fetch(&b);
    OK(peer_leave(&a));
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
}

/* A retry was claimed: what it waited for is over. */
TEST_SHARED(a_retry_that_is_released_is_brought)
{
    two_peers();
    enqueue("t", NULL, STREAM_NORMAL, 0);
    struct task_row t = task("t");
    t.run_at_us = SECONDS(1);
    t.attempt = 1;
    t.claimed = true;
    at(SECONDS(3));
    OK(save(&a, &t));
    give_all(&a, &b, NULL);
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
    OK(peer_leave(&a));
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    CHECK_INT(b.rows.tasks[0].attempt, 1);
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
}

TEST_SHARED(its_owner_may_put_off_a_task_that_another_worker_had_held)
{
    claimed_from_afar();
    struct task_row t = task("t");
    t.claimed = false;
    t.attempt = 1;
    t.run_at_us = SECONDS(5);
    OK(save(&b, &t));
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
    CHECK_INT(b.rows.next_due_us, SECONDS(5));
    at(SECONDS(5));
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
    OK(peer_leave(&a)); /* nothing of it is left to release */
    peer_fetch(&b);
    CHECK_INT(b.rows.n_tasks, 0);
}

TEST_SHARED(the_owner_of_a_task_is_woken_when_it_is_released)
{
    enum { LONG_US = 2000000 };
    claimed_from_afar();
    for (int i = 0; i < 3; i++) {
        OK(b.store->ops->wait(b.store, -1, clock_steady_us() + 20000, &w.err));
        peer_fetch(&b);
    }
    OK(peer_leave(&a));
    int64_t began_us = clock_steady_us();
    OK(b.store->ops->wait(b.store, -1, began_us + LONG_US, &w.err));
    CHECK(clock_steady_us() - began_us < LONG_US / 2);
    peer_fetch(&b);
    CHECK_TEXT(listed_tasks(&b.rows), "t");
}

TEST_SHARED(a_claim_whose_holder_has_left_goes_with_the_partition_and_nobody_is_blamed_twice)
{
    static struct peer c;
    claimed_from_afar();
    OK(peer_leave(&a));
    peer_fetch(&b);
    peer_join(&c, NULL);
    expire(&c);
    OK(peer_takeover(&c, b.worker));
    OK(peer_acquire(&c));
    peer_fetch(&c);
    CHECK_TEXT(listed_tasks(&c.rows), "t");
    CHECK_INT(c.rows.tasks[0].crashes, 0); /* b did not hold it */
    CHECK_INT(c.rows.tasks[0].holder, 0);
    peer_fetch(&c);
    CHECK_INT(c.rows.n_tasks, 0);
}

/* ---- what workers tell each other */

TEST_SHARED(how_an_attempt_has_ended_is_told_to_the_owner_of_the_task)
{
    claimed_from_afar();
    int64_t      no = task("t").no;
    struct write write = {.kind = WRITE_INBOX,
                          .inbox = {.task_no = no,
                                    .kind = INBOX_FINISHED,
                                    .payload = "why",
                                    .key = "bad",
                                    .aux = 1,
                                    .code = HF_FAILED,
                                    .attempt = 3,
                                    .sender = a.worker}};
    at(SECONDS(4));
    OK(peer_write(&a, 0, &write, 1));
    peer_fetch(&b);
    CHECK_INT(b.rows.n_inbox, 1);
    struct inbox_row *row = b.rows.inbox;
    CHECK_INT(row->run_no, 0);
    CHECK_INT(row->task_no, no);
    CHECK_INT(row_partition(row->no), row_partition(no));
    CHECK_INT(row->kind, INBOX_FINISHED);
    CHECK_TEXT(row->payload, "why");
    CHECK_TEXT(row->key, "bad");
    CHECK_INT(row->aux, 1);
    CHECK_INT(row->code, HF_FAILED);
    CHECK_INT(row->attempt, 3);
    CHECK_INT(row->sender, a.worker);
    CHECK_INT(row->time_us, SECONDS(4));
    OK(peer_write(&b, row_partition(no),
                  &(struct write){.kind = WRITE_INBOX_DELETE, .inbox = {.no = row->no}}, 1));
    b.n_cursors = 0;
    OK(peer_acquire(&b));
    peer_fetch(&b);
    CHECK_INT(b.rows.n_inbox, 0);
}

TEST_SHARED(what_is_for_a_task_is_stored_even_if_the_task_is_gone)
{
    claimed_from_afar();
    struct task_row t = task("t");
    OK(peer_write(&b, row_partition(t.no), &(struct write){.kind = WRITE_TASK_DELETE, .task = &t},
                  1));
    OK(peer_write(&a, 0,
                  &(struct write){.kind = WRITE_INBOX,
                                  .inbox = {.task_no = t.no, .kind = INBOX_STOP, .name = "stop"}},
                  1));
    peer_fetch(&b);
    CHECK_TEXT(listed_inbox(&b.rows), "stop");
    CHECK_INT(b.rows.inbox[0].task_no, t.no);
}

TEST_SHARED(a_result_goes_to_the_run_unless_it_has_ended)
{
    struct inbox_row *rows;
    size_t            n;
    claimed_from_afar();
    start("x");
    struct run_row  r = run("x");
    struct task_row t = task("t");
    struct write    write = {.kind = WRITE_INBOX,
                             .inbox = {.run_no = r.no,
                                       .task_no = t.no,
                                       .kind = INBOX_RESULT,
                                       .name = "0.1",
                                       .payload = "out",
                                       .aux = 2,
                                       .attempt = 1}};
    OK(peer_write(&b, 0, &write, 1));
    peer_fetch(&b);
    CHECK_TEXT(listed_inbox(&b.rows), "0.1");
    CHECK_INT(b.rows.inbox[0].run_no, r.no);
    CHECK_INT(b.rows.inbox[0].task_no, t.no);
    CHECK_INT(b.rows.inbox[0].aux, 2);
    CHECK_INT(b.rows.inbox[0].attempt, 1);
    CHECK_INT(row_partition(b.rows.inbox[0].no), row_partition(r.no));
    r.status = RUN_COMPLETED;
    r.ended_us = w.now_us;
    OK(peer_write(&b, row_partition(r.no), &(struct write){.kind = WRITE_RUN, .run = &r}, 1));
    OK(peer_write(&b, 0, &write, 1));
    OK(w.client->ops->inbox_list(w.client, r.no, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 1);
}

/* ---- order within a partition */

/* Called tasks live in the partition of their run. */
static void
call(const struct run_row *r, const char *id, int64_t run_at_us)
{
    struct task_row t = {
        .id = id, .name = "t", .run_no = r->no, .ref = "0.1", .run_at_us = run_at_us};
    OK(peer_write(&a, row_partition(r->no), &(struct write){.kind = WRITE_TASK_NEW, .task = &t},
                  1));
}

TEST_SHARED(due_tasks_of_a_partition_come_in_order_of_time_page_by_page)
{
    two_peers();
    start("x");
    struct run_row r = run("x");
    call(&r, "c", SECONDS(3));
    call(&r, "a", SECONDS(1));
    call(&r, "b1", SECONDS(2));
    call(&r, "b2", SECONDS(2));
    call(&r, "b3", SECONDS(2));
    at(SECONDS(5));
    a.room.tasks = 2;
    peer_fetch(&a);
    CHECK_TEXT(listed_tasks(&a.rows), "a,b1");
    CHECK(a.rows.more);
    call(&r, "new", SECONDS(9));
    peer_fetch(&a);
    CHECK_TEXT(listed_tasks(&a.rows), "b2,b3");
    peer_fetch(&a);
    CHECK_TEXT(listed_tasks(&a.rows), "c");
    peer_fetch(&a);
    CHECK_INT(a.rows.n_tasks, 0);
    CHECK_INT(a.rows.next_due_us, SECONDS(9));
}

TEST_SHARED(urgent_work_of_a_partition_overtakes_an_unread_backlog)
{
    two_peers();
    start("x");
    start_on("u", NULL, STREAM_URGENT);
    start_on("d", NULL, STREAM_BULK);
    struct run_row        normal = run("x"), urgent = run("u"), bulk = run("d");
    const struct run_row *all[] = {&bulk, &normal, &urgent};
    for (size_t i = 0; i < COUNT(all); i++)
        for (int k = 0; k < 3; k++)
            call(all[i], arena_printf(&w.arena, "%zu%d", i, k), 0);
    peer_fetch(&a);
    CHECK_INT(a.rows.n_tasks, 9);
    for (size_t i = 1; i < 9; i++) {
        int64_t x = a.rows.tasks[i - 1].no, y = a.rows.tasks[i].no;
        CHECK(row_partition(x) != row_partition(y) || x < y);
    }
}

TEST_SHARED(tasks_of_one_class_and_partition_come_in_the_order_in_which_they_were_stored)
{
    two_peers();
    start("x");
    struct run_row r = run("x");
    const char    *ids[] = {"c", "a", "e", "b", "d"};
    for (size_t i = 0; i < COUNT(ids); i++)
        call(&r, ids[i], 0);
    a.room.tasks = 3;
    peer_fetch(&a);
    CHECK_TEXT(listed_tasks(&a.rows), "c,a,e");
    CHECK(a.rows.more);
    peer_fetch(&a);
    CHECK_TEXT(listed_tasks(&a.rows), "b,d");
}
