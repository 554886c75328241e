/*
 * The owner's half of the PostgreSQL store. postgres_commit: a batch as statements over arrays;
 * postgres_refuse: which unit the server does not take; postgres_cursor: how far each partition has
 * been read; postgres_fetch: reading on; postgres_cycle: both in one roundtrip; postgres_owner:
 * workers and what they own.
 */
#ifndef STORE_POSTGRES_CYCLE_H
#define STORE_POSTGRES_CYCLE_H

#include "base/map.h"
#include "store/postgres.h"

/* ---- postgres_commit.c */

/* A batch, or the units [from, to) of it, on its way. */
struct pg_writing {
    struct postgres *s;
    struct batch    *batch;
    uint32_t         from, to;
    uint32_t         count[WRITE_HAND_OVER + 1]; /* writes of each kind in the units */
    int64_t         *ended;                      /* runs that end */
    size_t           n_ended;
    int32_t         *touched; /* partitions where rows for others came to be */
    size_t           n_touched;
};

/* Sends fence and writes, between pg_begin and pg_commit. */
int  pg_write_begin(struct pg_writing *t, struct postgres *s, struct batch *batch, uint32_t from,
                    uint32_t to, struct arena *a, struct err *err);
void pg_write_send(struct pg_writing *t);
/* Reads the results; numbers of new rows come back into the writes. The section is still to be
 * closed by pg_synced. */
int pg_write_results(struct pg_writing *t, struct err *err);
/* Behind the commit: who waits for runs that it ended, and whose partitions have got rows. */
bool pg_write_tell(struct pg_writing *t);
void pg_write_hint(struct pg_writing *t, const struct cursor *cursors, size_t n);

/* ---- postgres_refuse.c */

/* The unit of the batch that the server does not take, by halves. */
int pg_find_refused(struct postgres *s, struct batch *batch, struct arena *a, struct err *err);

/* ---- postgres_cursor.c */

/* A snapshot, shared by all partitions that were read in it. */
struct pg_snapshot {
    unsigned refs;
    int64_t  xmax;
    size_t   n;
    int64_t  under_way[]; /* ascending */
};

struct pg_position {
    int64_t xid, no;
};

enum pg_table { PG_RUNS, PG_TASKS, PG_INBOX, PG_TABLES };

/* A transaction that had ended and was not read to its end for want of room. */
struct pg_rest {
    int64_t xid, no;
    uint8_t table, cls;
};

/*
 * How far a partition has been read. Every row at or below a position that is visible in `seen` has
 * been read, but for the rests; what was under way in `seen` below a position comes late.
 */
struct pg_cursor {
    int32_t             partition;
    bool                begun;
    struct pg_snapshot *seen;
    struct pg_position  at[PG_TABLES][STREAMS];
    struct pg_rest     *rests;
    size_t              n_rests, size_rests;
    int64_t             known_no; /* runs up to this number may have history */
    int64_t             blocked;  /* blocked runs are read up to here; INT64_MAX: all */
    struct pg_position  due[2];   /* of runs and tasks: xid is the time */
    int64_t             next_due_us;
    bool                more;    /* cut off: read again at once */
    int                 empties; /* reads in a row that found nothing */
    int64_t             read_us; /* steady clock */
};

/* All of a connection's. */
struct pg_cursors {
    struct map          of; /* by partition */
    struct pg_snapshot *last;
    int64_t             xmax; /* the greatest seen */
    uint32_t            epoch;
    int64_t             now_us, now_at_us; /* store time, and when it was received */
    int64_t             unowned, owned;    /* partitions, as a sum over them */
    int64_t             counted_us;        /* steady clock */
    uint32_t            changes;           /* rows.partitions */
    bool                big;     /* payloads were left out: few rows, but whole ones, next time */
    int64_t             peek_us; /* a look takes so long */
    int64_t             busy_at_us; /* steady clock: it was said that the owner looks by itself */
    int64_t             load_us;    /* rows are counted since then */
    size_t              load_rows;
    bool                loaded;
};

/* The cursor of a partition, made if need be. NULL: memory is out. */
struct pg_cursor *pg_cursor_of(struct pg_cursors *all, int32_t partition);
void              pg_cursor_restart(struct pg_cursor *c);
/* All begin again: another connection, or another past. */
void pg_cursors_restart(struct pg_cursors *all);
void pg_cursors_release(struct pg_cursors *all);

