/* Loading by number, for owners: runs with the history of their present execution, and tasks. */
#include "store/postgres_cycle.h"

static struct pg_args *
numbers(struct postgres *s, const int64_t *nos, size_t n)
{
    struct pg_args *a = pg_args(s);
    int             no = pg_array(a, PG_INT8);
    for (size_t i = 0; i < n; i++)
        pg_add_int8(a, no, nos[i]);
    return a;
}

static int
know_queues(struct postgres *s, const int64_t *nos, size_t n, struct arena *a, struct err *err)
{
    int32_t *ids = arena_alloc(a, (n + 1) * sizeof(*ids));
    size_t   count = 0;
    if (ids == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (count == 0 || ids[count - 1] != row_partition(nos[i]))
            ids[count++] = row_partition(nos[i]);
    return pg_queues_read(s, ids, count, err);
}

static const char *
queue_of(struct postgres *s, int64_t no, struct arena *a, bool *failed)
{
    const char *name = pg_queue_name(s, row_partition(no));
    char       *copy = arena_strdup(a, name);
    if (name && copy == NULL)
        *failed = true;
    return copy;
}

/* The first two columns are the place in the list and the number. */
static void
make_run(struct postgres *s, int i, struct arena *a, struct run_row *out, bool *failed)
{
    int64_t no = pg_get_int(s, i, 1);
    *out = (struct run_row){
        .no = no,
        .id = pg_get_text(s, i, 2, a, failed),
        .workflow = pg_get_text(s, i, 3, a, failed),
        .queue = queue_of(s, no, a, failed),
        .input = pg_get_text(s, i, 4, a, failed),
        .token = pg_get_text(s, i, 5, a, failed),
        .parent_no = pg_get_int(s, i, 6),
        .parent_ref = pg_get_text(s, i, 7, a, failed),
        .parent_execution = (int)pg_get_int(s, i, 8),
        .started_us = pg_get_int(s, i, 9),
        .status = (int)pg_get_int(s, i, 10),
        .version = (int)pg_get_int(s, i, 11),
        .execution = (int)pg_get_int(s, i, 12),
        .wake_us = pg_get_int_or(s, i, 13, NEVER_US),
        .crashes = (int)pg_get_int(s, i, 14),
        .claimed = pg_get_int(s, i, 15) != 0,
        .custom = pg_get_text(s, i, 16, a, failed),
        .output = pg_get_text(s, i, 17, a, failed),
        .error_name = pg_get_text(s, i, 18, a, failed),
        .error_message = pg_get_text(s, i, 19, a, failed),
        .ended_us = pg_get_int(s, i, 20),
    };
}

static void
make_task(struct postgres *s, int i, struct arena *a, struct task_row *out, bool *failed)
{
    int64_t no = pg_get_int(s, i, 1), run_at_us = pg_get_int(s, i, 11);
    *out = (struct task_row){
        .no = no,
        .id = pg_get_text(s, i, 2, a, failed),
        .name = pg_get_text(s, i, 3, a, failed),
        .payload = pg_get_text(s, i, 4, a, failed),
        .queue = queue_of(s, no, a, failed),
        .opts = pg_get_text(s, i, 5, a, failed),
        .run_no = pg_get_int(s, i, 6),
        .execution = (int)pg_get_int(s, i, 7),
        .ref = pg_get_text(s, i, 8, a, failed),
        .created_us = pg_get_int(s, i, 9),
        .attempt = (int)pg_get_int(s, i, 10),
        .run_at_us = run_at_us > 1 ? run_at_us : 0,
        .claimed = !pg_get_null(s, i, 12),
        .holder = pg_get_int(s, i, 12),
        .crashes = (int)pg_get_int(s, i, 13),
        .error_name = pg_get_text(s, i, 14, a, failed),
        .error_message = pg_get_text(s, i, 15, a, failed),
    };
}

static bool
take_runs(struct postgres *s, struct arena *a, struct loaded *out)
{
    bool failed = false;
    for (int i = 0; i < pg_rows(s) && !failed; i++) {
        struct loaded *l = &out[pg_get_int(s, i, 0) - 1];
        l->found = true;
        make_run(s, i, a, &l->run, &failed);
    }
    return !failed;
}

/* Rows of one run stand together. */
static bool
take_history(struct postgres *s, struct arena *a, struct loaded *out)
{
    bool failed = false;
    int  end;
    for (int first = 0, n = pg_rows(s); first < n && !failed; first = end) {
        struct loaded *l = &out[pg_get_int(s, first, 0) - 1];
        for (end = first; end < n && pg_get_int(s, end, 0) == pg_get_int(s, first, 0); end++)
            ;
        l->history = arena_alloc(a, (size_t)(end - first) * sizeof(*l->history));
        if (l->history == NULL)
            return false;
        for (int i = first; i < end; i++)
            l->history[l->n_history++] =
                (struct history_row){.run_no = l->run.no,
                                     .execution = (int)pg_get_int(s, i, 1),
                                     .seq = (int)pg_get_int(s, i, 2),
                                     .events = pg_get_text(s, i, 3, a, &failed),
                                     .events_len = pg_length(s, i, 3)};
    }
    return !failed;
}

int
postgres_load(struct store *base, const int64_t *nos, size_t n, struct arena *a, struct loaded *out,
              struct err *err)
{
    struct postgres *s = postgres_of(base);
    bool             ok = true;

    for (size_t i = 0; i < n; i++)
        out[i] = (struct loaded){0};
    if (n == 0)
        return HF_OK;
    TRY(pg_ready(s, err));
    TRY(know_queues(s, nos, n, a, err));
    pg_begin_read(s);
    pg_send(s, PG_load_runs, numbers(s, nos, n));
    pg_send(s, PG_load_history, numbers(s, nos, n));
    pg_end_read(s);
    if (pg_result(s, err) == HF_OK)
        ok = take_runs(s, a, out);
    if (ok && pg_result(s, err) == HF_OK)
        ok = take_history(s, a, out);
    TRY(pg_synced(s, err));
    return ok ? HF_OK : err_nomem(err);
}

int
postgres_load_tasks(struct store *base, const int64_t *nos, size_t n, struct arena *a,
                    struct task_row *out, struct err *err)
{
    struct postgres *s = postgres_of(base);
    bool             failed = false;

    for (size_t i = 0; i < n; i++)
        out[i] = (struct task_row){0};
    if (n == 0)
        return HF_OK;
    TRY(pg_ready(s, err));
    TRY(know_queues(s, nos, n, a, err));
    pg_send(s, PG_load_tasks, numbers(s, nos, n));
    pg_sync(s);
    if (pg_result(s, err) == HF_OK)
        for (int i = 0; i < pg_rows(s) && !failed; i++)
            make_task(s, i, a, &out[pg_get_int(s, i, 0) - 1], &failed);
    TRY(pg_synced(s, err));
    return failed ? err_nomem(err) : HF_OK;
}
