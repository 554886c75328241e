/*
 * Jobs from calls and from task rows, and the lists that a lane keeps them in. A job owns copies of
 * its texts: its run may leave memory while a slot works on it.
 */
#include "worker/lane.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* ---- lists ---- */

void
job_list_put(struct job_list *list, struct job *job)
{
    job->prev = list->tail;
    job->next = NULL;
    *(list->tail ? &list->tail->next : &list->head) = job;
    list->tail = job;
    list->count++;
}

void
job_list_remove(struct job_list *list, struct job *job)
{
    *(job->prev ? &job->prev->next : &list->head) = job->next;
    *(job->next ? &job->next->prev : &list->tail) = job->prev;
    job->prev = job->next = NULL;
    list->count--;
}

void
job_list_put_first(struct job_list *list, struct job *job)
{
    job->prev = NULL;
    job->next = list->head;
    *(list->head ? &list->head->prev : &list->tail) = job;
    list->head = job;
    list->count++;
}

struct job *
job_list_take(struct job_list *list)
{
    struct job *job = list->head;
    if (job)
        job_list_remove(list, job);
    return job;
}

/* ---- making ---- */

static const char *
put_text(char **at, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t n = strlen(text) + 1;
    char  *copy = memcpy(*at, text, n);
    *at += n;
    return copy;
}

static size_t
text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* A job with copies of the row's texts, in one piece of memory. */
struct job *
job_copy(const struct task_row *row, const char *id)
{
    size_t size = text_size(id) + text_size(row->id) + text_size(row->name) +
                  text_size(row->payload) + text_size(row->queue) + text_size(row->opts) +
                  text_size(row->ref) + text_size(row->error_name) + text_size(row->error_message);
    struct job *job = mem_zalloc(sizeof(*job) + size);
    if (job == NULL)
        return NULL;
    job->bytes = sizeof(*job) + size;
    char *at = (char *)(job + 1);
    job->row = *row;
    job->row.id = put_text(&at, row->id);
    job->row.name = put_text(&at, row->name);
    job->row.payload = put_text(&at, row->payload);
    job->row.queue = put_text(&at, row->queue);
    job->row.opts = put_text(&at, row->opts);
    job->row.ref = put_text(&at, row->ref);
    job->row.error_name = put_text(&at, row->error_name);
    job->row.error_message = put_text(&at, row->error_message);
    job->id = id ? put_text(&at, id) : job->row.id;
    job->name = job->row.name;
    job->input = job->row.payload;
    job->attempt = row->attempt + 1;
    job->created_us = row->created_us;
    job->run_no = row->run_no;
    job->execution = row->execution;
    job->retry_after_ms = -1;
    return job;
}

static const hf_opt *
handler_defaults(const struct handler *h)
{
    return h && h->defaults.size ? &h->defaults : NULL;
}

/* Options of a call as they stand in a row. */
static int
encode_opts(struct job *job, const hf_opt *opt, struct err *err)
{
    struct buf text = {0};
    int        rc = policy_encode(opt, &text, err);
    if (rc == HF_OK && text.len > 0 &&
        (job->row.opts = arena_strdup(&job->arena, text.data)) == NULL)
        rc = err_nomem(err);
    buf_release(&text);
    return rc;
}

/* Where its row would go; NULL: with its run, as it does in the run's own queue. */
static const char *
queue_of(const struct run *r, const struct call *c)
{
    const char *queue = c->opt ? c->opt->queue : NULL;
    return queue && r->row.queue && strcmp(queue, r->row.queue) == 0 ? NULL : queue;
}

int
job_from_call(struct lane *l, struct live *live, struct call *c, struct job **out, struct err *err)
{
    const struct run *r = &live->run;
    char              ref[HF_ID_SIZE], id[2 * HF_ID_SIZE + 16];

    snprintf(ref, sizeof(ref), "%s.%u", c->branch->path, c->n);
    snprintf(id, sizeof(id), "%s/%d/%s", r->row.id, r->row.execution, ref);
    struct task_row row = {
        .name = c->name,
        .payload = c->input,
        .queue = queue_of(r, c),
        .run_no = r->row.no,
        .execution = r->row.execution,
        .ref = ref,
        .created_us = lane_now_us(l),
    };
    struct job *job = job_copy(&row, id);
    if (job == NULL)
        return err_nomem(err);
    job->handler = registry_find_handler(l->registry, c->name);
    job->policy = policy_resolve(c->opt, handler_defaults(job->handler));
    job->call = c;
    int rc = encode_opts(job, c->opt, err);
    if (rc) {
        job_free(job);
        return rc;
    }
    c->job = job;
    live->jobs++;
    l->n_jobs++;
    l->job_bytes += job->bytes;
    *out = job;
    return HF_OK;
}

int
job_from_row(struct lane *l, const struct task_row *row, const char *run_id, struct job **out,
             struct err *err)
{
    char   id[2 * HF_ID_SIZE + 16];
    hf_opt opt;

    if (run_id)
        snprintf(id, sizeof(id), "%s/%d/%s", run_id, row->execution, row->ref);
    else
        task_id_format(row->no, id);
    struct job *job = job_copy(row, row->id ? NULL : id);
    if (job == NULL)
        return err_nomem(err);
    job->handler = registry_find_handler(l->registry, row->name);
    int rc = policy_decode(job->row.opts, &job->arena, &opt, err);
    if (rc == HF_CORRUPT) { /* written by another version: the defaults do */
        log_event(l->log, LOG_WARNING, "bad_options", "task=%s", job->id);
        opt = (hf_opt){0};
        rc = HF_OK;
    }
    if (rc == HF_OK && row->no && !map_put(&l->rows, row->no, job))
        rc = err_nomem(err);
    if (rc) {
        job_free(job);
        return rc;
    }
    job->policy = policy_resolve(&opt, handler_defaults(job->handler));
    l->n_jobs++;
    l->job_bytes += job->bytes;
    *out = job;
    return HF_OK;
}
