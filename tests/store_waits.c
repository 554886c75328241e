/* The store suite: waiting, in real time and with threads. */
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store_suite.h"

enum { SHORT_US = 30000, LONG_US = 20000000 };

static void *
submit_soon(void *arg)
{
    struct submit item = {.kind = SUBMIT_START, .id = arg, .name = "wf", .cls = STREAM_NORMAL};
    usleep(SHORT_US);
    OK(w.client->ops->submit(w.client, &item, 1, &w.bad, &w.err));
    return NULL;
}

static void
wait_while(void *(*fn)(void *), void *arg, int wake_fd)
{
    pthread_t  thread;
    struct err err;
    int64_t    began_us = clock_steady_us();
    CHECK_INT(pthread_create(&thread, NULL, fn, arg), 0);
    CHECK_INT(w.owner->ops->wait(w.owner, wake_fd, began_us + LONG_US, &err), HF_OK);
    CHECK(clock_steady_us() - began_us < LONG_US / 2);
    pthread_join(thread, NULL);
}

TEST(the_owner_that_waits_is_woken_by_a_submit)
{
    owned();
    fetch();
    wait_while(submit_soon, "a", -1);
    fetch();
    CHECK_TEXT(fetched_runs(), "a");
}

TEST(a_submit_between_the_fetch_and_the_wait_is_not_slept_over)
{
    owned();
    fetch();
    start("a");
    int64_t began_us = clock_steady_us();
    OK(w.owner->ops->wait(w.owner, -1, began_us + LONG_US, &w.err));
    CHECK(clock_steady_us() - began_us < LONG_US / 2);
}

static void *
write_soon(void *arg)
{
    usleep(SHORT_US);
    eventfd_write(*(int *)arg, 1);
    return NULL;
}

TEST(the_owner_that_waits_is_woken_by_its_file_descriptor)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    owned();
    fetch();
    wait_while(write_soon, &fd, fd);
    close(fd);
}

TEST(a_wait_ends_at_its_deadline)
{
    owned();
    fetch();
    /* Hints of what was fetched may still be there: the first waits may be short. */
    int64_t began_us = clock_steady_us();
    do
        OK(w.owner->ops->wait(w.owner, -1, began_us + SHORT_US, &w.err));
    while (clock_steady_us() < began_us + SHORT_US);
    CHECK(clock_steady_us() - began_us < LONG_US / 2);
}

static int
wait_result(const char *id, const char *token, int64_t us, struct run_row *out)
{
    return w.client->ops->wait_result(w.client, id, token, clock_steady_us() + us, &w.arena, out,
                                      &w.err);
}

TEST(the_result_of_an_ended_run_is_there_at_once)
{
    struct run_row r;
    owned();
    start("a");
    OK(end_run("a", RUN_COMPLETED));
    OK(wait_result("a", NULL, 0, &r));
    CHECK_INT(r.status, RUN_COMPLETED);
    CHECK_TEXT(r.output, "4");
    OK(wait_result("a", "a", 0, &r));
}

TEST(a_result_that_does_not_come_in_time_is_a_timeout_with_the_run_as_it_is)
{
    struct run_row r = {0};
    owned();
    start("a");
    GIVES(HF_TIMEOUT, wait_result("a", NULL, SHORT_US, &r));
    CHECK_TEXT(r.id, "a");
    CHECK_INT(r.status, RUN_RUNNING);
    GIVES(HF_NOT_FOUND, wait_result("nobody", NULL, LONG_US, &r));
}

TEST(the_end_of_an_earlier_life_is_not_the_result_of_the_start_that_replaces_it)
{
    struct run_row r = {0};
    owned();
    start("a");
    OK(end_run("a", RUN_COMPLETED));
    GIVES(HF_TIMEOUT, wait_result("a", "tok2", SHORT_US, &r));
}

/* In a thread: the owner's connection, with an arena and an error of its own. */
static void *
end_soon(void *arg)
{
    struct run_row *r = arg;
    struct write    write = {.kind = WRITE_RUN, .run = r};
    struct batch    batch = {.worker = w.worker,
                             .partitions = (int32_t[]){row_partition(r->no)},
                             .n_partitions = 1,
                             .writes = &write,
                             .n_writes = 1};
    struct arena    arena = {0};
    struct rows     rows;
    struct err      err = {0};
    usleep(SHORT_US);
    CHECK_INT(w.owner->ops->cycle(w.owner, &batch, NULL, 0, &(struct room){0}, &arena, &rows, &err),
              HF_OK);
    w.owner->ops->tell_waiters(w.owner);
    arena_release(&arena);
    return NULL;
}

TEST(who_waits_for_a_result_is_woken_when_the_run_ends)
{
    pthread_t      thread;
    struct run_row r, out;
    owned();
    start("a");
    r = run("a");
    r.status = RUN_FAILED;
    r.error_name = "bad";
    int64_t began_us = clock_steady_us();
    CHECK_INT(pthread_create(&thread, NULL, end_soon, &r), 0);
    OK(wait_result("a", "a", LONG_US, &out));
    CHECK(clock_steady_us() - began_us < LONG_US / 2);
    CHECK_INT(out.status, RUN_FAILED);
    CHECK_TEXT(out.error_name, "bad");
    pthread_join(thread, NULL);
}

/* Many clients and one owner at work at the same time: what was stored is fetched, once. */
enum { CLIENTS = 3, EACH_CLIENT = 60 };

static void *
enqueue_many(void *arg)
{
    struct store *s = arg;
    struct err    err = {0};
    size_t        bad;
    for (int i = 0; i < EACH_CLIENT; i++) {
        struct submit item = {.kind = SUBMIT_ENQUEUE, .name = "t", .cls = i % 3};
        CHECK_INT(s->ops->submit(s, &item, 1, &bad, &err), HF_OK);
    }
    return NULL;
}

TEST_WITHIN(clients_and_owner_work_at_the_same_time, 60)
{
    pthread_t     threads[CLIENTS];
    struct store *clients[CLIENTS];
    size_t        seen = 0;
    owned();
    for (int i = 0; i < CLIENTS; i++)
        OK(w.client->ops->clone(w.client, &clients[i], &w.err));
    for (int i = 0; i < CLIENTS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, enqueue_many, clients[i]), 0);
    w.room.tasks = 7;
    while (seen < CLIENTS * EACH_CLIENT) {
        fetch();
        for (size_t i = 0; i < w.rows.n_tasks; i++)
            OK(commit(&(struct write){.kind = WRITE_TASK_DELETE, .task = &w.rows.tasks[i]}, 1));
        seen += w.rows.n_tasks;
        if (!w.rows.more)
            OK(w.owner->ops->wait(w.owner, -1, clock_steady_us() + US_PER_S / 10, &w.err));
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        clients[i]->ops->close(clients[i]);
    }
    fetch();
    CHECK_INT(w.rows.n_tasks, 0);
    CHECK_INT(seen, CLIENTS * EACH_CLIENT);
    struct pending p;
    OK(w.client->ops->pending(w.client, NULL, 0, &p, &w.err));
    CHECK_INT(p.tasks, 0);
}
