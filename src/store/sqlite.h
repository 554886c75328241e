/*
 * The SQLite store, inside. One `struct sqlite` is one connection; the owner's has more: the lock
 * on the file PATH-owner, the socket that submitters hint, and the thread that makes checkpoints.
 *
 * sqlite_open: files, settings, migrations. sqlite_stmt: statements, transactions, errors.
 * sqlite_row: rows to structs. sqlite_queue: names of partitions. sqlite_lock, sqlite_owner:
 * ownership. sqlite_submit: clients' writes. sqlite_commit, sqlite_fetch: the cycle. sqlite_read,
 * sqlite_step, sqlite_json: SQL steps. sqlite_info: for people. sqlite_purge: retention.
 * sqlite_wait: hints. sqlite_checkpoint: the log.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "store/store.h"

/* Named statements of sql/sqlite. */
enum sql {
#define X(name, index, text) SQL_##name,
#include "store/sqlite_sql.def"
#undef X
    SQLS
};

enum {
    PAGE_SIZE = 4096,
    LOG_CHECKPOINT = 4 << 20,
    LOG_RESTART = 8 << 20,
    LOG_TRUNCATE = 256 << 20
};

struct queue_name {
    int32_t partition;
    char   *name;
};

/* Names of partitions, read once; what a transaction has added goes if it is rolled back. */
struct queue_names {
    struct queue_name *rows;
    size_t             n, size, n_committed;
    size_t             last; /* index of the last hit */
};

/* What the last fetch of this connection found, so that the next can be left out if it would find
 * nothing: the version of the file then, and the cursors after it. */
struct fetched {
    bool           valid;
    int64_t        version;
    int64_t        next_due_us;
    uint32_t       partitions;
    struct cursor *cursors;
    size_t         n, size;
};

enum { WAITERS_MAX = 64 };

struct waiter {
    struct sockaddr_un address;
    socklen_t          len;
    int64_t            until_us;
};

struct checkpointer;   /* sqlite_checkpoint.c */
struct sqlite_explain; /* sqlite_explain.c */

struct sqlite {
    struct store  base;
    sqlite3      *db;
    sqlite3_stmt *stmt[SQLS];
    const char   *path; /* absolute, as SQLite says; lives with db */
    bool          in_txn;

    struct queue_names queues;
    struct fetched     fetched;
    bool               wrote_rows; /* this connection has stored rows since the last fetch */
    bool               wrote_due;  /* ... or changed when something is due */

    /* owner */
    int                  lock_fd; /* -1: not the owner */
    int64_t              epoch;
    struct checkpointer *checkpointer;
    char                *stats;      /* what the owner has counted, as it last said */
    bool                 stats_wait; /* the next commit stores them */
    int64_t              wrote_us;   /* steady clock: the owner's last commit */

    /* hints */
    int                socket; /* -1: none; the owner's is bound to the name of the file */
    struct sockaddr_un hint_address;
    socklen_t          hint_len;
    bool               hinted;
    int64_t            waited_version;
    struct waiter      waiters[WAITERS_MAX];
    size_t             n_waiters;

    struct sqlite_explain *explain; /* NULL but for a connection that tells plans */

    /* SQL steps */
    bool for_steps; /* the connection is set up for them */
    bool in_step;   /* the user's statement is being prepared or run */

    /* fairness */
    int64_t others_version; /* data_version when others' writes were last looked for */
    int64_t others_us;
    int64_t window_us, held_us; /* since when, and how much of it the owner held the lock */
    int64_t log_looked_us;
};

static inline struct sqlite *
sqlite_of(struct store *s)
{
    return (struct sqlite *)s;
}

/* The stream of a class: what is no class is normal. */
static inline int
immediate_stream(int cls)
{
    return cls >= STREAM_URGENT && cls <= STREAM_BULK ? cls : STREAM_NORMAL;
}

/* ---- sqlite_stmt.c */

const char *sql_name(enum sql id);
const char *sql_text(enum sql id);
const char *sql_index(enum sql id); /* "": none is demanded */

/* A prepared statement, reset; NULL sets err. */
sqlite3_stmt *sql_get(struct sqlite *s, enum sql id, struct err *err);
/* Steps a statement that returns no row and resets it. An SQLite code. */
int sql_run(sqlite3_stmt *q);
/* Runs a statement without parameters. */
int sql_exec(struct sqlite *s, enum sql id, struct err *err);
/* One row with one integer; fallback if there is no row. The statement has its parameters. */
int sql_int(struct sqlite *s, sqlite3_stmt *q, int64_t fallback, int64_t *out, struct err *err);
int sql_get_int(struct sqlite *s, enum sql id, int64_t *out, struct err *err);

