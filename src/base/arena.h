/*
 * An arena: memory that is freed all at once, one per unit of work (a turn, a batch, a command, a
 * result). Not thread-safe. Blocks grow from small to 64 KiB. Under AddressSanitizer every
 * allocation is a malloc of its own, so that an overrun is seen.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "holdfast.h"

struct arena {
    struct arena_block *head;       /* newest first */
    size_t              used, size; /* of head */
    size_t              total;      /* bytes of all blocks */
};

/* {0} is an empty arena. */
void arena_release(struct arena *a); /* frees all; the arena is empty and usable again */
void arena_reset(struct arena *a);   /* like release, but keeps one block of at most 64 KiB for the
                                        next unit of work */

/* All return NULL when memory is out. Aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *text);            /* NULL for NULL */
char *arena_strndup(struct arena *a, const char *text, size_t n); /* adds the NUL */
char *arena_printf(struct arena *a, const char *fmt, ...) HF_PRINTF(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

#endif
