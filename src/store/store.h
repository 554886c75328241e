/*
 * The store: everything durable, behind one table of domain verbs. `memory` is the reference model,
 * `sqlite` the embedded default; `fault` and `trace` wrap another store. One suite
 * (tests/store_suite.c) holds for all.
 *
 * A `struct store` is one connection, used by one thread at a time; store_clone makes more. All
 * verbs block. Rows come back in the caller's arena. A verb that returns an error has changed
 * nothing, but for HF_UNKNOWN (the commit may have happened).
 *
 * Who writes what. Clients insert: runs, tasks, inbox rows (`submit`). The owner of a partition,
 * and nobody else, changes and deletes live rows, in `cycle`, under a fence: the batch names the
 * worker and the partitions it writes in, and the store refuses it (HF_STALE) if that worker does
 * not own them all. So there are never two that execute the same run.
 *
 * A store is exclusive (one worker owns everything; another waits: HF_OWNED) or shared (each worker
 * owns some partitions). On a shared store ownership moves in three ways: `acquire` takes what
 * nobody owns, `takeover` takes all that a dead worker had, and an owner hands a partition over in
 * a batch of its own (WRITE_HAND_OVER). What belongs to another worker's partition is told by inbox
 * rows.
 *
 * Row numbers. Runs, tasks and inbox rows are numbered so that a number says where the row lives
 * and in what order it came: partition (15 bits) | stream (2 bits) | sequence (46 bits). Numbers of
 * one stream grow in commit order on stores with one writer at a time, so "everything after the
 * last number seen" is exact there; a store without that property keeps what it needs in the
 * cursor.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* ---- words ---- */

enum stream { STREAM_URGENT, STREAM_NORMAL, STREAM_BULK, STREAM_DELAYED, STREAMS };

static inline int64_t
row_no(int32_t partition, int stream, int64_t seq)
{
    return (int64_t)partition << 48 | (int64_t)stream << 46 | seq;
}

static inline int32_t
row_partition(int64_t no)
{
    return (int32_t)(no >> 48);
}

static inline int
row_stream(int64_t no)
{
    return (int)(no >> 46 & 3);
}

static inline int64_t
row_seq(int64_t no)
{
    return no & (((int64_t)1 << 46) - 1);
}

/* The id of a task that was given none: "t1.1.42" (partition, stream, sequence). task_id_parse
 * gives 0 if text is no such id. */
void    task_id_format(int64_t no, char out[HF_ID_SIZE]);
int64_t task_id_parse(const char *text);

/*
 * The state of a run as stored. Running: has a turn to do, or calls in its owner's memory, so a new
 * owner must pick it up. Waiting: only for what is itself stored (timer, signal, task row, child),
 * which brings it back. From RUN_COMPLETED on it has ended.
 */
enum run_status {
    RUN_RUNNING,
    RUN_WAITING,
    RUN_PAUSED,
    RUN_BLOCKED,
    RUN_COMPLETED,
    RUN_FAILED,
    RUN_CANCELLED,
    RUN_TERMINATED,
    RUN_STATUSES
};

const char *run_status_name(int status);        /* "running", ... */
int         run_status_parse(const char *name); /* -1 if there is no such status */

static inline bool
run_has_ended(int status)
{
    return status >= RUN_COMPLETED;
}

#define NEVER_US INT64_MAX

/* A run. Fields under "mutable" are written, all of them, by WRITE_RUN. */
struct run_row {
    int64_t     no;
    const char *id, *workflow, *queue;
    const char *input;
    const char
           *token; /* made by the start: tells a repeated start from another one; NULL if none */
    int64_t parent_no;      /* 0: none. The parent is told of the end by an inbox row */
    const char *parent_ref; /* of the call in the parent */
    int         parent_execution;
    int64_t     started_us;
    /* mutable */
    int         status;
    int         version;   /* 0: not pinned yet */
    int         execution; /* 1, 2, ... */
    int64_t     wake_us;   /* earliest timer; NEVER_US if none */
    int         crashes;   /* died with its worker so often, see claimed */
    bool        claimed;   /* its worker was careful and said that a turn of it was under way */
    const char *custom;    /* hf_status */
    const char *output, *error_name, *error_message;
    int64_t     ended_us; /* 0 while it lives */
    /* only from a fetch */
    bool fresh; /* surely without history: load need not be called */
};

