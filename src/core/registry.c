/*
 * The registry: two arrays kept sorted (workflows by name and version, handlers by name), searched
 * by halving. Additions copy what they are given; a pointer found stays valid once a worker runs,
 * as nothing is added from then on.
 */
#include "core/registry.h"

#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "core/opt.h"

void
registry_release(struct registry *r)
{
    mem_free(r->workflows);
    mem_free(r->handlers);
    arena_release(&r->arena);
    *r = (struct registry){0};
}

/* Index of the first workflow that is not before (name, version). */
static size_t
workflow_place(const struct registry *r, const char *name, int version)
{
    size_t low = 0, high = r->n_workflows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int    order = strcmp(r->workflows[middle].name, name);
        if (order < 0 || (order == 0 && r->workflows[middle].version < version))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t
handler_place(const struct registry *r, const char *name)
{
    size_t low = 0, high = r->n_handlers;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(r->handlers[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int
check_sealed(const struct registry *r, const char *what, const char *name, struct err *err)
{
    if (r->sealed)
        return err_set(err, HF_INVALID, "%s %s: the worker has begun, offer it before", what, name);
    return HF_OK;
}

int
registry_add_workflow(struct registry *r, const char *name, int version, hf_workflow_fn fn,
                      struct err *err)
{
    TRY(id_check_name("workflow name", name, err));
    TRY(check_sealed(r, "workflow", name, err));
    if (version < 1)
        return err_set(err, HF_INVALID, "workflow %s: version %d is below 1", name, version);
    if (fn == NULL)
        return err_set(err, HF_INVALID, "workflow %s: no function", name);
    if (registry_find_workflow(r, name, version))
        return err_set(err, HF_INVALID, "workflow %s version %d: offered twice", name, version);

    size_t at = workflow_place(r, name, version);
    char  *copy = arena_strdup(&r->arena, name);
    void  *grown = mem_realloc(r->workflows, (r->n_workflows + 1) * sizeof(r->workflows[0]));
    if (grown)
        r->workflows = grown;
    if (copy == NULL || grown == NULL)
        return err_nomem(err);
    memmove(r->workflows + at + 1, r->workflows + at,
            (r->n_workflows - at) * sizeof(r->workflows[0]));
    r->workflows[at] = (struct workflow){.name = copy, .version = version, .fn = fn};
    r->n_workflows++;
    return HF_OK;
}

/* Copies a text of the defaults; false when memory is out. */
static bool
keep(struct arena *a, const char **text)
{
    if (*text == NULL)
        return true;
    *text = arena_strdup(a, *text);
    return *text != NULL;
}

int
registry_add_handler(struct registry *r, const char *name, hf_task_fn fn, void *arg,
                     const hf_opt *defaults, struct err *err)
{
    hf_opt o;

    TRY(id_check_name("task name", name, err));
    TRY(check_sealed(r, "task", name, err));
    if (fn == NULL)
        return err_set(err, HF_INVALID, "task %s: no function", name);
    if (registry_find_handler(r, name))
        return err_set(err, HF_INVALID, "task %s: offered twice", name);
    if (opt_read(defaults, &o, err))
        return err_prefix(err, "task %s: ", name);

    size_t at = handler_place(r, name);
    char  *copy = arena_strdup(&r->arena, name);
    void  *grown = mem_realloc(r->handlers, (r->n_handlers + 1) * sizeof(r->handlers[0]));
    if (grown)
        r->handlers = grown;
    if (copy == NULL || grown == NULL || !keep(&r->arena, &o.id) || !keep(&r->arena, &o.queue) ||
        !keep(&r->arena, &o.no_retry) || !keep(&r->arena, &o.key))
        return err_nomem(err);
    memmove(r->handlers + at + 1, r->handlers + at, (r->n_handlers - at) * sizeof(r->handlers[0]));
    r->handlers[at] = (struct handler){.name = copy, .fn = fn, .arg = arg, .defaults = o};
    r->n_handlers++;
    return HF_OK;
}

const struct workflow *
registry_find_workflow(const struct registry *r, const char *name, int version)
{
    size_t at = workflow_place(r, name, version ? version : INT32_MAX);

    if (version == 0) /* the last of this name */
        at = at < r->n_workflows && strcmp(r->workflows[at].name, name) == 0 ? at : at - 1;
    if (at >= r->n_workflows || strcmp(r->workflows[at].name, name) != 0)
        return NULL;
    return version == 0 || r->workflows[at].version == version ? &r->workflows[at] : NULL;
}

struct handler *
registry_find_handler(const struct registry *r, const char *name)
{
    size_t at = handler_place(r, name);
    return at < r->n_handlers && strcmp(r->handlers[at].name, name) == 0 ? &r->handlers[at] : NULL;
}

/* A name inside the published list, where a space parts the entries. */
static void
put_name(struct buf *out, const char *name)
{
    for (; *name; name++)
        if (*name == ' ')
            buf_puts(out, "%20");
        else if (*name == '%')
            buf_puts(out, "%25");
        else
            buf_putc(out, *name);
}

void
registry_put_workflow(struct buf *out, const char *name, int version)
{
    buf_puts(out, "workflow:");
    put_name(out, name);
    buf_putc(out, '@');
    buf_int(out, version);
}

void
registry_put_task(struct buf *out, const char *name)
{
    buf_puts(out, "task:");
    put_name(out, name);
}

int
registry_describe(const struct registry *r, struct buf *out, struct err *err)
{
    const char *gap = "";

    for (size_t i = 0; i < r->n_handlers; i++, gap = " ") {
        buf_puts(out, gap);
        registry_put_task(out, r->handlers[i].name);
    }
    for (size_t i = 0; i < r->n_workflows; i++, gap = " ") {
        buf_puts(out, gap);
        registry_put_workflow(out, r->workflows[i].name, r->workflows[i].version);
    }
    return out->failed ? err_nomem(err) : HF_OK;
}
