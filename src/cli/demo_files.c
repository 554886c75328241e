/* Files of the demonstration: where the module lies, the working directory, the orders. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/demo.h"

/* Beside the executable as built, or where `make install` puts it. */
int
demo_find_module(struct demo *d)
{
    static const char *const places[] = {"examples", "../lib/holdfast/examples"};
    char                     self[PATH_MAX];

    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return err_set(&d->c->err, HF_UNAVAILABLE, "demo: /proc is not there");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *dir = arena_printf(&d->c->arena, "%s/%s", self, places[i]);
        if (dir == NULL)
            return cli_nomem(d->c);
        d->module = arena_printf(&d->c->arena, "%s/orders.so", dir);
        d->orders_path = arena_printf(&d->c->arena, "%s/orders.jsonl", dir);
        if (d->module == NULL || d->orders_path == NULL)
            return cli_nomem(d->c);
        if (access(d->module, R_OK) == 0 && access(d->orders_path, R_OK) == 0)
            return HF_OK;
    }
    return err_set(&d->c->err, HF_NOT_FOUND, "demo: examples/orders.so is not beside %s", self);
}

static bool
is_empty(const char *path)
{
    DIR *dir = opendir(path);
    int  n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return dir && n <= 2;
}

int
demo_make_dir(struct demo *d)
{
    const char *given = args_text(d->c, "dir", NULL), *tmp = getenv("TMPDIR");
    char        resolved[PATH_MAX];

    if (given) {
        if (mkdir(given, 0777) != 0 && (errno != EEXIST || !is_empty(given)))
            return err_set(&d->c->err, HF_INVALID, "demo: %s: %s", given,
                           errno == EEXIST ? "is not empty" : strerror(errno));
        d->dir = realpath(given, resolved) ? arena_strdup(&d->c->arena, resolved) : NULL;
    } else {
        char *made =
            arena_printf(&d->c->arena, "%s/holdfast-demo-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
        if (made && mkdtemp(made) == NULL)
            return err_set(&d->c->err, HF_UNAVAILABLE, "demo: %s: %s", made, strerror(errno));
        d->dir = made;
    }
    if (d->dir == NULL)
        return cli_nomem(d->c);
    d->url = arena_printf(&d->c->arena, "sqlite:%s/demo.db", d->dir);
    d->ledger_path = arena_printf(&d->c->arena, "%s/ledger.jsonl", d->dir);
    d->log_path = arena_printf(&d->c->arena, "%s/worker.log", d->dir);
    return d->url && d->ledger_path && d->log_path ? HF_OK : cli_nomem(d->c);
}

/* Removes a directory that holds files only. */
void
demo_remove_dir(const struct demo *d)
{
    DIR *dir = opendir(d->dir);

    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(d->dir);
}

static int
parse_order(struct demo *d, const char *line, struct order *out)
{
    json_t     *v = json_loads(line, 0, NULL);
    const char *id = json_string_value(json_object_get(v, "order"));
    const char *card = json_string_value(json_object_get(v, "card"));
    const char *approval = json_string_value(json_object_get(v, "approval"));
    int         rc = HF_OK;

    if (id == NULL || card == NULL || approval == NULL) {
        rc = err_set(&d->c->err, HF_INVALID, "demo: %s: no order: %.60s", d->orders_path, line);
    } else {
        *out = (struct order){
            .id = arena_strdup(&d->c->arena, id),
            .card = arena_strdup(&d->c->arena, card),
            .approval = arena_strdup(&d->c->arena, approval),
            .input = arena_strdup(&d->c->arena, line),
        };
        if (!out->id || !out->card || !out->approval || !out->input)
            rc = cli_nomem(d->c);
    }
    json_decref(v);
    return rc;
}

int
demo_read_orders(struct demo *d, size_t limit)
{
    FILE      *from = fopen(d->orders_path, "re");
    struct buf line = {0};
    int        rc = HF_OK;

    d->orders = arena_zalloc(&d->c->arena, (limit + 1) * sizeof(d->orders[0]));
    if (from == NULL)
        rc = err_set(&d->c->err, HF_UNAVAILABLE, "demo: %s: %s", d->orders_path, strerror(errno));
    else if (d->orders == NULL)
        rc = cli_nomem(d->c);
    while (rc == HF_OK && d->n_orders < limit) {
        if (!read_line(from, &line, HF_PAYLOAD_MAX))
            break;
        rc = line.failed ? cli_nomem(d->c)
                         : parse_order(d, line.len ? line.data : "", &d->orders[d->n_orders]);
        d->n_orders += rc == HF_OK;
    }
    buf_release(&line);
    if (from)
        fclose(from);
    if (rc == HF_OK && d->n_orders < limit)
        rc = err_set(&d->c->err, HF_INVALID, "demo: there are only %zu orders", d->n_orders);
    return rc;
}
