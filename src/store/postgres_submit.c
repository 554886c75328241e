/*
 * Clients' writes: all items of a submit in order, in one transaction, one roundtrip. Consecutive
 * items of a family (tasks, starts, messages, orders, dead letters) go together as arrays to a
 * function of the schema, the same that SQL clients use; it says which item is wrong. The owners
 * are hinted behind the commit.
 */
#include <string.h>
#include <time.h>

#include "base/id.h"
#include "base/mem.h"
#include "store/postgres.h"

enum family { TASKS, STARTS, MESSAGES, ORDERS, DEAD, FAMILIES };
enum { GROUP_MAX = 5000, GROUP_BYTES = 4 << 20, TRIES = 8, HINT_IDS_MAX = 16 };

struct group {
    uint8_t family;
    size_t  first, n;
};

struct submitting {
    struct postgres *s;
    struct submit   *items;
    size_t           n;
    struct group    *groups;
    size_t           n_groups;
    int64_t         *nos; /* of the group that is being read */
};

static const char *
queue_of(const struct submit *item)
{
    return item->queue ? item->queue : "default";
}

static enum family
family_of(const struct submit *item)
{
    static const uint8_t families[] = {
        [SUBMIT_START] = STARTS, [SUBMIT_SIGNAL] = MESSAGES, [SUBMIT_CANCEL] = MESSAGES,
        [SUBMIT_RETRY] = DEAD,   [SUBMIT_DISCARD] = DEAD,    [SUBMIT_ENQUEUE] = TASKS,
        [SUBMIT_PAUSE] = ORDERS, [SUBMIT_RESUME] = ORDERS,   [SUBMIT_TERMINATE] = ORDERS,
    };
    return families[item->kind];
}

/* ---- parameters */

typedef const char *(*text_of)(const struct submit *item);

static const char *
id_of(const struct submit *item)
{
    return item->id;
}

static const char *
name_of(const struct submit *item)
{
    return item->name;
}

static const char *
payload_of(const struct submit *item)
{
    return item->payload;
}

static const char *
opts_of(const struct submit *item)
{
    return item->opts;
}

static const char *
token_of(const struct submit *item)
{
    return item->token;
}

