/* What the calls of a workflow share: stopping, numbering, outcomes. */
#include "core/wf.h"

#include <stdio.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/id.h"

enum { POISONED_CALLS_MAX = 1000 };

int
wf_stop(hf_wf *wf, int code, int end, const char *fmt, ...)
{
    va_list ap;

    if (wf->rc)
        return wf->rc;
    wf->rc = code;
    wf->end = end;
    if (fmt) {
        va_start(ap, fmt);
        wf->run->end_message = arena_vprintf(&wf->run->arena, fmt, ap);
        va_end(ap);
        wf->run->end_name = err_name(code);
    }
    return code;
}

int
wf_nomem(hf_wf *wf)
{
    return wf_stop(wf, HF_NOMEM, TURN_NOMEM, NULL);
}

int
wf_stopped(hf_wf *wf, const char *function)
{
    if (wf->rc == 0)
        return 0;
    if (++wf->poisoned == POISONED_CALLS_MAX) {
        wf->end = TURN_BLOCKED;
        wf->run->end_name = err_name(HF_MISMATCH);
        wf->run->end_message = arena_printf(
            &wf->run->arena,
            "%s was called again %d times after a call said stop: return negative codes", function,
            POISONED_CALLS_MAX);
        atomic_store(&wf->run->spinning, 1);
    }
    if (wf->poisoned >=
        POISONED_CALLS_MAX) { /* it may never come back: leave the processor to others */
        struct timespec t = {.tv_nsec = 10 * 1000 * 1000};
        nanosleep(&t, NULL);
    }
    return wf->rc;
}

static const char *
kind_text(int kind)
{
    static const char *const texts[] = {"task", "timer", "signal", "child", "step", "branch"};
    return texts[kind];
}

static bool
names_match(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

int
wf_enter(hf_wf *wf, const char *function, int kind, const char *name, struct call **out)
{
    *out = NULL;
    TRY(wf_stopped(wf, function));
    struct run    *r = wf->run;
    struct branch *b = wf->branch;
    uint32_t       n = ++b->asked;
    struct call   *c = n <= b->n ? b->calls[n - 1] : NULL;

    if (c) {
        if (c->kind != kind || !names_match(c->name, name))
            return wf_stop(wf, HF_MISMATCH, TURN_BLOCKED,
                           "at %s.%u the history has %s%s%s, the code asks for %s%s%s", b->path, n,
                           kind_text(c->kind), c->name ? " " : "", c->name ? c->name : "",
                           kind_text(kind), name ? " " : "", name ? name : "");
        *out = c;
        return HF_OK;
    }
    if (r->cancel_order && wf->shield == 0) {
        wf->error_name = "cancelled";
        wf->error_message = r->cancel_reason;
        return HF_CANCELLED;
    }
    if (!wf->compensating && wf->branch != r->main_branch && run_find(r, "c.1"))
        return wf_suspend(wf, NULL); /* the run is being undone: branches begin nothing more */
    if (r->history_events >= HF_EVENTS_MAX || r->history_bytes + r->out.len >= HF_HISTORY_MAX)
        return wf_stop(
            wf, HF_TOO_BIG, TURN_BLOCKED,
            "the history has %zu events and %zu bytes: use hf_should_continue and hf_continue",
            r->history_events, r->history_bytes + r->out.len);
    return HF_OK;
}

struct call *
wf_new_call(hf_wf *wf, int kind, const char *name)
{
    struct run  *r = wf->run;
    struct call *c = run_new_call(r, wf->branch, wf->branch->asked, kind);

    if (c) {
        c->name = arena_strdup(&r->arena, name);
        c->shielded = wf->shield > 0;
    }
    if (c == NULL || (name && c->name == NULL)) {
        if (c)
            wf->branch->calls[c->n - 1] = NULL;
        wf_nomem(wf);
        return NULL;
    }
    return c;
}

int
wf_record_call(hf_wf *wf, struct call *c, int event_kind)
{
    struct run *r = wf->run;
    const char *ref = call_ref(c, wf->env->arena);

    if (ref == NULL)
        return wf_nomem(wf);
    struct event e = {
        .kind = event_kind,
        .ref = ref,
        .name = c->name,
        .input = c->input,
        .run_id = c->run_id,
        .due_ms = c->due_ms,
        .flags = (c->shielded ? EVENT_SHIELDED : 0) | (c->detached ? EVENT_DETACHED : 0),
        .time_ms = wf_turn_ms(wf),
    };
    run_append(r, &e);
    r->last_command = ++r->order;
    r->history_events++;
    run_add_call(r, c);
    return r->out.failed ? wf_nomem(wf) : HF_OK;
}

int
wf_suspend(hf_wf *wf, const struct call *c)
{
    wf->waits_for = c;
    if (c == NULL || c->kind == CALL_BRANCH)
        wf->many_waits = true;
    return wf_stop(wf, HF_SUSPENDED, TURN_SUSPENDED, NULL);
}

bool
wf_is_settled(const struct call *c)
{
    return c->settled != 0;
}

int
wf_outcome(hf_wf *wf, struct call *c, const char **out)
{
    if (out)
        *out = NULL;
    if (!wf_is_settled(c))
        return wf_suspend(wf, c);
    if (c->settled > wf->seen) {
        wf->seen = c->settled;
        if (c->time_ms > wf->now_ms)
            wf->now_ms = c->time_ms;
    }
    if (c->code == HF_OK) {
        if (out)
            *out = c->output;
        return HF_OK;
    }
    wf->error_name = c->error_name;
    wf->error_message = c->message;
    return c->code;
}

int64_t
wf_turn_ms(hf_wf *wf)
{
    if (wf->turn_ms == 0)
        wf->turn_ms = clock_now_us(wf->env->clock) / US_PER_MS;
    return wf->turn_ms;
}

bool
wf_is_replaying(const hf_wf *wf)
{
    return wf->run->horizon > 0 && wf->seen <= wf->run->horizon;
}

int
wf_check_name(hf_wf *wf, const char *function, const char *what, const char *name)
{
    struct err err = {0};
    if (id_check_name(what, name, &err) == HF_OK)
        return HF_OK;
    return wf_stop(wf, err.code, TURN_BLOCKED, "%s: %s", function, err.text);
}

int
wf_check_payload(hf_wf *wf, const char *function, const char *what, const char *text)
{
    struct err err = {0};
    if (id_check_payload(what, text, &err) == HF_OK)
        return HF_OK;
    return wf_stop(wf, err.code, TURN_BLOCKED, "%s: %s", function, err.text);
}
