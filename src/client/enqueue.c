/* Standalone tasks: one, or many in one commit. */
#include "client/client.h"

#include <string.h>

#include "base/mem.h"
#include "core/opt.h"
#include "core/policy.h"

/* The time before which a task must not start, 0 for at once: the later of the two options. */
static int
due_time(hf *h, const hf_opt *o, int64_t *out, struct err *err)
{
    int64_t now_us = 0;

    *out = o->at_ms * US_PER_MS;
    if (o->delay_ms == 0)
        return HF_OK;
    TRY(h->store->ops->now(h->store, &now_us, err));
    int64_t after_us = now_us + o->delay_ms * US_PER_MS;
    if (after_us > *out)
        *out = after_us;
    return HF_OK;
}

/* The submit that all tasks of one call have in common; its opts point into text. */
static int
prepare(const char *task, const hf_opt *o, struct buf *text, struct submit *out, struct err *err)
{
    static const int streams[] = {STREAM_NORMAL, STREAM_URGENT, STREAM_NORMAL, STREAM_BULK};

    TRY(id_check_name("task", task, err));
    TRY(policy_encode(o, text, err));
    *out = (struct submit){
        .kind = SUBMIT_ENQUEUE,
        .id = o->id,
        .name = task,
        .queue = o->queue ? o->queue : "default",
        .opts = text->len ? text->data : NULL,
        .cls = streams[o->class_],
    };
    return HF_OK;
}

static int
submit_tasks(hf *h, const hf_opt *o, struct submit *items, size_t n, struct err *err)
{
    int64_t run_at_us = 0;
    size_t  bad = 0;

    pthread_mutex_lock(&h->mutex);
    int rc = h->store == NULL ? err_set(err, HF_UNAVAILABLE, "the store is not open")
                              : due_time(h, o, &run_at_us, err);
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        items[i].run_at_us = run_at_us;
    if (rc == HF_OK)
        rc = h->store->ops->submit(h->store, items, n, &bad, err);
    pthread_mutex_unlock(&h->mutex);
    return rc;
}

static void
give_id(const struct submit *item, char *id)
{
    if (item->id)
        memcpy(id, item->id, strlen(item->id) + 1);
    else
        task_id_format(item->no, id);
}

static int
enqueue_one(hf *h, const char *task, const char *input, const hf_opt *opt, struct buf *text,
            char *id, struct err *err)
{
    struct submit item;
    hf_opt        o;

    TRY(opt_read(opt, &o, err));
    TRY(prepare(task, &o, text, &item, err));
    TRY(id_check_payload("input", input, err));
    item.payload = input;
    TRY(submit_tasks(h, &o, &item, 1, err));
    if (id)
        give_id(&item, id);
    return HF_OK;
}

int
hf_enqueue(hf *h, const char *task, const char *input, const hf_opt *opt, char *id)
{
    struct err err = {0};
    struct buf text = {0};

    int rc = enqueue_one(h, task, input, opt, &text, id, &err);
    buf_release(&text);
    return rc ? handle_fail(h, &err) : HF_OK;
}

static int
enqueue_all(hf *h, const char *task, const char *const *inputs, size_t n, const hf_opt *opt,
            struct buf *text, struct submit *items, char *ids, struct err *err)
{
    struct submit common;
    hf_opt        o;

    TRY(opt_read(opt, &o, err));
    TRY(prepare(task, &o, text, &common, err));
    if (o.id)
        return err_set(err, HF_INVALID, "id: one id for %zu tasks", n);
    for (size_t i = 0; i < n; i++) {
        items[i] = common;
        items[i].payload = inputs ? inputs[i] : NULL;
        if (id_check_payload("", items[i].payload, err))
            return err_prefix(err, "input %zu", i + 1);
    }
    if (n > 0)
        TRY(submit_tasks(h, &o, items, n, err));
    for (size_t i = 0; ids && i < n; i++)
        give_id(&items[i], ids + i * HF_ID_SIZE);
    return HF_OK;
}

int
hf_enqueue_many(hf *h, const char *task, const char *const *inputs, size_t n, const hf_opt *opt,
                char *ids)
{
    struct err     err = {0};
    struct buf     text = {0};
    struct submit *items =
        n < SIZE_MAX / sizeof(*items) ? mem_alloc((n + 1) * sizeof(*items)) : NULL;

    int rc =
        items ? enqueue_all(h, task, inputs, n, opt, &text, items, ids, &err) : err_nomem(&err);
    mem_free(items);
    buf_release(&text);
    return rc ? handle_fail(h, &err) : HF_OK;
}
