/*
 * What a fetch has brought: which rows there is room for, how far the cursors move for them, and
 * these rows as structs in the arena. Within a fetch rows are delivered in the order of their
 * numbers, not of transactions, which would turn two signals of one sender round; what is urgent
 * comes first, and what was due before all that.
 */
#include <stdlib.h>
#include <string.h>

#include "store/postgres_cycle.h"

enum { COL_NO, COL_XID, COL_BYTES, COL_PAYLOAD };
enum { TASK_RUN_AT = 12, RUN_WAKE = 14, ROW_BYTES = 256 };

struct pick {
    int64_t key;
    int     row;
};

struct picks {
    struct pick *rows;
    size_t       n;
};

/* Room that is left for a cursor. */
struct left {
    size_t runs, tasks, inbox;
    bool   delayed_cut; /* delayed tasks that were stored too late are unread */
};

struct taking {
    struct pg_fetch    *f;
    struct pg_snapshot *snapshot;
    PGresult *const    *parts;
    struct left        *left; /* by cursor */
    const char        **queue;
    size_t              bytes;
    int64_t             last_no;
    bool                left_out; /* a payload was */
    struct picks        picks[PARTS];
};

/* ---- room */

static int64_t
number(const struct taking *t, int row, int col)
{
    return pg_get_int(t->f->s, row, col);
}

static void
look_at(struct taking *t, enum pg_part part)
{
    t->f->s->result = t->parts[part];
}

/* Rows [first, end) of one stream: takes those there is room for. How many. */
static int
pick_rows(struct taking *t, enum pg_part part, int first, int end, size_t *left)
{
    struct picks *p = &t->picks[part];
    int           row = first;
    for (; row<end && * left> 0 && t->bytes <= FETCH_BYTES_MAX; row++, --*left) {
        int64_t bytes = number(t, row, COL_BYTES), no = number(t, row, COL_NO);
        if (bytes > t->f->bytes) {
            t->left_out = true;
            break;
        }
        t->bytes += (size_t)bytes + ROW_BYTES;
        int64_t cls = part == PART_INBOX ? 0 : (row_stream(no) + 1) & 3; /* delayed ones first */
        p->rows[p->n++] = (struct pick){cls << 46 | row_seq(no), row};
    }
    return row - first;
}

static size_t *
room_of(struct left *left, enum pg_part part)
{
    return part == PART_INBOX ? &left->inbox : part == PART_TASKS ? &left->tasks : &left->runs;
}

/* The streams of a part, of which those of the classes [from, to) are taken. */
static int
pick_streams(struct taking *t, enum pg_part part, enum pg_table table, int classes, int from,
             int to)
{
    struct pg_fetch *f = t->f;
    int              row = 0, rows;

    look_at(t, part);
    rows = pg_rows(f->s);
    for (size_t i = 0; i < f->n; i++)
        for (int k = 0; k < classes; k++) {
            struct pg_cursor *c = f->which[i];
            int               first = row;
            if (k == STREAM_DELAYED && !c->begun)
                continue;
            while (row < rows && row_partition(number(t, row, COL_NO)) == c->partition &&
                   (classes == 1 || row_stream(number(t, row, COL_NO)) == k))
                row++;
            if (k < from || k >= to)
                continue;
            int taken = pick_rows(t, part, first, row, room_of(&t->left[i], part));
            if (first + taken == row) {
                pg_stream_all(c, table, k, t->snapshot);
                continue;
            }
            struct pg_position last = {0};
            if (taken > 0)
                last = (struct pg_position){number(t, first + taken - 1, COL_XID),
                                            number(t, first + taken - 1, COL_NO)};
            c->more = true;
            t->left[i].delayed_cut |= k == STREAM_DELAYED;
            if (!pg_stream_part(c, table, k, t->snapshot, last, number(t, first + taken, COL_XID)))
                return HF_NOMEM;
        }
    return HF_OK;
}

/* Rows whose time has come. The time does not move on while delayed tasks behind it are unread:
 * they would be found twice. */
