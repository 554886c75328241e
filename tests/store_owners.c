/* The store suite: who owns, what a batch writes, and what a crash leaves. */
#include "store_suite.h"

static size_t
history_of(int64_t no, int execution, struct history_row **rows)
{
    size_t n;
    OK(w.client->ops->history(w.client, no, execution, &w.arena, rows, &n, &w.err));
    return n;
}

static size_t
inbox_of(int64_t no, struct inbox_row **rows)
{
    size_t n;
    OK(w.client->ops->inbox_list(w.client, no, &w.arena, rows, &n, &w.err));
    return n;
}

/* ---- ownership */

TEST_EXCLUSIVE(a_second_owner_is_told_who_holds_the_queues)
{
    struct store         *other;
    struct worker_self    self = {.name = "other", .lease_us = US_PER_S};
    struct partition_row *parts;
    size_t                n;
    int64_t               worker = 0;
    owned();
    OK(w.client->ops->clone(w.client, &other, &w.err));
    GIVES(HF_OWNED, other->ops->acquire(other, &self, &worker, &w.arena, &parts, &n, &w.err));
    CHECK_INT(worker, 0);
    CHECK(strlen(w.err.text) > 0);
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    OK(other->ops->acquire(other, &self, &worker, &w.arena, &parts, &n, &w.err));
    CHECK(worker > w.worker);
    other->ops->close(other);
}

TEST(an_owner_that_left_in_good_order_has_not_crashed)
{
    owned();
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    crash();
    OK(own());
    CHECK_INT(w.partitions[0].crashes, 0);
}

TEST(an_owner_that_went_without_leaving_has_crashed)
{
    owned();
    at(SECONDS(7));
    crash();
    OK(own());
    CHECK_INT(w.partitions[0].crashes, 1);
    CHECK(w.partitions[0].crashed_us == SECONDS(7) ||
          (subject.shared && w.partitions[0].crashed_us > SECONDS(7)));
    crash();
    OK(own());
    CHECK_INT(w.partitions[0].crashes, 2);
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    crash();
    OK(own());
    CHECK_INT(w.partitions[0].crashes, 2);
    OK(commit(&(struct write){.kind = WRITE_CALM, .partition = w.partitions[0].id}, 1));
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    OK(own());
    CHECK_INT(w.partitions[0].crashes, 0);
}

TEST(a_crash_is_counted_for_what_was_claimed_and_releases_it)
{
    owned();
    start("a");
    start("b");
    enqueue("x", NULL, STREAM_NORMAL, 0);
    enqueue("y", NULL, STREAM_NORMAL, 0);
    struct run_row  r = run("a");
    struct task_row t = task("x");
    r.claimed = t.claimed = true;
    OK(save_run(&r));
    OK(save_task(&t));
    CHECK(run("a").claimed && task("x").claimed);
    crash();
    OK(own());
    CHECK_INT(run("a").crashes, 1);
    CHECK_INT(task("x").crashes, 1);
    CHECK(!run("a").claimed && !task("x").claimed);
    CHECK_INT(run("b").crashes, 0);
    CHECK_INT(task("y").crashes, 0);
    crash();
    OK(own());
    CHECK_INT(run("a").crashes, 1);
}

TEST(a_worker_owns_only_the_queues_that_it_names)
{
    struct worker_self self = {.name = "test", .queues = "r,q", .lease_us = US_PER_S};
    owned();
    start_on("a", "q", STREAM_NORMAL);
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    w.worker = 0;
    OK(w.owner->ops->acquire(w.owner, &self, &w.worker, &w.arena, &w.partitions, &w.n_partitions,
                             &w.err));
    CHECK(w.n_partitions == 1 || subject.shared);
    for (size_t i = 0; i < w.n_partitions; i++)
        CHECK_TEXT(w.partitions[i].queue, "q");
    crash();
    OK(own());
    CHECK(w.n_partitions > 1);
    for (size_t i = 0; i < w.n_partitions; i++) /* default was not its own */
        CHECK_INT(w.partitions[i].crashes, strcmp(w.partitions[i].queue, "q") == 0);
}