static inline void
bind_text(sqlite3_stmt *q, int i, const char *text)
{
    sqlite3_bind_text(q, i, text, -1, SQLITE_STATIC);
}

static inline void
bind_int(sqlite3_stmt *q, int i, int64_t v)
{
    sqlite3_bind_int64(q, i, v);
}

/* NULL in the file for the value that means none. */
static inline void
bind_unless(sqlite3_stmt *q, int i, int64_t v, int64_t none)
{
    if (v == none)
        sqlite3_bind_null(q, i);
    else
        sqlite3_bind_int64(q, i, v);
}

/* The one place where SQLite's codes become ours. */
int sqlite_code(int sqlite_rc);
int sqlite_fail(struct sqlite *s, int sqlite_rc, const char *doing, struct err *err);

int sqlite_begin_read(struct sqlite *s, struct err *err);
int sqlite_begin_write(struct sqlite *s, struct err *err);
/* On failure everything is rolled back; HF_UNKNOWN if only the sync failed. */
int  sqlite_commit(struct sqlite *s, struct err *err);
void sqlite_rollback(struct sqlite *s); /* nothing if there is no transaction */
int  sqlite_data_version(struct sqlite *s, int64_t *out, struct err *err);
/* Reserves n numbers; *first is the first. */
int sqlite_take_numbers(struct sqlite *s, size_t n, int64_t *first, struct err *err);

/* ---- sqlite_row.c: the columns stand in the order of sql/sqlite/read.sql. HF_NOMEM. */

int row_to_run(struct sqlite *s, sqlite3_stmt *q, struct arena *a, struct run_row *out);
int row_to_task(struct sqlite *s, sqlite3_stmt *q, struct arena *a, struct task_row *out);
int row_to_dead(struct sqlite *s, sqlite3_stmt *q, struct arena *a, struct dead_row *out);
int row_to_inbox(sqlite3_stmt *q, struct arena *a, struct inbox_row *out);
int row_to_history(sqlite3_stmt *q, struct arena *a, struct history_row *out);
/* The text of a column in the arena; *failed is set if memory is out. */
char *column_text(sqlite3_stmt *q, int i, struct arena *a, bool *failed);

/* A growing array in an arena: room for one more after n. Begins with rows NULL. */
void *rows_grow(struct arena *a, void *rows, size_t n, size_t size);

/* ---- sqlite_queue.c */

/* The partition of a queue (NULL: "default"): 0 in *out if there is none. */
int queue_find(struct sqlite *s, const char *queue, int32_t *out, struct err *err);
/* The same inside a write transaction; makes it. */
int queue_need(struct sqlite *s, const char *queue, int32_t *out, struct err *err);
/* Borrowed until the store is closed. NULL: memory is out, or no such partition. */
const char *queue_name(struct sqlite *s, int32_t partition);
void        queues_settle(struct sqlite *s, bool committed);
void        queues_release(struct sqlite *s);

/* ---- sqlite_lock.c */

/* Takes the lock of the file: HF_OWNED with the holder's name. */
int  lock_take(struct sqlite *s, struct err *err);
void lock_drop(struct sqlite *s);
/* Whether somebody holds it; his name if so ("pid 12 on host"). */
bool lock_is_held(struct sqlite *s, char *who, size_t size);

/* ---- ops */

int sqlite_acquire(struct store *base, const struct worker_self *self, int64_t *worker,
                   struct arena *a, struct partition_row **out, size_t *n, struct err *err);
int sqlite_renew(struct store *base, int64_t worker, int slots_free, const char *stats,
                 struct arena *a, struct census *out, struct err *err);
int sqlite_takeover(struct store *base, int64_t worker, int64_t dead, struct err *err);
int sqlite_leave(struct store *base, int64_t worker, struct err *err);
int sqlite_submit(struct store *base, struct submit *items, size_t n, size_t *bad, struct err *err);
int sqlite_cycle(struct store *base, struct batch *batch, struct cursor *cursors, size_t n_cursors,
                 const struct room *room, struct arena *a, struct rows *out, struct err *err);
int sqlite_load(struct store *base, const int64_t *nos, size_t n, struct arena *a,
                struct loaded *out, struct err *err);
int sqlite_load_tasks(struct store *base, const int64_t *nos, size_t n, struct arena *a,
                      struct task_row *out, struct err *err);
int sqlite_wait(struct store *base, int wake_fd, int64_t deadline_us, struct err *err);
int sqlite_wait_result(struct store *base, const char *id, const char *token, int64_t deadline_us,
                       struct arena *a, struct run_row *out, struct err *err);