static void
pick_due(struct taking *t, enum pg_part part, enum pg_table table, int col)
{
    struct pg_fetch *f = t->f;
    int              row = 0, rows;

    look_at(t, part);
    rows = pg_rows(f->s);
    for (size_t i = 0; i < f->n; i++) {
        struct pg_cursor   *c = f->which[i];
        struct pg_position *due = &c->due[table];
        size_t             *left = part == PART_DUE_TASKS ? &t->left[i].tasks : &t->left[i].runs;
        int                 first = row;
        while (row < rows && row_partition(number(t, row, COL_NO)) == c->partition)
            row++;
        if (table == PG_TASKS && t->left[i].delayed_cut)
            continue;
        int taken = pick_rows(t, part, first, row, left);
        if (first + taken == row) {
            if (f->out->now_us >= due->xid)
                *due = (struct pg_position){f->out->now_us, INT64_MAX};
            continue;
        }
        c->more = true;
        if (taken > 0)
            *due = (struct pg_position){number(t, first + taken - 1, col),
                                        number(t, first + taken - 1, COL_NO)};
    }
}

static void
pick_blocked(struct taking *t)
{
    struct pg_fetch *f = t->f;
    int              row = 0, rows;

    if (!f->blocked)
        return;
    look_at(t, PART_BLOCKED);
    rows = pg_rows(f->s);
    for (size_t i = 0; i < f->n; i++) {
        struct pg_cursor *c = f->which[i];
        int               first = row;
        while (row < rows && row_partition(number(t, row, COL_NO)) == c->partition)
            row++;
        if (c->blocked == INT64_MAX)
            continue;
        int taken = pick_rows(t, PART_BLOCKED, first, row, &t->left[i].runs);
        if (taken > 0)
            c->blocked = number(t, first + taken - 1, COL_NO);
        if (first + taken == row)
            c->blocked = INT64_MAX;
        else
            c->more = true;
    }
}

/* ---- order */

