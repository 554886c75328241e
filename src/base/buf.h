/*
 * A growing byte buffer, for building JSON and text. A failed allocation sets `failed` and drops
 * what follows, so that a long build is checked once at its end. data is always NUL-terminated once
 * something was put.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "holdfast.h"

struct buf {
    char  *data;
    size_t len, size;
    int    failed;
};

/* {0} is an empty buffer. */
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* empty, keeps its memory */

void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_int(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) HF_PRINTF(2, 3);

/* A JSON string with its quotes; NULL gives null. UTF-8 passes through, control characters are
 * escaped. */
void buf_json(struct buf *b, const char *text);
void buf_json_n(struct buf *b, const char *text, size_t n);

#endif