/* "10:20:12,13" as pg_current_snapshot gives it; with one reference. NULL: memory is out or it is
 * none. */
struct pg_snapshot *pg_snapshot_parse(const char *text);
struct pg_snapshot *pg_snapshot_hold(struct pg_snapshot *snapshot);
void                pg_snapshot_drop(struct pg_snapshot *snapshot);
bool                pg_snapshot_has_ended(const struct pg_snapshot *snapshot, int64_t xid);

/* Parameters $1 to $5 and $6 to $10 of the statements of fetch.sql: the streams of the classes
 * [from, to) and what comes late in them. `which` are the cursors in use, in order. */
void pg_put_streams(struct pg_args *a, enum pg_table table, struct pg_cursor *const *which,
                    size_t n, int from, int to);
void pg_put_late(struct pg_args *a, int table, struct pg_cursor *const *which, size_t n);
/* After a read of a stream in `snapshot`: all of it, or up to a row (no 0: none). `next_xid` is the
 * transaction of the first row that was left. */
void pg_stream_all(struct pg_cursor *c, enum pg_table table, int cls,
                   const struct pg_snapshot *snapshot);
bool pg_stream_part(struct pg_cursor *c, enum pg_table table, int cls,
                    const struct pg_snapshot *snapshot, struct pg_position taken, int64_t next_xid);

/* ---- postgres_fetch.c */

struct pg_fetch {
    struct postgres   *s;
    struct pg_cursors *all;
    int64_t            worker;
    struct cursor     *cursors;
    size_t             n_cursors;
    const struct room *room;
    struct arena      *a;
    struct rows       *out;
    struct pg_cursor **which; /* those that are read this time */
    size_t             n;
    bool               peek;    /* only look whether there is anything */
    bool               no_peek; /* there is */
    bool               with_commit;
    int64_t            sent_us; /* steady clock */
    bool               begins, blocked, big;
    size_t             runs, tasks, inbox; /* rows that a cursor may bring this time */
    int                bytes;              /* payloads that are longer are left out */
};

/* Which partitions are read; wrote: the batch made rows. Then what they are asked for. */
int  pg_fetch_begin(struct pg_fetch *f, bool wrote, struct err *err);
void pg_fetch_send(struct pg_fetch *f);
/* Reads the results and moves the cursors. *again: once more, since the peek has found something,
 * or the server has another past than we thought. */
int pg_fetch_results(struct pg_fetch *f, bool *again, struct err *err);

/* ---- postgres_take.c: which of the rows that came there is room for, and these as structs */

enum pg_part {
    PART_BEGIN,
    PART_LAST_NUMBER,
    PART_DUE_TASKS,
    PART_DUE_RUNS,
    PART_TASKS,
    PART_RUNS,
    PART_INBOX,
    PART_BLOCKED,
    PART_NEXT_DUE,
    PARTS
};

/* Moves the cursors and fills f->out. HF_NOMEM: the cursors must begin again. */
int pg_take_all(struct pg_fetch *f, PGresult *const parts[PARTS], struct pg_snapshot *snapshot,
                struct err *err);

/* ---- ops */

int
postgres_cycle(struct store *base, struct batch *batch, struct cursor *cursors, size_t n_cursors,
               const struct room *room, struct arena *a, struct rows *out, struct err *err);
int postgres_acquire(struct store *base, const struct worker_self *self, int64_t *worker,
                     struct arena *a, struct partition_row **out, size_t *n, struct err *err);
int postgres_renew(struct store *base, int64_t worker, int slots_free, const char *stats,
                   struct arena *a, struct census *out, struct err *err);
int postgres_takeover(struct store *base, int64_t worker, int64_t dead, struct err *err);
int postgres_leave(struct store *base, int64_t worker, struct err *err);
int postgres_load(struct store *base, const int64_t *nos, size_t n, struct arena *a,
                  struct loaded *out, struct err *err);
int postgres_load_tasks(struct store *base, const int64_t *nos, size_t n, struct arena *a,
                        struct task_row *out, struct err *err);

#endif
