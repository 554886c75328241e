/* The one reading of payloads that the API offers: a member of a JSON object. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include <stdbool.h>

#include "base/arena.h"

/* A string without its quotes, anything else as JSON text; NULL if json is no object or has no such
 * member. */
const char *json_member(const char *json, const char *member, struct arena *a, bool *failed);

#endif
