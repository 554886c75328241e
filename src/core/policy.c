/* Retry policies. */
#include "core/policy.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const hf_opt builtin = {
    .max_attempts = 5,
    .first_delay_ms = 1000,
    .factor = 2,
    .max_delay_ms = 60000,
    .jitter = 0.1,
};

static const hf_opt none = {0};

/* The first of the three layers that says something. */
#define LAYER(field) (call->field ? call->field : handler->field ? handler->field : builtin.field)

struct policy
policy_resolve(const hf_opt *call, const hf_opt *handler)
{
    call = call ? call : &none;
    handler = handler ? handler : &none;
    struct policy p = {
        .max_attempts = LAYER(max_attempts),
        .first_delay_ms = LAYER(first_delay_ms),
        .max_delay_ms = LAYER(max_delay_ms),
        .factor = LAYER(factor),
        .jitter = LAYER(jitter),
        .timeout_ms = LAYER(timeout_ms),
        .deadline_ms = LAYER(deadline_ms),
        .on_crash = LAYER(on_crash),
        .no_retry = LAYER(no_retry),
    };
    if (p.jitter < 0)
        p.jitter = 0;
    return p;
}

int
policy_check(const hf_opt *o, struct err *err)
{
    if (o == NULL)
        return HF_OK;
    if (o->max_attempts < -1)
        return err_set(err, HF_INVALID, "max_attempts: %d, at least -1", o->max_attempts);
    if (o->timeout_ms < 0 || o->deadline_ms < 0 || o->delay_ms < 0)
        return err_set(err, HF_INVALID, "timeout_ms, deadline_ms, delay_ms: not below 0");
    if (o->first_delay_ms < 0 || o->max_delay_ms < 0)
        return err_set(err, HF_INVALID, "first_delay_ms, max_delay_ms: not below 0");
    const int64_t times[] = {o->timeout_ms, o->deadline_ms, o->delay_ms, o->first_delay_ms,
                             o->max_delay_ms};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (times[i] > POLICY_TIME_MAX_MS)
            return err_set(err, HF_INVALID, "%lld ms: at most 100 years", (long long)times[i]);
    if (!(o->factor == 0 || (o->factor >= 1 && o->factor <= 1000)))
        return err_set(err, HF_INVALID, "factor: %g, 1 to 1000", o->factor);
    if (!(o->jitter <= 1))
        return err_set(err, HF_INVALID, "jitter: %g, at most 1", o->jitter);
    if (o->on_crash != HF_RETRY && o->on_crash != HF_FAIL)
        return err_set(err, HF_INVALID, "on_crash: HF_RETRY or HF_FAIL");
    if (o->class_ < 0 || o->class_ > HF_BULK)
        return err_set(err, HF_INVALID, "class_: HF_URGENT, HF_NORMAL or HF_BULK");
    return HF_OK;
}

int64_t
policy_delay_ms(const struct policy *p, int attempt, uint64_t random)
{
    double wait = (double)p->first_delay_ms * pow(p->factor, attempt > 1 ? attempt - 1 : 0);
    if (!(wait < (double)p->max_delay_ms))
        wait = (double)p->max_delay_ms;
    double unit = (double)(random >> 11) / 9007199254740992.0; /* 2^53: [0, 1) */
    wait *= 1 + p->jitter * (2 * unit - 1);
    return wait < (double)POLICY_TIME_MAX_MS ? (int64_t)wait : POLICY_TIME_MAX_MS;
}

static bool
names_contain(const char *names, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = names; p && *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, name, n) == 0)
            return true;
        p += len + (p[len] == ',');
        p += strspn(p, " ");
    }
    return false;
}

bool
policy_retries(const struct policy *p, int attempt, const char *error_name)
{
    if (p->max_attempts >= 0 && attempt >= p->max_attempts)
        return false;
    return !(p->no_retry && error_name && names_contain(p->no_retry, error_name));
}

