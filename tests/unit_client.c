/* Client calls on the memory store: what is checked, what is promised. No worker. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "core/opt.h"
#include "test.h"

static hf *
open_memory(void)
{
    struct store *s;
    hf           *h;

    CHECK_INT(memory_store_open(NULL, &s, NULL), HF_OK);
    CHECK_INT(handle_new(s, &h), HF_OK);
    return h;
}

TEST(a_store_that_cannot_be_opened_still_gives_a_handle_with_the_message)
{
    hf *h;
    CHECK(hf_open("sqlite:/no/such/dir/x.db", &h) != HF_OK);
    CHECK(h != NULL);
    CHECK(hf_errcode(h) != HF_OK && hf_errmsg(h)[0] != '\0');
    CHECK_INT(hf_start(h, "w", NULL, NULL, NULL), HF_UNAVAILABLE);
    CHECK_INT(hf_enqueue(h, "t", NULL, NULL, NULL), HF_UNAVAILABLE);
    CHECK_INT(hf_wait(h, "r", 0, NULL), HF_UNAVAILABLE);
    hf_close(h);
    hf_close(NULL);
}

TEST(made_ids_are_different_and_given_ones_are_kept)
{
    hf  *h = open_memory();
    char a[HF_ID_SIZE], b[HF_ID_SIZE];

    CHECK_INT(hf_start(h, "w", NULL, NULL, a), HF_OK);
    CHECK_INT(hf_start(h, "w", NULL, NULL, b), HF_OK);
    CHECK(strcmp(a, b) != 0 && strlen(a) == 36);
    CHECK_INT(hf_start(h, "w", NULL, HF_OPT(.id = "mine"), a), HF_OK);
    CHECK_TEXT(a, "mine");
    CHECK_INT(hf_start(h, "w", NULL, HF_OPT(.id = "mine"), a), HF_EXISTS);
    CHECK_INT(hf_start(h, "w", NULL, HF_OPT(.id = "mine", .if_exists = HF_IF_EXISTS_USE), a),
              HF_OK);
    hf_close(h);
}

/* Says unknown once, after the store has done it. */
static enum fault
lose_first(void *arg, const char *verb, struct batch *batch)
{
    (void)batch;
    return strcmp(verb, "submit") == 0 && (*(int *)arg)++ == 0 ? FAULT_AFTER : FAULT_NONE;
}

/* ... and is not to be had when it is asked again. */
static enum fault
lose_first_then_go(void *arg, const char *verb, struct batch *batch)
{
    (void)batch;
    if (strcmp(verb, "submit") != 0)
        return FAULT_NONE;
    int n = (*(int *)arg)++;
    return n == 0 ? FAULT_AFTER : FAULT_BEFORE;
}

TEST(a_start_that_may_have_happened_is_unknown_though_the_store_is_away_afterwards)
{
    struct store *inner, *s;
    hf           *h;
    int           calls = 0;

    CHECK_INT(memory_store_open(NULL, &inner, NULL), HF_OK);
    CHECK_INT(fault_store_open(inner, lose_first_then_go, &calls, &s, NULL), HF_OK);
    CHECK_INT(handle_new(s, &h), HF_OK);
    CHECK_INT(hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL), HF_UNKNOWN);
    CHECK_INT(hf_errcode(h), HF_UNKNOWN);
    CHECK_INT(calls, 3);
    hf_close(h);
}

TEST(a_start_whose_answer_is_lost_is_repeated_and_starts_one_run)
{
    struct store *inner, *s;
    hf           *h;
    int           calls = 0;
    char          id[HF_ID_SIZE];
    hf_info      *info;

    CHECK_INT(memory_store_open(NULL, &inner, NULL), HF_OK);
    CHECK_INT(fault_store_open(inner, lose_first, &calls, &s, NULL), HF_OK);
    CHECK_INT(handle_new(s, &h), HF_OK);
    CHECK_INT(hf_start(h, "w", "1", HF_OPT(.id = "r"), id), HF_OK);
    CHECK_INT(calls, 2);
    CHECK_INT(hf_describe(h, "r", &info), HF_OK);
    CHECK_TEXT(info->input, "1");
    hf_info_free(info);
    hf_close(h);
}

/* The run ends between the first try, whose answer is lost, and the second. */
struct ending {
    struct store *inner;
    int64_t       worker;
    int           calls;
};