/* A task: standalone (run_no 0), or called by a run and too slow, late or far to stay in memory.
 * Mutable fields: WRITE_TASK. */
struct task_row {
    int64_t     no;
    const char *id; /* given by the caller, else NULL: task_id_format(no) */
    const char *name, *payload, *queue;
    const char *opts; /* the options that were given, as JSON, NULL if none; read by core/policy */
    int64_t     run_no;
    int         execution;
    const char *ref;
    int64_t     created_us;
    /* mutable */
    int         attempt;   /* attempts that have ended */
    int64_t     run_at_us; /* 0: at once */
    bool        claimed;   /* a worker is executing it and said so: the one that writes the row */
    int         crashes;
    const char *error_name, *error_message; /* of the last attempt */
    /* only when read */
    int64_t holder; /* claimed: the worker's number; 0: it has left, or the store knows only one */
};

struct dead_row {
    int64_t     no; /* of the task it was */
    const char *id; /* always there */
    const char *name, *payload, *queue, *opts;
    int         attempts, crashes;
    const char *error_name, *error_message;
    int64_t     created_us, died_us;
};

/* What others want of a run or a task. Read by its owner, turned into an event, and deleted in the
 * same commit. The last three are between workers, on shared stores only. */
enum inbox_kind {
    INBOX_SIGNAL,
    INBOX_CANCEL,
    INBOX_TERMINATE,
    INBOX_PAUSE,
    INBOX_RESUME,
    INBOX_REPLACE,
    INBOX_CHILD,
    INBOX_RESULT,   /* to a run: how a task that it called has ended, from the task row's owner */
    INBOX_FINISHED, /* to a task: how an attempt has ended, from the worker that had claimed it */
    INBOX_STOP      /* to a task: the run that called it does not want it any more */
};

struct inbox_row {
    int64_t     no;
    int64_t     run_no;  /* 0: it is for a task */
    int64_t     task_no; /* result, finished, stop: the task's row, which may be gone */
    int         kind;
    const char *name;    /* signal: its name. replace: the workflow. child, result: the ref */
    const char *payload; /* signal: payload. cancel, terminate: reason. replace: input. child,
                            result, finished: output or error message */
    const char *key;     /* signal: the sender's key. replace: the start's token. child, result,
                            finished: error name */
    int aux;             /* replace: version. child, result: the run's execution. finished: 1 if
                            it is not to be tried again whatever its policy, 2 if it has not begun */
    int     code;        /* child, result, finished: HF_OK or a positive code */
    int     attempt;     /* result, finished: attempts that have ended */
    int64_t sender;      /* finished: the worker's number */
    int64_t time_us;     /* when it was stored */
};

struct history_row {
    int64_t     run_no;
    int         execution, seq; /* seq: 1, 2, ... without gaps */
    const char *events;         /* a JSON array */
    size_t      events_len;
};

/* ---- clients ---- */

enum submit_kind {
    SUBMIT_START,  /* id, name, payload, queue, cls, version, if_exists, token */
    SUBMIT_SIGNAL, /* id, name, payload, key */
    SUBMIT_CANCEL, /* id, payload: reason. The same for terminate */
    SUBMIT_TERMINATE,
    SUBMIT_PAUSE,   /* id */
    SUBMIT_RESUME,  /* id */
    SUBMIT_ENQUEUE, /* id or NULL, name, payload, queue, cls, run_at_us, opts */
    SUBMIT_RETRY,   /* id of a dead letter: a task again, with its attempts and crashes forgotten */
    SUBMIT_DISCARD  /* id of a dead letter: deleted */
};

/* if_exists beside those of holdfast.h: a live run stays, one that has ended begins anew */
enum { IF_EXISTS_LIVE = 3 };

