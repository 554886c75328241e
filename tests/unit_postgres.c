/*
 * What is special about the PostgreSQL store: URLs, migrations, poolers, connections that are lost,
 * notifications, the plans of its statements. What all stores have in common is in the store suite.
 */
#include "pg.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/postgres.h"

static struct pg *server;

static void
start_server(void)
{
    server = pg_start(&(struct pg_opt){.fast = true});
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
#define SAYS(words)                                                                                \
    (strstr(err.text, words)                                                                       \
         ? (void)0                                                                                 \
         : test_fail(__FILE__, __LINE__, "\"%s\" should say %s", err.text, words))

/* A database of this test's own. */
static const char *
database(void)
{
    static char name[40];
    snprintf(name, sizeof(name), "unit_%d", (int)getpid());
    return pg_new_database(server, name);
}

static const char *
with(const char *url, const char *parameter)
{
    static char text[4][400];
    static int  next;
    char       *out = text[next++ % 4];
    snprintf(out, sizeof(text[0]), "%s%c%s", url, strchr(url, '?') ? '&' : '?', parameter);
    return out;
}

static const char *
migrate(const char *url, enum migrate_mode mode, int code)
{
    static struct buf out;
    buf_clear(&out);
    GIVES(code, postgres_migrate(url, mode, &out, &err));
    return out.data ? out.data : "";
}

static struct postgres *
open_at(const char *url)
{
    struct store *s = NULL;
    OK(store_open(url, NULL, &s, &err));
    CHECK(s->shared);
    return postgres_of(s);
}

static struct postgres *
open_new(const char **url)
{
    *url = database();
    migrate(*url, MIGRATE_RUN, HF_OK);
    return open_at(*url);
}

static int
enqueue(struct postgres *s, const char *id)
{
    struct submit item = {
        .kind = SUBMIT_ENQUEUE, .id = id, .name = "t", .payload = "1", .cls = STREAM_NORMAL};
    size_t bad;
    return postgres_submit(&s->base, &item, 1, &bad, &err);
}

/* ---- URLs */

static void
refused(const char *url, const char *says)
{
    struct pg_target t;
    GIVES(HF_INVALID, pg_target_parse(url, &t, &err));
    SAYS(says);
    CHECK(strstr(err.text, "secret") == NULL);
}

TEST(a_url_that_cannot_be_read_is_refused_without_its_password)
{
    refused("postgres:/x", "want postgres://");
    refused("postgres://u:secret%zz@h/d", "percent");
    refused("postgres://u:secret@[::1/d", "");
    refused("postgres://u:secret?a=b@h/d?colour=red", "unknown parameter \"colour\"");
    refused("postgres://h/d?password=secret&x=1", "unknown parameter \"x\"");
    refused("postgres://h/d?password", "without \"=\"");
    refused("postgres://h/d?schema=", "schema");
    refused("postgres://h/d?schema=a'b", "schema");
    refused("postgres://h/d?schema=pg_x", "schema");
    refused("postgres://h/d?schema=a%22b", "schema");
    refused("postgres://h/d?schema=%zz", "%");
    refused("postgres://h/d?poll_only=yes", "poll_only");
    refused("postgres://h/d?partitions=0", "partitions");
}

TEST(what_is_ours_in_a_url_is_taken_out_and_the_rest_is_for_libpq)
{
    struct pg_target t;
    OK(pg_target_parse("postgresql://u:a%40b@h:77/d?schema=%61pp-1&sslmode=disable&poll_only=1"
                       "&application_name=me&partitions=2",
                       &t, &err));
    CHECK_TEXT(t.schema, "app-1");
    CHECK_INT(t.poll_only, 1);
    CHECK_INT(t.partitions, 2);
    CHECK_TEXT(t.where, "postgres h:77/d");
    int found = 0;
    for (PQconninfoOption *o = t.options; o->keyword; o++) {
        if (strcmp(o->keyword, "password") == 0)
            found += o->val && strcmp(o->val, "a@b") == 0;
        if (strcmp(o->keyword, "sslmode") == 0)
            found += o->val && strcmp(o->val, "disable") == 0;
        if (strcmp(o->keyword, "application_name") == 0)
            found += o->val && strcmp(o->val, "me") == 0;
    }
    CHECK_INT(found, 3);
    pg_target_release(&t);
}

TEST(what_the_url_leaves_out_comes_from_the_environment)
{
    char             dir[200], service[300];
    const char      *url;
    struct postgres *s = open_new(&url);
    s->base.ops->close(&s->base);
    snprintf(dir, sizeof(dir), "%s", pg_socket(server));
    *strrchr(dir, '/') = '\0';
    char port[20], name[40];
    snprintf(port, sizeof(port), "%s", strrchr(pg_socket(server), '.') + 1);
    snprintf(name, sizeof(name), "unit_%d", (int)getpid());
    setenv("PGHOST", dir, 1);
    setenv("PGPORT", port, 1);
    setenv("PGUSER", "postgres", 1);
    setenv("PGDATABASE", name, 1);
    s = open_at("postgres://");
    s->base.ops->close(&s->base);
    unsetenv("PGHOST");
    unsetenv("PGDATABASE");
    FILE *f = fopen("services", "w");
    fprintf(f, "[here]\nhost=%s\ndbname=%s\n", dir, name);
    fclose(f);
    snprintf(service, sizeof(service), "services");
    setenv("PGSERVICEFILE", service, 1);
    s = open_at("postgres://?service=here");
    CHECK_TEXT(s->target.where, "postgres service here");
    s->base.ops->close(&s->base);
}

/* ---- the schema */

TEST(a_store_without_its_schema_says_what_to_do)
{
    struct store *s;
    const char   *url = database();
    GIVES(HF_NOT_FOUND, store_open(url, NULL, &s, &err));
    SAYS("run `holdfast migrate`");
    CHECK(s == NULL);
    CHECK_TEXT(migrate(url, MIGRATE_CHECK, HF_NOT_FOUND),
               "missing 001_store.sql\nmissing 002_stats.sql\nmissing 003_run_pages.sql\n");
    CHECK_TEXT(migrate(url, MIGRATE_RUN, HF_OK),
               "made the schema holdfast\napplied 001_store.sql\napplied 002_stats.sql\napplied "
               "003_run_pages.sql\n");
    migrate(url, MIGRATE_CHECK, HF_OK);
    CHECK_TEXT(migrate(url, MIGRATE_RUN, HF_OK), "");
    CHECK(pg_int(url, "select count(*) from holdfast.partition where queue = 'default'") == 8);
    s = &open_at(url)->base;
    s->ops->close(s);
}

TEST(the_script_of_a_migration_does_the_same)
{
    const char *url = database();
    pg_exec(url, migrate(with(url, "schema=by-Hand"), MIGRATE_SQL, HF_OK));
    migrate(with(url, "schema=by-Hand"), MIGRATE_CHECK, HF_OK);
    CHECK_TEXT(migrate(with(url, "schema=by-Hand"), MIGRATE_RUN, HF_OK), "");
    CHECK_INT(pg_int(url, "select count(*) from pg_namespace where nspname = 'holdfast'"), 0);
}

TEST(two_schemas_in_one_database_do_not_know_of_each_other)
{
    const char *url = database(), *other = with(url, "schema=my-Other");
    migrate(url, MIGRATE_RUN, HF_OK);
    migrate(other, MIGRATE_RUN, HF_OK);
    struct postgres *a = open_at(url), *b = open_at(other);
    OK(enqueue(a, "x"));
    OK(enqueue(b, "x"));
    OK(enqueue(b, "y"));
    CHECK_INT(pg_int(url, "select count(*) from holdfast.task"), 1);
    CHECK_INT(pg_int(url, "select count(*) from \"my-Other\".task"), 2);
    CHECK_INT(pg_int(url, "select count(*) from pg_proc p join pg_namespace n "
                          "on n.oid = p.pronamespace where n.nspname = 'my-Other' and "
                          "(p.prosrc like '%holdfast.%' or p.proconfig::text like '%holdfast%')"),
              0);
    pg_exec(url, "drop schema holdfast cascade");
    OK(enqueue(b, "z"));
    a->base.ops->close(&a->base);
    b->base.ops->close(&b->base);
}

static void *
migrate_thread(void *arg)
{
    struct err own = {0};
    struct buf out = {0};
    intptr_t   rc = postgres_migrate(arg, MIGRATE_RUN, &out, &own);
    buf_release(&out);
    return (void *)rc;
}

TEST(several_that_migrate_at_once_do_it_once)
{
    const char *url = database();
    pthread_t   threads[4];
    void       *rc;
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, migrate_thread, (void *)url), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &rc);
        CHECK_INT((intptr_t)rc, HF_OK);
    }
    CHECK_INT(pg_int(url, "select count(*) from holdfast.migration"), postgres_schema_known());
    CHECK_INT(pg_int(url, "select count(*) from holdfast.partition"), 8);
}

