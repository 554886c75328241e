/* Growing buffer and JSON strings. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void
buf_release(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){0};
}

void
buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = 0;
    if (b->data)
        b->data[0] = '\0';
}

/* Room for n more bytes and a NUL; NULL when memory is out. */
static char *
room(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (b->size - b->len <= n) {
        size_t size = b->size ? b->size * 2 : 256;
        while (size - b->len <= n)
            size *= 2;
        char *data = mem_realloc(b->data, size);
        if (data == NULL) {
            b->failed = 1;
            return NULL;
        }
        b->data = data;
        b->size = size;
    }
    return b->data + b->len;
}

void
buf_put(struct buf *b, const void *bytes, size_t n)
{
    char *p = room(b, n);
    if (p == NULL)
        return;
    memcpy(p, bytes, n);
    p[n] = '\0';
    b->len += n;
}

void
buf_puts(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void
buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void
buf_int(struct buf *b, int64_t v)
{
    char     digits[24], *p = digits + sizeof(digits);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--p = '-';
    buf_put(b, p, (size_t)(digits + sizeof(digits) - p));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : room(b, (size_t)n);
    if (p) {
        vsnprintf(p, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void
buf_json_n(struct buf *b, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t            from = 0;

    buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put(b, text + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\')
            buf_put(b, (char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            buf_put(b, "\\n", 2);
        else if (c == '\t')
            buf_put(b, "\\t", 2);
        else
            buf_put(b, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    }
    buf_put(b, text + from, n - from);
    buf_putc(b, '"');
}

void
buf_json(struct buf *b, const char *text)
{
    if (text == NULL)
        buf_put(b, "null", 4);
    else
        buf_json_n(b, text, strlen(text));
}
