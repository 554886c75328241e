/* An attempt at a task: the calls that a handler may make, and what becomes of its return. */
#include "core/job.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "core/json.h"

struct hf_tk {
    struct job   *job;
    struct arena *arena;
    bool          failed; /* out of memory */
};

const char *
hf_tk_input(const hf_tk *tk)
{
    return tk->job->input;
}

const char *
hf_tk_name(const hf_tk *tk)
{
    return tk->job->name;
}

const char *
hf_tk_id(const hf_tk *tk)
{
    return tk->job->id;
}

const char *
hf_tk_key(const hf_tk *tk)
{
    return tk->job->id;
}

int
hf_tk_attempt(const hf_tk *tk)
{
    return tk->job->attempt;
}

int
hf_tk_cancelled(const hf_tk *tk)
{
    const struct job *job = tk->job;
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed) ||
           (job->lease_until_us &&
            atomic_load_explicit(job->lease_until_us, memory_order_relaxed) < clock_steady_us());
}

const char *
hf_tk_get(hf_tk *tk, const char *member)
{
    return json_member(tk->job->input, member, tk->arena, &tk->failed);
}

void *
hf_tk_alloc(hf_tk *tk, size_t size)
{
    void *p = arena_zalloc(tk->arena, size);
    tk->failed = tk->failed || p == NULL;
    return p;
}

char *
hf_tk_sprintf(hf_tk *tk, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = arena_vprintf(tk->arena, fmt, ap);
    va_end(ap);
    tk->failed = tk->failed || text == NULL;
    return text;
}

static int
set_error(hf_tk *tk, bool final, const char *name, const char *fmt, va_list ap)
{
    struct job *job = tk->job;
    char        text[4000];

    vsnprintf(text, sizeof(text), fmt, ap);
    mem_free(job->error_name);
    mem_free(job->error_message);
    job->error_name =
        mem_strdup(id_check_name("error name", name, NULL) == HF_OK ? name : "failed");
    job->error_message =
        mem_strdup(id_is_utf8(text, strlen(text)) ? text : "(message is not UTF-8)");
    job->code = HF_FAILED;
    job->final = final;
    return HF_FAILED;
}

int
hf_tk_fail(hf_tk *tk, const char *name, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = set_error(tk, false, name, fmt, ap);
    va_end(ap);
    return rc;
}

int
hf_tk_fail_final(hf_tk *tk, const char *name, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = set_error(tk, true, name, fmt, ap);
    va_end(ap);
    return rc;
}

int
hf_tk_return(hf_tk *tk, const char *output)
{
    struct err err = {0};

    if (id_check_payload("output", output, &err)) /* the same would come of another try */
        return hf_tk_fail_final(tk, err.code == HF_TOO_BIG ? "too_big" : "invalid", "%s", err.text);
    mem_free(tk->job->output);
    tk->job->output = mem_strdup(output);
    tk->failed = tk->failed || (output && tk->job->output == NULL);
    return HF_OK;
}

void
hf_tk_retry_after(hf_tk *tk, int64_t ms)
{
    tk->job->retry_after_ms = ms < 0 ? -1 : ms < POLICY_TIME_MAX_MS ? ms : POLICY_TIME_MAX_MS;
}

void
job_clear_result(struct job *job)
{
    mem_free(job->output);
    mem_free(job->error_name);
    mem_free(job->error_message);
    job->output = job->error_name = job->error_message = NULL;
    job->code = HF_OK;
    job->final = false;
    job->retry_after_ms = -1;
    job->started_us = job->ended_us = 0;
    atomic_store_explicit(&job->begun_us, 0, memory_order_relaxed);
}

void
job_free(struct job *job)
{
    if (job == NULL)
        return;
    mem_free(job->output);
    mem_free(job->error_name);
    mem_free(job->error_message);
    arena_release(&job->arena);
    mem_free(job);
}

static int
call_handler(hf_tk *tk, struct handler *h)
{
    if (!h->fake)
        return h->fn(tk, h->arg);
    return h->fake_error ? hf_tk_fail(tk, h->fake_error, "as the test says")
                         : hf_tk_return(tk, h->fake_output);
}

void
job_execute(struct job *job, struct arena *arena)
{
    hf_tk tk = {.job = job, .arena = arena};

    int rc = call_handler(&tk, job->handler);
    if (tk.failed) {
        rc = hf_tk_fail(&tk, "no_memory", "out of memory");
    } else if (rc < 0) {
        rc = hf_tk_fail_final(&tk, "invalid", "the handler returned %d", rc);
    } else if (rc > 0 && job->error_name == NULL) {
        rc = hf_tk_fail(&tk, "failed", "the handler returned %d", rc);
    }
    job->code = rc == 0 ? HF_OK : HF_FAILED;
    arena_reset(arena);
}
