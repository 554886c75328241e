/* How long a PostgreSQL server took for our statements, as pg_stat_statements has counted. */
#include "store/cost.h"

#include <string.h>

#include "store/postgres_read.h"

static bool
take(struct postgres *s, struct arena *a, struct server_times *out)
{
    bool failed = false;
    int  n = pg_rows(s);

    out->statements = arena_zalloc(a, ((size_t)n + 1) * sizeof(*out->statements));
    for (int i = 0; out->statements && i < n; i++) {
        struct server_time row = {.name = pg_get_text(s, i, 0, a, &failed),
                                  .calls = pg_get_int(s, i, 1),
                                  .total_us = pg_get_int(s, i, 2),
                                  .rows = pg_get_int(s, i, 3)};
        out->since_us = pg_get_int_or(s, i, 4, 0);
        if (row.name)
            out->statements[out->n++] = row;
        else
            out->hidden = row.calls;
    }
    if (n == 0)
        out->unknown = "pg_stat_statements is not installed: add it to shared_preload_libraries, "
                       "restart the server, and run create extension pg_stat_statements";
    return out->statements && !failed;
}

int
postgres_server_times(struct store *base, struct arena *a, struct server_times *out,
                      struct err *err)
{
    struct postgres    *s = postgres_of(base);
    struct server_times times = {.has_server = true};
    struct err          own = {0};
    bool                whole = true;

    TRY(pg_ready(s, err));
    pg_send_read(s, PG_cost_times, NULL);
    int rc = pg_result(s, &own);
    if (rc == HF_OK)
        whole = take(s, a, &times);
    int end = pg_synced(s, &own);
    if (end == HF_UNAVAILABLE || end == HF_NOMEM || !whole)
        return whole ? err_set(err, end, "%s", own.text) : err_nomem(err);
    if (end != HF_OK) /* no right to look, or the server has not loaded what counts */
        times = (struct server_times){.has_server = true, .unknown = arena_strdup(a, own.text)};
    *out = times;
    return HF_OK;
}
