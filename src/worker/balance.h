/*
 * Which partitions a worker should hand to whom, on a shared store: a pure function of what it
 * knows. Ownership moves only for a reason: the worker leaves, it cannot do the work, it has no
 * free slot for it, or it has more partitions than another that has room. A worker that counts as
 * free says how many slots it has (slots_free > 0); one that is about to leave says -1.
 */
#ifndef WORKER_BALANCE_H
#define WORKER_BALANCE_H

#include "store/store.h"

struct balance_part {
    int32_t     partition;
    const char *queue;
    size_t      waiting; /* tasks read and not begun, for want of slots */
    size_t      running;
    bool        moving; /* on its way already */
};

struct balance_stuck {
    int32_t     partition;
    const char *what; /* "task:charge" */
};

struct balance {
    int64_t                     me;
    const struct census        *census;
    const struct balance_part  *parts;
    size_t                      n_parts;
    const struct balance_stuck *stuck;
    size_t                      n_stuck;
    bool                        full;    /* no slot was free for a while, and work waits */
    bool                        leaving; /* everything is to go */
};

struct move {
    int32_t partition;
    int64_t to;
};

/* At most n_parts moves into out; returns how many. */
size_t balance(const struct balance *b, struct move *out);

/* Whether a published list of handlers has an entry; version 0 of a workflow is any. */
bool handlers_have(const char *handlers, const char *what);

#endif
