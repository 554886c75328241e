/* The store suite: what clients store and read. */
#include "store_suite.h"

static int
start_as(const char *id, int if_exists, const char *token, struct submit *out)
{
    *out = (struct submit){.kind = SUBMIT_START,
                           .id = id,
                           .name = "wf2",
                           .payload = "5",
                           .version = 7,
                           .cls = STREAM_NORMAL,
                           .if_exists = if_exists,
                           .token = token};
    return submit(out, 1);
}

static size_t
unread(const char *id, struct inbox_row **rows)
{
    size_t n;
    OK(w.client->ops->inbox_list(w.client, run(id).no, &w.arena, rows, &n, &w.err));
    return n;
}

static void
count_pending(struct pending *out)
{
    OK(w.client->ops->pending(w.client, NULL, w.now_us, out, &w.err));
}

TEST(a_start_is_stored_with_all_its_fields)
{
    struct submit item = {.kind = SUBMIT_START,
                          .id = "a",
                          .name = "wf",
                          .payload = "{}",
                          .queue = "q",
                          .cls = STREAM_BULK,
                          .version = 3,
                          .token = "tok"};
    open_store();
    OK(submit(&item, 1));
    struct run_row r = run("a");
    CHECK_INT(r.no, item.no);
    CHECK(!item.existed);
    CHECK_TEXT(r.id, "a");
    CHECK_TEXT(r.workflow, "wf");
    CHECK_TEXT(r.queue, "q");
    CHECK_TEXT(r.input, "{}");
    CHECK_TEXT(r.token, "tok");
    CHECK_INT(row_stream(r.no), STREAM_BULK);
    CHECK_INT(r.version, 3);
    CHECK_INT(r.status, RUN_RUNNING);
    CHECK_INT(r.execution, 1);
    CHECK_INT(r.wake_us, NEVER_US);
    CHECK_INT(r.started_us, w.now_us);
    CHECK_INT(r.ended_us, 0);
    CHECK_INT(r.parent_no, 0);
    CHECK_INT(r.crashes, 0);
    CHECK(!r.claimed);
    CHECK_TEXT(r.output, NULL);
    CHECK_TEXT(r.error_name, NULL);
    CHECK_TEXT(r.custom, NULL);
}

TEST(a_submit_stores_all_of_its_items_or_none)
{
    struct submit   items[] = {{.kind = SUBMIT_START, .id = "a", .name = "wf", .token = "1"},
                               {.kind = SUBMIT_ENQUEUE, .id = "t", .name = "t", .queue = "new"},
                               {.kind = SUBMIT_SIGNAL, .id = "nobody", .name = "s"},
                               {.kind = SUBMIT_ENQUEUE, .id = "u", .name = "t"}};
    struct run_row  r;
    struct task_row t;
    open_store();
    GIVES(HF_NOT_FOUND, submit(items, COUNT(items)));
    CHECK_INT(w.bad, 2);
    GIVES(HF_NOT_FOUND, w.client->ops->run_get(w.client, "a", &w.arena, &r, &w.err));
    GIVES(HF_NOT_FOUND, w.client->ops->task_get(w.client, "t", &w.arena, &t, &w.err));
    items[2].id = "a"; /* started by the first item */
    OK(submit(items, COUNT(items)));
    CHECK_TEXT(run("a").id, "a");
    CHECK_TEXT(task("t").queue, "new");
    CHECK(row_partition(items[1].no) != row_partition(items[0].no));
}

TEST(a_start_with_a_taken_id_fails_and_with_the_same_token_it_may_be_repeated)
{
    struct submit item;
    int64_t       no;
    open_store();
    no = start("a");
    GIVES(HF_EXISTS, start_as("a", HF_IF_EXISTS_FAIL, "other", &item));
    CHECK_INT(w.bad, 0);
    GIVES(HF_EXISTS, start_as("a", HF_IF_EXISTS_FAIL, NULL, &item));
    OK(start_as("a", HF_IF_EXISTS_FAIL, "a", &item));
    CHECK_INT(item.no, no);
    CHECK_TEXT(run("a").workflow, "wf");
}

