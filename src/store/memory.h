/*
 * The memory store's database: sorted tables of rows under one mutex, shared by all connections to
 * it, and a list of changes by which a transaction that fails is undone. It is the reference model
 * of store.h, so its code is plain and nothing in it is clever; it is used by tests and by
 * hf_test_open.
 */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include <pthread.h>

#include "store/store.h"

/* ---- tables: sorted arrays of pointers to rows, each row one block with its texts ---- */

enum table {
    PARTITIONS, /* struct partition, by id */
    RUNS,       /* struct run_row, by no */
    RUN_IDS,    /* struct name, by text */
    HISTORY,    /* struct history_row, by run_no, execution, seq */
    INBOX,      /* struct inbox_row, by no */
    TASKS,      /* struct task_row, by no */
    TASK_IDS,   /* struct name: given ids of live tasks and dead letters */
    DEAD,       /* struct dead_row, by no */
    WORKERS,    /* struct worker_row: the last one that joined, until it leaves. Shared: all */
    AGAIN,      /* struct again, by task: claims that were released */
    TABLES
};

struct partition {
    int64_t     id;
    const char *queue;
    int         crashes;
    int64_t     crashed_us;
    int64_t     retain_us; /* of its queue */
    /* shared stores */
    int64_t owner; /* the worker; 0: nobody */
    int64_t moved; /* grows when the partition is made, given to somebody, or given up */
};

/* A task that was claimed by a worker that is gone: its partition's cursor may be past it, so it is
 * brought in order of this number, and not in order of its own. */
struct again {
    int64_t task_no, seq;
};

struct name {
    const char *text;
    int64_t     no;
};

struct rowset {
    void **rows;
    size_t n, size;
};

struct change {
    enum table table;
    void      *was, *is; /* NULL: there was no row, there is none now */
};

struct memory_db {
    pthread_mutex_t      mutex;
    pthread_cond_t       ended; /* for wait_result */
    struct memory_store *connections;
    struct memory_store *owner;              /* the connection that holds the queues, NULL: none */
    int                  partitions_a_queue; /* 0: the store is exclusive */
    int64_t              last_moved, last_again; /* partition.moved, again.seq */
    int64_t              last_even;              /* spreads what has no id */
    int64_t              last_worker;            /* workers are numbered: the fence */
    bool                 has_left;               /* ... and the last one is gone in good order */
    int64_t              last_seq;               /* of rows of any kind */
    struct rowset        tables[TABLES];
    struct change       *changes; /* of the transaction under way */
    size_t               n_changes, changes_size;
    int64_t              seq_before;
    memory_sql_fn        answer_sql; /* tests: in place of statements */
    void                *answer_arg;
};

/* One connection. */
struct memory_store {
    struct store         store;
    struct memory_db    *db;
    struct memory_store *next;   /* of db->connections */
    int64_t              worker; /* shared: the one that uses this connection; 0: none so far */
    int                  hint;   /* an eventfd, readable once there may be something to fetch */
};

/* memory_table.c. `key` is a row with the members that the table is ordered by. Between begin and
 * commit or rollback, under the mutex. */
void  db_begin(struct memory_db *db);
void  db_commit(struct memory_db *db);
void  db_rollback(struct memory_db *db);
void *db_find(const struct memory_db *db, enum table table, const void *key); /* or NULL */
/* The index of the first row that is greater than key. */
size_t db_after(const struct memory_db *db, enum table table, const void *key);
/* Copies the row in, in the place of the one with the same key if there is one. HF_NOMEM. */
int  db_put(struct memory_db *db, enum table table, const void *row, struct err *err);
int  db_drop(struct memory_db *db, enum table table, const void *key, struct err *err);
void db_release(struct memory_db *db);

/* Copies a row and its texts into the arena. */
int db_copy(enum table table, const void *row, struct arena *a, void *out, struct err *err);

/* Rows picked for an answer. */
struct picks {
    const void **rows;
    size_t       n, size;
    bool         failed;
};
void picks_add(struct picks *p, const void *row);
void picks_release(struct picks *p);
/* An array of copies in the arena; releases the picks whatever comes. */
int picks_take(struct picks *p, enum table table, struct arena *a, void *array, size_t *n,
               struct err *err);

