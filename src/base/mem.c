/* malloc with a test's hook: one relaxed atomic load when the hook is off. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int  hook_on;
static _Atomic long hook_left, hook_seen;
static _Atomic int  hook_forever;

static int
refused(void)
{
    if (!atomic_load_explicit(&hook_on, memory_order_relaxed))
        return 0;
    atomic_fetch_add(&hook_seen, 1);
    long left = atomic_fetch_sub(&hook_left, 1);
    return left == 1 || (left < 1 && atomic_load(&hook_forever));
}

void
mem_fail_at(long n, int forever)
{
    atomic_store(&hook_left, n);
    atomic_store(&hook_forever, forever);
    atomic_store(&hook_seen, 0);
    atomic_store(&hook_on, n > 0);
}

long
mem_count(void)
{
    return atomic_load(&hook_seen);
}

void *
mem_alloc(size_t size)
{
    return refused() ? NULL : malloc(size ? size : 1);
}

void *
mem_zalloc(size_t size)
{
    return refused() ? NULL : calloc(1, size ? size : 1);
}

void *
mem_realloc(void *old, size_t size)
{
    return refused() ? NULL : realloc(old, size ? size : 1);
}

char *
mem_strdup(const char *text)
{
    if (text == NULL)
        return NULL;
    size_t n = strlen(text) + 1;
    char  *copy = mem_alloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

void
mem_free(void *ptr)
{
    free(ptr);
}
