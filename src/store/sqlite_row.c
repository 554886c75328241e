/* Rows of statements to structs in an arena. The order of columns is that of sql/sqlite/read.sql.
 */
#include "store/sqlite.h"

char *
column_text(sqlite3_stmt *q, int i, struct arena *a, bool *failed)
{
    const char *text = (const char *)sqlite3_column_text(q, i);
    if (text == NULL) { /* null, or no memory to convert what is no text: columns are strict */
        return NULL;
    }
    char *copy = arena_strndup(a, text, (size_t)sqlite3_column_bytes(q, i));
    if (copy == NULL)
        *failed = true;
    return copy;
}

static int64_t
column_unless_null(sqlite3_stmt *q, int i, int64_t none)
{
    return sqlite3_column_type(q, i) == SQLITE_NULL ? none : sqlite3_column_int64(q, i);
}

static const char *
column_queue(struct sqlite *s, int64_t no, struct arena *a, bool *failed)
{
    char *copy = arena_strdup(a, queue_name(s, row_partition(no)));
    if (copy == NULL)
        *failed = true;
    return copy;
}

int
row_to_run(struct sqlite *s, sqlite3_stmt *q, struct arena *a, struct run_row *out)
{
    bool    failed = false;
    int64_t no = sqlite3_column_int64(q, 0);
    *out = (struct run_row){
        .no = no,
        .id = column_text(q, 1, a, &failed),
        .workflow = column_text(q, 2, a, &failed),
        .queue = column_queue(s, no, a, &failed),
        .input = column_text(q, 3, a, &failed),
        .token = column_text(q, 4, a, &failed),
        .parent_no = column_unless_null(q, 5, 0),
        .parent_ref = column_text(q, 6, a, &failed),
        .parent_execution = sqlite3_column_int(q, 7),
        .started_us = sqlite3_column_int64(q, 8),
        .status = sqlite3_column_int(q, 9),
        .version = sqlite3_column_int(q, 10),
        .execution = sqlite3_column_int(q, 11),
        .wake_us = column_unless_null(q, 12, NEVER_US),
        .crashes = sqlite3_column_int(q, 13),
        .claimed = sqlite3_column_int(q, 14) != 0,
        .custom = column_text(q, 15, a, &failed),
        .output = column_text(q, 16, a, &failed),
        .error_name = column_text(q, 17, a, &failed),
        .error_message = column_text(q, 18, a, &failed),
        .ended_us = sqlite3_column_int64(q, 19),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
row_to_task(struct sqlite *s, sqlite3_stmt *q, struct arena *a, struct task_row *out)
{
    bool    failed = false;
    int64_t no = sqlite3_column_int64(q, 0), run_at_us = column_unless_null(q, 10, 0);
    *out = (struct task_row){
        .no = no,
        .id = column_text(q, 1, a, &failed),
        .name = column_text(q, 2, a, &failed),
        .payload = column_text(q, 3, a, &failed),
        .queue = column_queue(s, no, a, &failed),
        .opts = column_text(q, 4, a, &failed),
        .run_no = column_unless_null(q, 5, 0),
        .execution = sqlite3_column_int(q, 6),
        .ref = column_text(q, 7, a, &failed),
        .created_us = sqlite3_column_int64(q, 8),
        .attempt = sqlite3_column_int(q, 9),
        .run_at_us = run_at_us > 1 ? run_at_us : 0, /* 1: at once, in the delayed stream */
        .claimed = sqlite3_column_int(q, 11) != 0,
        .crashes = sqlite3_column_int(q, 12),
        .error_name = column_text(q, 13, a, &failed),
        .error_message = column_text(q, 14, a, &failed),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
row_to_dead(struct sqlite *s, sqlite3_stmt *q, struct arena *a, struct dead_row *out)
{
    bool    failed = false;
    int64_t no = sqlite3_column_int64(q, 0);
    *out = (struct dead_row){
        .no = no,
        .id = column_text(q, 1, a, &failed),
        .name = column_text(q, 2, a, &failed),
        .payload = column_text(q, 3, a, &failed),
        .queue = column_queue(s, no, a, &failed),
        .opts = column_text(q, 4, a, &failed),
        .attempts = sqlite3_column_int(q, 5),
        .crashes = sqlite3_column_int(q, 6),
        .error_name = column_text(q, 7, a, &failed),
        .error_message = column_text(q, 8, a, &failed),
        .created_us = sqlite3_column_int64(q, 9),
        .died_us = sqlite3_column_int64(q, 10),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
row_to_inbox(sqlite3_stmt *q, struct arena *a, struct inbox_row *out)
{
    bool failed = false;
    *out = (struct inbox_row){
        .no = sqlite3_column_int64(q, 0),
        .run_no = sqlite3_column_int64(q, 1),
        .kind = sqlite3_column_int(q, 2),
        .name = column_text(q, 3, a, &failed),
        .payload = column_text(q, 4, a, &failed),
        .key = column_text(q, 5, a, &failed),
        .aux = sqlite3_column_int(q, 6),
        .code = sqlite3_column_int(q, 7),
        .time_us = sqlite3_column_int64(q, 8),
    };
    return failed ? HF_NOMEM : HF_OK;
}

int
row_to_history(sqlite3_stmt *q, struct arena *a, struct history_row *out)
{
    bool failed = false;
    *out = (struct history_row){
        .run_no = sqlite3_column_int64(q, 0),
        .execution = sqlite3_column_int(q, 1),
        .seq = sqlite3_column_int(q, 2),
        .events = column_text(q, 3, a, &failed),
    };
    out->events_len = (size_t)sqlite3_column_bytes(q, 3);
    return failed ? HF_NOMEM : HF_OK;
}

void *
rows_grow(struct arena *a, void *rows, size_t n, size_t size)
{
    enum { FIRST = 16 };
    if (n == 0)
        return arena_alloc(a, FIRST * size);
    if (n < FIRST || (n & (n - 1)) != 0)
        return rows;
    void *more = arena_alloc(a, 2 * n * size);
    if (more)
        __builtin_memcpy(more, rows, n * size);
    return more;
}
