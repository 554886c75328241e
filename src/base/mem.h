/*
 * The library's only door to malloc, so that tests can make each allocation in turn fail. Arenas
 * and buffers stand on it.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);              /* NULL when there is none */
void *mem_zalloc(size_t size);             /* zeroed */
void *mem_realloc(void *old, size_t size); /* NULL leaves old as it is */
char *mem_strdup(const char *text);        /* NULL for NULL, or when there is none */
void  mem_free(void *ptr);

/* Tests: the n-th allocation from now fails (1 is the next one), and all after it if forever; 0
 * switches off. Process-wide. */
void mem_fail_at(long n, int forever);
/* Tests: allocations asked for since mem_fail_at. */
long mem_count(void);

#endif
