/*
 * The calls that any process may make on a store, but for starting and enqueueing: send, cancel,
 * describe, wait. Each checks what it is given, then is one verb of the store under the handle's
 * mutex. Waiting is done on a connection of its own, outside the mutex, so that other threads go
 * on.
 */
#include "client/client.h"

#include <string.h>

#include "base/mem.h"
#include "client/info.h"
#include "client/submit.h"
#include "core/opt.h"

/* A start carries a token and may be repeated after a lost acknowledgement: so often we do. */
enum { UNKNOWN_REPEATS = 3 };

int
submit_once(hf *h, struct submit *items, size_t n, size_t *bad, struct err *err)
{
    size_t ignored;

    pthread_mutex_lock(&h->mutex);
    int rc = h->store == NULL
                 ? err_set(err, HF_UNAVAILABLE, "the store is not open")
                 : h->store->ops->submit(h->store, items, n, bad ? bad : &ignored, err);
    pthread_mutex_unlock(&h->mutex);
    return rc;
}

/* That the store is away, or the run has ended, says nothing of the first try: that may have been
 * what the run was waiting for. */
int
submit_again(hf *h, struct submit *items, size_t n, size_t *bad, struct err *err)
{
    int rc = submit_once(h, items, n, bad, err);

    for (int i = 1; i < UNKNOWN_REPEATS && rc == HF_UNKNOWN; i++) {
        rc = submit_once(h, items, n, bad, err);
        if (rc == HF_DONE)
            return err_set(err, HF_UNKNOWN, "run %s: has ended; the answer to a first try was lost",
                           items[0].id);
        if (rc == HF_UNAVAILABLE)
            rc = err->code = HF_UNKNOWN;
    }
    return rc;
}

int
submit_check_signal(const char *run, const char *signal, const char *payload, struct err *err)
{
    TRY(id_check_name("run", run, err));
    TRY(id_check_name("signal", signal, err));
    return id_check_payload("payload", payload, err);
}

/* ---- what is sent to a run */

static int
send_signal(hf *h, const char *run, const char *signal, const char *payload, const hf_opt *opt,
            struct err *err)
{
    hf_opt o;

    TRY(submit_check_signal(run, signal, payload, err));
    TRY(opt_read(opt, &o, err));
    struct submit s = {
        .kind = SUBMIT_SIGNAL, .id = run, .name = signal, .payload = payload, .key = o.key};
    return o.key ? submit_again(h, &s, 1, NULL, err) : submit_once(h, &s, 1, NULL, err);
}

int
hf_send(hf *h, const char *run, const char *signal, const char *payload, const hf_opt *opt)
{
    struct err err = {0};
    return send_signal(h, run, signal, payload, opt, &err) ? handle_fail(h, &err) : HF_OK;
}

/* Cancel, terminate, pause and resume: a word to a run, with a reason or none. */
static int
tell(hf *h, int kind, const char *run, const char *reason)
{
    struct err    err = {0};
    struct submit s = {.kind = kind, .id = run, .payload = reason};

    if (id_check_name("run", run, &err) || id_check_payload("reason", reason, &err) ||
        submit_once(h, &s, 1, NULL, &err))
        return handle_fail(h, &err);
    return HF_OK;
}

int
hf_cancel(hf *h, const char *run, const char *reason)
{
    return tell(h, SUBMIT_CANCEL, run, reason);
}

int
hf_terminate(hf *h, const char *run, const char *reason)
{
    return tell(h, SUBMIT_TERMINATE, run, reason);
}

int
hf_pause(hf *h, const char *run)
{
    return tell(h, SUBMIT_PAUSE, run, NULL);
}

int
hf_resume(hf *h, const char *run)
{
    return tell(h, SUBMIT_RESUME, run, NULL);
}

/* ---- describing and waiting */

static int
describe(hf *h, const char *run, struct arena *a, hf_info **out, struct err *err)
{
    struct run_row row = {0};

    TRY(id_check_name("run", run, err));
    pthread_mutex_lock(&h->mutex);
    int rc = h->store == NULL ? err_set(err, HF_UNAVAILABLE, "the store is not open")
                              : h->store->ops->run_get(h->store, run, a, &row, err);
    pthread_mutex_unlock(&h->mutex);
    TRY(rc);
    return info_make(&row, out, err);
}

