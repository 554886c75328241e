/*
 * What was started and what was recorded. A key is a task's id or that of a step. Once its result
 * is in the store, nobody may start it again.
 */
#include <stdio.h>
#include <string.h>

#include "simulation.h"

enum { EFFECTS = 8192, NAMES_MAX = 300 };

static struct effect {
    char     key[120];
    int      starts, records;
    uint64_t value;
    bool     has_value;
} effects[EFFECTS];

static int used[EFFECTS], n_used;

/* run numbers and ids, as seen */
static struct {
    int64_t no;
    char    id[HF_ID_SIZE];
} names[NAMES_MAX];
static int n_names;

void
effects_reset(void)
{
    for (int i = 0; i < n_used; i++)
        effects[used[i]] = (struct effect){0};
    n_used = n_names = 0;
}

static struct effect *
find(const char *key)
{
    uint64_t h = 1469598103934665603ULL;
    for (const char *p = key; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211ULL;
    int i = (int)(h % EFFECTS);
    while (effects[i].key[0] && strcmp(effects[i].key, key) != 0)
        i = (i + 1) % EFFECTS;
    if (effects[i].key[0] == '\0') {
        SIM_CHECK(n_used < EFFECTS / 2 && strlen(key) < sizeof(effects[i].key));
        memcpy(effects[i].key, key, strlen(key) + 1);
        used[n_used++] = i;
    }
    return &effects[i];
}

void
effect_started(const char *key)
{
    struct effect *e = find(key);
    e->starts++;
    if (e->records)
        sim_fail("%s was started again after its result was recorded", key);
}

void
effect_recorded(const char *key)
{
    struct effect *e = find(key);
    if (++e->records > 1)
        sim_fail("%s has two results", key);
}

int
effect_starts(const char *key)
{
    return find(key)->starts;
}

void
effect_same(const char *key, uint64_t value)
{
    struct effect *e = find(key);
    if (e->has_value && e->value != value)
        sim_fail("%s is not the same in every turn", key);
    e->has_value = true;
    e->value = value;
}

/* ---- from batches ---- */

static const char *
name_of(struct simulation *s, int64_t no)
{
    struct arena  a = {0};
    struct loaded loaded = {0};
    struct err    err;

    for (int i = 0; i < n_names; i++)
        if (names[i].no == no)
            return names[i].id;
    s->quiet_store = true;
    int rc = s->h->store->ops->load(s->h->store, &no, 1, &a, &loaded, &err);
    s->quiet_store = false;
    SIM_CHECK(rc == HF_OK && loaded.found && n_names < NAMES_MAX);
    names[n_names].no = no;
    snprintf(names[n_names].id, HF_ID_SIZE, "%s", loaded.run.id);
    arena_release(&a);
    return names[n_names++].id;
}

static void
note_history(struct simulation *s, const struct history_row *row)
{
    struct arena  a = {0};
    struct err    err = {0};
    struct event *events;
    size_t        n;
    char          key[HF_ID_SIZE + 100];
    const char   *id = name_of(s, row->run_no);

    if (event_decode(row->events, row->events_len, &a, &events, &n, &err))
        sim_fail("a row that cannot be read is committed: %s: %.*s", err.text, (int)row->events_len,
                 row->events);
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        bool has_result = e->kind == EVENT_DONE || e->kind == EVENT_ERROR || e->kind == EVENT_STEP;
        if (!has_result)
            continue;
        snprintf(key, sizeof(key), "%s/%d/%s", id, row->execution,
                 e->kind == EVENT_STEP ? e->name : e->ref);
        effect_recorded(key);
    }
    arena_release(&a);
}

/* What becomes durable with this batch. */
void
effects_note_batch(struct simulation *s, const struct batch *batch)
{
    for (size_t i = 0; i < batch->n_writes; i++) {
        const struct write *w = &batch->writes[i];
        if (w->kind == WRITE_HISTORY)
            note_history(s, &w->history);
        if ((w->kind == WRITE_TASK_DELETE || w->kind == WRITE_DEAD) && w->task->id &&
            w->task->run_no == 0)
            effect_recorded(w->task->id);
    }
}
