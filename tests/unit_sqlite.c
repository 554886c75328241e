/*
 * What is special about the SQLite store: one owner a file, whatever process; what a kill leaves;
 * hints between processes; the plans of its statements. Files that are damaged, newer or full are
 * in unit_sqlite_files.c, and what all stores have in common is in the store suite.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "store/sqlite.h"
#include "test.h"

static const char file[] = "s.db";

static struct store *
open_store(void)
{
    struct err    err = {0};
    struct store *s = NULL;
    if (store_open(file, NULL, &s, &err) != HF_OK)
        test_fail(__FILE__, __LINE__, "open: %s", err.text);
    return s;
}

static int
acquire(struct store *s, int64_t *worker, struct arena *a, struct partition_row **p, size_t *n,
        struct err *err)
{
    struct worker_self self = {.name = "w", .handlers = "task:t"};
    return s->ops->acquire(s, &self, worker, a, p, n, err);
}

static int64_t
own(struct store *s)
{
    struct arena          a = {0};
    struct err            err = {0};
    struct partition_row *p;
    size_t                n;
    int64_t               worker = 0;
    if (acquire(s, &worker, &a, &p, &n, &err) != HF_OK)
        test_fail(__FILE__, __LINE__, "acquire: %s", err.text);
    arena_release(&a);
    return worker;
}

static int
enqueue(struct store *s, const char *id, int64_t run_at_us, struct err *err)
{
    struct submit item = {.kind = SUBMIT_ENQUEUE,
                          .id = id,
                          .name = "t",
                          .payload = "{\"n\":1}",
                          .cls = STREAM_NORMAL,
                          .run_at_us = run_at_us};
    size_t        bad;
    return s->ops->submit(s, &item, 1, &bad, err);
}

static int64_t
start(struct store *s, const char *id, const char *token)
{
    struct err    err = {0};
    size_t        bad;
    struct submit item = {
        .kind = SUBMIT_START, .id = id, .name = "w", .cls = STREAM_NORMAL, .token = token};
    if (s->ops->submit(s, &item, 1, &bad, &err) != HF_OK)
        test_fail(__FILE__, __LINE__, "start: %s", err.text);
    return item.no;
}

static int
cycle(struct store *s, int64_t worker, struct write *writes, size_t n, struct cursor *c,
      struct arena *a, struct rows *rows, struct err *err)
{
    struct batch batch = {.worker = worker,
                          .partitions = &c->partition,
                          .n_partitions = 1,
                          .writes = writes,
                          .n_writes = n};
    struct room  room = {100, 100, 100, false};
    return s->ops->cycle(s, &batch, c, 1, &room, a, rows, err);
}

/* Runs fn in a child; its exit code. */
static int
in_child(int (*fn)(void))
{
    pid_t pid = fork();
    int   status = 0;
    if (pid == 0)
        _exit(fn());
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int
child_acquires(void)
{
    struct arena          a = {0};
    struct err            err = {0};
    struct partition_row *p;
    size_t                n;
    int64_t               worker = 0;
    struct store         *s = open_store();
    int                   rc = acquire(s, &worker, &a, &p, &n, &err);
    bool                  named = strstr(err.text, "pid ") != NULL;
    s->ops->close(s);
    arena_release(&a);
    return rc == HF_OK ? 0 : rc == HF_OWNED && named ? 1 : 2;
}

/* Two owners of one file would execute the same run twice. */
TEST(only_one_process_owns_a_file)
{
    struct err    err = {0};
    struct store *s = open_store();
    int64_t       worker = own(s);
    CHECK_INT(in_child(child_acquires), 1);
    CHECK_INT(s->ops->leave(s, worker, &err), HF_OK);
    CHECK_INT(in_child(child_acquires), 0);
    CHECK_INT(s->ops->renew(s, worker, 0, NULL, NULL, NULL, &err), HF_STALE);
    s->ops->close(s);
}

TEST(two_stores_of_one_process_exclude_each_other)
{
    struct arena          a = {0};
    struct err            err = {0};
    struct store         *s = open_store(), *t = NULL;
    struct partition_row *p;
    size_t                n;
    int64_t               worker = own(s), other = 0;
    CHECK_INT(s->ops->clone(s, &t, &err), HF_OK);
    CHECK_INT(acquire(t, &other, &a, &p, &n, &err), HF_OWNED);
    CHECK(worker > 0);
    s->ops->close(s);
    CHECK_INT(acquire(t, &other, &a, &p, &n, &err), HF_OK);
    CHECK_INT(other, worker + 1);
    t->ops->close(t);
    arena_release(&a);
}

static int
claim_and_die(void)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct rows   rows;
    struct cursor c = {.partition = 1};
    struct store *s = open_store();
    int64_t       worker = own(s);
    if (cycle(s, worker, NULL, 0, &c, &a, &rows, &err) || rows.n_tasks != 1 || rows.n_runs != 1)
        return 2;
    rows.tasks[0].claimed = true;
    rows.runs[0].claimed = true;
    struct write w[2] = {{.kind = WRITE_TASK, .unit = 0, .task = &rows.tasks[0]},
                         {.kind = WRITE_RUN, .unit = 1, .run = &rows.runs[0]}};
    if (cycle(s, worker, w, 2, &c, &a, &rows, &err))
        return 3;
    kill(getpid(), SIGKILL);
    return 4;
}

