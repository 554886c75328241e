/*
 * A row of any statement as a JSON object. Bytes are the text that PostgreSQL has for them: hex
 * digits behind \x. What JSON has no number for is a string.
 */
#include "store/sqlite.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/id.h"

double
sqlite_real(const char *text)
{
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    double   v = c ? strtod_l(text, NULL, c) : strtod(text, NULL);

    if (c)
        freelocale(c);
    return v;
}

static void
put_real(struct buf *b, double v)
{
    char text[64];

    if (!isfinite(v)) { /* SQLite knows no NaN: it is NULL */
        buf_json(b, v > 0 ? "Infinity" : "-Infinity");
        return;
    }
    sqlite3_snprintf(sizeof(text), text, "%!.15g", v);
    if (sqlite_real(text) != v) /* 17 digits always give the same number back */
        sqlite3_snprintf(sizeof(text), text, "%!.17g", v);
    buf_puts(b, text);
}

static void
put_bytes(struct buf *b, const unsigned char *bytes, int n)
{
    static const char digits[] = "0123456789abcdef";

    buf_puts(b, "\"\\\\x");
    for (int i = 0; i < n; i++) {
        buf_putc(b, digits[bytes[i] >> 4]);
        buf_putc(b, digits[bytes[i] & 15]);
    }
    buf_putc(b, '"');
}

static bool
put_text(struct buf *b, sqlite3_stmt *q, int i)
{
    const char *text = (const char *)sqlite3_column_text(q, i);
    size_t      n = (size_t)sqlite3_column_bytes(q, i);

    if (text == NULL) {
        b->failed = 1;
        return true;
    }
    if (!id_is_utf8(text, n))
        return false;
    buf_json_n(b, text, n);
    return true;
}

int
sqlite_row_json(sqlite3_stmt *q, struct buf *b)
{
    int n = sqlite3_column_count(q);

    buf_putc(b, '{');
    for (int i = 0; i < n && b->len <= HF_PAYLOAD_MAX; i++) {
        if (i > 0)
            buf_putc(b, ',');
        buf_json(b, sqlite3_column_name(q, i));
        buf_putc(b, ':');
        switch (sqlite3_column_type(q, i)) {
        case SQLITE_NULL:
            buf_puts(b, "null");
            break;
        case SQLITE_INTEGER:
            buf_int(b, sqlite3_column_int64(q, i));
            break;
        case SQLITE_FLOAT:
            put_real(b, sqlite3_column_double(q, i));
            break;
        case SQLITE_BLOB:
            put_bytes(b, sqlite3_column_blob(q, i), sqlite3_column_bytes(q, i));
            break;
        default:
            if (!put_text(b, q, i))
                return i;
        }
    }
    buf_putc(b, '}');
    return -1;
}