void sqlite_tell_waiters(struct store *base);
int  sqlite_run_get(struct store *base, const char *id, struct arena *a, struct run_row *out,
                    struct err *err);
int  sqlite_run_list(struct store *base, const struct run_filter *f, struct arena *a,
                     struct run_row **out, size_t *n, struct err *err);
int  sqlite_history(struct store *base, int64_t run_no, int execution, struct arena *a,
                    struct history_row **out, size_t *n, struct err *err);
int  sqlite_inbox_list(struct store *base, int64_t run_no, struct arena *a, struct inbox_row **out,
                       size_t *n, struct err *err);
int  sqlite_children(struct store *base, int64_t run_no, struct arena *a, struct run_row **out,
                     size_t *n, struct err *err);
int  sqlite_task_get(struct store *base, const char *id, struct arena *a, struct task_row *out,
                     struct err *err);
int  sqlite_task_list(struct store *base, const struct task_filter *f, struct arena *a,
                      struct task_row **out, size_t *n, struct err *err);
int  sqlite_dead_get(struct store *base, const char *id, struct arena *a, struct dead_row *out,
                     struct err *err);
int  sqlite_dead_list(struct store *base, const struct task_filter *f, struct arena *a,
                      struct dead_row **out, size_t *n, struct err *err);
int  sqlite_workers(struct store *base, struct arena *a, struct worker_row **out, size_t *n,
                    struct err *err);
int  sqlite_pending(struct store *base, const char *queues, int64_t due_until_us,
                    struct pending *out, struct err *err);
int  sqlite_info(struct store *base, struct arena *a, struct store_info *out, struct err *err);
int  sqlite_queues(struct store *base, int count_max, struct arena *a, struct queue_row **out,
                   size_t *n, struct err *err);
int  sqlite_retain(struct store *base, const char *queue, int64_t retain_us, struct err *err);
int  sqlite_purge(struct store *base, const struct purge *what, size_t *n, struct err *err);
int sqlite_sql_step(struct store *base, struct sql_step *step, struct arena *a, const char **result,
                    struct err *err);

/* ---- parts of verbs */

/* HF_STALE unless it is the owner. */
int sqlite_fence(struct sqlite *s, int64_t worker, struct err *err);
/* Inside a transaction of the owner's: what it has counted, if that waits to be stored. */
int sqlite_publish(struct sqlite *s, struct err *err);
/* Fence, writes, commit; nothing for an empty batch. Sets batch->refused. */
int sqlite_write_batch(struct sqlite *s, struct batch *batch, struct err *err);
int sqlite_write_history(struct sqlite *s, const struct history_row *row, struct err *err);
/* Puts the row that the statement stands on. The number of a column that is no text; -1: none. */
int    sqlite_row_json(sqlite3_stmt *q, struct buf *b);
double sqlite_real(const char *text); /* of a number as JSON writes it, whatever the locale */
/* Reads what is new for the cursors and moves them; on an error they stay. */
int  sqlite_fetch(struct sqlite *s, struct cursor *cursors, size_t n, const struct room *room,
                  struct arena *a, struct rows *out, struct err *err);
void fetched_release(struct sqlite *s);

/* An open and migrated connection. */
int  sqlite_connect(struct sqlite *s, const char *path, struct err *err);
int  sqlite_migrate(struct sqlite *s, struct err *err);
int  sqlite_schema_known(void);
void sqlite_disconnect(struct sqlite *s);
int  sqlite_wait_busy(void *arg, int times); /* for sqlite3_busy_handler */
/* By the f_type of statfs: HF_UNAVAILABLE for the file systems that do not lock reliably. */
int sqlite_check_fs(const char *path, long f_type, struct err *err);
/* The result of a quick check: NULL in *damage if the file is sound. */
int sqlite_quick_check(struct sqlite *s, struct arena *a, char **damage, struct err *err);

/* The socket: bound (owner) or not; without one the store polls. */
void hints_open(struct sqlite *s, bool bind_name);
void hints_close(struct sqlite *s);
void hints_send(struct sqlite *s);  /* to the owner, after a commit */
void hints_drain(struct sqlite *s); /* what has come is remembered: s->hinted, s->waiters */

int  checkpointer_start(struct sqlite *s, struct err *err);
void checkpointer_stop(struct sqlite *s);
void checkpointer_restart(struct sqlite *s); /* by the owner, after a commit */
/* For sqlite3_wal_hook. */
int     checkpoint_hook(void *arg, sqlite3 *db, const char *name, int frames);
void    checkpointer_wake(struct sqlite *s);
int64_t sqlite_log_bytes(struct sqlite *s);

/* Tests: a full disk, at so many pages. */
int sqlite_store_limit_pages(struct store *base, int pages);

#endif