struct submit {
    int         kind;
    const char *id, *name, *payload, *queue, *key, *token, *opts;
    int         cls; /* enum stream: urgent, normal, bulk */
    int         version, if_exists;
    int64_t     run_at_us; /* enqueue: 0 at once; a time that has passed counts as 0 */
    /* out */
    int64_t no;      /* the row's number; of the run that is there with _USE */
    bool    existed; /* start: the run was there */
};

struct run_filter {
    int         status;           /* -1: any */
    const char *workflow, *queue; /* NULL: any */
    int64_t     before_us;        /* started before this; 0: any. Newest first */
    int         limit;
};

struct task_filter {
    const char *name, *queue; /* NULL: any */
    int64_t     run_no;       /* 0: any */
    int64_t     after_no;     /* for the next page; order of number */
    int         limit;
};

/* What is left to do, for drain and doctor. Counts stop at 100,000. */
struct pending {
    int64_t tasks;   /* rows waiting, running or to be retried */
    int64_t running; /* runs with status running */
    int64_t due;     /* waiting runs with a timer not later than asked */
    int64_t waiting; /* other waiting runs */
    int64_t paused, blocked;
    int64_t inbox; /* unread rows of live runs */
    int64_t dead;
};

/* A worker as it has published itself. */
struct worker_row {
    int64_t     id;
    const char *name, *host;
    int64_t     pid;
    const char *queues;   /* names with commas, NULL: all */
    const char *handlers; /* "workflow:order@2 task:charge", sorted */
    int64_t     since_us;
    bool        live;              /* it is running now, as far as the store can tell */
    int         slots, slots_free; /* as it last said; slots 0: not known */
    int         partitions;        /* it owns so many */
    int64_t     lease_us;
    int64_t     expires_us; /* store time when its lease ends; NEVER_US on an exclusive store */
    const char *stats;      /* what it said with its lease, see worker/stats.h; NULL: nothing yet */
};

/* Where counts stop that people see, for each class of each partition. */
enum { QUEUE_COUNT_MAX = 10000 };

/* A queue. Counts stop somewhere; -1: not known. */
struct queue_row {
    const char *name;
    int         partitions;
    int         unowned;              /* partitions that nobody serves */
    bool        by_sql;               /* its tasks are claimed by SQL clients, not by workers */
    bool        backlog_more;         /* the counts are lower bounds */
    int64_t     tasks, delayed, runs; /* waiting to run; with a time to come; runs not ended that
                                         have work to do */
    int64_t oldest_us;                /* when the oldest waiting task was stored; 0: none */
    int64_t retain_us;                /* ended runs are kept so long; 0: for ever */
    int     crashes;                  /* of partitions that are not calm again */
};

/*
 * What `purge` deletes: runs that have ended, with all that belongs to them. One that is about to
 * begin anew stays, and one that has called a task which is still there. A child may go before its
 * parent: the parent has been told of its end.
 */
struct purge {
    const char *queue;        /* NULL: all */
    int64_t     ended_before; /* store time, us */
    int         status;       /* -1: any */
    int         limit;        /* so many in one commit at most */
    bool        count_only;   /* nothing is deleted: how many there are, up to the limit */
};

/* What a store has found about itself, for doctor. Findings that are not fine say what to do. */
enum grade { GRADE_FINE, GRADE_NOTE, GRADE_BAD };

struct finding {
    enum grade  grade;
    const char *check, *text, *advice; /* advice NULL if there is nothing to do */
};

/* Facts for doctor. Strings may be NULL where a store has no such thing. */
struct store_info {
    const char *kind, *path, *version; /* "sqlite", the file, the library's version */
    int         schema, schema_known;
    const char *journal, *synchronous;
    int64_t     file_bytes, log_bytes;
    const char *owner;  /* who holds the queues: "pid 123 on host", NULL: nobody */
    const char *damage; /* result of a quick check: NULL is sound */
    /* a store with a server of its own: what it says, instead of the fields for files above */
    struct finding *findings;
    size_t          n_findings;
};

/* ---- owners ---- */

struct worker_self {
    const char *name, *queues, *handlers; /* queues NULL: all, also those made later */
    int64_t     lease_us;
    int         slots;
};

