/*
 * A run in its owner's memory: what its execution has asked for, what has come of it, and the
 * events not stored yet. It is a fold of the history: run_apply takes one event after the other, in
 * a live run as in one read again, so both are the same. No I/O, no clock, no lock: a run belongs
 * to one thread at a time (its lane, or the slot that does its turn).
 *
 *   branch "0"    calls 0.1 0.2 0.3 ...  what the function asked for, by ref: path and number
 *   branch "0.3"  calls 0.3.1 ...        a branch started as number 3 of the main one
 *   branch "c"    calls c.1 ...          compensation
 *   open          calls that have not ended, in the order in which they were made
 *   signals       those that nobody has taken
 */
#ifndef CORE_RUN_H
#define CORE_RUN_H

#include "core/event.h"
#include "core/policy.h"
#include "store/store.h"

enum call_kind { CALL_TASK, CALL_TIMER, CALL_SIGNAL, CALL_CHILD, CALL_STEP, CALL_BRANCH };

/*
 * One thing that a run asked for. Settled: the function sees an outcome. Closed: it has really
 * ended; a call that was cancelled is settled at once and closed when its task or child has gone.
 */
struct call {
    int            kind;
    bool           shielded, detached, sent, closed, listed;
    uint32_t       n; /* in its branch, from 1 */
    struct branch *branch;
    const char    *name, *input, *run_id;
    int64_t        due_ms;  /* timer, signal with a timeout; 0: none */
    const hf_opt  *opt;     /* a task's or child's, from the last turn that came by */
    uint32_t       settled; /* order of the event that settled it, 0: open */
    int            code, attempts;
    const char    *output, *error_name, *message;
    int64_t        time_ms; /* of that event */
    struct call   *open_prev, *open_next;
    struct call   *start_next; /* in run->to_start */
    void          *job;        /* the worker's, while it is in memory */
};

struct branch {
    const char    *path;
    struct call  **calls; /* [n - 1]; NULL where a number was no recorded call */
    uint32_t       n, size;
    uint32_t       asked; /* by this turn */
    uint32_t       draws; /* ids and random numbers given in this turn */
    struct branch *next;
};

struct signal {
    const char    *name, *payload, *key;
    uint32_t       order;
    int64_t        time_ms;
    struct signal *next;
};

struct key { /* of a signal that came, whether taken or not */
    const char *text;
    struct key *next;
};

enum { RUN_KEYS_MAX = 1000 }; /* so many of them go along with hf_continue, the latest */

struct patch {
    const char   *label;
    struct patch *next;
};

/* How a turn ended. */
enum turn_end {
    TURN_NONE,
    TURN_SUSPENDED, /* it waits */
    TURN_STEP,      /* a step is to run: commit what there is, then again on a task slot */
    TURN_CLOSING, /* the function has ended badly; open calls are cancelled and awaited, then it is
                     run again to compensate */
    TURN_COMPLETED,
    TURN_FAILED,
    TURN_CANCELLED,
    TURN_CONTINUED,
    TURN_BLOCKED, /* mismatch, bad argument, limit: run.end_message says which */
    TURN_NOMEM,   /* nothing was recorded; try again later */
    TURN_AGAIN    /* what is in memory may not be what is stored: read it again (run.end_message) */
};

struct run {
    struct run_row row; /* texts in the arena */
    struct arena   arena;
    struct branch *branches, *main_branch, *last_found;
    struct call   *open, *open_tail;
    struct call   *to_start; /* tasks to begin once the turn is durable, newest first */
    struct signal *signals, *signals_tail;
    struct patch  *patches;
    struct key    *keys;
    uint32_t       order;        /* events so far */
    uint32_t       last_command; /* order of the last event that a turn made */
    uint32_t       horizon;      /* events up to here were known to a turn before */
    uint32_t       cancel_order; /* 0: not cancelled */
    int64_t        started_ms;
    const char    *input; /* of this execution */
    const char    *cancel_reason;
    size_t         history_bytes, history_events;
    int            seq; /* last history row stored or being stored */

    struct buf out;       /* events not stored yet: rows ended by "]\n", the last one open */
    size_t     row_begin; /* of the last one */
    int64_t    out_last_ms;

    size_t mark; /* length of `out` before the last turn: what came from outside */

    /* what the last turn said; texts in the arena */
    int                end;
    const char        *end_output, *end_name, *end_message;
    const char        *custom; /* status text to be stored */
    bool               custom_changed;
    uint32_t           end_seen;
    const struct call *waits_for; /* no turn can go on before this has settled; NULL: not known */
    _Atomic int        spinning;  /* the function calls on and on although it was told to stop */
};

/* Takes the row's texts over into the run's own arena. HF_NOMEM leaves an empty run. */
int  run_init(struct run *r, const struct run_row *row, struct err *err);
void run_release(struct run *r);

/* Folds one event in. Texts are borrowed: they must live in the run's arena. HF_CORRUPT if no
 * history can hold it here. */
int run_apply(struct run *r, const struct event *e, struct err *err);

/* Folds an event in and appends it to `out`. Texts are copied. An event that comes too late (its
 * call is closed, a signal key that was there) changes nothing and is not appended: *taken says so
 * (may be NULL). */
int run_record(struct run *r, const struct event *e, bool *taken, struct err *err);

/* Appends an event that the fold knows already (made by a turn). */
void run_append(struct run *r, const struct event *e);

/* Reads the execution's history in. */
int run_load(struct run *r, const struct history_row *rows, size_t n, struct err *err);

/* Where a ref leads; NULL if there is no such call. */
struct call *run_find(struct run *r, const char *ref);
/* "0.3.1"; in the arena. NULL: out of memory. */
const char *call_ref(const struct call *c, struct arena *a);

struct branch *
run_branch(struct run *r, const char *path); /* made if it is not there; NULL: out of memory */

/* A new call in a branch, number b->asked; not recorded. NULL: out of memory. */
struct call *run_new_call(struct run *r, struct branch *b, uint32_t n, int kind);
/* Folds a call in that was just made: it may be settled at once by a signal that is there, or by
 * the cancel. */
void run_add_call(struct run *r, struct call *c);

/* Takes back what the last turn put into `out`: for a turn that must not count. The run is fit only
 * for storing the rest and release. */
void run_take_back(struct run *r);

/* Earliest due time of open timers and signal waits, in ms; 0: none. */
int64_t run_next_due_ms(const struct run *r);
/* Whether an open call needs its owner's memory: a task that is no row. */
bool run_needs_owner(const struct run *r);
/* Whether tasks or children have not ended: they are awaited before compensation. */
bool   run_has_open_work(const struct run *r);
size_t run_unread(const struct run *r);

#endif
