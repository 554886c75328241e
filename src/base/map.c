/* Open addressing with backward-shift deletion, so no tombstones gather. */
#include "base/map.h"

#include "base/mem.h"

static size_t
place(const struct map *m, int64_t key)
{
    return (size_t)((uint64_t)key * 0x9e3779b97f4a7c15ULL >> 20) & (m->size - 1);
}

static struct map_slot *
find_slot(const struct map *m, int64_t key)
{
    size_t i = place(m, key);
    while (m->slots[i].key && m->slots[i].key != key)
        i = (i + 1) & (m->size - 1);
    return &m->slots[i];
}

void
map_release(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){0};
}

void *
map_get(const struct map *m, int64_t key)
{
    return m->count ? find_slot(m, key)->value : NULL;
}

static bool
grow(struct map *m)
{
    struct map bigger = {.size = m->size ? m->size * 2 : 64, .count = m->count};
    bigger.slots = mem_zalloc(bigger.size * sizeof(*bigger.slots));
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < m->size; i++)
        if (m->slots[i].key)
            *find_slot(&bigger, m->slots[i].key) = m->slots[i];
    mem_free(m->slots);
    *m = bigger;
    return true;
}

bool
map_put(struct map *m, int64_t key, void *value)
{
    if ((m->count + 1) * 3 > m->size * 2 && !grow(m))
        return false;
    struct map_slot *s = find_slot(m, key);
    if (s->key == 0)
        m->count++;
    *s = (struct map_slot){key, value};
    return true;
}

void *
map_remove(struct map *m, int64_t key)
{
    struct map_slot *s = m->count ? find_slot(m, key) : NULL;
    if (s == NULL || s->key == 0)
        return NULL;
    void  *value = s->value;
    size_t hole = (size_t)(s - m->slots), mask = m->size - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        size_t home = place(m, m->slots[i].key);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){0};
    m->count--;
    return value;
}

void *
map_next(const struct map *m, size_t *at)
{
    while (*at < m->size) {
        struct map_slot *s = &m->slots[(*at)++];
        if (s->key)
            return s->value;
    }
    return NULL;
}