/* Who else is there, as a worker sees it when it renews its lease. */
struct census {
    struct worker_row *workers; /* all that have joined and not left, the caller too */
    size_t             n_workers;
    uint32_t           unowned; /* partitions of the caller's queues that nobody owns */
    int64_t            now_us;  /* store time */
};

struct partition_row {
    int32_t     id;
    const char *queue;
    int         crashes;    /* owners died here and it is not calm again */
    int64_t     crashed_us; /* when the last one was found */
};

/* What one unit of a batch writes. Writes of one unit stand side by side; a unit is refused or
 * stored whole. */
enum write_kind {
    WRITE_HISTORY, /* history: fails with HF_STALE if the row is there already */
    WRITE_RUN,     /* run: all mutable fields */
    WRITE_RESTART, /* run: all mutable fields, and workflow, input, token, started_us: another life
                      under the same id */
    WRITE_PRUNE,   /* history.run_no, history.execution: drops executions before this one */
    WRITE_START, /* start: a run by a run; parent_*. A taken id: if it is ours (same token) nothing;
                    else, with a parent, an inbox row to the parent with HF_FAILED "exists";
                    without, nothing */
    WRITE_TASK_NEW, /* task: a new row, in the partition of task.run_no (or of its queue if that is
                       set). no is set by the commit */
    WRITE_TASK,     /* task: all mutable fields */
    WRITE_TASK_DELETE, /* task.no */
    WRITE_DEAD,        /* task: becomes a dead letter (and goes) */
    WRITE_INBOX, /* inbox: to run inbox.run_no, or if that is 0 to the run with id target; nothing
                    if it has ended or is not there */
    WRITE_INBOX_DELETE, /* inbox.no */
    WRITE_CALM,         /* partition: crashes = 0 */
    WRITE_HAND_OVER     /* shared stores: partition belongs to worker `to` from now on (0: to
                           nobody), if that one is there; the last write of a batch */
};

struct write {
    uint32_t    kind; /* enum write_kind */
    uint32_t    unit; /* 0, 1, ... not falling along the batch */
    const char *target;
    union {
        struct history_row history;
        struct run_row    *run;
        struct submit     *start; /* with parent_* below */
        struct task_row   *task;
        struct inbox_row   inbox;
        int32_t            partition;
    };
    int64_t to; /* hand over */
    /* start */
    int64_t     parent_no;
    const char *parent_ref;
    int         parent_execution;
};

struct batch {
    int64_t        worker; /* from acquire: the fence */
    const int32_t *partitions;
    size_t         n_partitions; /* those that the writes change rows in: the fence. Ascending */
    struct write  *writes;
    size_t         n_writes;
    uint32_t refused; /* out, with HF_REFUSED: the unit whose data the store does not take. Nothing
                         was stored */
};

/* How far a partition has been read. {.partition = p} begins at the beginning. Belongs to the
 * store, but for `partition`. A store whose numbers do not grow in commit order keeps more than
 * this, by partition, with the connection. */
struct cursor {
    int32_t partition;
    bool    begun;
    int64_t known_no;     /* runs up to this number may have history */
    int64_t run[STREAMS]; /* last number read; the delayed stream is not used for runs */
    int64_t task[STREAMS];
    int64_t inbox;
    int64_t due_task_us, due_task_no; /* due rows have been read up to here */
    int64_t due_run_us, due_run_no;
    int64_t again; /* released claims have been read up to here, where they have an order */
};

/* A fetch that has gathered so much is cut off like one that has no room, but for the memory store.
 */
enum { FETCH_BYTES_MAX = 16 * 1024 * 1024 };

/* How many rows of a kind a fetch may bring, for each cursor. */
struct room {
    size_t runs, tasks, inbox;
    bool patient; /* partitions that very likely have no news may be left out for up to a second */
};

struct rows {
    struct run_row   *runs; /* new or taken over: status running, or blocked and not by crashes */
    size_t            n_runs;
    struct run_row   *due; /* waiting runs whose wake_us has come */
    size_t            n_due;
    struct task_row  *tasks; /* new, or their time has come */
    size_t            n_tasks;
    struct inbox_row *inbox; /* in order of number */
    size_t            n_inbox;
    bool              more;   /* something was cut off for want of room: fetch again */
    int64_t           now_us; /* store time of the fetch */
    int64_t next_due_us;      /* earliest time in the store that has not come; NEVER_US if none */
    /* Changes when the caller should acquire again: it may own more. On a shared store also said
     * without cursors, if the batch is empty. */
    uint32_t partitions;
};