TEST(a_start_that_uses_the_run_that_is_there_leaves_it_as_it_is)
{
    struct submit     item;
    struct inbox_row *rows;
    owned();
    int64_t no = start("a");
    OK(start_as("a", HF_IF_EXISTS_USE, "other", &item));
    CHECK(item.existed);
    CHECK_INT(item.no, no);
    OK(end_run("a", RUN_COMPLETED));
    OK(start_as("a", HF_IF_EXISTS_USE, "other", &item));
    CHECK(item.existed);
    CHECK_INT(unread("a", &rows), 0);
}

TEST(a_start_that_replaces_tells_the_owner_by_the_inbox)
{
    struct submit     item;
    struct inbox_row *rows;
    owned();
    start("a");
    OK(start_as("a", HF_IF_EXISTS_REPLACE, "tok2", &item));
    CHECK(item.existed);
    CHECK_INT(unread("a", &rows), 1);
    CHECK_INT(rows[0].kind, INBOX_REPLACE);
    CHECK_TEXT(rows[0].name, "wf2");
    CHECK_TEXT(rows[0].payload, "5");
    CHECK_TEXT(rows[0].key, "tok2");
    CHECK_INT(rows[0].aux, 7);
    CHECK_INT(rows[0].run_no, run("a").no);
    CHECK_INT(rows[0].time_us, w.now_us);
}

TEST(a_replacing_start_may_be_repeated_while_it_waits_in_the_inbox)
{
    struct submit     item;
    struct inbox_row *rows;
    open_store();
    start("a");
    OK(start_as("a", HF_IF_EXISTS_REPLACE, "tok2", &item));
    OK(start_as("a", HF_IF_EXISTS_REPLACE, "tok2", &item));
    CHECK_INT(unread("a", &rows), 1);
    OK(start_as("a", HF_IF_EXISTS_REPLACE, "tok3", &item));
    CHECK_INT(unread("a", &rows), 2);
}

TEST(a_start_of_a_live_run_leaves_it_and_an_ended_one_begins_anew_once)
{
    struct submit     item;
    struct inbox_row *rows;
    owned();
    start("a");
    OK(start_as("a", IF_EXISTS_LIVE, "tok2", &item));
    CHECK(item.existed);
    CHECK_INT(unread("a", &rows), 0);
    OK(end_run("a", RUN_FAILED));
    OK(start_as("a", IF_EXISTS_LIVE, "tok2", &item));
    CHECK_INT(unread("a", &rows), 1);
    OK(start_as("a", IF_EXISTS_LIVE, "tok3", &item));
    CHECK_INT(unread("a", &rows), 1);
}

TEST(a_signal_waits_in_the_inbox_with_name_payload_and_key)
{
    struct submit     item = {.kind = SUBMIT_SIGNAL, .id = "a", .name = "s", .payload = "p"};
    struct inbox_row *rows;
    open_store();
    start("a");
    item.key = "k";
    OK(submit(&item, 1));
    CHECK_INT(unread("a", &rows), 1);
    CHECK_INT(rows[0].kind, INBOX_SIGNAL);
    CHECK_INT(rows[0].no, item.no);
    CHECK_TEXT(rows[0].name, "s");
    CHECK_TEXT(rows[0].payload, "p");
    CHECK_TEXT(rows[0].key, "k");
}

TEST(a_signal_with_the_key_of_an_unread_one_is_not_stored_again)
{
    struct submit     item = {.kind = SUBMIT_SIGNAL, .id = "a", .name = "s", .key = "k"};
    struct inbox_row *rows;
    open_store();
    start("a");
    start("b");
    OK(submit(&item, 1));
    OK(submit(&item, 1));
    CHECK_INT(unread("a", &rows), 1);
    item.id = "b"; /* keys are of a run */
    OK(submit(&item, 1));
    CHECK_INT(unread("b", &rows), 1);
    item.key = NULL;
    OK(submit(&item, 1));
    OK(submit(&item, 1));
    CHECK_INT(unread("b", &rows), 3);
}

