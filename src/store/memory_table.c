/* The memory store's tables: rows copied in and out, found by binary search, changed with undo. */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "store/memory.h"

enum { TEXTS_MAX = 10 };

typedef int (*compare_fn)(const void *a, const void *b);

/* What a row is made of. Texts end with a 0 offset: no row begins with a text but struct name. */
struct shape {
    compare_fn compare;
    size_t     size;
    size_t     n_texts;
    size_t     texts[TEXTS_MAX];
};

static int
compare_int(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* Most rows begin with their number. */
static int
compare_no(const void *a, const void *b)
{
    return compare_int(*(const int64_t *)a, *(const int64_t *)b);
}

static int
compare_history(const void *a, const void *b)
{
    const struct history_row *x = a, *y = b;
    int                       order = compare_int(x->run_no, y->run_no);
    if (order == 0)
        order = compare_int(x->execution, y->execution);
    return order ? order : compare_int(x->seq, y->seq);
}

static int
compare_name(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

#define AT offsetof
static const struct shape shapes[TABLES] = {
    [PARTITIONS] = {compare_no, sizeof(struct partition), 1, {AT(struct partition, queue)}},
    [RUNS] = {compare_no,
              sizeof(struct run_row),
              10,
              {AT(struct run_row, id), AT(struct run_row, workflow), AT(struct run_row, queue),
               AT(struct run_row, input), AT(struct run_row, token), AT(struct run_row, parent_ref),
               AT(struct run_row, custom), AT(struct run_row, output),
               AT(struct run_row, error_name), AT(struct run_row, error_message)}},
    [RUN_IDS] = {compare_name, sizeof(struct name), 1, {AT(struct name, text)}},
    [HISTORY] = {compare_history, sizeof(struct history_row), 1, {AT(struct history_row, events)}},
    [INBOX] = {compare_no,
               sizeof(struct inbox_row),
               3,
               {AT(struct inbox_row, name), AT(struct inbox_row, payload),
                AT(struct inbox_row, key)}},
    [TASKS] = {compare_no,
               sizeof(struct task_row),
               8,
               {AT(struct task_row, id), AT(struct task_row, name), AT(struct task_row, payload),
                AT(struct task_row, queue), AT(struct task_row, opts), AT(struct task_row, ref),
                AT(struct task_row, error_name), AT(struct task_row, error_message)}},
    [TASK_IDS] = {compare_name, sizeof(struct name), 1, {AT(struct name, text)}},
    [DEAD] = {compare_no,
              sizeof(struct dead_row),
              7,
              {AT(struct dead_row, id), AT(struct dead_row, name), AT(struct dead_row, payload),
               AT(struct dead_row, queue), AT(struct dead_row, opts),
               AT(struct dead_row, error_name), AT(struct dead_row, error_message)}},
    [WORKERS] = {compare_no,
                 sizeof(struct worker_row),
                 5,
                 {AT(struct worker_row, name), AT(struct worker_row, host),
                  AT(struct worker_row, queues), AT(struct worker_row, handlers),
                  AT(struct worker_row, stats)}},
    [AGAIN] = {compare_no, sizeof(struct again), 0, {0}},
};
#undef AT

static const char **
text_of(const struct shape *shape, void *row, size_t i)
{
    return (const char **)(void *)((char *)row + shape->texts[i]);
}

/* One block with the row and its texts. */
static void *
copy_in(const struct shape *shape, const void *row)
{
    union {
        char               bytes[1];
        struct run_row     run;
        struct task_row    task;
        struct dead_row    dead;
        struct inbox_row   inbox;
        struct history_row history;
        struct worker_row  worker;
        struct partition   partition;
        struct again       again;
        struct name        name;
    } from;
    size_t size = shape->size;

    memcpy(&from, row, shape->size);
    for (size_t i = 0; i < shape->n_texts; i++)
        if (*text_of(shape, &from, i))
            size += strlen(*text_of(shape, &from, i)) + 1;
    char *block = mem_alloc(size), *end = block + shape->size;
    if (block == NULL)
        return NULL;
    for (size_t i = 0; i < shape->n_texts; i++) {
        const char **text = text_of(shape, &from, i);
        if (*text) {
            size_t n = strlen(*text) + 1;
            memcpy(end, *text, n);
            *text = end;
            end += n;
        }
    }
    return memcpy(block, &from, shape->size);
}

int
db_copy(enum table table, const void *row, struct arena *a, void *out, struct err *err)
{
    const struct shape *shape = &shapes[table];

    memcpy(out, row, shape->size);
    for (size_t i = 0; i < shape->n_texts; i++) {
        const char **text = text_of(shape, out, i);
        if (*text && (*text = arena_strdup(a, *text)) == NULL)
            return err_nomem(err);
    }
    return HF_OK;
}

/* The first row that is not less than key (or, past, that is greater). */
static size_t
search(const struct memory_db *db, enum table table, const void *key, bool past)
{
    const struct rowset *t = &db->tables[table];
    size_t               low = 0, high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int    order = shapes[table].compare(t->rows[mid], key);
        if (order < 0 || (past && order == 0))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool
is_at(const struct memory_db *db, enum table table, size_t i, const void *key)
{
    const struct rowset *t = &db->tables[table];
    return i < t->n && shapes[table].compare(t->rows[i], key) == 0;
}

void *
db_find(const struct memory_db *db, enum table table, const void *key)
{
    size_t i = search(db, table, key, false);
    return is_at(db, table, i, key) ? db->tables[table].rows[i] : NULL;
}

size_t
db_after(const struct memory_db *db, enum table table, const void *key)
{
    return search(db, table, key, true);
}

/* Puts `is` where `was` is, either may be NULL. There is room for it. */
static void
exchange(struct memory_db *db, enum table table, void *was, void *is)
{
    struct rowset *t = &db->tables[table];
    size_t         i = search(db, table, was ? was : is, false);

    if (was && is) {
        t->rows[i] = is;
    } else if (is) {
        memmove(t->rows + i + 1, t->rows + i, (t->n - i) * sizeof(*t->rows));
        t->rows[i] = is;
        t->n++;
    } else {
        t->n--;
        memmove(t->rows + i, t->rows + i + 1, (t->n - i) * sizeof(*t->rows));
    }
}

/* Makes room for one more change and one more row. */
static int
reserve(struct memory_db *db, struct rowset *t, struct err *err)
{
    if (db->n_changes == db->changes_size) {
        size_t         size = db->changes_size ? db->changes_size * 2 : 64;
        struct change *changes = mem_realloc(db->changes, size * sizeof(*changes));
        if (changes == NULL)
            return err_nomem(err);
        db->changes = changes;
        db->changes_size = size;
    }
    if (t->n == t->size) {
        size_t size = t->size ? t->size * 2 : 64;
        void **rows = mem_realloc(t->rows, size * sizeof(*rows));
        if (rows == NULL)
            return err_nomem(err);
        t->rows = rows;
        t->size = size;
    }
    return HF_OK;
}

int
db_put(struct memory_db *db, enum table table, const void *row, struct err *err)
{
    TRY(reserve(db, &db->tables[table], err));
    void *is = copy_in(&shapes[table], row);
    if (is == NULL)
        return err_nomem(err);
    void *was = db_find(db, table, is);
    exchange(db, table, was, is);
    db->changes[db->n_changes++] = (struct change){table, was, is};
    return HF_OK;
}

int
db_drop(struct memory_db *db, enum table table, const void *key, struct err *err)
{
    void *was = db_find(db, table, key);

    if (was == NULL)
        return HF_OK;
    TRY(reserve(db, &db->tables[table], err));
    exchange(db, table, was, NULL);
    db->changes[db->n_changes++] = (struct change){table, was, NULL};
    return HF_OK;
}

void
db_begin(struct memory_db *db)
{
    db->n_changes = 0;
    db->seq_before = db->last_seq;
}

void
db_commit(struct memory_db *db)
{
    for (size_t i = 0; i < db->n_changes; i++)
        mem_free(db->changes[i].was);
    db->n_changes = 0;
}

void
db_rollback(struct memory_db *db)
{
    while (db->n_changes) {
        struct change *c = &db->changes[--db->n_changes];
        exchange(db, c->table, c->is, c->was);
        mem_free(c->is);
    }
    db->last_seq = db->seq_before;
}

void
db_release(struct memory_db *db)
{
    for (int t = 0; t < TABLES; t++) {
        for (size_t i = 0; i < db->tables[t].n; i++)
            mem_free(db->tables[t].rows[i]);
        mem_free(db->tables[t].rows);
    }
    mem_free(db->changes);
}

void
picks_add(struct picks *p, const void *row)
{
    if (p->failed)
        return;
    if (p->n == p->size) {
        size_t       size = p->size ? p->size * 2 : 32;
        const void **rows = mem_realloc(p->rows, size * sizeof(*rows));
        if (rows == NULL) {
            p->failed = true;
            return;
        }
        p->rows = rows;
        p->size = size;
    }
    p->rows[p->n++] = row;
}

int
picks_take(struct picks *p, enum table table, struct arena *a, void *array, size_t *n,
           struct err *err)
{
    size_t size = shapes[table].size;
    char  *out = p->failed ? NULL : arena_alloc(a, (p->n ? p->n : 1) * size);
    int    rc = out ? HF_OK : err_nomem(err);

    for (size_t i = 0; rc == HF_OK && i < p->n; i++)
        rc = db_copy(table, p->rows[i], a, out + i * size, err);
    if (rc == HF_OK) {
        memcpy(array, &out, sizeof(out));
        *n = p->n;
    }
    picks_release(p);
    return rc;
}

void
picks_release(struct picks *p)
{
    mem_free(p->rows);
    *p = (struct picks){0};
}
