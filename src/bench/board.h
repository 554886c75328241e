/*
 * What workers of a benchmark have done, in memory that they share with the load: a counter for
 * each thread, so that counting costs nothing. It survives a worker that is killed, and knows what
 * was executed, stored or not.
 */
#ifndef BENCH_BOARD_H
#define BENCH_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

enum { BOARD_LINES = 4096, BOARD_LINE = 64 };

/* Runs are counted when their function returns, before that is stored. */
enum board_kind { BOARD_TASKS, BOARD_RUNS, BOARD_KINDS };

struct board {
    int         fd; /* inherited by workers, named to them by BOARD_VARIABLE */
    _Atomic int lines;
    int64_t     base[BOARD_KINDS]; /* what was done before the clearing */
    struct {
        _Alignas(BOARD_LINE) _Atomic int64_t done[BOARD_KINDS];
    } line[BOARD_LINES];
};

#define BOARD_VARIABLE "HOLDFAST_BENCH_BOARD"

int board_make(struct board **out, struct err *err);
/* In a worker: what it was started with; NULL if by somebody else. */
struct board *board_find(void);
void          board_free(struct board *b);

/* The calling thread has done one more; b NULL: nobody counts. */
void    board_count(struct board *b, enum board_kind kind);
int64_t board_done(const struct board *b, enum board_kind kind);
void    board_clear(struct board *b); /* what was done is forgotten */
void    board_reset(struct board *b); /* and the threads too, when all have ended */

#endif