TEST(an_ended_run_takes_nothing_any_more)
{
    static const int  kinds[] = {SUBMIT_SIGNAL, SUBMIT_CANCEL, SUBMIT_TERMINATE, SUBMIT_PAUSE,
                                 SUBMIT_RESUME};
    struct inbox_row *rows;
    owned();
    start("a");
    OK(end_run("a", RUN_COMPLETED));
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct submit item = {.kind = kinds[i], .id = "a", .name = "s"};
        GIVES(HF_DONE, submit(&item, 1));
        item.id = "nobody";
        GIVES(HF_NOT_FOUND, submit(&item, 1));
    }
    CHECK_INT(unread("a", &rows), 0);
}

TEST(an_ended_run_that_is_about_to_begin_anew_takes_signals)
{
    struct submit     item, items[2];
    struct inbox_row *rows;
    owned();
    start("a");
    OK(end_run("a", RUN_COMPLETED));
    items[0] = (struct submit){.kind = SUBMIT_START,
                               .id = "a",
                               .name = "wf",
                               .cls = STREAM_NORMAL,
                               .if_exists = IF_EXISTS_LIVE,
                               .token = "2"};
    items[1] = (struct submit){.kind = SUBMIT_SIGNAL, .id = "a", .name = "s"};
    OK(submit(items, 2));
    item = (struct submit){.kind = SUBMIT_CANCEL, .id = "a"};
    GIVES(HF_DONE, submit(&item, 1));
    CHECK_INT(unread("a", &rows), 2);
    CHECK_INT(rows[0].kind, INBOX_REPLACE);
    CHECK_INT(rows[1].kind, INBOX_SIGNAL);
}

TEST(cancel_terminate_pause_and_resume_wait_in_the_inbox_in_order)
{
    struct submit     items[] = {{.kind = SUBMIT_PAUSE, .id = "a"},
                                 {.kind = SUBMIT_RESUME, .id = "a"},
                                 {.kind = SUBMIT_CANCEL, .id = "a", .payload = "why"},
                                 {.kind = SUBMIT_TERMINATE, .id = "a", .payload = "so"}};
    struct inbox_row *rows;
    open_store();
    start("a");
    OK(submit(items, 4));
    CHECK_INT(unread("a", &rows), 4);
    CHECK_INT(rows[0].kind, INBOX_PAUSE);
    CHECK_INT(rows[1].kind, INBOX_RESUME);
    CHECK_INT(rows[2].kind, INBOX_CANCEL);
    CHECK_TEXT(rows[2].payload, "why");
    CHECK_INT(rows[3].kind, INBOX_TERMINATE);
    CHECK_TEXT(rows[3].payload, "so");
}

TEST(an_enqueued_task_is_stored_with_all_its_fields)
{
    struct submit item = {.kind = SUBMIT_ENQUEUE,
                          .id = "x",
                          .name = "mail",
                          .payload = "p",
                          .queue = "q",
                          .cls = STREAM_URGENT,
                          .opts = "{\"max_attempts\":3}"};
    open_store();
    OK(submit(&item, 1));
    struct task_row t = task("x");
    CHECK_INT(t.no, item.no);
    CHECK_INT(row_stream(t.no), STREAM_URGENT);
    CHECK_TEXT(t.id, "x");
    CHECK_TEXT(t.name, "mail");
    CHECK_TEXT(t.payload, "p");
    CHECK_TEXT(t.queue, "q");
    CHECK_TEXT(t.opts, "{\"max_attempts\":3}");
    CHECK_INT(t.run_no, 0);
    CHECK_INT(t.created_us, w.now_us);
    CHECK_INT(t.attempt, 0);
    CHECK_INT(t.run_at_us, 0);
}

TEST(a_task_without_an_id_is_known_by_its_number)
{
    char id[HF_ID_SIZE];
    open_store();
    int64_t no = enqueue(NULL, NULL, STREAM_NORMAL, 0);
    task_id_format(no, id);
    CHECK_INT(task_id_parse(id), no);
    struct task_row t = task(id);
    CHECK_INT(t.no, no);
    CHECK_TEXT(t.id, NULL);
    no = enqueue("given", NULL, STREAM_NORMAL, 0);
    task_id_format(no, id);
    CHECK_TEXT(task("given").id, "given");
}

