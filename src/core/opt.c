/* Reading and checking of call options. */
#include "core/opt.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "core/policy.h"

/* Times and delays are kept in microseconds: anything over this many ms would not fit. */
static const int64_t ms_max = INT64_MAX / US_PER_MS / 2;

int
opt_check_queue(const char *queue, struct err *err)
{
    TRY(id_check_name("queue", queue, err));
    if (strchr(queue, ','))
        return err_set(err, HF_INVALID, "queue: comma in it: %s", queue);
    return HF_OK;
}

static int
check_ms(const char *what, int64_t ms, struct err *err)
{
    if (ms < 0)
        return err_set(err, HF_INVALID, "%s: %lld is negative", what, (long long)ms);
    if (ms > ms_max)
        return err_set(err, HF_INVALID, "%s: %lld is out of range", what, (long long)ms);
    return HF_OK;
}

static int
check_numbers(const hf_opt *o, struct err *err)
{
    TRY(policy_check(o, err));
    if (o->if_exists < HF_IF_EXISTS_FAIL || o->if_exists > HF_IF_EXISTS_REPLACE)
        return err_set(err, HF_INVALID, "if_exists: %d is no HF_IF_EXISTS_ value", o->if_exists);
    if (o->version < 0)
        return err_set(err, HF_INVALID, "version: %d is negative", o->version);
    TRY(check_ms("delay_ms", o->delay_ms, err));
    TRY(check_ms("at_ms", o->at_ms, err));
    TRY(check_ms("timeout_ms", o->timeout_ms, err));
    TRY(check_ms("deadline_ms", o->deadline_ms, err));
    TRY(check_ms("first_delay_ms", o->first_delay_ms, err));
    return check_ms("max_delay_ms", o->max_delay_ms, err);
}

static int
check_names(const hf_opt *o, struct err *err)
{
    if (o->id)
        TRY(id_check_name("id", o->id, err));
    if (o->queue)
        TRY(opt_check_queue(o->queue, err));
    if (o->key)
        TRY(id_check_name("key", o->key, err));
    if (o->no_retry && !id_is_utf8(o->no_retry, strlen(o->no_retry)))
        return err_set(err, HF_INVALID, "no_retry: not UTF-8");
    return HF_OK;
}

int
opt_read(const hf_opt *opt, hf_opt *out, struct err *err)
{
    hf_opt o = {0};

    if (opt == NULL) {
        *out = o;
        return HF_OK;
    }
    if (opt->size < sizeof(opt->size))
        return err_set(err, HF_INVALID, "options: size is not set, use HF_OPT");
    memcpy(&o, opt, opt->size < sizeof(o) ? opt->size : sizeof(o));
    for (size_t i = sizeof(o); i < opt->size; i++)
        if (((const char *)opt)[i] != 0)
            return err_set(err, HF_INVALID,
                           "options: the program sets one that this library does not know");
    o.size = sizeof(o);
    TRY(check_numbers(&o, err));
    TRY(check_names(&o, err));
    *out = o;
    return HF_OK;
}