struct loaded {
    bool                found;
    struct run_row      run;
    struct history_row *history; /* of run.execution, in order of seq */
    size_t              n_history;
};

/* A parameter of a statement. The text of a number is as it was given: no digit is lost. */
enum sql_param_kind { SQL_NULL, SQL_TEXT, SQL_NUMBER, SQL_BOOL };

struct sql_param {
    int         kind;
    const char *text; /* SQL_BOOL: "true" or "false" */
};

/*
 * A statement of the user's, on the store's own database, and the history row that records what it
 * gave, in one transaction under the fence: exactly once.
 */
struct sql_step {
    int64_t                 worker, run_no;
    int                     execution, seq; /* of the history row */
    const char             *statement;      /* one statement; $1, $2 ... */
    const struct sql_param *params;
    size_t                  n_params;
    const char             *params_json; /* the same, as it was given */
    int64_t                 timeout_us;
    /* Makes the history row's events from the result; called inside the transaction, perhaps more
     * than once. Its error is that of the verb. */
    int (*record)(void *arg, const char *result, const char **events, size_t *len, struct err *err);
    void *arg;
    char  error_name[48]; /* out, with HF_FAILED: SQLSTATE, or SQLite's name of the code */
};

struct store;

/* A store implements every verb. */
struct store_ops {
    const char *name;

    void (*close)(struct store *s);
    /* Another connection to the same store, for another thread. */
    int (*clone)(struct store *s, struct store **out, struct err *err);
    int (*now)(struct store *s, int64_t *us, struct err *err);

    /*
     * Stores all items in order in one commit, or none. On return of HF_OK it survives any crash.
     * On an error *bad is the item's index. HF_EXISTS: start with a taken id and another token,
     * enqueue with the id of a live or dead task. HF_NOT_FOUND, HF_DONE (signal, cancel, terminate,
     * pause, resume). With the same token a start may be repeated. A queue that is not there is
     * made. The owner is hinted.
     */
    int (*submit)(struct store *s, struct submit *items, size_t n, size_t *bad, struct err *err);
    /* The run once it has ended (and, token not NULL, is the one that token started); HF_TIMEOUT at
     * the deadline (steady clock, us), with the run as it is. HF_NOT_FOUND. */
    int (*wait_result)(struct store *s, const char *id, const char *token, int64_t deadline_us,
                       struct arena *a, struct run_row *out, struct err *err);

    /* Reading, each in one short transaction. HF_NOT_FOUND for a single one that is not there. */
    int (*run_get)(struct store *s, const char *id, struct arena *a, struct run_row *out,
                   struct err *err);
    int (*run_list)(struct store *s, const struct run_filter *f, struct arena *a,
                    struct run_row **out, size_t *n, struct err *err);
    int (*history)(struct store *s, int64_t run_no, int execution, struct arena *a,
                   struct history_row **out, size_t *n, struct err *err);
    int (*inbox_list)(struct store *s, int64_t run_no, struct arena *a, struct inbox_row **out,
                      size_t *n, struct err *err);
    int (*children)(struct store *s, int64_t run_no, struct arena *a, struct run_row **out,
                    size_t *n, struct err *err);
    int (*task_get)(struct store *s, const char *id, struct arena *a, struct task_row *out,
                    struct err *err);
    int (*task_list)(struct store *s, const struct task_filter *f, struct arena *a,
                     struct task_row **out, size_t *n, struct err *err);
    int (*dead_get)(struct store *s, const char *id, struct arena *a, struct dead_row *out,
                    struct err *err);
    int (*dead_list)(struct store *s, const struct task_filter *f, struct arena *a,
                     struct dead_row **out, size_t *n, struct err *err);
    int (*workers)(struct store *s, struct arena *a, struct worker_row **out, size_t *n,
                   struct err *err);
    /* queues: names with commas, NULL: all. */
    int (*pending)(struct store *s, const char *queues, int64_t due_until_us, struct pending *out,
                   struct err *err);
    int (*info)(struct store *s, struct arena *a, struct store_info *out, struct err *err);
    /* For each class of each partition counts stop at count_max, and so many rows are read for it;
     * 0: nothing is counted. */
    int (*queues)(struct store *s, int count_max, struct arena *a, struct queue_row **out,
                  size_t *n, struct err *err);
    /* How long ended runs of a queue are kept, us; 0: for ever. HF_NOT_FOUND. */
    int (*retain)(struct store *s, const char *queue, int64_t retain_us, struct err *err);
    /* One short commit; repeat while *n is the limit. */
    int (*purge)(struct store *s, const struct purge *what, size_t *n, struct err *err);

