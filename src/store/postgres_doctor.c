/*
 * What a PostgreSQL server says about itself, as findings for doctor: whether it is set up so that
 * what was stored stays stored, this role may do its work, dead rows can be taken away, and hints
 * arrive.
 */
#include <stdio.h>
#include <string.h>

#include "store/postgres_read.h"

enum { FINDINGS_MAX = 16, SKEW_US = 1000000, LONG_S = 300, NOTIFY_US = 2000000 };

struct diagnosis {
    struct postgres *s;
    struct arena    *a;
    struct finding  *rows;
    size_t           n;
};

static void
find(struct diagnosis *d, enum grade grade, const char *check, const char *text, const char *advice)
{
    if (d->n < FINDINGS_MAX)
        d->rows[d->n++] = (struct finding){grade, check, text ? text : "out of memory",
                                           grade == GRADE_FINE ? NULL : advice};
}

static bool
is_text(struct postgres *s, int col, const char *text)
{
    const char *is = pg_peek_text(s, 0, col);
    return is && strcmp(is, text) == 0;
}

/* ---- the server */

static void
find_durability(struct diagnosis *d)
{
    struct postgres *s = d->s;
    bool             fsync = is_text(s, 3, "on"), pages = is_text(s, 4, "on");
    bool             waits = !is_text(s, 2, "off") && !is_text(s, 2, "remote_write");
    const char      *text =
        arena_printf(d->a, "fsync %s, full_page_writes %s, synchronous_commit %s",
                     pg_peek_text(s, 0, 3), pg_peek_text(s, 0, 4), pg_peek_text(s, 0, 2));

    if (!fsync || !pages)
        find(d, GRADE_BAD, "durability", text,
             "a crash of the host can damage the database: set fsync and full_page_writes to on");
    else if (!waits)
        find(d, GRADE_NOTE, "durability", text,
             "what was said to be stored may be lost in a crash of the server: set "
             "synchronous_commit to on for this role or database");
    else
        find(d, GRADE_FINE, "durability", text, NULL);
}

static void
find_connections(struct diagnosis *d)
{
    int64_t max = pg_get_int(d->s, 0, 8), used = pg_get_int(d->s, 0, 9);
    find(d, used * 10 > max * 9 ? GRADE_NOTE : GRADE_FINE, "sessions",
         arena_printf(d->a, "%lld of %lld in use", (long long)used, (long long)max),
         "raise max_connections, or put a pooler before what opens many; a worker needs two and "
         "one more for SQL steps, a client one");
}

static void
find_wraparound(struct diagnosis *d)
{
    int64_t    age = pg_get_int(d->s, 0, 10), max = pg_get_int(d->s, 0, 11);
    enum grade grade = age > 4 * max ? GRADE_BAD : age > max + max / 4 ? GRADE_NOTE : GRADE_FINE;
    find(
        d, grade, "xids",
        arena_printf(d->a, "the oldest is %lld million transactions old", (long long)age / 1000000),
        "vacuum does not keep up, and the server stops at 2,000 million: look for what pins the "
        "horizon, then run vacuum freeze");
}

