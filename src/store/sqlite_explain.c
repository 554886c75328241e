/*
 * Telling the plans of an SQLite connection, and filling its file. SQLite says of each statement
 * how long it took and counts its steps; plans do not depend on parameters, so they are asked for
 * at the end.
 */
#include "store/explain.h"

#include <string.h>

#include "base/mem.h"
#include "store/sqlite.h"

struct sqlite_explain {
    struct sqlite *s;
    explain_fn     fn;
    void          *arg;
    struct {
        int     times;
        int64_t ns;
    } seen[SQLS];
};

/* ---- while statements are executed */

static int
note(unsigned what, void *arg, void *statement, void *ns)
{
    struct sqlite_explain *e = arg;

    (void)what;
    for (int i = 0; i < SQLS; i++)
        if (e->s->stmt[i] == statement) {
            e->seen[i].times++;
            e->seen[i].ns += *(const sqlite3_int64 *)ns;
        }
    return 0;
}

int
sqlite_explain(struct store *base, explain_fn fn, void *arg, struct err *err)
{
    struct sqlite         *s = sqlite_of(base);
    struct sqlite_explain *e = mem_zalloc(sizeof(*e));

    if (e == NULL)
        return err_nomem(err);
    *e = (struct sqlite_explain){.s = s, .fn = fn, .arg = arg};
    s->explain = e;
    for (int i = 0; i < SQLS; i++)
        if (s->stmt[i]) {
            sqlite3_stmt_status(s->stmt[i], SQLITE_STMTSTATUS_VM_STEP, 1);
            sqlite3_stmt_status(s->stmt[i], SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
        }
    sqlite3_trace_v2(s->db, SQLITE_TRACE_PROFILE, note, e);
    return HF_OK;
}

/* ---- at the end */

/* The lines of a statement's plan. */
static int
read_plan(struct sqlite *s, enum sql id, struct buf *out, struct err *err)
{
    struct buf    text = {0};
    sqlite3_stmt *q = NULL;
    const char   *verb = sql_text(SQL_explain_plan);

    buf_clear(out);
    buf_printf(&text, "%.*s %s", (int)strcspn(verb, "\n"), verb, sql_text(id));
    int rc = text.failed ? SQLITE_NOMEM : sqlite3_prepare_v2(s->db, text.data, -1, &q, NULL);
    while (rc == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        buf_printf(out, "%s%s", out->len ? "\n" : "", (const char *)sqlite3_column_text(q, 3));
    sqlite3_finalize(q);
    buf_release(&text);
    if (rc == SQLITE_OK && out->failed)
        rc = SQLITE_NOMEM;
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, "explain", err);
}

static int
tell(struct sqlite_explain *e, enum sql id, struct buf *plan, struct err *err)
{
    sqlite3_stmt *q = e->s->stmt[id];
    int           times = e->seen[id].times;

    if (times == 0 || q == NULL)
        return HF_OK;
    TRY(read_plan(e->s, id, plan, err));
    if (plan->len == 0)
        return HF_OK; /* begin, commit, a value */
    int64_t          steps = sqlite3_stmt_status(q, SQLITE_STMTSTATUS_VM_STEP, 0);
    struct explained x = {.statement = sql_name(id),
                          .index = sql_index(id),
                          .plan = plan->data,
                          .again = true,
                          .times = times,
                          .ms = (double)e->seen[id].ns / 1e6 / times,
                          .steps = steps / times,
                          .scanned = sqlite3_stmt_status(q, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0)};
    e->fn(e->arg, &x);
    return HF_OK;
}

int
sqlite_explain_end(struct store *base, struct err *err)
{
    struct sqlite         *s = sqlite_of(base);
    struct sqlite_explain *e = s->explain;
    struct buf             plan = {0};
    int                    rc = HF_OK;

    if (e == NULL)
        return HF_OK;
    sqlite3_trace_v2(s->db, 0, NULL, NULL);
    for (int i = 0; i < SQLS && rc == HF_OK; i++)
        rc = tell(e, (enum sql)i, &plan, err);
    buf_release(&plan);
    mem_free(e);
    s->explain = NULL;
    return rc;
}

/* ---- filling */

enum { HOUR_S = 3600 };

static void
bind_tasks(struct sqlite *s, sqlite3_stmt *q, enum fill what)
{
    bind_unless(q, 3, what == FILL_DELAYED ? HOUR_S * US_PER_S : 0, 0);
    bind_int(q, 4, what == FILL_CLAIMED);
    bind_int(q, 5, clock_now_us(&s->base.clock));
}

static void
bind_runs(struct sqlite *s, sqlite3_stmt *q, enum fill what)
{
    bind_int(q, 3,
             what == FILL_RUNNING    ? RUN_RUNNING
             : what == FILL_SLEEPING ? RUN_WAITING
                                     : RUN_COMPLETED);
    bind_unless(q, 4, what == FILL_SLEEPING ? HOUR_S * US_PER_S : 0, 0);
    bind_int(q, 5, clock_now_us(&s->base.clock));
}

static int
run_range(struct sqlite *s, enum sql id, enum fill what, int64_t first, int64_t last, int each,
          struct err *err)
{
    sqlite3_stmt *q = sql_get(s, id, err);

    if (q == NULL)
        return err->code;
    bind_int(q, 1, first);
    bind_int(q, 2, last);
    if (id == SQL_explain_tasks)
        bind_tasks(s, q, what);
    else if (id == SQL_explain_runs)
        bind_runs(s, q, what);
    else if (id == SQL_explain_history)
        bind_int(q, 3, each);
    int rc = sql_run(q);
    return rc == SQLITE_OK ? HF_OK : sqlite_fail(s, rc, "fill", err);
}

int
sqlite_fill(struct store *base, enum fill what, int64_t first, int64_t last, int each,
            struct err *err)
{
    static const enum sql statements[FILLS] = {
        [FILL_QUEUES] = SQL_explain_queues,   [FILL_TASKS] = SQL_explain_tasks,
        [FILL_DELAYED] = SQL_explain_tasks,   [FILL_CLAIMED] = SQL_explain_tasks,
        [FILL_DEAD] = SQL_explain_dead,       [FILL_RUNNING] = SQL_explain_runs,
        [FILL_SLEEPING] = SQL_explain_runs,   [FILL_ENDED] = SQL_explain_runs,
        [FILL_HISTORY] = SQL_explain_history, [FILL_INBOX] = SQL_explain_inbox};
    struct sqlite *s = sqlite_of(base);

    TRY(sqlite_begin_write(s, err));
    int rc = run_range(s, statements[what], what, first, last, each, err);
    if (rc == HF_OK)
        rc = run_range(s, SQL_explain_numbers, what, first, last, each, err);
    if (rc == HF_OK && what == FILL_CLAIMED)
        rc = sql_exec(s, SQL_explain_died, err);
    if (rc == HF_OK)
        return sqlite_commit(s, err);
    sqlite_rollback(s);
    return rc;
}

int
sqlite_statistics(struct store *base, enum statistics which, bool filled, struct err *err)
{
    bool now = filled ? which == STATISTICS_ANALYSED : which == STATISTICS_EMPTY;
    return now ? sql_exec(sqlite_of(base), SQL_explain_analyse, err) : HF_OK;
}
