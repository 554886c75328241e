/* The fold of a history. */
#include "core/run.h"

#include <stdlib.h>
#include <string.h>

int
run_init(struct run *r, const struct run_row *row, struct err *err)
{
    bool failed = false;

    *r = (struct run){.row = *row};
    const char **texts[] = {&r->row.id,           &r->row.workflow, &r->row.queue,
                            &r->row.input,        &r->row.token,    &r->row.parent_ref,
                            &r->row.custom,       &r->row.output,   &r->row.error_name,
                            &r->row.error_message};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *old = *texts[i];
        *texts[i] = arena_strdup(&r->arena, old);
        failed = failed || (old && *texts[i] == NULL);
    }
    r->input = r->row.input;
    r->custom = r->row.custom;
    r->main_branch = failed ? NULL : run_branch(r, "0");
    if (r->main_branch == NULL) {
        run_release(r);
        return err_nomem(err);
    }
    return HF_OK;
}

void
run_release(struct run *r)
{
    buf_release(&r->out);
    arena_release(&r->arena);
    *r = (struct run){0};
}

struct branch *
run_branch(struct run *r, const char *path)
{
    struct branch *from = r->last_found ? r->last_found : r->branches;
    for (struct branch *b = from; b; b = b->next)
        if (strcmp(b->path, path) == 0)
            return r->last_found = b;
    for (struct branch *b = r->branches; b != from; b = b->next)
        if (strcmp(b->path, path) == 0)
            return r->last_found = b;
    struct branch *b = arena_zalloc(&r->arena, sizeof(*b));
    if (b == NULL || (b->path = arena_strdup(&r->arena, path)) == NULL)
        return NULL;
    struct branch **end = r->last_found
                              ? &r->last_found->next
                              : &r->branches; /* order does not matter: the search goes round */
    b->next = *end;
    *end = b;
    return r->last_found = b;
}

