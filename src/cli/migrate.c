/* `holdfast migrate`: the schema of a PostgreSQL store. An SQLite store needs none of this. */
#include <string.h>

#include "cli/print.h"

static int
print_lines(struct cli *c, const struct buf *lines)
{
    if (lines->failed)
        return cli_nomem(c);
    if (lines->len > 0)
        fwrite(lines->data, 1, lines->len, stdout);
    return HF_OK;
}

/* With --check a step that is missing is bad news, and no failure. */
static int
migrate(struct cli *c, enum migrate_mode mode, struct buf *lines)
{
    int rc = store_migrate(cli_url(c), mode, lines, &c->err);

    if (rc == HF_NOT_FOUND && mode == MIGRATE_CHECK) {
        TRY(print_lines(c, lines));
        puts("`holdfast migrate` brings the schema up to date");
        c->exit_code = 1;
        return HF_OK;
    }
    TRY(rc);
    TRY(print_lines(c, lines));
    if (lines->len == 0)
        puts("the schema is up to date");
    return HF_OK;
}

int
run_migrate(struct cli *c)
{
    bool              check = args_given(c, "check"), sql = args_given(c, "sql");
    enum migrate_mode mode = check ? MIGRATE_CHECK : sql ? MIGRATE_SQL : MIGRATE_RUN;
    struct buf        lines = {0};

    if (check && sql)
        return err_set(&c->err, HF_INVALID, "migrate: either --check or --sql");
    if (mode == MIGRATE_CHECK)
        TRY(cli_find(c));
    int rc = migrate(c, mode, &lines);
    buf_release(&lines);
    return rc;
}
