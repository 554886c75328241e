/* The readings of JSON that the API offers: a member of an object, the elements of an array. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include <stdbool.h>

#include "base/arena.h"
#include "store/store.h"

/* A string without its quotes, anything else as JSON text; NULL if json is no object or has no such
 * member. */
const char *json_member(const char *json, const char *member, struct arena *a, bool *failed);

/* The elements of an array as parameters of a statement: strings without their quotes, objects and
 * arrays as JSON text, numbers as they stand there. NULL and null are empty arrays. HF_INVALID. */
int json_params(const char *json, struct arena *a, const struct sql_param **out, size_t *n,
                struct err *err);

#endif
