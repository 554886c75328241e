/* What a PostgreSQL server has done so far, and its settings: for benchmarks. */
#include "store/cost.h"

#include "store/postgres_read.h"

/* Statements are counted by an extension; -1 without it. */
static int
count_statements(struct postgres *s, int64_t *out, struct err *err)
{
    struct err ignored = {0};

    *out = -1;
    TRY(pg_ready(s, err));
    pg_send_read(s, PG_cost_statements, NULL);
    if (pg_result(s, &ignored) == HF_OK && pg_rows(s) == 1)
        *out = pg_get_int_or(s, 0, 0, -1);
    if (pg_synced(s, &ignored))
        *out = -1;
    return HF_OK;
}

int
postgres_cost(struct store *base, struct store_cost *out, struct err *err)
{
    struct postgres  *s = postgres_of(base);
    struct store_cost c = {-1, -1, -1, -1, -1};

    TRY(count_statements(s, &c.statements, err));
    TRY(pg_ready(s, err));
    pg_send_read(s, PG_cost_counts, NULL);
    if (pg_result(s, err) == HF_OK && pg_rows(s) == 1) {
        c.commits = pg_get_int_or(s, 0, 0, -1);
        c.rows = pg_get_int_or(s, 0, 1, -1);
        c.wal_bytes = pg_get_int_or(s, 0, 2, -1);
        c.pid = pg_get_int_or(s, 0, 3, -1);
    }
    TRY(pg_synced(s, err));
    *out = c;
    return HF_OK;
}

int
postgres_settings(struct store *base, struct arena *a, struct store_setting **out, size_t *n,
                  struct err *err)
{
    static const char *const names[] = {"server_version",   "fsync",        "synchronous_commit",
                                        "full_page_writes", "wal_level",    "wal_sync_method",
                                        "shared_buffers",   "max_wal_size", "checkpoint_timeout",
                                        "autovacuum"};
    struct postgres         *s = postgres_of(base);
    struct store_setting    *rows = NULL;
    bool                     failed = false;
    size_t                   count = 0;

    TRY(pg_ready(s, err));
    struct pg_args *args = pg_args(s);
    int             array = pg_array(args, PG_TEXT);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        pg_add_text(args, array, names[i]);
    pg_send_read(s, PG_cost_settings, args);
    if (pg_result(s, err) == HF_OK) {
        count = (size_t)pg_rows(s);
        rows = arena_zalloc(a, (count + 1) * sizeof(*rows));
        for (size_t i = 0; rows && i < count; i++)
            rows[i] = (struct store_setting){pg_get_text(s, (int)i, 0, a, &failed),
                                             pg_get_text(s, (int)i, 1, a, &failed)};
        failed |= rows == NULL;
    }
    TRY(pg_synced(s, err));
    if (failed)
        return err_nomem(err);
    *out = rows;
    *n = count;
    return HF_OK;
}

int
postgres_pin(struct store *base, struct err *err)
{
    struct postgres *s = postgres_of(base);

    TRY(pg_ready(s, err));
    pg_send(s, PG_pin_begin, NULL);
    pg_sync(s);
    TRY(pg_synced(s, err));
    pg_send(s, PG_pin_snapshot, NULL);
    pg_sync(s);
    return pg_synced(s, err);
}
