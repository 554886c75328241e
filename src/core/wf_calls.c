/* Calls of a workflow that are recorded: tasks, timers, signals, children, detached runs. */
#include "core/wf.h"

#include <string.h>

#include "base/id.h"
#include "core/opt.h"

/* Reads and checks the caller's options, and keeps those that a call needs later. NULL stays NULL.
 */
static int
keep_opt(hf_wf *wf, const char *function, const hf_opt *opt, const hf_opt **out)
{
    struct err err = {0};
    hf_opt     known;
    bool       failed = false;

    *out = NULL;
    if (opt == NULL)
        return HF_OK;
    if (opt_read(opt, &known, &err))
        return wf_stop(wf, HF_INVALID, TURN_BLOCKED, "%s: %s", function, err.text);
    *out = policy_copy(&known, &wf->run->arena, &failed);
    return failed ? wf_nomem(wf) : HF_OK;
}

/* A task that no worker holds yet is to be started when the turn is durable. */
static void
list_to_start(struct run *r, struct call *c)
{
    if (c->closed || c->settled || c->sent || c->job || c->listed)
        return;
    c->listed = true;
    c->start_next = r->to_start;
    r->to_start = c;
}

/* A call that was cancelled before it was made: settled, and in no history. */
static struct call *
make_cancelled(hf_wf *wf, int kind)
{
    struct call *c = arena_zalloc(wf->env->arena, sizeof(*c));
    if (c == NULL) {
        wf_nomem(wf);
        return NULL;
    }
    c->kind = kind;
    c->code = HF_CANCELLED;
    c->error_name = "cancelled";
    c->message = wf->run->cancel_reason;
    c->settled = wf->run->cancel_order;
    c->closed = true;
    return c;
}

int
hf_task_start_opt(hf_wf *wf, const char *name, const char *input, hf_call *call, const hf_opt *opt)
{
    struct call *c;

    call->call = NULL;
    int rc = wf_enter(wf, "hf_task", CALL_TASK, name, &c);
    if (rc == HF_CANCELLED)
        return (call->call = make_cancelled(wf, CALL_TASK)) ? HF_OK : wf->rc;
    TRY(rc);
    if (c == NULL) {
        TRY(wf_check_name(wf, "hf_task", "task", name));
        TRY(wf_check_payload(wf, "hf_task", "input", input));
        if ((c = wf_new_call(wf, CALL_TASK, name)) == NULL)
            return wf->rc;
        c->input = arena_strdup(&wf->run->arena, input);
        if (input && c->input == NULL)
            return wf_nomem(wf);
        TRY(wf_record_call(wf, c, EVENT_CALL));
    }
    if (c->opt == NULL && !c->closed)
        TRY(keep_opt(wf, "hf_task", opt, &c->opt));
    list_to_start(wf->run, c);
    call->call = c;
    return HF_OK;
}

int
hf_task_opt(hf_wf *wf, const char *name, const char *input, const char **out, const hf_opt *opt)
{
    hf_call call;
    if (out)
        *out = NULL;
    TRY(hf_task_start_opt(wf, name, input, &call, opt));
    return hf_result(wf, call, out);
}

int
hf_timer_start(hf_wf *wf, int64_t ms, hf_call *call)
{
    struct call *c;

    call->call = NULL;
    int rc = wf_enter(wf, "hf_sleep", CALL_TIMER, NULL, &c);
    if (rc == HF_CANCELLED)
        return (call->call = make_cancelled(wf, CALL_TIMER)) ? HF_OK : wf->rc;
    TRY(rc);
    if (c == NULL) {
        if (ms < 0 || ms > 100LL * 366 * HF_DAY)
            return wf_stop(wf, HF_INVALID, TURN_BLOCKED, "hf_sleep: %lld ms, 0 to 100 years",
                           (long long)ms);
        if ((c = wf_new_call(wf, CALL_TIMER, NULL)) == NULL)
            return wf->rc;
        c->due_ms = (clock_now_us(wf->env->clock) + US_PER_MS - 1) / US_PER_MS +
                    ms; /* rounded up: never early */
        TRY(wf_record_call(wf, c, EVENT_TIMER));
    }
    call->call = c;
    return HF_OK;
}

int
hf_sleep(hf_wf *wf, int64_t ms)
{
    hf_call call;
    TRY(hf_timer_start(wf, ms, &call));
    return hf_result(wf, call, NULL);
}

