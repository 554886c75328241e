/*
 * What things cost on PostgreSQL, counted exactly by a server of its own: statements
 * (pg_stat_statements), commits, rows written by table, bytes of the log, roundtrips of the link.
 * A client and a worker are processes of their own, so all of them have told the server what they
 * did when they have gone.
 *
 * Nothing else happens on that server: no autovacuum, no checkpoint within a measurement. Each
 * begins with a checkpoint, with full pages in the log as usual: what is asserted includes those of
 * the pages that a measurement finds and changes.
 */
#include "pg.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/relay.h"
#include "proc.h"
#include "store/cost.h"
#include "store/postgres.h"

enum { RTT_MS = 150 };

static struct pg    *server;
static const char   *url;
static struct store *watcher;
static struct err    err;

static void
start_server(void)
{
    server = pg_start(&(struct pg_opt){
        .fast = true,
        .settings = "shared_preload_libraries = 'pg_stat_statements'\nautovacuum = off\n"
                    "checkpoint_timeout = 1h\nmax_wal_size = 8GB\nfull_page_writes = on\n"});
}

TEST_SETUP(start_server)

static void
must(int rc)
{
    if (rc != HF_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", err_name(rc), err.text);
}

static void
open_database(void)
{
    char       name[40];
    struct buf log = {0};

    snprintf(name, sizeof(name), "costs_%d", (int)getpid());
    url = pg_new_database(server, name);
    must(postgres_migrate(url, MIGRATE_RUN, &log, &err));
    buf_release(&log);
    pg_exec(url, "create extension pg_stat_statements");
    must(store_open(url, NULL, &watcher, &err));
}

/* ---- the program that is measured */

static int
noop(hf_tk *tk, void *arg)
{
    (void)tk, (void)arg;
    return HF_OK;
}

static int
once_more(hf_tk *tk, void *arg)
{
    (void)arg;
    return hf_tk_attempt(tk) == 1 ? hf_tk_fail(tk, "busy", "once") : HF_OK;
}

static int
one_task(hf_wf *wf)
{
    return hf_task(wf, "noop", NULL, NULL);
}

static int
fan_out(hf_wf *wf)
{
    hf_call calls[5];
    for (int i = 0; i < 5; i++)
        HF_TRY(hf_task_start(wf, "noop", NULL, &calls[i]));
    return hf_all(wf, calls, 5);
}

static int
step(hf_st *st, void *arg)
{
    (void)arg;
    return hf_step_return(st, NULL);
}

static int
ten_steps(hf_wf *wf)
{
    for (int i = 0; i < 10; i++)
        HF_TRY(hf_step(wf, "step", step, NULL, NULL));
    return HF_OK;
}

static int
sleeper(hf_wf *wf)
{
    return hf_sleep(wf, 300);
}

static int
listener(hf_wf *wf)
{
    return hf_signal(wf, "go", NULL);
}

static hf *
open_at(const char *at)
{
    hf *h;
    OK(h, hf_open(at, &h));
    return h;
}

static pid_t
start_worker(const char *at, int drain)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    hf *h = open_at(at);
    OK(h, hf_handler(h, "noop", noop, NULL, NULL));
    OK(h, hf_handler(h, "once-more", once_more, NULL, NULL));
    OK(h, hf_workflow(h, "one", 1, one_task));
    OK(h, hf_workflow(h, "fan-out", 1, fan_out));
    OK(h, hf_workflow(h, "steps", 1, ten_steps));
    OK(h, hf_workflow(h, "sleeper", 1, sleeper));
    OK(h, hf_workflow(h, "listener", 1, listener));
    OK(h, hf_run(h, HF_WORKER(.drain = drain, .handle_signals = 1)));
    hf_close(h);
    _exit(0);
}

