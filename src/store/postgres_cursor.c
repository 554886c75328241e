/*
 * How far each partition has been read, by (xid, no). Numbers of transactions are given out before
 * they commit, so what is below a position may still become visible: it is what was under way in
 * the snapshot of the last read. Those transactions are read by themselves once they have ended;
 * the position never waits for them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/postgres_cycle.h"

/* ---- snapshots */

struct pg_snapshot *
pg_snapshot_parse(const char *text)
{
    char  *end;
    size_t n = 0;
    for (const char *p = text; *p; p++)
        n += *p == ',';
    struct pg_snapshot *snapshot = mem_alloc(sizeof(*snapshot) + (n + 1) * sizeof(int64_t));
    if (snapshot == NULL)
        return NULL;
    *snapshot = (struct pg_snapshot){.refs = 1};
    strtoll(text, &end, 10);
    if (*end == ':')
        snapshot->xmax = strtoll(end + 1, &end, 10);
    while (*end && end[1] && snapshot->n <= n)
        snapshot->under_way[snapshot->n++] = strtoll(end + 1, &end, 10);
    return snapshot;
}

struct pg_snapshot *
pg_snapshot_hold(struct pg_snapshot *snapshot)
{
    snapshot->refs++;
    return snapshot;
}

void
pg_snapshot_drop(struct pg_snapshot *snapshot)
{
    if (snapshot && --snapshot->refs == 0)
        mem_free(snapshot);
}

bool
pg_snapshot_has_ended(const struct pg_snapshot *snapshot, int64_t xid)
{
    size_t low = 0, high = snapshot->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (snapshot->under_way[mid] < xid)
            low = mid + 1;
        else
            high = mid;
    }
    return xid < snapshot->xmax && (low == snapshot->n || snapshot->under_way[low] != xid);
}

/* ---- cursors */

void
pg_cursor_restart(struct pg_cursor *c)
{
    int32_t         partition = c->partition;
    struct pg_rest *rests = c->rests;
    size_t          size = c->size_rests;

    pg_snapshot_drop(c->seen);
    *c = (struct pg_cursor){
        .partition = partition, .rests = rests, .size_rests = size, .next_due_us = NEVER_US};
}

struct pg_cursor *
pg_cursor_of(struct pg_cursors *all, int32_t partition)
{
    struct pg_cursor *c = map_get(&all->of, partition);
    if (c)
        return c;
    if ((c = mem_zalloc(sizeof(*c))) == NULL)
        return NULL;
    c->partition = partition;
    pg_cursor_restart(c);
    if (!map_put(&all->of, partition, c)) {
        mem_free(c);
        return NULL;
    }
    return c;
}

void
pg_cursors_restart(struct pg_cursors *all)
{
    size_t at = 0;
    for (struct pg_cursor *c; (c = map_next(&all->of, &at)) != NULL;)
        pg_cursor_restart(c);
    all->xmax = 0;
    all->now_us = 0;
}

void
pg_cursors_release(struct pg_cursors *all)
{
    size_t at = 0;
    if (all == NULL)
        return;
    for (struct pg_cursor *c; (c = map_next(&all->of, &at)) != NULL;) {
        pg_snapshot_drop(c->seen);
        mem_free(c->rests);
        mem_free(c);
    }
    map_release(&all->of);
    mem_free(all);
}

/* ---- parameters */

void
pg_put_streams(struct pg_args *a, enum pg_table table, struct pg_cursor *const *which, size_t n,
               int from, int to)
{
    int at = pg_array(a, PG_INT4), partition = pg_array(a, PG_INT2), cls = pg_array(a, PG_INT2),
        xid = pg_array(a, PG_XID8), no = pg_array(a, PG_INT8);
    for (size_t i = 0; i < n; i++)
        for (int k = from; k < to; k++) {
            if (k == STREAM_DELAYED && !which[i]->begun)
                continue; /* delayed tasks that are there come by their time */
            pg_add_int4(a, at, (int32_t)i);
            pg_add_int2(a, partition, which[i]->partition);
            pg_add_int2(a, cls, k);
            pg_add_int8(a, xid, which[i]->at[table][k].xid);
            pg_add_int8(a, no, which[i]->at[table][k].no);
        }
}