TEST(a_newer_schema_is_left_alone)
{
    const char      *url;
    struct store    *s;
    struct postgres *open = open_new(&url);
    pg_exec(url, "insert into holdfast.migration (version, name, checksum) values (999, 'x', 'y')");
    GIVES(HF_NEWER, store_open(url, NULL, &s, &err));
    SAYS("newer holdfast");
    migrate(url, MIGRATE_RUN, HF_NEWER);
    migrate(url, MIGRATE_CHECK, HF_NEWER);
    OK(enqueue(open, "x")); /* who was connected goes on */
    open->base.ops->close(&open->base);
}

TEST(a_migration_that_has_changed_since_is_noticed)
{
    const char   *url = database();
    struct store *s;
    migrate(url, MIGRATE_RUN, HF_OK);
    pg_exec(url, "update holdfast.migration set checksum = '0' where version = 1");
    GIVES(HF_CORRUPT, store_open(url, NULL, &s, &err));
    SAYS("001_store.sql");
    migrate(url, MIGRATE_RUN, HF_CORRUPT);
}

TEST(who_may_not_make_a_schema_is_told_so)
{
    const char *url = database(), *at = strstr(url, "postgres@");
    char        mine[400];
    if (at == NULL)
        test_fail(__FILE__, __LINE__, "no user in %s", url);
    pg_exec(url, "drop role if exists nobody_special; create role nobody_special login");
    snprintf(mine, sizeof(mine), "%.*snobody_special%s", (int)(at - url), url, at + 8);
    CHECK_TEXT(migrate(mine, MIGRATE_RUN, HF_INVALID), "");
    SAYS("permission denied");
    migrate(url, MIGRATE_RUN, HF_OK);
    struct store *s;
    GIVES(HF_INVALID, store_open(mine, NULL, &s, &err));
    SAYS("permission denied");
}

