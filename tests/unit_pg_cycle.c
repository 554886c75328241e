/*
 * The owner's half of the PostgreSQL store: that fetching is exact whatever writers do, that a
 * cycle is one roundtrip, who wins when two believe that they own.
 */
#include "pg.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "bench/relay.h"
#include "store/postgres_cycle.h"

static struct pg *server;

static void
start_server(void)
{
    server = pg_start(&(struct pg_opt){.fast = true, .tcp = true});
}

TEST_SETUP(start_server)

static struct err err;

#define GIVES(code, call)                                                                          \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != (code))                                                                         \
            test_fail(__FILE__, __LINE__, "%s is %s (%s), should be %s", #call, err_name(rc_),     \
                      err.text, err_name(code));                                                   \
    } while (0)
#define OK(call) GIVES(HF_OK, call)

enum { PARTITIONS_HERE = 400 };

/* An owner and what it has read last. */
struct owner {
    struct store *store;
    int64_t       worker;
    struct cursor cursors[PARTITIONS_HERE];
    int32_t       partitions[PARTITIONS_HERE];
    size_t        n;
    struct room   room;
    struct rows   rows;
    struct arena  arena;
    struct batch  batch;
    int64_t       lease_us;
};

static const char *
new_database(void)
{
    static char url[300];
    struct buf  out = {0};
    char        name[40];
    snprintf(name, sizeof(name), "cycle_%d", (int)getpid());
    snprintf(url, sizeof(url), "%s", pg_new_database(server, name));
    OK(postgres_migrate(url, MIGRATE_RUN, &out, &err));
    buf_release(&out);
    return url;
}

static void
acquire(struct owner *o)
{
    struct worker_self    self = {.name = "test", .handlers = "", .lease_us = o->lease_us};
    struct partition_row *rows;
    size_t                n;
    OK(o->store->ops->acquire(o->store, &self, &o->worker, &o->arena, &rows, &n, &err));
    CHECK(n <= PARTITIONS_HERE);
    for (o->n = 0; o->n < n; o->n++) {
        o->partitions[o->n] = rows[o->n].id;
        o->cursors[o->n] = (struct cursor){.partition = rows[o->n].id};
    }
}

static void
own(struct owner *o, const char *url)
{
    *o = (struct owner){.room = {200, 200, 200, false}, .lease_us = 10 * US_PER_S};
    OK(store_open(url, NULL, &o->store, &err));
    acquire(o);
}

static int
cycle(struct owner *o, struct write *writes, size_t n)
{
    arena_reset(&o->arena);
    o->batch = (struct batch){.worker = o->worker,
                              .partitions = o->partitions,
                              .n_partitions = o->n,
                              .writes = writes,
                              .n_writes = n};
    return o->store->ops->cycle(o->store, &o->batch, o->cursors, o->n, &o->room, &o->arena,
                                &o->rows, &err);
}

static void
enqueue(struct store *s, const char *queue, size_t n, const char *payload)
{
    enum { MAX = 1000 };
    static struct submit items[MAX];
    size_t               bad;
    CHECK(n <= MAX);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct submit){.kind = SUBMIT_ENQUEUE,
                                   .name = "t",
                                   .payload = payload,
                                   .queue = queue,
                                   .cls = STREAM_NORMAL};
    OK(s->ops->submit(s, items, n, &bad, &err));
}

static void
close_owner(struct owner *o)
{
    o->store->ops->close(o->store);
    arena_release(&o->arena);
}

/* ---- exactness */

enum { WRITERS = 8 };

struct writer {
    pthread_t   thread;
    const char *url;
    unsigned    seed;
    int64_t     until_us;
};

static void
pause_us(int64_t us)
{
    nanosleep(&(struct timespec){us / US_PER_S, us % US_PER_S * 1000}, NULL);
}

static void
run_sql(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", sql, PQerrorMessage(conn));
    PQclear(r);
}