static void
end_run(struct ending *e, const char *id)
{
    struct arena   a = {0};
    struct run_row r;
    struct rows    rows;
    struct err     err = {0};

    CHECK_INT(e->inner->ops->run_get(e->inner, id, &a, &r, &err), HF_OK);
    r.status = RUN_COMPLETED;
    r.ended_us = 1;
    int32_t      partition = row_partition(r.no);
    struct write write = {.kind = WRITE_RUN, .run = &r};
    struct batch batch = {.worker = e->worker,
                          .partitions = &partition,
                          .n_partitions = 1,
                          .writes = &write,
                          .n_writes = 1};
    struct room  room = {.runs = 0};
    CHECK_INT(e->inner->ops->cycle(e->inner, &batch, NULL, 0, &room, &a, &rows, &err), HF_OK);
    arena_release(&a);
}

static enum fault
lose_first_then_end(void *arg, const char *verb, struct batch *batch)
{
    struct ending *e = arg;

    (void)batch;
    if (strcmp(verb, "submit") != 0 || e->calls++ == 0)
        return FAULT_NONE; /* the start */
    if (e->calls == 2)
        return FAULT_AFTER;
    if (e->calls == 3)
        end_run(e, "r");
    return FAULT_NONE;
}

TEST(a_signal_whose_answer_is_lost_is_unknown_if_its_run_has_ended_since)
{
    struct ending         e = {0};
    struct worker_self    self = {.name = "test", .lease_us = US_PER_S};
    struct partition_row *partitions;
    struct arena          a = {0};
    struct store         *s;
    struct err            err = {0};
    size_t                n;
    hf                   *h;

    CHECK_INT(memory_store_open(NULL, &e.inner, NULL), HF_OK);
    CHECK_INT(e.inner->ops->acquire(e.inner, &self, &e.worker, &a, &partitions, &n, &err), HF_OK);
    CHECK_INT(fault_store_open(e.inner, lose_first_then_end, &e, &s, NULL), HF_OK);
    CHECK_INT(handle_new(s, &h), HF_OK);
    CHECK_INT(hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL), HF_OK);
    CHECK_INT(hf_send(h, "r", "go", NULL, HF_OPT(.key = "a")), HF_UNKNOWN);
    CHECK_INT(e.calls, 3);
    CHECK_TEXT(hf_errmsg(h), "run r: has ended; the answer to a first try was lost");
    CHECK_INT(hf_send(h, "r", "go", NULL, HF_OPT(.key = "a")), HF_DONE); /* now it is sure */
    arena_release(&a);
    hf_close(h);
}

TEST(an_enqueue_whose_answer_is_lost_is_not_repeated)
{
    struct store *inner, *s;
    hf           *h;
    int           calls = 0;

    CHECK_INT(memory_store_open(NULL, &inner, NULL), HF_OK);
    CHECK_INT(fault_store_open(inner, lose_first, &calls, &s, NULL), HF_OK);
    CHECK_INT(handle_new(s, &h), HF_OK);
    CHECK_INT(hf_enqueue(h, "t", NULL, NULL, NULL), HF_UNKNOWN);
    CHECK_INT(calls, 1);
    hf_close(h);
}

TEST(bad_arguments_are_refused_with_a_sentence_that_names_them)
{
    static const struct {
        hf_opt      opt;
        const char *says;
    } bad[] = {
        {{.size = sizeof(hf_opt), .class_ = 4}, "class"},
        {{.size = sizeof(hf_opt), .class_ = -1}, "class"},
        {{.size = sizeof(hf_opt), .if_exists = 3}, "if_exists"},
        {{.size = sizeof(hf_opt), .version = -1}, "version"},
        {{.size = sizeof(hf_opt), .delay_ms = -1}, "delay_ms"},
        {{.size = sizeof(hf_opt), .at_ms = -1}, "at_ms"},
        {{.size = sizeof(hf_opt), .at_ms = INT64_MAX}, "at_ms"},
        {{.size = sizeof(hf_opt), .max_attempts = -2}, "max_attempts"},
        {{.size = sizeof(hf_opt), .factor = 0.5}, "factor"},
        {{.size = sizeof(hf_opt), .jitter = 2}, "jitter"},
        {{.size = sizeof(hf_opt), .on_crash = 2}, "on_crash"},
        {{.size = sizeof(hf_opt), .id = ""}, "id"},
        {{.size = sizeof(hf_opt), .queue = "a,b"}, "queue"},
        {{.size = 0}, "HF_OPT"},
    };
    hf *h = open_memory();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(hf_start(h, "w", NULL, &bad[i].opt, NULL), HF_INVALID);
        CHECK(strstr(hf_errmsg(h), bad[i].says) != NULL);
        CHECK_INT(hf_enqueue(h, "t", NULL, &bad[i].opt, NULL), HF_INVALID);
    }
    CHECK_INT(hf_start(h, "", NULL, NULL, NULL), HF_INVALID);
    CHECK_INT(hf_start(h, NULL, NULL, NULL, NULL), HF_INVALID);
    CHECK_INT(hf_start(h, "w", "\xff", NULL, NULL), HF_INVALID);
    CHECK_INT(hf_send(h, "r", "", NULL, NULL), HF_INVALID);
    CHECK_INT(hf_wait(h, "r", -2, NULL), HF_INVALID);
    hf_close(h);
}

