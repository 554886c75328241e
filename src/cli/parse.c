/* What people type and files hold: durations, times, numbers, names that are nearly right, lines.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Longest duration and time, so that microseconds always fit: about 146,000 years. */
static const int64_t ms_max = INT64_MAX / 2000;

int
parse_number(const char *text, int64_t *out, struct err *err)
{
    char *end;

    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || strchr(" \t\n", text[0]))
        return err_set(err, HF_INVALID, "%s is no whole number", text);
    if (errno == ERANGE || v > INT32_MAX || v < INT32_MIN)
        return err_set(err, HF_INVALID, "%s is out of range", text);
    *out = v;
    return HF_OK;
}

int
parse_duration(const char *text, int64_t *ms, struct err *err)
{
    static const struct {
        const char *unit;
        int64_t     ms;
    } units[] = {{"ms", 1}, {"s", HF_SECOND}, {"m", HF_MINUTE}, {"h", HF_HOUR}, {"d", HF_DAY}};

    char *end;
    errno = 0;
    double v = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : (end = (char *)text, 0);
    for (size_t i = 0; end != text && errno == 0 && i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(end, units[i].unit) == 0 && v * (double)units[i].ms <= (double)ms_max) {
            *ms = (int64_t)(v * (double)units[i].ms + 0.5);
            return HF_OK;
        }
    return err_set(err, HF_INVALID, "%s is no duration like 500ms, 10s, 5m, 2h or 3d", text);
}

/* Two or four digits, followed by the character `then` (0: anything). */
static bool
digits(const char **p, int n, char then, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (**p - '0');
    }
    if (then == 0)
        return true;
    if (**p != then)
        return false;
    (*p)++;
    return true;
}

/* "Z", "+hh:mm" or "-hh:mm" to seconds east of UTC. */
static bool
parse_zone(const char *p, int *seconds)
{
    int h, m;

    if ((p[0] == 'Z' || p[0] == 'z') && p[1] == '\0') {
        *seconds = 0;
        return true;
    }
    int sign = p[0] == '+' ? 1 : p[0] == '-' ? -1 : 0;
    p++;
    if (sign == 0 || !digits(&p, 2, ':', &h) || !digits(&p, 2, 0, &m) || *p || h > 23 || m > 59)
        return false;
    *seconds = sign * (h * 3600 + m * 60);
    return true;
}

static bool
parse_rfc3339(const char *p, int64_t *ms)
{
    struct tm t = {0};
    int       year, month, zone, fraction = 0;

    if (!digits(&p, 4, '-', &year) || !digits(&p, 2, '-', &month) || !digits(&p, 2, 0, &t.tm_mday))
        return false;
    if (*p != 'T' && *p != 't' && *p != ' ')
        return false;
    p++;
    if (!digits(&p, 2, ':', &t.tm_hour) || !digits(&p, 2, ':', &t.tm_min) ||
        !digits(&p, 2, 0, &t.tm_sec))
        return false;
    if (*p == '.') {
        int scale = 100;
        if (p[1] < '0' || p[1] > '9')
            return false;
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
            fraction += (*p - '0') * scale;
    }
    if (!parse_zone(p, &zone))
        return false;
    struct tm given = t;
    given.tm_year = t.tm_year = year - 1900;
    given.tm_mon = t.tm_mon = month - 1;
    time_t at = timegm(&t); /* moves what is out of range: then it was no date */
    if (given.tm_mon != t.tm_mon || given.tm_mday != t.tm_mday || given.tm_hour != t.tm_hour ||
        given.tm_min != t.tm_min || given.tm_sec > 60 || year < 1970)
        return false;
    *ms = ((int64_t)at - zone) * 1000 + fraction;
    return true;
}

int
parse_time(const char *text, int64_t *ms, struct err *err)
{
    char *end;

    if (text[0] && text[strspn(text, "0123456789.")] == '\0') {
        errno = 0;
        double v = strtod(text, &end);
        if (*end == '\0' && errno == 0 && v * 1000 <= (double)ms_max) {
            *ms = (int64_t)(v * 1000 + 0.5);
            return HF_OK;
        }
    } else if (parse_rfc3339(text, ms)) {
        return HF_OK;
    }
    return err_set(err, HF_INVALID, "%s is no time like 2030-01-31T08:00:00Z, nor Unix seconds",
                   text);
}

/* Levenshtein distance of two short words; what is longer is far from everything. */
static size_t
distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1];
    size_t n = strlen(a), m = strlen(b);

    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = corner + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

const char *
nearest_name(const char *word, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t      least = strlen(word) / 3 + 1;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, names[i]);
        if (d <= least && d < strlen(names[i])) {
            if (nearest == NULL || d < least)
                nearest = names[i];
            least = d;
        }
    }
    return nearest;
}

int
read_line(FILE *from, struct buf *line, size_t max)
{
    int ch;

    buf_clear(line);
    while ((ch = getc_unlocked(from)) != EOF && ch != '\n' && line->len <= max)
        buf_putc(line, (char)ch);
    return ch != EOF || line->len > 0;
}
