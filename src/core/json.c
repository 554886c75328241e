/* Reading JSON: members and elements. */
#include "core/json.h"

#include <jansson.h>
#include <string.h>

const char *
json_member(const char *json, const char *member, struct arena *a, bool *failed)
{
    json_t     *o = json ? json_loads(json, 0, NULL) : NULL;
    json_t     *v = json_object_get(o, member);
    const char *text = NULL;

    if (json_is_string(v)) {
        text = arena_strdup(a, json_string_value(v));
        *failed = text == NULL;
    } else if (v) {
        size_t n = json_dumpb(v, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT);
        char  *copy = arena_alloc(a, n + 1);
        *failed = copy == NULL;
        if (copy) {
            json_dumpb(v, copy, n, JSON_ENCODE_ANY | JSON_COMPACT);
            copy[n] = '\0';
        }
        text = copy;
    }
    json_decref(o);
    return text;
}

/* The end of the value that begins at `at`, in JSON that is known to be sound. */
static const char *
value_end(const char *at)
{
    int depth = 0;

    for (;; at++) {
        if (*at == '"')
            for (at++; *at != '"'; at++)
                at += *at == '\\';
        else if (*at == '[' || *at == '{')
            depth++;
        else if (depth > 0 && (*at == ']' || *at == '}'))
            depth--;
        else if (depth == 0 && strchr(",] \t\r\n", *at))
            return at;
    }
}

static bool
read_param(const json_t *v, const char *text, size_t len, struct arena *a, struct sql_param *out)
{
    out->kind = json_is_null(v)      ? SQL_NULL
                : json_is_number(v)  ? SQL_NUMBER
                : json_is_boolean(v) ? SQL_BOOL
                                     : SQL_TEXT;
    if (out->kind == SQL_NULL)
        return true;
    out->text =
        json_is_string(v) ? arena_strdup(a, json_string_value(v)) : arena_strndup(a, text, len);
    return out->text != NULL;
}

enum { PARAMS = JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL };

int
json_params(const char *json, struct arena *a, const struct sql_param **out, size_t *n,
            struct err *err)
{
    json_error_t      why;
    json_t           *array = json ? json_loads(json, PARAMS, &why) : NULL;
    size_t            count = json_array_size(array);
    struct sql_param *params = arena_zalloc(a, (count + 1) * sizeof(*params));
    bool failed = params == NULL, bad = json && !json_is_array(array) && !json_is_null(array);

    for (size_t i = 0; i < count && !failed; i++) {
        json += i == 0 ? strcspn(json, "[") + 1 : 0;
        json += strspn(json, ", \t\r\n");
        const char *end = value_end(json);
        failed = !read_param(json_array_get(array, i), json, (size_t)(end - json), a, &params[i]);
        json = end;
    }
    bool sound = array != NULL;
    json_decref(array);
    if (bad)
        return err_set(err, HF_INVALID, "the parameters are no JSON array%s%.200s",
                       sound ? "" : ": ", sound ? "" : why.text);
    if (failed)
        return err_nomem(err);
    *out = params;
    *n = count;
    return HF_OK;
}
