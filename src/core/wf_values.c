/* What a workflow asks without waiting: who it is, time, ids, memory, its log and its ends. */
#include "core/wf.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "core/json.h"

const char *
hf_input(const hf_wf *wf)
{
    return wf->run->input;
}

const char *
hf_run_id(const hf_wf *wf)
{
    return wf->run->row.id;
}

int
hf_execution(const hf_wf *wf)
{
    return wf->run->row.execution;
}

int64_t
hf_now(const hf_wf *wf)
{
    return wf->now_ms;
}

/* 64 bits derived from (run, execution, branch, how many were drawn there), the same in every turn.
 */
static uint64_t
draw(hf_wf *wf)
{
    const struct run *r = wf->run;
    uint64_t          seed = id_hash(0, &r->row.no, sizeof(r->row.no));
    uint32_t          n = ++wf->branch->draws;

    seed = id_hash(seed, r->row.id, strlen(r->row.id));
    seed = id_hash(seed, &r->row.execution, sizeof(r->row.execution));
    seed = id_hash(seed, wf->branch->path, strlen(wf->branch->path));
    return id_hash(seed, &n, sizeof(n));
}

uint64_t
hf_random(hf_wf *wf)
{
    return draw(wf);
}

const char *
hf_uuid(hf_wf *wf)
{
    char     text[UUID_SIZE];
    uint64_t hi = draw(wf), lo = draw(wf);
    id_uuid8(hi, lo, text);
    const char *copy = arena_strdup(wf->env->arena, text);
    if (copy == NULL)
        wf_nomem(wf);
    return copy;
}

int
hf_patch(hf_wf *wf, const char *label)
{
    struct run *r = wf->run;

    if (wf_stopped(wf, "hf_patch") || wf_check_name(wf, "hf_patch", "label", label))
        return 0;
    for (const struct patch *p = r->patches; p; p = p->next)
        if (strcmp(p->label, label) == 0)
            return 1;
    for (const struct patch *p = wf->refused_patches; p; p = p->next)
        if (strcmp(p->label, label) == 0)
            return 0;
    if (wf_is_replaying(wf)) {
        struct patch *p = arena_zalloc(wf->env->arena, sizeof(*p));
        if (p == NULL || (p->label = arena_strdup(wf->env->arena, label)) == NULL) {
            wf_nomem(wf);
            return 0;
        }
        p->next = wf->refused_patches;
        wf->refused_patches = p;
        return 0;
    }
    struct event e = {.kind = EVENT_PATCH, .name = label, .time_ms = wf_turn_ms(wf)};
    struct err   err = {0};
    if (run_record(r, &e, NULL, &err)) {
        wf_nomem(wf);
        return 0;
    }
    return 1;
}

void
hf_log(hf_wf *wf, const char *fmt, ...)
{
    char    text[800];
    va_list ap;

    if (wf->rc || wf_is_replaying(wf))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_event(wf->env->log, LOG_INFO, "workflow", "run=%s workflow=%s message=%s", wf->run->row.id,
              wf->run->row.workflow, text);
}

void *
hf_alloc(hf_wf *wf, size_t size)
{
    void *p = arena_zalloc(wf->env->arena, size);
    if (p == NULL)
        wf_nomem(wf);
    return p;
}

char *
hf_sprintf(hf_wf *wf, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = arena_vprintf(wf->env->arena, fmt, ap);
    va_end(ap);
    if (text == NULL)
        wf_nomem(wf);
    return text;
}

const char *
hf_quote(hf_wf *wf, const char *text)
{
    struct buf  json = {0};
    const char *copy = NULL;

    buf_json(&json, text);
    if (!json.failed)
        copy = arena_strndup(wf->env->arena, json.data, json.len);
    buf_release(&json);
    if (copy == NULL)
        wf_nomem(wf);
    return copy;
}

const char *
hf_get(hf_wf *wf, const char *json, const char *member)
{
    bool        failed = false;
    const char *text = json_member(json, member, wf->env->arena, &failed);
    if (failed)
        wf_nomem(wf);
    return text;
}

int
hf_status(hf_wf *wf, const char *text)
{
    struct run *r = wf->run;

    TRY(wf_stopped(wf, "hf_status"));
    TRY(wf_check_payload(wf, "hf_status", "status", text));
    if (wf_is_replaying(wf) || (text && r->custom && strcmp(text, r->custom) == 0))
        return HF_OK;
    r->custom = arena_strdup(&r->arena, text);
    if (text && r->custom == NULL)
        return wf_nomem(wf);
    r->custom_changed = true;
    return HF_OK;
}

int
hf_return(hf_wf *wf, const char *output)
{
    TRY(wf_stopped(wf, "hf_return"));
    TRY(wf_check_payload(wf, "hf_return", "output", output));
    wf->output = arena_strdup(&wf->run->arena, output);
    return output && wf->output == NULL ? wf_nomem(wf) : HF_OK;
}

int
hf_fail(hf_wf *wf, const char *name, const char *fmt, ...)
{
    va_list ap;

    TRY(wf_stopped(wf, "hf_fail"));
    TRY(wf_check_name(wf, "hf_fail", "error name", name));
    va_start(ap, fmt);
    wf->error_message = arena_vprintf(&wf->run->arena, fmt, ap);
    va_end(ap);
    wf->error_name = arena_strdup(&wf->run->arena, name);
    if (wf->error_name == NULL || wf->error_message == NULL)
        return wf_nomem(wf);
    if (!id_is_utf8(wf->error_message, strlen(wf->error_message)))
        return wf_stop(wf, HF_INVALID, TURN_BLOCKED, "hf_fail: message is not UTF-8");
    return HF_FAILED;
}

int
hf_continue(hf_wf *wf, const char *input)
{
    TRY(hf_return(wf, input));
    wf->continued = true;
    return HF_OK;
}

int
hf_should_continue(const hf_wf *wf)
{
    const struct run *r = wf->run;
    return r->history_events >= HF_EVENTS_MAX / 5 ||
           r->history_bytes + r->out.len >= HF_HISTORY_MAX / 8;
}

const char *
hf_error_name(const hf_wf *wf)
{
    return wf->error_name;
}

const char *
hf_error_message(const hf_wf *wf)
{
    return wf->error_message;
}
