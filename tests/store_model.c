/*
 * The store suite, shared stores: a random life of several workers, of which some act on what was
 * true a while ago, against a model that knows who owns what. No two own a partition at once, a
 * run's history never forks, and no task is lost or brought twice. SEED=n replays, OPS=n is the
 * length.
 */
#include <stdio.h>
#include <stdlib.h>

#include "store_suite.h"

enum { WORKERS_MAX = 5, RUNS = 16, TASKS_MAX = 4000, IDS_MAX = 1024 };

/* A worker and what it believes. */
struct actor {
    struct peer peer;
    int         seq[RUNS];        /* of the last history row that it knows */
    bool        known[TASKS_MAX]; /* tasks that it was brought, and that are not gone */
    int64_t     seen[IDS_MAX];    /* by partition: when its cursor began, as in moves */
};

static struct {
    struct actor actors[WORKERS_MAX];
    int          n_actors;
    int64_t      run_no[RUNS];
    int          length[RUNS];   /* the true record */
    int64_t      owner[IDS_MAX]; /* by partition: the worker, 0: nobody */
    int64_t      moves[IDS_MAX]; /* ... and how often that has changed */
    int64_t      expires[WORKERS_MAX];
    struct {
        int64_t no;
        bool    alive;
    } tasks[TASKS_MAX];
    int      n_tasks, n_done;
    int      commits, refused, takeovers, handed; /* so that it is seen that much has happened */
    unsigned seed;
} m;

static int
draw(int below)
{
    return (int)((unsigned)rand_r(&m.seed) % (unsigned)below);
}

static void
move(int32_t partition, int64_t owner)
{
    CHECK(partition > 0 && partition < IDS_MAX);
    m.owner[partition] = owner;
    m.moves[partition]++;
}

static void
forget(struct actor *a)
{
    a->peer.n_cursors = a->peer.n_partitions = 0;
    memset(a->known, 0, sizeof(a->known));
    memset(a->seen, 0, sizeof(a->seen));
}

static void
read_history(struct actor *a, int run)
{
    struct arena  arena = {0};
    struct loaded out;
    OK(a->peer.store->ops->load(a->peer.store, &m.run_no[run], 1, &arena, &out, &w.err));
    a->seq[run] = (int)out.n_history;
    arena_release(&arena);
}

/* A partition that is new to it, or was away meanwhile. */
static void
begin_partition(struct actor *a, size_t i)
{
    int32_t id = a->peer.partitions[i].id;
    a->peer.cursors[i] = (struct cursor){.partition = id};
    a->seen[id] = m.moves[id];
    for (int t = 0; t < m.n_tasks; t++)
        if (row_partition(m.tasks[t].no) == id)
            a->known[t] = false;
    for (int r = 0; r < RUNS; r++)
        if (row_partition(m.run_no[r]) == id)
            read_history(a, r);
}

static bool
is_there(const struct actor *a)
{
    return a->peer.worker && m.expires[a - m.actors] != 0;
}

static void
acquire(struct actor *a)
{
    struct peer *p = &a->peer;
    bool         joins = p->worker == 0;
    size_t       mine = 0;

    if (!joins && !is_there(a)) {
        GIVES(HF_STALE, peer_acquire(p));
        p->worker = 0;
        forget(a);
        return;
    }
    OK(peer_acquire(p));
    if (joins)
        m.expires[a - m.actors] = w.now_us + LEASE_US;
    for (size_t i = 0; i < p->n_partitions; i++) {
        int32_t id = p->partitions[i].id;
        CHECK(m.owner[id] == 0 || m.owner[id] == p->worker);
        if (m.owner[id] == 0)
            move(id, p->worker);
        if (a->seen[id] != m.moves[id])
            begin_partition(a, i);
    }
    for (int id = 0; id < IDS_MAX; id++)
        mine += m.owner[id] == p->worker;
    CHECK_INT(p->n_partitions, mine);
}

static void
renew(struct actor *a)
{
    if (a->peer.worker == 0)
        return;
    GIVES(is_there(a) ? HF_OK : HF_STALE, peer_renew(&a->peer, draw(5), NULL));
    if (is_there(a)) {
        m.expires[a - m.actors] = w.now_us + LEASE_US;
    } else {
        a->peer.worker = 0;
        forget(a);
    }
}

/* What the store said must be so by the model. */
static void
check_commit(struct actor *a, int rc, bool is_right)
{
    GIVES(is_right ? HF_OK : HF_STALE, rc);
    m.commits += is_right;
    m.refused += !is_right;
    if (!is_right && draw(3) == 0) /* others go on with what they believe */
        acquire(a);
}