TEST(a_time_that_has_passed_counts_as_at_once)
{
    open_store();
    enqueue("past", NULL, STREAM_NORMAL, w.now_us);
    enqueue("later", NULL, STREAM_URGENT, w.now_us + 1);
    CHECK_INT(task("past").run_at_us, 0);
    CHECK_INT(row_stream(task("past").no), STREAM_NORMAL);
    CHECK_INT(task("later").run_at_us, w.now_us + 1);
    CHECK_INT(row_stream(task("later").no), STREAM_DELAYED);
}

static void
kill_task(const char *id)
{
    struct task_row t = task(id);
    t.attempt = 5;
    t.crashes = 2;
    t.error_name = "bad";
    t.error_message = "very";
    OK(commit(&(struct write){.kind = WRITE_DEAD, .task = &t}, 1));
}

TEST(the_id_of_a_live_or_dead_task_is_taken_and_free_again_after_it)
{
    struct submit item = {.kind = SUBMIT_ENQUEUE, .id = "x", .name = "t", .cls = STREAM_NORMAL};
    struct submit discard = {.kind = SUBMIT_DISCARD, .id = "x"};
    owned();
    OK(submit(&item, 1));
    GIVES(HF_EXISTS, submit(&item, 1));
    kill_task("x");
    GIVES(HF_EXISTS, submit(&item, 1));
    OK(submit(&discard, 1));
    OK(submit(&item, 1));
    struct task_row t = task("x");
    OK(commit(&(struct write){.kind = WRITE_TASK_DELETE, .task = &t}, 1));
    OK(submit(&item, 1));
}

TEST(a_dead_letter_keeps_what_the_task_was)
{
    struct dead_row d;
    struct task_row t;
    owned();
    int64_t no = enqueue("x", "q", STREAM_NORMAL, 0);
    at(SECONDS(5));
    kill_task("x");
    GIVES(HF_NOT_FOUND, w.client->ops->task_get(w.client, "x", &w.arena, &t, &w.err));
    OK(w.client->ops->dead_get(w.client, "x", &w.arena, &d, &w.err));
    CHECK_INT(d.no, no);
    CHECK_TEXT(d.id, "x");
    CHECK_TEXT(d.name, "t");
    CHECK_TEXT(d.payload, "2");
    CHECK_TEXT(d.queue, "q");
    CHECK_INT(d.attempts, 5);
    CHECK_INT(d.crashes, 2);
    CHECK_TEXT(d.error_name, "bad");
    CHECK_TEXT(d.error_message, "very");
    CHECK_INT(d.created_us, SECONDS(0));
    CHECK_INT(d.died_us, SECONDS(5));
}

TEST(a_dead_letter_that_is_retried_is_a_new_task_under_its_id)
{
    struct submit   item = {.kind = SUBMIT_RETRY, .id = "x"};
    struct dead_row d;
    owned();
    int64_t no = enqueue("x", NULL, STREAM_URGENT, 0);
    kill_task("x");
    fetch();
    OK(submit(&item, 1));
    struct task_row t = task("x");
    CHECK(t.no > no);
    CHECK_INT(t.no, item.no);
    CHECK_INT(row_stream(t.no), STREAM_URGENT);
    CHECK_INT(t.attempt, 0);
    CHECK_INT(t.crashes, 0);
    CHECK_TEXT(t.error_name, NULL);
    CHECK_TEXT(t.payload, "2");
    GIVES(HF_NOT_FOUND, w.client->ops->dead_get(w.client, "x", &w.arena, &d, &w.err));
    fetch();
    CHECK_TEXT(fetched_tasks(), "x");
    GIVES(HF_NOT_FOUND, submit(&item, 1));
}