/* What was running when the owner died is blamed, so that it cannot take the queue down for ever.
 */
TEST(a_killed_owner_is_counted_as_a_crash)
{
    struct arena          a = {0};
    struct err            err = {0};
    struct partition_row *p;
    size_t                n;
    int64_t               worker = 0;
    struct rows           rows;
    struct cursor         c = {.partition = 1};
    struct store         *s = open_store();
    CHECK_INT(enqueue(s, "a", 0, &err), HF_OK);
    start(s, "r", NULL);
    CHECK_INT(in_child(claim_and_die), 99);
    CHECK_INT(acquire(s, &worker, &a, &p, &n, &err), HF_OK);
    CHECK_INT(n, 1);
    CHECK_INT(p[0].crashes, 1);
    CHECK(p[0].crashed_us > 0);
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 1);
    CHECK_INT(rows.tasks[0].crashes, 1);
    CHECK(!rows.tasks[0].claimed);
    CHECK_INT(rows.n_runs, 1);
    CHECK_INT(rows.runs[0].crashes, 1);
    struct write calm = {.kind = WRITE_CALM, .partition = 1};
    CHECK_INT(cycle(s, worker, &calm, 1, &c, &a, &rows, &err), HF_OK);
    CHECK_INT(acquire(s, &worker, &a, &p, &n, &err), HF_OK);
    CHECK_INT(p[0].crashes, 0);
    s->ops->close(s);
    arena_release(&a);
}

TEST(many_processes_may_make_the_file_at_once)
{
    pid_t pids[8];
    int   status;
    for (int i = 0; i < 8; i++) {
        if ((pids[i] = fork()) == 0) {
            struct err    err = {0};
            struct store *s = open_store();
            int           rc = enqueue(s, NULL, 0, &err);
            s->ops->close(s);
            _exit(rc != HF_OK);
        }
    }
    for (int i = 0; i < 8; i++) {
        waitpid(pids[i], &status, 0);
        CHECK_INT(status, 0);
    }
    struct err     err = {0};
    struct pending p;
    struct store  *s = open_store();
    CHECK_INT(s->ops->pending(s, NULL, 0, &p, &err), HF_OK);
    CHECK_INT(p.tasks, 8);
    s->ops->close(s);
}

TEST(a_value_that_is_refused_names_its_unit)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct rows   rows;
    struct cursor c = {.partition = 1};
    struct store *s = open_store();
    int64_t       worker = own(s);
    start(s, "r", NULL);
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    struct run_row r = rows.runs[0];
    CHECK(r.fresh == false); /* known when the cursor began */
    r.status = 99;
    struct write w[2] = {
        {.kind = WRITE_HISTORY,
         .unit = 3,
         .history = {.run_no = r.no, .execution = 1, .seq = 1, .events = "[]", .events_len = 2}},
        {.kind = WRITE_RUN, .unit = 7, .run = &r}};
    struct batch batch = {.worker = worker, .writes = w, .n_writes = 2};
    struct room  room = {1, 1, 1, false};
    CHECK_INT(s->ops->cycle(s, &batch, &c, 1, &room, &a, &rows, &err), HF_REFUSED);
    CHECK_INT(batch.refused, 7);
    CHECK_INT(cycle(s, worker, w, 1, &c, &a, &rows, &err),
              HF_OK); /* the history row is not there */
    CHECK_INT(cycle(s, worker, w, 1, &c, &a, &rows, &err), HF_STALE);
    s->ops->close(s);
    arena_release(&a);
}