static void
write_histories(struct actor *a)
{
    struct peer *p = &a->peer;
    struct write writes[2];
    int32_t      ids[2];
    int          runs[2] = {draw(RUNS), draw(RUNS)};
    size_t       n = 0;
    bool         right = true;
    struct batch batch = {.worker = p->worker, .partitions = ids, .writes = writes};

    for (int i = 0; i < 2; i++) {
        int     run = runs[i];
        int32_t id = row_partition(m.run_no[run]);
        if ((i && runs[0] == run) || !peer_owns(p, id))
            continue;
        right &= m.owner[id] == p->worker && a->seq[run] == m.length[run];
        writes[n] = history_write((uint32_t)n, m.run_no[run], 1, a->seq[run] + 1, "[]");
        runs[n] = run;
        ids[n++] = id;
    }
    if (n == 2 && ids[0] > ids[1])
        ids[0] ^= ids[1], ids[1] ^= ids[0], ids[0] ^= ids[1];
    if (n == 0)
        return;
    batch.n_writes = n;
    batch.n_partitions = n == 2 && ids[0] == ids[1] ? 1 : n;
    int rc = p->store->ops->cycle(p->store, &batch, NULL, 0, &p->room, &w.arena, &p->rows, &w.err);
    check_commit(a, rc, right);
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        m.length[runs[i]] = ++a->seq[runs[i]];
}

static void
fetch_some(struct actor *a)
{
    struct peer *p = &a->peer;

    if (p->worker == 0 || p->n_cursors == 0)
        return;
    p->room = (struct room){.runs = 9, .tasks = (size_t)draw(6), .inbox = 9};
    peer_fetch(p);
    for (size_t i = 0; i < p->rows.n_tasks; i++) {
        int32_t id = row_partition(p->rows.tasks[i].no);
        int     t = atoi(p->rows.tasks[i].id);
        CHECK(!p->rows.tasks[i].claimed || p->rows.tasks[i].holder == 0 ||
              p->rows.tasks[i].holder == p->worker);
        CHECK(!a->known[t] || m.moves[id] != a->seen[id]);
        a->known[t] = true;
    }
}

static int
known_task(const struct actor *a)
{
    for (int tries = 0; m.n_tasks && tries < 30; tries++) {
        int t = m.n_tasks - 1 - draw(m.n_tasks < 60 ? m.n_tasks : 60);
        if (a->known[t])
            return t;
    }
    return -1;
}

static void
write_task(struct actor *a, int kind)
{
    int t = known_task(a);

    if (a->peer.worker == 0 || t < 0)
        return;
    int64_t         no = m.tasks[t].no;
    struct task_row row = {.no = no, .claimed = true, .attempt = 1};
    struct write    write = {.kind = (uint32_t)kind, .task = &row};
    int             rc = peer_write(&a->peer, row_partition(no), &write, 1);
    check_commit(a, rc, m.owner[row_partition(no)] == a->peer.worker);
    if (rc == HF_OK && kind == WRITE_TASK_DELETE) {
        a->known[t] = false;
        m.n_done += m.tasks[t].alive;
        m.tasks[t].alive = false;
    }
}

static void
enqueue_one(void)
{
    char id[20];

    if (m.n_tasks == TASKS_MAX)
        return;
    snprintf(id, sizeof(id), "%d", m.n_tasks);
    int64_t late_us = draw(4) ? 0 : w.now_us + draw(5) * US_PER_S;
    m.tasks[m.n_tasks].no = enqueue(id, draw(2) ? NULL : "q", draw(3), late_us);
    m.tasks[m.n_tasks++].alive = true;
}

static void
hand_over(struct actor *a)
{
    struct peer  *p = &a->peer;
    struct actor *to = &m.actors[draw(m.n_actors)];

    if (p->worker == 0 || p->n_partitions == 0)
        return;
    int32_t id = p->partitions[draw((int)p->n_partitions)].id;
    int64_t worker = draw(8) ? to->peer.worker : 0;
    bool    right = m.owner[id] == p->worker;
    bool    there = worker == 0 || is_there(to);
    int     rc = peer_hand_over(p, id, worker);
    if (right && there) {
        move(id, worker);
        m.handed++;
    }
    check_commit(a, rc, right);
}

static void
takeover(struct actor *a)
{
    struct actor *dead = &m.actors[draw(m.n_actors)];
    int64_t      *expires = &m.expires[dead - m.actors];
    int64_t       worker = a->peer.worker;

    if (worker == 0 || dead->peer.worker == 0 || dead == a)
        return;
    if (!is_there(a)) {
        GIVES(HF_STALE, peer_takeover(&a->peer, dead->peer.worker));
        return;
    }
    bool right = *expires && *expires < w.now_us;
    GIVES(right ? HF_OK : HF_NOT_FOUND, peer_takeover(&a->peer, dead->peer.worker));
    if (!right)
        return;
    m.takeovers++;
    *expires = 0;
    for (int32_t id = 1; id < IDS_MAX; id++)
        if (m.owner[id] == dead->peer.worker)
            move(id, worker);
}

