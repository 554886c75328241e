/* The ledger: a line of JSON for each time that a task did its work. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/demo.h"

static bool
parse_entry(struct arena *a, const char *line, struct entry *out)
{
    json_t     *v = json_loads(line, 0, NULL);
    const char *task = json_string_value(json_object_get(v, "task"));
    const char *order = json_string_value(json_object_get(v, "order"));
    const char *key = json_string_value(json_object_get(v, "key"));
    char       *result = json_dumps(json_object_get(v, "result"), JSON_COMPACT | JSON_ENCODE_ANY);
    bool        ok = task && order && key && result;

    if (ok)
        *out = (struct entry){
            .task = arena_strdup(a, task),
            .order = arena_strdup(a, order),
            .key = arena_strdup(a, key),
            .result = arena_strdup(a, result),
            .box = (int)json_integer_value(json_object_get(v, "box")),
            .attempt = (int)json_integer_value(json_object_get(v, "attempt")),
            .pid = json_integer_value(json_object_get(v, "pid")),
            .ok = json_is_true(json_object_get(v, "ok")),
        };
    ok = ok && out->task && out->order && out->key && out->result;
    free(result);
    json_decref(v);
    return ok;
}

static int
compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int                 order = strcmp(x->order, y->order);

    if (order == 0)
        order = strcmp(x->task, y->task);
    if (order == 0)
        order = x->box - y->box;
    return order ? order : x->attempt - y->attempt;
}

static int
add_line(struct ledger *l, size_t *size, const char *line, struct err *err)
{
    if (l->n == *size) {
        size_t more = *size ? *size * 2 : 4096;
        void  *grown = mem_realloc(l->entries, more * sizeof(l->entries[0]));
        if (grown == NULL)
            return err_nomem(err);
        l->entries = grown;
        *size = more;
    }
    if (!parse_entry(&l->arena, line, &l->entries[l->n]))
        return err_set(err, HF_FAILED, "demo: line %zu of the ledger is broken: %.80s", l->n + 1,
                       line);
    l->n++;
    return HF_OK;
}

int
ledger_read(const char *path, struct ledger *out, struct err *err)
{
    FILE  *from = fopen(path, "re");
    char  *line = NULL;
    size_t line_size = 0, size = 0;
    int    rc = HF_OK;

    *out = (struct ledger){0};
    if (from == NULL)
        return err_set(err, HF_FAILED, "demo: %s: %s", path, strerror(errno));
    while (rc == HF_OK && getline(&line, &line_size, from) > 0)
        rc = add_line(out, &size, line, err);
    free(line);
    fclose(from);
    if (rc)
        ledger_release(out);
    else if (out->n > 0)
        qsort(out->entries, out->n, sizeof(out->entries[0]), compare);
    return rc;
}

void
ledger_release(struct ledger *l)
{
    mem_free(l->entries);
    arena_release(&l->arena);
    *l = (struct ledger){0};
}

size_t
ledger_of(const struct ledger *l, const char *order, const struct entry **from)
{
    size_t low = 0, high = l->n, n = 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(l->entries[middle].order, order) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + n < l->n && strcmp(l->entries[low + n].order, order) == 0)
        n++;
    *from = l->entries + low;
    return n;
}
