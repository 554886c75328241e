/*
 * A benchmark over a network with a delay: workers and load get a URL whose address is the relay's.
 * Of a URL postgresql://[user[:password]@][host[:port]][/database][?name=value&...] only the
 * address is changed, also where it stands among the parameters.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "bench/bench.h"
#include "cli/cli.h"
#include "bench/relay.h"

enum { PORT_DEFAULT = 5432 };

/* Where the parts of a URL begin; each ends where the next begins. */
struct parts {
    const char *host, *path, *query; /* query: behind the ?, or the end */
};

static int
split(const char *url, struct parts *out, struct err *err)
{
    if (strncmp(url, "postgres://", 11) != 0 && strncmp(url, "postgresql://", 13) != 0)
        return err_set(err, HF_INVALID, "bench: --rtt is for PostgreSQL, postgresql://...");
    out->host = strstr(url, "://") + 3;
    size_t n = strcspn(out->host, "@/?");
    if (out->host[n] == '@')
        out->host += n + 1;
    out->path = out->host + strcspn(out->host, "/?");
    const char *mark = strchr(out->path, '?');
    out->query = mark ? mark + 1 : out->path + strlen(out->path);
    return HF_OK;
}

static char *
decode(struct arena *a, const char *text, size_t n)
{
    char *out = arena_alloc(a, n + 1), *to = out;

    for (size_t i = 0; out && i < n; i++) {
        char hex[3] = {0};
        if (text[i] == '%' && i + 2 < n) {
            memcpy(hex, text + i + 1, 2);
            i += 2;
            *to++ = (char)strtol(hex, NULL, 16);
        } else {
            *to++ = text[i];
        }
    }
    if (out)
        *to = '\0';
    return out;
}

/* Whether a parameter says where the server is. */
static bool
is_address(const char *p, size_t n)
{
    static const char *const names[] = {"host=", "hostaddr=", "port="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (n >= strlen(names[i]) && memcmp(p, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static int
to_port(const char *text, int *port, struct err *err)
{
    char *end;
    long  n = strtol(text, &end, 10);
    if (n < 1 || n > 65535 || *end)
        return err_set(err, HF_INVALID, "bench: --rtt: %s is no port", text);
    *port = (int)n;
    return HF_OK;
}

int
url_server(const char *url, struct arena *a, const char **host, int *port, struct err *err)
{
    const char  *from = getenv("PGHOST"), *from_port = getenv("PGPORT");
    struct parts u;

    TRY(split(url, &u, err));
    const char *end = u.host[0] == '[' ? u.host + strcspn(u.host, "]") : u.host;
    const char *colon = end + strcspn(end, ":/?");
    if (u.host[0] == '[' && *end == ']')
        from = decode(a, u.host + 1, (size_t)(end - u.host - 1));
    else if (colon > u.host)
        from = decode(a, u.host, (size_t)(colon - u.host));
    if (*colon == ':' && colon + 1 < u.path)
        from_port = decode(a, colon + 1, (size_t)(u.path - colon - 1));
    for (const char *p = u.query; *p; p += strcspn(p, "&"), p += *p == '&') {
        size_t      n = strcspn(p, "&"), name = strcspn(p, "=") + 1;
        const char *value = is_address(p, n) ? decode(a, p + name, n - name) : NULL;
        if (value && p[0] == 'p')
            from_port = value;
        else if (value)
            from = value;
    }
    *port = PORT_DEFAULT;
    if (from_port && *from_port)
        TRY(to_port(from_port, port, err));
    *host = from && *from ? from : "/var/run/postgresql";
    if (strchr(*host, ','))
        return err_set(err, HF_INVALID, "bench: --rtt: the URL names several hosts");
    if (**host == '/')
        *host = arena_printf(a, "%s/.s.PGSQL.%d", *host, *port);
    return *host ? HF_OK : err_nomem(err);
}

int
url_through(const char *url, int port, struct arena *a, const char **out, struct err *err)
{
    struct parts u;
    struct buf   b = {0};
    char         mark = '?';

    TRY(split(url, &u, err));
    buf_put(&b, url, (size_t)(u.host - url));
    buf_printf(&b, "127.0.0.1:%d", port);
    buf_put(&b, u.path, strcspn(u.path, "?"));
    for (const char *p = u.query; *p; p += strcspn(p, "&"), p += *p == '&') {
        size_t n = strcspn(p, "&");
        if (is_address(p, n))
            continue;
        buf_putc(&b, mark);
        buf_put(&b, p, n);
        mark = '&';
    }
    *out = b.failed ? NULL : arena_strndup(a, b.data, b.len);
    buf_release(&b);
    return *out ? HF_OK : err_nomem(err);
}

int
bench_relay_open(struct bench *b, struct err *err)
{
    const char *host;
    int         port;

    TRY(url_server(b->url, &b->c->arena, &host, &port, err));
    TRY(relay_open(host, port, b->point.rtt_ms * US_PER_MS, &b->relay, err));
    return url_through(b->url, relay_port(b->relay), &b->c->arena, &b->load_url, err);
}
