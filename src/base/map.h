/* A hash table from row numbers to pointers: open addressing, linear probing, never with 0 as a
 * key. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    int64_t key; /* 0: free */
    void   *value;
};

struct map {
    struct map_slot *slots;
    size_t           size, count;
};

/* {0} is an empty map. */
void  map_release(struct map *m);
void *map_get(const struct map *m, int64_t key);        /* NULL: not there */
bool  map_put(struct map *m, int64_t key, void *value); /* false: out of memory */
void *map_remove(struct map *m, int64_t key);           /* the value, NULL if it was not there */
void *map_next(const struct map *m,
               size_t *at); /* iterates from *at = 0; NULL at the end. No changes meanwhile */

#endif
