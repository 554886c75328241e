/*
 * Statements, transactions and errors of one connection. Statements are prepared once, when first
 * used. Whatever goes wrong in SQLite becomes a code of holdfast.h here and nowhere else.
 */
#include "store/sqlite.h"

struct statement {
    const char *name, *index, *text;
};

#define X(name, index, text) {#name, index, text},
static const struct statement statements[SQLS] = {
#include "store/sqlite_sql.def"
};
#undef X

const char *
sql_name(enum sql id)
{
    return statements[id].name;
}

const char *
sql_text(enum sql id)
{
    return statements[id].text;
}

const char *
sql_index(enum sql id)
{
    return statements[id].index;
}

int
sqlite_code(int rc)
{
    switch (rc) {
    case SQLITE_IOERR_NOMEM:
        return HF_NOMEM;
    case SQLITE_IOERR_CORRUPTFS:
        return HF_CORRUPT;
    case SQLITE_CONSTRAINT_CHECK:
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_NOTNULL:
    case SQLITE_CONSTRAINT_DATATYPE:
        return HF_REFUSED;
    }
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return HF_OK;
    case SQLITE_NOMEM:
        return HF_NOMEM;
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return HF_REFUSED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return HF_CORRUPT;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
    case SQLITE_INTERRUPT:
        return HF_UNAVAILABLE;
    default:
        return HF_INTERNAL;
    }
}

int
sqlite_fail(struct sqlite *s, int rc, const char *doing, struct err *err)
{
    int         code = sqlite_code(rc);
    const char *path = s->path ? s->path : "?";

    if (code == HF_NOMEM)
        return err_nomem(err);
    if ((rc & 0xff) == SQLITE_BUSY)
        return err_set(err, code, "%s: %s: another process keeps the file locked", path, doing);
    return err_set(err, code, "%s: %s: %s", path, doing,
                   sqlite3_errcode(s->db) == (rc & 0xff) ? sqlite3_errmsg(s->db)
                                                         : sqlite3_errstr(rc));
}

sqlite3_stmt *
sql_get(struct sqlite *s, enum sql id, struct err *err)
{
    if (s->stmt[id] == NULL) {
        int rc = sqlite3_prepare_v3(s->db, statements[id].text, -1, SQLITE_PREPARE_PERSISTENT,
                                    &s->stmt[id], NULL);
        if (rc != SQLITE_OK) {
            sqlite_fail(s, sqlite3_extended_errcode(s->db), statements[id].name, err);
            return NULL;
        }
    }
    return s->stmt[id];
}

int
sql_run(sqlite3_stmt *q)
{
    int rc = sqlite3_step(q);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        rc = sqlite3_extended_errcode(sqlite3_db_handle(q));
    sqlite3_reset(q);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
sql_exec(struct sqlite *s, enum sql id, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, id, err);
    if (q == NULL)
        return err ? err->code : HF_INTERNAL;
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, statements[id].name, err);
}

int
sql_int(struct sqlite *s, sqlite3_stmt *q, int64_t fallback, int64_t *out, struct err *err)
{
    int rc = sqlite3_step(q), code = HF_OK;
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(q, 0);
    else if (rc == SQLITE_DONE)
        *out = fallback;
    else
        code = sqlite_fail(s, sqlite3_extended_errcode(s->db), "read", err);
    sqlite3_reset(q);
    return code;
}

int
sql_get_int(struct sqlite *s, enum sql id, int64_t *out, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, id, err);
    if (q == NULL)
        return err->code;
    return sql_int(s, q, 0, out, err);
}

int
sqlite_data_version(struct sqlite *s, int64_t *out, struct err *err)
{
    return sql_get_int(s, SQL_data_version, out, err);
}

int
sqlite_begin_read(struct sqlite *s, struct err *err)
{
    TRY(sql_exec(s, SQL_begin_read, err));
    s->in_txn = true;
    return HF_OK;
}

int
sqlite_begin_write(struct sqlite *s, struct err *err)
{
    TRY(sql_exec(s, SQL_begin_write, err));
    s->in_txn = true;
    return HF_OK;
}

void
sqlite_rollback(struct sqlite *s)
{
    if (!s->in_txn)
        return;
    s->in_txn = false;
    queues_settle(s, false);
    if (!sqlite3_get_autocommit(s->db)) { /* SQLite may have done it by itself */
        struct err ignored = {0};
        sql_exec(s, SQL_rollback, &ignored);
    }
}

int
sqlite_commit(struct sqlite *s, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_commit, err);
    if (q == NULL) {
        int code = err->code;
        sqlite_rollback(s);
        return code;
    }
    int rc = sql_run(q);
    if (rc == SQLITE_OK) {
        s->in_txn = false;
        queues_settle(s, true);
        return HF_OK;
    }
    int code = sqlite_fail(s, rc, "commit", err);
    sqlite_rollback(s);
    /* Written but perhaps not on the disk: a crash now may bring it back. */
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
        code = err_set(err, HF_UNKNOWN, "%s: commit: the disk failed to sync", s->path);
    return code;
}

int
sqlite_take_numbers(struct sqlite *s, size_t n, int64_t *first, struct err *err)
{
    sqlite3_stmt *q = sql_get(s, SQL_take_numbers, err);
    if (q == NULL)
        return err->code;
    bind_int(q, 1, (int64_t)n);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        *first = sqlite3_column_int64(q, 0) - (int64_t)n + 1;
        rc = sqlite3_step(q);
    }
    if (rc != SQLITE_DONE)
        rc = sqlite3_extended_errcode(s->db);
    sqlite3_reset(q);
    return rc == SQLITE_DONE ? HF_OK : sqlite_fail(s, rc, "take numbers", err);
}
