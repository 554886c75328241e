/*
 * A run as people want to see it: its row, its events, the calls that they add up to, and what
 * stands beside it in the store. Read in a few short transactions, so parts may be a moment apart.
 */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include "cli/cli.h"
#include "core/event.h"

/* One thing that the run asked for. */
struct item {
    int                    kind; /* EVENT_CALL, _TIMER, _WAIT, _CHILD, _STEP */
    const char            *ref, *name, *run_id;
    int64_t                due_ms, begin_ms, end_ms;
    bool                   open, sent, shielded, detached;
    int                    code, attempts;
    const char            *output, *error_name, *message;
    const struct task_row *task; /* its row, NULL if it is in its owner's memory */
};

struct view {
    struct run_row    run;
    int64_t           now_ms;
    struct event     *events;
    const char      **names; /* of the events, or of the calls that they settle */
    size_t            n_events;
    struct item      *items;
    size_t            n_items;
    struct event     *signals; /* came, and nobody has asked for them */
    size_t            n_signals;
    struct inbox_row *inbox; /* not read by the worker yet */
    size_t            n_inbox;
    struct run_row   *children;
    size_t            n_children;
    struct task_row  *tasks;
    size_t            n_tasks;
    int64_t           begin_ms; /* of this execution */
    int               newest;   /* the run's present execution */
    int               oldest;   /* the first that still has a history */
    bool        replaced; /* this execution began another life, after `start --if-exists replace` */
    const char *end;      /* of an earlier execution: its last event; NULL: the present one */
};

/*
 * execution 0: the present one. Of an earlier one only the history is left: what the row says is of
 * the present one and left out. HF_NOT_FOUND and the store's codes. Everything lives in c->arena.
 */
int view_load(struct cli *c, const char *id, int execution, struct view *out);

const char *item_kind_name(int kind); /* "task", "timer", "signal", "child", "step" */

/* What one of "timer", "signal", ... the run or task waits for, in words. */
struct reason {
    const char *kind; /* stable word: see why.c */
    const char *text;
};

/* Why an open item has not ended. HF_NOMEM. */
struct worker_row;
struct fleet {
    struct worker_row *workers;
    size_t             n;
};
int fleet_load(struct cli *c, struct fleet *out);
/* NULL if a live worker serves the queue and offers the work, else what is missing. workflow or
 * task; version 0: any. */
const char *fleet_gap(struct cli *c, const struct fleet *f, const char *queue, const char *workflow,
                      int version, const char *task);
int item_reason(struct cli *c, const struct view *v, const struct fleet *f, const struct item *item,
                struct reason *out);
int task_reason(struct cli *c, const struct fleet *f, const struct task_row *t, int64_t now_ms,
                struct reason *out);

/* ---- timeline.c: `show` for people */
int print_timeline(struct cli *c, const struct view *v);

#endif