/* ---- poolers */

TEST_WITHIN(a_pooler_is_found_out_and_nothing_is_left_in_its_sessions, 60)
{
    const char *url = database(), *bouncer;
    char        name[40];
    migrate(url, MIGRATE_RUN, HF_OK);
    pg_bouncer_start(server, "default_pool_size=1");
    snprintf(name, sizeof(name), "unit_%d", (int)getpid());
    bouncer = pg_bouncer_url(server, name);
    struct postgres *a = open_at(bouncer), *b = open_at(bouncer), *direct = open_at(url);
    CHECK(a->pooled && b->pooled && !direct->pooled);
    for (int i = 0; i < 3; i++) { /* one session for both */
        OK(enqueue(a, NULL));
        OK(enqueue(b, NULL));
    }
    OK(pg_serve(a, 7, true, &err));
    CHECK(!a->listens);
    CHECK_INT(pg_int(url, "select count(*) from holdfast.task"), 6);
    CHECK_INT(pg_int(bouncer, "select count(*) from pg_prepared_statements"), 0);
    CHECK_TEXT(pg_text(bouncer, "show enable_seqscan"), "on");
    a->base.ops->close(&a->base);
    b->base.ops->close(&b->base);
    direct->base.ops->close(&direct->base);
    a = open_at(with(url, "poll_only=1"));
    CHECK(a->pooled);
    OK(enqueue(a, NULL));
    a->base.ops->close(&a->base);
    pg_bouncer_stop(server);
}

