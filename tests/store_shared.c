/* The store suite, shared stores: who owns which partition, and how that changes. */
#include "store_suite.h"

/* Two workers; a has everything that is there. */
static struct peer a, b;

static void
two_peers(void)
{
    open_store();
    peer_join(&a, NULL);
    peer_join(&b, NULL);
}

static struct write
note_write(int64_t run_no)
{
    return (struct write){.kind = WRITE_INBOX,
                          .inbox = {.run_no = run_no, .kind = INBOX_CANCEL, .name = "note"}};
}

static int
write_history(struct peer *p, const char *id, int seq)
{
    struct run_row r = run(id);
    struct write   write = history_write(0, r.no, 1, seq, "[]");
    return peer_write(p, row_partition(r.no), &write, 1);
}

static void
expire_all(void)
{
    at(w.now_us + LEASE_US + 1);
}

/* ---- acquire */

TEST_SHARED(who_joins_takes_what_nobody_owns_and_leaves_what_others_own)
{
    two_peers();
    CHECK(a.store->shared);
    CHECK(a.n_partitions > 0);
    CHECK_INT(b.n_partitions, 0);
    CHECK(a.worker != 0 && b.worker != 0 && a.worker != b.worker);
    OK(peer_acquire(&a));
    OK(peer_acquire(&b));
    CHECK(a.n_partitions > 0);
    CHECK_INT(b.n_partitions, 0);
}

TEST_SHARED(a_worker_takes_partitions_of_its_queues_only)
{
    open_store();
    start_on("x", "q", STREAM_NORMAL);
    start_on("y", "r", STREAM_NORMAL);
    peer_join(&a, "q");
    peer_join(&b, "default,r");
    CHECK(peer_owns(&a, partition_of("x")));
    CHECK(!peer_owns(&a, partition_of("y")));
    CHECK(peer_owns(&b, partition_of("y")));
    CHECK(!peer_owns(&b, partition_of("x")));
    OK(write_history(&a, "x", 1));
    OK(write_history(&b, "y", 1));
    GIVES(HF_STALE, write_history(&a, "y", 2));
    GIVES(HF_STALE, write_history(&b, "x", 2));
}

TEST_SHARED(a_queue_made_later_belongs_to_who_asks_first_and_all_see_that_it_is_there)
{
    two_peers();
    peer_fetch(&a);
    peer_fetch(&b);
    uint32_t seen_a = a.rows.partitions, seen_b = b.rows.partitions;
    peer_fetch(&a);
    CHECK_INT(a.rows.partitions, seen_a);
    start_on("x", "q", STREAM_NORMAL);
    peer_fetch(&a);
    peer_fetch(&b);
    CHECK(a.rows.partitions != seen_a);
    CHECK(b.rows.partitions != seen_b);
    CHECK_INT(b.rows.n_runs, 0);
    OK(peer_acquire(&b));
    CHECK(peer_owns(&b, partition_of("x")));
    OK(peer_acquire(&a));
    CHECK(!peer_owns(&a, partition_of("x")));
    peer_fetch(&a);
    peer_fetch(&b);
    CHECK_INT(a.rows.n_runs, 0);
    CHECK_TEXT(listed_runs(&b.rows), "x");
}

TEST_SHARED(the_partitions_of_a_queue_are_all_used)
{
    enum { TASKS = 60 };
    open_store();
    peer_join(&a, NULL);
    for (int i = 0; i < TASKS; i++) {
        start((char[]){'a', (char)('0' + i), 0});
        enqueue(NULL, NULL, STREAM_NORMAL, 0);
    }
    peer_fetch(&a);
    CHECK_INT(a.rows.n_runs, TASKS);
    CHECK_INT(a.rows.n_tasks, TASKS);
    for (size_t i = 0; i < a.n_partitions; i++) {
        int runs = 0, tasks = 0;
        for (int k = 0; k < TASKS; k++) {
            runs += row_partition(a.rows.runs[k].no) == a.partitions[i].id;
            tasks += row_partition(a.rows.tasks[k].no) == a.partitions[i].id;
        }
        CHECK(runs > 0 && runs < TASKS * 3 / (int)a.n_partitions);
        CHECK(tasks > 0 && tasks <= TASKS / (int)a.n_partitions + 1);
    }
}