/* One row an option: its member in the JSON, its place in hf_opt, its type. */
enum option_type { OPTION_INT, OPTION_INT64, OPTION_DOUBLE, OPTION_TEXT };
static const struct {
    const char      *member;
    size_t           offset;
    enum option_type type;
} options[] = {
    {"max_attempts", offsetof(hf_opt, max_attempts), OPTION_INT},
    {"on_crash", offsetof(hf_opt, on_crash), OPTION_INT},
    {"timeout_ms", offsetof(hf_opt, timeout_ms), OPTION_INT64},
    {"deadline_ms", offsetof(hf_opt, deadline_ms), OPTION_INT64},
    {"first_delay_ms", offsetof(hf_opt, first_delay_ms), OPTION_INT64},
    {"max_delay_ms", offsetof(hf_opt, max_delay_ms), OPTION_INT64},
    {"factor", offsetof(hf_opt, factor), OPTION_DOUBLE},
    {"jitter", offsetof(hf_opt, jitter), OPTION_DOUBLE},
    {"no_retry", offsetof(hf_opt, no_retry), OPTION_TEXT},
};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

int
policy_encode(const hf_opt *opt, struct buf *out, struct err *err)
{
    size_t begin = out->len;

    for (int i = 0; opt && i < OPTIONS; i++) {
        const char      *at = (const char *)opt + options[i].offset;
        enum option_type type = options[i].type;
        const char      *text = type == OPTION_TEXT ? *(const char *const *)at : NULL;
        int64_t          whole = type == OPTION_INT     ? *(const int *)at
                                 : type == OPTION_INT64 ? *(const int64_t *)at
                                                        : 0;
        double           real = type == OPTION_DOUBLE ? *(const double *)at : 0;
        if (text == NULL && whole == 0 && real == 0)
            continue;
        buf_printf(out, "%c\"%s\":", out->len == begin ? '{' : ',', options[i].member);
        if (text)
            buf_json(out, text);
        else if (type == OPTION_DOUBLE)
            buf_printf(out, "%.17g", real);
        else
            buf_int(out, whole);
    }
    if (out->len > begin)
        buf_putc(out, '}');
    return out->failed ? err_nomem(err) : HF_OK;
}

int
policy_decode(const char *text, struct arena *a, hf_opt *out, struct err *err)
{
    *out = (hf_opt){.size = sizeof(*out)};
    if (text == NULL)
        return HF_OK;
    json_t *o = json_loads(text, 0, NULL);
    if (!json_is_object(o)) {
        json_decref(o);
        return err_set(err, HF_CORRUPT, "task options: no JSON object");
    }
    int rc = HF_OK;
    for (int i = 0; i < OPTIONS; i++) {
        json_t *v = json_object_get(o, options[i].member);
        char   *at = (char *)out + options[i].offset;
        if (v == NULL)
            continue;
        if (options[i].type == OPTION_TEXT) {
            const char *s = json_string_value(v), *copy = arena_strdup(a, s);
            if (s && copy == NULL)
                rc = err_nomem(err);
            *(const char **)at = copy;
        } else if (options[i].type == OPTION_DOUBLE) {
            *(double *)at = json_number_value(v);
        } else if (options[i].type == OPTION_INT) {
            *(int *)at = (int)json_integer_value(v);
        } else {
            *(int64_t *)at = json_integer_value(v);
        }
    }
    json_decref(o);
    return rc;
}

const hf_opt *
policy_copy(const hf_opt *opt, struct arena *a, bool *failed)
{
    if (opt == NULL)
        return NULL;
    hf_opt *copy = arena_alloc(a, sizeof(*copy));
    if (copy == NULL) {
        *failed = true;
        return NULL;
    }
    *copy = *opt;
    copy->no_retry = arena_strdup(a, opt->no_retry);
    copy->queue = arena_strdup(a, opt->queue);
    copy->id = arena_strdup(a, opt->id);
    copy->key = NULL;
    if ((opt->no_retry && !copy->no_retry) || (opt->queue && !copy->queue) ||
        (opt->id && !copy->id))
        *failed = true;
    return copy;
}
