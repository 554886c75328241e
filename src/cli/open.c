/* Opening the store for a command, and taking over its errors. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
cli_fail(struct cli *c)
{
    return err_set(&c->err, hf_errcode(c->h), "%s", hf_errmsg(c->h));
}

int
cli_nomem(struct cli *c)
{
    return err_nomem(&c->err);
}

/* The file of an SQLite URL; NULL for another kind of store. */
static const char *
sqlite_path(const char *url)
{
    if (strncmp(url, "sqlite:", 7) == 0) {
        url += 7;
        return strncmp(url, "//", 2) == 0 ? url + 2 : url;
    }
    return strchr(url, ':') && strchr(url, ':') < url + strcspn(url, "/") ? NULL : url;
}

const char *
cli_url(const struct cli *c)
{
    const char *url = c->store_url ? c->store_url : getenv("HOLDFAST_STORE");
    return url && url[0] ? url : "sqlite:holdfast.db";
}

bool
cli_is_file(const struct cli *c)
{
    return sqlite_path(cli_url(c)) != NULL;
}

int
cli_find(struct cli *c)
{
    const char *path = sqlite_path(cli_url(c));
    if (path && access(path, F_OK) != 0)
        return err_set(&c->err, HF_UNAVAILABLE, "no store at %s; say where with --store", path);
    return HF_OK;
}

int
cli_open(struct cli *c, bool create)
{
    const char *url = cli_url(c);
    if (!create)
        TRY(cli_find(c));
    if (hf_open(url, &c->h))
        return c->h ? cli_fail(c) : cli_nomem(c);
    return HF_OK;
}
