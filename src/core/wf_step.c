/*
 * Steps: a function run in place, once. Its body runs only on a task slot, and only when everything
 * that the turn acts on is stored; if not, the turn ends, is stored, and is run again there.
 */
#include "core/wf.h"

#include <string.h>

struct hf_st {
    hf_wf      *wf;
    const char *output, *error_name, *message;
    bool        failed;
};

int
hf_step_return(hf_st *st, const char *output)
{
    struct arena *a = &st->wf->run->arena;
    st->output = arena_strdup(a, output);
    st->failed = st->failed || (output && st->output == NULL);
    return HF_OK;
}

int
hf_step_fail(hf_st *st, const char *name, const char *fmt, ...)
{
    struct arena *a = &st->wf->run->arena;
    va_list       ap;
    va_start(ap, fmt);
    st->error_name = arena_strdup(a, name ? name : "failed");
    st->message = arena_vprintf(a, fmt, ap);
    va_end(ap);
    st->failed = st->failed || st->error_name == NULL || st->message == NULL;
    return HF_FAILED;
}

int
wf_need_slot(hf_wf *wf)
{
    if (wf->env->may_step && wf->run->out.len == 0)
        return HF_OK;
    wf->wants_step = true;
    return wf_stop(wf, HF_SUSPENDED, TURN_STEP, NULL);
}

int
wf_record_step(hf_wf *wf, struct event *e, struct call **out)
{
    struct run  *r = wf->run;
    struct err   err = {0};
    struct call *c = wf_new_call(wf, CALL_STEP, e->name);
    const char  *ref = c ? call_ref(c, wf->env->arena) : NULL;

    if (ref == NULL)
        return wf_nomem(wf);
    wf->turn_ms = 0; /* the step took its time */
    e->kind = EVENT_STEP;
    e->ref = ref;
    e->name = c->name;
    e->time_ms = wf_turn_ms(wf);
    run_append(r, e);
    if (r->out.failed)
        return wf_nomem(wf);
    wf->branch->calls[c->n - 1] = NULL; /* the fold makes it anew */
    if (run_apply(r, e, &err))
        return wf_nomem(wf);
    *out = wf->branch->calls[c->n - 1];
    return HF_OK;
}

static int
run_step(hf_wf *wf, const char *name, hf_step_fn fn, void *arg, struct call **out)
{
    hf_st st = {.wf = wf};
    int   code = fn(&st, arg);

    if (st.failed)
        return wf_nomem(wf);
    if (code < 0)
        return wf_stop(wf, HF_INVALID, TURN_BLOCKED,
                       "hf_step: step %s returned %d; steps call no hf_ functions", name, code);
    if (code > 0 && st.error_name == NULL)
        st.error_name = "failed";
    TRY(wf_check_payload(wf, "hf_step", "output", st.output));
    struct event e = {.name = name,
                      .output = st.output,
                      .code = code,
                      .error_name = st.error_name,
                      .message = st.message};
    return wf_record_step(wf, &e, out);
}

int
hf_step(hf_wf *wf, const char *name, hf_step_fn fn, void *arg, const char **out)
{
    struct call *c;

    if (out)
        *out = NULL;
    TRY(wf_enter(wf, "hf_step", CALL_STEP, name, &c));
    if (c == NULL) {
        TRY(wf_check_name(wf, "hf_step", "step", name));
        TRY(wf_need_slot(wf));
        TRY(run_step(wf, name, fn, arg, &c));
    }
    return wf_outcome(wf, c, out);
}