static int
examine_server(struct diagnosis *d, struct store_info *out, struct err *err)
{
    struct postgres *s = d->s;
    bool             failed = false;
    int64_t          before_us = clock_now_us(NULL);

    pg_send_read(s, PG_doctor_server, NULL);
    if (pg_result(s, err) == HF_OK && pg_rows(s) == 1) {
        int64_t after_us = clock_now_us(NULL);
        int64_t skew_us = pg_get_int(s, 0, 0) - (before_us + (after_us - before_us) / 2);
        bool    replica = pg_get_int(s, 0, 7) != 0;
        out->version = pg_get_text(s, 0, 1, d->a, &failed);
        find(d, replica ? GRADE_BAD : GRADE_FINE, "server",
             arena_printf(d->a, "PostgreSQL %s, %s, wal_level %s%s", out->version, s->target.where,
                          pg_peek_text(s, 0, 5),
                          replica ? ": a standby, which takes no writes" : ""),
             "name the primary in the URL; of several hosts target_session_attrs=read-write takes "
             "it");
        find_durability(d);
        find(d, is_text(s, 6, "on") ? GRADE_FINE : GRADE_BAD, "autovacuum",
             arena_printf(d->a, "%s", pg_peek_text(s, 0, 6)),
             "set autovacuum to on: dead rows of tasks and messages would pile up");
        find_connections(d);
        find_wraparound(d);
        bool skewed = skew_us > SKEW_US || skew_us < -SKEW_US;
        find(d, skewed ? GRADE_NOTE : GRADE_FINE, "clock",
             arena_printf(d->a, "the server's is %.3f s %s of this host's",
                          (double)(skew_us < 0 ? -skew_us : skew_us) / 1e6,
                          skew_us < 0 ? "behind" : "ahead"),
             "timers go by the server's clock; set both by NTP, so that logs can be compared");
    }
    TRY(pg_synced(s, err));
    return failed ? err_nomem(err) : HF_OK;
}

/* ---- the role */

static int
examine_role(struct diagnosis *d, struct err *err)
{
    struct postgres *s = d->s;

    pg_send_read(s, PG_doctor_role, NULL);
    if (pg_result(s, err) == HF_OK && pg_rows(s) == 1) {
        const char *role = pg_peek_text(s, 0, 0);
        bool        super = pg_get_int(s, 0, 1) != 0, owner = pg_get_int_or(s, 0, 2, 0) != 0;
        bool        admin = pg_get_int(s, 0, 3) != 0, worker = pg_get_int(s, 0, 4) != 0;
        bool        client = pg_get_int(s, 0, 5) != 0;
        const char *may = owner             ? "may do everything, migrate too"
                          : admin && worker ? "may operate, run workers and start runs"
                          : worker          ? "may run workers and start runs, not operate"
                          : client          ? "may start runs, not run workers"
                                            : "may neither run workers nor start runs";
        find(d,
             !worker && !client ? GRADE_BAD
             : super            ? GRADE_NOTE
                                : GRADE_FINE,
             "role", arena_printf(d->a, "%s%s %s", role, super ? ", a superuser," : "", may),
             super ? "use a role of its own: holdfast_worker for workers, holdfast_client for what "
                     "only starts runs"
                   : "grant it holdfast_worker or holdfast_client");
    }
    return pg_synced(s, err);
}

/* ---- tables */

static int
examine_tables(struct diagnosis *d, struct store_info *out, struct err *err)
{
    struct postgres *s = d->s;

    pg_send_read(s, PG_doctor_tables, NULL);
    if (pg_result(s, err) == HF_OK && pg_rows(s) == 1) {
        const char *off = pg_peek_text(s, 0, 2);
        out->file_bytes = pg_get_int(s, 0, 0);
        find(d, off ? GRADE_BAD : GRADE_FINE, "size",
             arena_printf(d->a, "%.1f MB with indexes, %lld dead rows%s%s",
                          (double)out->file_bytes / 1e6, (long long)pg_get_int(s, 0, 1),
                          off ? "; autovacuum is off for " : "", off ? off : ""),
             "reset autovacuum_enabled of these tables");
    }
    return pg_synced(s, err);
}

static int
examine_horizon(struct diagnosis *d, struct err *err)
{
    struct postgres *s = d->s;

    pg_send_read(s, PG_doctor_horizon, NULL);
    if (pg_result(s, err) == HF_OK) {
        bool        any = pg_rows(s) > 0;
        int64_t     seconds = any ? pg_get_int_or(s, 0, 3, 0) : 0;
        bool        slot = any && pg_get_null(s, 0, 3);
        bool        pins = seconds > LONG_S || slot;
        const char *kind = any ? pg_peek_text(s, 0, 0) : NULL,
                   *name = any ? pg_peek_text(s, 0, 1) : NULL;
        find(d, pins ? GRADE_NOTE : GRADE_FINE, "horizon",
             !pins  ? "no transaction is older than five minutes"
             : slot ? arena_printf(d->a, "the %s %s holds it back", kind, name ? name : "?")
                    : arena_printf(d->a, "a %s is %lld s old: %s", kind, (long long)seconds,
                                   name ? name : "?"),
             "no dead row that is newer can be taken away, in no table: end it with "
             "pg_terminate_backend, rollback prepared, or drop the slot");
    }
    return pg_synced(s, err);
}

