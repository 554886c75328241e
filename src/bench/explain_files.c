/* The plans as files: a directory for each scenario, a file for each statement. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/explain.h"

static int
make(const char *dir, struct err *err)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return err_set(err, HF_INVALID, "explain: --out %s: %s", dir, strerror(errno));
    return HF_OK;
}

int
files_prepare(const char *dir, struct err *err)
{
    char path[PATH_MAX];

    TRY(make(dir, err));
    snprintf(path, sizeof(path), "%s/summary.json", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(err, HF_INVALID, "explain: --out %s: %s", dir, strerror(errno));
    close(fd);
    return HF_OK;
}

static int
write_file(const char *path, const char *text, size_t n, struct err *err)
{
    FILE *f = fopen(path, "we");
    bool  ok = f && fwrite(text, 1, n, f) == n && fputc('\n', f) == '\n';

    if (f && fclose(f) != 0)
        ok = false;
    return ok ? HF_OK : err_set(err, HF_UNAVAILABLE, "explain: %s: %s", path, strerror(errno));
}

int
files_write_plans(const char *dir, const struct explained_scenario *e, struct err *err)
{
    char sub[PATH_MAX], path[PATH_MAX + 100];

    snprintf(sub, sizeof(sub), "%s/%s", dir, e->scenario->name);
    TRY(make(sub, err));
    for (size_t i = 0; i < e->plans.n; i++) {
        const struct plan *p = &e->plans.rows[i];
        snprintf(path, sizeof(path), "%s/%s.%s", sub, p->name, p->steps < 0 ? "json" : "txt");
        TRY(write_file(path, p->text, strlen(p->text), err));
    }
    return HF_OK;
}

int
files_write(const char *dir, const char *name, const struct buf *text, struct err *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return write_file(path, text->data, text->len, err);
}
