/* Arena: a list of blocks, the newest in use. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define BLOCK_EACH 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLOCK_EACH 1
#endif
#endif
#ifndef BLOCK_EACH
#define BLOCK_EACH 0
#endif

enum { FIRST_BLOCK = 3 * 1024 - 64, LARGEST_BLOCK = 64 * 1024, ALIGN = alignof(max_align_t) };

struct arena_block {
    struct arena_block *next;
    size_t              size;
    alignas(max_align_t) char data[];
};

void
arena_release(struct arena *a)
{
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    *a = (struct arena){0};
}

void
arena_reset(struct arena *a)
{
    struct arena_block *keep = a->head;

    if (BLOCK_EACH || keep == NULL || keep->size > LARGEST_BLOCK) {
        arena_release(a);
        return;
    }
    a->head = keep->next;
    arena_release(a);
    keep->next = NULL;
    a->head = keep;
    a->size = a->total = keep->size;
}

static void *
add_block(struct arena *a, size_t size)
{
    size_t want = a->size ? a->size * 2 : FIRST_BLOCK;
    if (want > LARGEST_BLOCK)
        want = LARGEST_BLOCK;
    if (BLOCK_EACH || want < size)
        want = size;
    struct arena_block *b = mem_alloc(sizeof(*b) + want);
    if (b == NULL)
        return NULL;
    b->size = want;
    a->total += want;
    if (want == size && a->head &&
        !BLOCK_EACH) { /* a large piece of its own: the block in use stays in use */
        b->next = a->head->next;
        a->head->next = b;
        return b->data;
    }
    b->next = a->head;
    a->head = b;
    a->size = want;
    a->used = size;
    return b->data;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
    if (BLOCK_EACH || a->head == NULL || a->size - a->used < size)
        return add_block(a, size ? size : ALIGN);
    void *p = a->head->data + a->used;
    a->used += size;
    return p;
}

void *
arena_zalloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);
    return p ? memset(p, 0, size) : NULL;
}

char *
arena_strndup(struct arena *a, const char *text, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    if (p) {
        memcpy(p, text, n);
        p[n] = '\0';
    }
    return p;
}

char *
arena_strdup(struct arena *a, const char *text)
{
    return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int   n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}