/* A page of equal times is cut in the middle, and goes on there; nothing comes early or twice. */
TEST(due_tasks_come_once_and_in_pages)
{
    struct arena  a = {0};
    struct err    err = {0};
    int64_t       us = 1000000;
    struct clock  clock = clock_fake(&us);
    struct store *s;
    struct cursor c = {.partition = 1};
    struct rows   rows;
    size_t        found = 0;
    CHECK_INT(store_open(file, &clock, &s, &err), HF_OK);
    int64_t worker = own(s);
    for (int i = 0; i < 25; i++)
        CHECK_INT(enqueue(s, NULL, 2000000, &err), HF_OK);
    struct batch batch = {.worker = worker};
    struct room  room = {10, 10, 10, false};
    CHECK_INT(s->ops->cycle(s, &batch, &c, 1, &room, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 0);
    CHECK_INT(rows.next_due_us, 2000000);
    us = 2000000;
    for (int i = 0; i < 3; i++) {
        CHECK_INT(s->ops->cycle(s, &batch, &c, 1, &room, &a, &rows, &err), HF_OK);
        found += rows.n_tasks;
        CHECK_INT(rows.more, i < 2);
    }
    CHECK_INT(found, 25);
    CHECK_INT(rows.next_due_us, NEVER_US);
    us = 1500000; /* a clock that goes back: late by the position, so at once */
    CHECK_INT(enqueue(s, NULL, 1900000, &err), HF_OK);
    CHECK_INT(s->ops->cycle(s, &batch, &c, 1, &room, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 1);
    CHECK_INT(s->ops->cycle(s, &batch, &c, 1, &room, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 0);
    s->ops->close(s);
    arena_release(&a);
}

/* An owner that sleeps is woken by a submit of another process. */
TEST(a_submit_wakes_the_owner)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct rows   rows;
    struct cursor c = {.partition = 1};
    struct store *s = open_store();
    int64_t       worker = own(s);
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *t = open_store();
        usleep(100000);
        _exit(enqueue(t, NULL, clock_system_us() - 5, &err) != HF_OK);
    }
    int64_t begin_us = clock_steady_us();
    CHECK_INT(s->ops->wait(s, -1, begin_us + 5000000, &err), HF_OK);
    int64_t took_us = clock_steady_us() - begin_us;
    CHECK(took_us > 90000);
    CHECK(took_us < 100000 + 50000 * test_slowness());
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 1);
    waitpid(pid, NULL, 0);
    begin_us = clock_steady_us(); /* and nothing else wakes it */
    CHECK_INT(s->ops->wait(s, -1, begin_us + 200000, &err), HF_OK);
    CHECK(clock_steady_us() - begin_us >= 200000);
    s->ops->close(s);
    arena_release(&a);
}

TEST(who_waits_for_a_result_is_told)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct rows   rows;
    struct cursor c = {.partition = 1};
    struct store *s = open_store();
    int64_t       worker = own(s), told_us = 0;
    int           fds[2];
    start(s, "r", "tok");
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    CHECK_INT(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct run_row run;
        struct store  *t = open_store();
        int rc = t->ops->wait_result(t, "r", "tok", clock_steady_us() + 5000000, &a, &run, &err);
        told_us = clock_steady_us();
        if (write(fds[1], &told_us, sizeof(told_us)) != sizeof(told_us))
            _exit(2);
        _exit(rc != HF_OK || run.status != RUN_COMPLETED || strcmp(run.output, "7") != 0);
    }
    usleep(200000);
    rows.runs[0].status = RUN_COMPLETED;
    rows.runs[0].output = "7";
    struct write w = {.kind = WRITE_RUN, .run = &rows.runs[0]};
    CHECK_INT(cycle(s, worker, &w, 1, &c, &a, &rows, &err), HF_OK);
    int64_t began_us = clock_steady_us();
    s->ops->tell_waiters(s);
    CHECK(read(fds[0], &told_us, sizeof(told_us)) == sizeof(told_us));
    printf("# a result is seen after %lld us\n", (long long)(told_us - began_us));
    CHECK(told_us - began_us < 50000 * test_slowness());
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK_INT(status, 0);
    struct run_row run;
    CHECK_INT(s->ops->wait_result(s, "r", "other", clock_steady_us() + 20000, &a, &run, &err),
              HF_TIMEOUT);
    s->ops->close(s);
    arena_release(&a);
}