struct call *
run_new_call(struct run *r, struct branch *b, uint32_t n, int kind)
{
    if (n > b->size) {
        uint32_t size = b->size ? b->size * 2 : 8;
        while (size < n)
            size *= 2;
        struct call **calls = arena_zalloc(&r->arena, size * sizeof(struct call *));
        if (calls == NULL)
            return NULL;
        if (b->size)
            memcpy(calls, b->calls, b->size * sizeof(struct call *));
        b->calls = calls;
        b->size = size;
    }
    struct call *c = arena_zalloc(&r->arena, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->kind = kind;
    c->n = n;
    c->branch = b;
    b->calls[n - 1] = c;
    if (n > b->n)
        b->n = n;
    return c;
}

static void
close_call(struct run *r, struct call *c)
{
    if (c->closed)
        return;
    c->closed = true;
    *(c->open_prev ? &c->open_prev->open_next : &r->open) = c->open_next;
    *(c->open_next ? &c->open_next->open_prev : &r->open_tail) = c->open_prev;
    c->open_prev = c->open_next = NULL;
}

static void
settle(struct call *c, uint32_t order, int code, int64_t time_ms)
{
    if (c->settled)
        return;
    c->settled = order;
    c->code = code;
    c->time_ms = time_ms;
}

static void
settle_cancelled(struct run *r, struct call *c, int64_t time_ms)
{
    if (!c->settled) {
        c->error_name = "cancelled";
        c->message = r->cancel_reason;
    }
    settle(c, r->order, HF_CANCELLED, time_ms);
    if (c->kind == CALL_TIMER || c->kind == CALL_SIGNAL)
        close_call(r, c);
}

/* Gives the signal that came first to a wait. */
static bool
take_signal(struct run *r, struct call *c)
{
    for (struct signal **p = &r->signals, *prev = NULL; *p; prev = *p, p = &(*p)->next) {
        struct signal *s = *p;
        if (strcmp(s->name, c->name) != 0)
            continue;
        *p = s->next;
        if (r->signals_tail == s)
            r->signals_tail = prev;
        c->output = s->payload;
        settle(c, s->order, HF_OK, s->time_ms);
        close_call(r, c);
        return true;
    }
    return false;
}

void
run_add_call(struct run *r, struct call *c)
{
    c->open_prev = r->open_tail;
    *(r->open_tail ? &r->open_tail->open_next : &r->open) = c;
    r->open_tail = c;
    if (c->kind == CALL_SIGNAL && take_signal(r, c))
        return;
    if (c->detached)
        close_call(r, c);
    else if (r->cancel_order && !c->shielded && !c->settled)
        settle_cancelled(r, c, r->started_ms);
}

/* Splits "0.3.1" into the branch "0.3" and the number 1; 0 if it is no ref. */
static uint32_t
split_ref(const char *ref, char path[HF_ID_SIZE])
{
    const char *dot = ref ? strrchr(ref, '.') : NULL;
    size_t      len = dot ? (size_t)(dot - ref) : 0;
    if (len == 0 || len >= HF_ID_SIZE)
        return 0;
    memcpy(path, ref, len);
    path[len] = '\0';
    unsigned long n = strtoul(dot + 1, NULL, 10);
    return n > 0 && n <= 10000000 ? (uint32_t)n : 0;
}

struct call *
run_find(struct run *r, const char *ref)
{
    char     path[HF_ID_SIZE];
    uint32_t n = split_ref(ref, path);
    if (n == 0)
        return NULL;
    struct branch *b = strcmp(path, "0") == 0 ? r->main_branch : run_branch(r, path);
    return b && n <= b->n ? b->calls[n - 1] : NULL;
}

const char *
call_ref(const struct call *c, struct arena *a)
{
    return arena_printf(a, "%s.%u", c->branch->path, c->n);
}

/* A call that an event of history says was made. */
static int
apply_command(struct run *r, const struct event *e, int kind, struct err *err)
{
    char     path[HF_ID_SIZE];
    uint32_t n = split_ref(e->ref, path);

    if (n == 0)
        return err_set(err, HF_CORRUPT, "history: '%.40s' is no ref", e->ref ? e->ref : "");
    struct branch *b = run_branch(r, path);
    if (b == NULL)
        return err_nomem(err);
    if (n <= b->n && b->calls[n - 1])
        return err_set(err, HF_CORRUPT, "history: %s is there twice", e->ref);
    struct call *c = run_new_call(r, b, n, kind);
    if (c == NULL)
        return err_nomem(err);
    c->name = e->name;
    c->input = e->input;
    c->run_id = e->run_id;
    c->due_ms = e->due_ms;
    c->shielded = e->flags & EVENT_SHIELDED;
    c->detached = e->flags & EVENT_DETACHED;
    run_add_call(r, c);
    if (kind == CALL_STEP) {
        c->output = e->output;
        c->error_name = e->error_name;
        c->message = e->message;
        c->settled = 0;
        settle(c, r->order, e->code, e->time_ms);
        close_call(r, c);
    }
    return HF_OK;
}

/* A call has ended. */
static int
apply_end(struct run *r, const struct event *e, struct err *err)
{
    struct call *c = run_find(r, e->ref);

    if (c == NULL)
        return err_set(err, HF_CORRUPT, "history: a result for %.40s, which was never called",
                       e->ref ? e->ref : "");
    if (e->kind == EVENT_SENT) {
        c->sent = true;
        return HF_OK;
    }
    if (!c->settled) {
        c->output = e->output;
        c->error_name = e->error_name;
        c->message = e->message;
        c->attempts = e->attempts;
        if (e->kind == EVENT_FIRED && c->kind == CALL_SIGNAL)
            c->error_name = "timeout", c->message = c->name;
    }
    int code = e->kind == EVENT_DONE || (e->kind == EVENT_FIRED && c->kind == CALL_TIMER) ? HF_OK
               : e->kind == EVENT_FIRED ? HF_TIMEOUT
               : e->code                ? e->code
                                        : HF_FAILED;
    settle(c, r->order, code, e->time_ms);
    close_call(r, c);
    return HF_OK;
}

static int
apply_key(struct run *r, const struct event *e, struct err *err)
{
    struct key *k = arena_zalloc(&r->arena, sizeof(*k));
    if (k == NULL)
        return err_nomem(err);
    *k = (struct key){e->key, r->keys};
    r->keys = k;
    return HF_OK;
}

static int
apply_signal(struct run *r, const struct event *e, struct err *err)
{
    if (e->key)
        TRY(apply_key(r, e, err));
    for (struct call *c = r->open; c; c = c->open_next)
        if (c->kind == CALL_SIGNAL && !c->settled && strcmp(c->name, e->name) == 0) {
            c->output = e->output;
            settle(c, r->order, HF_OK, e->time_ms);
            close_call(r, c);
            return HF_OK;
        }
    struct signal *s = arena_zalloc(&r->arena, sizeof(*s));
    if (s == NULL)
        return err_nomem(err);
    *s = (struct signal){e->name, e->output, e->key, r->order, e->time_ms, NULL};
    *(r->signals_tail ? &r->signals_tail->next : &r->signals) = s;
    r->signals_tail = s;
    return HF_OK;
}

static int
apply_cancel(struct run *r, const struct event *e)
{
    if (r->cancel_order)
        return HF_OK;
    r->cancel_order = r->order;
    r->cancel_reason = e->message;
    for (struct call *c = r->open, *next; c; c = next) {
        next = c->open_next;
        if (!c->shielded)
            settle_cancelled(r, c, e->time_ms);
    }
    return HF_OK;
}

static int
apply_patch(struct run *r, const struct event *e, struct err *err)
{
    struct patch *p = arena_zalloc(&r->arena, sizeof(*p));
    if (p == NULL)
        return err_nomem(err);
    p->label = e->name;
    p->next = r->patches;
    r->patches = p;
    return HF_OK;
}

static int
apply_started(struct run *r, const struct event *e)
{
    r->started_ms = e->time_ms;
    if (r->row.execution > 1)
        r->input = e->input;
    if (e->version)
        r->row.version = e->version;
    return HF_OK;
}

int
run_apply(struct run *r, const struct event *e, struct err *err)
{
    static const int call_kinds[EVENT_KINDS_COUNT] = {
        [EVENT_CALL] = CALL_TASK,   [EVENT_TIMER] = CALL_TIMER, [EVENT_WAIT] = CALL_SIGNAL,
        [EVENT_CHILD] = CALL_CHILD, [EVENT_STEP] = CALL_STEP,
    };
    bool needs_name = e->kind == EVENT_CALL || e->kind == EVENT_WAIT || e->kind == EVENT_CHILD ||
                      e->kind == EVENT_STEP || e->kind == EVENT_SIGNAL || e->kind == EVENT_PATCH;
    if (needs_name && e->name == NULL)
        return err_set(err, HF_CORRUPT, "history: %s without a name", event_kind_name(e->kind));
    r->order++;
    r->history_events++;
    switch (e->kind) {
    case EVENT_STARTED:
        return apply_started(r, e);
    case EVENT_CALL:
    case EVENT_TIMER:
    case EVENT_WAIT:
    case EVENT_CHILD:
    case EVENT_STEP:
        if (!(e->flags & EVENT_SQL)) /* else the code behind it may not have been there yet */
            r->last_command = r->order;
        return apply_command(r, e, call_kinds[e->kind], err);
    case EVENT_SENT:
    case EVENT_DONE:
    case EVENT_ERROR:
    case EVENT_FIRED:
        return apply_end(r, e, err);
    case EVENT_SIGNAL:
        return apply_signal(r, e, err);
    case EVENT_KEY:
        return e->key ? apply_key(r, e, err)
                      : err_set(err, HF_CORRUPT, "history: a key without text");
    case EVENT_CANCEL:
        return apply_cancel(r, e);
    case EVENT_PATCH:
        r->last_command = r->order;
        return apply_patch(r, e, err);
    default: /* the ends: the row's status says it */
        return HF_OK;
    }
}

/* Whether an event from outside still means something. */
static bool
is_late(struct run *r, const struct event *e)
{
    if (e->kind == EVENT_CANCEL)
        return r->cancel_order != 0;
    if (e->kind == EVENT_SIGNAL && e->key) {
        for (const struct key *k = r->keys; k; k = k->next)
            if (strcmp(k->text, e->key) == 0)
                return true;
        return false;
    }
    if (e->kind == EVENT_DONE || e->kind == EVENT_ERROR || e->kind == EVENT_FIRED ||
        e->kind == EVENT_SENT) {
        struct call *c = run_find(r, e->ref);
        return c == NULL || c->closed || (e->kind == EVENT_SENT && c->sent);
    }
    return false;
}

/* What comes before the first turn stands behind the beginning, which gives the run its time. */
static int
record_start(struct run *r, int64_t time_ms, struct err *err)
{
    struct event e = {.kind = EVENT_STARTED, .version = r->row.version, .time_ms = time_ms};
    TRY(run_apply(r, &e, err));
    run_append(r, &e);
    return HF_OK;
}

int
run_record(struct run *r, const struct event *e, bool *taken, struct err *err)
{
    struct event copy = *e;
    bool         failed = false, late = is_late(r, e);

    if (taken)
        *taken = !late;
    if (late)
        return HF_OK;
    const char **texts[] = {&copy.ref,        &copy.name,    &copy.input, &copy.output,
                            &copy.error_name, &copy.message, &copy.key};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *old = *texts[i];
        *texts[i] = arena_strdup(&r->arena, old);
        failed = failed || (old && *texts[i] == NULL);
    }
    if (failed)
        return err_nomem(err);
    if (r->order == 0 && e->kind != EVENT_STARTED)
        TRY(record_start(r, e->time_ms, err));
    TRY(run_apply(r, &copy, err));
    run_append(r, &copy);
    return r->out.failed ? err_nomem(err) : HF_OK;
}

