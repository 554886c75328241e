/*
 * What the server says, as codes of holdfast.h and sentences. The functions of sql/postgres raise
 * HF001 (the fence: HF_STALE) and HF003 ... HF016: the codes of holdfast.h without their sign, with
 * sentences of their own. Of several items the error's COLUMN says which it is about: 1, 2, ...
 */
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

static const struct {
    const char *state; /* or its class: the first two */
    int         code;
} codes[] = {
    {"HF001", HF_STALE},       {"40001", HF_UNAVAILABLE}, {"40P01", HF_UNAVAILABLE},
    {"55P03", HF_UNAVAILABLE}, {"25006", HF_UNAVAILABLE}, {"25P02", HF_UNAVAILABLE},
    {"26000", HF_UNAVAILABLE}, {"42P05", HF_UNAVAILABLE}, {"57", HF_UNAVAILABLE},
    {"08", HF_UNAVAILABLE},    {"53", HF_UNAVAILABLE},    {"58", HF_UNAVAILABLE},
    {"28", HF_UNAVAILABLE},    {"22", HF_REFUSED},        {"23", HF_REFUSED},
    {"54", HF_REFUSED},        {"42501", HF_INVALID},     {"3F000", HF_NOT_FOUND},
    {"42P01", HF_NOT_FOUND},   {"42883", HF_NOT_FOUND},   {"42703", HF_NOT_FOUND},
    {"XX001", HF_CORRUPT},     {"XX002", HF_CORRUPT},
};

int
pg_code(const char *state)
{
    if (strncmp(state, "HF0", 3) == 0 && strcmp(state, "HF001") != 0)
        return -(int)strtol(state + 3, NULL, 10);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strncmp(state, codes[i].state, strlen(codes[i].state)) == 0)
            return codes[i].code;
    return HF_INTERNAL;
}

bool
pg_try_again(const struct postgres *s)
{
    return strcmp(s->sqlstate, "40001") == 0 || strcmp(s->sqlstate, "40P01") == 0 ||
           strcmp(s->sqlstate, "55P03") == 0;
}

void
pg_one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;
    while (text && *text && n + 1 < size) {
        if (*text == '\n' || *text == '\t') {
            while (*text == '\n' || *text == '\t' || *text == ' ')
                text++;
            if (*text)
                out[n++] = ' ';
            continue;
        }
        out[n++] = *text++;
    }
    out[n] = '\0';
}

/* What to do about it, for those errors where people can do something. */
static const char *
advice(const char *state)
{
    if (strcmp(state, "42501") == 0)
        return " (the database user lacks this right; see holdfast_worker and holdfast_client in "
               "the manual)";
    if (strcmp(state, "25006") == 0)
        return " (the server is read-only: a standby, or default_transaction_read_only)";
    if (strcmp(state, "53100") == 0)
        return " (the server's disk is full)";
    if (strcmp(state, "3F000") == 0 || pg_code(state) == HF_NOT_FOUND)
        return " (the schema is not there or not up to date: run `holdfast migrate`)";
    return "";
}

int
pg_fail(struct postgres *s, const PGresult *result, const char *doing, struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE),
               *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
               *item = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
    char line[360];

    if (state == NULL)
        state = "";
    pg_one_line(text ? text : PQresultErrorMessage(result), line, sizeof(line));
    memcpy(s->said, line, sizeof(line));
    memcpy(s->sqlstate, state, strnlen(state, sizeof(s->sqlstate) - 1));
    s->sqlstate[strnlen(state, sizeof(s->sqlstate) - 1)] = '\0';
    s->bad_item = -1;
    if (strncmp(state, "HF", 2) == 0) { /* ours: the sentence is complete */
        long at = item ? strtol(item, NULL, 10) : 0;
        if (at > 0 && at <= INT32_MAX)
            s->bad_item = (int)at - 1;
        return err_set(err, pg_code(state), "%s", line);
    }
    int code = *state ? pg_code(state) : HF_UNAVAILABLE; /* none: libpq itself says it */
    return err_set(err, code, "%s: %s: %s%s", s->target.where, doing, line, advice(state));
}
