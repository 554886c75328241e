/* The wrappers around stores, the words of store.h, and the memory store when memory is out. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/store.h"
#include "test.h"

static struct arena arena;
static struct err   err;

static struct store *
open_memory(void)
{
    static int64_t now_us = 5 * US_PER_S;
    struct clock   clock = clock_fake(&now_us);
    struct store  *s;
    CHECK_INT(memory_store_open(&clock, &s, &err), HF_OK);
    return s;
}

static int
enqueue(struct store *s, const char *id)
{
    struct submit item = {.kind = SUBMIT_ENQUEUE, .id = id, .name = "t", .queue = id};
    size_t        bad;
    return s->ops->submit(s, &item, 1, &bad, &err);
}

static int
find(struct store *s, const char *id)
{
    struct task_row t;
    return s->ops->task_get(s, id, &arena, &t, &err);
}

static enum fault
next_fault(void *arg, const char *verb, struct batch *batch)
{
    enum fault *next = arg, fault = *next;
    if (strcmp(verb, "submit") != 0 && strcmp(verb, "cycle") != 0)
        return FAULT_NONE;
    *next = FAULT_NONE;
    if (batch && fault == FAULT_REFUSE)
        batch->refused = 7;
    return fault;
}

TEST(an_injected_fault_before_a_verb_leaves_the_store_as_it_was)
{
    enum fault    fault = FAULT_BEFORE;
    struct store *s;
    CHECK_INT(fault_store_open(open_memory(), next_fault, &fault, &s, &err), HF_OK);
    CHECK_INT(enqueue(s, "a"), HF_UNAVAILABLE);
    CHECK_INT(find(s, "a"), HF_NOT_FOUND);
    CHECK_INT(enqueue(s, "a"), HF_OK);
    CHECK_INT(find(s, "a"), HF_OK);
    s->ops->close(s);
    arena_release(&arena);
}

TEST(an_injected_fault_after_a_verb_hides_that_it_happened)
{
    enum fault    fault = FAULT_AFTER;
    struct store *s, *other;
    CHECK_INT(fault_store_open(open_memory(), next_fault, &fault, &s, &err), HF_OK);
    CHECK_INT(s->ops->clone(s, &other, &err), HF_OK);
    CHECK_INT(enqueue(other, "a"), HF_UNKNOWN);
    CHECK_INT(find(s, "a"), HF_OK);
    other->ops->close(other);
    s->ops->close(s);
    arena_release(&arena);
}

TEST(an_injected_refusal_names_the_unit_of_the_hook)
{
    enum fault    fault = FAULT_REFUSE;
    struct batch  batch = {0};
    struct rows   rows;
    struct store *s;
    CHECK_INT(fault_store_open(open_memory(), next_fault, &fault, &s, &err), HF_OK);
    CHECK_INT(s->ops->cycle(s, &batch, NULL, 0, &(struct room){0}, &arena, &rows, &err),
              HF_REFUSED);
    CHECK_INT(batch.refused, 7);
    s->ops->close(s);
}

static void
keep_line(void *arg, int level, const char *event, const char *fields)
{
    char(*lines)[4000] = arg;
    size_t used = strlen(*lines);
    CHECK_INT(level, LOG_DEBUG);
    CHECK_TEXT(event, "store");
    snprintf(*lines + used, sizeof(*lines) - used, "%s\n", fields);
}

TEST(a_trace_says_verb_arguments_outcome_and_time)
{
    char          lines[4000] = "";
    struct log    log = {keep_line, &lines};
    struct store *s;
    CHECK_INT(trace_store_open(open_memory(), &log, &s, &err), HF_OK);
    CHECK_INT(enqueue(s, "a"), HF_OK);
    CHECK_INT(enqueue(s, "a"), HF_EXISTS);
    s->ops->close(s);
    CHECK(strstr(lines, "verb=submit n=1 kind=6 id=a code=HF_OK us="));
    CHECK(strstr(lines, "verb=submit n=1 kind=6 id=a code=HF_EXISTS us="));
    CHECK(strstr(lines, "verb=close code=HF_OK us="));
}

TEST(the_memory_store_that_runs_out_of_memory_changes_nothing)
{
    struct store  *s = open_memory();
    int            rc = HF_NOMEM;
    struct pending before, after;
    CHECK_INT(enqueue(s, "first"), HF_OK);
    CHECK_INT(s->ops->pending(s, NULL, 0, &before, &err), HF_OK);
    for (long n = 1; rc == HF_NOMEM; n++) {
        CHECK(n < 1000);
        mem_fail_at(n, 0);
        rc = enqueue(s, "a");
        mem_fail_at(0, 0);
        CHECK_INT(find(s, "a"), rc ? HF_NOT_FOUND : HF_OK);
        CHECK_INT(s->ops->pending(s, NULL, 0, &after, &err), HF_OK);
        CHECK_INT(after.tasks, before.tasks + (rc == HF_OK));
    }
    CHECK_INT(rc, HF_OK);
    CHECK_INT(enqueue(s, "a"), HF_EXISTS);
    s->ops->close(s);
    arena_release(&arena);
}

TEST(a_fetch_that_runs_out_of_memory_moves_no_cursor)
{
    struct store         *s = open_memory();
    struct worker_self    self = {.name = "w"};
    struct partition_row *partitions;
    size_t                n;
    int64_t               worker = 0;
    struct cursor         cursor = {.partition = 1};
    struct room           room = {9, 9, 9, false};
    struct rows           rows;
    int                   rc = HF_NOMEM;
    struct submit         item = {.kind = SUBMIT_START, .id = "a", .name = "wf", .cls = 1};
    CHECK_INT(s->ops->submit(s, &item, 1, &n, &err), HF_OK);
    CHECK_INT(s->ops->acquire(s, &self, &worker, &arena, &partitions, &n, &err), HF_OK);
    struct batch batch = {.worker = worker};
    for (long i = 1; rc == HF_NOMEM; i++) {
        arena_release(&arena);
        mem_fail_at(i, 0);
        rc = s->ops->cycle(s, &batch, &cursor, 1, &room, &arena, &rows, &err);
        mem_fail_at(0, 0);
        CHECK_INT(cursor.begun, rc == HF_OK);
    }
    CHECK_INT(rows.n_runs, 1);
    s->ops->close(s);
    arena_release(&arena);
}

TEST(ids_of_tasks_are_formatted_and_parsed)
{
    static const char *const bad[] = {"",
                                      "t",
                                      "t1.1",
                                      "t1.1.",
                                      "t0.1.1",
                                      "t1.4.1",
                                      "t1.1.0",
                                      "t1.1.01",
                                      "t1.1.1x",
                                      "x1.1.1",
                                      "t-1.1.1",
                                      "t99999.1.1",
                                      "t1.1.99999999999999999999"};
    char                     id[HF_ID_SIZE];
    int64_t                  no = row_no(32767, STREAM_DELAYED, ((int64_t)1 << 46) - 1);
    task_id_format(row_no(1, 1, 42), id);
    CHECK_TEXT(id, "t1.1.42");
    CHECK_INT(task_id_parse(id), row_no(1, 1, 42));
    task_id_format(no, id);
    CHECK_INT(task_id_parse(id), no);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_INT(task_id_parse(bad[i]), 0);
}

TEST(every_status_has_a_name_that_parses)
{
    for (int i = 0; i < RUN_STATUSES; i++)
        CHECK_INT(run_status_parse(run_status_name(i)), i);
    CHECK_INT(run_status_parse("done"), -1);
}
