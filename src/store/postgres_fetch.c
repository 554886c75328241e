/*
 * The second half of a cycle: what is new for the cursors, in one read-only transaction of one
 * snapshot. It stands behind a Sync of its own: a transaction that writes never sees itself under
 * way, and a fetch within it would lose rows or bring them twice.
 *
 * A caller that is patient lets partitions be left out: one that was empty n times is read again
 * after 2^n ms up to a second, unless somebody has hinted or something there is due; not sooner
 * than two looks take, nor than 0.1 s while everybody hints, and behind a commit, where it costs no
 * roundtrip, after half that time. If all that is left is such a try, one statement looks first
 * whether there is anything.
 */
#include "store/postgres_cycle.h"

enum { STREAM_ROWS = 16384, STREAM_ROWS_MIN = 64, BIG_ROWS = 16, BIG_BYTES = 4096 };
enum { NAP_MAX_US = 1000000, NAP_BUSY_US = 5000, NAP_FEW_US = 1000, FEW = 16 };
enum { NAP_HINTED_US = 100000 };

/* ---- what is read */

static int64_t
estimated_now(struct pg_fetch *f)
{
    if (pg_clock_is_fake(f->s))
        return clock_now_us(&f->s->base.clock);
    return f->all->now_us ? f->all->now_us + clock_steady_us() - f->all->now_at_us : 0;
}

static bool
is_settled(struct pg_fetch *f, const struct pg_cursor *c, int64_t now_us)
{
    return c->begun && !c->more && c->n_rests == 0 && c->blocked == INT64_MAX &&
           c->next_due_us > now_us && !pg_has_news(f->s, c->partition);
}

static bool
is_resting(struct pg_fetch *f, const struct pg_cursor *c, int64_t steady_us)
{
    int64_t nap_us = c->empties < 11 ? (int64_t)500 << c->empties : NAP_MAX_US;
    bool    hinted = f->s->busy_until_us <= steady_us;
    int64_t most_us = hinted ? NAP_MAX_US : f->n_cursors <= FEW ? NAP_FEW_US : NAP_BUSY_US;
    if (f->s->listens && nap_us < 2 * f->all->peek_us)
        nap_us = 2 * f->all->peek_us;
    if (f->s->listens && hinted && nap_us < NAP_HINTED_US)
        nap_us = NAP_HINTED_US;
    if (nap_us > most_us)
        nap_us = most_us;
    if (f->with_commit)
        nap_us /= 2;
    return (c->empties > 0 || f->s->listens) && steady_us < c->read_us + nap_us;
}

static size_t
at_most(const struct pg_fetch *f, size_t room)
{
    size_t most = STREAM_ROWS / (f->n ? f->n : 1);
    if (most < STREAM_ROWS_MIN)
        most = STREAM_ROWS_MIN;
    if (f->big)
        most = BIG_ROWS;
    return room < most ? room : most;
}

/* One more tells that there is more. */
static int
limit_of(size_t rows)
{
    return (int)rows + 1;
}

int
pg_fetch_begin(struct pg_fetch *f, bool wrote, struct err *err)
{
    int64_t now_us, steady_us = clock_steady_us();

    if (f->all->epoch != f->s->epoch) {
        pg_cursors_restart(f->all);
        f->all->epoch = f->s->epoch;
    }
    now_us = estimated_now(f);
    f->which = arena_alloc(f->a, (f->n_cursors + 1) * sizeof(struct pg_cursor *));
    if (f->which == NULL)
        return err_nomem(err);
    f->n = 0;
    f->begins = f->blocked = false;
    f->peek = f->room->patient && !wrote && !f->no_peek;
    for (size_t i = 0; i < f->n_cursors; i++) {
        struct pg_cursor *c = pg_cursor_of(f->all, f->cursors[i].partition);
        if (c == NULL)
            return err_nomem(err);
        if (!f->cursors[i].begun && c->begun)
            pg_cursor_restart(c);
        bool settled = is_settled(f, c, now_us);
        if (f->room->patient && settled && !wrote && !f->s->hints.workers &&
            is_resting(f, c, steady_us))
            continue;
        f->peek &= settled;
        f->begins |= !c->begun;
        f->blocked |= c->blocked != INT64_MAX;
        f->which[f->n++] = c;
    }
    /* Without partitions: whether there are any to be had. */
    if (f->n == 0)
        f->peek = f->n_cursors == 0 && !wrote &&
                  (!f->room->patient || f->s->hints.workers ||
                   steady_us - f->all->counted_us >= NAP_MAX_US);
    f->big = f->all->big;
    f->runs = at_most(f, f->room->runs);
    f->tasks = at_most(f, f->room->tasks);
    f->inbox = at_most(f, f->room->inbox);
    f->bytes = FETCH_BYTES_MAX / (limit_of(f->tasks) * (int)(f->n ? f->n : 1));
    if (f->bytes < BIG_BYTES)
        f->bytes = BIG_BYTES;
    if (f->big)
        f->bytes = INT32_MAX;
    return HF_OK;
}

/* ---- sending */