static int
by_key(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void
sort(struct picks *p)
{
    for (size_t i = 1; i < p->n; i++)
        if (p->rows[i].key < p->rows[i - 1].key) {
            qsort(p->rows, p->n, sizeof(*p->rows), by_key);
            return;
        }
}

/* ---- rows */

/* Copies the texts of the columns, all in one piece of the arena. The order is that of `columns`.
 */
static bool
copy_texts(struct taking *t, int row, const uint8_t *columns, int n, const char **out)
{
    const PGresult *r = t->f->s->result;
    size_t          size = 0;
    for (int i = 0; i < n; i++)
        size += (size_t)PQgetlength(r, row, columns[i]) + 1;
    char *p = arena_alloc(t->f->a, size);
    if (p == NULL)
        return false;
    for (int i = 0; i < n; i++) {
        if (PQgetisnull(r, row, columns[i])) {
            out[i] = NULL;
            continue;
        }
        size_t len = (size_t)PQgetlength(r, row, columns[i]) + 1; /* libpq ends it with a NUL */
        memcpy(p, PQgetvalue(r, row, columns[i]), len);
        out[i] = p;
        p += len;
    }
    return true;
}

/* Once for each partition: rows stand partition by partition. */
static const char *
queue_of(struct taking *t, int64_t no)
{
    struct pg_fetch *f = t->f;
    size_t           i = 0;
    while (i < f->n && f->which[i]->partition != row_partition(no))
        i++;
    return i < f->n ? t->queue[i] : NULL;
}

static bool
make_task(struct taking *t, int row, struct task_row *out)
{
    static const uint8_t columns[] = {COL_PAYLOAD, 4, 5, 6, 9, 15, 16};
    const char          *text[sizeof(columns)];
    int64_t              no = number(t, row, COL_NO), run_at_us = number(t, row, TASK_RUN_AT);

    if (!copy_texts(t, row, columns, sizeof(columns), text))
        return false;
    *out = (struct task_row){
        .no = no,
        .payload = text[0],
        .id = text[1],
        .name = text[2],
        .opts = text[3],
        .queue = queue_of(t, no),
        .run_no = number(t, row, 7),
        .execution = (int)number(t, row, 8),
        .ref = text[4],
        .created_us = number(t, row, 10),
        .attempt = (int)number(t, row, 11),
        .run_at_us = run_at_us > 1 ? run_at_us : 0, /* 1: at once, in the delayed stream */
        .holder = number(t, row, 13),
        .claimed = !pg_get_null(t->f->s, row, 13),
        .crashes = (int)number(t, row, 14),
        .error_name = text[5],
        .error_message = text[6],
    };
    return true;
}

static bool
make_run(struct taking *t, int row, struct run_row *out)
{
    static const uint8_t columns[] = {COL_PAYLOAD, 4, 5, 6, 8, 17, 18, 19};
    const char          *text[sizeof(columns)];
    int64_t              no = number(t, row, COL_NO);

    if (!copy_texts(t, row, columns, sizeof(columns), text))
        return false;
    *out = (struct run_row){
        .no = no,
        .input = text[0],
        .id = text[1],
        .workflow = text[2],
        .token = text[3],
        .queue = queue_of(t, no),
        .parent_no = number(t, row, 7),
        .parent_ref = text[4],
        .parent_execution = (int)number(t, row, 9),
        .started_us = number(t, row, 10),
        .status = (int)number(t, row, 11),
        .version = (int)number(t, row, 12),
        .execution = (int)number(t, row, 13),
        .wake_us = pg_get_int_or(t->f->s, row, RUN_WAKE, NEVER_US),
        .crashes = (int)number(t, row, 15),
        .claimed = number(t, row, 16) != 0,
        .custom = text[5],
        .error_name = text[6],
        .error_message = text[7],
    };
    return true;
}

static bool
make_inbox(struct taking *t, int row, struct inbox_row *out)
{
    static const uint8_t columns[] = {COL_PAYLOAD, 7, 8};
    const char          *text[sizeof(columns)];

    if (!copy_texts(t, row, columns, sizeof(columns), text))
        return false;
    *out = (struct inbox_row){
        .no = number(t, row, COL_NO),
        .payload = text[0],
        .name = text[1],
        .key = text[2],
        .run_no = number(t, row, 4),
        .task_no = number(t, row, 5),
        .kind = (int)number(t, row, 6),
        .aux = (int)number(t, row, 9),
        .code = (int)number(t, row, 10),
        .attempt = (int)number(t, row, 11),
        .sender = number(t, row, 12),
        .time_us = number(t, row, 13),
    };
    return true;
}

static bool
make_tasks(struct taking *t)
{
    static const enum pg_part from[] = {PART_DUE_TASKS, PART_TASKS};
    struct rows              *o = t->f->out;
    size_t                    n = t->picks[PART_DUE_TASKS].n + t->picks[PART_TASKS].n;
    if (n > 0 && (o->tasks = arena_alloc(t->f->a, n * sizeof(*o->tasks))) == NULL)
        return false;
    for (int k = 0; k < 2; k++) {
        look_at(t, from[k]);
        for (size_t i = 0; i < t->picks[from[k]].n; i++)
            if (!make_task(t, t->picks[from[k]].rows[i].row, &o->tasks[o->n_tasks++]))
                return false;
    }
    return true;
}

static bool
make_runs(struct taking *t)
{
    static const enum pg_part from[] = {PART_RUNS, PART_BLOCKED};
    struct rows              *o = t->f->out;
    size_t n = t->picks[PART_RUNS].n + t->picks[PART_BLOCKED].n, n_due = t->picks[PART_DUE_RUNS].n;
    if (n > 0 && (o->runs = arena_alloc(t->f->a, n * sizeof(*o->runs))) == NULL)
        return false;
    if (n_due > 0 && (o->due = arena_alloc(t->f->a, n_due * sizeof(*o->due))) == NULL)
        return false;
    for (int k = 0; k < 2; k++) {
        look_at(t, from[k]);
        for (size_t i = 0; i < t->picks[from[k]].n; i++) {
            struct run_row *r = &o->runs[o->n_runs++];
            if (!make_run(t, t->picks[from[k]].rows[i].row, r))
                return false;
            struct pg_cursor *c = pg_cursor_of(t->f->all, row_partition(r->no));
            r->fresh = r->status == RUN_RUNNING && c && row_seq(r->no) > c->known_no;
        }
    }
    look_at(t, PART_DUE_RUNS);
    for (size_t i = 0; i < n_due; i++)
        if (!make_run(t, t->picks[PART_DUE_RUNS].rows[i].row, &o->due[o->n_due++]))
            return false;
    return true;
}

static bool
make_all_inbox(struct taking *t)
{
    struct rows  *o = t->f->out;
    struct picks *p = &t->picks[PART_INBOX];
    if (p->n > 0 && (o->inbox = arena_alloc(t->f->a, p->n * sizeof(*o->inbox))) == NULL)
        return false;
    look_at(t, PART_INBOX);
    for (size_t i = 0; i < p->n; i++)
        if (!make_inbox(t, p->rows[i].row, &o->inbox[o->n_inbox++]))
            return false;
    return true;
}

/* ---- all of it */

static bool
begin(struct taking *t)
{
    struct pg_fetch *f = t->f;

    if (f->begins) {
        look_at(t, PART_LAST_NUMBER);
        t->last_no = number(t, 0, 0);
    }
    t->left = arena_alloc(f->a, (f->n + 1) * sizeof(*t->left));
    t->queue = arena_zalloc(f->a, (f->n + 1) * sizeof(*t->queue));
    if (t->left == NULL || t->queue == NULL)
        return false;
    for (int i = PART_DUE_TASKS; i <= PART_BLOCKED; i++) {
        size_t n = t->parts[i] ? (size_t)PQntuples(t->parts[i]) : 0;
        if ((t->picks[i].rows = arena_alloc(f->a, (n + 1) * sizeof(struct pick))) == NULL)
            return false;
    }
    for (size_t i = 0; i < f->n; i++) {
        struct pg_cursor *c = f->which[i];
        t->left[i] = (struct left){f->runs, f->tasks, f->inbox, false};
        c->more = false;
        if (!c->begun)
            c->known_no = t->last_no;
    }
    return true;
}

static bool
name_queues(struct taking *t)
{
    struct pg_fetch *f = t->f;
    for (size_t i = 0; i < f->n; i++) {
        const char *name = pg_queue_name(f->s, f->which[i]->partition);
        if (name && (t->queue[i] = arena_strdup(f->a, name)) == NULL)
            return false;
    }
    return true;
}

static void
end(struct taking *t)
{
    struct pg_fetch *f = t->f;
    int              row = 0;

    look_at(t, PART_NEXT_DUE);
    for (size_t i = 0; i < f->n; i++) {
        struct pg_cursor *c = f->which[i];
        if (!c->begun)
            c->at[PG_TASKS][STREAM_DELAYED] = (struct pg_position){t->snapshot->xmax, 0};
        c->begun = true;
        bool found =
            t->left[i].runs < f->runs || t->left[i].tasks < f->tasks || t->left[i].inbox < f->inbox;
        c->empties = found || c->more ? 0 : c->empties + 1;
        c->next_due_us = NEVER_US;
        if (row < pg_rows(f->s) && number(t, row, 0) == c->partition)
            c->next_due_us = pg_get_int_or(f->s, row++, 1, NEVER_US);
    }
    f->all->big = t->left_out;
}

int
pg_take_all(struct pg_fetch *f, PGresult *const parts[PARTS], struct pg_snapshot *snapshot,
            struct err *err)
{
    struct taking t = {.f = f, .snapshot = snapshot, .parts = parts};

    if (!begin(&t))
        return err_nomem(err);
    if (pick_streams(&t, PART_TASKS, PG_TASKS, STREAMS, STREAM_DELAYED, STREAMS) != HF_OK)
        return err_nomem(err);
    pick_due(&t, PART_DUE_TASKS, PG_TASKS, TASK_RUN_AT);
    if (pick_streams(&t, PART_TASKS, PG_TASKS, STREAMS, 0, STREAM_DELAYED) != HF_OK)
        return err_nomem(err);
    pick_due(&t, PART_DUE_RUNS, PG_RUNS, RUN_WAKE);
    if (pick_streams(&t, PART_RUNS, PG_RUNS, STREAM_DELAYED, 0, STREAM_DELAYED) != HF_OK)
        return err_nomem(err);
    pick_blocked(&t);
    if (pick_streams(&t, PART_INBOX, PG_INBOX, 1, 0, 1) != HF_OK)
        return err_nomem(err);
    sort(&t.picks[PART_TASKS]);
    sort(&t.picks[PART_RUNS]);
    sort(&t.picks[PART_INBOX]);
    if (!name_queues(&t) || !make_tasks(&t) || !make_runs(&t) || !make_all_inbox(&t))
        return err_nomem(err);
    end(&t);
    return HF_OK;
}
