/* Opening a store by its URL, and the words of store.h: ids of tasks, names of states. */
#include "store/store.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

static const char *const status_names[RUN_STATUSES] = {
    [RUN_RUNNING] = "running",     [RUN_WAITING] = "waiting",      [RUN_PAUSED] = "paused",
    [RUN_BLOCKED] = "blocked",     [RUN_COMPLETED] = "completed",  [RUN_FAILED] = "failed",
    [RUN_CANCELLED] = "cancelled", [RUN_TERMINATED] = "terminated"};

const char *
run_status_name(int status)
{
    return status >= 0 && status < RUN_STATUSES ? status_names[status] : "unknown";
}

int
run_status_parse(const char *name)
{
    for (int i = 0; name && i < RUN_STATUSES; i++)
        if (strcmp(status_names[i], name) == 0)
            return i;
    return -1;
}

void
task_id_format(int64_t no, char out[HF_ID_SIZE])
{
    snprintf(out, HF_ID_SIZE, "t%d.%d.%lld", row_partition(no), row_stream(no),
             (long long)row_seq(no));
}

/* Digits of a number from 0 to max, no leading zero; NULL if there is none. */
static const char *
parse_number(const char *p, int64_t max, int64_t *out)
{
    int64_t v = 0;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (*p - '0');
        if (v > max)
            return NULL;
    }
    *out = v;
    return p;
}

int64_t
task_id_parse(const char *text)
{
    int64_t     partition = 0, stream = 0, seq = 0;
    const char *p = text;

    if (p == NULL || *p++ != 't')
        return 0;
    if ((p = parse_number(p, 32767, &partition)) == NULL || *p++ != '.')
        return 0;
    if ((p = parse_number(p, STREAMS - 1, &stream)) == NULL || *p++ != '.')
        return 0;
    if ((p = parse_number(p, ((int64_t)1 << 46) - 1, &seq)) == NULL || *p != '\0')
        return 0;
    return partition && seq ? row_no((int32_t)partition, (int)stream, seq) : 0;
}

static bool
is_postgres(const char *url)
{
    return strncmp(url, "postgres:", 9) == 0 || strncmp(url, "postgresql:", 11) == 0;
}

int
store_open(const char *url, const struct clock *clock, struct store **out, struct err *err)
{
    *out = NULL;
    if (url == NULL || *url == '\0')
        return err_set(err, HF_INVALID, "store URL: empty");
    if (strcmp(url, "memory:") == 0)
        return memory_store_open(clock, out, err);
    if (is_postgres(url))
        return postgres_store_open(url, clock, out, err);

    const char *path = url, *colon = strchr(url, ':'), *slash = strchr(url, '/');
    if (strncmp(url, "sqlite:", 7) == 0) {
        path = url + 7;
        if (strncmp(path, "//", 2) == 0)
            path += 2;
    } else if (colon && (slash == NULL || colon < slash)) {
        return err_set(err, HF_INVALID,
                       "store URL %s: unknown kind, want sqlite:PATH or postgres://...", url);
    }
    if (*path == '\0')
        return err_set(err, HF_INVALID, "store URL %s: no path", url);
    return sqlite_store_open(path, clock, out, err);
}

/* Opening has done it. */
static int
migrate_by_opening(const char *url, struct buf *out, struct err *err)
{
    struct arena      a = {0};
    struct store     *s;
    struct store_info info;

    TRY(store_open(url, NULL, &s, err));
    int rc = s->ops->info(s, &a, &info, err);
    if (rc == HF_OK)
        buf_printf(out, "%s: schema %d; it is brought up to date whenever it is opened\n",
                   info.path ? info.path : info.kind, info.schema);
    arena_release(&a);
    s->ops->close(s);
    return rc;
}

int
store_migrate(const char *url, enum migrate_mode mode, struct buf *out, struct err *err)
{
    if (is_postgres(url))
        return postgres_migrate(url, mode, out, err);
    if (mode == MIGRATE_SQL)
        return err_set(err, HF_INVALID, "%s: only a PostgreSQL store is made by a script", url);
    return migrate_by_opening(url, out, err);
}

int
store_drop(const char *url, struct err *err)
{
    if (is_postgres(url))
        return postgres_drop(url, err);
    return err_set(err, HF_INVALID, "%s: only a PostgreSQL store has a schema to drop", url);
}

bool
queue_in_list(const char *list, const char *queue)
{
    size_t len = strlen(queue);
    for (const char *p = list; p != NULL;) {
        p += strspn(p, " ,");
        if (strncmp(p, queue, len) == 0 && (p[len] == '\0' || p[len] == ',' || p[len] == ' '))
            return true;
        p = strchr(p, ',');
    }
    return list == NULL;
}
