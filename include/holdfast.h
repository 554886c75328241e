/*
 * Holdfast: durable workflows and tasks.
 *
 * A workflow is a C function that calls tasks, sleeps and waits. Every result is recorded in a
 * store; after a crash the function is called again from the top, recorded results are answered
 * from the record, and it goes on where it was. So a workflow must be deterministic: it takes the
 * time, random numbers and everything from outside through the calls of this header. A task is an
 * ordinary function: it may block, fail and be repeated.
 *
 * Conventions
 *   - Calls that can fail return int. 0: done. Positive: an outcome that the code may handle.
 *     Negative: an error; inside a workflow it means "return it at once" (HF_TRY does), for the
 *     engine has stopped this turn and calls the function again when it can go on.
 *   - Strings are UTF-8 and end with NUL. Payloads (input, output, signals) are text, JSON by
 *     convention, NULL for none. Inputs are copied.
 *   - Strings handed out inside a workflow or task live until that function returns; they are
 *     obtained anew by every turn.
 *   - Times are milliseconds unless a name says otherwise.
 *   - A handle (hf) may be used by all threads; hf_wf and hf_tk belong to the call they were given
 *     to.
 *   - The library prints nothing, and installs no signal handler unless asked to
 *     (hf_worker_opt.handle_signals).
 *
 * Contents: 1 limits and codes, 2 options, 3 handle, 4 workflows, 5 tasks, 6 clients, 7 worker,
 * 8 testing.
 */
#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_VERSION_MAJOR 0
#define HF_VERSION_MINOR 1
#define HF_VERSION_PATCH 0

#if defined(__GNUC__)
#define HF_API               __attribute__((visibility("default")))
#define HF_MUST              __attribute__((warn_unused_result))
#define HF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define HF_API
#define HF_MUST
#define HF_PRINTF(fmt, args)
#endif

/* ---- 1. limits and codes ---- */

#define HF_NAME_MAX                                                                                \
    255 /* bytes of a name (workflow, task, signal, queue) or an id, without the NUL */
#define HF_ID_SIZE     (HF_NAME_MAX + 1)  /* room for an id and its NUL */
#define HF_PAYLOAD_MAX (1024 * 1024)      /* bytes of one payload */
#define HF_ROW_MAX     (4 * 1024 * 1024)  /* bytes of one history row; more events make more rows */
#define HF_HISTORY_MAX (64 * 1024 * 1024) /* bytes of one execution's history, then HF_TOO_BIG */
#define HF_EVENTS_MAX  50000 /* events of one execution, then HF_TOO_BIG: see hf_should_continue */

#define HF_SECOND      1000LL
#define HF_MINUTE      (60 * HF_SECOND)
#define HF_HOUR        (60 * HF_MINUTE)
#define HF_DAY         (24 * HF_HOUR)

/* Outcomes (positive) and errors (negative). The manual's table and the command's exit codes come
 * from src/base/errors.def. */
enum {
    HF_OK = 0,
    HF_FAILED = 1,     /* it ran and failed: hf_error_name says how */
    HF_TIMEOUT = 2,    /* its time was up */
    HF_CANCELLED = 3,  /* it was cancelled, or the run that asked is */
    HF_TERMINATED = 4, /* it was ended from outside without clean-up */
    HF_CRASHED = 5,    /* it was running in too many processes that died */
    HF_LOST = 6,       /* its worker died while it ran, and it is not to be repeated (on_crash) */