TEST(options_of_an_older_program_are_read_and_unknown_ones_of_a_newer_refused)
{
    struct {
        hf_opt opt;
        long   newer;
    } newer = {.opt = {.size = sizeof(newer), .version = 2}};
    hf_opt     old = {.size = offsetof(hf_opt, delay_ms), .version = 3, .delay_ms = -1}, out;
    struct err err;

    CHECK_INT(opt_read(&old, &out, &err), HF_OK);
    CHECK_INT(out.version, 3);
    CHECK_INT(out.delay_ms, 0);
    CHECK_INT(opt_read(&newer.opt, &out, &err), HF_OK);
    newer.newer = 1;
    CHECK_INT(opt_read(&newer.opt, &out, &err), HF_INVALID);
}

TEST(many_tasks_are_stored_all_or_none)
{
    const char *inputs[] = {"1", "\xff", "3"};
    hf         *h = open_memory();
    char        ids[3 * HF_ID_SIZE];

    CHECK_INT(hf_enqueue_many(h, "t", inputs, 3, NULL, ids), HF_INVALID);
    CHECK(strstr(hf_errmsg(h), "input 2") != NULL);
    struct pending p;
    CHECK_INT(h->store->ops->pending(h->store, NULL, 0, &p, NULL), HF_OK);
    CHECK_INT(p.tasks, 0);
    inputs[1] = "2";
    CHECK_INT(hf_enqueue_many(h, "t", inputs, 3, NULL, ids), HF_OK);
    CHECK(strcmp(ids, ids + HF_ID_SIZE) != 0 &&
          strcmp(ids + HF_ID_SIZE, ids + 2 * HF_ID_SIZE) != 0);
    CHECK_INT(hf_enqueue_many(h, "t", NULL, 3, HF_OPT(.id = "x"), NULL), HF_INVALID);
    CHECK_INT(hf_enqueue_many(h, "t", NULL, 0, NULL, NULL), HF_OK);
    hf_close(h);
}

TEST(many_runs_are_started_all_or_none)
{
    const char *inputs[] = {"1", "\xff", "3"}, *given[] = {"a", NULL, "c"};
    hf         *h = open_memory();
    hf_info    *info;
    char        ids[3 * HF_ID_SIZE];

    CHECK_INT(hf_start_many(h, "w", inputs, given, 3, NULL, ids), HF_INVALID);
    CHECK(strncmp(hf_errmsg(h), "start 2: input", 14) == 0);
    CHECK_INT(hf_describe(h, "a", &info), HF_NOT_FOUND);
    inputs[1] = "2";
    CHECK_INT(hf_start_many(h, "w", inputs, given, 3, NULL, ids), HF_OK);
    CHECK_TEXT(ids, "a");
    CHECK_INT(strlen(ids + HF_ID_SIZE), 36);
    CHECK_INT(hf_describe(h, ids + HF_ID_SIZE, &info), HF_OK);
    CHECK_TEXT(info->input, "2");
    hf_info_free(info);
    given[0] = "b";
    CHECK_INT(hf_start_many(h, "w", NULL, given, 3, NULL, NULL), HF_EXISTS);
    CHECK(strncmp(hf_errmsg(h), "start 3: ", 9) == 0);
    CHECK_INT(hf_describe(h, "b", &info), HF_NOT_FOUND);
    CHECK_INT(hf_start_many(h, "w", NULL, given, 3, HF_OPT(.if_exists = HF_IF_EXISTS_USE), ids),
              HF_OK);
    CHECK_TEXT(ids, "b");
    CHECK_TEXT(ids + 2 * HF_ID_SIZE, "c");
    CHECK_INT(hf_start_many(h, "w", NULL, NULL, 2, HF_OPT(.id = "x"), NULL), HF_INVALID);
    CHECK_INT(hf_start_many(h, "w", NULL, NULL, 2, HF_OPT(.if_exists = HF_IF_EXISTS_REPLACE), NULL),
              HF_INVALID);
    CHECK_INT(hf_start_many(h, "", NULL, NULL, 1, NULL, NULL), HF_INVALID);
    CHECK_INT(hf_start_many(h, "w", NULL, NULL, 0, NULL, NULL), HF_OK);
    hf_close(h);
}