struct late_arrays {
    int first, last, cls, xid, no;
};

static void
put_late(struct pg_args *a, const struct late_arrays *to, size_t first, size_t last, int cls,
         struct pg_position at)
{
    pg_add_int4(a, to->first, (int32_t)first);
    pg_add_int4(a, to->last, (int32_t)last);
    pg_add_int2(a, to->cls, cls);
    pg_add_int8(a, to->xid, at.xid);
    pg_add_int8(a, to->no, at.no);
}

/* Partitions that stand together and were read in one snapshot share its list. table -1: all. */
void
pg_put_late(struct pg_args *a, int table, struct pg_cursor *const *which, size_t n)
{
    struct late_arrays to = {pg_array(a, PG_INT4), pg_array(a, PG_INT4), pg_array(a, PG_INT2),
                             pg_array(a, PG_XID8), pg_array(a, PG_INT8)};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < which[i]->n_rests; k++) {
            const struct pg_rest *r = &which[i]->rests[k];
            if (r->table == table)
                put_late(a, &to, i, i, r->cls, (struct pg_position){r->xid, r->no});
        }
    for (size_t i = 0, next; i < n; i = next) {
        const struct pg_snapshot *seen = which[i]->seen;
        for (next = i + 1; next < n && which[next]->seen == seen; next++)
            ;
        for (size_t k = 0; seen && k < seen->n; k++)
            put_late(a, &to, i, next - 1, -1, (struct pg_position){seen->under_way[k], 0});
    }
}

/* ---- after a read */

static bool
add_rest(struct pg_cursor *c, struct pg_rest rest)
{
    if (c->n_rests == c->size_rests) {
        size_t          size = c->size_rests ? c->size_rests * 2 : 16;
        struct pg_rest *more = mem_realloc(c->rests, size * sizeof(*more));
        if (more == NULL)
            return false;
        c->rests = more;
        c->size_rests = size;
    }
    c->rests[c->n_rests++] = rest;
    return true;
}

static void
drop_rests(struct pg_cursor *c, enum pg_table table, int cls)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_rests; i++)
        if (c->rests[i].table != table || c->rests[i].cls != cls)
            c->rests[n++] = c->rests[i];
    c->n_rests = n;
}

void
pg_stream_all(struct pg_cursor *c, enum pg_table table, int cls, const struct pg_snapshot *snapshot)
{
    drop_rests(c, table, cls);
    c->at[table][cls] = (struct pg_position){snapshot->xmax, 0};
}

/*
 * Late transactions were read in the order in which pg_put_late names them: rests, then what was
 * under way. Those before the first row that was left are done, its own is done in part, those
 * behind it stay if they have ended; else the new snapshot has them.
 */
bool
pg_stream_part(struct pg_cursor *c, enum pg_table table, int cls,
               const struct pg_snapshot *snapshot, struct pg_position taken, int64_t next_xid)
{
    struct pg_position *at = &c->at[table][cls];
    size_t              n = c->n_rests, n_late = c->seen ? c->seen->n : 0;
    bool                reached = false;

    if (next_xid >= at->xid) { /* all that is late was read */
        drop_rests(c, table, cls);
        if (taken.no && taken.xid >= at->xid)
            *at = taken;
        return true;
    }
    for (size_t i = 0; i < n + n_late; i++) {
        struct pg_rest r = {.table = (uint8_t)table, .cls = (uint8_t)cls};
        if (i < n) {
            if (c->rests[i].table != table || c->rests[i].cls != cls)
                continue;
            r = c->rests[i];
            c->rests[i].table = PG_TABLES; /* goes below */
        } else {
            r.xid = c->seen->under_way[i - n];
            if (r.xid >= at->xid || !pg_snapshot_has_ended(snapshot, r.xid))
                continue;
        }
        if (r.xid == next_xid) {
            reached = true;
            if (taken.no && taken.xid == r.xid)
                r.no = taken.no;
        }
        if (reached && !add_rest(c, r))
            return false;
    }
    drop_rests(c, PG_TABLES, cls);
    return true;
}