int
hf_signal_start_opt(hf_wf *wf, const char *name, hf_call *call, const hf_opt *opt)
{
    const hf_opt *known;
    struct call  *c;

    call->call = NULL;
    int rc = wf_enter(wf, "hf_signal", CALL_SIGNAL, name, &c);
    if (rc == HF_CANCELLED)
        return (call->call = make_cancelled(wf, CALL_SIGNAL)) ? HF_OK : wf->rc;
    TRY(rc);
    if (c == NULL) {
        TRY(wf_check_name(wf, "hf_signal", "signal", name));
        TRY(keep_opt(wf, "hf_signal", opt, &known));
        if ((c = wf_new_call(wf, CALL_SIGNAL, name)) == NULL)
            return wf->rc;
        if (known && known->timeout_ms)
            c->due_ms =
                (clock_now_us(wf->env->clock) + US_PER_MS - 1) / US_PER_MS + known->timeout_ms;
        TRY(wf_record_call(wf, c, EVENT_WAIT));
    }
    call->call = c;
    return HF_OK;
}

int
hf_signal_opt(hf_wf *wf, const char *name, const char **out, const hf_opt *opt)
{
    hf_call call;
    if (out)
        *out = NULL;
    TRY(hf_signal_start_opt(wf, name, &call, opt));
    return hf_result(wf, call, out);
}

/* The id of a child that was given none: the run's, the execution's and the ref's, so that it is
 * the same in every turn. A run id that is too long for that is hashed. */
static const char *
child_id(hf_wf *wf, const struct call *c, const hf_opt *opt)
{
    struct run *r = wf->run;
    if (opt && opt->id)
        return arena_strdup(&r->arena, opt->id);
    const char *id = arena_printf(&r->arena, r->row.execution > 1 ? "%s/%s.%u@%d" : "%s/%s.%u",
                                  r->row.id, c->branch->path, c->n, r->row.execution);
    if (id && strlen(id) > HF_NAME_MAX) {
        char uuid[UUID_SIZE];
        id_uuid8(id_hash(1, id, strlen(id)), id_hash(2, id, strlen(id)), uuid);
        id = arena_strdup(&r->arena, uuid);
    }
    return id;
}

static int
start_child(hf_wf *wf, const char *function, const char *workflow, const char *input, bool detached,
            const hf_opt *opt, struct call **out)
{
    const hf_opt *known;
    struct call  *c;
    int           rc = wf_enter(wf, function, CALL_CHILD, workflow, &c);

    *out = NULL;
    if (rc == HF_CANCELLED && !detached)
        return (*out = make_cancelled(wf, CALL_CHILD)) ? HF_OK : wf->rc;
    TRY(rc);
    if (c == NULL) {
        TRY(wf_check_name(wf, function, "workflow", workflow));
        TRY(wf_check_payload(wf, function, "input", input));
        TRY(keep_opt(wf, function, opt, &known));
        if ((c = wf_new_call(wf, CALL_CHILD, workflow)) == NULL)
            return wf->rc;
        const char *text = arena_strdup(&wf->run->arena, input);
        c->detached = detached;
        c->run_id = child_id(wf, c, known);
        c->opt = known;
        if (c->run_id == NULL || (input && text == NULL) || wf->rc)
            return wf_nomem(wf);
        TRY(wf_record_call(wf, c,
                           EVENT_CHILD)); /* without the input: it stands in the child's row */
        c->input = text;
        c->listed = true;
        c->start_next = wf->run->to_start;
        wf->run->to_start = c;
    }
    *out = c;
    return HF_OK;
}

int
hf_child_start_opt(hf_wf *wf, const char *workflow, const char *input, hf_call *call,
                   const hf_opt *opt)
{
    struct call *c = NULL;
    call->call = NULL;
    TRY(start_child(wf, "hf_child", workflow, input, false, opt, &c));
    call->call = c;
    return HF_OK;
}

int
hf_child_opt(hf_wf *wf, const char *workflow, const char *input, const char **out,
             const hf_opt *opt)
{
    hf_call call;
    if (out)
        *out = NULL;
    TRY(hf_child_start_opt(wf, workflow, input, &call, opt));
    return hf_result(wf, call, out);
}

int
hf_detach(hf_wf *wf, const char *workflow, const char *input, const char **id, const hf_opt *opt)
{
    struct call *c = NULL;
    if (id)
        *id = NULL;
    TRY(start_child(wf, "hf_detach", workflow, input, true, opt, &c));
    if (id)
        *id = c->run_id;
    return HF_OK;
}
