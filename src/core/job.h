/*
 * A job: one attempt at a task, standalone or called by a run, from the moment a lane holds it
 * until its result is recorded. job_execute is all that a slot does with it.
 */
#ifndef CORE_JOB_H
#define CORE_JOB_H

#include "base/queue.h"
#include "core/policy.h"
#include "core/registry.h"
#include "store/store.h"

struct call;

struct job {
    struct node     node; /* in the done stack */
    struct handler *handler;
    const char     *id, *name, *input; /* id: what the handler sees, stable over attempts */
    struct policy   policy;
    int             attempt; /* 1, 2, ... */
    int64_t         created_us;
    struct task_row row; /* row.no 0: in memory only. Texts live as long as the job */
    /* a called one */
    int64_t      run_no;
    int          execution;
    struct call *call;

    /* set by the slot */
    int64_t started_us, ended_us; /* steady clock; started_us is read by the lane meanwhile */
    int     code;                 /* HF_OK or HF_FAILED */
    bool    final;
    int64_t retry_after_ms;                      /* -1: as the policy says */
    char   *output, *error_name, *error_message; /* owned */

    _Atomic int            cancelled;      /* nobody wants the result any more */
    const _Atomic int64_t *lease_until_us; /* its worker's, steady clock; NULL: none */
    _Atomic int64_t        begun_us; /* started_us, for other threads; 0 while it waits for a slot.
                                        Whoever swaps the 0 decides whether it begins */

    /* the lane's */
    bool abandoned; /* its result was recorded without it (timeout); the slot is lost until it
                       returns */
    bool         unwanted;   /* its run has ended */
    bool         released;   /* only its claim is to be taken back */
    bool         to_row;     /* its row is in the next commit */
    int64_t      far_run_no; /* it was called by this run of another worker (run_no is 0) */
    int64_t      inbox_no;   /* the message that told its end; goes when that is recorded */
    bool         is_slow;    /* in the list of slow ones */
    int64_t      handed_us;
    struct job  *prev, *next; /* in the lane's list of jobs handed out, oldest first */
    size_t       bytes;       /* of the texts and the job */
    struct arena arena;
};

enum { JOB_WITHDRAWN = -1 }; /* in begun_us: it must not begin any more */

/* Runs the handler. arena is the slot's, for the attempt. */
void job_execute(struct job *job, struct arena *arena);

/* Forgets the result of an attempt, for the next one. */
void job_clear_result(struct job *job);
void job_free(struct job *job);

#endif