    HF_SUSPENDED = -1, /* inside a workflow: this turn is over, return it */
    HF_MISMATCH = -2,  /* the code asks for something else than the history has: blocked */
    HF_INVALID = -3,   /* an argument is bad: empty name, no UTF-8, out of range */
    HF_NOT_FOUND = -4, /* no such run or task */
    HF_EXISTS = -5,    /* the id is taken */
    HF_DONE = -6,      /* the run has ended: it takes no signal and no cancel any more */
    HF_TOO_BIG = -7,   /* over a limit of section 1 */
    HF_NOMEM = -8,     /* out of memory; nothing was changed */
    HF_UNAVAILABLE =
        -9,           /* the store is out of reach, locked, full: nothing was changed, try again */
    HF_UNKNOWN = -10, /* it may have happened; repeat it if it carries an id or key */
    HF_STALE = -11,   /* another worker owns this work now */
    HF_REFUSED = -12, /* the store refused a value */
    HF_CORRUPT = -13, /* the store is damaged, or is no Holdfast store */
    HF_NEWER = -14,   /* the store was made by a newer Holdfast */
    HF_OWNED = -15,   /* another process owns the queues of this SQLite file */
    HF_INTERNAL = -16 /* a bug in Holdfast; please report the message */
};

typedef struct hf    hf;    /* a handle on a store */
typedef struct hf_wf hf_wf; /* a turn of a run, inside a workflow function */
typedef struct hf_tk hf_tk; /* an attempt at a task, inside a task function */

/* Leaves a workflow with the code of a call that is not 0. */
#define HF_TRY(call)                                                                               \
    do {                                                                                           \
        int hf_try_rc_ = (call);                                                                   \
        if (hf_try_rc_ != 0)                                                                       \
            return hf_try_rc_;                                                                     \
    } while (0)

/* The name of a code ("HF_TIMEOUT") and a sentence about it. Both static. */
HF_API const char *hf_code_name(int code);
HF_API const char *hf_code_text(int code);
HF_API const char *hf_version_text(void);

/* ---- 2. options ---- */

/* class: urgent work overtakes a backlog; 0 means HF_NORMAL */
enum { HF_URGENT = 1, HF_NORMAL = 2, HF_BULK = 3 };
enum { HF_RETRY = 0, HF_FAIL = 1 }; /* on_crash */
enum { HF_IF_EXISTS_FAIL = 0, HF_IF_EXISTS_USE = 1, HF_IF_EXISTS_REPLACE = 2 };

/*
 * Options of calls; what is 0 or NULL takes its default. Written in place: hf_task(wf, "charge",
 * in, &out, HF_OPT(.max_attempts = 5)). A task's options are, each on its own: those of the call,
 * else those given with hf_handler, else the default.
 */
typedef struct hf_opt {
    size_t      size;           /* set by HF_OPT */
    const char *id;             /* start, enqueue, child: the id; made if NULL */
    const char *queue;          /* "default" if NULL; task, child: the run's own queue if NULL */
    int         class_;         /* start, enqueue: HF_URGENT, HF_NORMAL, HF_BULK */
    int         if_exists;      /* start: HF_IF_EXISTS_FAIL, _USE, _REPLACE */
    int         version;        /* start, child: the workflow's version; 0: the worker's newest */
    int64_t     delay_ms;       /* enqueue: not before this long from now */
    int64_t     at_ms;          /* enqueue: not before this time (Unix time in ms) */
    int64_t     timeout_ms;     /* task: of one attempt; signal: longest wait; sql. 0: none */
    int64_t     deadline_ms;    /* task: all attempts and waits together. 0: none */
    int         max_attempts;   /* task: 5 by default, -1 without limit */
    int         on_crash;       /* task: HF_RETRY, or HF_FAIL: never started twice, see HF_LOST */
    int64_t     first_delay_ms; /* task: wait before the second attempt, 1 s by default */
    double      factor;         /* task: growth of the wait, 2 by default */
    int64_t     max_delay_ms;   /* task: the longest wait, 60 s by default */
    double      jitter;   /* task: random share of the wait, to 1; default 0.1, below 0: none */
    const char *no_retry; /* task: names of final errors, with commas: "declined,invalid" */
    const char *key;      /* send: a signal with the same key to the same run does nothing */
} hf_opt;