TEST(a_dead_letter_that_had_no_id_gets_a_new_one_when_it_is_retried)
{
    char            id[HF_ID_SIZE], again[HF_ID_SIZE];
    struct dead_row d;
    struct submit   item = {.kind = SUBMIT_RETRY, .id = id};
    owned();
    task_id_format(enqueue(NULL, NULL, STREAM_NORMAL, 0), id);
    kill_task(id);
    OK(w.client->ops->dead_get(w.client, id, &w.arena, &d, &w.err));
    CHECK_TEXT(d.id, id);
    OK(submit(&item, 1));
    task_id_format(item.no, again);
    CHECK_INT(task(again).no, item.no);
    CHECK_TEXT(task(again).id, NULL);
    struct task_row t;
    GIVES(HF_NOT_FOUND, w.client->ops->task_get(w.client, id, &w.arena, &t, &w.err));
}

TEST(retry_and_discard_of_what_is_not_dead_are_not_found)
{
    struct submit item = {.kind = SUBMIT_RETRY, .id = "x"};
    open_store();
    enqueue("x", NULL, STREAM_NORMAL, 0);
    GIVES(HF_NOT_FOUND, submit(&item, 1));
    item.kind = SUBMIT_DISCARD;
    GIVES(HF_NOT_FOUND, submit(&item, 1));
}

static const char *
list_runs(struct run_filter f)
{
    struct run_row *rows;
    size_t          n;
    char           *list = arena_strdup(&w.arena, "");
    OK(w.client->ops->run_list(w.client, &f, &w.arena, &rows, &n, &w.err));
    for (size_t i = 0; i < n; i++)
        list = arena_printf(&w.arena, "%s%s", list, rows[i].id);
    return list;
}

TEST(runs_are_listed_newest_first_by_status_workflow_queue_and_time)
{
    owned();
    for (int i = 0; i < 5; i++) {
        at(SECONDS(i));
        start_on((char[]){(char)('a' + i), 0}, i % 2 ? "q" : NULL, STREAM_NORMAL);
    }
    OK(end_run("b", RUN_FAILED));
    CHECK_TEXT(list_runs((struct run_filter){.status = -1, .limit = 10}), "edcba");
    CHECK_TEXT(list_runs((struct run_filter){.status = -1, .limit = 2}), "ed");
    CHECK_TEXT(list_runs((struct run_filter){.status = RUN_RUNNING, .limit = 10}), "edca");
    CHECK_TEXT(list_runs((struct run_filter){.status = RUN_FAILED, .limit = 10}), "b");
    CHECK_TEXT(list_runs((struct run_filter){.status = -1, .queue = "q", .limit = 10}), "db");
    CHECK_TEXT(list_runs((struct run_filter){.status = -1, .queue = "none", .limit = 10}), "");
    CHECK_TEXT(list_runs((struct run_filter){.status = -1, .workflow = "no", .limit = 10}), "");
    CHECK_TEXT(list_runs((struct run_filter){.status = -1, .workflow = "wf", .limit = 1}), "e");
    CHECK_TEXT(list_runs((struct run_filter){.status = -1, .before_us = SECONDS(2), .limit = 10}),
               "ba");
}

static const char *
list_tasks(struct task_filter f)
{
    struct task_row *rows;
    size_t           n;
    char            *list = arena_strdup(&w.arena, "");
    OK(w.client->ops->task_list(w.client, &f, &w.arena, &rows, &n, &w.err));
    for (size_t i = 0; i < n; i++)
        list = arena_printf(&w.arena, "%s%s%s", list, i ? "," : "", rows[i].id);
    return list;
}

TEST(tasks_are_listed_in_order_of_number_and_page_by_page)
{
    open_store();
    enqueue("a", NULL, STREAM_NORMAL, 0);
    enqueue("b", NULL, STREAM_NORMAL, 0);
    enqueue("c", NULL, STREAM_URGENT, 0);
    enqueue("d", "q", STREAM_URGENT, 0);
    const char *all = list_tasks((struct task_filter){.limit = 10});
    CHECK_LIST(all, "c,a,b,d");
    const char *page = list_tasks((struct task_filter){.limit = 2});
    CHECK_TEXT(page, arena_strndup(&w.arena, all, 3));
    page = list_tasks((struct task_filter){.limit = 2, .after_no = task(page + 2).no});
    CHECK_TEXT(page, all + 4);
    CHECK_TEXT(list_tasks((struct task_filter){.limit = 10, .queue = "q"}), "d");
    CHECK_TEXT(list_tasks((struct task_filter){.limit = 10, .queue = "none"}), "");
    CHECK_TEXT(list_tasks((struct task_filter){.limit = 10, .name = "t"}), all);
    CHECK_TEXT(list_tasks((struct task_filter){.limit = 10, .name = "u"}), "");
}