/* Loops over a table: EACH(db, RUNS, struct run_row, run) { ... } */
#define EACH(db, table, type, row)                                                                 \
    for (size_t row##_i = 0; row##_i < (db)->tables[table].n; row##_i++)                           \
        for (type *row = (db)->tables[table].rows[row##_i]; row; row = NULL)

/* memory_submit.c: what clients and owners both insert. */
struct run_row   *db_run(const struct memory_db *db, int64_t no);
struct run_row   *db_run_by_id(const struct memory_db *db, const char *id);
int64_t           db_next_no(struct memory_db *db, int32_t partition, int stream);
struct partition *db_partition(const struct memory_db *db, int32_t id);
/* The partition of its queue that a row with this id belongs in (NULL: any); the queue is made. */
int db_partition_for(struct memory_db *db, const char *queue, const char *row_id, int32_t *id,
                     struct err *err);
int db_add_run(struct memory_db *db, struct submit *start, const struct run_row *parent_fields,
               int64_t now_us, struct err *err);
int db_add_task(struct memory_db *db, struct task_row *task, int32_t partition, int stream,
                int64_t now_us, struct err *err);
int db_add_inbox(struct memory_db *db, struct inbox_row *row, int64_t now_us, struct err *err);
int memory_submit(struct store *s, struct submit *items, size_t n, size_t *bad, struct err *err);

/* memory_read.c */
int memory_run_get(struct store *s, const char *id, struct arena *a, struct run_row *out,
                   struct err *err);
int memory_run_list(struct store *s, const struct run_filter *f, struct arena *a,
                    struct run_row **out, size_t *n, struct err *err);
int memory_history(struct store *s, int64_t run_no, int execution, struct arena *a,
                   struct history_row **out, size_t *n, struct err *err);
int memory_inbox_list(struct store *s, int64_t run_no, struct arena *a, struct inbox_row **out,
                      size_t *n, struct err *err);
int memory_children(struct store *s, int64_t run_no, struct arena *a, struct run_row **out,
                    size_t *n, struct err *err);
int memory_task_get(struct store *s, const char *id, struct arena *a, struct task_row *out,
                    struct err *err);
int memory_task_list(struct store *s, const struct task_filter *f, struct arena *a,
                     struct task_row **out, size_t *n, struct err *err);
int memory_dead_get(struct store *s, const char *id, struct arena *a, struct dead_row *out,
                    struct err *err);
int memory_dead_list(struct store *s, const struct task_filter *f, struct arena *a,
                     struct dead_row **out, size_t *n, struct err *err);
int memory_workers(struct store *s, struct arena *a, struct worker_row **out, size_t *n,
                   struct err *err);
int memory_pending(struct store *s, const char *queues, int64_t due_until_us, struct pending *out,
                   struct err *err);
int memory_load(struct store *s, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
                struct err *err);
int memory_load_tasks(struct store *s, const int64_t *nos, size_t n, struct arena *a,
                      struct task_row *out, struct err *err);

/* memory_purge.c */
int memory_queues(struct store *s, int count_max, struct arena *a, struct queue_row **out,
                  size_t *n, struct err *err);
int memory_retain(struct store *s, const char *queue, int64_t retain_us, struct err *err);
int memory_purge(struct store *s, const struct purge *what, size_t *n, struct err *err);

/* Two texts are the same; NULL is like no text. */
bool is_text(const char *a, const char *b);

/* memory_batch.c: the batch under its fence; memory_cycle.c: the fetch. */
int memory_write(struct memory_store *m, struct batch *batch, int64_t now_us, struct err *err);
int memory_cycle(struct store *s, struct batch *batch, struct cursor *cursors, size_t n_cursors,
                 const struct room *room, struct arena *a, struct rows *out, struct err *err);

int memory_sql_step(struct store *s, struct sql_step *step, struct arena *a, const char **result,
                    struct err *err);

/* HF_STALE if the worker is not the last one that joined, or has left. */
int memory_fence(const struct memory_db *db, int64_t worker, struct err *err);

/* memory_owner.c: an exclusive store's owner. */
int memory_acquire(struct store *s, const struct worker_self *self, int64_t *worker,
                   struct arena *a, struct partition_row **out, size_t *n, struct err *err);
int memory_renew(struct store *s, int64_t worker, int slots_free, const char *stats,
                 struct arena *a, struct census *out, struct err *err);
int memory_takeover(struct store *s, int64_t worker, int64_t dead, struct err *err);
int memory_leave(struct store *s, int64_t worker, struct err *err);

/* memory_shared.c: the owners of a shared store. */
int shared_acquire(struct memory_store *m, const struct worker_self *self, int64_t *worker,
                   struct arena *a, struct partition_row **out, size_t *n, struct err *err);
int shared_renew(struct memory_db *db, int64_t worker, int slots_free, int64_t now_us,
                 struct arena *a, struct census *out, struct err *err);
int shared_takeover(struct memory_store *m, int64_t worker, int64_t dead, struct err *err);
int shared_leave(struct memory_store *m, int64_t worker, struct err *err);
int shared_hand_over(struct memory_db *db, const struct write *w, struct err *err);
int shared_fence(const struct memory_db *db, const struct batch *batch, struct err *err);
int shared_census(struct memory_db *db, int64_t now_us, struct arena *a, struct worker_row **out,
                  size_t *n, struct err *err);
/* rows.partitions for this worker. */
uint32_t shared_news(const struct memory_db *db, int64_t worker);

/* memory.c */
struct memory_db *db_lock(struct store *s);
void              db_unlock(struct memory_db *db);
/* Wakes those in `wait` on other connections than this one; on a shared store, those whose
 * partitions the transaction under way has written in. Before its commit. */
void db_hint(struct memory_db *db, const struct store *but);

static inline struct memory_store *
memory_of(struct store *s)
{
    return (struct memory_store *)s;
}

#endif
