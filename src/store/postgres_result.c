/* Reading the current result: binary values, numbers of any width alike. */
#include <endian.h>
#include <string.h>

#include "store/postgres.h"

int
pg_rows(const struct postgres *s)
{
    return s->result ? PQntuples(s->result) : 0;
}

bool
pg_get_null(const struct postgres *s, int row, int col)
{
    return PQgetisnull(s->result, row, col) != 0;
}

int64_t
pg_get_int(const struct postgres *s, int row, int col)
{
    const char *p = PQgetvalue(s->result, row, col);
    uint16_t    v2;
    uint32_t    v4;
    uint64_t    v8;

    switch (PQgetlength(s->result, row, col)) {
    case 1:
        return *p;
    case 2:
        memcpy(&v2, p, sizeof(v2));
        return (int16_t)be16toh(v2);
    case 4:
        memcpy(&v4, p, sizeof(v4));
        return (int32_t)be32toh(v4);
    case 8:
        memcpy(&v8, p, sizeof(v8));
        return (int64_t)be64toh(v8);
    default: /* null */
        return 0;
    }
}

int64_t
pg_get_int_or(const struct postgres *s, int row, int col, int64_t none)
{
    return pg_get_null(s, row, col) ? none : pg_get_int(s, row, col);
}

char *
pg_get_text(const struct postgres *s, int row, int col, struct arena *a, bool *failed)
{
    if (pg_get_null(s, row, col))
        return NULL;
    char *copy = arena_strndup(a, PQgetvalue(s->result, row, col), pg_length(s, row, col));
    if (copy == NULL)
        *failed = true;
    return copy;
}

const char *
pg_peek_text(const struct postgres *s, int row, int col)
{
    return pg_get_null(s, row, col) ? NULL : PQgetvalue(s->result, row, col);
}

/* The array's header: dimensions, nulls, element type, length, lower bound. */
size_t
pg_get_ints(const struct postgres *s, int row, int col, int64_t *out, size_t max)
{
    const char *p = PQgetvalue(s->result, row, col), *end = p + PQgetlength(s->result, row, col);
    size_t      n = 0;
    for (p += 5 * sizeof(uint32_t); p < end && n < max; n++) {
        uint32_t len, v4;
        uint64_t v8;
        memcpy(&len, p, sizeof(len));
        p += sizeof(len);
        if (be32toh(len) == sizeof(v8)) {
            memcpy(&v8, p, sizeof(v8));
            out[n] = (int64_t)be64toh(v8);
        } else {
            memcpy(&v4, p, sizeof(v4));
            out[n] = (int32_t)be32toh(v4);
        }
        p += be32toh(len);
    }
    return n;
}

size_t
pg_length(const struct postgres *s, int row, int col)
{
    return (size_t)PQgetlength(s->result, row, col);
}

int
pg_one_int(struct postgres *s, int64_t fallback, int64_t *out, struct err *err)
{
    int64_t v = fallback;
    if (pg_result(s, err) == HF_OK && pg_rows(s) > 0)
        v = pg_get_int_or(s, 0, 0, fallback);
    TRY(pg_synced(s, err));
    *out = v;
    return HF_OK;
}
