/*
 * A turn: one pass through the workflow function. It reads and extends the run; what it asked for
 * is in run->out and run->to_start, how it ended in run->end. Nothing of it counts before run->out
 * is stored.
 */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "core/registry.h"
#include "core/run.h"

typedef int (*turn_sql_fn)(void *arg, struct sql_step *step, struct arena *a, const char **result,
                           struct err *err);

struct turn_env {
    const struct clock *clock;
    const struct log   *log;
    struct arena       *arena;    /* for what lives as long as the turn; reset by the caller */
    bool                may_step; /* on a task slot: a step's body may run here */
    int64_t             worker;   /* whose turn it is: the fence of statements */
    turn_sql_fn         sql;      /* as store_ops.sql_step */
    void               *sql_arg;
};

void run_turn(struct run *r, hf_workflow_fn fn, const struct turn_env *env);

/* Appends the event of the run's end. */
void run_append_end(struct run *r, int kind, int64_t now_ms);

#endif
