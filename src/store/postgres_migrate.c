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

struct function {
    const char *name, *text;
};

#define X(name, text) {name, text},
static const struct function functions[] = {POSTGRES_FUNCTIONS(X)};
#undef X

enum {
    MIGRATIONS = sizeof(migrations) / sizeof(migrations[0]),
    FUNCTIONS = sizeof(functions) / sizeof(functions[0])
};

static const int64_t PATIENCE_US = 3600 * US_PER_S; /* of a migration: for locks, and big tables */

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

/* ---- applying */

static int
run_statement(struct postgres *s, enum pg_sql id, struct err *err)
{
    pg_send(s, id, NULL);
    pg_sync(s);
    return pg_synced(s, err);
}

static int
run_text(struct postgres *s, const char *text, const char *name, struct err *err)
{
    char *mine = pg_with_schema(text, s->target.schema);
    if (mine == NULL)
        return err_nomem(err);
    int rc = pg_script(s, mine, name, err);
    mem_free(mine);
    return rc;
}

static int
make_schema(struct postgres *s, struct buf *out, struct err *err)
{
    int64_t has = 0;
    pg_send(s, PG_has_schema, NULL);
    pg_sync(s);
    TRY(pg_one_int(s, 0, &has, err));
    if (!has) {
        TRY(run_statement(s, PG_make_schema, err));
        buf_printf(out, "made the schema %s\n", s->target.schema);
    }
    return run_statement(s, PG_make_migrations, err);
}

static int
apply(struct postgres *s, const struct migration *m, struct buf *out, struct err *err)
{
    TRY(run_text(s, m->text, m->name, err));
    struct pg_args *a = pg_args(s);
    pg_put_int4(a, m->number);
    pg_put_text(a, m->name);
    pg_put_text(a, m->checksum);
    pg_send(s, PG_add_migration, a);
    pg_sync(s);
    TRY(pg_synced(s, err));
    buf_printf(out, "applied %s\n", m->name);
    return HF_OK;
}

static bool
is_view(const struct function *f)
{
    return strstr(f->text, "or replace view") != NULL;
}

/* Views come last: they are checked when they are made. */
static int
install(struct postgres *s, struct err *err)
{
    TRY(run_statement(s, PG_unchecked_bodies, err));
    for (int views = 0; views < 2; views++)
        for (int i = 0; i < FUNCTIONS; i++)
            if (is_view(&functions[i]) == views)
                TRY(run_text(s, functions[i].text, functions[i].name, err));
    return HF_OK;
}

static int
migrate_locked(struct postgres *s, struct buf *out, struct err *err)
{
    int have = 0;
    TRY(run_statement(s, PG_migrate_lock, err));
    TRY(schema_version(s, &have, err));
    if (have == 0)
        TRY(make_schema(s, out, err));
    for (int i = 0; i < MIGRATIONS; i++)
        if (migrations[i].number > have)
            TRY(apply(s, &migrations[i], out, err));
    TRY(install(s, err));
    return run_statement(s, PG_default_queue, err);
}

static int
migrate_all(struct postgres *s, struct buf *out, struct err *err)
{
    s->patience_us = PATIENCE_US;
    pg_begin(s);
    pg_sync(s);
    TRY(pg_synced(s, err));
    int rc = migrate_locked(s, out, err);
    if (rc != HF_OK) {
        pg_rollback(s);
        return rc;
    }
    pg_commit(s);
    return pg_synced(s, err);
}

static int
list_missing(struct postgres *s, struct buf *out, struct err *err)
{
    int have = 0;
    TRY(schema_version(s, &have, err));
    for (int i = 0; i < MIGRATIONS; i++)
        if (migrations[i].number > have)
            buf_printf(out, "missing %s\n", migrations[i].name);
    return postgres_check_schema(s, err);
}

/* ---- as a script */

static void
put_text(struct buf *out, const char *text, const char *schema)
{
    char *mine = pg_with_schema(text, schema);
    if (mine == NULL)
        out->failed = 1;
    else
        buf_puts(out, mine);
    mem_free(mine);
    buf_puts(out, "\n");
}

static void
put_statement(struct buf *out, enum pg_sql id, const char *schema)
{
    put_text(out, pg_sql_plain(id), schema);
}

/* The row of a migration: names and checksums need no quoting. */
static void
put_row(struct buf *out, const struct migration *m, const char *schema)
{
    struct buf  line = {0};
    const char *text = pg_sql_plain(PG_add_migration), *p;
    for (; (p = strchr(text, '$')) != NULL; text = p + 2 + strcspn(p + 2, ",)")) {
        buf_put(&line, text, (size_t)(p - text));
        if (p[1] == '1')
            buf_int(&line, m->number);
        else
            buf_printf(&line, "'%s'", p[1] == '2' ? m->name : m->checksum);
    }
    buf_puts(&line, text);
    put_text(out, line.data ? line.data : "", schema);
    buf_release(&line);
}

static int
write_script(const char *schema, struct buf *out, struct err *err)
{
    put_statement(out, PG_begin, schema);
    put_statement(out, PG_migrate_lock, schema);
    put_statement(out, PG_make_schema, schema);
    put_statement(out, PG_make_migrations, schema);
    for (int i = 0; i < MIGRATIONS; i++) {
        put_text(out, migrations[i].text, schema);
        put_row(out, &migrations[i], schema);
    }
    put_statement(out, PG_unchecked_bodies, schema);
    for (int views = 0; views < 2; views++)
        for (int i = 0; i < FUNCTIONS; i++)
            if (is_view(&functions[i]) == views)
                put_text(out, functions[i].text, schema);
    put_statement(out, PG_default_queue, schema);
    put_statement(out, PG_commit, schema);
    return out->failed ? err_nomem(err) : HF_OK;
}

int
postgres_migrate(const char *url, enum migrate_mode mode, struct buf *out, struct err *err)
{
    struct err       own = {0};
    struct pg_target target;
    struct postgres *s = NULL;
    int              rc;

    if (mode == MIGRATE_SQL) {
        rc = pg_target_parse(url, &target, &own);
        if (rc == HF_OK) {
            rc = write_script(target.schema, out, &own);
            pg_target_release(&target);
        }
    } else {
        rc = postgres_new(url, NULL, &s, &own);
        if (rc == HF_OK)
            rc = mode == MIGRATE_RUN ? migrate_all(s, out, &own) : list_missing(s, out, &own);
        if (s)
            postgres_free(s);
    }
    if (rc != HF_OK && err)
        *err = own;
    return rc;
}

int
postgres_drop(const char *url, struct err *err)
{
    struct err       own = {0};
    struct postgres *s = NULL;
    int              rc = postgres_new(url, NULL, &s, &own);

    if (rc == HF_OK) {
        s->patience_us = PATIENCE_US;
        rc = run_statement(s, PG_drop_schema, &own);
    }
    if (s)
        postgres_free(s);
    if (rc != HF_OK && err)
        *err = own;
    return rc;
}
