/* Log events to the user's callback. */
#include "base/log.h"

#include <stdio.h>

void
log_event(const struct log *log, int level, const char *event, const char *fmt, ...)
{
    char    fields[1000];
    va_list ap;

    if (log == NULL || log->fn == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(fields, sizeof(fields), fmt, ap);
    va_end(ap);
    log->fn(log->arg, level, event, fields);
}