/* ---- hints */

static int
notify(struct postgres *from, const char *channel, struct err *err)
{
    struct pg_args *args = pg_args(from);

    pg_put_text(args, channel);
    pg_begin(from);
    pg_send(from, PG_doctor_notify, args);
    pg_commit(from);
    return pg_synced(from, err);
}

/* From another connection, as hints come: *us is how long it took, -1 if it did not arrive. */
static int
time_hint(struct postgres *s, struct postgres *other, int64_t *us, struct err *err)
{
    char channel[CHANNEL_SIZE];
    bool woken;

    snprintf(channel, sizeof(channel), "%.40s:doctor", s->target.schema);
    pg_listen(s, channel);
    pg_sync(s);
    TRY(pg_synced(s, err));
    s->hints.woken = false;
    int64_t began_us = clock_steady_us();
    TRY(notify(other, channel, err));
    while (!s->hints.woken && clock_steady_us() < began_us + NOTIFY_US)
        if (!pg_listen_until(s, -1, began_us + NOTIFY_US, &woken))
            break;
    *us = s->hints.woken ? clock_steady_us() - began_us : -1;
    return HF_OK;
}

static int
examine_hints(struct diagnosis *d, struct err *err)
{
    struct postgres *other;
    int64_t          us = -1;

    if (d->s->pooled) {
        find(d, GRADE_NOTE, "hints",
             "a pooler is in between, or poll_only=1 was given: workers look for work at intervals",
             "nothing is wrong; for less delay give workers the server's own address");
        return HF_OK;
    }
    TRY(postgres_new(d->s->url, NULL, &other, err));
    int rc = time_hint(d->s, other, &us, err);
    postgres_free(other);
    TRY(rc);
    find(d, us < 0 ? GRADE_NOTE : GRADE_FINE, "hints",
         us < 0 ? "a NOTIFY did not arrive within 2 s"
                : arena_printf(d->a, "a NOTIFY took %.1f ms", (double)us / 1e3),
         "something between here and the server drops it; with poll_only=1 nobody waits for it");
    return HF_OK;
}

static int
examine(struct diagnosis *d, struct store_info *out, struct err *err)
{
    TRY(examine_server(d, out, err));
    TRY(examine_role(d, err));
    TRY(examine_tables(d, out, err));
    TRY(examine_horizon(d, err));
    return examine_hints(d, err);
}

int
postgres_info(struct store *base, struct arena *a, struct store_info *out, struct err *err)
{
    struct postgres *s = postgres_of(base);
    struct diagnosis d = {.s = s, .a = a};

    *out = (struct store_info){.kind = "postgresql", .schema_known = postgres_schema_known()};
    out->path = arena_strdup(a, s->target.where);
    d.rows = arena_alloc(a, FINDINGS_MAX * sizeof(*d.rows));
    if (out->path == NULL || d.rows == NULL)
        return err_nomem(err);
    TRY(pg_ready(s, err));
    pg_send_read(s, PG_schema_number, NULL);
    if (pg_result(s, err) == HF_OK && pg_rows(s) == 1) {
        int64_t workers = pg_get_int(s, 0, 1);
        out->schema = (int)pg_get_int(s, 0, 0);
        if (workers > 0)
            out->owner =
                arena_printf(a, "%lld worker%s", (long long)workers, workers == 1 ? "" : "s");
    }
    TRY(pg_synced(s, err));
    TRY(examine(&d, out, err));
    out->findings = d.rows;
    out->n_findings = d.n;
    return HF_OK;
}