/* ---- the fence */

TEST_SHARED(a_batch_is_stored_only_if_its_worker_owns_all_the_partitions_that_it_names)
{
    struct history_row *rows;
    size_t              n;
    open_store();
    start_on("x", "q", STREAM_NORMAL);
    start_on("y", "r", STREAM_NORMAL);
    peer_join(&a, "q");
    peer_join(&b, "r");
    struct write writes[] = {history_write(0, run("x").no, 1, 1, "[]"),
                             history_write(1, run("y").no, 1, 1, "[]")};
    int32_t      ids[] = {partition_of("x"), partition_of("y")};
    struct batch batch = {
        .worker = a.worker, .partitions = ids, .n_partitions = 2, .writes = writes, .n_writes = 2};
    GIVES(HF_STALE,
          a.store->ops->cycle(a.store, &batch, NULL, 0, &a.room, &w.arena, &a.rows, &w.err));
    OK(w.client->ops->history(w.client, run("x").no, 1, &w.arena, &rows, &n, &w.err));
    CHECK_INT(n, 0);
    batch.n_partitions = batch.n_writes = 1;
    OK(a.store->ops->cycle(a.store, &batch, NULL, 0, &a.room, &w.arena, &a.rows, &w.err));
}

TEST_SHARED(what_is_only_inserted_needs_no_partition_and_comes_to_its_owner)
{
    struct submit child = {.id = "child", .name = "wf", .queue = "r", .token = "c", .cls = 1};
    open_store();
    start_on("x", "q", STREAM_NORMAL);
    start_on("y", "r", STREAM_NORMAL);
    peer_join(&a, "q");
    peer_join(&b, "r");
    peer_fetch(&b);
    struct write writes[] = {
        {.kind = WRITE_START, .start = &child, .parent_no = run("x").no, .parent_ref = "0.1"},
        note_write(run("y").no)};
    OK(peer_write(&a, 0, writes, 2));
    peer_fetch(&a);
    CHECK_TEXT(listed_runs(&a.rows), "x");
    peer_fetch(&b);
    CHECK_TEXT(listed_runs(&b.rows), "child");
    CHECK_TEXT(listed_inbox(&b.rows), "note");
}

/* ---- the lease */

TEST_SHARED(nobody_is_taken_over_while_its_lease_lasts)
{
    two_peers();
    GIVES(HF_NOT_FOUND, peer_takeover(&b, a.worker));
    at(w.now_us + LEASE_US - 1);
    OK(peer_renew(&a, 0, NULL));
    at(w.now_us + LEASE_US - 1);
    OK(peer_renew(&b, 0, NULL));
    GIVES(HF_NOT_FOUND, peer_takeover(&b, a.worker));
    at(w.now_us + 2);
    OK(peer_takeover(&b, a.worker));
    GIVES(HF_NOT_FOUND, peer_takeover(&b, a.worker));
    GIVES(HF_NOT_FOUND, peer_takeover(&b, 99999));
}

/* Time says when to try, and nothing else. */
TEST_SHARED(a_worker_whose_lease_is_over_goes_on_until_it_is_taken_over)
{
    two_peers();
    start("x");
    expire_all();
    OK(write_history(&a, "x", 1));
    OK(peer_renew(&a, 0, NULL));
    GIVES(HF_NOT_FOUND, peer_takeover(&b, a.worker));
}

TEST_SHARED(who_was_taken_over_is_refused_everything)
{
    two_peers();
    start("x");
    expire_all();
    OK(peer_takeover(&b, a.worker));
    GIVES(HF_STALE, write_history(&a, "x", 1));
    GIVES(HF_STALE, peer_renew(&a, 0, NULL));
    GIVES(HF_STALE, peer_acquire(&a));
    GIVES(HF_STALE, peer_takeover(&a, b.worker));
    GIVES(HF_STALE, peer_leave(&a));
    int64_t before = a.worker;
    a.worker = 0;
    OK(peer_acquire(&a));
    CHECK(a.worker > before);
    CHECK_INT(a.n_partitions, 0);
}

