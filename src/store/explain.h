/*
 * How a store's database executes the statements that the verbs send: their plans, with the
 * parameters that they are sent with, on a connection that is set up as every other. For `holdfast
 * explain`, which also wants tables in the states that hurt.
 */
#ifndef STORE_EXPLAIN_H
#define STORE_EXPLAIN_H

#include "store/store.h"

/* One execution of a statement. PostgreSQL tells each, with its plan as JSON; SQLite tells each
 * statement once, at the end, with a line for each step of its plan. */
struct explained {
    const char *statement; /* its name; inside of a function "FUNCTION:LINE" */
    const char *index;     /* those that it may use, as in its file; "": any */
    const char *plan;
    bool        inside; /* of a function */
    bool        again;  /* planned before, so it costs no planning */
    /* SQLite */
    int     times;
    double  ms;      /* of one execution, the mean */
    int64_t steps;   /* of SQLite's machine, in one execution, the mean */
    int64_t scanned; /* rows of all executions that were read by scans of whole tables */
};

typedef void (*explain_fn)(void *arg, const struct explained *e);

/* From now on fn hears of all that this connection executes. On PostgreSQL each statement is
 * executed twice more, before it really is, behind a savepoint that takes it back; *inside says
 * whether the statements of functions are told, which only a superuser hears of. */
int store_explain(struct store *s, explain_fn fn, void *arg, bool *inside, struct err *err);
/* No more. An error is about what is told at the end. */
int store_explain_end(struct store *s, struct err *err);

/* What there can be many of. The numbers of runs are those of their ids. */
enum fill {
    FILL_QUEUES,
    FILL_TASKS,
    FILL_DELAYED,
    FILL_CLAIMED, /* by a worker that died */
    FILL_DEAD,
    FILL_RUNNING,
    FILL_SLEEPING,
    FILL_ENDED,
    FILL_HISTORY, /* `each` rows of runs that are there */
    FILL_INBOX,   /* of runs that are there */
    FILLS
};

/* Stores those from first to last, in one commit: a second for 100,000. */
int
store_fill(struct store *s, enum fill what, int64_t first, int64_t last, int each, struct err *err);

/* What the planner knows of the tables: nothing; that they were empty; what is in them. */
enum statistics { STATISTICS_NEVER, STATISTICS_EMPTY, STATISTICS_ANALYSED };

/* Before and after the store is filled. */
int store_statistics(struct store *s, enum statistics which, bool filled, struct err *err);

/* postgres_explain.c */
int  postgres_explain(struct store *s, explain_fn fn, void *arg, bool *inside, struct err *err);
void postgres_explain_end(struct store *s);
int  postgres_fill(struct store *s, enum fill what, int64_t first, int64_t last, int each,
                   struct err *err);
int  postgres_statistics(struct store *s, enum statistics which, bool filled, struct err *err);

/* sqlite_explain.c */
int sqlite_explain(struct store *s, explain_fn fn, void *arg, struct err *err);
int sqlite_explain_end(struct store *s, struct err *err);
int sqlite_fill(struct store *s, enum fill what, int64_t first, int64_t last, int each,
                struct err *err);
int sqlite_statistics(struct store *s, enum statistics which, bool filled, struct err *err);

#endif