static void
end_worker(pid_t pid, int sig)
{
    int status;
    if (sig)
        kill(pid, sig);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
drain(void)
{
    end_worker(start_worker(url, 1), 0);
}

static void
enqueue(const char *task, size_t n, const hf_opt *opt)
{
    enum { PAGE = 5000 };
    static const char *inputs[PAGE];
    hf                *h = open_at(url);
    for (size_t i = 0; i < PAGE; i++)
        inputs[i] = "{\"n\":1}";
    for (size_t m; n > 0; n -= m) {
        m = n < PAGE ? n : PAGE;
        OK(h, hf_enqueue_many(h, task, inputs, m, opt, NULL));
    }
    hf_close(h);
}

static void
start(const char *workflow, size_t n)
{
    hf *h = open_at(url);
    OK(h, hf_start_many(h, workflow, NULL, NULL, n, NULL, NULL));
    hf_close(h);
}

/* ---- counting */

struct table_rows {
    int64_t inserted, updated, deleted;
};

struct cost {
    struct store_cost all;
    struct table_rows task, run, history, inbox, dead;
};

static struct table_rows
rows_of(const char *table)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "select n_tup_ins * 1000000000000 + n_tup_upd * 1000000 + n_tup_del from "
             "pg_stat_user_tables where schemaname = 'holdfast' and relname = '%s'",
             table);
    int64_t v = pg_int(url, sql);
    return (struct table_rows){v / 1000000000000, v / 1000000 % 1000000, v % 1000000};
}

/* A session of the server adds its counts up before it leaves this view: the watcher's and the one
 * that asks stay. */
static int64_t
sessions(void)
{
    return pg_int(url, "select count(*) from pg_stat_activity where datname = current_database()");
}

static struct cost
spent(void)
{
    UNTIL(sessions() <= 2);
    struct cost c = {.task = rows_of("task"),
                     .run = rows_of("run"),
                     .history = rows_of("history"),
                     .inbox = rows_of("inbox"),
                     .dead = rows_of("dead")};
    must(store_cost(watcher, &c.all, &err));
    CHECK(c.all.statements > 0);
    return c;
}

static struct cost
begin(void)
{
    pg_exec(url, "checkpoint");
    return spent();
}

static struct table_rows
rows_less(struct table_rows a, struct table_rows b)
{
    return (struct table_rows){a.inserted - b.inserted, a.updated - b.updated,
                               a.deleted - b.deleted};
}

/* Since then; said for those who look (TEST_VERBOSE). */
static struct cost
since(const struct cost *b, const char *what, size_t units)
{
    struct cost c = spent();
    double      n = (double)units;
    c.all.statements -= b->all.statements;
    c.all.commits -= b->all.commits;
    c.all.rows -= b->all.rows;
    c.all.wal_bytes -= b->all.wal_bytes;
    c.task = rows_less(c.task, b->task);
    c.run = rows_less(c.run, b->run);
    c.history = rows_less(c.history, b->history);
    c.inbox = rows_less(c.inbox, b->inbox);
    c.dead = rows_less(c.dead, b->dead);
    printf("# %s, of %zu: %.4f statements, %.4f commits, %.3f rows, %.1f bytes of WAL\n", what,
           units, (double)c.all.statements / n, (double)c.all.commits / n, (double)c.all.rows / n,
           (double)c.all.wal_bytes / n);
    return c;
}

#define ROWS(is, ins, upd, del)                                                                    \
    do {                                                                                           \
        CHECK_INT((is).inserted, ins);                                                             \
        CHECK_INT((is).updated, upd);                                                              \
        CHECK_INT((is).deleted, del);                                                              \
    } while (0)

/* Beside the rows of the work: the worker, its partitions, and that it is busy. */
enum { FEW = 200 };

/* ---- bulk */

TEST_WITHIN(a_bulk_task_costs_two_rows_and_hardly_a_statement, 120)
{
    const int64_t n = 100000;
    open_database();
    enqueue("noop", 10, NULL);
    drain();
    struct cost before = begin();
    enqueue("noop", (size_t)n, NULL);
    drain();
    struct cost c = since(&before, "task", (size_t)n);
    ROWS(c.task, n, 0, n);
    CHECK(c.all.rows <= 2 * n + FEW);
    CHECK(c.all.statements * 100 <= n);
    CHECK(c.all.commits * 200 <= n);
    CHECK(c.all.wal_bytes <= 500 * n);
}

TEST_WITHIN(a_fan_out_of_five_costs_four_rows_and_hardly_a_statement, 120)
{
    const int64_t n = 5000;
    open_database();
    start("fan-out", 10);
    drain();
    struct cost before = begin();
    start("fan-out", (size_t)n);
    drain();
    struct cost c = since(&before, "fan-out", (size_t)n);
    ROWS(c.run, n, n, 0);
    ROWS(c.history, 2 * n, 0, 0);
    ROWS(c.task, 0, 0, 0);
    CHECK(c.all.rows <= 4 * n + FEW);
    CHECK(c.all.statements * 20 <= n);
    CHECK(c.all.wal_bytes <= 1700 * n);
}

/* ---- rows of each operation */