TEST_SHARED(who_takes_over_owns_everything_and_reads_it_from_the_beginning)
{
    two_peers();
    start("x");
    start("y");
    enqueue("t", NULL, STREAM_NORMAL, 0);
    signal_run("x", "s");
    peer_fetch(&a);
    peer_fetch(&b);
    size_t   had = a.n_partitions;
    uint32_t seen = b.rows.partitions;
    expire_all();
    OK(peer_takeover(&b, a.worker));
    peer_fetch(&b);
    CHECK(b.rows.partitions != seen);
    OK(peer_acquire(&b));
    CHECK_INT(b.n_partitions, had);
    for (size_t i = 0; i < b.n_partitions; i++) {
        CHECK_INT(b.partitions[i].crashes, 1);
        CHECK_INT(b.partitions[i].crashed_us, w.now_us);
    }
    peer_fetch(&b);
    CHECK_LIST(listed_runs(&b.rows), "x,y");
    CHECK_TEXT(listed_tasks(&b.rows), "t");
    CHECK_TEXT(listed_inbox(&b.rows), "s");
    CHECK(!b.rows.runs[0].fresh);
    OK(write_history(&b, "x", 1));
}

TEST_SHARED(who_takes_over_gets_what_it_serves_and_the_rest_is_nobodys)
{
    open_store();
    start_on("x", "q", STREAM_NORMAL);
    start_on("y", "r", STREAM_NORMAL);
    peer_join(&a, "q,r");
    expire_all();
    peer_join(&b, "r");
    OK(peer_takeover(&b, a.worker));
    OK(peer_acquire(&b));
    CHECK(peer_owns(&b, partition_of("y")));
    CHECK(!peer_owns(&b, partition_of("x")));
    static struct peer c;
    peer_join(&c, "q");
    CHECK(peer_owns(&c, partition_of("x")));
    CHECK_INT(c.partitions[0].crashes, 1);
}

TEST_SHARED(a_takeover_counts_no_crash_for_others)
{
    static struct peer c;
    open_store();
    start_on("x", "q", STREAM_NORMAL);
    start_on("y", "r", STREAM_NORMAL);
    peer_join(&a, "q");
    peer_join(&b, "r");
    OK(claim_run(&a, "x"));
    OK(claim_run(&b, "y"));
    expire_all();
    OK(peer_renew(&b, 0, NULL));
    peer_join(&c, "q");
    OK(peer_takeover(&c, a.worker));
    OK(peer_acquire(&c));
    CHECK(peer_owns(&c, partition_of("x")));
    CHECK_INT(run("x").crashes, 1);
    CHECK(!run("x").claimed);
    CHECK_INT(run("y").crashes, 0);
    CHECK(run("y").claimed);
    OK(peer_acquire(&b));
    CHECK_INT(b.partitions[0].crashes, 0);
}