    /*
     * Makes the caller the owner of all partitions of its queues that are free, and says which it
     * owns then. The first call joins: *worker is 0 and receives the number that is the fence; the
     * handlers are published. HF_OWNED: another process holds them; err names it. If the last owner
     * did not leave, its crash is counted: partition.crashes, and crashes of the runs and tasks it
     * had claimed, which are released.
     */
    int (*acquire)(struct store *s, const struct worker_self *self, int64_t *worker,
                   struct arena *a, struct partition_row **out, size_t *n, struct err *err);
    /* Keeps the lease, and says who else is there (out may be NULL; an exclusive store has
     * nothing to say). stats, not NULL, becomes what others read of the worker, at the latest with
     * the next renewal: it costs no statement of its own, and no commit while there are others.
     * HF_STALE: it is lost, drop everything. */
    int (*renew)(struct store *s, int64_t worker, int slots_free, const char *stats,
                 struct arena *a, struct census *out, struct err *err);
    /* Shared stores: makes `worker` the owner of all that `dead` had, if that one's lease is over;
     * its crash is counted, and what it had claimed is released. What is owned by then may be read
     * after this has returned, not before. HF_NOT_FOUND: it lives, or is gone already. */
    int (*takeover)(struct store *s, int64_t worker, int64_t dead, struct err *err);
    /* Gives everything back in good order: no crash is counted. Task rows that it still holds stay
     * claimed, with no holder (0), and are brought to their owners: what was begun has no result.
     */
    int (*leave)(struct store *s, int64_t worker, struct err *err);

    /*
     * Commits the batch (nothing if it is empty) under its fence, all or nothing; then, in a
     * transaction of its own, fetches what is new for the cursors and moves them on. After HF_OK
     * the batch survives any crash. HF_STALE: not the owner any more. HF_REFUSED: batch->refused.
     * HF_UNKNOWN: drop what is in memory, acquire and load again. HF_UNAVAILABLE: nothing was
     * stored; the same batch may be tried again. If the commit did well but the fetch did not,
     * HF_OK with no rows and more = true.
     */
    int (*cycle)(struct store *s, struct batch *batch, struct cursor *cursors, size_t n_cursors,
                 const struct room *room, struct arena *a, struct rows *out, struct err *err);
    /* Runs with the history of their present execution, for new owners and after an eviction. out:
     * n of them, as numbered in nos. */
    int (*load)(struct store *s, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
                struct err *err);
    /* Rows of live tasks as numbered in nos, into out; no is 0 where there is none. */
    int (*load_tasks)(struct store *s, const int64_t *nos, size_t n, struct arena *a,
                      struct task_row *out, struct err *err);

    /*
     * Runs the step on a connection that is no lane's (a clone). *result is a JSON array of the
     * rows, as objects; [] if the statement gives none. What can be mended by trying again is tried
     * again inside. HF_FAILED, HF_TIMEOUT: the statement's own, err says why, nothing was stored.
     * HF_TOO_BIG: the result. HF_STALE: not the owner any more, or the run has gone on. HF_UNKNOWN:
     * it may have happened; read the run again. HF_UNAVAILABLE. HF_INVALID: no SQL in this store.
     */
    int (*sql_step)(struct store *s, struct sql_step *step, struct arena *a, const char **result,
                    struct err *err);

