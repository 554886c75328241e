/*
 * The worker's log on standard error. The library gives "key=value key=value", where a value may
 * hold spaces: it ends where the next key begins.
 */
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "cli/offer.h"
#include "cli/print.h"

static const char *const levels[] = {"debug", "info", "warning", "error"};

/* Length of a key at p ("run_id="), without the equals sign; 0 if there is none. */
static size_t
key_length(const char *p)
{
    size_t n = 0;
    while (islower((unsigned char)p[n]) || p[n] == '_' || (n > 0 && isdigit((unsigned char)p[n])))
        n++;
    return n > 0 && p[n] == '=' ? n : 0;
}

/* Where the value at p ends: before " key=", or at the end. */
static size_t
value_length(const char *p)
{
    size_t n = 0;
    while (p[n] && !(p[n] == ' ' && key_length(p + n + 1)))
        n++;
    return n;
}

bool
next_field(const char **at, struct log_field *out)
{
    const char *p = *at;
    size_t      n = key_length(p);

    if (n == 0)
        return false;
    *out = (struct log_field){.key = p, .key_len = n, .value = p + n + 1};
    bool message = n == 7 && memcmp(p, "message", n) == 0; /* always the last */
    p = out->value;
    out->value_len = message ? strlen(p) : value_length(p);
    *at = p + out->value_len + (p[out->value_len] == ' ');
    return true;
}

static void
put_fields(struct buf *b, const char *fields)
{
    struct log_field f;

    while (next_field(&fields, &f)) {
        buf_putc(b, ',');
        buf_json_n(b, f.key, f.key_len);
        buf_putc(b, ':');
        buf_json_n(b, f.value, f.value_len);
    }
    if (*fields)
        put_text_member(b, "text", fields);
}

static void
put_json_line(struct buf *b, int level, const char *event, const char *fields)
{
    buf_putc(b, '{');
    put_time_member(b, "time", clock_system_us() / US_PER_MS);
    put_text_member(b, "level", levels[level]);
    put_text_member(b, "event", event);
    put_fields(b, fields);
    buf_puts(b, "}\n");
}

static void
put_text_line(struct buf *b, int level, const char *event, const char *fields)
{
    char at[TIME_SIZE];

    format_time(clock_system_us() / US_PER_MS, at);
    buf_printf(b, "%.12s %-7s ", at + 11, levels[level]);
    if (!put_sentence(b, event, fields)) {
        buf_printf(b, "%s%s", event, fields[0] ? " " : "");
        for (const char *p = fields; *p; p++)
            buf_putc(b, (unsigned char)*p < 0x20 ? ' ' : *p);
    }
    buf_putc(b, '\n');
}

void
print_log(void *style, int level, const char *event, const char *fields)
{
    const struct log_style *s = style;
    struct buf              b = {0};

    if (level < 0 || level > 3 || (level == LOG_DEBUG && !s->verbose))
        return;
    if (fields == NULL)
        fields = "";
    if (s->json)
        put_json_line(&b, level, event, fields);
    else
        put_text_line(&b, level, event, fields);
    if (!b.failed && write(STDERR_FILENO, b.data, b.len) < 0) {
        /* Nobody reads the log: the work goes on. */
    }
    buf_release(&b);
}
