/*
 * Parameters in PostgreSQL's binary format. A scalar is its bytes in network order. An array is a
 * header (dimensions, whether it has nulls, element type, length, lower bound), then each element's
 * length and bytes; the header's place is left free and filled in when the statement is sent.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "store/postgres.h"

enum { HEADER_SIZE = 20 };

void
pg_args_clear(struct pg_args *a)
{
    for (int i = 0; i < a->n; i++) {
        struct pg_arg *arg = &a->arg[i];
        if (arg->data.size > PG_ARG_KEEP_MAX)
            buf_release(&arg->data);
        else
            buf_clear(&arg->data);
        arg->null = arg->array = arg->has_null = false;
        arg->n = 0;
    }
    a->n = 0;
}

void
pg_args_release(struct pg_args *a)
{
    for (int i = 0; i < PG_ARGS_MAX; i++)
        buf_release(&a->arg[i].data);
    a->n = 0;
}

static struct pg_arg *
next(struct pg_args *a, enum pg_type type)
{
    assert(a->n < PG_ARGS_MAX);
    a->arg[a->n].type = (uint8_t)type;
    return &a->arg[a->n++];
}

static void
put16(struct buf *b, int16_t v)
{
    uint16_t raw = htobe16((uint16_t)v);
    buf_put(b, &raw, sizeof(raw));
}

static void
put32(struct buf *b, int32_t v)
{
    uint32_t raw = htobe32((uint32_t)v);
    buf_put(b, &raw, sizeof(raw));
}

static void
put64(struct buf *b, int64_t v)
{
    uint64_t raw = htobe64((uint64_t)v);
    buf_put(b, &raw, sizeof(raw));
}

void
pg_put_bool(struct pg_args *a, bool v)
{
    buf_put(&next(a, PG_BOOL)->data, v ? "\1" : "\0", 1);
}

void
pg_put_int2(struct pg_args *a, int v)
{
    put16(&next(a, PG_INT2)->data, (int16_t)v);
}

void
pg_put_int4(struct pg_args *a, int32_t v)
{
    put32(&next(a, PG_INT4)->data, v);
}

void
pg_put_int8(struct pg_args *a, int64_t v)
{
    put64(&next(a, PG_INT8)->data, v);
}

void
pg_put_int8_unless(struct pg_args *a, int64_t v, int64_t none)
{
    if (v == none)
        pg_put_null(a);
    else
        pg_put_int8(a, v);
}

void
pg_put_text(struct pg_args *a, const char *text)
{
    if (text)
        pg_put_text_n(a, text, strlen(text));
    else
        pg_put_null(a);
}

void
pg_put_text_n(struct pg_args *a, const char *text, size_t n)
{
    buf_put(&next(a, PG_TEXT)->data, text, n);
}

void
pg_put_null(struct pg_args *a)
{
    next(a, PG_TEXT)->null = true;
}

int
pg_array(struct pg_args *a, enum pg_type type)
{
    static const char header[HEADER_SIZE];
    struct pg_arg    *arg = next(a, type);
    arg->array = true;
    buf_put(&arg->data, header, sizeof(header));
    return a->n - 1;
}

static struct buf *
add(struct pg_args *a, int array, int32_t len)
{
    struct pg_arg *arg = &a->arg[array];
    assert(arg->array);
    arg->n++;
    put32(&arg->data, len);
    return &arg->data;
}

void
pg_add_bool(struct pg_args *a, int array, bool v)
{
    buf_put(add(a, array, 1), v ? "\1" : "\0", 1);
}

void
pg_add_int2(struct pg_args *a, int array, int v)
{
    put16(add(a, array, 2), (int16_t)v);
}

void
pg_add_int4(struct pg_args *a, int array, int32_t v)
{
    put32(add(a, array, 4), v);
}

void
pg_add_int8(struct pg_args *a, int array, int64_t v)
{
    put64(add(a, array, 8), v);
}

void
pg_add_int8_unless(struct pg_args *a, int array, int64_t v, int64_t none)
{
    if (v == none)
        pg_add_null(a, array);
    else
        pg_add_int8(a, array, v);
}

void
pg_add_text(struct pg_args *a, int array, const char *text)
{
    if (text)
        pg_add_text_n(a, array, text, strlen(text));
    else
        pg_add_null(a, array);
}

void
pg_add_text_n(struct pg_args *a, int array, const char *text, size_t n)
{
    buf_put(add(a, array, (int32_t)n), text, n);
}

void
pg_add_null(struct pg_args *a, int array)
{
    add(a, array, -1);
    a->arg[array].has_null = true;
}

/* An array without elements has no dimension. */
static void
close_array(struct pg_arg *arg)
{
    static const int32_t oids[] = {[PG_BOOL] = 16, [PG_INT2] = 21, [PG_INT4] = 23,
                                   [PG_INT8] = 20, [PG_TEXT] = 25, [PG_XID8] = 5069};
    uint32_t             header[5] = {htobe32(arg->n > 0), htobe32(arg->has_null),
                                      htobe32((uint32_t)oids[arg->type]), htobe32((uint32_t)arg->n),
                                      htobe32(1)};
    memcpy(arg->data.data, header, sizeof(header));
    if (arg->n == 0)
        arg->data.len = 12;
}

int
pg_args_values(struct pg_args *a, const char *values[], int lengths[], int formats[])
{
    for (int i = 0; i < a->n; i++) {
        struct pg_arg *arg = &a->arg[i];
        if (arg->data.failed)
            return HF_NOMEM;
        if (arg->data.len > INT32_MAX)
            return HF_TOO_BIG;
        if (arg->array)
            close_array(arg);
        values[i] = arg->null ? NULL : arg->data.data ? arg->data.data : "";
        lengths[i] = arg->null ? 0 : (int)arg->data.len;
        formats[i] = 1;
    }
    return HF_OK;
}
