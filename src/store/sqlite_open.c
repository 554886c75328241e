/*
 * Opening and closing: the file, the settings of a connection, the schema. A file that is not there
 * is made, also by several processes at once; other tables in it are left alone.
 */
#include "store/sqlite.h"

#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/mem.h"

enum { BUSY_US = 30 * 1000000, BUSY_STEP_US = 2000 };

struct migration {
    int         number;
    const char *name, *checksum, *text;
};

#define X(number, name, checksum, text) {number, name, checksum, text},
#include "sqlite_sql.h"
static const struct migration migrations[] = {SQLITE_MIGRATIONS(X)};
#undef X

enum { MIGRATIONS = sizeof(migrations) / sizeof(migrations[0]) };

int
sqlite_schema_known(void)
{
    return migrations[MIGRATIONS - 1].number;
}

static void
sleep_us(int64_t us)
{
    struct timespec t = {us / US_PER_S, us % US_PER_S * 1000};
    nanosleep(&t, NULL);
}

/* Waits for another writer: 50 us, twice that, ... 2 ms; half a minute in all. */
int
sqlite_wait_busy(void *arg, int times)
{
    int64_t step = times < 6 ? 50LL << times : BUSY_STEP_US;
    (void)arg;
    if (times > BUSY_US / BUSY_STEP_US)
        return 0;
    sleep_us(step);
    return 1;
}

int
sqlite_check_fs(const char *path, long f_type, struct err *err)
{
    static const struct {
        unsigned    type;
        const char *name;
    } remote[] = {{NFS_SUPER_MAGIC, "NFS"}, {SMB_SUPER_MAGIC, "SMB"}, {0xff534d42u, "CIFS"},
                  {0xfe534d42u, "SMB2"},    {0x0bd00bd0u, "Lustre"},  {AFS_SUPER_MAGIC, "AFS"}};
    for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
        if ((unsigned)f_type == remote[i].type)
            return err_set(err, HF_UNAVAILABLE,
                           "%s is on a network file system (%s), where SQLite's locks cannot be "
                           "trusted: put it on a local disk",
                           path, remote[i].name);
    return HF_OK;
}

/* The switch to the log of a new file does not wait for others by itself. */
static int
setup(struct sqlite *s, struct err *err)
{
    int     rc;
    int64_t until_us = clock_steady_us() + BUSY_US;
    while ((rc = sqlite3_exec(s->db, sql_text(SQL_setup), NULL, NULL, NULL)) == SQLITE_BUSY &&
           clock_steady_us() < until_us)
        sleep_us(BUSY_STEP_US);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, sqlite3_extended_errcode(s->db), "open", err);
}

static int
check_checksums(struct sqlite *s, int64_t have, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_migration_checksum, err);
    if (q == NULL)
        return err->code;
    for (int i = 0; i < MIGRATIONS && migrations[i].number <= have; i++) {
        bind_int(q, 1, migrations[i].number);
        int         rc = sqlite3_step(q);
        const char *sum = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
        bool        same = sum && strcmp(sum, migrations[i].checksum) == 0;
        sqlite3_reset(q);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            return sqlite_fail(s, rc, "read the schema", err);
        if (!same)
            return err_set(err, HF_CORRUPT,
                           "%s: its schema was not made by migration %s of this version", s->path,
                           migrations[i].name);
    }
    return HF_OK;
}

/* The schema's number, 0 for none; HF_NEWER. */
static int
schema_version(struct sqlite *s, int64_t *out, struct err *err)
{
    int64_t has = 0;
    *out = 0;
    TRY(sql_get_int(s, SQL_has_migrations, &has, err));
    if (!has)
        return HF_OK;
    TRY(sql_get_int(s, SQL_schema_version, out, err));
    if (*out > sqlite_schema_known())
        return err_set(err, HF_NEWER, "%s: its schema is number %lld, this version knows up to %d",
                       s->path, (long long)*out, sqlite_schema_known());
    return check_checksums(s, *out, err);
}

static int
apply(struct sqlite *s, const struct migration *m, struct err *err)
{
    int64_t application = 0;
    if (m->number == 1) {
        TRY(sql_exec(s, SQL_make_migrations, err));
        TRY(sql_get_int(s, SQL_file_application, &application, err));
        if (application == 0)
            TRY(sql_exec(s, SQL_mark_file, err));
    }
    if (sqlite3_exec(s->db, m->text, NULL, NULL, NULL) != SQLITE_OK)
        return sqlite_fail(s, sqlite3_extended_errcode(s->db), m->name, err);
    sqlite3_stmt *q = sql_get(s, SQL_add_migration, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, m->number);
    bind_text(q, 2, m->checksum);
    bind_int(q, 3, clock_now_us(&s->base.clock));
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, m->name, err);
}

/* Each step looks again under the write lock: another process may have been here first. */
int
sqlite_migrate(struct sqlite *s, struct err *err)
{
    int64_t have = 0;
    TRY(schema_version(s, &have, err));
    while (have < sqlite_schema_known()) {
        TRY(sqlite_begin_write(s, err));
        int rc = schema_version(s, &have, err);
        for (int i = 0; rc == HF_OK && i < MIGRATIONS; i++) {
            if (migrations[i].number == have + 1) {
                rc = apply(s, &migrations[i], err);
                break;
            }
        }
        if (rc != HF_OK) {
            sqlite_rollback(s);
            return rc;
        }
        TRY(sqlite_commit(s, err));
        TRY(schema_version(s, &have, err));
    }
    return HF_OK;
}

int
sqlite_connect(struct sqlite *s, const char *path, struct err *err)
{
    struct statfs fs;
    int           flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    s->path = path;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) {
        if (s->db == NULL)
            return err_nomem(err);
        return sqlite_fail(s, sqlite3_extended_errcode(s->db), "open", err);
    }
    sqlite3_extended_result_codes(s->db, 1);
    const char *full = sqlite3_db_filename(s->db, "main");
    if (full == NULL || *full == '\0')
        return err_set(err, HF_INVALID, "%s: not the path of a file", path);
    s->path = full;
    sqlite3_busy_handler(s->db, sqlite_wait_busy, NULL);
    if (statfs(full, &fs) == 0)
        TRY(sqlite_check_fs(full, (long)fs.f_type, err));
    if (sqlite3_db_readonly(s->db, "main") == 1)
        return err_set(err, HF_UNAVAILABLE, "%s: no permission to write", full);
    return setup(s, err);
}

void
sqlite_disconnect(struct sqlite *s)
{
    sqlite_rollback(s);
    for (int i = 0; i < SQLS; i++)
        sqlite3_finalize(s->stmt[i]);
    if (s->db)
        sqlite3_close_v2(s->db);
    s->db = NULL;
}