/* A plan that reads the whole table is right, and ruins the store once it is large. */
TEST(every_statement_uses_the_index_it_names)
{
    struct err    err = {0};
    struct store *s = open_store();
    sqlite3      *db = sqlite_of(s)->db;
    for (int i = 0; i < SQLS; i++) {
        if (i == SQL_setup || i == SQL_limit_pages || i == SQL_make_migrations ||
            i == SQL_explain_plan)
            continue;
        if (sql_get(sqlite_of(s), (enum sql)i, &err) == NULL)
            test_fail(__FILE__, __LINE__, "%s", err.text);
        const char *want = sql_index((enum sql)i);
        if (*want == '\0')
            continue;
        bool          found = false;
        sqlite3_stmt *q;
        char         *text = sqlite3_mprintf("explain query plan %s", sql_text((enum sql)i));
        CHECK_INT(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK);
        while (sqlite3_step(q) == SQLITE_ROW) {
            const char *line = (const char *)sqlite3_column_text(q, 3);
            if (strcmp(want, "primary key") == 0 ? strstr(line, "PRIMARY KEY") != NULL
                                                 : strstr(line, want) != NULL)
                found = true;
            if (strncmp(line, "SCAN hf_", 8) == 0 && strstr(line, "USING") == NULL)
                test_fail(__FILE__, __LINE__, "%s: %s", text, line);
        }
        if (!found)
            test_fail(__FILE__, __LINE__, "does not use %s: %s", want, text);
        sqlite3_finalize(q);
        sqlite3_free(text);
    }
    s->ops->close(s);
}

TEST(ids_of_tasks_are_read_back)
{
    char id[HF_ID_SIZE];
    task_id_format(row_no(7, 2, 123456789), id);
    CHECK_TEXT(id, "t7.2.123456789");
    CHECK_INT(task_id_parse(id), row_no(7, 2, 123456789));
    CHECK_INT(task_id_parse("t1.4.1"), 0);
    CHECK_INT(task_id_parse("t1.1.01"), 0);
    CHECK_INT(task_id_parse("t1.1.1x"), 0);
    CHECK_INT(task_id_parse("t99999999999999999999.1.1"), 0);
}

