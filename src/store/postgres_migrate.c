/*
 * The schema: which steps there are, which of them a database has, and applying those that it
 * lacks.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "postgres_sql.h"
#include "store/postgres.h"

struct migration {
    int         number;
    const char *name, *checksum, *text;
};

#define X(number, name, checksum, text) {number, name, checksum, text},
static const struct migration migrations[] = {POSTGRES_MIGRATIONS(X)};
#undef X

enum { MIGRATIONS = sizeof(migrations) / sizeof(migrations[0]) };

int
postgres_schema_known(void)
{
    return migrations[MIGRATIONS - 1].number;
}

/* The number of the last step that the database has; 0: none. HF_NEWER, HF_CORRUPT. */
static int
schema_version(struct postgres *s, int *out, struct err *err)
{
    int64_t exists = 0;
    *out = 0;
    pg_send(s, PG_schema_exists, NULL);
    pg_sync(s);
    TRY(pg_one_int(s, 0, &exists, err));
    if (!exists)
        return HF_OK;
    pg_send(s, PG_schema_steps, NULL);
    pg_sync(s);
    int changed = -1;
    if (pg_result(s, err) == HF_OK)
        for (int i = 0; i < pg_rows(s); i++) {
            *out = (int)pg_get_int(s, i, 0);
            if (i < MIGRATIONS && migrations[i].number == *out &&
                strcmp(pg_peek_text(s, i, 1), migrations[i].checksum) != 0)
                changed = i;
        }
    TRY(pg_synced(s, err));
    if (*out > postgres_schema_known())
        return err_set(
            err, HF_NEWER,
            "%s: the schema %s is number %d, this version knows up to %d: install a newer "
            "holdfast",
            s->target.where, s->target.schema, *out, postgres_schema_known());
    if (changed >= 0)
        return err_set(err, HF_CORRUPT,
                       "%s: the schema %s was not made by migration %s of this version",
                       s->target.where, s->target.schema, migrations[changed].name);
    return HF_OK;
}

int
postgres_check_schema(struct postgres *s, struct err *err)
{
    int have = 0;
    TRY(schema_version(s, &have, err));
    if (have == 0)
        return err_set(err, HF_NOT_FOUND,
                       "%s: there is no schema %s: run `holdfast migrate` with this store",
                       s->target.where, s->target.schema);
    if (have < postgres_schema_known())
        return err_set(err, HF_NOT_FOUND,
                       "%s: the schema %s is number %d, this version needs %d: run `holdfast "
                       "migrate` with this store",
                       s->target.where, s->target.schema, have, postgres_schema_known());
    return HF_OK;
}
