/*
 * `holdfast explain`: how the database executes the statements of Holdfast on tables in the states
 * that hurt. explain.c is the command, explain_scenarios.c the states, explain_drive.c does
 * everything that clients, workers and people do, explain_plan.c judges a plan, explain_print.c
 * says what was found, explain_files.c writes it down.
 */
#ifndef BENCH_EXPLAIN_H
#define BENCH_EXPLAIN_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/explain.h"

struct cli;

/* ---- explain_scenarios.c */

struct scenario {
    const char *name, *what; /* what there is, behind a number */
    int         queues;
    int         share[FILLS]; /* rows, in thousandths of what --rows says */
    int         steps;        /* rows of history of each run */
    enum fill   main;         /* what the number is of */
};

extern const struct scenario explain_scenarios[]; /* ends with a row without a name */

/* How many of a kind there are. */
int64_t scenario_count(const struct scenario *s, enum fill what, int64_t rows);
/* Fills an empty store; `stop` is asked now and then: HF_CANCELLED. */
int scenario_fill(const struct scenario *s, struct store *store, int64_t rows,
                  enum statistics statistics, bool (*stop)(void), struct err *err);

/* ---- explain_drive.c */

/* All verbs, each with some hundred items, as clients, workers and people use them. *hot says
 * meanwhile whether work waits for what is done, or only somebody who looks. */
int explain_drive(struct store *s, bool *hot, struct err *err);

/* ---- explain_plan.c */

/* What is wrong with a plan. The first three are bad, of a hot statement; the others worth a look.
 */
enum flag { FLAG_SCAN, FLAG_INDEX, FLAG_WASTE, FLAG_ESTIMATE, FLAG_PLANNING, FLAGS };

struct plan {
    char        name[80];
    const char *may_use; /* indexes */
    bool        inside;  /* a statement of a function */
    bool        hot;
    int         times;
    double      plan_ms, exec_ms;     /* planned once; executed once, after that. NAN: unknown */
    int64_t     buffers, steps, rows; /* of the execution that touched most; -1: unknown */
    char        indexes[160];         /* that it used, with commas */
    unsigned    flags;                /* a bit for each enum flag */
    char        detail[FLAGS][100];   /* of each flag: which table, how many rows */
    char       *text;                 /* the plan itself */
};

struct plans {
    struct plan *rows; /* in the order in which they were first seen */
    size_t       n, size;
    bool         hot;    /* what comes now is */
    bool         failed; /* memory is out, or a plan is not understood */
};

/* For store_explain; arg is a struct plans. */
void plans_add(void *arg, const struct explained *e);
void plans_release(struct plans *p);
bool plan_is_bad(const struct plan *p, enum flag f); /* it has the flag, and that is bad */
bool plans_are_bad(const struct plans *p);

/* ---- explain_print.c */

struct explained_scenario {
    const struct scenario *scenario;
    int64_t                rows;
    struct plans           plans;
};

void print_scenario(const struct explained_scenario *e, const char *dir, struct arena *a);
/* The summary of all as JSON. */
void put_summary(struct buf *b, const char *store, const struct explained_scenario *all, size_t n);

/* ---- explain_files.c */

/* Makes the directory if it is not there, and sees that files can be made in it. HF_INVALID. */
int files_prepare(const char *dir, struct err *err);
/* DIR/SCENARIO/STATEMENT.json, or .txt of SQLite. HF_UNAVAILABLE. */
int files_write_plans(const char *dir, const struct explained_scenario *e, struct err *err);
int files_write(const char *dir, const char *name, const struct buf *text, struct err *err);

#endif