/* A delayed task that is claimed keeps a place where the next owner finds it. */
TEST(a_delayed_task_is_found_by_the_next_owner_after_it_was_started)
{
    struct arena  a = {0};
    struct err    err = {0};
    int64_t       us = 1000000;
    struct clock  clock = clock_fake(&us);
    struct store *s;
    struct rows   rows;
    struct cursor c = {.partition = 1}, again = {.partition = 1};
    CHECK_INT(store_open(file, &clock, &s, &err), HF_OK);
    int64_t worker = own(s);
    CHECK_INT(enqueue(s, "d", 2000000, &err), HF_OK);
    us = 3000000;
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 1);
    rows.tasks[0].run_at_us = 0;
    rows.tasks[0].claimed = true;
    struct write w = {.kind = WRITE_TASK, .task = &rows.tasks[0]};
    CHECK_INT(cycle(s, worker, &w, 1, &c, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 0);
    s->ops->close(s);
    CHECK_INT(store_open(file, &clock, &s, &err), HF_OK);
    worker = own(s);
    CHECK_INT(cycle(s, worker, NULL, 0, &again, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_tasks, 1);
    CHECK_INT(rows.tasks[0].run_at_us, 0);
    CHECK_INT(rows.tasks[0].crashes, 1);
    s->ops->close(s);
    arena_release(&a);
}

/* Sends, replaces and looks at everything once; the first code that is not 0. */
static int
use_all(struct arena *a, struct err *err)
{
    struct store         *s = NULL;
    struct worker_self    self = {.name = "w"};
    struct partition_row *p;
    struct worker_row    *workers;
    struct run_row        run, *runs;
    struct task_row      *tasks;
    struct store_info     info;
    struct loaded         loaded;
    struct rows           rows = {0};
    struct cursor         c = {.partition = 1};
    struct pending        pending;
    struct room           room = {50, 50, 50, false};
    int64_t               worker = 0;
    size_t                n, bad;
    struct submit         items[] = {
                {.kind = SUBMIT_START, .id = "r", .name = "w", .token = "1", .if_exists = 2},
                {.kind = SUBMIT_SIGNAL, .id = "r", .name = "s", .payload = "1", .key = "k"},
                {.kind = SUBMIT_ENQUEUE, .name = "t", .queue = "other", .run_at_us = 5},
                {.kind = SUBMIT_ENQUEUE, .name = "t", .payload = "p"}};
    TRY(store_open(file, NULL, &s, err));
    int rc = s->ops->submit(s, items, 4, &bad, err);
    if (rc == HF_OK)
        rc = s->ops->acquire(s, &self, &worker, a, &p, &n, err);
    struct batch batch = {.worker = worker};
    if (rc == HF_OK)
        rc = s->ops->cycle(s, &batch, &c, 1, &room, a, &rows, err);
    if (rc == HF_OK)
        rc = s->ops->load(s, &items[0].no, 1, a, &loaded, err);
    if (rc == HF_OK)
        rc = s->ops->run_get(s, "r", a, &run, err);
    if (rc == HF_OK)
        rc = s->ops->run_list(s, &(struct run_filter){.status = -1, .limit = 9}, a, &runs, &n, err);
    if (rc == HF_OK)
        rc = s->ops->task_list(s, &(struct task_filter){.limit = 9, .queue = "other"}, a, &tasks,
                               &n, err);
    if (rc == HF_OK)
        rc = s->ops->workers(s, a, &workers, &n, err);
    if (rc == HF_OK)
        rc = s->ops->pending(s, "other, default", 0, &pending, err);
    if (rc == HF_OK)
        rc = s->ops->info(s, a, &info, err);
    if (rc == HF_OK)
        rc = s->ops->leave(s, worker, err);
    s->ops->close(s);
    return rc;
}

TEST(memory_that_is_out_at_any_place_is_an_error_and_no_more)
{
    struct arena a = {0};
    struct err   err = {0};
    CHECK_INT(use_all(&a, &err), HF_OK);
    for (long n = 1;; n++) {
        arena_release(&a);
        mem_fail_at(n, 0);
        int  rc = use_all(&a, &err);
        bool all = mem_count() < n;
        mem_fail_at(0, 0);
        if (rc != HF_OK)
            CHECK_INT(rc, HF_NOMEM);
        if (all)
            break;
    }
    arena_release(&a);
    CHECK_INT(use_all(&a, &err), HF_OK);
    arena_release(&a);
}

/* Who replaces an ended run may signal it at once; repeating the start does nothing. */
TEST(a_run_that_is_about_to_begin_anew_takes_signals)
{
    struct arena      a = {0};
    struct err        err = {0};
    struct rows       rows;
    struct cursor     c = {.partition = 1};
    struct store     *s = open_store();
    struct inbox_row *inbox;
    size_t            bad, n;
    int64_t           worker = own(s), no = start(s, "r", "1");
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    rows.runs[0].status = RUN_FAILED;
    struct write w = {.kind = WRITE_RUN, .run = &rows.runs[0]};
    CHECK_INT(cycle(s, worker, &w, 1, &c, &a, &rows, &err), HF_OK);
    struct submit signal = {.kind = SUBMIT_SIGNAL, .id = "r", .name = "s", .key = "k"};
    struct submit again = {
        .kind = SUBMIT_START, .id = "r", .name = "w", .token = "2", .if_exists = IF_EXISTS_LIVE};
    CHECK_INT(s->ops->submit(s, &signal, 1, &bad, &err), HF_DONE);
    CHECK_INT(s->ops->submit(s, &again, 1, &bad, &err), HF_OK);
    CHECK(again.existed);
    CHECK_INT(s->ops->submit(s, &again, 1, &bad, &err), HF_OK);
    CHECK_INT(s->ops->submit(s, &signal, 1, &bad, &err), HF_OK);
    CHECK_INT(s->ops->submit(s, &signal, 1, &bad, &err), HF_OK);
    CHECK_INT(s->ops->inbox_list(s, no, &a, &inbox, &n, &err), HF_OK);
    CHECK_INT(n, 2);
    CHECK_INT(inbox[0].kind, INBOX_REPLACE);
    CHECK_INT(inbox[1].kind, INBOX_SIGNAL);
    CHECK_INT(cycle(s, worker, NULL, 0, &c, &a, &rows, &err), HF_OK);
    CHECK_INT(rows.n_inbox, 2);
    s->ops->close(s);
    arena_release(&a);
}

static const char *
said(struct store *s, struct arena *a)
{
    struct err         err = {0};
    struct worker_row *rows;
    size_t             n;
    CHECK_INT(s->ops->workers(s, a, &rows, &n, &err), HF_OK);
    CHECK_INT(n, 1);
    return rows[0].stats;
}

static int
changes(struct store *watcher)
{
    struct err err = {0};
    int64_t    version = 0;
    CHECK_INT(sqlite_data_version(sqlite_of(watcher), &version, &err), HF_OK);
    return (int)version;
}

/* A sync of the disk every few seconds for numbers would be felt where there is work. */
TEST(what_a_busy_owner_has_counted_goes_with_its_next_commit)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct rows   rows;
    struct cursor c = {.partition = 1};
    struct store *s = open_store(), *watcher = open_store();
    int64_t       worker = own(s), no = start(s, "r", NULL);
    struct write  w = {
         .kind = WRITE_HISTORY,
         .history = {.run_no = no, .execution = 1, .seq = 1, .events = "[]", .events_len = 2}};
    CHECK_INT(cycle(s, worker, &w, 1, &c, &a, &rows, &err), HF_OK);
    int before = changes(watcher);
    CHECK_INT(s->ops->renew(s, worker, 0, "{}", NULL, NULL, &err), HF_OK);
    CHECK_INT(changes(watcher), before);
    CHECK(said(watcher, &a) == NULL);
    w.history.seq = 2;
    CHECK_INT(cycle(s, worker, &w, 1, &c, &a, &rows, &err), HF_OK);
    CHECK_TEXT(said(watcher, &a), "{}");
    before = changes(watcher);
    CHECK_INT(s->ops->renew(s, worker, 0, NULL, NULL, NULL, &err), HF_OK);
    CHECK_INT(changes(watcher), before); /* it is stored: nothing is left to write */
    watcher->ops->close(watcher);
    s->ops->close(s);
    arena_release(&a);
}

TEST(what_an_owner_at_rest_has_counted_is_stored_at_once)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct store *s = open_store();
    int64_t       worker = own(s);
    sqlite_of(s)->wrote_us = 0; /* long ago */
    CHECK_INT(s->ops->renew(s, worker, 0, "{}", NULL, NULL, &err), HF_OK);
    CHECK_TEXT(said(s, &a), "{}");
    s->ops->close(s);
    arena_release(&a);
}

/* Under constant writing too: otherwise the disk fills with what is in the file already. */
TEST(the_log_stays_small_while_the_owner_writes)
{
    static char   big[1000000];
    struct err    err = {0};
    struct store *s = open_store();
    size_t        bad;
    CHECK(own(s) > 0);
    memset(big, 'x', sizeof(big) - 1);
    struct submit item = {.kind = SUBMIT_ENQUEUE, .name = "t", .payload = big};
    for (int i = 0; i < (test_is_quick() ? 30 : 300); i++)
        CHECK_INT(s->ops->submit(s, &item, 1, &bad, &err), HF_OK);
    CHECK(sqlite_log_bytes(sqlite_of(s)) < 100 << 20); /* of 300 MB; the thread may lag behind */
    s->ops->close(s);
}
