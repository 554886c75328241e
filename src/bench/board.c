/* The board: a file in memory, mapped by all. */
#include "bench/board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct board *
map(int fd)
{
    void *p = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

int
board_make(struct board **out, struct err *err)
{
    char name[16];
    int  fd = memfd_create("holdfast-bench", 0);

    if (fd < 0 || ftruncate(fd, sizeof(struct board)) != 0 || (*out = map(fd)) == NULL) {
        err_set(err, HF_UNAVAILABLE, "bench: shared memory: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return err->code;
    }
    (*out)->fd = fd;
    snprintf(name, sizeof(name), "%d", fd);
    return setenv(BOARD_VARIABLE, name, 1) == 0 ? HF_OK : err_nomem(err);
}

struct board *
board_find(void)
{
    const char *text = getenv(BOARD_VARIABLE);
    struct stat st;
    char       *end;

    if (text == NULL || *text == '\0')
        return NULL;
    long fd = strtol(text, &end, 10);
    if (*end || fstat((int)fd, &st) != 0 || st.st_size != sizeof(struct board))
        return NULL;
    return map((int)fd);
}

void
board_free(struct board *b)
{
    if (b == NULL)
        return;
    close(b->fd);
    munmap(b, sizeof(*b));
}

void
board_count(struct board *b, enum board_kind kind)
{
    static _Thread_local int line = -1;

    if (b == NULL)
        return;
    if (line < 0)
        line = atomic_fetch_add(&b->lines, 1) % BOARD_LINES;
    atomic_fetch_add_explicit(&b->line[line].done[kind], 1, memory_order_relaxed);
}

static int64_t
sum(const struct board *b, enum board_kind kind)
{
    int     n = atomic_load(&b->lines);
    int64_t all = 0;

    for (int i = 0; i < n && i < BOARD_LINES; i++)
        all += atomic_load_explicit(&b->line[i].done[kind], memory_order_relaxed);
    return all;
}

int64_t
board_done(const struct board *b, enum board_kind kind)
{
    return sum(b, kind) - b->base[kind];
}

void
board_clear(struct board *b)
{
    for (int kind = 0; kind < BOARD_KINDS; kind++)
        b->base[kind] = sum(b, kind);
}

void
board_reset(struct board *b)
{
    int fd = b->fd;
    memset(b, 0, sizeof(*b));
    b->fd = fd;
}
