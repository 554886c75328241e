/* One server for a program, a database for a test, and questions to it. */
#include "cluster.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/store.h"

struct pg *cluster;

static char        name[60];
static const char *direct;

void
cluster_start(void)
{
    char        settings[500];
    const char *more = getenv("TEST_PG_SETTINGS"); /* to find out what happened */

    snprintf(settings, sizeof(settings), "max_connections = 200\n%s\n", more ? more : "");
    cluster = pg_start(&(struct pg_opt){.tcp = true, .settings = settings});
}

const char *
cluster_database(void)
{
    struct buf log = {0};
    struct err err = {0};

    snprintf(name, sizeof(name), "day_%d", (int)getpid());
    direct = pg_new_database(cluster, name);
    if (store_migrate(direct, MIGRATE_RUN, &log, &err) != HF_OK)
        test_fail(__FILE__, __LINE__, "migrate: %s", err.text);
    buf_release(&log);
    proc_serve(direct);
    return direct;
}

static char *
format(const char *fmt, va_list ap)
{
    char *text;
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    return text;
}

void
cluster_serve(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    proc_serve(format(fmt, ap)); /* for the rest of the test */
    va_end(ap);
}

const char *
cluster_url(void)
{
    return direct;
}

static char *
formatted(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = format(fmt, ap);
    va_end(ap);
    return text;
}

const char *
cluster_url_of(const char *database, const char *user)
{
    return formatted("postgresql://%s@/%s?host=%s&port=%d", user, database, pg_dir(cluster),
                     pg_port(cluster));
}

void
cluster_look_at(const char *url)
{
    direct = url;
    proc_serve(url);
}

const char *
cluster_name(void)
{
    return name;
}

int64_t
db_int(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    int64_t n = pg_int(direct, sql);
    free(sql);
    return n;
}

const char *
db_text(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    const char *text = pg_text(direct, sql);
    free(sql);
    return text;
}

void
db_exec(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    pg_exec(direct, sql);
    free(sql);
}

int64_t
worker_of(pid_t pid)
{
    return db_int("select coalesce((select max(id) from holdfast.worker where pid = %d), 0)",
                  (int)pid);
}

int
partitions_of(pid_t pid)
{
    return (int)db_int("select count(*) from holdfast.partition p join holdfast.worker w "
                       "on w.id = p.owner where w.pid = %d",
                       (int)pid);
}

/* ---- the record */

static void
none(const char *what, const char *sql)
{
    const char *found = db_text("select string_agg(x, '; ') from (select x from (%s) q (x) "
                                "limit 5) l",
                                sql);
    if (found)
        test_fail(__FILE__, __LINE__, "%s: %s", what, found);
}

/* Every event, with the row and place where it stands. */
#define EVENTS                                                                                     \
    "(select h.run_no, h.execution, h.seq, e.at, e.event->>'k' as k, e.event->>'r' as r "          \
    "from holdfast.history h, jsonb_array_elements(h.events::jsonb) with ordinality "              \
    "as e (event, at)) "
#define IS_END "k in ('completed', 'failed', 'cancelled', 'terminated', 'continued') "

void
check_record(void)
{
    none("history with a gap",
         "select format('run %s execution %s: %s rows, last %s', run_no, execution, count(*), "
         "max(seq)) from holdfast.history group by run_no, execution "
         "having count(*) <> max(seq) or min(seq) <> 1");
    none("an outcome that is recorded twice",
         "select format('run %s execution %s call %s: %s', run_no, execution, r, "
         "string_agg(k, ' ')) from " EVENTS "e where k in ('done', 'error', 'fired') "
         "group by run_no, execution, r having count(*) > 1");
    none("more than one end", "select format('run %s execution %s', run_no, execution) from " EVENTS
                              "e where " IS_END "group by run_no, execution having count(*) > 1");
    none("something after the end",
         "select format('run %s execution %s: %s', e.run_no, e.execution, e.k) from " EVENTS
         "e join (select run_no, execution, seq, at from " EVENTS "x where " IS_END
         ") l using (run_no, execution) where (e.seq, e.at) > (l.seq, l.at)");
    none("a run whose history does not say how it ended",
         "select format('%s status %s', r.id, r.status) from holdfast.run r where r.status >= 4 "
         "and not exists (select 1 from " EVENTS "e where e.run_no = r.no and " IS_END
         "and e.execution = r.execution)");
}

void
check_at_rest(void)
{
    check_record();
    none("a claim", "select format('task %s of worker %s', no, claimed_by) from holdfast.task "
                    "where claimed_by is not null");
    none("an owner", "select format('partition %s of worker %s', id, owner) from "
                     "holdfast.partition where owner is not null");
    none("a worker", "select id::text from holdfast.worker");
}
