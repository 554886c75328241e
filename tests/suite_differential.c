/*
 * The differential test: the same random operations on the memory store, which is the model, and on
 * the SQLite store, under the same clock. Every answer and, at the end, everything stored must be
 * the same. The seed is printed: SEED=n replays one run, OPS=n sets its length.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/store.h"
#include "test.h"

enum { SIDES = 2, IDS = 12, QUEUES = 3 };

struct side {
    const char   *name;
    struct store *client, *owner;
    int64_t       worker;
    struct cursor cursors[QUEUES + 1];
    size_t        n_cursors;
    struct arena  arena; /* of one operation */
    struct buf    answer;
};

static struct side sides[SIDES];
static int64_t     now_us = 1000 * US_PER_S;
static uint64_t    seed, state;
static int         step;

/* ---- randomness: the same draws for both sides, so an operation is drawn before it is done */

static uint64_t
draw(uint64_t below)
{
    state += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (z ^ (z >> 31)) % below;
}

static const char *
pick(const char *const *words, size_t n)
{
    return words[draw(n)];
}

static const char *const ids[IDS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
static const char *const queues[QUEUES + 1] = {NULL, "default", "q", "r"};
static const char *const keys[] = {NULL, NULL, "k1", "k2"};
static const char *const tokens[] = {NULL, "t1", "t2", "t3"};

static int64_t
some_time(void)
{
    return draw(2) ? 0 : now_us + (int64_t)draw(20) - 5;
}

/* ---- answers as text */

static void
put_code(struct side *s, int rc, struct err *err)
{
    (void)err;
    buf_printf(&s->answer, "%s\n", err_name(rc));
}

static void
put_texts(struct buf *b, size_t n, const char *const *texts)
{
    for (size_t i = 0; i < n; i++) {
        buf_json(b, texts[i]);
        buf_putc(b, ' ');
    }
}

static void
put_run(struct buf *b, const struct run_row *r)
{
    buf_printf(b, "run %llx %llx/%d at %lld s%d v%d e%d wake %lld c%d %d end %lld ",
               (long long)r->no, (long long)r->parent_no, r->parent_execution,
               (long long)r->started_us, r->status, r->version, r->execution, (long long)r->wake_us,
               r->crashes, r->claimed, (long long)r->ended_us);
    put_texts(b, 10,
              (const char *[]){r->id, r->workflow, r->queue, r->input, r->token, r->parent_ref,
                               r->custom, r->output, r->error_name, r->error_message});
    buf_puts(b, r->fresh ? "fresh\n" : "\n");
}

static void
put_task(struct buf *b, const struct task_row *t)
{
    /* A delayed row whose time was taken away may keep any time that has long passed. */
    int64_t run_at_us = t->run_at_us == 1 ? 0 : t->run_at_us;
    buf_printf(b, "task %llx of %llx/%d at %lld a%d due %lld %d c%d ", (long long)t->no,
               (long long)t->run_no, t->execution, (long long)t->created_us, t->attempt,
               (long long)run_at_us, t->claimed, t->crashes);
    put_texts(b, 8,
              (const char *[]){t->id, t->name, t->payload, t->queue, t->opts, t->ref, t->error_name,
                               t->error_message});
    buf_putc(b, '\n');
}

static void
put_dead(struct buf *b, const struct dead_row *d)
{
    buf_printf(b, "dead %llx a%d c%d at %lld died %lld ", (long long)d->no, d->attempts, d->crashes,
               (long long)d->created_us, (long long)d->died_us);
    put_texts(b, 7,
              (const char *[]){d->id, d->name, d->payload, d->queue, d->opts, d->error_name,
                               d->error_message});
    buf_putc(b, '\n');
}

static void
put_inbox(struct buf *b, const struct inbox_row *i)
{
    buf_printf(b, "inbox %llx of %llx k%d aux %d code %d at %lld ", (long long)i->no,
               (long long)i->run_no, i->kind, i->aux, i->code, (long long)i->time_us);
    put_texts(b, 3, (const char *[]){i->name, i->payload, i->key});
    buf_putc(b, '\n');
}

/* ---- operations: drawn once as a value, done on each side */

enum op { OP_SUBMIT, OP_BATCH, OP_DRAIN, OP_CLOCK, OP_CRASH, OP_LEAVE, OP_READ, OPS };

struct change {
    int              kind;
    const char      *id, *other; /* of the run, the task, the child */
    struct run_row   run;
    struct task_row  task;
    struct submit    start;
    struct inbox_row inbox;
    const char      *text;
    uint64_t         nth;
};

enum { ITEMS = 4 };
struct operation {
    enum op       op;
    size_t        n;
    struct submit items[ITEMS];
    struct change changes[ITEMS];
    struct room   rooms[8];
    bool          stale;
};

static void
draw_item(struct submit *item)
{
    *item = (struct submit){.kind = (int)draw(SUBMIT_DISCARD + 1),
                            .id = pick(ids, IDS),
                            .name = draw(2) ? "wf" : "wf2",
                            .payload = draw(3) ? "{\"x\":1}" : NULL,
                            .queue = pick(queues, QUEUES + 1),
                            .key = pick(keys, 4),
                            .token = pick(tokens, 4),
                            .opts = draw(3) ? NULL : "{\"max_attempts\":2}",
                            .cls = (int)draw(3),
                            .version = (int)draw(3),
                            .if_exists = (int)draw(4),
                            .run_at_us = some_time()};
    if (item->kind != SUBMIT_SIGNAL)
        item->key = NULL;
    if (item->kind == SUBMIT_ENQUEUE && draw(2))
        item->id = NULL;
}

/* An owner writes times to come: what it says is due already it must see to itself, and stores may
 * bring that or not. */
static void
draw_change(struct change *c)
{
    *c = (struct change){.kind = (int)draw(WRITE_CALM + 1),
                         .id = pick(ids, IDS),
                         .other = pick(ids, IDS),
                         .text = draw(2) ? "[]" : "[{\"e\":1}]",
                         .nth = draw(1000)};
    c->run = (struct run_row){.status = draw(3) ? (int)draw(2) : (int)draw(RUN_STATUSES),
                              .version = (int)draw(3),
                              .execution = 1 + (int)draw(3),
                              .wake_us = draw(2) ? NEVER_US : now_us + 1 + (int64_t)draw(20),
                              .crashes = (int)draw(2),
                              .claimed = draw(4) == 0,
                              .custom = draw(2) ? NULL : "custom",
                              .output = draw(2) ? NULL : "out",
                              .error_name = draw(3)   ? NULL
                                            : draw(2) ? "crashed"
                                                      : "bad",
                              .workflow = "wf3",
                              .input = draw(2) ? NULL : "in",
                              .token = pick(tokens, 4),
                              .started_us = now_us};
    c->run.ended_us = run_has_ended(c->run.status) ? now_us : 0;
    c->task = (struct task_row){.name = "called",
                                .queue = draw(3) ? NULL : pick(queues, QUEUES + 1),
                                .payload = draw(2) ? NULL : "p",
                                .execution = 1,
                                .ref = "0.1",
                                .attempt = (int)draw(3),
                                .run_at_us = draw(2) ? 0 : now_us + 1 + (int64_t)draw(20),
                                .claimed = draw(4) == 0,
                                .crashes = (int)draw(2),
                                .error_name = draw(2) ? NULL : "bad"};
    draw_item(&c->start);
    c->inbox = (struct inbox_row){
        .kind = INBOX_CHILD, .name = "0.1", .payload = "o", .aux = 1, .code = (int)draw(3)};
}

static struct operation
draw_operation(void)
{
    static const int weights[OPS] = {40, 40, 12, 10, 1, 1, 6};
    struct operation o = {.n = 1 + draw(ITEMS), .stale = draw(40) == 0};
    int              at = (int)draw(110);

    while (at >= weights[o.op])
        at -= weights[o.op++];
    for (size_t i = 0; i < ITEMS; i++) {
        draw_item(&o.items[i]);
        draw_change(&o.changes[i]);
    }
    for (size_t i = 0; i < 8; i++)
        o.rooms[i] = (struct room){1 + draw(6), 1 + draw(6), 1 + draw(6), false};
    if (o.op == OP_CLOCK)
        now_us += (int64_t)draw(15);
    return o;
}

static void
do_submit(struct side *s, const struct operation *o)
{
    struct submit items[ITEMS];
    size_t        bad = 0;
    struct err    err = {0};

    memcpy(items, o->items, sizeof(items));
    int rc = s->client->ops->submit(s->client, items, o->n, &bad, &err);
    put_code(s, rc, &err);
    if (rc)
        buf_printf(&s->answer, "bad %zu\n", bad);
    for (size_t i = 0; rc == HF_OK && i < o->n; i++)
        buf_printf(&s->answer, "%llx %d\n", (long long)items[i].no, items[i].existed);
}

/* The n-th of all tasks, 0 if there is none. */
static bool
nth_task(struct side *s, uint64_t nth, struct task_row *out)
{
    struct task_row   *rows;
    size_t             n = 0;
    struct err         err;
    struct task_filter all = {.limit = 100000};

    if (s->client->ops->task_list(s->client, &all, &s->arena, &rows, &n, &err) || n == 0)
        return false;
    *out = rows[nth % n];
    return true;
}

static int64_t
nth_inbox(struct side *s, int64_t run_no, uint64_t nth)
{
    struct inbox_row *rows;
    size_t            n = 0;
    struct err        err;

    if (s->client->ops->inbox_list(s->client, run_no, &s->arena, &rows, &n, &err) || n == 0)
        return 0;
    return rows[nth % n].no;
}

/* A change as a write, with numbers of this side. False: there is nothing it could be about. */
static bool
make_write(struct side *s, struct change *c, uint32_t unit, struct write *w)
{
    struct run_row  run = {0};
    struct task_row task = {0};
    struct err      err;
    bool has_run = s->client->ops->run_get(s->client, c->id, &s->arena, &run, &err) == HF_OK;
    bool has_task = nth_task(s, c->nth, &task);

    *w = (struct write){.kind = (uint32_t)c->kind, .unit = unit};
    c->run.no = run.no;
    switch ((enum write_kind)c->kind) {
    case WRITE_HISTORY:
        w->history = (struct history_row){run.no, 1 + (int)(c->nth % 3), 1 + (int)(c->nth % 7),
                                          c->text, strlen(c->text)};
        return has_run;
    case WRITE_RUN:
    case WRITE_RESTART:
        w->run = &c->run;
        return has_run;
    case WRITE_PRUNE:
        w->history = (struct history_row){.run_no = run.no, .execution = 1 + (int)(c->nth % 4)};
        return has_run;
    case WRITE_START:
        c->start.id = c->other;
        w->start = &c->start;
        w->parent_no = has_run && c->nth % 3 ? run.no : 0;
        w->parent_ref = w->parent_no ? "0.1" : NULL;
        w->parent_execution = w->parent_no ? 2 : 0;
        return true;
    case WRITE_TASK_NEW:
        c->task.run_no = run.no;
        w->task = &c->task;
        return has_run;
    case WRITE_TASK:
    case WRITE_TASK_DELETE:
    case WRITE_DEAD:
        c->task.no = task.no;
        w->task = &c->task;
        return has_task;
    case WRITE_INBOX:
        w->inbox = c->inbox;
        w->inbox.run_no = c->nth % 2 ? run.no : 0;
        w->target = c->other;
        return true;
    case WRITE_INBOX_DELETE:
        w->inbox.no = has_run ? nth_inbox(s, run.no, c->nth) : 0;
        return w->inbox.no != 0;
    case WRITE_HAND_OVER:
        return false;
    case WRITE_CALM:
        w->partition = 1 + (int32_t)(c->nth % 3);
        return true;
    }
    return false;
}

static void
do_batch(struct side *s, const struct operation *o)
{
    struct operation mine = *o;
    struct write     writes[ITEMS];
    int32_t          partitions[QUEUES + 1];
    struct err       err = {0};
    struct rows      rows;
    size_t           n = 0;

    for (size_t i = 0; i < o->n; i++)
        n += make_write(s, &mine.changes[i], (uint32_t)i, &writes[n]);
    for (size_t i = 0; i < s->n_cursors; i++)
        partitions[i] = s->cursors[i].partition;
    struct batch batch = {s->worker - o->stale, partitions, s->n_cursors, writes, n, 0};
    int          rc =
        s->owner->ops->cycle(s->owner, &batch, NULL, 0, &(struct room){0}, &s->arena, &rows, &err);
    put_code(s, rc, &err);
    buf_printf(&s->answer, "%zu writes\n", n);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Everything that is new, by pages of random size, sorted: how pages are cut is the store's. */
static void
do_drain(struct side *s, const struct operation *o)
{
    char        *lines[4000];
    size_t       n = 0;
    struct buf   b = {0};
    struct rows  rows = {.more = true};
    struct err   err = {0};
    struct batch batch = {.worker = s->worker};

#define LINES(type, put)                                                                           \
    for (size_t k = 0; k < rows.n_##type; k++) {                                                   \
        buf_clear(&b);                                                                             \
        buf_puts(&b, #type " ");                                                                   \
        put(&b, &rows.type[k]);                                                                    \
        CHECK(n < sizeof(lines) / sizeof(lines[0]));                                               \
        lines[n++] = arena_strdup(&s->arena, b.data);                                              \
    }
    for (size_t i = 0; rows.more; i++) {
        int rc = s->owner->ops->cycle(s->owner, &batch, s->cursors, s->n_cursors, &o->rooms[i % 8],
                                      &s->arena, &rows, &err);
        if (rc)
            test_fail(__FILE__, __LINE__, "%s: fetch: %s", s->name, err.text);
        LINES(runs, put_run)
        LINES(due, put_run)
        LINES(tasks, put_task)
        LINES(inbox, put_inbox)
    }
    qsort(lines, n, sizeof(lines[0]), by_text);
    for (size_t i = 0; i < n; i++)
        buf_puts(&s->answer, lines[i]);
    buf_printf(&s->answer, "next %lld, %u partitions\n", (long long)rows.next_due_us,
               rows.partitions);
    buf_release(&b);
}

static void
do_acquire(struct side *s)
{
    struct worker_self    self = {.name = "w", .handlers = "task:t", .lease_us = US_PER_S};
    struct partition_row *rows;
    size_t                n;
    struct err            err = {0};

    if (s->owner == NULL)
        CHECK_INT(s->client->ops->clone(s->client, &s->owner, &err), HF_OK);
    s->worker = 0;
    int rc = s->owner->ops->acquire(s->owner, &self, &s->worker, &s->arena, &rows, &n, &err);
    put_code(s, rc, &err);
    CHECK(rc == HF_OK && n <= QUEUES + 1);
    s->n_cursors = n;
    for (size_t i = 0; i < n; i++) {
        s->cursors[i] = (struct cursor){.partition = rows[i].id};
        buf_printf(&s->answer, "%d %s %d %lld\n", rows[i].id, rows[i].queue, rows[i].crashes,
                   (long long)rows[i].crashed_us);
    }
}

static void
do_crash(struct side *s)
{
    s->owner->ops->close(s->owner);
    s->owner = NULL;
    do_acquire(s);
}

static void
do_leave(struct side *s)
{
    struct err err = {0};
    put_code(s, s->owner->ops->leave(s->owner, s->worker, &err), &err);
    do_acquire(s);
}

static void
put_runs(struct side *s, const struct run_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_run(&s->answer, &rows[i]);
}

/* Everything there is, by the reading verbs. */
static void
do_read(struct side *s, const struct operation *o)
{
    const struct store_ops *ops = s->client->ops;
    struct run_filter       rf = {.status = (int)o->rooms[0].runs - 2,
                                  .queue = o->items[0].queue,
                                  .before_us = o->stale ? now_us : 0,
                                  .limit = (int)o->n * 4};
    struct task_filter      tf = {.queue = o->items[1].queue, .limit = (int)o->n * 4};
    struct run_row         *runs;
    struct task_row        *tasks;
    struct dead_row        *dead;
    struct pending          p;
    size_t                  n;
    struct err              err = {0};

    put_code(s, ops->run_list(s->client, &rf, &s->arena, &runs, &n, &err), &err);
    put_runs(s, runs, n);
    put_code(s, ops->task_list(s->client, &tf, &s->arena, &tasks, &n, &err), &err);
    for (size_t i = 0; i < n; i++)
        put_task(&s->answer, &tasks[i]);
    int64_t         nos[2] = {n ? tasks[n - 1].no : 0, n ? tasks[0].no + 1 : 1};
    struct task_row loaded[2];
    put_code(s, ops->load_tasks(s->client, nos, 2, &s->arena, loaded, &err), &err);
    put_task(&s->answer, &loaded[0]);
    put_task(&s->answer, &loaded[1]);
    put_code(s, ops->dead_list(s->client, &tf, &s->arena, &dead, &n, &err), &err);
    for (size_t i = 0; i < n; i++)
        put_dead(&s->answer, &dead[i]);
    put_code(s, ops->pending(s->client, o->items[2].queue, now_us, &p, &err), &err);
    buf_printf(&s->answer, "%d %d %d %d %d %d %d %d\n", (int)p.tasks, (int)p.running, (int)p.due,
               (int)p.waiting, (int)p.paused, (int)p.blocked, (int)p.inbox, (int)p.dead);
}

static void
do_dump(struct side *s)
{
    struct operation        all = {.n = 10000, .rooms = {{.runs = 1}}};
    const struct store_ops *ops = s->client->ops;
    struct err              err = {0};

    do_read(s, &all);
    for (size_t i = 0; i < IDS; i++) {
        struct run_row      run, *children;
        struct inbox_row   *inbox;
        struct history_row *history;
        struct loaded       loaded;
        size_t              n;
        if (ops->run_get(s->client, ids[i], &s->arena, &run, &err))
            continue;
        CHECK_INT(ops->inbox_list(s->client, run.no, &s->arena, &inbox, &n, &err), HF_OK);
        for (size_t k = 0; k < n; k++)
            put_inbox(&s->answer, &inbox[k]);
        CHECK_INT(ops->children(s->client, run.no, &s->arena, &children, &n, &err), HF_OK);
        put_runs(s, children, n);
        for (int execution = 1; execution <= 3; execution++) {
            CHECK_INT(ops->history(s->client, run.no, execution, &s->arena, &history, &n, &err),
                      HF_OK);
            for (size_t k = 0; k < n; k++)
                buf_printf(&s->answer, "history %d.%d %.*s\n", history[k].execution, history[k].seq,
                           (int)history[k].events_len, history[k].events);
        }
        CHECK_INT(ops->load(s->client, &run.no, 1, &s->arena, &loaded, &err), HF_OK);
        put_run(&s->answer, &loaded.run);
        buf_printf(&s->answer, "%zu rows\n", loaded.n_history);
    }
}

static void
do_operation(struct side *s, const struct operation *o)
{
    switch (o->op) {
    case OP_SUBMIT:
        do_submit(s, o);
        break;
    case OP_BATCH:
        do_batch(s, o);
        break;
    case OP_DRAIN:
        do_drain(s, o);
        break;
    case OP_CRASH:
        do_crash(s);
        break;
    case OP_LEAVE:
        do_leave(s);
        break;
    case OP_READ:
        do_read(s, o);
        break;
    case OP_CLOCK:
    case OPS:
        break;
    }
}

/* ---- comparing */

static void
say_operation(const struct operation *o)
{
    static const char *const names[OPS] = {"submit", "batch", "drain", "clock",
                                           "crash",  "leave", "read"};
    printf("step %d at %lld: %s", step, (long long)now_us, names[o->op]);
    for (size_t i = 0; i < o->n && o->op == OP_SUBMIT; i++)
        printf(" (%d id %s if_exists %d at %lld)", o->items[i].kind,
               o->items[i].id ? o->items[i].id : "-", o->items[i].if_exists,
               (long long)o->items[i].run_at_us);
    for (size_t i = 0; i < o->n && o->op == OP_BATCH; i++)
        printf(" (%d id %s other %s nth %llu status %d wake %lld at %lld)", o->changes[i].kind,
               o->changes[i].id, o->changes[i].other, (unsigned long long)o->changes[i].nth,
               o->changes[i].run.status, (long long)o->changes[i].run.wake_us,
               (long long)o->changes[i].task.run_at_us);
    putchar('\n');
}

static void
compare(const struct operation *o)
{
    const char *a = sides[0].answer.data, *b = sides[1].answer.data;

    if (strcmp(a ? a : "", b ? b : "") != 0) {
        say_operation(o);
        test_fail(__FILE__, __LINE__, "SEED=%llu, step %d: the stores differ\n%s:\n%s\n%s:\n%s",
                  (unsigned long long)seed, step, sides[0].name, a, sides[1].name, b);
    }
    for (int i = 0; i < SIDES; i++) {
        buf_clear(&sides[i].answer);
        arena_release(&sides[i].arena);
    }
}

static void
open_sides(void)
{
    struct clock clock = clock_fake(&now_us);
    struct err   err = {0};

    sides[0].name = "memory";
    sides[1].name = "sqlite";
    if (memory_store_open(&clock, &sides[0].client, &err) ||
        sqlite_store_open("differential.db", &clock, &sides[1].client, &err))
        test_fail(__FILE__, __LINE__, "open: %s", err.text);
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void
compare_stores(uint64_t with_seed, int ops)
{
    struct operation none = {.op = OP_READ, .n = 4};

    seed = state = with_seed;
    printf("SEED=%llu OPS=%d\n", (unsigned long long)seed, ops);
    open_sides();
    for (int i = 0; i < SIDES; i++)
        do_acquire(&sides[i]);
    compare(&none);
    for (step = 1; step <= ops; step++) {
        struct operation o = draw_operation();
        if (getenv("TEST_VERBOSE"))
            say_operation(&o);
        for (int i = 0; i < SIDES; i++)
            do_operation(&sides[i], &o);
        compare(&o);
    }
    for (int i = 0; i < SIDES; i++)
        do_dump(&sides[i]);
    compare(&none);
    for (int i = 0; i < SIDES; i++) {
        do_crash(&sides[i]);
        do_drain(&sides[i], &(struct operation){.rooms = {{3, 3, 3},
                                                          {3, 3, 3},
                                                          {3, 3, 3},
                                                          {3, 3, 3},
                                                          {3, 3, 3},
                                                          {3, 3, 3},
                                                          {3, 3, 3},
                                                          {3, 3, 3}}});
    }
    compare(&none);
    for (int i = 0; i < SIDES; i++) {
        sides[i].owner->ops->close(sides[i].owner);
        sides[i].client->ops->close(sides[i].client);
        buf_release(&sides[i].answer);
    }
}

TEST_WITHIN(sqlite_answers_as_the_model_does_on_a_known_seed, 120)
{
    compare_stores(setting("SEED", 1), (int)setting("OPS", test_is_quick() ? 1500 : 6000));
}

TEST_WITHIN(sqlite_answers_as_the_model_does_on_a_new_seed, 120)
{
    compare_stores(setting("SEED", (uint64_t)clock_system_us()),
                   (int)setting("OPS", test_is_quick() ? 1500 : 6000));
}