TEST_SHARED(a_renewal_says_who_is_there)
{
    struct census census;
    two_peers();
    OK(peer_renew(&a, 3, &census));
    CHECK_INT(census.now_us, w.now_us);
    at(SECONDS(1));
    OK(peer_renew(&b, 1, &census));
    CHECK_INT(census.now_us, SECONDS(1));
    CHECK_INT(census.n_workers, 2);
    CHECK_INT(census.unowned, 0);
    for (size_t i = 0; i < 2; i++) {
        struct worker_row *row = &census.workers[i];
        bool               is_a = row->id == a.worker;
        CHECK(is_a || row->id == b.worker);
        CHECK_TEXT(row->name, "peer");
        CHECK_TEXT(row->handlers, "task:t");
        CHECK_TEXT(row->queues, NULL);
        CHECK_INT(row->slots, 4);
        CHECK_INT(row->slots_free, is_a ? 3 : 1);
        CHECK_INT(row->partitions, is_a ? a.n_partitions : 0);
        CHECK_INT(row->lease_us, LEASE_US);
        CHECK_INT(row->expires_us, SECONDS(is_a ? 10 : 11));
        CHECK(row->live);
    }
    start_on("x", "q", STREAM_NORMAL);
    OK(peer_renew(&b, 1, &census));
    CHECK(census.unowned > 0);
    at(SECONDS(11));
    OK(peer_acquire(&b));
    OK(peer_renew(&b, 1, &census));
    CHECK_INT(census.n_workers, 2); /* its lease is over, but it is there until it is taken over */
    CHECK_INT(census.unowned, 0);
    OK(peer_takeover(&b, a.worker));
    OK(peer_renew(&b, 1, &census));
    CHECK_INT(census.n_workers, 1);
    OK(peer_leave(&b));
    a.store->ops->close(a.store);
    peer_join(&a, "none");
    OK(peer_renew(&a, 1, &census));
    CHECK_INT(census.n_workers, 1);
    CHECK_TEXT(census.workers[0].queues, "none");
    CHECK_INT(census.unowned, 0); /* of its queues */
}

/* ---- leaving */

TEST_SHARED(who_leaves_gives_its_partitions_to_whoever_asks)
{
    struct census census;
    two_peers();
    start("x");
    peer_fetch(&a);
    peer_fetch(&b);
    uint32_t seen = b.rows.partitions;
    size_t   had = a.n_partitions;
    OK(peer_leave(&a));
    GIVES(HF_STALE, peer_renew(&a, 0, NULL));
    GIVES(HF_STALE, write_history(&a, "x", 1));
    OK(peer_renew(&b, 0, &census));
    CHECK_INT(census.n_workers, 1);
    CHECK_INT(census.unowned, had);
    peer_fetch(&b);
    CHECK(b.rows.partitions != seen);
    OK(peer_acquire(&b));
    CHECK_INT(b.n_partitions, had);
    CHECK_INT(b.partitions[0].crashes, 0);
    peer_fetch(&b);
    CHECK_TEXT(listed_runs(&b.rows), "x");
}

TEST_SHARED(who_leaves_gives_back_its_claims_and_no_crash_is_counted)
{
    two_peers();
    start("x");
    enqueue("t", NULL, STREAM_NORMAL, 0);
    OK(claim_run(&a, "x"));
    OK(claim_task(&a, "t"));
    OK(peer_leave(&a));
    CHECK(!run("x").claimed);
    CHECK(task("t").claimed); /* it was begun */
    CHECK_INT(run("x").crashes, 0);
    CHECK_INT(task("t").crashes, 0);
    CHECK_INT(task("t").holder, 0);
}

/* ---- handing over */

TEST_SHARED(a_partition_that_is_handed_over_belongs_to_the_receiver)
{
    two_peers();
    start("x");
    enqueue("t", NULL, STREAM_NORMAL, 0);
    peer_fetch(&a);
    peer_fetch(&b);
    uint32_t seen = b.rows.partitions;
    size_t   had = a.n_partitions;
    OK(write_history(&a, "x", 1));
    OK(peer_hand_over(&a, partition_of("x"), b.worker));
    GIVES(HF_STALE, write_history(&a, "x", 2));
    peer_fetch(&b);
    CHECK(b.rows.partitions != seen);
    OK(peer_acquire(&b));
    OK(peer_acquire(&a));
    CHECK_INT(b.n_partitions, 1);
    CHECK_INT(a.n_partitions, had - 1);
    CHECK_INT(b.partitions[0].id, partition_of("x"));
    CHECK_INT(b.partitions[0].crashes, 0);
    peer_fetch(&b);
    CHECK_TEXT(listed_runs(&b.rows), "x");
    OK(write_history(&b, "x", 2));
    OK(peer_hand_over(&b, partition_of("x"), a.worker)); /* and back */
    OK(peer_acquire(&a));
    peer_fetch(&a);
    CHECK_TEXT(listed_runs(&a.rows), "x");
    OK(write_history(&a, "x", 3));
}

