/*
 * The library's log: a callback. Nothing is printed here.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "holdfast.h"

enum { LOG_DEBUG = 0, LOG_INFO = 1, LOG_WARNING = 2, LOG_ERROR = 3 };

struct log {
    hf_log_fn fn; /* NULL: silent */
    void     *arg;
};

/* fields: "key=value key=value", cut at 1,000 bytes. */
void log_event(const struct log *log, int level, const char *event, const char *fmt, ...)
    HF_PRINTF(4, 5);

#endif
