/* Encoding and decoding of history rows. */
#include "core/event.h"

#include <jansson.h>
#include <string.h>

static const char *const kind_names[] = {
#define X(kind, text, what) text,
    EVENT_KINDS(X)
#undef X
};

const char *
event_kind_name(int kind)
{
    return kind >= 0 && kind < EVENT_KINDS_COUNT ? kind_names[kind] : "unknown";
}

static void
put_text(struct buf *row, const char *key, const char *text)
{
    if (text == NULL)
        return;
    buf_puts(row, key);
    buf_json(row, text);
}

static void
put_int(struct buf *row, const char *key, int64_t v)
{
    if (v == 0)
        return;
    buf_puts(row, key);
    buf_int(row, v);
}

void
event_encode(struct buf *row, const struct event *e, int64_t *last_ms)
{
    bool first = row->len == 0 || row->data[row->len - 1] == '\n';
    buf_puts(row, !first ? ",{\"k\":\"" : "[{\"k\":\"");
    buf_puts(row, kind_names[e->kind]);
    buf_putc(row, '"');
    put_text(row, ",\"r\":", e->ref);
    put_text(row, ",\"n\":", e->name);
    put_text(row, ",\"i\":", e->input);
    put_text(row, ",\"o\":", e->output);
    put_int(row, ",\"c\":", e->code);
    put_text(row, ",\"e\":", e->error_name);
    put_text(row, ",\"m\":", e->message);
    put_int(row, ",\"a\":", e->attempts);
    put_text(row, ",\"d\":", e->run_id);
    put_int(row, ",\"w\":", e->due_ms);
    put_int(row, ",\"x\":", e->flags);
    put_int(row, ",\"v\":", e->version);
    put_text(row, ",\"y\":", e->key);
    if (e->time_ms != *last_ms)
        put_int(row, ",\"t\":", e->time_ms);
    *last_ms = e->time_ms;
    buf_putc(row, '}');
}

static int
find_kind(const char *name)
{
    for (int i = 0; name && i < EVENT_KINDS_COUNT; i++)
        if (strcmp(kind_names[i], name) == 0)
            return i;
    return -1;
}

/* Copies a text member; *failed is set when memory is out. */
static const char *
get_text(json_t *o, const char *key, struct arena *a, bool *failed)
{
    const char *text = json_string_value(json_object_get(o, key));
    if (text == NULL)
        return NULL;
    const char *copy = arena_strdup(a, text);
    if (copy == NULL)
        *failed = true;
    return copy;
}

static int
decode_one(json_t *o, struct arena *a, struct event *e, int64_t *last_ms, struct err *err)
{
    const char *kind = json_string_value(json_object_get(o, "k"));
    bool        failed = false;

    *e = (struct event){.kind = find_kind(kind)};
    if (e->kind < 0)
        return err_set(err, HF_CORRUPT, "history: event of unknown kind '%.40s'", kind ? kind : "");
    e->ref = get_text(o, "r", a, &failed);
    e->name = get_text(o, "n", a, &failed);
    e->input = get_text(o, "i", a, &failed);
    e->output = get_text(o, "o", a, &failed);
    e->error_name = get_text(o, "e", a, &failed);
    e->message = get_text(o, "m", a, &failed);
    e->run_id = get_text(o, "d", a, &failed);
    e->key = get_text(o, "y", a, &failed);
    e->code = (int)json_integer_value(json_object_get(o, "c"));
    e->attempts = (int)json_integer_value(json_object_get(o, "a"));
    e->flags = (int)json_integer_value(json_object_get(o, "x"));
    e->version = (int)json_integer_value(json_object_get(o, "v"));
    e->due_ms = json_integer_value(json_object_get(o, "w"));
    json_t *t = json_object_get(o, "t");
    e->time_ms = t ? json_integer_value(t) : *last_ms;
    *last_ms = e->time_ms;
    return failed ? err_nomem(err) : HF_OK;
}

int
event_decode(const char *json, size_t len, struct arena *a, struct event **out, size_t *n,
             struct err *err)
{
    json_error_t je;
    int64_t      last_ms = 0;
    int          rc = HF_OK;
    json_t      *row = json_loadb(json, len, 0, &je);

    if (!json_is_array(row)) {
        json_decref(row);
        return err_set(err, HF_CORRUPT, "history: no array of events: %s", je.text);
    }
    size_t        count = json_array_size(row);
    struct event *events = arena_alloc(a, sizeof(*events) * (count ? count : 1));
    if (events == NULL)
        rc = err_nomem(err);
    for (size_t i = 0; rc == HF_OK && i < count; i++)
        rc = decode_one(json_array_get(row, i), a, &events[i], &last_ms, err);
    json_decref(row);
    if (rc == HF_OK) {
        *out = events;
        *n = count;
    }
    return rc;
}
