/*
 * Retry policies: how often, how long, and what is final. A policy is a value, made of three layers
 * field by field: the call's options, the handler's, the defaults.
 */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* 100 years: the longest time that an option may ask for, so that no sum overflows. */
#define POLICY_TIME_MAX_MS (100LL * 366 * HF_DAY)

struct policy {
    int         max_attempts; /* -1: without limit */
    int64_t     first_delay_ms, max_delay_ms;
    double      factor, jitter;
    int64_t     timeout_ms, deadline_ms; /* 0: none */
    int         on_crash;
    const char *no_retry; /* names with commas, NULL: none */
};

/* call and handler may be NULL. Texts are borrowed from them. */
struct policy policy_resolve(const hf_opt *call, const hf_opt *handler);

/* HF_INVALID with the name of the option that is out of range. NULL is fine. */
int policy_check(const hf_opt *opt, struct err *err);

/* The wait after attempt n has failed, with jitter taken from random. The growth is capped, so no
 * attempt number overflows. Exponential backoff with proportional jitter. */
int64_t policy_delay_ms(const struct policy *p, int attempt, uint64_t random);

/* Whether an attempt that failed with this error is tried again. */
bool policy_retries(const struct policy *p, int attempt, const char *error_name);

/* Options as stored in a task row: a JSON object of those that were given; nothing is put if there
 * are none. */
int policy_encode(const hf_opt *opt, struct buf *out, struct err *err);
/* text may be NULL. Strings go to the arena. HF_CORRUPT. */
int policy_decode(const char *text, struct arena *a, hf_opt *out, struct err *err);

/* A copy with its texts, for keeping; NULL for NULL. *failed if memory is out. */
const hf_opt *policy_copy(const hf_opt *opt, struct arena *a, bool *failed);

#endif