TEST_SHARED(a_partition_may_be_given_up_to_whoever_asks)
{
    struct census census;
    two_peers();
    start("x");
    peer_fetch(&b);
    uint32_t seen = b.rows.partitions;
    OK(peer_hand_over(&a, partition_of("x"), 0));
    OK(peer_renew(&a, 0, &census));
    CHECK_INT(census.unowned, 1);
    peer_fetch(&b);
    CHECK(b.rows.partitions != seen);
    OK(peer_acquire(&b));
    CHECK(peer_owns(&b, partition_of("x")));
}

TEST_SHARED(a_partition_stays_if_the_receiver_is_not_there)
{
    two_peers();
    start("x");
    OK(peer_leave(&b));
    OK(peer_hand_over(&a, partition_of("x"), b.worker));
    OK(write_history(&a, "x", 1));
    OK(peer_acquire(&a));
    CHECK(peer_owns(&a, partition_of("x")));
}

TEST_SHARED(a_hand_over_stands_or_falls_with_its_batch)
{
    two_peers();
    start("x");
    OK(write_history(&a, "x", 1));
    struct run_row r = run("x");
    struct write   writes[] = {
          history_write(0, r.no, 1, 1, "[]"),
          {.kind = WRITE_HAND_OVER, .partition = row_partition(r.no), .to = b.worker}};
    GIVES(HF_STALE, peer_write(&a, row_partition(r.no), writes, 2));
    OK(write_history(&a, "x", 2));
    writes[0] = history_write(0, r.no, 1, 3, "[]");
    OK(peer_write(&a, row_partition(r.no), writes, 2));
    GIVES(HF_STALE, write_history(&a, "x", 4));
    OK(peer_acquire(&b));
    OK(write_history(&b, "x", 4));
}

TEST_SHARED(nobody_hands_over_what_it_does_not_own)
{
    two_peers();
    start("x");
    GIVES(HF_STALE, peer_hand_over(&b, partition_of("x"), b.worker));
    GIVES(HF_STALE, peer_hand_over(&b, partition_of("x"), 0));
    OK(write_history(&a, "x", 1));
}

/* ---- hints */

enum { SOON_US = 2000000 };

/* Hints of what has been read may still be there. */
static void
drain(struct peer *p)
{
    for (int i = 0; i < 3; i++) {
        peer_fetch(p);
        OK(p->store->ops->wait(p->store, -1, clock_steady_us() + 20000, &w.err));
    }
    peer_fetch(p);
}

static bool
is_woken(struct peer *p)
{
    int64_t began_us = clock_steady_us();
    OK(p->store->ops->wait(p->store, -1, began_us + SOON_US, &w.err));
    return clock_steady_us() - began_us < SOON_US / 2;
}

TEST_SHARED(the_owner_of_a_partition_is_woken_by_what_is_stored_there)
{
    two_peers();
    start_on("x", "q", STREAM_NORMAL);
    OK(peer_acquire(&b));
    drain(&b);
    signal_run("x", "s");
    CHECK(is_woken(&b));
    peer_fetch(&b);
    CHECK_TEXT(listed_inbox(&b.rows), "s");
    drain(&b);
    struct write write = note_write(run("x").no);
    OK(peer_write(&a, 0, &write, 1));
    CHECK(is_woken(&b));
    peer_fetch(&b);
    CHECK_TEXT(listed_inbox(&b.rows), "note");
}

TEST_SHARED(the_receiver_of_a_partition_is_woken)
{
    two_peers();
    drain(&b);
    OK(peer_hand_over(&a, a.partitions[0].id, b.worker));
    CHECK(is_woken(&b));
}

TEST_SHARED(a_worker_is_woken_when_another_one_leaves)
{
    two_peers();
    drain(&b);
    OK(peer_leave(&a));
    CHECK(is_woken(&b));
}