TEST_WITHIN(ten_steps_cost_ten_history_rows_and_one_update, 60)
{
    const int64_t n = 200;
    open_database();
    struct cost before = begin();
    start("steps", (size_t)n);
    drain();
    struct cost c = since(&before, "ten steps", (size_t)n);
    CHECK_INT(c.run.inserted, n);
    CHECK_INT(c.run.updated, n);
    CHECK(c.history.inserted >= 10 * n && c.history.inserted <= 11 * n);
    CHECK(c.all.rows <= 13 * n + FEW);
}

TEST_WITHIN(a_sleep_costs_two_history_rows_and_two_updates, 60)
{
    const int64_t n = 500;
    open_database();
    struct cost before = begin();
    start("sleeper", (size_t)n);
    drain();
    struct cost c = since(&before, "sleep", (size_t)n);
    ROWS(c.run, n, 2 * n, 0);
    ROWS(c.history, 2 * n, 0, 0);
    CHECK(c.all.rows <= 5 * n + FEW);
}

TEST_WITHIN(a_signal_costs_an_inbox_row_and_its_end, 60)
{
    const int64_t n = 200;
    char          id[40];
    open_database();
    hf *h = open_at(url);
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "run-%d", i);
        OK(h, hf_start(h, "listener", NULL, HF_OPT(.id = id), NULL));
    }
    hf_close(h);
    drain();
    struct cost before = begin();
    h = open_at(url);
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "run-%d", i);
        OK(h, hf_send(h, id, "go", "1", NULL));
    }
    hf_close(h);
    drain();
    struct cost c = since(&before, "signal", (size_t)n);
    ROWS(c.inbox, n, 0, n);
    ROWS(c.run, 0, n, 0);
    ROWS(c.history, n, 0, 0);
    CHECK(c.all.rows <= 4 * n + FEW);
}

TEST_WITHIN(another_attempt_later_costs_one_update, 60)
{
    const int64_t n = 500;
    open_database();
    struct cost before = begin();
    enqueue("once-more", (size_t)n, HF_OPT(.first_delay_ms = 200));
    drain();
    struct cost c = since(&before, "task with a retry", (size_t)n);
    ROWS(c.task, n, n, n);
    CHECK(c.all.rows <= 3 * n + FEW);
}

/* ---- alone */

static int
by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Client and worker both at the far end of a link. The roundtrips of a run follow from its time. */
TEST_WITHIN(a_run_alone_takes_five_roundtrips_from_start_to_result, 90)
{
    enum { RUNS = 9 };
    struct relay *relay;
    int64_t       us[RUNS];
    char          id[HF_ID_SIZE], database[40];

    open_database();
    must(relay_open(pg_socket(server), 0, RTT_MS * 1000, &relay, &err));
    snprintf(database, sizeof(database), "costs_%d", (int)getpid());
    const char *far = pg_tcp_url(server, database, relay_port(relay));
    pid_t       worker = start_worker(far, 0);
    hf         *h = open_at(far);
    for (int i = -2; i < RUNS; i++) { /* the first ones connect and prepare */
        int64_t began_us = clock_steady_us();
        OK(h, hf_start(h, "fan-out", NULL, NULL, id));
        OK(h, hf_wait(h, id, 60000, NULL));
        if (i >= 0)
            us[i] = clock_steady_us() - began_us;
    }
    qsort(us, RUNS, sizeof(us[0]), by_size);
    printf("# fan-out alone at %d ms: %.2f roundtrips at best, %.2f in the middle\n", RTT_MS,
           (double)us[0] / RTT_MS / 1000, (double)us[RUNS / 2] / RTT_MS / 1000);
    CHECK(us[0] < RTT_MS * 5300 * test_slowness());
    CHECK(us[RUNS / 2] <= 800000 * test_slowness());
    hf_close(h);
    end_worker(worker, SIGTERM);
    relay_close(relay);
}

/* ---- what workers and the server have counted */

