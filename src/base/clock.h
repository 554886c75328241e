/*
 * Time. Only this module and the stores ask the system for it; whatever else needs the time is
 * given a clock, so tests stand it still and move it on.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define US_PER_MS 1000LL
#define US_PER_S  1000000LL

struct clock {
    int64_t (*now_us)(void *arg); /* Unix time, microseconds */
    void *arg;
};

int64_t clock_now_us(const struct clock *c); /* NULL is the system's clock */
int64_t clock_system_us(void);               /* Unix time of the system */
int64_t clock_steady_us(
    void); /* since boot, suspends included (CLOCK_BOOTTIME): for leases and durations */

/* A clock that stands still until it is moved: `struct clock c = clock_fake(&us)`. */
struct clock clock_fake(int64_t *us);

#endif
