/*
 * Rows in text format as JSON, by the types of their columns: numbers, booleans and json as what
 * they are, all others as strings.
 */
#include <string.h>

#include "store/postgres.h"

/* pg_type.oid: fixed for ever */
enum oid {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_NUMERIC = 1700,
    OID_JSONB = 3802
};

/* NaN and Infinity are none. */
static bool
is_number(const char *text)
{
    text += *text == '-';
    return *text >= '0' && *text <= '9';
}

static void
put_value(struct buf *b, Oid type, const char *text, size_t n)
{
    switch (type) {
    case OID_BOOL:
        buf_puts(b, *text == 't' ? "true" : "false");
        return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_NUMERIC:
        if (!is_number(text))
            break;
        /* fall through */
    case OID_JSON:
    case OID_JSONB:
        buf_put(b, text, n);
        return;
    }
    buf_json_n(b, text, n);
}

int
pg_rows_json(const struct postgres *s, struct buf *b, struct err *err)
{
    const PGresult *r = s->result;
    int             rows = PQntuples(r), columns = PQnfields(r);

    buf_putc(b, '[');
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < columns; k++) {
            buf_puts(b, k > 0 ? "," : i > 0 ? ",{" : "{");
            buf_json(b, PQfname(r, k));
            buf_putc(b, ':');
            if (PQgetisnull(r, i, k))
                buf_puts(b, "null");
            else
                put_value(b, PQftype(r, k), PQgetvalue(r, i, k), (size_t)PQgetlength(r, i, k));
            if (b->len > HF_PAYLOAD_MAX)
                return err_set(err, HF_TOO_BIG, "the result has over %d bytes", HF_PAYLOAD_MAX);
        }
        buf_puts(b, columns > 0 ? "}" : i > 0 ? ",{}" : "{}");
    }
    buf_putc(b, ']');
    return b->failed ? err_nomem(err) : HF_OK;
}