static const char *
key_of(const struct submit *item)
{
    return item->key;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* One element if all are the same, null if all are NULL: the functions take that for all. */
static void
put_texts(struct pg_args *a, const struct submit *items, size_t n, text_of get)
{
    const char *first = get(&items[0]);
    bool        same = true;
    for (size_t i = 1; same && i < n; i++)
        same = same_text(get(&items[i]), first);
    if (same && first == NULL) {
        pg_put_null(a);
        return;
    }
    int array = pg_array(a, PG_TEXT);
    for (size_t i = 0; i < (same ? 1 : n); i++)
        pg_add_text(a, array, get(&items[i]));
}

/* Every element, also if they are the same. */
static void
put_each_text(struct pg_args *a, const struct submit *items, size_t n, text_of get)
{
    int array = pg_array(a, PG_TEXT);
    for (size_t i = 0; i < n; i++)
        pg_add_text(a, array, get(&items[i]));
}

static void
put_classes(struct pg_args *a, const struct submit *items, size_t n)
{
    bool same = true;
    for (size_t i = 1; same && i < n; i++)
        same = items[i].cls == items[0].cls;
    int array = pg_array(a, PG_INT2);
    for (size_t i = 0; i < (same ? 1 : n); i++)
        pg_add_int2(a, array, pg_class(items[i].cls));
}

static void
put_times(struct pg_args *a, const struct submit *items, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= items[i].run_at_us > 0;
    if (!any) {
        pg_put_null(a);
        return;
    }
    int array = pg_array(a, PG_INT8);
    for (size_t i = 0; i < n; i++)
        pg_add_int8_unless(a, array, items[i].run_at_us, 0);
}

static void
send_tasks(struct postgres *s, const struct submit *items, size_t n)
{
    struct pg_args *a = pg_args(s);
    bool            ids = false;
    for (size_t i = 0; !ids && i < n; i++)
        ids = items[i].id != NULL;
    if (ids)
        put_each_text(a, items, n, id_of);
    else
        pg_put_null(a);
    put_texts(a, items, n, name_of);
    put_each_text(a, items, n, payload_of); /* says how many */
    put_texts(a, items, n, queue_of);
    put_classes(a, items, n);
    put_times(a, items, n);
    put_texts(a, items, n, opts_of);
    pg_now(s, a);
    pg_send(s, PG_submit_tasks, a);
}

static void
send_starts(struct postgres *s, const struct submit *items, size_t n)
{
    struct pg_args *a = pg_args(s);
    put_each_text(a, items, n, id_of);
    put_texts(a, items, n, name_of);
    put_texts(a, items, n, payload_of);
    put_texts(a, items, n, queue_of);
    put_classes(a, items, n);
    int versions = pg_array(a, PG_INT4), if_exists;
    for (size_t i = 0; i < n; i++)
        pg_add_int4(a, versions, items[i].version);
    if_exists = pg_array(a, PG_INT2);
    for (size_t i = 0; i < n; i++)
        pg_add_int2(a, if_exists, items[i].if_exists);
    put_texts(a, items, n, token_of);
    pg_now(s, a);
    pg_send(s, PG_submit_runs, a);
}

static void
put_kinds(struct pg_args *a, const struct submit *items, size_t n)
{
    static const int kinds[] = {[SUBMIT_SIGNAL] = INBOX_SIGNAL,
                                [SUBMIT_CANCEL] = INBOX_CANCEL,
                                [SUBMIT_TERMINATE] = INBOX_TERMINATE,
                                [SUBMIT_PAUSE] = INBOX_PAUSE,
                                [SUBMIT_RESUME] = INBOX_RESUME};
    int              array = pg_array(a, PG_INT2);
    for (size_t i = 0; i < n; i++)
        pg_add_int2(a, array, kinds[items[i].kind]);
}

static void
send_messages(struct postgres *s, const struct submit *items, size_t n)
{
    struct pg_args *a = pg_args(s);
    put_kinds(a, items, n);
    put_each_text(a, items, n, id_of);
    put_texts(a, items, n, name_of);
    put_texts(a, items, n, payload_of);
    put_texts(a, items, n, key_of);
    pg_now(s, a);
    pg_send(s, PG_submit_messages, a);
}

static void
send_orders(struct postgres *s, const struct submit *items, size_t n)
{
    struct pg_args *a = pg_args(s);
    put_kinds(a, items, n);
    put_each_text(a, items, n, id_of);
    put_texts(a, items, n, payload_of);
    pg_now(s, a);
    pg_send(s, PG_submit_orders, a);
}

static void
send_dead(struct postgres *s, const struct submit *items, size_t n)
{
    struct pg_args *a = pg_args(s);
    int             retries = pg_array(a, PG_BOOL);
    for (size_t i = 0; i < n; i++)
        pg_add_bool(a, retries, items[i].kind == SUBMIT_RETRY);
    put_each_text(a, items, n, id_of);
    pg_now(s, a);
    pg_send(s, PG_submit_dead, a);
}

/* ---- the hint: by ids if there are few, else all partitions of the queues */

static void
add_queue(struct pg_args *a, int array, const char **last, const char *queue)
{
    if (*last == NULL || strcmp(*last, queue) != 0)
        pg_add_text(a, array, queue);
    *last = queue;
}

static void
send_hint(const struct submitting *t)
{
    struct pg_args *a = pg_args(t->s);
    int runs = pg_array(a, PG_TEXT), tasks = pg_array(a, PG_TEXT), queues = pg_array(a, PG_TEXT);
    const char *last = NULL, *one = NULL;
    bool        few = t->n <= HINT_IDS_MAX;

    for (size_t i = 0; i < t->n; i++) {
        const struct submit *item = &t->items[i];
        bool                 is_task = item->kind == SUBMIT_ENQUEUE || item->kind == SUBMIT_RETRY;
        bool                 stored = item->kind == SUBMIT_START || item->kind == SUBMIT_ENQUEUE;
        if (item->kind == SUBMIT_DISCARD)
            continue;
        if (item->id && (few || !stored))
            pg_add_text(a, is_task ? tasks : runs, item->id);
        else if (t->n == 1)
            one = queue_of(item);
        else
            add_queue(a, queues, &last, queue_of(item));
    }
    pg_put_text(a, one);
    pg_send(t->s, PG_hint_submitted, a);
    pg_sync(t->s);
}

/* ---- sending and reading */

static size_t
item_bytes(const struct submit *item)
{
    return 100 + (item->payload ? strlen(item->payload) : 0);
}

static int
make_groups(struct submitting *t, size_t group_max, struct err *err)
{
    size_t size = 0, bytes = 0;
    t->n_groups = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct group *last = t->n_groups ? &t->groups[t->n_groups - 1] : NULL;
        enum family   family = family_of(&t->items[i]);
        bytes += item_bytes(&t->items[i]);
        if (last && last->family == family && last->n < group_max && bytes < GROUP_BYTES) {
            last->n++;
            continue;
        }
        if (t->n_groups == size) {
            size = size ? size * 2 : 4;
            struct group *more = mem_realloc(t->groups, size * sizeof(*more));
            if (more == NULL)
                return err_nomem(err);
            t->groups = more;
        }
        t->groups[t->n_groups++] = (struct group){(uint8_t)family, i, 1};
        bytes = 0;
    }
    return HF_OK;
}

