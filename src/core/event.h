/*
 * The events of an execution, as they stand in a history row: a JSON array of objects with short
 * keys. Encoding is on the hot path and writes text directly; decoding happens after a restart or
 * an eviction and uses jansson.
 *
 *   k kind    r ref       n name        i input  o output   c code   e error name  m message
 *   t time    w due time  a attempts    d run id x flags    v version  y key
 *
 * Times are Unix milliseconds. An event without `t` has the time of the one before it in its row.
 * Members that have their zero value are left out. To add a kind or a member: add it here; old rows
 * keep their meaning, since what is not there reads as zero.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* X(kind, text, what it says) */
#define EVENT_KINDS(X)                                                                             \
    X(EVENT_STARTED, "started", "the execution began (v; i after hf_continue)")                    \
    X(EVENT_CALL, "call", "a task was called; it is in its owner's memory (r n i x)")              \
    X(EVENT_SENT, "sent", "the call has become a task row (r)")                                    \
    X(EVENT_DONE, "done", "a call did well (r o a)")                                               \
    X(EVENT_ERROR, "error", "a call did not (r c e m a)")                                          \
    X(EVENT_TIMER, "timer", "a timer was set (r w x)")                                             \
    X(EVENT_FIRED, "fired", "its time has come, or that of a signal wait (r)")                     \
    X(EVENT_WAIT, "wait", "waits for a signal (r n w x)")                                          \
    X(EVENT_SIGNAL, "signal", "a signal came (n o y)")                                             \
    X(EVENT_KEY, "key", "a signal with this key came in an execution before (y)")                  \
    X(EVENT_STEP, "step", "a step ran (r n o c e m x)")                                            \
    X(EVENT_CHILD, "child", "a run was started by this one (r n d x)")                             \
    X(EVENT_CANCEL, "cancel", "somebody asked the run to stop (m)")                                \
    X(EVENT_PATCH, "patch", "the new side of a patch is taken (n)")                                \
    X(EVENT_COMPLETED, "completed", "the end")                                                     \
    X(EVENT_FAILED, "failed", "the end")                                                           \
    X(EVENT_CANCELLED, "cancelled", "the end")                                                     \
    X(EVENT_TERMINATED, "terminated", "the end")                                                   \
    X(EVENT_CONTINUED, "continued", "the end of this execution; the next one begins")

enum event_kind {
#define X(kind, text, what) kind,
    EVENT_KINDS(X)
#undef X
        EVENT_KINDS_COUNT
};

/* EVENT_SQL: a step that was stored alone, with its statement; what the turn did then was not. */
enum { EVENT_SHIELDED = 1, EVENT_DETACHED = 2, EVENT_SQL = 4 };

struct event {
    int         kind;
    const char *ref, *name, *input, *output;
    const char *error_name, *message, *run_id, *key;
    int         code, attempts, flags, version;
    int64_t     time_ms, due_ms;
};

const char *event_kind_name(int kind);

/* Appends one event to a row being built: "[" is put before the first, "," before others; the
 * caller closes with "]". last_ms: time of the event before it in the row (0 for none), moved on.
 */
void event_encode(struct buf *row, const struct event *e, int64_t *last_ms);

/* Decodes a row into the arena. HF_CORRUPT: no JSON array of events, or a kind that this version
 * does not know. */
int event_decode(const char *json, size_t len, struct arena *a, struct event **out, size_t *n,
                 struct err *err);

#endif
