/* Waiting for calls, one or many; branches; compensation and shields. */
#include "core/wf.h"

int
hf_result(hf_wf *wf, hf_call call, const char **out)
{
    if (out)
        *out = NULL;
    TRY(wf_stopped(wf, "hf_result"));
    if (call.call == NULL)
        return wf_stop(wf, HF_INVALID, TURN_BLOCKED, "hf_result: a call that was never started");
    return wf_outcome(wf, call.call, out);
}

static int
check_calls(hf_wf *wf, const char *function, const hf_call *calls, size_t n)
{
    TRY(wf_stopped(wf, function));
    for (size_t i = 0; i < n; i++)
        if (calls[i].call == NULL)
            return wf_stop(wf, HF_INVALID, TURN_BLOCKED, "%s: call %zu was never started", function,
                           i);
    return HF_OK;
}

int
hf_all(hf_wf *wf, const hf_call *calls, size_t n)
{
    struct call *bad = NULL;

    TRY(check_calls(wf, "hf_all", calls, n));
    for (size_t i = n;
         i-- > 0;) /* the last one: results mostly come in order, so one turn does it */
        if (!wf_is_settled(calls[i].call))
            return wf_suspend(wf, calls[i].call);
    for (size_t i = 0; i < n; i++) {
        struct call *c = calls[i].call;
        int          rc = wf_outcome(wf, c, NULL);
        if (rc && (bad == NULL || c->settled < bad->settled))
            bad = c;
    }
    return bad ? wf_outcome(wf, bad, NULL) : HF_OK;
}

int
hf_any(hf_wf *wf, const hf_call *calls, size_t n, size_t *index)
{
    struct call *first = NULL;

    TRY(check_calls(wf, "hf_any", calls, n));
    if (n == 0)
        return wf_stop(wf, HF_INVALID, TURN_BLOCKED, "hf_any: of no calls");
    for (size_t i = 0; i < n; i++) {
        struct call *c = calls[i].call;
        if (wf_is_settled(c) && (first == NULL || c->settled < first->settled)) {
            first = c;
            if (index)
                *index = i;
        }
    }
    if (first == NULL)
        return wf_suspend(wf, NULL);
    int  rc = wf_outcome(wf, first, NULL);
    bool by_cancel = rc == HF_CANCELLED && wf->run->cancel_order &&
                     first->settled >= wf->run->cancel_order && !first->shielded;
    return by_cancel ? HF_CANCELLED : HF_OK;
}

/* What a branch has of its own; the rest of the turn is shared. */
struct thread_state {
    struct branch *branch;
    uint32_t       seen;
    int64_t        now_ms;
    const char    *output, *error_name, *error_message;
    int            shield;
};

static struct thread_state
save_thread(const hf_wf *wf)
{
    return (struct thread_state){wf->branch,     wf->seen,          wf->now_ms, wf->output,
                                 wf->error_name, wf->error_message, wf->shield};
}

static void
restore_thread(hf_wf *wf, const struct thread_state *s)
{
    wf->branch = s->branch;
    wf->seen = s->seen;
    wf->now_ms = s->now_ms;
    wf->output = s->output;
    wf->error_name = s->error_name;
    wf->error_message = s->error_message;
    wf->shield = s->shield;
}

int
hf_branch_start(hf_wf *wf, hf_branch_fn fn, void *arg, hf_call *call)
{
    call->call = NULL;
    TRY(wf_stopped(wf, "hf_branch_start"));
    uint32_t     n = ++wf->branch->asked;
    const char  *path = arena_printf(wf->env->arena, "%s.%u", wf->branch->path, n);
    struct call *c = arena_zalloc(
        wf->env->arena, sizeof(*c)); /* of this turn only: a branch is what its calls are */
    if (path == NULL || c == NULL)
        return wf_nomem(wf);
    if (n <= wf->branch->n && wf->branch->calls[n - 1])
        return wf_stop(wf, HF_MISMATCH, TURN_BLOCKED,
                       "at %s the history has a call, the code starts a branch", path);

    struct thread_state saved = save_thread(wf);
    struct branch      *b = run_branch(wf->run, path);
    if (b == NULL)
        return wf_nomem(wf);
    wf->branch = b;
    wf->output = NULL;
    int rc = fn(wf, arg);
    c->kind = CALL_BRANCH;
    if (wf->rc == 0 || wf->rc == HF_SUSPENDED) {
        if (wf->rc == 0 && rc >= 0) {
            c->code = rc;
            c->settled = wf->seen ? wf->seen : 1;
            c->time_ms = wf->now_ms;
            c->output = wf->output;
            c->error_name = wf->error_name;
            c->message = wf->error_message;
        }
        wf->many_waits = wf->many_waits || wf->rc != 0;
        wf->rc = 0; /* only the branch waits */
        wf->end = TURN_NONE;
        wf->poisoned = 0;
    }
    if (wf->seen > wf->branches_seen)
        wf->branches_seen = wf->seen;
    restore_thread(wf, &saved);
    call->call = c;
    return wf->rc;
}

int
hf_on_fail_opt(hf_wf *wf, const char *task, const char *input, const hf_opt *opt)
{
    TRY(wf_stopped(wf, "hf_on_fail"));
    TRY(wf_check_name(wf, "hf_on_fail", "task", task));
    TRY(wf_check_payload(wf, "hf_on_fail", "input", input));
    struct compensation *c = arena_zalloc(wf->env->arena, sizeof(*c));
    bool                 failed = c == NULL;
    if (c) {
        c->task = arena_strdup(wf->env->arena, task);
        c->input = arena_strdup(wf->env->arena, input);
        c->opt = policy_copy(opt, wf->env->arena, &failed);
    }
    if (failed || c->task == NULL || (input && c->input == NULL))
        return wf_nomem(wf);
    c->next = wf->compensations;
    wf->compensations = c;
    return HF_OK;
}

void
hf_shield(hf_wf *wf)
{
    wf->shield++;
}

void
hf_unshield(hf_wf *wf)
{
    if (wf->shield > 0)
        wf->shield--;
}

int
hf_is_cancelled(const hf_wf *wf)
{
    return wf->run->cancel_order != 0 && wf->seen >= wf->run->cancel_order;
}
