/*
 * `holdfast stats`: what workers have counted and how long it took, and where the time of a cycle
 * goes: the server, the way there and back, and the rest. Workers publish their numbers with their
 * leases; the server's are from pg_stat_statements; the roundtrip is measured here, too.
 */
#include "cli/stats.h"

#include <stdlib.h>
#include <string.h>

#include "cli/print.h"

enum { PINGS = 11 };

/* ---- reading */

static int
by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* From this command to the server and back, by what does nothing else. */
static int
measure(struct store *s, struct roundtrip *out, struct err *err)
{
    int64_t took[PINGS], store_us;

    for (int i = 0; i < PINGS; i++) {
        int64_t began_us = clock_steady_us();
        TRY(s->ops->now(s, &store_us, err));
        took[i] = clock_steady_us() - began_us;
    }
    qsort(took, PINGS, sizeof(took[0]), by_value);
    *out = (struct roundtrip){.samples = PINGS, .min_us = took[0], .median_us = took[PINGS / 2]};
    return HF_OK;
}

/* "17", a name, or host:pid. */
static bool
is_meant(const struct worker_row *w, const char *who, struct arena *a)
{
    const char *id = arena_printf(a, "%lld", (long long)w->id);
    const char *process = arena_printf(a, "%s:%lld", w->host ? w->host : "", (long long)w->pid);

    return (id && strcmp(who, id) == 0) || (process && strcmp(who, process) == 0) ||
           (w->name && strcmp(who, w->name) == 0);
}

static int
read_workers(struct cli *c, const char *who, struct statistics *out)
{
    struct store      *s = c->h->store;
    struct worker_row *rows;
    size_t             n;

    TRY(s->ops->workers(s, &c->arena, &rows, &n, &c->err));
    out->workers = arena_zalloc(&c->arena, (n + 1) * sizeof(*out->workers));
    if (out->workers == NULL)
        return cli_nomem(c);
    for (size_t i = 0; i < n; i++) {
        if (who ? !is_meant(&rows[i], who, &c->arena) : !rows[i].live)
            continue;
        struct worker_stats *w = &out->workers[out->n_workers++];
        w->row = rows[i];
        w->said = rows[i].stats ? json_loads(rows[i].stats, 0, NULL) : NULL;
    }
    if (who && out->n_workers == 0)
        return err_set(&c->err, HF_NOT_FOUND,
                       "stats: there is no worker %s: see `holdfast workers`", who);
    return HF_OK;
}

/* ---- the parts of a cycle */

int64_t
said_int(const json_t *said, const char *group, const char *member)
{
    const json_t *of = group ? json_object_get(said, group) : said;
    return json_integer_value(json_object_get(of, member));
}

/* A cycle has one of these two, whatever else it does. */
static bool
is_once_a_cycle(const char *name)
{
    return strcmp(name, "fetch_begin") == 0 || strcmp(name, "fetch_peek") == 0;
}

static bool
is_of_cycle(const char *name)
{
    return strncmp(name, "commit_", 7) == 0 || strncmp(name, "fetch_", 6) == 0;
}

/* What the server took for a cycle, in the mean; -1: not known. */
static int64_t
server_us(const struct server_times *t)
{
    int64_t cycles = 0, total_us = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (is_of_cycle(t->statements[i].name))
            total_us += t->statements[i].total_us;
        if (is_once_a_cycle(t->statements[i].name))
            cycles += t->statements[i].calls;
    }
    return cycles ? total_us / cycles : -1;
}

bool
cycle_parts(const struct statistics *s, const struct worker_stats *w, struct cycle_parts *out)
{
    const json_t *operations = json_object_get(w->said, "operations");
    int64_t       count = said_int(operations, "cycle", "count");

    *out = (struct cycle_parts){.server_us = server_us(&s->server),
                                .network_us = said_int(w->said, NULL, "roundtrip_us")};
    if (count == 0 || out->network_us == 0)
        return false;
    out->mean_us = said_int(operations, "cycle", "total_us") / count;
    out->rest_us = out->mean_us - out->network_us - (out->server_us > 0 ? out->server_us : 0);
    return true;
}

/* ---- the command */

int
run_stats(struct cli *c)
{
    struct statistics s = {0};
    int64_t           store_us;

    TRY(cli_open(c, false));
    struct store *store = c->h->store;
    int           rc = read_workers(c, c->n_operands ? c->operands[0] : NULL, &s);
    if (rc == HF_OK)
        rc = store->ops->now(store, &store_us, &c->err);
    if (rc == HF_OK)
        rc = store_server_times(store, &c->arena, &s.server, &c->err);
    if (rc == HF_OK && s.server.has_server)
        rc = measure(store, &s.roundtrip, &c->err);
    if (rc == HF_OK) {
        s.now_us = store_us;
        s.kind = store->ops->name;
        rc = c->json ? stats_print_json(c, &s) : stats_print(c, &s);
    }
    for (size_t i = 0; i < s.n_workers; i++)
        json_decref(s.workers[i].said);
    return rc;
}
