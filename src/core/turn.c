/* One pass through a workflow function, and what its return means. */
#include "core/wf.h"

#include <string.h>

static void
begin(hf_wf *wf)
{
    struct run *r = wf->run;

    for (struct branch *b = r->branches; b; b = b->next)
        b->asked = b->draws = 0;
    r->end = TURN_NONE;
    r->end_output = r->end_name = r->end_message = NULL;
    r->waits_for = NULL;
    r->mark = r->out.len;
    if (r->order > 0)
        return;
    struct event e = {.kind = EVENT_STARTED, .version = r->row.version, .time_ms = wf_turn_ms(wf)};
    run_append(r, &e);
    r->order = 1;
    r->history_events = 1;
    r->started_ms = e.time_ms;
}

/* Whether history holds a call that this pass did not ask for: the code has lost it. */
static bool
find_left_over(hf_wf *wf)
{
    for (struct branch *b = wf->run->branches; b; b = b->next) {
        if (strcmp(b->path, "c") == 0)
            continue;
        for (uint32_t n = b->asked + 1; n <= b->n; n++)
            if (b->calls[n - 1]) {
                wf_stop(wf, HF_MISMATCH, TURN_BLOCKED,
                        "at %s.%u the history has a call of '%s', the code has returned before it",
                        b->path, n, b->calls[n - 1]->name ? b->calls[n - 1]->name : "hf_sleep");
                return true;
            }
    }
    return false;
}

/* Runs what hf_on_fail registered, newest first. Stops the turn until all is done. A failure is
 * noted and the rest goes on. */
static void
compensate(hf_wf *wf)
{
    struct run          *r = wf->run;
    struct compensation *list = wf->compensations;
    const char          *name = wf->error_name, *message = wf->error_message;

    if (list == NULL)
        return;
    if (run_find(r, "c.1") == NULL && run_has_open_work(r)) {
        wf_stop(wf, HF_SUSPENDED, TURN_CLOSING, NULL);
        return;
    }
    wf->compensating = true;
    wf->shield++;
    wf->branch = run_branch(r, "c");
    if (wf->branch == NULL) {
        wf_nomem(wf);
        return;
    }
    for (struct compensation *c = list; c && wf->rc == 0; c = c->next) {
        int rc = hf_task_opt(wf, c->task, c->input, NULL, c->opt);
        if (rc > 0 && wf->rc == 0) {
            message = arena_printf(&r->arena, "%s; compensation %s failed: %s: %s",
                                   message ? message : "", c->task,
                                   wf->error_name ? wf->error_name : "failed",
                                   wf->error_message ? wf->error_message : "");
            if (message == NULL)
                wf_nomem(wf);
        }
    }
    wf->error_name = name;
    wf->error_message = message;
}

/* What the function's return code means for a turn that was not stopped. */
static int
judge(hf_wf *wf, int rc)
{
    struct run *r = wf->run;

    if (rc < 0) {
        wf_stop(wf, HF_MISMATCH, TURN_BLOCKED, "the workflow returned %d, which no call gave it",
                rc);
        return wf->end;
    }
    if (find_left_over(wf))
        return wf->end;
    if (rc == 0) {
        r->end_output = wf->output;
        return wf->continued ? TURN_CONTINUED : TURN_COMPLETED;
    }
    if (wf->error_name == NULL) {
        wf->error_name = err_name(rc);
        wf->error_message = err_text(rc);
    }
    compensate(wf);
    if (wf->rc)
        return wf->end;
    r->end_name = wf->error_name;
    r->end_message = wf->error_message;
    return rc == HF_CANCELLED && r->cancel_order ? TURN_CANCELLED : TURN_FAILED;
}

void
run_turn(struct run *r, hf_workflow_fn fn, const struct turn_env *env)
{
    hf_wf wf = {.run = r, .env = env, .branch = r->main_branch};

    begin(&wf);
    wf.now_ms = r->started_ms;
    int rc = fn(&wf);
    r->end = wf.rc ? wf.end : judge(&wf, rc);
    if (wf.rc)
        r->end = wf.end;
    if (r->end == TURN_SUSPENDED && wf.wants_step)
        r->end = TURN_STEP; /* what a branch asked for; the rest of the run waits */
    r->waits_for = r->end == TURN_SUSPENDED && !wf.many_waits ? wf.waits_for : NULL;
    r->end_seen = wf.seen > r->horizon ? wf.seen : r->horizon;
    if (wf.branches_seen > r->end_seen)
        r->end_seen = wf.branches_seen;
    if (r->last_command > r->end_seen)
        r->end_seen = r->last_command;
    if (r->out.failed && r->end != TURN_NOMEM && r->end != TURN_AGAIN)
        r->end = TURN_NOMEM;
}

void
run_append_end(struct run *r, int kind, int64_t now_ms)
{
    struct event e = {.kind = kind, .time_ms = now_ms};
    r->order++;
    run_append(r, &e);
}
