/* Rows of results to structs in an arena. The order of columns is that of sql/postgres/read.sql. */
#include "store/postgres_read.h"

int
pg_run_row(struct postgres *s, int row, struct arena *a, struct run_row *out)
{
    bool failed = false;
    *out = (struct run_row){
        .no = pg_get_int(s, row, 0),
        .queue = pg_get_text(s, row, 1, a, &failed),
        .id = pg_get_text(s, row, 2, a, &failed),
        .workflow = pg_get_text(s, row, 3, a, &failed),
        .input = pg_get_text(s, row, 4, a, &failed),
        .token = pg_get_text(s, row, 5, a, &failed),
        .parent_no = pg_get_int_or(s, row, 6, 0),
        .parent_ref = pg_get_text(s, row, 7, a, &failed),
        .parent_execution = (int)pg_get_int_or(s, row, 8, 0),
        .started_us = pg_get_int(s, row, 9),
        .status = (int)pg_get_int(s, row, 10),
        .version = (int)pg_get_int(s, row, 11),
        .execution = (int)pg_get_int(s, row, 12),
        .wake_us = pg_get_int_or(s, row, 13, NEVER_US),
        .crashes = (int)pg_get_int(s, row, 14),
        .claimed = pg_get_int(s, row, 15) != 0,
        .custom = pg_get_text(s, row, 16, a, &failed),
        .output = pg_get_text(s, row, 17, a, &failed),
        .error_name = pg_get_text(s, row, 18, a, &failed),
        .error_message = pg_get_text(s, row, 19, a, &failed),
        .ended_us = pg_get_int(s, row, 20),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
pg_task_row(struct postgres *s, int row, struct arena *a, struct task_row *out)
{
    bool    failed = false;
    int64_t run_at_us = pg_get_int_or(s, row, 11, 0);
    *out = (struct task_row){
        .no = pg_get_int(s, row, 0),
        .queue = pg_get_text(s, row, 1, a, &failed),
        .id = pg_get_text(s, row, 2, a, &failed),
        .name = pg_get_text(s, row, 3, a, &failed),
        .payload = pg_get_text(s, row, 4, a, &failed),
        .opts = pg_get_text(s, row, 5, a, &failed),
        .run_no = pg_get_int_or(s, row, 6, 0),
        .execution = (int)pg_get_int_or(s, row, 7, 0),
        .ref = pg_get_text(s, row, 8, a, &failed),
        .created_us = pg_get_int(s, row, 9),
        .attempt = (int)pg_get_int(s, row, 10),
        .run_at_us = run_at_us > 1 ? run_at_us : 0, /* 1: at once, in the delayed class */
        .claimed = !pg_get_null(s, row, 12),
        .holder = pg_get_int_or(s, row, 12, 0),
        .crashes = (int)pg_get_int(s, row, 13),
        .error_name = pg_get_text(s, row, 14, a, &failed),
        .error_message = pg_get_text(s, row, 15, a, &failed),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
pg_dead_row(struct postgres *s, int row, struct arena *a, struct dead_row *out)
{
    bool failed = false;
    *out = (struct dead_row){
        .no = pg_get_int(s, row, 0),
        .queue = pg_get_text(s, row, 1, a, &failed),
        .id = pg_get_text(s, row, 2, a, &failed),
        .name = pg_get_text(s, row, 3, a, &failed),
        .payload = pg_get_text(s, row, 4, a, &failed),
        .opts = pg_get_text(s, row, 5, a, &failed),
        .attempts = (int)pg_get_int(s, row, 6),
        .crashes = (int)pg_get_int(s, row, 7),
        .error_name = pg_get_text(s, row, 8, a, &failed),
        .error_message = pg_get_text(s, row, 9, a, &failed),
        .created_us = pg_get_int(s, row, 10),
        .died_us = pg_get_int(s, row, 11),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
pg_inbox_row(struct postgres *s, int row, struct arena *a, struct inbox_row *out)
{
    bool failed = false;
    *out = (struct inbox_row){
        .no = pg_get_int(s, row, 0),
        .run_no = pg_get_int_or(s, row, 1, 0),
        .task_no = pg_get_int_or(s, row, 2, 0),
        .kind = (int)pg_get_int(s, row, 3),
        .name = pg_get_text(s, row, 4, a, &failed),
        .payload = pg_get_text(s, row, 5, a, &failed),
        .key = pg_get_text(s, row, 6, a, &failed),
        .aux = (int)pg_get_int(s, row, 7),
        .code = (int)pg_get_int(s, row, 8),
        .attempt = (int)pg_get_int(s, row, 9),
        .sender = pg_get_int_or(s, row, 10, 0),
        .time_us = pg_get_int(s, row, 11),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
pg_history_row(struct postgres *s, int row, struct arena *a, struct history_row *out)
{
    bool failed = false;
    *out = (struct history_row){
        .run_no = pg_get_int(s, row, 0),
        .execution = (int)pg_get_int(s, row, 1),
        .seq = (int)pg_get_int(s, row, 2),
        .events = pg_get_text(s, row, 3, a, &failed),
        .events_len = pg_length(s, row, 3),
    };
    return failed ? HF_NOMEM : HF_OK;
}

static const size_t shape_sizes[] = {sizeof(struct run_row), sizeof(struct task_row),
                                     sizeof(struct dead_row), sizeof(struct inbox_row),
                                     sizeof(struct history_row)};

static int
convert(struct postgres *s, enum pg_shape shape, int row, struct arena *a, void *out)
{
    switch (shape) {
    case PG_RUN_ROWS:
        return pg_run_row(s, row, a, out);
    case PG_TASK_ROWS:
        return pg_task_row(s, row, a, out);
    case PG_DEAD_ROWS:
        return pg_dead_row(s, row, a, out);
    case PG_INBOX_ROWS:
        return pg_inbox_row(s, row, a, out);
    case PG_HISTORY_ROWS:
        return pg_history_row(s, row, a, out);
    }
    return HF_INTERNAL;
}

int
pg_take_rows(struct postgres *s, enum pg_shape shape, struct arena *a, void **out, size_t *n,
             struct err *err)
{
    size_t size = shape_sizes[shape];

    *out = NULL;
    *n = 0;
    TRY(pg_result(s, err));
    size_t count = (size_t)pg_rows(s);
    char  *rows = arena_alloc(a, (count ? count : 1) * size);
    if (rows == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++)
        if (convert(s, shape, (int)i, a, rows + i * size) != HF_OK)
            return err_nomem(err);
    *out = rows;
    *n = count;
    return HF_OK;
}
