/*
 * The SQLite store alone, without an engine: what a commit of so many rows costs.
 * usage: sqlite_store [rows in all] [rows a commit]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

static const char called[] =
    "[{\"k\":\"started\",\"in\":{\"n\":1}},{\"k\":\"call\",\"n\":\"noop\",\"r\":1},{\"k\":\"call\","
    "\"n\":\"noop\",\"r\":2},{\"k\":\"call\",\"n\":\"noop\",\"r\":3},{\"k\":\"call\",\"n\":"
    "\"noop\",\"r\":4},{\"k\":\"call\",\"n\":\"noop\",\"r\":5}]";
static const char ended[] =
    "[{\"k\":\"done\",\"r\":1,\"o\":null},{\"k\":\"done\",\"r\":2,\"o\":null},{\"k\":\"done\","
    "\"r\":3,\"o\":null},{\"k\":\"done\",\"r\":4,\"o\":null},{\"k\":\"done\",\"r\":5,\"o\":null},{"
    "\"k\":\"completed\"}]";

static struct err err;

static void
must(int rc)
{
    if (rc != HF_OK) {
        fprintf(stderr, "%s: %s\n", err_name(rc), err.text);
        exit(1);
    }
}

static void
say(const char *what, size_t n, int64_t since_us)
{
    printf("%-28s %10.0f/s\n", what, (double)n * 1e6 / (double)(clock_steady_us() - since_us));
}

static void
submit_all(struct store *s, int kind, size_t total, size_t page, struct submit *items,
           char (*ids)[40])
{
    size_t bad;
    for (size_t i = 0; i < total; i += page) {
        for (size_t k = 0; k < page; k++) {
            if (kind == SUBMIT_START)
                snprintf(ids[k], sizeof(ids[k]), "%08x-1234-4abc-8def-%012zx", (unsigned)rand(),
                         i + k);
            items[k] = (struct submit){.kind = kind,
                                       .id = kind == SUBMIT_START ? ids[k] : NULL,
                                       .name = "noop",
                                       .payload = "{\"n\":1}",
                                       .cls = STREAM_NORMAL};
        }
        must(s->ops->submit(s, items, page, &bad, &err));
    }
}

static void
run_tasks(struct store *s, struct batch *batch, struct cursor *c, const struct room *room)
{
    struct arena arenas[2] = {{0}};
    struct rows  rows;
    int          side = 0;
    batch->n_writes = 0;
    do {
        struct arena *a = &arenas[side ^= 1];
        arena_reset(a);
        must(s->ops->cycle(s, batch, c, 1, room, a, &rows, &err));
        batch->n_writes = rows.n_tasks;
        for (size_t i = 0; i < rows.n_tasks; i++)
            batch->writes[i] = (struct write){
                .kind = WRITE_TASK_DELETE, .unit = (uint32_t)i, .task = &rows.tasks[i]};
    } while (batch->n_writes > 0);
    arena_release(&arenas[0]);
    arena_release(&arenas[1]);
}

static void
run_runs(struct store *s, struct batch *batch, struct cursor *c, const struct room *room)
{
    struct arena a = {0};
    struct rows  rows, nothing;
    struct room  none = {0};
    for (;;) {
        arena_reset(&a);
        batch->n_writes = 0;
        must(s->ops->cycle(s, batch, c, 1, room, &a, &rows, &err));
        if (rows.n_runs == 0)
            break;
        for (size_t i = 0; i < rows.n_runs; i++)
            batch->writes[i] =
                (struct write){.kind = WRITE_HISTORY,
                               .unit = (uint32_t)i,
                               .history = {rows.runs[i].no, 1, 1, called, sizeof(called) - 1}};
        batch->n_writes = rows.n_runs;
        must(s->ops->cycle(s, batch, c, 1, &none, &a, &nothing, &err));
        for (size_t i = 0; i < rows.n_runs; i++) {
            rows.runs[i].status = RUN_COMPLETED;
            rows.runs[i].output = "ok";
            batch->writes[2 * i] =
                (struct write){.kind = WRITE_HISTORY,
                               .unit = (uint32_t)i,
                               .history = {rows.runs[i].no, 1, 2, ended, sizeof(ended) - 1}};
            batch->writes[2 * i + 1] =
                (struct write){.kind = WRITE_RUN, .unit = (uint32_t)i, .run = &rows.runs[i]};
        }
        batch->n_writes = 2 * rows.n_runs;
        must(s->ops->cycle(s, batch, c, 1, &none, &a, &nothing, &err));
    }
    arena_release(&a);
}

int
main(int argc, char **argv)
{
    size_t                total = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000, n;
    size_t                page = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    struct store         *s;
    struct arena          a = {0};
    struct partition_row *p;
    struct worker_self    self = {.name = "bench"};
    struct submit        *items = calloc(page, sizeof(*items));
    char(*ids)[40] = calloc(page, sizeof(*ids));
    struct cursor c = {.partition = 1};
    struct room   room = {page, page, page};
    struct batch  batch = {.writes = calloc(2 * page, sizeof(*batch.writes))};

    unlink("bench.db");
    unlink("bench.db-wal");
    must(store_open("bench.db", NULL, &s, &err));
    must(s->ops->acquire(s, &self, &batch.worker, &a, &p, &n, &err));
    int64_t t = clock_steady_us();
    submit_all(s, SUBMIT_ENQUEUE, total, page, items, ids);
    say("enqueue", total, t);
    t = clock_steady_us();
    run_tasks(s, &batch, &c, &room);
    say("fetch and delete tasks", total, t);
    t = clock_steady_us();
    submit_all(s, SUBMIT_START, total, page, items, ids);
    say("start runs", total, t);
    t = clock_steady_us();
    run_runs(s, &batch, &c, &room);
    say("fetch and run, two turns", total, t);
    t = clock_steady_us();
    for (int i = 0; i < 100000; i++) {
        struct rows rows;
        batch.n_writes = 0;
        must(s->ops->cycle(s, &batch, &c, 1, &room, &a, &rows, &err));
    }
    say("empty cycles", 100000, t);
    s->ops->close(s);
    arena_release(&a);
    free(items);
    free(ids);
    free(batch.writes);
    return 0;
}
