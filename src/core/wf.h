/*
 * Inside of hf_wf: what the calls of a workflow share. Every call goes the same way: wf_enter (is
 * the turn still alive? the next number in the branch; does history know it, and by the same kind
 * and name?), then either the recorded outcome or a new command.
 */
#ifndef CORE_WF_H
#define CORE_WF_H

#include "core/turn.h"

struct compensation {
    const char          *task, *input;
    const hf_opt        *opt;
    struct compensation *next; /* registered before this one */
};

struct hf_wf {
    struct run            *run;
    const struct turn_env *env;
    struct branch         *branch;
    int                    rc;       /* negative once the turn was stopped */
    int                    end;      /* enum turn_end that goes with it */
    int                    poisoned; /* calls since */
    int                    shield;
    bool                   compensating, continued;
    bool                   wants_step;    /* a branch, or the run itself, stopped before a step */
    const struct call     *waits_for;     /* what stopped the turn */
    bool                   many_waits;    /* or it may be something else */
    uint32_t               seen;          /* order of the latest event that the code has acted on */
    uint32_t               branches_seen; /* the latest of those that branches have acted on */
    int64_t                now_ms;        /* its time */
    int64_t                turn_ms;       /* when this turn began, 0 until asked for */
    const char            *output;
    const char            *error_name, *error_message;
    struct compensation   *compensations;
    struct patch          *refused_patches;
};

/* Stops the turn; returns code. The first stop counts. The text is for run->end_message. */
int wf_stop(hf_wf *wf, int code, int end, const char *fmt, ...) HF_PRINTF(4, 5);
int wf_nomem(hf_wf *wf);

/* The code of a stopped turn (counts the call), 0 if it is alive. */
int wf_stopped(hf_wf *wf, const char *function);

/*
 * Takes the next number of the branch. *out is the call that history knows there, or NULL if it is
 * new; a mismatch stops the turn. HF_CANCELLED: new, in a cancelled run, unshielded: there shall be
 * no such call.
 */
int wf_enter(hf_wf *wf, const char *function, int kind, const char *name, struct call **out);

/* Makes the call that wf_enter found to be new. NULL: the turn was stopped. */
struct call *wf_new_call(hf_wf *wf, int kind, const char *name);
/* Records it: folds it in and appends its event. */
int wf_record_call(hf_wf *wf, struct call *c, int event_kind);

/* Before the body of a step: stops the turn unless it is on a task slot and all is durable. */
int wf_need_slot(hf_wf *wf);
/* Records a step that has just run: its name, output, code and error are in e. */
int wf_record_step(hf_wf *wf, struct event *e, struct call **out);

/* Whether the code can see an outcome: then its time and order become the code's. */
bool wf_is_settled(const struct call *c);
/* The outcome of a call, or HF_SUSPENDED. Sets the error and *out. */
int wf_outcome(hf_wf *wf, struct call *c, const char **out);

/* Stops the turn to wait; c (or NULL) is what it cannot go on without. */
int wf_suspend(hf_wf *wf, const struct call *c);

int64_t wf_turn_ms(hf_wf *wf);
bool    wf_is_replaying(const hf_wf *wf);

/* Checks of arguments; they stop the turn. */
int wf_check_name(hf_wf *wf, const char *function, const char *what, const char *name);
int wf_check_payload(hf_wf *wf, const char *function, const char *what, const char *text);

#endif