TEST(dead_letters_are_listed_page_by_page)
{
    struct dead_row *rows;
    size_t           n;
    owned();
    enqueue("a", NULL, STREAM_NORMAL, 0);
    enqueue("b", "q", STREAM_NORMAL, 0);
    kill_task("a");
    kill_task("b");
    struct task_filter f = {.limit = 1};
    OK(w.client->ops->dead_list(w.client, &f, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 1);
    CHECK_TEXT(rows[0].id, "a");
    f.after_no = rows[0].no;
    OK(w.client->ops->dead_list(w.client, &f, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 1);
    CHECK_TEXT(rows[0].id, "b");
    f = (struct task_filter){.limit = 9, .queue = "q"};
    OK(w.client->ops->dead_list(w.client, &f, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 1);
}

TEST(pending_counts_what_is_left_to_do)
{
    struct pending p;
    owned();
    for (int i = 0; i < 6; i++)
        start((char[]){(char)('a' + i), 0});
    struct run_row r = run("b");
    r.status = RUN_WAITING;
    OK(save_run(&r));
    r = run("c");
    r.status = RUN_WAITING;
    r.wake_us = w.now_us;
    OK(save_run(&r));
    r = run("d");
    r.status = RUN_PAUSED;
    OK(save_run(&r));
    r = run("e");
    r.status = RUN_BLOCKED;
    OK(save_run(&r));
    signal_run("f", "s");
    OK(end_run("f", RUN_COMPLETED)); /* its signal is unread for ever */
    signal_run("a", "s");
    enqueue("x", NULL, STREAM_NORMAL, 0);
    enqueue("y", NULL, STREAM_NORMAL, SECONDS(100));
    enqueue("z", NULL, STREAM_NORMAL, 0);
    kill_task("z");
    start_on("other", "q", STREAM_NORMAL);
    count_pending(&p);
    CHECK_INT(p.running, 2);
    CHECK_INT(p.due, 1);
    CHECK_INT(p.waiting, 1);
    CHECK_INT(p.paused, 1);
    CHECK_INT(p.blocked, 1);
    CHECK_INT(p.inbox, 1);
    CHECK_INT(p.tasks, 2);
    CHECK_INT(p.dead, 1);
    OK(w.client->ops->pending(w.client, "none,q", w.now_us, &p, &w.err));
    CHECK_INT(p.running, 1);
    CHECK_INT(p.tasks, 0);
    OK(w.client->ops->pending(w.client, "default", w.now_us - 1, &p, &w.err));
    CHECK_INT(p.running, 1);
    CHECK_INT(p.due, 0);
    CHECK_INT(p.waiting, 2);
}

TEST(the_store_says_what_it_is)
{
    struct store_info  info;
    struct worker_row *rows;
    size_t             n;
    int64_t            now_us;
    owned();
    OK(w.client->ops->now(w.client, &now_us, &w.err));
    CHECK_INT(now_us, w.now_us);
    OK(w.client->ops->info(w.client, &w.arena, &info, &w.err));
    CHECK_TEXT(info.kind, subject.name);
    CHECK(info.owner != NULL || subject.shared); /* or several workers have them */
    CHECK_TEXT(info.damage, NULL);
    OK(w.client->ops->workers(w.client, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 1);
    CHECK_TEXT(rows[0].name, "test");
    CHECK_TEXT(rows[0].handlers, "task:t");
    CHECK_INT(rows[0].id, w.worker);
    CHECK(rows[0].live);
}
