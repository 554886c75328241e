/* A member of a JSON object. */
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
