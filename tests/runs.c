/* Questions about runs, and the lines that a handle has logged. */
#include "runs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 20000 };
static char           *lines[LINES_MAX];
static int             n_lines;
static pthread_mutex_t lines_mutex = PTHREAD_MUTEX_INITIALIZER;

void
runs_check(const char *file, int line, hf *h, const char *call, int is, int should)
{
    if (is != should)
        test_fail(file, line, "%s is %s (%s), should be %s", call, hf_code_name(is),
                  is ? hf_errmsg(h) : "", hf_code_name(should));
}

hf *
world_open(void)
{
    hf *h;
    OK(h, hf_test_open(&h));
    return h;
}

/* Descriptions are kept, so that their texts stay. */
static hf_info *
describe(hf *h, const char *run)
{
    static hf_info *kept[1024];
    static int      n;
    hf_info        *info;

    OK(h, hf_describe(h, run, &info));
    if (kept[n % 1024])
        hf_info_free(kept[n % 1024]);
    return kept[n++ % 1024] = info;
}

const char *
status_of(hf *h, const char *run)
{
    return describe(h, run)->status;
}

const char *
output_of(hf *h, const char *run)
{
    return describe(h, run)->output;
}

const char *
error_of(hf *h, const char *run)
{
    return describe(h, run)->error_name;
}

const char *
message_of(hf *h, const char *run)
{
    const char *text = describe(h, run)->error_message;
    return text ? text : "";
}

const char *
custom_of(hf *h, const char *run)
{
    return describe(h, run)->custom_status;
}

int
execution_of(hf *h, const char *run)
{
    return describe(h, run)->execution;
}

int
contains(const char *text, const char *part)
{
    return text && strstr(text, part) != NULL;
}

static void
keep_line(void *arg, int level, const char *event, const char *fields)
{
    char *text;

    (void)arg, (void)level;
    if (asprintf(&text, "%s %s", event, fields) < 0)
        abort();
    pthread_mutex_lock(&lines_mutex);
    if (n_lines < LINES_MAX)
        lines[n_lines++] = text;
    else
        free(text);
    pthread_mutex_unlock(&lines_mutex);
}

void
runs_keep_log(hf *h)
{
    hf_set_log(h, keep_line, NULL);
}

int
runs_logged(const char *text)
{
    int n = 0;
    pthread_mutex_lock(&lines_mutex);
    for (int i = 0; i < n_lines; i++)
        n += strstr(lines[i], text) != NULL;
    pthread_mutex_unlock(&lines_mutex);
    return n;
}