/* ---- connections that are lost */

TEST(a_connection_that_ended_in_silence_is_made_anew)
{
    const char      *url;
    struct postgres *s = open_new(&url);
    OK(enqueue(s, "a"));
    uint32_t epoch = s->epoch;
    pg_exec(url, "select pg_terminate_backend(pid) from pg_stat_activity "
                 "where pid <> pg_backend_pid() and datname = current_database()");
    usleep(20000);
    OK(enqueue(s, "b"));
    CHECK_INT(s->epoch, epoch + 1);
    s->base.ops->close(&s->base);
}

TEST_WITHIN(a_server_that_is_down_is_not_available_and_then_it_is, 60)
{
    struct pg  *own = pg_start(&(struct pg_opt){.fast = true});
    const char *url = pg_url(own);
    struct buf  out = {0};
    OK(postgres_migrate(url, MIGRATE_RUN, &out, &err));
    buf_release(&out);
    struct postgres *s = open_at(url);
    pg_halt(own, "fast");
    GIVES(HF_UNAVAILABLE, enqueue(s, "a"));
    GIVES(HF_UNAVAILABLE, enqueue(s, "a"));
    pg_start_again(own);
    OK(enqueue(s, "a"));
    s->base.ops->close(&s->base);
    pg_stop(own);
}

struct locker {
    struct postgres *s;
    int              rc;
};

/* Holds what a submit needs. */
static struct postgres *
lock_tasks(const char *url)
{
    struct postgres *s = open_at(url);
    OK(pg_ready(s, &err));
    pg_begin(s);
    pg_sync(s);
    OK(pg_synced(s, &err));
    OK(pg_script(s, "lock table holdfast.task in access exclusive mode", "lock", &err));
    return s;
}

TEST(no_answer_to_a_commit_is_unknown)
{
    const char      *url;
    struct postgres *s = open_new(&url), *other = lock_tasks(url);
    s->patience_us = 200000;
    GIVES(HF_UNKNOWN, enqueue(s, "a"));
    SAYS("while a commit was under way");
    s->patience_us = 10 * US_PER_S;
    s->worker = 1; /* only a worker ends its old backend, by its name */
    pg_rollback(other);
    usleep(20000);
    struct submit item = {.kind = SUBMIT_ENQUEUE, .id = "a", .name = "t", .cls = STREAM_NORMAL};
    size_t        bad;
    GIVES(HF_EXISTS, postgres_submit(&s->base, &item, 1, &bad, &err)); /* it did happen */
    other->base.ops->close(&other->base);
    s->base.ops->close(&s->base);
}

static void *
enqueue_thread(void *arg)
{
    struct locker *l = arg;
    struct submit  item = {.kind = SUBMIT_ENQUEUE, .name = "t", .cls = STREAM_NORMAL};
    struct err     own = {0};
    size_t         bad;
    l->rc = postgres_submit(&l->s->base, &item, 1, &bad, &own);
    return NULL;
}

static int64_t
wait_for_lock(const char *url)
{
    while (pg_int(url, "select count(*) from pg_locks where not granted") == 0)
        usleep(5000);
    return pg_int(url, "select pid from pg_locks where not granted limit 1");
}