    /* Blocks until there may be something to fetch, wake_fd (or -1) is readable, or the deadline
     * (steady clock, us). What it learns of, the next fetch reads, also a patient one. */
    int (*wait)(struct store *s, int wake_fd, int64_t deadline_us, struct err *err);
    /* After a commit that ended runs: wakes those who wait for results. */
    void (*tell_waiters)(struct store *s);
};

struct store {
    const struct store_ops *ops;
    bool                    shared; /* several workers own partitions at once */
    struct clock            clock;  /* {0}: the system's */
    struct log              log;
};

/* Whether a queue is in a list of names with commas; NULL: all are. */
bool queue_in_list(const char *list, const char *queue);

/*
 * Opens by URL: "sqlite:PATH", "sqlite:///abs/path", a bare path, "memory:" (a new one; tests),
 * "postgres://...". Makes the file and brings its schema up to date; on PostgreSQL `holdfast
 * migrate` does that, and HF_NOT_FOUND says that it has not been done. clock may be NULL.
 * HF_INVALID, HF_UNAVAILABLE, HF_CORRUPT, HF_NEWER.
 */
int store_open(const char *url, const struct clock *clock, struct store **out, struct err *err);

int
sqlite_store_open(const char *path, const struct clock *clock, struct store **out, struct err *err);
int memory_store_open(const struct clock *clock, struct store **out, struct err *err);
/* Tests: fn answers statements in place of a database, inside the transaction that stores the
 * history row. HF_OK and the rows, or HF_FAILED with the name of the error as *result. */
typedef int (*memory_sql_fn)(void *arg, const struct sql_step *step, const char **result);
int memory_store_answer_sql(struct store *s, memory_sql_fn fn, void *arg, struct err *err);

enum migrate_mode {
    MIGRATE_RUN, /* brings the schema up to date, once, whoever else does the same; out: a line for
                    each step made */
    MIGRATE_CHECK, /* out: a line for each step that is missing; HF_NOT_FOUND if there is any */
    MIGRATE_SQL    /* out: the script that RUN would run on an empty database. Does not connect */
};

/*
 * PostgreSQL's schema is brought up to date when somebody says so; an SQLite file whenever it is
 * opened, so there RUN and CHECK open it and say which version it has, and SQL is HF_INVALID.
 * HF_NEWER, HF_CORRUPT (a migration that was applied has changed since), HF_INVALID (rights),
 * HF_UNAVAILABLE.
 */
struct buf;
int store_migrate(const char *url, enum migrate_mode mode, struct buf *out, struct err *err);
int postgres_migrate(const char *url, enum migrate_mode mode, struct buf *out, struct err *err);
/* Takes a PostgreSQL store's schema away, with all that is in it: for those that were made to be
 * thrown away. There being none is fine. HF_INVALID: another kind of store. */
int store_drop(const char *url, struct err *err);
int postgres_drop(const char *url, struct err *err);
int postgres_store_open(const char *url, const struct clock *clock, struct store **out,
                        struct err *err);
/* A shared one: the model of a store with several workers. */
int memory_store_open_shared(const struct clock *clock, int partitions_a_queue, struct store **out,
                             struct err *err);

/*
 * Fault injection, for tests: wraps inner (and owns it). Before each verb that touches the store
 * `hook` is asked: FAULT_NONE, FAULT_BEFORE (HF_UNAVAILABLE, inner is not called), FAULT_AFTER
 * (inner is called, then HF_UNKNOWN), FAULT_LOST (HF_UNKNOWN, inner is not called), FAULT_REFUSE
 * (cycle: HF_REFUSED for a unit it names).
 */
enum fault { FAULT_NONE, FAULT_BEFORE, FAULT_AFTER, FAULT_LOST, FAULT_REFUSE };
typedef enum fault (*fault_hook)(void *arg, const char *verb, struct batch *batch);
int fault_store_open(struct store *inner, fault_hook hook, void *arg, struct store **out,
                     struct err *err);

/* Writes a line for each verb with its arguments, outcome and microseconds to the log (event
 * "store"). Owns inner. */
int
trace_store_open(struct store *inner, const struct log *log, struct store **out, struct err *err);

#endif