static void
insert_tasks(PGconn *conn, unsigned *seed, int n)
{
    char sql[600];
    snprintf(
        sql, sizeof(sql),
        "insert into holdfast.task (no, partition_id, class, created_us, name)"
        " select (p.id::bigint << 48) | (%d::bigint << 46) | nextval('holdfast.row_seq'), p.id,"
        " %d, 0, 't' from generate_series(1, %d) g"
        " join holdfast.partition p on p.id = 1 + (g + %d) %% 8",
        rand_r(seed) % 3, rand_r(seed) % 3, n, rand_r(seed) % 8);
    /* the class in the number and the column are the same */
    char *column = strstr(sql, "p.id, ") + 6, *number = strstr(sql, "| (") + 3;
    *column = *number;
    run_sql(conn, sql);
}

/* Transactions that stay open, roll back in part or whole, and now and then are big. */
static void *
write_on(void *arg)
{
    struct writer *w = arg;
    PGconn        *conn = PQconnectdb(w->url);
    while (clock_steady_us() < w->until_us) {
        run_sql(conn, "begin");
        insert_tasks(conn, &w->seed, 1 + rand_r(&w->seed) % 4);
        if (rand_r(&w->seed) % 4 == 0) {
            run_sql(conn, "savepoint s");
            insert_tasks(conn, &w->seed, 3);
            if (rand_r(&w->seed) % 2)
                run_sql(conn, "rollback to s");
        }
        if (rand_r(&w->seed) % 40 == 0)
            insert_tasks(conn, &w->seed, 3000);
        pause_us(rand_r(&w->seed) % 30000);
        if (rand_r(&w->seed) % 3 == 0)
            insert_tasks(conn, &w->seed, 1 + rand_r(&w->seed) % 20);
        run_sql(conn, rand_r(&w->seed) % 10 ? "commit" : "rollback");
    }
    PQfinish(conn);
    return NULL;
}

static size_t
note_tasks(const struct owner *o, struct map *seen)
{
    for (size_t i = 0; i < o->rows.n_tasks; i++) {
        int64_t no = o->rows.tasks[i].no;
        if (map_get(seen, no))
            test_fail(__FILE__, __LINE__, "task %lld came twice", (long long)no);
        CHECK(map_put(seen, no, seen));
    }
    return o->rows.n_tasks;
}

