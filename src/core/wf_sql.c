/*
 * SQL steps: a statement of the user's whose result is stored in the statement's own transaction.
 * So there is no moment at which one is durable and the other is not, and what the turn has then in
 * memory is stored already: it is appended to nothing. A statement that fails has changed nothing;
 * its error is recorded like that of any step, with the turn.
 */
#include "core/wf.h"

#include <string.h>

#include "base/id.h"
#include "core/json.h"
#include "core/opt.h"

enum { TIMEOUT_MS = 30000 };

/* The history row that goes with the statement. */
struct recording {
    hf_wf       *wf;
    struct event event;
    struct buf   row;
};

static int
record(void *arg, const char *result, const char **events, size_t *len, struct err *err)
{
    struct recording *rec = arg;
    int64_t           last_ms = 0;

    TRY(id_check_payload("result", result, err));
    rec->wf->turn_ms = 0; /* the statement took its time */
    rec->event.output = result;
    rec->event.time_ms = wf_turn_ms(rec->wf);
    buf_clear(&rec->row);
    event_encode(&rec->row, &rec->event, &last_ms);
    buf_putc(&rec->row, ']');
    if (rec->row.failed)
        return err_nomem(err);
    *events = rec->row.data;
    *len = rec->row.len;
    return HF_OK;
}

/* The run is read again: it may be in the store as it is not in memory. */
static int
read_again(hf_wf *wf, int code, const char *why)
{
    return wf_stop(wf, code, TURN_AGAIN, "hf_sql: %s", why);
}

/* What is stored comes into memory as if it had been read. */
static int
take_stored(hf_wf *wf, const struct recording *rec, struct call **out)
{
    struct run  *r = wf->run;
    struct event e = rec->event;
    struct err   err = {0};

    e.name = arena_strdup(&r->arena, e.name);
    e.output = arena_strdup(&r->arena, e.output);
    if (e.name == NULL || e.output == NULL || run_apply(r, &e, &err))
        return read_again(wf, HF_NOMEM, "out of memory");
    r->seq++;
    r->history_bytes += rec->row.len;
    *out = run_find(r, e.ref);
    return HF_OK;
}

/* The statement's own error, as that of a step. */
static int
take_error(hf_wf *wf, const char *name, int code, const struct sql_step *step, const char *text,
           struct call **out)
{
    struct arena *a = &wf->run->arena;
    struct event  e = {.name = name,
                       .code = code,
                       .error_name = arena_strdup(a, code == HF_TIMEOUT    ? "timeout"
                                                     : step->error_name[0] ? step->error_name
                                                                           : "failed"),
                       .message = arena_strdup(a, text)};

    if (e.error_name == NULL || e.message == NULL)
        return wf_nomem(wf);
    return wf_record_step(wf, &e, out);
}

static int
judge(hf_wf *wf, int rc, const struct sql_step *step, const struct recording *rec,
      const struct err *err, struct call **out)
{
    switch (rc) {
    case HF_OK:
        return take_stored(wf, rec, out);
    case HF_FAILED:
    case HF_TIMEOUT:
        return take_error(wf, rec->event.name, rc, step, err->text, out);
    case HF_NOMEM:
    case HF_UNKNOWN:
    case HF_STALE:
    case HF_UNAVAILABLE:
        return read_again(wf, rc, err->text);
    default:
        return wf_stop(wf, rc, TURN_BLOCKED, "hf_sql: %s: %s", rec->event.name, err->text);
    }
}

static int
run_sql(hf_wf *wf, struct sql_step *step, const char *name, struct call **out)
{
    struct run      *r = wf->run;
    struct err       err = {0};
    const char      *result = NULL;
    struct recording rec = {.wf = wf,
                            .event = {.kind = EVENT_STEP, .flags = EVENT_SQL, .name = name}};

    rec.event.ref = arena_printf(wf->env->arena, "%s.%u", wf->branch->path, wf->branch->asked);
    if (rec.event.ref == NULL)
        return wf_nomem(wf);
    step->worker = wf->env->worker;
    step->run_no = r->row.no;
    step->execution = r->row.execution;
    step->seq = r->seq + 1;
    step->record = record;
    step->arg = &rec;
    int rc = wf->env->sql(wf->env->sql_arg, step, wf->env->arena, &result, &err);
    rec.event.output = result;
    rc = judge(wf, rc, step, &rec, &err, out);
    buf_release(&rec.row);
    return rc;
}

static int
read_arguments(hf_wf *wf, const char *name, const char *sql, const char *params, const hf_opt *opt,
               struct sql_step *step)
{
    struct err err = {0};
    hf_opt     known = {0};

    TRY(wf_check_name(wf, "hf_sql", "step", name));
    if (sql == NULL || sql[strspn(sql, " \t\r\n;")] == '\0')
        return wf_stop(wf, HF_INVALID, TURN_BLOCKED, "hf_sql: %s: no statement", name);
    TRY(wf_check_payload(wf, "hf_sql", "statement", sql));
    TRY(wf_check_payload(wf, "hf_sql", "parameters", params));
    int rc = opt ? opt_read(opt, &known, &err) : HF_OK;
    if (rc == HF_OK)
        rc = json_params(params, wf->env->arena, &step->params, &step->n_params, &err);
    if (rc == HF_NOMEM)
        return wf_nomem(wf);
    if (rc)
        return wf_stop(wf, rc, TURN_BLOCKED, "hf_sql: %s: %s", name, err.text);
    step->statement = sql;
    step->params_json = params;
    step->timeout_us = (known.timeout_ms ? known.timeout_ms : TIMEOUT_MS) * US_PER_MS;
    return HF_OK;
}

int
hf_sql_opt(hf_wf *wf, const char *name, const char *sql, const char *params, const char **out,
           const hf_opt *opt)
{
    struct sql_step step = {0};
    struct call    *c;

    if (out)
        *out = NULL;
    TRY(wf_enter(wf, "hf_sql", CALL_STEP, name, &c));
    if (c == NULL) {
        TRY(read_arguments(wf, name, sql, params, opt, &step));
        TRY(wf_need_slot(wf));
        TRY(run_sql(wf, &step, name, &c));
    }
    return wf_outcome(wf, c, out);
}