static void
leave(struct actor *a)
{
    if (a->peer.worker == 0)
        return;
    GIVES(is_there(a) ? HF_OK : HF_STALE, peer_leave(&a->peer));
    m.expires[a - m.actors] = 0;
    for (int32_t id = 1; id < IDS_MAX; id++)
        if (m.owner[id] == a->peer.worker)
            move(id, 0);
    /* Now and then it goes on as if nothing were. */
    if (draw(2)) {
        a->peer.worker = 0;
        forget(a);
    }
}

static void
act(struct actor *a)
{
    switch (draw(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
        write_histories(a);
        break;
    case 4:
    case 5:
    case 6:
        fetch_some(a);
        break;
    case 7:
    case 8:
        write_task(a, WRITE_TASK_DELETE);
        break;
    case 9:
        write_task(a, WRITE_TASK);
        break;
    case 10:
    case 11:
        hand_over(a);
        break;
    case 12:
    case 13:
        acquire(a);
        break;
    case 14:
    case 15:
        renew(a);
        break;
    case 16:
        takeover(a);
        break;
    case 17:
        at(w.now_us + (draw(6) ? draw(2) * US_PER_S : LEASE_US + 1));
        break;
    case 18:
        enqueue_one();
        break;
    default:
        if (draw(6) == 0)
            leave(a);
    }
}

/* The last one has read all partitions before it comes to know that those that hold claims there
 * are dead. */
static void
gather(struct actor *last)
{
    for (int32_t id = 1; id < IDS_MAX; id++)
        for (int i = 0; i < m.n_actors; i++) {
            struct peer *p = &m.actors[i].peer;
            if (p->worker == 0 || m.owner[id] != p->worker || p == &last->peer)
                continue;
            OK(peer_hand_over(p, id, last->peer.worker));
            move(id, last->peer.worker);
        }
    acquire(last);
    for (int i = 0; i < 2000; i++)
        fetch_some(last);
}

/* One worker remains, and goes on with what it has read so far: it must know all that is left. */
static void
bring_to_an_end(struct actor *last)
{
    int known = 0, left = 0;

    acquire(last);
    if (last->peer.worker == 0)
        acquire(last);
    at(w.now_us + LEASE_US + 1);
    renew(last);
    if (draw(3))
        gather(last);
    for (int i = 0; i < m.n_actors; i++) {
        int64_t dead = m.actors[i].peer.worker;
        if (&m.actors[i] == last || dead == 0 || !is_there(&m.actors[i]))
            continue;
        OK(peer_takeover(&last->peer, dead));
        m.expires[i] = 0;
        for (int32_t id = 1; id < IDS_MAX; id++)
            if (m.owner[id] == dead)
                move(id, last->peer.worker);
    }
    acquire(last);
    do {
        fetch_some(last);
    } while (last->peer.rows.more);
    for (int t = 0; t < m.n_tasks; t++) {
        left += m.tasks[t].alive;
        known += m.tasks[t].alive && last->known[t];
    }
    CHECK_INT(known, left);
    for (int r = 0; r < RUNS; r++) {
        read_history(last, r);
        CHECK_INT(last->seq[r], m.length[r]);
    }
}

static void
live_once(unsigned seed, int ops)
{
    char id[20];

    memset(&m, 0, sizeof(m));
    m.seed = seed;
    m.n_actors = 3 + draw(WORKERS_MAX - 2);
    open_store();
    for (int i = 0; i < RUNS; i++) {
        snprintf(id, sizeof(id), "run%d", i);
        m.run_no[i] = start_on(id, i % 2 ? "q" : NULL, STREAM_NORMAL);
    }
    for (int i = 0; i < m.n_actors; i++)
        OK(w.client->ops->clone(w.client, &m.actors[i].peer.store, &w.err));
    for (int i = 0; i < ops; i++)
        act(&m.actors[draw(m.n_actors)]);
    bring_to_an_end(&m.actors[draw(m.n_actors)]);
    for (int i = 0; i < m.n_actors; i++)
        m.actors[i].peer.store->ops->close(m.actors[i].peer.store);
    w.client->ops->close(w.client);
    arena_release(&w.arena);
    CHECK(m.commits > 50 && m.refused > 10 && m.takeovers > 0 && m.handed > 10 && m.n_done > 10);
}

TEST_IF(subject.shared, no_two_own_a_partition_and_nothing_forks_or_is_lost, 120)
{
    const char *seed = getenv("SEED"), *ops = getenv("OPS");
    unsigned    s = (unsigned)(seed ? strtoul(seed, NULL, 10) : (uint64_t)clock_system_us());

    for (int life = 0; life < (seed ? 1 : 5); life++, s++) {
        printf("SEED=%u\n", s);
        fflush(stdout);
        live_once(s, ops ? atoi(ops) : test_is_quick() ? 4000 : 40000);
    }
}