/* The tokens stay the same, so the second time finds its own runs. */
TEST(many_starts_whose_answer_is_lost_are_repeated)
{
    struct store *inner, *s;
    hf           *h;
    int           calls = 0;
    char          ids[2 * HF_ID_SIZE];

    CHECK_INT(memory_store_open(NULL, &inner, NULL), HF_OK);
    CHECK_INT(fault_store_open(inner, lose_first, &calls, &s, NULL), HF_OK);
    CHECK_INT(handle_new(s, &h), HF_OK);
    CHECK_INT(hf_start_many(h, "w", NULL, NULL, 2, NULL, ids), HF_OK);
    CHECK_INT(calls, 2);
    struct pending p;
    CHECK_INT(h->store->ops->pending(h->store, NULL, 0, &p, NULL), HF_OK);
    CHECK_INT(p.running, 2);
    hf_close(h);
}

static void *
wait_long(void *arg)
{
    hf_info *info = NULL;
    int      rc = hf_wait(arg, "r", 2000, &info);
    hf_info_free(info);
    return rc == HF_TIMEOUT ? arg : NULL;
}

/* A waiting thread must not keep others from the handle. */
TEST(other_threads_go_on_while_one_waits)
{
    hf       *h = open_memory();
    pthread_t thread;
    void     *end;
    int64_t   begin_us = clock_steady_us();

    CHECK_INT(hf_start(h, "w", NULL, HF_OPT(.id = "r"), NULL), HF_OK);
    CHECK_INT(pthread_create(&thread, NULL, wait_long, h), 0);
    usleep(100000);
    for (int i = 0; i < 100; i++)
        CHECK_INT(hf_send(h, "r", "s", NULL, NULL), HF_OK);
    CHECK(clock_steady_us() - begin_us < 1500 * US_PER_MS * test_slowness());
    CHECK_INT(pthread_join(thread, &end), 0);
    CHECK(end == h);
    hf_close(h);
}

static int
nothing(hf_wf *wf)
{
    (void)wf;
    return HF_OK;
}

static int
no_work(hf_tk *tk, void *arg)
{
    (void)tk;
    (void)arg;
    return HF_OK;
}

TEST(the_registry_finds_versions_and_lists_them_sorted)
{
    hf        *h = open_memory();
    struct buf b = {0};

    CHECK_INT(hf_workflow(h, "b", 2, nothing), HF_OK);
    CHECK_INT(hf_workflow(h, "b", 10, nothing), HF_OK);
    CHECK_INT(hf_workflow(h, "b", 1, nothing), HF_OK);
    CHECK_INT(hf_workflow(h, "a b%", 1, nothing), HF_OK);
    CHECK_INT(hf_handler(h, "z", no_work, NULL, HF_OPT(.max_attempts = 3)), HF_OK);
    CHECK_INT(hf_workflow(h, "b", 2, nothing), HF_INVALID);
    CHECK_INT(hf_workflow(h, "b", 0, nothing), HF_INVALID);
    CHECK_INT(hf_workflow(h, "c", 1, NULL), HF_INVALID);
    CHECK_INT(hf_handler(h, "z", no_work, NULL, NULL), HF_INVALID);
    CHECK_INT(hf_handler(h, "y", no_work, NULL, HF_OPT(.jitter = 3)), HF_INVALID);
    CHECK_INT(registry_find_workflow(&h->registry, "b", 0)->version, 10);
    CHECK_INT(registry_find_workflow(&h->registry, "b", 2)->version, 2);
    CHECK(registry_find_workflow(&h->registry, "b", 3) == NULL);
    CHECK(registry_find_workflow(&h->registry, "", 0) == NULL);
    CHECK(registry_find_workflow(&h->registry, "c", 0) == NULL);
    CHECK_INT(registry_find_handler(&h->registry, "z")->defaults.max_attempts, 3);
    CHECK(registry_find_handler(&h->registry, "a") == NULL);
    CHECK_INT(registry_describe(&h->registry, &b, NULL), HF_OK);
    CHECK_TEXT(b.data, "task:z workflow:a%20b%25@1 workflow:b@1 workflow:b@2 workflow:b@10");
    h->registry.sealed = true;
    CHECK_INT(hf_workflow(h, "late", 1, nothing), HF_INVALID);
    buf_release(&b);
    hf_close(h);
}