/* What makes serial numbers useless as a position: commits come in any order. */
TEST_WITHIN(no_row_is_missed_or_brought_twice_whatever_writers_do, 120)
{
    static struct writer writers[WRITERS];
    struct owner         o;
    static struct map    seen; /* one test a process */
    const char          *url = new_database();
    int64_t              until_us = clock_steady_us() + (test_is_quick() ? 3 : 8) * US_PER_S;
    unsigned             seed = 1;
    int                  idle = 0, fetches = 0;

    own(&o, url);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.url = url, .seed = (unsigned)i + 7, .until_us = until_us};
        CHECK_INT(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
    while (idle < 3) {
        o.room.tasks = (size_t)(1 + rand_r(&seed) % 200);
        OK(cycle(&o, NULL, 0));
        size_t n = note_tasks(&o, &seen);
        fetches++;
        idle = clock_steady_us() > until_us + US_PER_S && n == 0 && !o.rows.more ? idle + 1 : 0;
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    OK(cycle(&o, NULL, 0));
    note_tasks(&o, &seen);
    CHECK_INT(seen.count, pg_int(url, "select count(*) from holdfast.task"));
    CHECK(seen.count >= (test_is_quick() ? 5000 : 20000));
    printf("# %zu rows in %d fetches\n", seen.count, fetches);
    close_owner(&o);
}

/* Transactions that were rolled back take numbers which a crashed server gives out again. */
TEST_WITHIN(rows_are_found_after_transaction_ids_went_backwards, 120)
{
    struct pg   *pg = pg_start(NULL);
    const char  *url = pg_url(pg);
    struct buf   out = {0};
    struct owner o;
    int          rc;

    OK(postgres_migrate(url, MIGRATE_RUN, &out, &err));
    buf_release(&out);
    own(&o, url);
    enqueue(o.store, NULL, 5, NULL);
    OK(cycle(&o, NULL, 0));
    CHECK_INT(o.rows.n_tasks, 5);
    pg_exec(url, "do $$ begin for i in 1..300 loop begin perform pg_current_xact_id();"
                 " raise exception 'no'; exception when others then null; end; end loop; end $$");
    PGconn *burner = PQconnectdb(url);
    for (int i = 0; i < 200; i++)
        run_sql(burner, "begin; select pg_current_xact_id(); rollback");
    PQfinish(burner);
    OK(cycle(&o, NULL, 0));
    int64_t before = pg_int(url, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
    pg_restart(pg, "immediate");
    CHECK(pg_int(url, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint") < before);
    pg_exec(url,
            "insert into holdfast.task (no, partition_id, class, created_us, name)"
            " select (1::bigint << 48) | (1::bigint << 46) | nextval('holdfast.row_seq'), 1, 1,"
            " 0, 'new' from generate_series(1, 3)");
    int found = 0;
    for (int i = 0; i < 10 && found < 3; i++) {
        rc = cycle(&o, NULL, 0);
        CHECK(rc == HF_OK || rc == HF_UNAVAILABLE);
        for (size_t k = 0; rc == HF_OK && k < o.rows.n_tasks; k++)
            found += strcmp(o.rows.tasks[k].name, "new") == 0;
    }
    CHECK_INT(found, 3);
    close_owner(&o);
    pg_stop(pg);
}

/* Restored or replicated from elsewhere: their transactions are still to come here. */
TEST(rows_of_another_servers_future_are_found_by_a_new_owner)
{
    const char  *url = new_database();
    struct owner o;
    own(&o, url);
    enqueue(o.store, NULL, 5, NULL);
    pg_exec(url, "update holdfast.task set xid = '99999999999'");
    OK(cycle(&o, NULL, 0));
    CHECK_INT(o.rows.n_tasks, 0);
    OK(o.store->ops->leave(o.store, o.worker, &err));
    o.worker = 0;
    acquire(&o);
    OK(cycle(&o, NULL, 0));
    CHECK_INT(o.rows.n_tasks, 5);
    close_owner(&o);
}

TEST(many_partitions_are_read_like_few)
{
    const char       *url = new_database();
    struct owner      o;
    static struct map seen; /* one test a process */
    pg_exec(url, "select holdfast.create_queue('many', 'worker', 300)");
    own(&o, url);
    CHECK_INT(o.n, 308);
    enqueue(o.store, "many", 900, NULL);
    o.room.tasks = 2;
    do {
        OK(cycle(&o, NULL, 0));
        note_tasks(&o, &seen);
    } while (o.rows.more || o.rows.n_tasks);
    CHECK_INT(seen.count, 900);
    int64_t began_us = clock_steady_us();
    for (int i = 0; i < 20; i++)
        OK(cycle(&o, NULL, 0));
    printf("# an empty fetch of 308 partitions: %d us\n",
           (int)((clock_steady_us() - began_us) / 20));
    close_owner(&o);
}

/* 4,000 rows of a megabyte each are no page. */
TEST_WITHIN(big_payloads_come_a_few_at_a_time_and_all_of_them, 60)
{
    enum { BIG = 700000, COUNT = 60 };
    const char       *url = new_database();
    char             *payload = mem_zalloc(BIG + 1);
    struct owner      o;
    static struct map seen; /* one test a process */
    memset(payload, '1', BIG);
    own(&o, url);
    enqueue(o.store, NULL, 500, "1");
    enqueue(o.store, NULL, COUNT / 2, payload);
    enqueue(o.store, NULL, COUNT / 2, payload);
    enqueue(o.store, NULL, 500, "1");
    o.room.tasks = 4000;
    do {
        OK(cycle(&o, NULL, 0));
        note_tasks(&o, &seen);
        CHECK(o.arena.total < 2 * FETCH_BYTES_MAX);
        for (size_t i = 0; i < o.rows.n_tasks; i++)
            CHECK(o.rows.tasks[i].payload != NULL);
    } while (o.rows.more || o.rows.n_tasks);
    CHECK_INT(seen.count, 1000 + COUNT);
    mem_free(payload);
    close_owner(&o);
}

/* ---- roundtrips */

static void
own_by_relay(struct owner *o, const char *url, struct relay **relay, int64_t rtt_us)
{
    const char *name = strrchr(url, '/') + 1;
    char        database[60];
    snprintf(database, sizeof(database), "%.*s", (int)strcspn(name, "?"), name);
    if (strncmp(database, "cycle_", 6) != 0)
        snprintf(database, sizeof(database), "cycle_%d", (int)getpid());
    OK(relay_open(pg_socket(server), 0, rtt_us, relay, &err));
    own(o, pg_tcp_url(server, database, relay_port(*relay)));
}

TEST_WITHIN(a_cycle_is_one_roundtrip, 60)
{
    const char         *url = new_database();
    struct owner        o;
    struct relay       *relay;
    struct write        writes[200];
    struct task_row     tasks[200];
    struct relay_counts before;

    own_by_relay(&o, url, &relay, 20000);
    enqueue(o.store, NULL, 200, "1");
    OK(cycle(&o, NULL, 0)); /* statements are prepared */
    CHECK_INT(o.rows.n_tasks, 200);
    for (int i = 0; i < 200; i++) {
        tasks[i] = o.rows.tasks[i];
        writes[i] = (struct write){.kind = WRITE_TASK_DELETE, .task = &tasks[i], .unit = i};
    }
    OK(cycle(&o, writes, 1));
    before = relay_counts(relay);
    int64_t began_us = clock_steady_us();
    OK(cycle(&o, writes + 1, 199));
    CHECK(clock_steady_us() - began_us < 2 * 20000 * test_slowness());
    CHECK_INT(relay_counts(relay).roundtrips - before.roundtrips, 1);
    CHECK_INT(pg_int(url, "select count(*) from holdfast.task"), 0);
    close_owner(&o);
    relay_close(relay);
}

TEST_WITHIN(an_idle_owner_asks_at_most_twice_a_second, 60)
{
    const char         *url = new_database();
    struct owner        o;
    struct relay       *relay;
    struct relay_counts before;

    own_by_relay(&o, url, &relay, 0);
    o.room.patient = true;
    for (int64_t until_us = clock_steady_us() + 3 * US_PER_S; clock_steady_us() < until_us;) {
        OK(cycle(&o, NULL, 0));
        pause_us(5000);
    }
    before = relay_counts(relay);
    for (int64_t until_us = clock_steady_us() + 3 * US_PER_S; clock_steady_us() < until_us;) {
        OK(cycle(&o, NULL, 0));
        pause_us(5000);
    }
    CHECK(relay_counts(relay).roundtrips - before.roundtrips <= 6);
    enqueue(o.store, NULL, 1, "1");
    for (int64_t until_us = clock_steady_us() + 2 * US_PER_S; clock_steady_us() < until_us;) {
        OK(cycle(&o, NULL, 0));
        if (o.rows.n_tasks == 1)
            break;
        pause_us(5000);
    }
    CHECK_INT(o.rows.n_tasks, 1);
    close_owner(&o);
    relay_close(relay);
}

/* More than the socket takes at once, again and again: each side waits for the other at times. */
TEST_WITHIN(batches_of_megabytes_follow_each_other, 120)
{
    enum { UNITS = 4000, CYCLES = 40 };
    static struct write writes[UNITS];
    static char         events[500];
    const char         *url = new_database();
    struct owner        o;
    own(&o, url);
    memset(events, '1', sizeof(events));
    for (int k = 0; k < CYCLES; k++) {
        for (int i = 0; i < UNITS; i++)
            writes[i] = (struct write){.kind = WRITE_HISTORY,
                                       .unit = (uint32_t)i,
                                       .history = {row_no(o.partitions[i % 8], 1, 1000 + i), 1,
                                                   k + 1, events, sizeof(events)}};
        OK(cycle(&o, writes, UNITS));
    }
    CHECK_INT(pg_int(url, "select count(*) from holdfast.history"), UNITS * CYCLES);
    close_owner(&o);
}

/* ---- refusing */

TEST(one_bad_value_among_a_thousand_units_is_named)
{
    enum { UNITS = 1000, BAD = 617 };
    static struct write writes[UNITS];
    const char         *url = new_database();
    struct owner        o;
    own(&o, url);
    for (int i = 0; i < UNITS; i++)
        writes[i] = (struct write){.kind = WRITE_HISTORY,
                                   .unit = (uint32_t)i,
                                   .history = {row_no(o.partitions[i % 8], 1, 1000 + i), 1, 1,
                                               i == BAD ? "\xff" : "[]", i == BAD ? 1 : 2}};
    GIVES(HF_REFUSED, cycle(&o, writes, UNITS));
    CHECK_INT(o.batch.refused, BAD);
    CHECK_INT(pg_int(url, "select count(*) from holdfast.history"), 0);
    memmove(&writes[BAD], &writes[BAD + 1], (UNITS - BAD - 1) * sizeof(writes[0]));
    OK(cycle(&o, writes, UNITS - 1));
    CHECK_INT(pg_int(url, "select count(*) from holdfast.history"), UNITS - 1);
    GIVES(HF_STALE, cycle(&o, writes, 1));
    close_owner(&o);
}

/* ---- who owns */

/* A stopped process whose batch is half sent holds its partitions, and no timeout of the server
 * ends that. */
TEST_WITHIN(half_a_batch_of_a_stopped_worker_does_not_stand_in_the_way_of_a_takeover, 60)
{
    const char  *url = new_database();
    struct owner a, b;
    char         text[200];
    own(&a, url);
    own(&b, url);
    enqueue(a.store, NULL, 8, "1");
    PGconn *stopped = PQconnectdb(url);
    snprintf(text, sizeof(text),
             "set application_name = 'holdfast/%lld'; begin; select holdfast.fence(%lld, "
             "array[%d]::smallint[])",
             (long long)a.worker, (long long)a.worker, (int)a.partitions[0]);
    run_sql(stopped, text);
    CHECK_INT(write(PQsocket(stopped), "Q\0\0\1\0", 5), 5);
    GIVES(HF_NOT_FOUND, b.store->ops->takeover(b.store, b.worker, a.worker, &err));
    pg_exec(url, "update holdfast.worker set expires_at = '2000-01-01' where id = "
                 "(select min(id) from holdfast.worker)");
    int64_t began_us = clock_steady_us();
    OK(b.store->ops->takeover(b.store, b.worker, a.worker, &err));
    CHECK(clock_steady_us() - began_us < 3 * US_PER_S * test_slowness());
    struct write write = {.kind = WRITE_HISTORY,
                          .history = {row_no(a.partitions[0], 1, 7), 1, 1, "[]", 2}};
    int          rc = cycle(&a, &write, 1);
    CHECK(rc == HF_STALE || rc == HF_UNAVAILABLE); /* its own connection may have been ended */
    GIVES(HF_STALE, cycle(&a, &write, 1));
    acquire(&b);
    CHECK_INT(b.n, 8);
    OK(cycle(&b, &write, 1));
    CHECK_INT(b.rows.n_tasks, 8);
    PQfinish(stopped);
    close_owner(&a);
    close_owner(&b);
}
