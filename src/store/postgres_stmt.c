/*
 * The texts of statements. They are written for the schema `holdfast`; for another one its name is
 * put in when a statement is first used.
 */
#include <string.h>

#include "base/mem.h"
#include "store/postgres.h"

struct statement {
    const char *name, *index, *text;
};

#define X(name, index, text) {#name, index, text},
static const struct statement statements[] = {
#include "store/postgres_sql.def"
};
#undef X

static const char plain[] = "holdfast";

const char *
pg_sql_name(enum pg_sql id)
{
    return statements[id].name;
}

const char *
pg_sql_index(enum pg_sql id)
{
    return statements[id].index;
}

const char *
pg_sql_plain(enum pg_sql id)
{
    return statements[id].text;
}

void
pg_quote_ident(struct buf *b, const char *name)
{
    buf_putc(b, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_putc(b, '"');
        buf_putc(b, *name);
    }
    buf_putc(b, '"');
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '"' || (c & 0x80);
}

/* Whether the word at p, in text, names the schema: `holdfast.`, `schema holdfast`, `search_path =
 * holdfast`. */
static bool
names_schema(const char *text, const char *p)
{
    static const char *const before[] = {"search_path = ", "search_path to ", "schema ", "exists "};
    size_t                   at = (size_t)(p - text);

    if ((at && (is_word(p[-1]) || p[-1] == '/' || p[-1] == '\'')) || is_word(p[sizeof(plain) - 1]))
        return at && p[-1] == '\'' && p[sizeof(plain) - 1] == '.';
    if (p[sizeof(plain) - 1] == '.')
        return true;
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        size_t len = strlen(before[i]);
        if (at >= len && strncmp(p - len, before[i], len) == 0)
            return true;
    }
    return false;
}

char *
pg_with_schema(const char *text, const char *schema)
{
    struct buf  out = {0};
    const char *from = text, *p = text;

    while ((p = strstr(p, plain)) != NULL) {
        const char *end = p + sizeof(plain) - 1;
        bool        literal = p > text && p[-1] == '\'' && *end == '\'';
        if (literal || names_schema(text, p)) {
            buf_put(&out, from, (size_t)(p - from));
            if (literal)
                buf_puts(&out, schema);
            else
                pg_quote_ident(&out, schema);
            from = end;
        }
        p = end;
    }
    buf_puts(&out, from);
    if (out.failed)
        buf_release(&out);
    return out.data;
}

const char *
pg_sql_text(struct postgres *s, enum pg_sql id)
{
    if (strcmp(s->target.schema, plain) == 0)
        return statements[id].text;
    if (s->text[id] == NULL)
        s->text[id] = pg_with_schema(statements[id].text, s->target.schema);
    return s->text[id];
}
