/*
 * `holdfast demo`: the orders, the workers that are killed, and the ledger. demo.c runs the show,
 * demo_worker.c starts and kills workers, demo_ledger.c reads what the tasks wrote, demo_check.c
 * compares that with the orders and the store.
 */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include <jansson.h>
#include <sys/types.h>

#include "cli/cli.h"

enum { DEMO_BOXES = 3, DEMO_WORKERS_MAX = 20 };

struct order {
    const char *id, *card, *approval; /* approval: "none", "yes", "no" */
    const char *input;                /* its line */
};

/* A line of the ledger. */
struct entry {
    const char *task, *order, *key, *result; /* result as compact JSON */
    int         box, attempt;
    int64_t     pid;
    bool        ok;
};

struct ledger {
    struct entry *entries; /* by order, task, box, in the order written */
    size_t        n;
    struct arena  arena;
};

struct demo {
    struct cli   *c;
    const char   *dir, *module, *orders_path, *ledger_path, *log_path, *url;
    struct order *orders;
    size_t        n_orders, n_answers; /* answers given by the clerk so far: orders looked at */
    int           kills, killed;
    pid_t         worker[DEMO_WORKERS_MAX]; /* 0: none */
    int           n_workers;
    bool          bar;      /* on a terminal */
    bool          own_file; /* the store is a file of the demonstration's */
};

/* ---- demo_files.c */
int  demo_find_module(struct demo *d);
int  demo_make_dir(struct demo *d);
int  demo_read_orders(struct demo *d, size_t limit);
void demo_remove_dir(const struct demo *d);

/* ---- demo_worker.c */
int  demo_start_worker(struct demo *d, int i);
void demo_kill_worker(struct demo *d, int i);
int  demo_start_workers(struct demo *d);
void demo_kill_workers(struct demo *d);
/* Asks them to stop and waits. */
int demo_stop_workers(struct demo *d);
/* HF_FAILED if one has ended by itself. */
int demo_watch_workers(struct demo *d);

/* ---- demo_ledger.c */
int  ledger_read(const char *path, struct ledger *out, struct err *err);
void ledger_release(struct ledger *l);
/* The entries of one order: their number, the first in *from. */
size_t ledger_of(const struct ledger *l, const char *order, const struct entry **from);

/* A JSON value without spaces, for comparing; in the arena. NULL: out of memory, or no value. */
const char *compact_json(struct arena *a, const json_t *value);

/* ---- demo_check.c */
struct tally {
    size_t      completed, declined, rejected, refunded, released, repeated, problems;
    const char *sample; /* an order with a story to it */
};
/* HF_FAILED: something is wrong; each problem was printed. */
int demo_check(struct demo *d, const struct ledger *l, struct tally *out);

#endif