static void
send_begin(struct pg_fetch *f)
{
    struct pg_args *a = pg_args(f->s);
    pg_put_int8(a, f->worker);
    pg_now(f->s, a);
    pg_send(f->s, PG_fetch_begin, a);
    if (f->begins)
        pg_send(f->s, PG_fetch_last_number, NULL);
}

static void
put_due(struct pg_fetch *f, struct pg_args *a, enum pg_table table, size_t room)
{
    int partition = pg_array(a, PG_INT2), us = pg_array(a, PG_INT8), no = pg_array(a, PG_INT8);
    for (size_t i = 0; i < f->n; i++) {
        pg_add_int2(a, partition, f->which[i]->partition);
        pg_add_int8(a, us, f->which[i]->due[table].xid);
        pg_add_int8(a, no, f->which[i]->due[table].no);
    }
    pg_now(f->s, a);
    pg_put_int4(a, limit_of(room));
    pg_put_int4(a, f->bytes);
}

static void
send_due(struct pg_fetch *f)
{
    struct pg_args *a = pg_args(f->s);
    put_due(f, a, PG_TASKS, f->tasks);
    pg_put_int8(a, f->worker);
    pg_send(f->s, PG_fetch_due_tasks, a);
    a = pg_args(f->s);
    put_due(f, a, PG_RUNS, f->runs);
    pg_send(f->s, PG_fetch_due_runs, a);
}

static struct pg_args *
put_table(struct pg_fetch *f, enum pg_table table, int from, int to, size_t room)
{
    struct pg_args *a = pg_args(f->s);
    pg_put_streams(a, table, f->which, f->n, from, to);
    pg_put_late(a, table, f->which, f->n);
    pg_put_int4(a, limit_of(room));
    pg_put_int4(a, f->bytes);
    return a;
}

static void
send_tasks(struct pg_fetch *f)
{
    struct pg_args *a = put_table(f, PG_TASKS, 0, STREAMS, f->tasks);
    pg_put_int8(a, f->worker);
    int us = pg_array(a, PG_INT8), no = pg_array(a, PG_INT8);
    for (size_t i = 0; i < f->n; i++)
        for (int k = 0; k < STREAMS - !f->which[i]->begun; k++) {
            pg_add_int8(a, us, f->which[i]->due[PG_TASKS].xid);
            pg_add_int8(a, no, f->which[i]->due[PG_TASKS].no);
        }
    pg_send(f->s, PG_fetch_tasks, a);
}

static void
send_blocked(struct pg_fetch *f)
{
    struct pg_args *a = pg_args(f->s);
    int             partition = pg_array(a, PG_INT2), no = pg_array(a, PG_INT8);
    for (size_t i = 0; i < f->n; i++)
        if (f->which[i]->blocked != INT64_MAX) {
            pg_add_int2(a, partition, f->which[i]->partition);
            pg_add_int8(a, no, f->which[i]->blocked);
        }
    pg_put_int4(a, limit_of(f->runs));
    pg_put_int4(a, f->bytes);
    pg_send(f->s, PG_fetch_blocked, a);
}

static void
send_next_due(struct pg_fetch *f)
{
    struct pg_args *a = pg_args(f->s);
    int             partition = pg_array(a, PG_INT2);
    for (size_t i = 0; i < f->n; i++)
        pg_add_int2(a, partition, f->which[i]->partition);
    pg_now(f->s, a);
    pg_send(f->s, PG_fetch_next_due, a);
}

static void
send_peek(struct pg_fetch *f)
{
    struct pg_args *a = pg_args(f->s);
    pg_put_streams(a, PG_RUNS, f->which, f->n, 0, STREAM_DELAYED);
    pg_put_streams(a, PG_TASKS, f->which, f->n, 0, STREAMS);
    pg_put_streams(a, PG_INBOX, f->which, f->n, 0, 1);
    pg_put_late(a, -1, f->which, f->n);
    pg_put_int8(a, f->worker);
    pg_now(f->s, a);
    pg_send(f->s, PG_fetch_peek, a);
    pg_sync(f->s);
}

void
pg_fetch_send(struct pg_fetch *f)
{
    f->sent_us = clock_steady_us();
    if (f->peek)
        send_peek(f);
    if (f->peek || f->n == 0)
        return;
    for (size_t i = 0; i < f->n; i++)
        pg_forget_news(f->s, f->which[i]->partition);
    pg_begin_read(f->s);
    send_begin(f);
    send_due(f);
    send_tasks(f);
    pg_send(f->s, PG_fetch_runs, put_table(f, PG_RUNS, 0, STREAM_DELAYED, f->runs));
    pg_send(f->s, PG_fetch_inbox, put_table(f, PG_INBOX, 0, 1, f->inbox));
    if (f->blocked)
        send_blocked(f);
    send_next_due(f);
    pg_end_read(f->s);
}

/* ---- results */