TEST(what_a_worker_has_counted_costs_no_statement_beside_its_lease)
{
    enum { RENEWALS = 20 };
    struct arena          a = {0};
    struct census         census;
    struct partition_row *rows;
    struct worker_self    self = {.handlers = "", .lease_us = 10 * US_PER_S};
    struct store         *s;
    struct store_cost     before, after;
    size_t                n;
    int64_t               worker = 0;
    char                  said[80];
    open_database();
    must(store_open(url, NULL, &s, &err));
    must(s->ops->acquire(s, &self, &worker, &a, &rows, &n, &err));
    must(s->ops->renew(s, worker, 1, NULL, &a, &census, &err));
    must(store_cost(watcher, &before, &err)); /* which it does for the first time */
    must(store_cost(watcher, &before, &err));
    must(store_cost(watcher, &after, &err));
    int64_t own = after.statements - before.statements;
    for (int i = 0; i < RENEWALS; i++) {
        snprintf(said, sizeof(said), "{\"n\":%d}", i);
        must(s->ops->renew(s, worker, 1, said, &a, &census, &err));
    }
    must(store_cost(watcher, &before, &err));
    CHECK_INT(before.statements - after.statements - own, RENEWALS);
    CHECK_TEXT(pg_text(url, "select stats from holdfast.worker"), "{\"n\":19}");
    s->ops->close(s);
    arena_release(&a);
}

static int64_t
calls_of(const char *at, const char *statement)
{
    struct arena        a = {0};
    struct store       *s;
    struct server_times t;
    int64_t             calls = 0;
    must(store_open(at, NULL, &s, &err));
    must(store_server_times(s, &a, &t, &err));
    CHECK(t.has_server && t.unknown == NULL);
    CHECK(t.since_us > 0 && t.hidden == 0);
    for (size_t i = 0; i < t.n; i++)
        if (strcmp(t.statements[i].name, statement) == 0) {
            CHECK(t.statements[i].total_us > 0);
            calls += t.statements[i].calls;
        }
    s->ops->close(s);
    arena_release(&a);
    return calls;
}

static void
list_runs(const char *at, int times)
{
    struct arena      a = {0};
    struct run_filter filter = {.status = -1, .limit = 1};
    struct run_row   *rows;
    struct store     *s;
    size_t            n;
    must(store_open(at, NULL, &s, &err));
    for (int i = 0; i < times; i++)
        must(s->ops->run_list(s, &filter, &a, &rows, &n, &err));
    s->ops->close(s);
    arena_release(&a);
}

/* Several installations share a database, and each wants to know of itself. */
TEST(the_times_of_the_server_are_of_this_schema_and_told_by_statement)
{
    struct buf log = {0};
    char       other[400];
    open_database();
    snprintf(other, sizeof(other), "%s&schema=the-other", url);
    must(postgres_migrate(other, MIGRATE_RUN, &log, &err));
    list_runs(url, 3);
    list_runs(other, 5);
    CHECK_INT(calls_of(url, "run_list"), 3);
    CHECK_INT(calls_of(other, "run_list"), 5);
    CHECK_INT(calls_of(url, "run_history"), 0);
    buf_release(&log);
}

TEST(without_the_extension_the_times_of_the_server_are_unknown_and_it_says_why)
{
    struct arena        a = {0};
    struct server_times t;
    open_database();
    pg_exec(url, "drop extension pg_stat_statements");
    must(store_server_times(watcher, &a, &t, &err));
    CHECK(t.has_server && t.n == 0);
    CHECK(t.unknown && strstr(t.unknown, "create extension pg_stat_statements"));
    arena_release(&a);
}

/* ---- at rest */

static int64_t
statements(void)
{
    struct store_cost c;
    must(store_cost(watcher, &c, &err));
    return c.statements;
}

static int64_t
connections(void)
{
    return pg_int(url, "select count(*) from pg_stat_activity where datname = current_database() "
                       "and application_name like 'holdfast/%'");
}

static void
rest(int workers)
{
    pid_t pid[8];
    int   seconds = test_is_quick() ? 5 : 10;

    open_database();
    int64_t own = -statements();
    own += statements(); /* to ask */
    for (int i = 0; i < workers; i++)
        pid[i] = start_worker(url, 0);
    sleep_ms(4000 * test_slowness()); /* they come together and find nothing to do */
    int64_t before = statements();
    sleep_ms(seconds * 1000);
    int64_t n = statements() - before - own;
    printf("# %d idle: %.2f statements a second each, %" PRId64 " connections in all\n", workers,
           (double)n / seconds / workers, connections());
    CHECK(n <= 2 * seconds * workers);
    CHECK(connections() <= 2 * workers);
    for (int i = 0; i < workers; i++)
        end_worker(pid[i], SIGTERM);
}

TEST_WITHIN(an_idle_worker_makes_two_statements_a_second, 60)
{
    rest(1);
}

TEST_WITHIN(idle_workers_do_not_keep_each_other_awake, 60)
{
    rest(3);
}
