/*
 * What was started and what was recorded. A key is a task's id or that of a step. Once its result
 * is in the store, nobody may start it again.
 */
#include <string.h>

#include "simulation.h"

enum { EFFECTS = 8192 };

static struct effect {
    char     key[120];
    int      starts, records;
    uint64_t value;
    bool     has_value;
} effects[EFFECTS];

static int used[EFFECTS], n_used;

void
effects_reset(void)
{
    for (int i = 0; i < n_used; i++)
        effects[used[i]] = (struct effect){0};
    n_used = 0;
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
