/*
 * Five owners, not workers: processes that use nothing but the store's verbs, append to the history
 * of runs, and are stopped for longer than their lease at random moments: before, inside and after
 * their commits. Each row names the row before it as its writer knew it. If two ever believed to
 * own a run, the chain is broken, or a writer met a row that it had not seen.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ledger.h"
#include "store/store.h"

enum { OWNERS = 5, RUNS = 40, LEASE_MS = 300, BATCH = 10, FILL = 3000, ROWS_MAX = 100000 };

TEST_SETUP(cluster_start)

/* ---- an owner */

struct known {
    int64_t no;
    int     seq;
    char    tag[40];
};

struct owner {
    struct store         *lane, *keeper;
    int64_t               worker, renewed_ms, steady_ms;
    struct arena          parts_arena;
    struct partition_row *parts;
    size_t                n_parts;
    struct known          known[RUNS];
    size_t                n_known;
    int                   rows;
};

/* Sometimes for longer than the lease, where it hurts most. */
static void
dawdle(int one_in)
{
    if (rand() % one_in == 0)
        sleep_ms(rand() % 2 ? 20 : LEASE_MS + rand() % 300);
}

static bool
owns(const struct owner *o, int64_t no)
{
    for (size_t i = 0; i < o->n_parts; i++)
        if (o->parts[i].id == row_partition(no))
            return true;
    return false;
}

/* Reads what it owns by now: only after the statement that made it the owner. */
static int
acquire(struct owner *o, const int64_t *all, struct err *err)
{
    struct worker_self self = {.handlers = "", .lease_us = LEASE_MS * 1000, .slots = 1};
    struct arena       a = {0};
    struct loaded      loaded[RUNS];
    int64_t            mine[RUNS];

    arena_release(&o->parts_arena);
    o->n_known = o->n_parts = 0;
    TRY(o->lane->ops->acquire(o->lane, &self, &o->worker, &o->parts_arena, &o->parts, &o->n_parts,
                              err));
    dawdle(5);
    for (int i = 0; i < RUNS; i++)
        if (owns(o, all[i]))
            mine[o->n_known++] = all[i];
    int rc = o->lane->ops->load(o->lane, mine, o->n_known, &a, loaded, err);
    for (size_t i = 0; rc == HF_OK && i < o->n_known; i++) {
        struct known *k = &o->known[i];
        size_t        n = loaded[i].n_history;
        *k = (struct known){.no = mine[i], .seq = (int)n};
        snprintf(k->tag, sizeof(k->tag), "none");
        if (n > 0)
            CHECK(sscanf(loaded[i].history[n - 1].events, "[{\"tag\":\"%39[^\"]", k->tag) == 1);
    }
    arena_release(&a);
    return rc;
}

static int
renew_and_judge(struct owner *o, bool *took, struct err *err)
{
    struct arena  a = {0};
    struct census c;
    int64_t       now = clock_ms();

    if (now < o->renewed_ms + LEASE_MS / 3)
        return HF_OK;
    if (now > o->renewed_ms + LEASE_MS)
        o->steady_ms = now;
    dawdle(20);
    int rc = o->keeper->ops->renew(o->keeper, o->worker, 1, NULL, &a, &c, err);
    if (rc == HF_OK)
        o->renewed_ms = now;
    for (size_t i = 0; rc == HF_OK && i < c.n_workers; i++) {
        const struct worker_row *w = &c.workers[i];
        if (w->id == o->worker || w->expires_us > c.now_us || now < o->steady_ms + LEASE_MS)
            continue;
        int rc2 = o->keeper->ops->takeover(o->keeper, o->worker, w->id, err);
        *took = *took || rc2 == HF_OK;
        if (rc2 == HF_OK)
            effect("takeover");
    }
    *took = *took || (rc == HF_OK && c.unowned > 0);
    arena_release(&a);
    return rc;
}

/* Commits a row for each of some runs, a few tens of kilobytes, and only then believes them. */
static int
append(struct owner *o, struct err *err)
{
    static char   text[BATCH][FILL + 200];
    char          tags[BATCH][40];
    struct write  writes[BATCH] = {0};
    struct known *k[BATCH];
    int32_t       parts[64];
    struct batch  batch = {.worker = o->worker, .partitions = parts, .writes = writes};
    struct room   room = {.patient = true};
    struct arena  a = {0};
    struct rows   rows;
    size_t        first = (size_t)rand() % o->n_known;

    for (size_t i = 0; i < o->n_parts; i++)
        parts[batch.n_partitions++] = o->parts[i].id;
    for (size_t n = 0; n < BATCH && n < o->n_known; n++, batch.n_writes++) {
        k[n] = &o->known[(first + n) % o->n_known];
        snprintf(tags[n], sizeof(tags[n]), "%lld.%d", (long long)o->worker, o->rows++);
        int len = snprintf(text[n], sizeof(text[n]),
                           "[{\"tag\":\"%s\",\"prev\":\"%s\",\"fill\":\"%0*d\"}]", tags[n],
                           k[n]->tag, FILL, 0);
        writes[n] = (struct write){.kind = WRITE_HISTORY,
                                   .unit = (uint32_t)n,
                                   .history = {.run_no = k[n]->no,
                                               .execution = 1,
                                               .seq = k[n]->seq + 1,
                                               .events = text[n],
                                               .events_len = (size_t)len}};
    }
    dawdle(30); /* knows, and has not written yet */
    int rc = o->lane->ops->cycle(o->lane, &batch, NULL, 0, &room, &a, &rows, err);
    arena_release(&a);
    for (size_t n = 0; rc == HF_OK && n < batch.n_writes; n++) {
        k[n]->seq++;
        memcpy(k[n]->tag, tags[n], sizeof(tags[n]));
    }
    return rc;
}