TEST(a_stale_worker_cannot_write)
{
    struct write writes[1];
    owned();
    int64_t no = start("a"), first = w.worker, second;
    writes[0] = history_write(0, no, 1, 1, "[]");
    crash();
    OK(own());
    second = w.worker;
    CHECK(second > first);
    w.worker = first;
    GIVES(HF_STALE, commit(writes, 1));
    GIVES(HF_STALE, w.owner->ops->renew(w.owner, first, 0, NULL, NULL, NULL, &w.err));
    w.worker = second;
    OK(w.owner->ops->renew(w.owner, second, 0, NULL, NULL, NULL, &w.err));
    OK(commit(writes, 1));
}

static const char *
said(void)
{
    struct worker_row *rows;
    size_t             n;
    OK(w.client->ops->workers(w.client, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 1);
    return rows[0].stats;
}

/* Others read it, so it must be there soon, and without more than the lease costs. */
TEST(what_a_worker_says_of_itself_is_there_with_its_next_renewal)
{
    owned();
    CHECK(said() == NULL);
    OK(w.owner->ops->renew(w.owner, w.worker, 0, "{\"n\":1}", NULL, NULL, &w.err));
    OK(w.owner->ops->renew(w.owner, w.worker, 0, NULL, NULL, NULL, &w.err));
    CHECK_TEXT(said(), "{\"n\":1}");
    OK(w.owner->ops->renew(w.owner, w.worker, 0, NULL, NULL, NULL, &w.err));
    CHECK_TEXT(said(), "{\"n\":1}"); /* it stays until something new is said */
    OK(w.owner->ops->renew(w.owner, w.worker, 0, "{\"n\":2}", NULL, NULL, &w.err));
    OK(w.owner->ops->renew(w.owner, w.worker, 0, "{\"n\":3}", NULL, NULL, &w.err));
    CHECK_TEXT(said(), "{\"n\":3}");
    GIVES(HF_STALE, w.owner->ops->renew(w.owner, w.worker + 1, 0, "{}", NULL, NULL, &w.err));
    CHECK_TEXT(said(), "{\"n\":3}");
}

TEST(what_a_worker_has_said_goes_with_it)
{
    owned();
    OK(w.owner->ops->renew(w.owner, w.worker, 0, "{}", NULL, NULL, &w.err));
    OK(w.owner->ops->renew(w.owner, w.worker, 0, NULL, NULL, NULL, &w.err));
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    OK(own());
    CHECK(said() == NULL);
}

TEST(a_worker_that_has_left_cannot_write)
{
    struct write writes[1];
    owned();
    writes[0] = history_write(0, start("a"), 1, 1, "[]");
    OK(w.owner->ops->leave(w.owner, w.worker, &w.err));
    GIVES(HF_STALE, commit(writes, 1));
    GIVES(HF_STALE, w.owner->ops->renew(w.owner, w.worker, 0, NULL, NULL, NULL, &w.err));
    GIVES(HF_STALE, w.owner->ops->leave(w.owner, w.worker, &w.err));
}

TEST_EXCLUSIVE(an_exclusive_store_has_nothing_to_take_over_or_to_hand_over)
{
    struct census census = {.n_workers = 9};
    owned();
    GIVES(HF_NOT_FOUND, w.owner->ops->takeover(w.owner, w.worker, w.worker, &w.err));
    GIVES(HF_INTERNAL, commit(&(struct write){.kind = WRITE_HAND_OVER, .partition = 1}, 1));
    OK(w.owner->ops->renew(w.owner, w.worker, 1, NULL, &w.arena, &census, &w.err));
    CHECK_INT(census.n_workers, 0);
}

/* ---- batches */

TEST(history_is_stored_in_order_and_never_twice)
{
    struct history_row *rows;
    struct write        writes[3];
    owned();
    int64_t no = start("a");
    writes[0] = history_write(0, no, 1, 1, "[1]");
    writes[1] = history_write(0, no, 1, 2, "[2]");
    OK(commit(writes, 2));
    writes[0] = history_write(0, no, 1, 3, "[3]");
    writes[1] = history_write(1, no, 1, 2, "[other]");
    GIVES(HF_STALE, commit(writes, 2));
    CHECK_INT(history_of(no, 1, &rows), 2);
    CHECK_TEXT(rows[0].events, "[1]");
    CHECK_TEXT(rows[1].events, "[2]");
    CHECK_INT(rows[1].events_len, 3);
    CHECK_INT(rows[1].seq, 2);
    CHECK_INT(rows[1].execution, 1);
    CHECK_INT(rows[1].run_no, no);
    CHECK_INT(history_of(no, 2, &rows), 0);
}

TEST(history_need_not_end_with_a_nul)
{
    struct history_row *rows;
    struct write        write;
    owned();
    int64_t no = start("a");
    write = history_write(0, no, 1, 1, "[1][garbage");
    write.history.events_len = 3;
    OK(commit(&write, 1));
    CHECK_INT(history_of(no, 1, &rows), 1);
    CHECK_TEXT(rows[0].events, "[1]");
}

TEST(a_batch_is_stored_whole_or_not_at_all)
{
    struct inbox_row   *inbox;
    struct history_row *rows;
    owned();
    int64_t no = start("a"), signal = signal_run("a", "s");
    enqueue("x", NULL, STREAM_NORMAL, 0);
    struct run_row  r = run("a");
    struct task_row t = task("x"), fresh = {.name = "t", .id = "fresh", .queue = "new"};
    struct submit   child = {.id = "child", .name = "wf", .cls = STREAM_NORMAL};
    struct write    writes[8] = {
           history_write(0, no, 1, 1, "[]"),
           {.kind = WRITE_RUN, .run = &r},
           {.kind = WRITE_TASK_DELETE, .task = &t},
           {.kind = WRITE_TASK_NEW, .task = &fresh},
           {.kind = WRITE_START, .start = &child},
           {.kind = WRITE_INBOX_DELETE, .inbox = {.no = signal}},
           {.kind = WRITE_INBOX, .inbox = {.run_no = no, .name = "note"}},
           history_write(1, no, 1, 1, "[]"),
    };
    r.custom = "text";
    fetch();
    uint32_t partitions = w.rows.partitions;
    GIVES(HF_STALE, commit(writes, 8));
    CHECK_INT(history_of(no, 1, &rows), 0);
    CHECK_TEXT(run("a").custom, NULL);
    CHECK_TEXT(task("x").id, "x");
    CHECK_INT(inbox_of(no, &inbox), 1);
    CHECK_TEXT(inbox[0].name, "s");
    GIVES(HF_NOT_FOUND, w.client->ops->run_get(w.client, "child", &w.arena, &r, &w.err));
    GIVES(HF_NOT_FOUND, w.client->ops->task_get(w.client, "fresh", &w.arena, &t, &w.err));
    fetch();
    CHECK_INT(w.rows.partitions, partitions);

    r = run("a");
    t = task("x");
    OK(commit(writes, 7));
    CHECK_INT(inbox_of(no, &inbox), 1);
    CHECK_TEXT(inbox[0].name, "note");
    CHECK_TEXT(task("fresh").queue, "new");
    CHECK_TEXT(run("child").id, "child");
}

TEST(a_refused_unit_is_named_and_its_neighbours_can_be_stored_without_it)
{
    struct history_row *rows;
    struct write        writes[3];
    if (!subject.refuses_marked)
        SKIP("the %s store has no such data", subject.name);
    owned();
    int64_t a = start("a"), b = start("b"), c = start("c");
    writes[0] = history_write(0, a, 1, 1, "[1]");
    writes[1] = history_write(1, b, 1, 1, "[\"\\u0001refuse\"]");
    writes[2] = history_write(2, c, 1, 1, "[3]");
    GIVES(HF_REFUSED, commit(writes, 3));
    CHECK_INT(w.refused, 1);
    CHECK_INT(history_of(a, 1, &rows), 0);
    writes[1] = writes[2];
    OK(commit(writes, 2));
    CHECK_INT(history_of(a, 1, &rows), 1);
    CHECK_INT(history_of(c, 1, &rows), 1);
    struct run_row r = run("b");
    r.output = "\x01refuse";
    GIVES(HF_REFUSED, save_run(&r));
}

TEST(all_mutable_fields_of_a_run_are_written_and_no_others)
{
    owned();
    start("a");
    struct run_row r = run("a");
    r.workflow = "other";
    r.input = "other";
    r.status = RUN_WAITING;
    r.version = 4;
    r.execution = 2;
    r.wake_us = SECONDS(9);
    r.crashes = 3;
    r.claimed = true;
    r.custom = "custom";
    r.output = "out";
    r.error_name = "name";
    r.error_message = "message";
    OK(save_run(&r));
    r = run("a");
    CHECK_TEXT(r.workflow, "wf");
    CHECK_TEXT(r.input, "1");
    CHECK_INT(r.status, RUN_WAITING);
    CHECK_INT(r.version, 4);
    CHECK_INT(r.execution, 2);
    CHECK_INT(r.wake_us, SECONDS(9));
    CHECK_INT(r.crashes, 3);
    CHECK(r.claimed);
    CHECK_TEXT(r.custom, "custom");
    CHECK_TEXT(r.output, "out");
    CHECK_TEXT(r.error_name, "name");
    CHECK_TEXT(r.error_message, "message");
    CHECK_INT(r.ended_us, 0);
    r.status = RUN_FAILED;
    r.ended_us = SECONDS(3);
    r.custom = NULL;
    OK(save_run(&r));
    CHECK_INT(run("a").ended_us, SECONDS(3));
    CHECK_TEXT(run("a").custom, NULL);
}

TEST(all_mutable_fields_of_a_task_are_written_and_no_others)
{
    owned();
    enqueue("x", NULL, STREAM_NORMAL, 0);
    struct task_row t = task("x");
    t.name = "other";
    t.attempt = 2;
    t.run_at_us = SECONDS(4);
    t.claimed = true;
    t.crashes = 1;
    t.error_name = "name";
    t.error_message = "message";
    OK(save_task(&t));
    t = task("x");
    CHECK_TEXT(t.name, "t");
    CHECK_INT(t.attempt, 2);
    CHECK_INT(t.run_at_us, SECONDS(4));
    CHECK(t.claimed);
    CHECK_INT(t.crashes, 1);
    CHECK_TEXT(t.error_name, "name");
    CHECK_TEXT(t.error_message, "message");
}

TEST(a_restart_is_another_life_under_the_same_id_and_number)
{
    owned();
    int64_t no = start("a");
    OK(end_run("a", RUN_COMPLETED));
    at(SECONDS(5));
    struct run_row r = run("a");
    r.workflow = "wf2";
    r.input = "in2";
    r.token = "tok2";
    r.started_us = SECONDS(5);
    r.status = RUN_RUNNING;
    r.execution = 2;
    r.output = NULL;
    r.ended_us = 0;
    OK(commit(&(struct write){.kind = WRITE_RESTART, .run = &r}, 1));
    r = run("a");
    CHECK_INT(r.no, no);
    CHECK_TEXT(r.workflow, "wf2");
    CHECK_TEXT(r.input, "in2");
    CHECK_TEXT(r.token, "tok2");
    CHECK_INT(r.started_us, SECONDS(5));
    CHECK_INT(r.status, RUN_RUNNING);
    CHECK_INT(r.execution, 2);
    CHECK_TEXT(r.output, NULL);
    CHECK_INT(r.ended_us, 0);
}

TEST(pruning_drops_older_executions_and_nothing_else)
{
    struct history_row *rows;
    struct write        writes[6];
    owned();
    int64_t a = start("a"), b = start("b");
    writes[0] = history_write(0, a, 1, 1, "[]");
    writes[1] = history_write(0, a, 1, 2, "[]");
    writes[2] = history_write(0, a, 2, 1, "[]");
    writes[3] = history_write(0, a, 3, 1, "[]");
    writes[4] = history_write(0, b, 1, 1, "[]");
    OK(commit(writes, 5));
    OK(commit(&(struct write){.kind = WRITE_PRUNE, .history = {.run_no = a, .execution = 3}}, 1));
    CHECK_INT(history_of(a, 1, &rows), 0);
    CHECK_INT(history_of(a, 2, &rows), 0);
    CHECK_INT(history_of(a, 3, &rows), 1);
    CHECK_INT(history_of(b, 1, &rows), 1);
}

static struct write
child_write(struct submit *child, int64_t parent)
{
    return (struct write){.kind = WRITE_START,
                          .start = child,
                          .parent_no = parent,
                          .parent_ref = "0.2",
                          .parent_execution = 3};
}

TEST(a_child_is_a_run_that_knows_its_parent)
{
    struct run_row *rows;
    size_t          n;
    struct submit   child = {.id = "c",
                             .name = "wfc",
                             .payload = "in",
                             .queue = "q",
                             .cls = STREAM_URGENT,
                             .version = 2,
                             .token = "tok"};
    owned();
    int64_t      no = start("a");
    struct write write = child_write(&child, no);
    OK(commit(&write, 1));
    struct run_row r = run("c");
    CHECK_INT(r.no, child.no);
    CHECK_INT(r.parent_no, no);
    CHECK_TEXT(r.parent_ref, "0.2");
    CHECK_INT(r.parent_execution, 3);
    CHECK_TEXT(r.queue, "q");
    CHECK_TEXT(r.workflow, "wfc");
    CHECK_TEXT(r.input, "in");
    CHECK_INT(r.version, 2);
    CHECK_INT(r.started_us, w.now_us);
    CHECK_INT(row_stream(r.no), STREAM_URGENT);
    OK(w.client->ops->children(w.client, no, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 1);
    CHECK_TEXT(rows[0].id, "c");
}

TEST(a_child_with_a_taken_id_is_answered_by_the_inbox_of_the_parent)
{
    struct inbox_row *inbox;
    struct submit     child = {.id = "b", .name = "wf", .cls = STREAM_NORMAL, .token = "other"};
    owned();
    int64_t no = start("a");
    start("b");
    struct write write = child_write(&child, no);
    OK(commit(&write, 1));
    CHECK_INT(inbox_of(no, &inbox), 1);
    CHECK_INT(inbox[0].kind, INBOX_CHILD);
    CHECK_TEXT(inbox[0].name, "0.2");
    CHECK_INT(inbox[0].aux, 3);
    CHECK_INT(inbox[0].code, HF_FAILED);
    CHECK_TEXT(inbox[0].key, "exists");
    write.parent_no = 0; /* detached: left as it is */
    OK(commit(&write, 1));
    CHECK_INT(inbox_of(no, &inbox), 1);
    CHECK_TEXT(run("b").token, "b");
}

TEST(a_child_that_was_started_already_by_the_same_call_is_not_answered)
{
    struct inbox_row *inbox;
    struct submit     child = {.id = "c", .name = "wf", .cls = STREAM_NORMAL, .token = "tok"};
    owned();
    int64_t      no = start("a");
    struct write write = child_write(&child, no);
    OK(commit(&write, 1));
    OK(commit(&write, 1));
    CHECK_INT(inbox_of(no, &inbox), 0);
}

TEST(a_message_to_a_run_by_number_or_by_id_reaches_it_unless_it_has_ended)
{
    struct inbox_row *inbox;
    owned();
    int64_t      a = start("a"), b = start("b");
    struct write writes[] = {
        {.kind = WRITE_INBOX,
         .inbox = {.run_no = a, .kind = INBOX_CHILD, .name = "0.1", .payload = "out", .aux = 2}},
        {.kind = WRITE_INBOX, .target = "a", .inbox = {.kind = INBOX_CANCEL, .payload = "why"}},
        {.kind = WRITE_INBOX, .target = "b", .inbox = {.kind = INBOX_CANCEL}},
        {.kind = WRITE_INBOX, .target = "nobody", .inbox = {.kind = INBOX_CANCEL}},
        {.kind = WRITE_INBOX, .inbox = {.run_no = b, .kind = INBOX_CANCEL}}};
    OK(end_run("b", RUN_CANCELLED));
    OK(commit(writes, COUNT(writes)));
    CHECK_INT(inbox_of(a, &inbox), 2);
    CHECK_TEXT(inbox[0].name, "0.1");
    CHECK_TEXT(inbox[0].payload, "out");
    CHECK_INT(inbox[0].aux, 2);
    CHECK_INT(inbox[0].time_us, w.now_us);
    CHECK_INT(inbox[1].kind, INBOX_CANCEL);
    CHECK_TEXT(inbox[1].payload, "why");
    CHECK_INT(inbox_of(b, &inbox), 0);
}

TEST(an_inbox_row_that_was_read_goes_with_the_commit)
{
    struct inbox_row *inbox;
    owned();
    int64_t no = start("a"), signal = signal_run("a", "s");
    signal_run("a", "t");
    OK(commit(&(struct write){.kind = WRITE_INBOX_DELETE, .inbox = {.no = signal}}, 1));
    CHECK_INT(inbox_of(no, &inbox), 1);
    CHECK_TEXT(inbox[0].name, "t");
}

TEST(a_called_task_lives_in_the_partition_of_its_run_or_of_its_queue)
{
    owned();
    int64_t         no = start_on("a", "q", STREAM_BULK);
    struct task_row here = {.id = "here",
                            .name = "t",
                            .payload = "p",
                            .opts = "{}",
                            .run_no = no,
                            .execution = 2,
                            .ref = "0.7",
                            .claimed = true,
                            .attempt = 1};
    struct task_row there = here, past = here;
    there.id = "there";
    there.queue = "r";
    past.id = "past";
    past.run_at_us = w.now_us;
    struct write writes[] = {{.kind = WRITE_TASK_NEW, .task = &here},
                             {.kind = WRITE_TASK_NEW, .task = &there},
                             {.kind = WRITE_TASK_NEW, .task = &past}};
    OK(commit(writes, 3));
    struct task_row t = task("here");
    CHECK_INT(t.no, here.no);
    CHECK_INT(row_partition(t.no), row_partition(no));
    CHECK_INT(row_stream(t.no), STREAM_BULK);
    CHECK_TEXT(t.queue, "q");
    CHECK_INT(t.run_no, no);
    CHECK_INT(t.execution, 2);
    CHECK_TEXT(t.ref, "0.7");
    CHECK_TEXT(t.payload, "p");
    CHECK_TEXT(t.opts, "{}");
    CHECK(t.claimed);
    CHECK_INT(t.attempt, 1);
    CHECK_TEXT(task("there").queue, "r");
    CHECK_INT(task("there").run_no, no);
    CHECK_INT(task("past").run_at_us, 0);
    CHECK_INT(row_stream(past.no), STREAM_BULK);

    struct task_row   *rows;
    size_t             n;
    struct task_filter f = {.run_no = no, .limit = 9};
    OK(w.client->ops->task_list(w.client, &f, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 3);
}

/* ---- loading */

TEST(a_load_brings_runs_with_the_history_of_their_present_execution)
{
    struct loaded out[3];
    struct write  writes[4];
    owned();
    int64_t a = start("a"), b = start("b");
    writes[0] = history_write(0, a, 1, 1, "[1]");
    writes[1] = history_write(0, a, 2, 1, "[2]");
    writes[2] = history_write(0, a, 2, 2, "[3]");
    OK(commit(writes, 3));
    struct run_row r = run("a");
    r.execution = 2;
    OK(save_run(&r));
    int64_t nos[] = {b, row_no(1, STREAM_BULK, 999), a};
    OK(w.owner->ops->load(w.owner, nos, 3, &w.arena, out, &w.err));
    CHECK(out[0].found);
    CHECK_TEXT(out[0].run.id, "b");
    CHECK_INT(out[0].n_history, 0);
    CHECK(!out[1].found);
    CHECK(out[2].found);
    CHECK_TEXT(out[2].run.id, "a");
    CHECK_INT(out[2].run.execution, 2);
    CHECK_INT(out[2].n_history, 2);
    CHECK_TEXT(out[2].history[0].events, "[2]");
    CHECK_TEXT(out[2].history[1].events, "[3]");
    CHECK_INT(out[2].history[1].events_len, 3);
}

TEST(a_load_of_tasks_brings_them_in_the_order_that_was_asked_for)
{
    struct task_row out[3];
    owned();
    enqueue("x", NULL, STREAM_NORMAL, 0);
    enqueue("y", "q", STREAM_URGENT, SECONDS(9));
    struct task_row t = task("x");
    t.attempt = 2;
    t.error_name = "e";
    OK(save_task(&t));
    int64_t nos[] = {task("y").no, row_no(1, STREAM_BULK, 999), t.no};
    OK(w.owner->ops->load_tasks(w.owner, nos, 3, &w.arena, out, &w.err));
    CHECK_TEXT(out[0].id, "y");
    CHECK_TEXT(out[0].queue, "q");
    CHECK_INT(out[0].run_at_us, SECONDS(9));
    CHECK_INT(out[1].no, 0);
    CHECK_TEXT(out[2].id, "x");
    CHECK_INT(out[2].attempt, 2);
    CHECK_TEXT(out[2].error_name, "e");
}