void
run_append(struct run *r, const struct event *e)
{
    if (r->out.len == 0) {
        r->out_last_ms = 0;
        r->row_begin = 0;
    } else if (r->out.len - r->row_begin > HF_ROW_MAX - 2 * HF_PAYLOAD_MAX - 64 * 1024) {
        buf_puts(&r->out, "]\n"); /* one more event might not fit: escaped, a payload can grow */
        r->row_begin = r->out.len;
        r->out_last_ms = 0;
    }
    event_encode(&r->out, e, &r->out_last_ms);
}

int
run_load(struct run *r, const struct history_row *rows, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct event *events;
        size_t        n_events;
        TRY(event_decode(rows[i].events, rows[i].events_len, &r->arena, &events, &n_events, err));
        for (size_t k = 0; k < n_events; k++)
            TRY(run_apply(r, &events[k], err));
        if (rows[i].seq != r->seq + 1)
            return err_set(err, HF_CORRUPT, "history: row %d follows row %d", rows[i].seq, r->seq);
        r->seq = rows[i].seq;
        r->history_bytes += rows[i].events_len;
    }
    r->horizon = r->last_command;
    return HF_OK;
}

void
run_take_back(struct run *r)
{
    if (r->out.len > r->mark) {
        r->out.len = r->mark;
        r->out.data[r->mark] = '\0';
    }
    r->out.failed = 0;
    r->to_start = NULL;
}

int64_t
run_next_due_ms(const struct run *r)
{
    int64_t due = 0;
    for (const struct call *c = r->open; c; c = c->open_next)
        if (c->due_ms && !c->settled && (due == 0 || c->due_ms < due))
            due = c->due_ms;
    return due;
}

bool
run_needs_owner(const struct run *r)
{
    for (const struct call *c = r->open; c; c = c->open_next)
        if (c->kind == CALL_TASK && !c->sent)
            return true;
    return false;
}

bool
run_has_open_work(const struct run *r)
{
    for (const struct call *c = r->open; c; c = c->open_next)
        if (c->kind == CALL_TASK || c->kind == CALL_CHILD)
            return true;
    return false;
}

size_t
run_unread(const struct run *r)
{
    size_t n = 0;
    for (const struct signal *s = r->signals; s; s = s->next)
        n++;
    return n;
}