/* The counter that says that there may be more to own. That somebody said so is not enough. */
static void
note_partitions(struct pg_fetch *f, int64_t unowned, int64_t owned)
{
    struct pg_cursors *all = f->all;
    if (unowned != all->unowned || owned != all->owned)
        all->changes++;
    f->s->hints.workers = false;
    all->counted_us = clock_steady_us();
    all->unowned = unowned;
    all->owned = owned;
}

static int
note_snapshot(struct pg_fetch *f, const char *text, int64_t now_us, struct pg_snapshot **out,
              bool *again, struct err *err)
{
    struct pg_snapshot *snapshot = pg_snapshot_parse(text);
    if (snapshot == NULL)
        return err_nomem(err);
    if (snapshot->xmax < f->all->xmax) { /* the server has lost transactions that we have seen */
        pg_cursors_restart(f->all);
        *again = true;
    }
    f->all->xmax = snapshot->xmax;
    f->all->now_us = now_us;
    f->all->now_at_us = clock_steady_us();
    *out = snapshot;
    return HF_OK;
}

static void
be_seen(struct pg_fetch *f, struct pg_cursor *c, struct pg_snapshot *snapshot)
{
    pg_snapshot_drop(c->seen);
    c->seen = pg_snapshot_hold(snapshot);
    c->read_us = f->all->now_at_us;
}

static int
peek_results(struct pg_fetch *f, bool *again, struct err *err)
{
    struct pg_snapshot *snapshot = NULL;
    int                 rc = pg_result(f->s, err);
    bool                found = false;

    if (rc == HF_OK) {
        found = pg_get_int(f->s, 0, 0) != 0;
        rc = note_snapshot(f, pg_peek_text(f->s, 0, 1), pg_get_int(f->s, 0, 2), &snapshot, again,
                           err);
        note_partitions(f, pg_get_int(f->s, 0, 3), pg_get_int(f->s, 0, 4));
    }
    int rc2 = pg_synced(f->s, err);
    for (size_t i = 0; i < f->n && rc == HF_OK && rc2 == HF_OK && !found && !*again; i++) {
        struct pg_cursor *c = f->which[i];
        for (int k = 0; k < STREAMS; k++)
            for (enum pg_table t = 0; t < PG_TABLES; t++)
                pg_stream_all(c, t, k, snapshot);
        be_seen(f, c, snapshot);
        c->empties++;
    }
    f->all->peek_us = clock_steady_us() - f->sent_us;
    pg_snapshot_drop(snapshot);
    *again |= found;
    f->no_peek = found;
    return rc ? rc : rc2;
}

static int
read_parts(struct pg_fetch *f, PGresult *parts[PARTS], struct err *err)
{
    for (int i = 0; i < PARTS; i++) {
        if ((i == PART_LAST_NUMBER && !f->begins) || (i == PART_BLOCKED && !f->blocked))
            continue;
        int rc = pg_result(f->s, err);
        if (rc != HF_OK) {
            pg_synced(f->s, NULL);
            return rc;
        }
        parts[i] = f->s->result;
        f->s->result = NULL;
    }
    return pg_synced(f->s, err);
}

static int
take_parts(struct pg_fetch *f, PGresult *const parts[PARTS], bool *again, struct err *err)
{
    struct pg_snapshot *snapshot = NULL;

    f->s->result = parts[PART_BEGIN];
    f->out->now_us = pg_get_int(f->s, 0, 1);
    int rc = note_snapshot(f, pg_peek_text(f->s, 0, 0), f->out->now_us, &snapshot, again, err);
    note_partitions(f, pg_get_int(f->s, 0, 2), pg_get_int(f->s, 0, 3));
    if (rc == HF_OK && !*again)
        rc = pg_take_all(f, parts, snapshot, err);
    for (size_t i = 0; i < f->n && rc == HF_OK && !*again; i++)
        be_seen(f, f->which[i], snapshot);
    f->s->result = NULL;
    pg_snapshot_drop(snapshot);
    if (rc != HF_OK)
        pg_cursors_restart(f->all); /* what was moved is not known any more */
    return rc;
}

static void
finish(struct pg_fetch *f)
{
    f->out->partitions = f->all->changes;
    f->out->next_due_us = NEVER_US;
    for (size_t i = 0; i < f->n_cursors; i++) {
        struct pg_cursor *c = pg_cursor_of(f->all, f->cursors[i].partition);
        f->cursors[i].begun = true;
        if (c && c->next_due_us < f->out->next_due_us)
            f->out->next_due_us = c->next_due_us;
        f->out->more |= c && c->more;
    }
}

int
pg_fetch_results(struct pg_fetch *f, bool *again, struct err *err)
{
    PGresult *parts[PARTS] = {0};
    int       rc = HF_OK;

    *again = false;
    *f->out = (struct rows){.now_us = estimated_now(f), .next_due_us = NEVER_US};
    if (f->peek) {
        rc = peek_results(f, again, err);
    } else if (f->n > 0) {
        rc = read_parts(f, parts, err);
        if (rc == HF_OK)
            rc = take_parts(f, parts, again, err);
        for (int i = 0; i < PARTS; i++)
            PQclear(parts[i]);
    }
    if (rc == HF_OK && !*again)
        finish(f);
    return rc;
}