int
hf_describe(hf *h, const char *run, hf_info **out)
{
    struct arena a = {0};
    struct err   err = {0};

    *out = NULL;
    int rc = describe(h, run, &a, out, &err);
    arena_release(&a);
    return rc ? handle_fail(h, &err) : HF_OK;
}

/* A connection for one wait: the spare one, else a new one. */
static int
borrow_store(hf *h, struct store **out, struct err *err)
{
    int rc = HF_OK;

    pthread_mutex_lock(&h->mutex);
    if (h->spare) {
        *out = h->spare;
        h->spare = NULL;
    } else if (h->store == NULL) {
        rc = err_set(err, HF_UNAVAILABLE, "the store is not open");
    } else {
        rc = h->store->ops->clone(h->store, out, err);
    }
    pthread_mutex_unlock(&h->mutex);
    return rc;
}

/* Keeps the connection for the next wait, unless it broke. */
static void
give_back_store(hf *h, struct store *s, bool broken)
{
    pthread_mutex_lock(&h->mutex);
    if (h->spare == NULL && !broken) {
        h->spare = s;
        s = NULL;
    }
    pthread_mutex_unlock(&h->mutex);
    if (s)
        s->ops->close(s);
}

/* The code that says how a run has ended. */
static int
outcome(const struct run_row *run, struct err *err)
{
    const char *name = run->error_name ? run->error_name : "";
    const char *text = run->error_message ? run->error_message : "";
    const char *gap = name[0] && text[0] ? ": " : "";

    switch (run->status) {
    case RUN_COMPLETED:
        return HF_OK;
    case RUN_CANCELLED:
        return err_set(err, HF_CANCELLED, "run %s was cancelled%s%s", run->id, text[0] ? ": " : "",
                       text);
    case RUN_TERMINATED:
        return err_set(err, HF_TERMINATED, "run %s was terminated%s%s", run->id,
                       text[0] ? ": " : "", text);
    case RUN_FAILED:
        return err_set(err, HF_FAILED, "run %s failed: %s%s%s", run->id, name, gap, text);
    default:
        return err_set(err, HF_TIMEOUT, "run %s has not ended, it is %s", run->id,
                       run_status_name(run->status));
    }
}

static int64_t
deadline_after(int64_t timeout_ms)
{
    int64_t now_us = clock_steady_us();
    if (timeout_ms < 0 || timeout_ms > (INT64_MAX - now_us) / US_PER_MS)
        return INT64_MAX;
    return now_us + timeout_ms * US_PER_MS;
}

static int
wait_run(hf *h, const char *run, const char *token, int64_t timeout_ms, struct arena *a,
         hf_info **out, struct err *err)
{
    struct run_row row = {0};
    struct store  *s = NULL;

    TRY(id_check_name("run", run, err));
    if (timeout_ms < -1)
        return err_set(err, HF_INVALID, "timeout_ms: %lld; -1 means for ever",
                       (long long)timeout_ms);
    TRY(borrow_store(h, &s, err));
    /* In a test nobody works while this thread waits: say how it is. */
    int64_t deadline_us = h->test ? clock_steady_us() : deadline_after(timeout_ms);
    int     rc = s->ops->wait_result(s, run, token, deadline_us, a, &row, err);
    give_back_store(h, s, rc == HF_UNAVAILABLE || rc == HF_CORRUPT);
    if (rc != HF_OK && (rc != HF_TIMEOUT || row.id == NULL))
        return rc;
    if (out)
        TRY(info_make(&row, out, err));
    return rc == HF_TIMEOUT ? err_set(err, HF_TIMEOUT, "run %s has not ended, it is %s", run,
                                      run_has_ended(row.status) ? "about to begin anew"
                                                                : run_status_name(row.status))
                            : outcome(&row, err);
}

int
client_wait(hf *h, const char *run, const char *token, int64_t timeout_ms, hf_info **out)
{
    struct arena a = {0};
    struct err   err = {0};

    if (out)
        *out = NULL;
    if (token && token[0] == '\0')
        token = NULL;
    int rc = wait_run(h, run, token, timeout_ms, &a, out, &err);
    arena_release(&a);
    return rc ? handle_fail(h, &err) : HF_OK;
}

int
hf_wait(hf *h, const char *run, int64_t timeout_ms, hf_info **out)
{
    return client_wait(h, run, NULL, timeout_ms, out);
}
