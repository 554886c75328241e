/* Progress on standard error, and signals. */
#include "bench/watch.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

static void
interrupted(int sig)
{
    stop_asked = 1;
    signal(sig, SIG_DFL);
}

void
watch_interrupts(void)
{
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
}

bool
watch_stopped(void)
{
    return stop_asked;
}

void
watch_say(const char *fmt, ...)
{
    va_list ap;

    if (!isatty(STDERR_FILENO))
        return;
    fputs("\r\033[K", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fflush(stderr);
}
