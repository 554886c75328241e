/*
 * What a program offers: workflows by name and version, tasks by name. Filled before the worker
 * runs, read-only and shared by all threads after that.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct workflow {
    const char    *name;
    int            version;
    hf_workflow_fn fn;
};

struct handler {
    const char *name;
    hf_task_fn  fn;
    void       *arg;
    hf_opt      defaults;                 /* size 0: none */
    const char *fake_output, *fake_error; /* hf_test_fake */
    bool        fake;
    _Atomic int mean_us; /* how long it takes, a moving mean; 0: not known */
    int         count;   /* starts, under hf_test_* only */
};

struct registry {
    struct workflow *workflows;
    size_t           n_workflows;
    struct handler  *handlers;
    size_t           n_handlers;
    struct arena     arena;
    bool             sealed; /* a worker has begun: no more additions */
};

void registry_release(struct registry *r);

/* HF_INVALID: bad name, version below 1, no function, the same twice, sealed. */
int registry_add_workflow(struct registry *r, const char *name, int version, hf_workflow_fn fn,
                          struct err *err);
int registry_add_handler(struct registry *r, const char *name, hf_task_fn fn, void *arg,
                         const hf_opt *defaults, struct err *err);

/* NULL if not offered. Version 0 is the newest. */
const struct workflow                 *
registry_find_workflow(const struct registry *r, const char *name, int version);
struct handler *registry_find_handler(const struct registry *r, const char *name);

/* "task:charge workflow:order@2", sorted, as published by workers. A space in a name is written
 * %20, a per cent sign %25. */
int registry_describe(const struct registry *r, struct buf *out, struct err *err);

/* One entry of that list, for looking it up there. */
void registry_put_workflow(struct buf *out, const char *name, int version);
void registry_put_task(struct buf *out, const char *name);

#endif