#ifdef __cplusplus
} /* HF_OPT in C++20: the temporary lives to the end of the full expression. */
struct hf_opt_holder {
    hf_opt opt;
           operator const hf_opt *() const
    {
        return &opt;
    }
};
#define HF_OPT(...)                                                                                \
    (static_cast<const hf_opt *>(hf_opt_holder{hf_opt{.size = sizeof(hf_opt), __VA_ARGS__}}))
extern "C" {
#else
#define HF_OPT(...) (&(const hf_opt){.size = sizeof(hf_opt), __VA_ARGS__})
#endif

/* ---- 3. handle ---- */

/*
 * Opens a store: "sqlite:PATH" or a bare path; NULL takes $HOLDFAST_STORE, else
 * "sqlite:holdfast.db". Makes and migrates an SQLite file. Whatever is returned, *out is a handle
 * to be closed with hf_close (NULL only with HF_NOMEM); on an error it only tells the message.
 * HF_INVALID bad URL, HF_UNAVAILABLE cannot be opened or written, HF_CORRUPT, HF_NEWER.
 */
HF_API HF_MUST int hf_open(const char *url, hf **out);

/* Ends the handle; NULL is fine. Not while hf_run or another call is in it: see hf_stop. What was
 * stored stays. */
HF_API void hf_close(hf *h);

/* The last error of the handle, of any thread: code, and one line for people. The text lives until
 * the next failing call on the handle. */
HF_API int         hf_errcode(const hf *h);
HF_API const char *hf_errmsg(const hf *h);

/* Log lines: event is a stable word, fields are "key=value" pairs with spaces between. level: 0
 * debug, 1 info, 2 warning, 3 error. */
typedef void (*hf_log_fn)(void *arg, int level, const char *event, const char *fields);
HF_API void hf_set_log(hf *h, hf_log_fn fn, void *arg);

/* ---- 4. workflows ---- */

/*
 * A workflow returns 0 (completed; the output is what hf_return was given, else none), a positive
 * code (failed, with the error of hf_fail or of the last call), or the negative code that a call
 * gave. C++ exceptions must not leave it.
 */
typedef int (*hf_workflow_fn)(hf_wf *wf);

/* Offers version (1 and up) of a workflow to hf_run. A run stays with the version that it began
 * with. Before hf_run only. HF_INVALID. */
HF_API HF_MUST int hf_workflow(hf *h, const char *name, int version, hf_workflow_fn fn);

HF_API const char *hf_input(const hf_wf *wf); /* the run's input, NULL if none */
HF_API const char *hf_run_id(const hf_wf *wf);
HF_API int         hf_execution(const hf_wf *wf); /* 1, and one more after each hf_continue */

/* Something asked for and not awaited yet: a task, timer, signal, child or branch. A plain value of
 * this turn; copy it as you like. */
typedef struct hf_call {
    void *call;
} hf_call;

/*
 * Calls a task and waits for it. Durable before it starts; its result is recorded once, the first
 * that comes; it may run more than once if a worker dies. *out is the task's output, NULL on any
 * code but 0. HF_FAILED, HF_TIMEOUT, HF_CANCELLED, HF_CRASHED, HF_LOST. out may be NULL; the last
 * argument, HF_OPT(...), may be left out.
 */
#define hf_task(...)                                  HF_PICK_TASK_(__VA_ARGS__, NULL, 0)
#define HF_PICK_TASK_(wf, name, input, out, opt, ...) hf_task_opt(wf, name, input, out, opt)
HF_API HF_MUST int
hf_task_opt(hf_wf *wf, const char *name, const char *input, const char **out, const hf_opt *opt);

/* Calls a task without waiting. All that a turn starts is committed together. */
#define hf_task_start(...) HF_PICK_TASK_START_(__VA_ARGS__, NULL, 0)
#define HF_PICK_TASK_START_(wf, name, input, call, opt, ...)                                       \
    hf_task_start_opt(wf, name, input, call, opt)
HF_API HF_MUST int
hf_task_start_opt(hf_wf *wf, const char *name, const char *input, hf_call *call, const hf_opt *opt);

/* Sleeps; survives restarts; never wakes early by the store's clock. HF_CANCELLED. */
HF_API HF_MUST int hf_sleep(hf_wf *wf, int64_t ms);
HF_API HF_MUST int hf_timer_start(hf_wf *wf, int64_t ms, hf_call *call);

/* Waits for a signal by name: each is delivered once, first come first served, also what came
 * before the wait. HF_TIMEOUT, HF_CANCELLED. */
#define hf_signal(...)                           HF_PICK_SIGNAL_(__VA_ARGS__, NULL, 0)
#define HF_PICK_SIGNAL_(wf, name, out, opt, ...) hf_signal_opt(wf, name, out, opt)
HF_API HF_MUST int hf_signal_opt(hf_wf *wf, const char *name, const char **out, const hf_opt *opt);
#define hf_signal_start(...)                            HF_PICK_SIGNAL_START_(__VA_ARGS__, NULL, 0)
#define HF_PICK_SIGNAL_START_(wf, name, call, opt, ...) hf_signal_start_opt(wf, name, call, opt)
HF_API HF_MUST int
hf_signal_start_opt(hf_wf *wf, const char *name, hf_call *call, const hf_opt *opt);

/*
 * Runs another workflow as a child and waits for its output. Its id is opt->id, else made from this
 * run's. If this run is cancelled or ends, the child is cancelled. An id that is taken gives
 * HF_FAILED with the error "exists".
 */
#define hf_child(...) HF_PICK_CHILD_(__VA_ARGS__, NULL, 0)
#define HF_PICK_CHILD_(wf, workflow, input, out, opt, ...)                                         \
    hf_child_opt(wf, workflow, input, out, opt)
HF_API HF_MUST int hf_child_opt(hf_wf *wf, const char *workflow, const char *input,
                                const char **out, const hf_opt *opt);
#define hf_child_start(...) HF_PICK_CHILD_START_(__VA_ARGS__, NULL, 0)
#define HF_PICK_CHILD_START_(wf, workflow, input, call, opt, ...)                                  \
    hf_child_start_opt(wf, workflow, input, call, opt)
HF_API HF_MUST int hf_child_start_opt(hf_wf *wf, const char *workflow, const char *input,
                                      hf_call *call, const hf_opt *opt);

/* Starts a run that lives on its own: never awaited, not cancelled with this one. *id (may be NULL)
 * is its id. A taken id is left as it is. */
HF_API HF_MUST int
hf_detach(hf_wf *wf, const char *workflow, const char *input, const char **id, const hf_opt *opt);

/*
 * A branch: fn runs as a thread of control of its own inside this run, with call numbers of its
 * own, whatever finishes first. It is called at once and in every turn until it returns. arg must
 * be the same in every turn. The call's outcome is fn's code, its output what fn gave hf_return. A
 * branch must not outlive its turn's data: what arg points to is built anew by the workflow in
 * every turn.
 */
typedef int (*hf_branch_fn)(hf_wf *wf, void *arg);
HF_API HF_MUST int hf_branch_start(hf_wf *wf, hf_branch_fn fn, void *arg, hf_call *call);

/* The outcome of one call, waiting for it if need be. *out as with hf_task. */
HF_API HF_MUST int hf_result(hf_wf *wf, hf_call call, const char **out);

/* Waits until all calls have ended. 0 if all did well, else the code of the first that did not, in
 * the order of history (hf_error_name). */
HF_API HF_MUST int hf_all(hf_wf *wf, const hf_call *calls, size_t n);

/* Waits until one of the calls has ended; *index says which was first in history. 0 whatever its
 * outcome: ask hf_result. HF_CANCELLED. */
HF_API HF_MUST int hf_any(hf_wf *wf, const hf_call *calls, size_t n, size_t *index);

/*
 * Runs fn in place, once, and records its result: for quick effects that need no retry. fn's text
 * is copied with hf_step_return. It runs only when everything before it is durable; if the process
 * dies in it, it runs again. fn returns 0, or a positive code after hf_step_fail.
 */
typedef struct hf_st hf_st;
typedef int (*hf_step_fn)(hf_st *st, void *arg);
HF_API HF_MUST int hf_step(hf_wf *wf, const char *name, hf_step_fn fn, void *arg, const char **out);
HF_API int         hf_step_return(hf_st *st, const char *output); /* 0 */
HF_API int
hf_step_fail(hf_st *st, const char *name, const char *fmt, ...) HF_PRINTF(3, 4); /* HF_FAILED */

/*
 * Runs one SQL statement on the store's own database, as a step: the statement and the record of
 * its result are one transaction of their own, so it takes effect exactly once, whatever crashes
 * and whenever. SQLite: the same file; PostgreSQL: the same database, with the worker's rights.
 *
 * Parameters are $1, $2 ...; params is a JSON array of their values (hf_quote makes strings), NULL
 * for none. Objects and arrays are passed as JSON text. *out is a JSON array with an object for
 * each row, "[]" if the statement gives none. Numbers, NULL, booleans (PostgreSQL) and json (the
 * same) are JSON; bytes are strings of hex digits behind \x; everything else is a string, as are
 * numbers that JSON has not (NaN). At most HF_PAYLOAD_MAX bytes: else nothing has happened and the
 * run is blocked with HF_TOO_BIG. Give columns names of their own.
 *
 * HF_FAILED: the statement failed, also by a constraint that is checked at the end; nothing has
 * happened, and this is recorded. hf_error_name is the SQLSTATE ("23505"), on SQLite the name of
 * its code ("SQLITE_CONSTRAINT_UNIQUE"). Deadlocks and serialisation failures are tried again
 * before. HF_TIMEOUT: it took longer than .timeout_ms, 30 s by default. HF_CANCELLED.
 *
 * History knows the step by its name: a statement whose text was changed is run as it now is by
 * runs that come to it, and not again by those that are past it. Refused are more than one
 * statement, transaction control, and on SQLite pragmas, attached files and changes of Holdfast's
 * own tables. Statements of one worker's runs are executed one after the other: keep them short.
 */
#define hf_sql(...) HF_PICK_SQL_(__VA_ARGS__, NULL, 0)
#define HF_PICK_SQL_(wf, name, sql, params, out, opt, ...)                                         \
    hf_sql_opt(wf, name, sql, params, out, opt)
HF_API HF_MUST int hf_sql_opt(hf_wf *wf, const char *name, const char *sql, const char *params,
                              const char **out, const hf_opt *opt);

/*
 * Compensation: if the run fails or is cancelled later, task is called with input; the last
 * registered comes first. It runs shielded, after everything still outstanding was cancelled and
 * has ended. If one fails for good the others still run; the run's error names it.
 */
#define hf_on_fail(...)                             HF_PICK_ON_FAIL_(__VA_ARGS__, NULL, 0)
#define HF_PICK_ON_FAIL_(wf, task, input, opt, ...) hf_on_fail_opt(wf, task, input, opt)
HF_API HF_MUST int
hf_on_fail_opt(hf_wf *wf, const char *task, const char *input, const hf_opt *opt);

/* Between these two, calls are not touched by a cancel of the run: for clean-up. They nest. */
HF_API void hf_shield(hf_wf *wf);
HF_API void hf_unshield(hf_wf *wf);
HF_API int  hf_is_cancelled(const hf_wf *wf);

/* Ends of a workflow function: return what these return. */
HF_API HF_MUST int hf_return(hf_wf *wf, const char *output); /* 0 */
HF_API HF_MUST int
hf_fail(hf_wf *wf, const char *name, const char *fmt, ...) HF_PRINTF(3, 4); /* HF_FAILED */
HF_API HF_MUST int
hf_continue(hf_wf      *wf,
            const char *input); /* a new execution with an empty history; unread signals go along */

/* 1 when the history has grown so long that the run should hf_continue. */
HF_API int hf_should_continue(const hf_wf *wf);

/* The error of the last call that gave a positive code: a name ("declined"; "timeout", "cancelled",
 * "crashed", ... for the others), a message. */
HF_API const char *hf_error_name(const hf_wf *wf);
HF_API const char *hf_error_message(const hf_wf *wf);

/* A text that people see in `holdfast show` while the run lives. Written with the turn. */
HF_API HF_MUST int hf_status(hf_wf *wf, const char *text);

/* Deterministic: the store's time of the event that brought the run here; ids and numbers that are
 * the same in every turn. */
HF_API int64_t     hf_now(const hf_wf *wf); /* Unix time, ms */
HF_API const char *hf_uuid(hf_wf *wf);
HF_API uint64_t    hf_random(hf_wf *wf);

/* 1 in runs that come here with this code for the first time, 0 in those that were past this place
 * before the label was in the code. */
HF_API int hf_patch(hf_wf *wf, const char *label);

/* A log line that is written once, not again when the function is called again. */
HF_API void hf_log(hf_wf *wf, const char *fmt, ...) HF_PRINTF(2, 3);

/* Memory of this turn; never free it. NULL only after the turn was stopped for want of memory: the
 * next call returns the code. */
HF_API void *hf_alloc(hf_wf *wf, size_t size);
HF_API char *hf_sprintf(hf_wf *wf, const char *fmt, ...) HF_PRINTF(2, 3);

/* Text as a JSON string with its quotes; "null" for NULL. */
HF_API const char *hf_quote(hf_wf *wf, const char *text);

/* A member of a JSON object: a string without quotes, anything else as JSON; NULL if it is not
 * there or json is no object. */
HF_API const char *hf_get(hf_wf *wf, const char *json, const char *member);

/* ---- 5. tasks ---- */

/* A task returns hf_tk_return or hf_tk_fail (or plainly 0, or HF_FAILED). It may run more than
 * once: hf_tk_key is its idempotency key. */
typedef int (*hf_task_fn)(hf_tk *tk, void *arg);

/* Offers a task to hf_run, with default options (NULL for none). Before hf_run only. HF_INVALID. */
HF_API HF_MUST int
hf_handler(hf *h, const char *name, hf_task_fn fn, void *arg, const hf_opt *defaults);

HF_API const char *hf_tk_input(const hf_tk *tk);
HF_API const char *hf_tk_name(const hf_tk *tk);
HF_API const char *
hf_tk_id(const hf_tk *tk); /* the task's id; of a called one, run id and ref: "order-42/1/0.3" */
HF_API const char *
hf_tk_key(const hf_tk *tk); /* the same for every attempt at this task, different for all others */
HF_API int         hf_tk_attempt(const hf_tk *tk);           /* 1, 2, ... */
HF_API const char *hf_tk_get(hf_tk *tk, const char *member); /* a member of the input, as hf_get */
HF_API int hf_tk_cancelled(const hf_tk *tk); /* 1 once nobody wants the result: cancelled, timed
                                                out, worker stopping. Any thread. */
/* Memory of this attempt. NULL: out of memory; the attempt then fails and is tried again. */
HF_API void *hf_tk_alloc(hf_tk *tk, size_t size);
HF_API char *hf_tk_sprintf(hf_tk *tk, const char *fmt, ...) HF_PRINTF(2, 3);

HF_API int hf_tk_return(hf_tk *tk, const char *output); /* 0; output is copied */
HF_API int hf_tk_fail(hf_tk *tk, const char *name, const char *fmt, ...)
    HF_PRINTF(3, 4); /* HF_FAILED; tried again by its policy */
HF_API int hf_tk_fail_final(hf_tk *tk, const char *name, const char *fmt, ...)
    HF_PRINTF(3, 4); /* HF_FAILED; not tried again */
HF_API void hf_tk_retry_after(
    hf_tk  *tk,
    int64_t ms); /* if this attempt fails: wait this long instead of what the policy says */

/* ---- 6. clients ---- */
/* Any process that can open the store may use these, with or without a worker. What returned 0
 * survives any crash. */

/*
 * Starts a run; id (HF_ID_SIZE bytes, or NULL) receives its id. HF_EXISTS if opt->id is taken and
 * if_exists is _FAIL; _USE leaves the run that is there; _REPLACE terminates a live one and begins
 * anew under the same id, in one commit by the owner. HF_INVALID, HF_TOO_BIG, HF_UNAVAILABLE.
 * HF_UNKNOWN: repeat it if it has an id.
 */
HF_API HF_MUST int
hf_start(hf *h, const char *workflow, const char *input, const hf_opt *opt, char *id);

/*
 * Starts n runs in one commit, all or none, with the same workflow and options. inputs NULL: all
 * without input. ids: the id of each; one that is NULL, or all if ids is NULL, is made. opt->id
 * must be NULL, if_exists is _FAIL or _USE. ids_out: n * HF_ID_SIZE bytes that receive the ids, or
 * NULL. Codes as hf_start; the message of a run that is refused begins with its number, from 1.
 */
HF_API HF_MUST int
hf_start_many(hf *h, const char *workflow, const char *const *inputs, const char *const *ids,
              size_t n, const hf_opt *opt, char *ids_out);

/* Sends a signal; kept until the run reads it. HF_NOT_FOUND, HF_DONE. Repeating with the same
 * opt->key is safe; HF_UNKNOWN, then HF_DONE: it may have come in time, or not. */
HF_API HF_MUST int
hf_send(hf *h, const char *run, const char *signal, const char *payload, const hf_opt *opt);

/* Sends a signal to run opt->id, which is started with it if there is no live one: both or none. */
HF_API HF_MUST int hf_start_send(hf *h, const char *workflow, const char *input, const char *signal,
                                 const char *payload, const hf_opt *opt, char *id);

/* Asks a run to stop: it may clean up. Repeating is safe. HF_NOT_FOUND, HF_DONE. */
HF_API HF_MUST int hf_cancel(hf *h, const char *run, const char *reason);
/* Ends a run as it is: no clean-up, no compensation. HF_NOT_FOUND, HF_DONE. */
HF_API HF_MUST int hf_terminate(hf *h, const char *run, const char *reason);
/* Holds a run before its next turn; lets a paused or blocked one go on. HF_NOT_FOUND, HF_DONE. */
HF_API HF_MUST int hf_pause(hf *h, const char *run);
HF_API HF_MUST int hf_resume(hf *h, const char *run);

/* What is known of a run. One block of memory: hf_info_free. */
typedef struct hf_info {
    const char *id, *workflow, *queue,
        *status; /* running, waiting, paused, blocked, completed, failed, cancelled, terminated */
    const char *input, *output;
    const char *error_name, *error_message; /* of a failed, cancelled, terminated or blocked run */
    const char *custom_status;              /* hf_status */
    int         version, execution;
    int         done;       /* 1 if it has ended */
    int64_t     started_ms; /* Unix time */
    int64_t     ended_ms;   /* 0 while it lives */
} hf_info;
HF_API HF_MUST int hf_describe(hf *h, const char *run, hf_info **out);
HF_API void        hf_info_free(hf_info *info);

/*
 * Waits until the run has ended; timeout_ms -1 for ever. 0 completed, HF_FAILED, HF_CANCELLED,
 * HF_TERMINATED; HF_TIMEOUT: not yet. *out (may be NULL) is set whenever the run is known, to be
 * freed. HF_NOT_FOUND.
 */
HF_API HF_MUST int hf_wait(hf *h, const char *run, int64_t timeout_ms, hf_info **out);

/* Adds a standalone task; id (HF_ID_SIZE bytes or NULL) receives its id. HF_EXISTS: opt->id is that
 * of a live or dead task. */
HF_API HF_MUST int
hf_enqueue(hf *h, const char *task, const char *input, const hf_opt *opt, char *id);

/* Adds n tasks in one commit, all or none (opt->id must be NULL). inputs NULL: all without input.
 * ids: n * HF_ID_SIZE bytes, or NULL. */
HF_API HF_MUST int hf_enqueue_many(hf *h, const char *task, const char *const *inputs, size_t n,
                                   const hf_opt *opt, char *ids);

/* ---- 7. worker ---- */

typedef struct hf_worker_opt {
    size_t      size;   /* set by HF_WORKER */
    const char *queues; /* names with commas; all queues of the store if NULL */
    int         slots;  /* threads for tasks and steps; 16 by default */
    int64_t
        lease_ms; /* 10 s by default; a stopped SQLite owner keeps the file whatever its lease */
    int64_t grace_ms;   /* how long hf_stop waits for running tasks; 10 s by default */
    int     drain;      /* 1: return 0 when no task is left and no run can go on within an hour */
    int handle_signals; /* 1: SIGTERM and SIGINT stop the worker; a second one stops it at once */
    int max_crashes; /* a task or run that was there in so many crashes is set aside; 5 by default
                      */
    int64_t turn_cpu_ms; /* CPU time of one turn, then its run is blocked; 1 s by default */
    int64_t spill_ms;    /* a call that takes longer becomes a task row; 1 s by default */
    size_t  local_max;   /* called tasks held in memory; more become rows; 60,000 by default */
    size_t  cache_runs;  /* waiting runs kept in memory; 10,000 by default */
} hf_worker_opt;
#define HF_WORKER(...) (&(const hf_worker_opt){.size = sizeof(hf_worker_opt), __VA_ARGS__})

/*
 * Serves the store's queues with the handle's workflows and handlers until hf_stop. On SQLite one
 * process owns the queues: hf_run waits for it and logs "owner" with its pid. 0 after a stop or a
 * drain; HF_STALE if the ownership was lost; HF_INTERNAL (exit code 70) when half of the slots are
 * lost to tasks that do not return: exit and start anew.
 */
HF_API HF_MUST int hf_run(hf *h, const hf_worker_opt *opt);

/* Makes hf_run return: running tasks get the grace, nothing new starts. From any thread or signal
 * handler; twice: at once. */
HF_API void hf_stop(hf *h);

/*
 * What `holdfast worker --module FILE.so` looks for in the file: you define it, and call
 * hf_workflow and hf_handler in it. A code that is not 0 stops the worker.
 */
HF_API int holdfast_module(hf *h);

/* ---- 8. testing ---- */

/* A handle on a store in memory with a clock that stands still and a worker that runs inside
 * hf_test_run: no thread, file or real time. */
HF_API HF_MUST int hf_test_open(hf **out);
/* Works until nothing can go on at this time. */
HF_API HF_MUST int hf_test_run(hf *h);
/* Moves the clock on, stopping at each timer and retry on the way, and works. */
HF_API HF_MUST int hf_test_advance(hf *h, int64_t ms);
/* Answers a task with a fixed output, or (error_name not NULL) with an error, instead of its
 * handler. */
HF_API HF_MUST int
hf_test_fake(hf *h, const char *task, const char *output, const char *error_name);
/* Answers hf_sql in place of a database: fn returns 0 with the rows as *answer (a JSON array; NULL:
 * no rows), or HF_FAILED with the name of the error. The text is copied. params is NULL if there
 * are none. */
typedef int (*hf_test_sql_fn)(void *arg, const char *sql, const char *params, const char **answer);
HF_API HF_MUST int hf_test_sql(hf *h, hf_test_sql_fn fn, void *arg);
/* Forgets everything in memory, as a crash would, and begins again from the store. More workflows
 * and handlers may be offered then, as after a deploy. */
HF_API HF_MUST int hf_test_crash(hf *h);
HF_API int64_t     hf_test_now(const hf *h);
/* How often a task was started. */
HF_API int hf_test_count(const hf *h, const char *task);

#ifdef __cplusplus
}
#endif
#endif