TEST(a_backend_that_says_that_it_was_ended_has_committed_nothing)
{
    const char      *url;
    char             sql[100];
    struct postgres *s = open_new(&url), *other = lock_tasks(url);
    struct locker    l = {.s = s};
    pthread_t        thread;
    CHECK_INT(pthread_create(&thread, NULL, enqueue_thread, &l), 0);
    snprintf(sql, sizeof(sql), "select pg_terminate_backend(%lld)", (long long)wait_for_lock(url));
    pg_exec(url, sql);
    pthread_join(thread, NULL);
    CHECK_INT(l.rc, HF_UNAVAILABLE);
    pg_rollback(other);
    CHECK_INT(pg_int(url, "select count(*) from holdfast.task"), 0);
    OK(enqueue(s, "a"));
    other->base.ops->close(&other->base);
    s->base.ops->close(&s->base);
}

TEST(the_backend_of_a_lost_commit_is_ended_before_anything_is_read)
{
    const char      *url;
    struct postgres *s = open_new(&url), *other = lock_tasks(url);
    OK(pg_serve(s, 5, false, &err));
    s->patience_us = 200000;
    GIVES(HF_UNKNOWN, enqueue(s, "a"));
    s->patience_us = 10 * US_PER_S;
    OK(pg_ready(s, &err)); /* the old one waited for the lock */
    CHECK_INT(pg_int(url, "select count(*) from pg_locks where not granted"), 0);
    pg_rollback(other);
    OK(enqueue(s, "a"));
    other->base.ops->close(&other->base);
    s->base.ops->close(&s->base);
}

/* ---- the pipeline */

TEST_WITHIN(a_submit_of_many_megabytes_goes_through, 60)
{
    enum { N = 40, SIZE = 1000000 };
    const char      *url;
    struct postgres *s = open_new(&url);
    char            *payload = mem_alloc(SIZE + 1);
    struct submit    items[N];
    size_t           bad;
    memset(payload, 'x', SIZE);
    payload[SIZE] = '\0';
    for (int i = 0; i < N; i++)
        items[i] = (struct submit){
            .kind = SUBMIT_ENQUEUE, .name = "t", .payload = payload, .cls = STREAM_NORMAL};
    OK(postgres_submit(&s->base, items, N, &bad, &err));
    CHECK_INT(pg_int(url, "select sum(length(payload)) from holdfast.task"), (int64_t)N * SIZE);
    for (int i = 1; i < N; i++)
        CHECK(items[i].no != items[i - 1].no);
    mem_free(payload);
    s->base.ops->close(&s->base);
}

TEST(a_long_pipeline_does_not_lock_up)
{
    enum { N = 60000 };
    const char      *url;
    struct postgres *s = open_new(&url);
    OK(pg_ready(s, &err));
    pg_begin_read(s);
    for (int i = 0; i < N; i++) {
        struct pg_args *a = pg_args(s);
        pg_put_null(a);
        pg_send(s, PG_read_clock, a);
    }
    pg_end_read(s);
    int64_t last = 0;
    for (int i = 0; i < N; i++) {
        OK(pg_result(s, &err));
        CHECK(pg_get_int(s, 0, 0) >= last);
        last = pg_get_int(s, 0, 0);
    }
    OK(pg_synced(s, &err));
    s->base.ops->close(&s->base);
}

TEST(the_item_that_is_wrong_is_named_and_nothing_is_stored)
{
    const char      *url;
    struct postgres *s = open_new(&url);
    struct submit    items[6] = {{.kind = SUBMIT_ENQUEUE, .id = "a", .name = "t"},
                                 {.kind = SUBMIT_START, .id = "r", .name = "w", .token = "1"},
                                 {.kind = SUBMIT_START, .id = "s", .name = "w", .token = "2"},
                                 {.kind = SUBMIT_ENQUEUE, .name = "t"},
                                 {.kind = SUBMIT_ENQUEUE, .id = "b", .name = "t"},
                                 {.kind = SUBMIT_ENQUEUE, .id = "a", .name = "t"}};
    size_t           bad;
    GIVES(HF_EXISTS, postgres_submit(&s->base, items, 6, &bad, &err));
    CHECK_INT(bad, 5);
    items[5].payload = "\xff\xfe"; /* what clients do not let through */
    items[5].id = "c";
    GIVES(HF_REFUSED, postgres_submit(&s->base, items, 6, &bad, &err));
    CHECK_INT(bad, 5);
    CHECK_INT(pg_int(url, "select count(*) from holdfast.task"), 0);
    items[5].payload = NULL;
    OK(postgres_submit(&s->base, items, 6, &bad, &err));
    CHECK_INT(pg_int(url, "select count(*) from holdfast.task"), 4);
    s->base.ops->close(&s->base);
}