static void
send_all(const struct submitting *t, bool alone)
{
    static void (*const send[FAMILIES])(struct postgres *, const struct submit *, size_t) = {
        [TASKS] = send_tasks,   [STARTS] = send_starts, [MESSAGES] = send_messages,
        [ORDERS] = send_orders, [DEAD] = send_dead,
    };
    if (!alone)
        pg_begin(t->s);
    for (size_t i = 0; i < t->n_groups; i++) {
        const struct group *g = &t->groups[i];
        send[g->family](t->s, &t->items[g->first], g->n);
    }
    if (alone)
        pg_sync_write(t->s);
    else
        pg_commit(t->s);
    if (!t->s->pooled)
        send_hint(t);
    pg_push(t->s);
}

/* One row: the numbers, and for starts what became of each. */
static int
read_group(struct submitting *t, const struct group *g, size_t *bad, struct err *err)
{
    struct postgres *s = t->s;
    int              rc = pg_result(s, err);
    *bad = g->first;
    if (rc != HF_OK) {
        if (s->bad_item >= 0 && (size_t)s->bad_item < g->n)
            *bad += (size_t)s->bad_item;
        return rc;
    }
    if (pg_rows(s) != 1 || pg_get_ints(s, 0, 0, t->nos, g->n) != g->n)
        return err_set(err, HF_INTERNAL, "%s: not as many numbers as items", s->target.where);
    for (size_t i = 0; i < g->n; i++)
        t->items[g->first + i].no = t->nos[i];
    if (g->family != STARTS)
        return HF_OK;
    pg_get_ints(s, 0, 1, t->nos, g->n);
    for (size_t i = 0; i < g->n; i++)
        t->items[g->first + i].existed = t->nos[i] != 0;
    return HF_OK;
}

/* Alone, a statement is its own transaction; through a pooler it needs one for its settings. What
 * the hint gives is left for the next verb to read. */
static int
submit_once(struct submitting *t, size_t *bad, struct err *err)
{
    bool alone = t->n_groups == 1 && !t->s->pooled;
    int  rc = HF_OK;

    TRY(pg_ready(t->s, err));
    send_all(t, alone);
    for (size_t i = 0; rc == HF_OK && i < t->n_groups; i++)
        rc = read_group(t, &t->groups[i], bad, err);
    int end = pg_synced(t->s, rc == HF_OK ? err : NULL);
    if (rc != HF_OK || end != HF_OK) {
        pg_rollback(t->s);
    } else if (t->s->pooled) { /* see pg_one_section */
        send_hint(t);
        pg_push(t->s);
    }
    return rc == HF_OK ? end : rc;
}

static void
back_off(int tries)
{
    int64_t         us = (int64_t)(id_random() % (1000u << tries));
    struct timespec t = {us / US_PER_S, us % US_PER_S * 1000};
    nanosleep(&t, NULL);
}

/* Deadlocks and the like are tried again; if data is refused, one item at a time tells which. */
static int
submit_patiently(struct submitting *t, size_t *bad, struct err *err)
{
    size_t group_max = GROUP_MAX;
    int    rc;
    for (int tries = 0;; tries++) {
        TRY(make_groups(t, group_max, err));
        rc = submit_once(t, bad, err);
        if (rc == HF_REFUSED && t->s->bad_item < 0 && group_max > 1 && t->n > 1)
            group_max = 1;
        else if (rc == HF_UNAVAILABLE && pg_try_again(t->s) && tries < TRIES)
            back_off(tries);
        else
            return rc;
    }
}

int
postgres_submit(struct store *base, struct submit *items, size_t n, size_t *bad, struct err *err)
{
    struct submitting t = {.s = postgres_of(base), .items = items, .n = n};
    struct err        own = {0};
    size_t            index = 0;

    if (n == 0)
        return HF_OK;
    t.nos = mem_alloc((n < GROUP_MAX ? n : GROUP_MAX) * sizeof(*t.nos));
    int rc = t.nos ? submit_patiently(&t, &index, &own) : err_nomem(&own);
    mem_free(t.nos);
    mem_free(t.groups);
    if (bad)
        *bad = index;
    if (rc != HF_OK && err)
        *err = own;
    return rc;
}