static int
work(struct owner *o, const int64_t *all, struct err *err)
{
    for (;;) {
        bool took = false;
        TRY(renew_and_judge(o, &took, err));
        if (took)
            TRY(acquire(o, all, err));
        if (o->n_known > 0)
            TRY(append(o, err));
        else
            sleep_ms(10);
    }
}

static _Noreturn void
be_owner(const int64_t *all)
{
    struct owner o = {0};
    struct err   err = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    srand((unsigned)getpid());
    CHECK_INT(store_open(cluster_url(), NULL, &o.lane, &err), HF_OK);
    CHECK_INT(o.lane->ops->clone(o.lane, &o.keeper, &err), HF_OK);
    for (;;) {
        o.worker = 0;
        int rc = acquire(&o, all, &err);
        o.renewed_ms = o.steady_ms = clock_ms();
        if (rc == HF_OK)
            rc = work(&o, all, &err);
        if (rc == HF_STALE && strstr(err.text, "history_key"))
            effect("fork %s", err.text);
        else if (rc == HF_STALE)
            effect("stale");
        else if (rc == HF_UNKNOWN || rc == HF_UNAVAILABLE)
            effect("lost");
        else
            effect("error %s %s", hf_code_name(rc), err.text);
    }
}

/* ---- the day */

static int
lines_with(const char *text)
{
    FILE *f = fopen("effects", "r");
    char  line[500];
    int   n = 0;
    while (f && fgets(line, sizeof(line), f)) {
        if (strstr(line, text) == NULL)
            continue;
        printf("# %s", line);
        n++;
    }
    if (f)
        fclose(f);
    return n;
}

static void
make_runs(int64_t *all)
{
    struct submit items[RUNS] = {0};
    struct store *s;
    struct err    err = {0};
    char          ids[RUNS][10];
    size_t        bad;

    CHECK_INT(store_open(cluster_url(), NULL, &s, &err), HF_OK);
    for (int i = 0; i < RUNS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "r%d", i);
        items[i] = (struct submit){.kind = SUBMIT_START,
                                   .id = ids[i],
                                   .name = "w",
                                   .queue = "default",
                                   .token = ids[i],
                                   .cls = STREAM_NORMAL};
    }
    CHECK_INT(s->ops->submit(s, items, RUNS, &bad, &err), HF_OK);
    for (int i = 0; i < RUNS; i++)
        all[i] = items[i].no;
    s->ops->close(s);
}

/* Every row's prev is the tag of the row before it, from the first on, without a gap. */
static void
check_chains(int rows_min)
{
    int64_t rows = db_int("select count(*) from holdfast.history");
    printf("# %lld rows, %d takeovers, %d refused, %d connections lost\n", (long long)rows,
           effects("takeover"), effects("stale"), effects("lost"));
    CHECK(rows >= rows_min);
    CHECK_INT(db_int("select count(*) from (select run_no from holdfast.history group by run_no "
                     "having count(*) <> max(seq) or min(seq) <> 1) x"),
              0);
    CHECK_INT(db_int("select count(*) from (select events::jsonb->0->>'prev' as prev, "
                     "coalesce(lag(events::jsonb->0->>'tag') over (partition by run_no order by "
                     "seq), 'none') as tag from holdfast.history) x where prev <> tag"),
              0);
    CHECK_INT(lines_with("fork "), 0);
    CHECK_INT(lines_with("error "), 0);
}

static void
start_owners(pid_t pids[OWNERS])
{
    static int64_t all[RUNS];

    make_runs(all);
    for (int i = 0; i < OWNERS; i++) {
        fflush(NULL);
        if ((pids[i] = fork()) == 0)
            be_owner(all);
    }
}

/* One owner is stopped somewhere, mostly inside a commit: nobody chooses when. */
static void
stop_one(const pid_t pids[OWNERS])
{
    int i = rand() % OWNERS;
    sleep_ms(rand() % 60);
    kill(pids[i], SIGSTOP);
    sleep_ms(rand() % 4 ? rand() % 30 : LEASE_MS + rand() % 200);
    kill(pids[i], SIGCONT);
}

TEST_WITHIN(five_owners_that_stop_at_any_moment_never_fork_a_history, 90)
{
    pid_t pids[OWNERS];

    seed_random();
    cluster_database();
    start_owners(pids);
    for (int64_t end = clock_ms() + (test_is_quick() ? 4000 : 15000); clock_ms() < end;)
        stop_one(pids);
    for (int i = 0; i < OWNERS; i++)
        worker_kill(pids[i]);
    CHECK(effects("takeover") > 5);
    CHECK(effects("stale") > 5);
    check_chains(500);
}

/* What the test above would see if the fence let everybody pass: without this it says little. */
TEST_WITHIN(without_the_fence_the_same_experiment_finds_forks, 90)
{
    pid_t pids[OWNERS];

    seed_random();
    cluster_database();
    db_exec("create or replace function holdfast.fence(fence_worker bigint, "
            "fence_partitions smallint[]) returns void language plpgsql as 'begin end'");
    start_owners(pids);
    for (int64_t end = clock_ms() + 40000; clock_ms() < end && lines_with("fork ") == 0;)
        stop_one(pids);
    for (int i = 0; i < OWNERS; i++)
        worker_kill(pids[i]);
    CHECK(lines_with("fork ") > 0);
}