/* ---- hints */

static void
own_all(const char *url)
{
    pg_exec(url,
            "insert into holdfast.worker (id, host, pid, handlers, slots, slots_free, lease_us, "
            "expires_at) values (7, 'h', 1, '', 1, 1, 1, 'infinity'); "
            "update holdfast.partition set owner = 7");
}

static void
forget_all(struct postgres *s)
{
    bool woken;
    usleep(20000);
    pg_listen_until(s, -1, 0, &woken);
    memset(s->hints.news, 0, sizeof(s->hints.news));
    s->hints.woken = s->hints.any_news = s->hints.workers = false;
}

TEST(a_submit_hints_the_owner_of_its_partition_and_only_of_that)
{
    const char      *url;
    struct postgres *client = open_new(&url), *owner = open_at(url);
    struct submit    item = {.kind = SUBMIT_ENQUEUE, .name = "t", .cls = STREAM_NORMAL};
    size_t           bad;
    own_all(url);
    OK(pg_serve(owner, 7, true, &err));
    for (int round = 0; round < 6; round++) {
        if (round == 3)
            item = (struct submit){
                .kind = SUBMIT_START, .id = "r", .name = "w", .token = "r", .cls = STREAM_NORMAL};
        if (round == 4)
            item = (struct submit){.kind = SUBMIT_SIGNAL, .id = "r", .name = "s"};
        forget_all(owner);
        OK(postgres_submit(&client->base, &item, 1, &bad, &err));
        int64_t began_us = clock_steady_us();
        OK(postgres_wait(&owner->base, -1, began_us + 20 * US_PER_S, &err));
        CHECK(clock_steady_us() - began_us < 900000);
        for (int p = 1; p <= 8; p++)
            CHECK_INT(pg_has_news(owner, p), p == row_partition(item.no));
    }
    pg_exec(url,
            "update holdfast.partition set busy_until = clock_timestamp() + interval '1 hour'");
    forget_all(owner);
    OK(enqueue(client, NULL));
    usleep(50000);
    forget_all(owner);
    CHECK(!owner->hints.woken);
    client->base.ops->close(&client->base);
    owner->base.ops->close(&owner->base);
}

static void *
wait_thread(void *arg)
{
    struct postgres *s = arg;
    struct arena     a = {0};
    struct err       own = {0};
    struct run_row   r;
    intptr_t         rc =
        postgres_wait_result(&s->base, "r", NULL, clock_steady_us() + 20 * US_PER_S, &a, &r, &own);
    arena_release(&a);
    return (void *)rc;
}

TEST(who_waits_for_a_run_is_told_by_its_owner)
{
    const char      *url;
    struct postgres *client = open_new(&url), *owner = open_at(url);
    struct submit    item = {
           .kind = SUBMIT_START, .id = "r", .name = "w", .token = "r", .cls = STREAM_NORMAL};
    pthread_t thread;
    size_t    bad;
    void     *rc;
    if (client->base.ops->run_get == NULL)
        SKIP("nothing reads runs yet");
    own_all(url);
    OK(pg_serve(owner, 7, true, &err));
    OK(postgres_submit(&client->base, &item, 1, &bad, &err));
    CHECK_INT(pthread_create(&thread, NULL, wait_thread, client), 0);
    while (owner->hints.n_waiters == 0) {
        bool woken;
        CHECK(pg_listen_until(owner, -1, clock_steady_us() + US_PER_S, &woken));
    }
    CHECK(!pg_tell(owner, &(int64_t){item.no + 1}, 1));
    pg_exec(url, "update holdfast.run set status = 4, ended_us = 1");
    int64_t began_us = clock_steady_us();
    CHECK(pg_tell(owner, &item.no, 1));
    pg_push(owner);
    pthread_join(thread, &rc);
    CHECK_INT((intptr_t)rc, HF_OK);
    CHECK(clock_steady_us() - began_us < 900000);
    client->base.ops->close(&client->base);
    owner->base.ops->close(&owner->base);
}

