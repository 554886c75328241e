/* The ledger: a line of JSON for each time that a task did its work. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/demo.h"

static int
put_bytes(const char *bytes, size_t n, void *to)
{
    buf_put(to, bytes, n);
    return 0;
}

const char *
compact_json(struct arena *a, const json_t *value)
{
    struct buf  b = {0};
    const char *text = NULL;

    int rc = value ? json_dump_callback(value, put_bytes, &b, JSON_COMPACT | JSON_ENCODE_ANY) : -1;
    if (rc == 0 && !b.failed && b.len > 0)
        text = arena_strndup(a, b.data, b.len);
    buf_release(&b);
    return text;
}

static bool
parse_entry(struct arena *a, const char *line, struct entry *out)
{
    json_t     *v = json_loads(line, 0, NULL);
    const char *task = json_string_value(json_object_get(v, "task"));
    const char *order = json_string_value(json_object_get(v, "order"));
    const char *key = json_string_value(json_object_get(v, "key"));
    const char *result = compact_json(a, json_object_get(v, "result"));
    bool        ok = task && order && key && result;

    if (ok)
        *out = (struct entry){
            .task = arena_strdup(a, task),
            .order = arena_strdup(a, order),
            .key = arena_strdup(a, key),
            .result = result,
            .box = (int)json_integer_value(json_object_get(v, "box")),
            .attempt = (int)json_integer_value(json_object_get(v, "attempt")),
            .pid = json_integer_value(json_object_get(v, "pid")),
            .ok = json_is_true(json_object_get(v, "ok")),
        };
    ok = ok && out->task && out->order && out->key;
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
    FILE      *from = fopen(path, "re");
    struct buf line = {0};
    size_t     size = 0;
    int        rc = HF_OK;

    *out = (struct ledger){0};
    if (from == NULL)
        return err_set(err, HF_FAILED, "demo: %s: %s", path, strerror(errno));
    while (rc == HF_OK && read_line(from, &line, HF_PAYLOAD_MAX))
        rc = line.failed || line.len == 0
                 ? err_set(err, HF_FAILED, "demo: an empty line in the ledger")
                 : add_line(out, &size, line.data, err);
    buf_release(&line);
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
