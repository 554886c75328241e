/*
 * URLs: postgres://user@host/database?schema=...&poll_only=1. What is ours is taken out, the rest
 * is libpq's, with its environment, service file and password file. No text that is made here has a
 * password in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/postgres.h"

static int
hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes of a URL without their percent signs; NULL: memory is out, or wrong. */
static char *
decode(const char *text, size_t n)
{
    char *out = mem_alloc(n + 1), *to = out;
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '%') {
            *to++ = text[i];
            continue;
        }
        int hi = i + 1 < n ? hex(text[i + 1]) : -1, lo = i + 2 < n ? hex(text[i + 2]) : -1;
        if (hi < 0 || lo < 0 || hi + lo == 0) {
            mem_free(out);
            return NULL;
        }
        *to++ = (char)(hi << 4 | lo);
        i += 2;
    }
    *to = '\0';
    return out;
}

static int
take_schema(struct pg_target *t, const char *value, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char digits[] = "0123456789-";
    size_t            n = strlen(value);

    if (n == 0 || n > SCHEMA_NAME_MAX || strchr(letters, *value) == NULL ||
        strncmp(value, "pg_", 3) == 0)
        n = 0;
    for (size_t i = 0; i < n; i++)
        if (strchr(letters, value[i]) == NULL && strchr(digits, value[i]) == NULL)
            n = 0;
    if (n == 0)
        return err_set(
            err, HF_INVALID,
            "store URL: schema \"%.60s\": want 1 to %d letters, digits, _ and -, a letter "
            "first, not pg_...",
            value, SCHEMA_NAME_MAX);
    mem_free(t->schema);
    t->schema = mem_strdup(value);
    return t->schema ? HF_OK : err_nomem(err);
}

static int
take_flag(int *out, const char *name, const char *value, struct err *err)
{
    if (strcmp(value, "1") != 0 && strcmp(value, "0") != 0)
        return err_set(err, HF_INVALID, "store URL: %s is %.60s, want 0 or 1", name, value);
    *out = *value == '1';
    return HF_OK;
}

static int
take_partitions(struct pg_target *t, const char *value, struct err *err)
{
    char *end;
    long  n = strtol(value, &end, 10);
    if (*value == '\0' || *end != '\0' || n < 1 || n > 256)
        return err_set(err, HF_INVALID, "store URL: partitions is %.60s, want 1 to 256", value);
    t->partitions = (int)n;
    return HF_OK;
}

static bool
libpq_knows(const char *name)
{
    PQconninfoOption *all = PQconndefaults();
    bool              found = all == NULL; /* no memory: libpq will say so */
    for (PQconninfoOption *o = all; o && o->keyword; o++)
        if (strcmp(o->keyword, name) == 0)
            found = true;
    PQconninfoFree(all);
    return found || strcmp(name, "ssl") == 0; /* an alias of sslmode in URLs */
}

/* One name=value of the URL: ours, or put behind what libpq gets. */
static int
take_parameter(struct pg_target *t, const char *text, size_t n, struct buf *rest, bool *first,
               struct err *err)
{
    const char *equals = memchr(text, '=', n);
    if (equals == NULL)
        return err_set(err, HF_INVALID, "store URL: a parameter without \"=\"");
    char *name = decode(text, (size_t)(equals - text)),
         *value = decode(equals + 1, n - (size_t)(equals - text) - 1);
    int rc = HF_OK;

    if (name == NULL || value == NULL)
        rc = err_set(err, HF_INVALID, "store URL: a parameter with a wrong %% sign");
    else if (strcmp(name, "schema") == 0)
        rc = take_schema(t, value, err);
    else if (strcmp(name, "poll_only") == 0)
        rc = take_flag(&t->poll_only, name, value, err);
    else if (strcmp(name, "partitions") == 0)
        rc = take_partitions(t, value, err);
    else if (!libpq_knows(name))
        rc = err_set(err, HF_INVALID, "store URL: unknown parameter \"%.60s\"", name);
    else {
        buf_putc(rest, *first ? '?' : '&');
        buf_put(rest, text, n);
        *first = false;
    }
    mem_free(name);
    mem_free(value);
    return rc;
}

/* Where the parameters begin, "?" included; a password may have one too. */
static const char *
find_query(const char *url)
{
    const char *p = strstr(url, "://") + 3, *at = p + strcspn(p, "@/");
    return strchr(*at == '@' ? at : p, '?');
}

static int
take_parameters(struct pg_target *t, const char *url, struct buf *rest, struct err *err)
{
    const char *query = find_query(url);
    bool        first = true;
    if (query == NULL) {
        buf_puts(rest, url);
        return HF_OK;
    }
    buf_put(rest, url, (size_t)(query - url));
    for (const char *p = query + 1; *p;) {
        size_t n = strcspn(p, "&");
        if (n)
            TRY(take_parameter(t, p, n, rest, &first, err));
        p += n + (p[n] == '&');
    }
    return HF_OK;
}

static const char *
option(const struct pg_target *t, const char *name)
{
    for (PQconninfoOption *o = t->options; o && o->keyword; o++)
        if (strcmp(o->keyword, name) == 0)
            return o->val;
    return NULL;
}

static void
describe(struct pg_target *t)
{
    const char *host = option(t, "host"), *port = option(t, "port"), *db = option(t, "dbname"),
               *service = option(t, "service");
    if (host == NULL)
        host = option(t, "hostaddr");
    if (host == NULL && service)
        snprintf(t->where, sizeof(t->where), "postgres service %s", service);
    else
        snprintf(t->where, sizeof(t->where), "postgres%s%s%s%s%s%s", host ? " " : "",
                 host ? host : "", port ? ":" : "", port ? port : "", db ? "/" : "", db ? db : "");
}

/* libpq quotes what it could not read, which may be a password: only what stands before goes on. */
static int
refuse(const char *text, struct err *err)
{
    char line[120];
    pg_one_line(text, line, sizeof(line));
    size_t n = strcspn(line, "\"");
    while (n && strchr(" :", line[n - 1]))
        n--;
    return err_set(err, HF_INVALID, "store URL: %.*s", (int)n, line);
}

int
pg_target_parse(const char *url, struct pg_target *out, struct err *err)
{
    struct pg_target t = {.poll_only = -1, .schema = mem_strdup("holdfast")};
    struct buf       rest = {0};
    char            *why = NULL;
    int              rc = t.schema ? HF_OK : err_nomem(err);

    if (rc == HF_OK && strncmp(url, "postgres://", 11) != 0 &&
        strncmp(url, "postgresql://", 13) != 0)
        rc = err_set(err, HF_INVALID, "store URL: want postgres://HOST/DATABASE");
    if (rc == HF_OK)
        rc = take_parameters(&t, url, &rest, err);
    if (rc == HF_OK && rest.failed)
        rc = err_nomem(err);
    if (rc == HF_OK) {
        t.options = PQconninfoParse(rest.data, &why);
        if (t.options == NULL)
            rc = why ? refuse(why, err) : err_nomem(err);
    }
    if (rc == HF_OK)
        describe(&t);
    else
        pg_target_release(&t);
    PQfreemem(why);
    buf_release(&rest);
    *out = t;
    return rc;
}

void
pg_target_release(struct pg_target *t)
{
    PQconninfoFree(t->options);
    mem_free(t->schema);
    *t = (struct pg_target){0};
}
