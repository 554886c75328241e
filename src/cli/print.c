/* JSON values, times and durations for output. */
#include "cli/print.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

const char *
format_time(int64_t ms, char out[TIME_SIZE])
{
    time_t    seconds = (time_t)(ms / 1000);
    struct tm t;

    if (gmtime_r(&seconds, &t) == NULL)
        snprintf(out, TIME_SIZE, "%lld", (long long)seconds);
    else
        snprintf(out, TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900,
                 t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)(ms % 1000));
    return out;
}

const char *
format_duration(int64_t ms, char out[TIME_SIZE])
{
    if (ms < 0)
        ms = 0;
    if (ms < HF_SECOND)
        snprintf(out, TIME_SIZE, "%d ms", (int)ms);
    else if (ms < HF_MINUTE)
        snprintf(out, TIME_SIZE, "%d.%02d s", (int)(ms / 1000), (int)(ms % 1000 / 10));
    else if (ms < HF_HOUR)
        snprintf(out, TIME_SIZE, "%dm %ds", (int)(ms / HF_MINUTE), (int)(ms % HF_MINUTE / 1000));
    else if (ms < HF_DAY)
        snprintf(out, TIME_SIZE, "%dh %dm", (int)(ms / HF_HOUR), (int)(ms % HF_HOUR / HF_MINUTE));
    else
        snprintf(out, TIME_SIZE, "%lldd %dh", (long long)(ms / HF_DAY),
                 (int)(ms % HF_DAY / HF_HOUR));
    return out;
}

const char *
format_from_now(int64_t ms, int64_t now_ms, char out[TIME_SIZE])
{
    char took[TIME_SIZE];

    if (ms >= now_ms)
        snprintf(out, TIME_SIZE, "in %.30s", format_duration(ms - now_ms, took));
    else
        snprintf(out, TIME_SIZE, "%.30s ago", format_duration(now_ms - ms, took));
    return out;
}

const char *
format_count(int64_t n, const char *noun, char out[TIME_SIZE])
{
    snprintf(out, TIME_SIZE, "%lld %s%s", (long long)n, noun, n == 1 ? "" : "s");
    return out;
}

/* Whether a text is one JSON value. Numbers of any size are. */
static bool
is_json(const char *text)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    bool    is = v != NULL;
    json_decref(v);
    return is;
}

void
put_payload(struct buf *b, const char *payload)
{
    if (payload == NULL || !is_json(payload)) {
        buf_json(b, payload);
        return;
    }
    /* A line end in JSON stands between its words, never inside them. */
    for (const char *p = payload; *p;) {
        size_t n = strcspn(p, "\r\n");
        buf_put(b, p, n);
        p += n;
        if (*p) {
            buf_putc(b, ' ');
            p++;
        }
    }
}

void
put_time(struct buf *b, int64_t ms)
{
    char text[TIME_SIZE];
    buf_json(b, ms ? format_time(ms, text) : NULL);
}

void
put_member(struct buf *b, const char *name)
{
    if (b->len > 0 && b->data[b->len - 1] != '{')
        buf_putc(b, ',');
    buf_json(b, name);
    buf_putc(b, ':');
}

void
put_text_member(struct buf *b, const char *name, const char *text)
{
    put_member(b, name);
    buf_json(b, text);
}

void
put_int_member(struct buf *b, const char *name, int64_t v)
{
    put_member(b, name);
    buf_int(b, v);
}

void
put_time_member(struct buf *b, const char *name, int64_t ms)
{
    put_member(b, name);
    put_time(b, ms);
}

void
put_payload_member(struct buf *b, const char *name, const char *payload)
{
    put_member(b, name);
    put_payload(b, payload);
}

void
put_error_member(struct buf *b, const char *name, const char *error, const char *message)
{
    put_member(b, name);
    if (error == NULL && message == NULL) {
        buf_puts(b, "null");
        return;
    }
    buf_putc(b, '{');
    put_text_member(b, "name", error);
    put_text_member(b, "message", message);
    buf_putc(b, '}');
}

int
print_buf(struct cli *c, struct buf *b)
{
    int rc = b->failed ? cli_nomem(c) : HF_OK;
    if (rc == HF_OK) {
        fwrite(b->data, 1, b->len, stdout);
        putchar('\n');
    }
    buf_release(b);
    return rc;
}
