/* System and fake clocks. */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t
read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

int64_t
clock_system_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t
clock_steady_us(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t
clock_now_us(const struct clock *c)
{
    return c && c->now_us ? c->now_us(c->arg) : clock_system_us();
}

static int64_t
read_fake(void *arg)
{
    return __atomic_load_n((int64_t *)arg, __ATOMIC_ACQUIRE);
}

struct clock
clock_fake(int64_t *us)
{
    return (struct clock){read_fake, us};
}
