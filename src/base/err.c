/* Error values; the table of codes is errors.def. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

struct code_row {
    const char *name;
    int         code;
    int         retry;
    int         exit_code;
    const char *text;
};

#define X(name, value, retry, exit_code, text) {#name, value, retry, exit_code, text},
static const struct code_row code_rows[] = {
#include "base/errors.def"
};
#undef X

static const struct code_row *
find_row(int code)
{
    for (size_t i = 0; i < sizeof(code_rows) / sizeof(code_rows[0]); i++)
        if (code_rows[i].code == code)
            return &code_rows[i];
    return &code_rows[sizeof(code_rows) / sizeof(code_rows[0]) - 1];
}

int
err_set(struct err *err, int code, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return code;
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
    char    old[sizeof(err->text)];
    va_list ap;

    if (err == NULL)
        return HF_INTERNAL;
    memcpy(old, err->text, sizeof(old));
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - (size_t)n, "%s", old);
    return err->code;
}

int
err_nomem(struct err *err)
{
    return err_set(err, HF_NOMEM, "out of memory");
}

const char *
err_name(int code)
{
    return find_row(code)->name;
}

const char *
err_text(int code)
{
    return find_row(code)->text;
}

int
err_exit_code(int code)
{
    return find_row(code)->exit_code;
}

int
err_is_retryable(int code)
{
    return find_row(code)->retry;
}
