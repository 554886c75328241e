/* People at the terminal of a long command: a line of progress for them, and their interrupt. */
#ifndef BENCH_WATCH_H
#define BENCH_WATCH_H

#include <stdbool.h>

#include "base/err.h"

/* Over the last one, on a terminal; "" takes it away. */
void watch_say(const char *fmt, ...) HF_PRINTF(1, 2);

/* From now on SIGINT and SIGTERM ask to stop; a second one ends the process. */
void watch_interrupts(void);
bool watch_stopped(void);

#endif
