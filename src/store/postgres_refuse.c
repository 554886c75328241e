/*
 * Which unit of a batch the server does not take for its data: half of what is left is tried in a
 * transaction that is rolled back, until one unit is left. The text of the error is that unit's.
 */
#include "store/postgres_cycle.h"

/* HF_REFUSED if one of the units [from, to) is refused. */
static int
try_units(struct postgres *s, struct batch *batch, uint32_t from, uint32_t to, struct arena *a,
          struct err *err)
{
    struct pg_writing t;
    TRY(pg_ready(s, err));
    pg_begin(s);
    int rc = pg_write_begin(&t, s, batch, from, to, a, err);
    if (rc == HF_OK) {
        pg_write_send(&t);
        pg_send(s, PG_rollback, NULL);
        pg_sync(s);
        rc = pg_write_results(&t, err);
        if (rc == HF_OK)
            rc = pg_synced(s, err);
    }
    pg_rollback(s);
    return rc;
}

int
pg_find_refused(struct postgres *s, struct batch *batch, struct arena *a, struct err *err)
{
    uint32_t   from = 0, to = batch->writes[batch->n_writes - 1].unit + 1;
    struct err why = *err;

    while (to - from > 1) {
        uint32_t mid = from + (to - from) / 2;
        int      rc = try_units(s, batch, from, mid, a, err);
        if (rc == HF_REFUSED) {
            to = mid;
            why = *err;
        } else if (rc == HF_OK) {
            from = mid;
        } else {
            return rc;
        }
    }
    batch->refused = from;
    *err = why;
    return HF_REFUSED;
}