/* ---- statements */

/* Who looks at pg_stat_activity or pg_stat_statements sees a text, cut short, of any program. */
TEST(every_statement_says_its_name_and_schema_behind_its_first_word)
{
    for (int i = 0; i < PG_STATEMENTS; i++) {
        const char *text = pg_sql_plain((enum pg_sql)i);
        const char *after = text + strcspn(text, " ");
        char        name[80], quoted[80];
        snprintf(name, sizeof(name), " /* holdfast.%s */", pg_sql_name((enum pg_sql)i));
        snprintf(quoted, sizeof(quoted), " /* \"o-ne\".%s */", pg_sql_name((enum pg_sql)i));
        if (strncmp(after, name, strlen(name)) != 0)
            test_fail(__FILE__, __LINE__, "%s: %s", name, text);
        char *other = pg_with_schema(text, "o-ne");
        CHECK(strncmp(other + (after - text), quoted, strlen(quoted)) == 0);
        mem_free(other);
    }
}

/* A name in the plan, as a whole word. */
static bool
plan_uses(const char *plan, const char *index, size_t n)
{
    for (const char *p = plan; (p = strstr(p, index)) != NULL; p += n)
        if (p > plan && p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
            return true;
    return false;
}

static const char *
plan_of(PGconn *conn, enum pg_sql id, struct buf *out)
{
    struct buf sql = {0};
    PGresult  *r = PQprepare(conn, pg_sql_name(id), pg_sql_plain(id), 0, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", pg_sql_name(id), PQresultErrorMessage(r));
    PQclear(r);
    r = PQdescribePrepared(conn, pg_sql_name(id));
    buf_printf(&sql, "explain (costs off) execute %s", pg_sql_name(id));
    for (int i = 0; i < PQnparams(r); i++)
        buf_puts(&sql, i ? ", null" : "(null");
    buf_puts(&sql, PQnparams(r) ? ")" : "");
    PQclear(r);
    r = PQexec(conn, sql.data);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        test_fail(__FILE__, __LINE__, "%s: %s", pg_sql_name(id), PQresultErrorMessage(r));
    buf_clear(out);
    for (int i = 0; i < PQntuples(r); i++)
        buf_printf(out, "%s\n", PQgetvalue(r, i, 0));
    PQclear(r);
    buf_release(&sql);
    return out->data;
}

TEST(every_statement_can_be_prepared_and_uses_the_indexes_that_it_names)
{
    const char *url = database();
    struct buf  plan = {0};
    migrate(url, MIGRATE_RUN, HF_OK);
    PGconn *conn = PQconnectdb(url);
    PQclear(PQexec(conn, "set enable_seqscan = off; set enable_hashjoin = off; set jit = off; "
                         "set enable_mergejoin = off; set enable_bitmapscan = off; "
                         "set plan_cache_mode = force_generic_plan"));
    for (int i = 0; i < PG_STATEMENTS; i++) {
        const char *want = pg_sql_index((enum pg_sql)i);
        size_t      n;
        if (want[0] == '\0')
            continue;
        plan_of(conn, (enum pg_sql)i, &plan);
        for (; want[0]; want += n + strspn(want + n, " ,")) {
            char name[64];
            n = strcspn(want, " ,");
            snprintf(name, sizeof(name), "%.*s", (int)n, want);
            if (!plan_uses(plan.data, name, n))
                test_fail(__FILE__, __LINE__, "%s does not use %s:\n%s",
                          pg_sql_name((enum pg_sql)i), name, plan.data);
        }
    }
    PQfinish(conn);
    buf_release(&plan);
}
