/*
 * The states of a run and the moves between them: one table. The lane asserts every move by it; the
 * drawing in docs/concepts.md is made from it, and a test holds the two together. A move is what
 * one commit stores: a run that is resumed and ends in the same commit moves from paused to
 * completed.
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "store/store.h"

/* X(from, to, why) */
#define RUN_MOVES(X)                                                                               \
    X(RUN_RUNNING, RUN_WAITING, "nothing to do but wait")                                          \
    X(RUN_WAITING, RUN_RUNNING, "signal, timer, result or cancel")                                 \
    X(RUN_RUNNING, RUN_PAUSED, "pause")                                                            \
    X(RUN_WAITING, RUN_PAUSED, "pause")                                                            \
    X(RUN_PAUSED, RUN_RUNNING, "resume")                                                           \
    X(RUN_PAUSED, RUN_WAITING, "resume")                                                           \
    X(RUN_RUNNING, RUN_BLOCKED, "mismatch, limit, loop, crashes, refused value")                   \
    X(RUN_WAITING, RUN_BLOCKED, "mismatch, limit, loop, crashes, refused value")                   \
    X(RUN_PAUSED, RUN_BLOCKED, "history that cannot be read")                                      \
    X(RUN_BLOCKED, RUN_RUNNING, "resume, new owner")                                               \
    X(RUN_BLOCKED, RUN_WAITING, "resume, new owner")                                               \
    X(RUN_RUNNING, RUN_COMPLETED, "returned 0")                                                    \
    X(RUN_WAITING, RUN_COMPLETED, "returned 0")                                                    \
    X(RUN_BLOCKED, RUN_COMPLETED, "resume, then returned 0")                                       \
    X(RUN_PAUSED, RUN_COMPLETED, "resume, then returned 0")                                        \
    X(RUN_RUNNING, RUN_FAILED, "returned an error")                                                \
    X(RUN_WAITING, RUN_FAILED, "returned an error")                                                \
    X(RUN_BLOCKED, RUN_FAILED, "resume, then returned an error")                                   \
    X(RUN_PAUSED, RUN_FAILED, "resume, then returned an error")                                    \
    X(RUN_RUNNING, RUN_CANCELLED, "cancel")                                                        \
    X(RUN_WAITING, RUN_CANCELLED, "cancel")                                                        \
    X(RUN_BLOCKED, RUN_CANCELLED, "resume, then cancelled")                                        \
    X(RUN_PAUSED, RUN_CANCELLED, "resume, then cancelled")                                         \
    X(RUN_RUNNING, RUN_TERMINATED, "terminate")                                                    \
    X(RUN_WAITING, RUN_TERMINATED, "terminate")                                                    \
    X(RUN_PAUSED, RUN_TERMINATED, "terminate")                                                     \
    X(RUN_BLOCKED, RUN_TERMINATED, "terminate")                                                    \
    X(RUN_COMPLETED, RUN_RUNNING, "replace: another life")                                         \
    X(RUN_FAILED, RUN_RUNNING, "replace: another life")                                            \
    X(RUN_CANCELLED, RUN_RUNNING, "replace: another life")                                         \
    X(RUN_TERMINATED, RUN_RUNNING, "replace: another life")

struct run_move {
    int         from, to;
    const char *why;
};

/* The table, for drawing. */
const struct run_move *run_moves(size_t *n);

/* Whether one commit may take a run from one state to the other; staying is always allowed. */
bool run_may_move(int from, int to);

#endif
