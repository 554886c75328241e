/*
 * What a plan says, and what is wrong with it. A plan is a tree; what matters is what it does to
 * the tables that grow: which index it goes by, how many rows and pages it reads for those that it
 * gives, and how far the planner was out.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "bench/explain.h"

enum { FACTOR = 100, ROWS_MIN = 1000, PAGES_A_ROW = 20, PAGES_OF_LIST = 10000 };
enum { TIMES_MAX = 1000 }; /* so many are looked at, of what a function does in a loop */

/* ---- the words of a list */

static bool
has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
        if ((p == list || p[-1] == ' ' || p[-1] == ',') && (!p[n] || p[n] == ' ' || p[n] == ','))
            return true;
    return false;
}

static void
add_index(struct plan *p, const char *index)
{
    size_t len = strlen(p->indexes);

    if (!has_word(p->indexes, index))
        snprintf(p->indexes + len, sizeof(p->indexes) - len, "%s%s", len ? ", " : "", index);
}

/* The first of a kind is told. */
static void
set_flag(struct plan *p, enum flag f, const char *detail)
{
    if (!(p->flags & 1u << f))
        snprintf(p->detail[f], sizeof(p->detail[f]), "%.99s", detail);
    p->flags |= 1u << f;
}

/* ---- PostgreSQL: a tree in JSON */

static double
number(const json_t *node, const char *member)
{
    return json_number_value(json_object_get(node, member));
}

static const char *
text(const json_t *node, const char *member)
{
    const char *s = json_string_value(json_object_get(node, member));
    return s ? s : "";
}

static bool
grows(const char *table)
{
    static const char *const tables[] = {"run", "task", "inbox", "history", "dead"};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if (strcmp(table, tables[i]) == 0)
            return true;
    return false;
}

static double
buffers(const json_t *node)
{
    return number(node, "Shared Hit Blocks") + number(node, "Shared Read Blocks");
}

/* Pages for rows that are not there any more. `= any` looks for each element of a list, of whose
 * length the plan says nothing: one of a thousand takes three thousand pages. */
static bool
wastes_pages(const json_t *node, double rows, double loops)
{
    bool list = strstr(text(node, "Index Cond"), "= ANY") != NULL;

    return buffers(node) > (list ? PAGES_OF_LIST : ROWS_MIN) &&
           buffers(node) > PAGES_A_ROW * (rows + loops);
}

static void
judge_scan(struct plan *p, const json_t *node)
{
    const char *table = text(node, "Relation Name"), *index = text(node, "Index Name");
    double      loops = number(node, "Actual Loops"), rows = number(node, "Actual Rows") * loops;
    double      dropped = loops * (number(node, "Rows Removed by Filter") +
                              number(node, "Rows Removed by Index Recheck"));
    char        detail[100];

    if (strcmp(text(node, "Node Type"), "Seq Scan") == 0)
        set_flag(p, FLAG_SCAN, table);
    if (*index)
        add_index(p, index);
    if (*index && *p->may_use && !has_word(p->may_use, index))
        set_flag(p, FLAG_INDEX, index);
    if (dropped > ROWS_MIN && dropped > FACTOR * fmax(rows, 1)) {
        snprintf(detail, sizeof(detail), "%.0f rows of %s for %.0f", dropped + rows, table, rows);
        set_flag(p, FLAG_WASTE, detail);
    } else if (wastes_pages(node, rows + dropped, loops)) {
        snprintf(detail, sizeof(detail), "%.0f pages of %s for %.0f rows", buffers(node), table,
                 rows);
        set_flag(p, FLAG_WASTE, detail);
    }
}

/* A node that is stopped when enough has come gives fewer rows than it could. */
static bool
is_stopped(const json_t *node)
{
    const char *join = text(node, "Join Type"), *relation = text(node, "Parent Relationship");

    return strcmp(text(node, "Node Type"), "Limit") == 0 || strcmp(join, "Semi") == 0 ||
           strcmp(join, "Anti") == 0 || strcmp(relation, "InitPlan") == 0 ||
           strcmp(relation, "SubPlan") == 0;
}

static void
judge_estimate(struct plan *p, const json_t *node, bool stopped)
{
    double is = number(node, "Actual Rows"), planned = number(node, "Plan Rows");
    char   detail[100];

    if (number(node, "Actual Loops") < 1)
        return;
    if (is > FACTOR * fmax(planned, 1) || (!stopped && planned > FACTOR * fmax(is, 1))) {
        const char *table = text(node, "Relation Name");
        snprintf(detail, sizeof(detail), "%.0f rows expected, %.0f came: %s%s%s", planned, is,
                 text(node, "Node Type"), *table ? " on " : "", table);
        set_flag(p, FLAG_ESTIMATE, detail);
    }
}

static bool
judge_node(struct plan *p, const json_t *node, bool stopped)
{
    bool    reads = *text(node, "Relation Name") != '\0';
    size_t  i;
    json_t *child;

    stopped |= is_stopped(node);
    if (grows(text(node, "Relation Name")) && strcmp(text(node, "Node Type"), "ModifyTable") != 0)
        judge_scan(p, node);
    else if (*text(node, "Index Name"))
        add_index(p, text(node, "Index Name"));
    judge_estimate(p, node, stopped);
    json_array_foreach(json_object_get(node, "Plans"), i, child)
    {
        reads |= judge_node(p, child, stopped);
    }
    return reads;
}

/* A statement that changes rows and gives none: those that it changes. */
static int64_t
rows_of(const json_t *node)
{
    const json_t *child = json_array_get(json_object_get(node, "Plans"), 0);

    if (strcmp(text(node, "Node Type"), "ModifyTable") == 0 && number(node, "Actual Rows") < 1 &&
        child)
        node = child;
    return (int64_t)(number(node, "Actual Rows") * number(node, "Actual Loops"));
}

/* False: it touches nothing. */
static bool
read_tree(struct plan *p, const struct explained *e, json_t *root)
{
    const json_t *top = json_is_array(root) ? json_array_get(root, 0) : root;
    const json_t *node = json_object_get(top, "Plan"),
                 *planned = json_object_get(top, "Planning Time");

    if (!judge_node(p, node, false) && buffers(node) < 1)
        return false;
    p->exec_ms = e->inside ? number(node, "Actual Total Time") : number(top, "Execution Time");
    p->plan_ms = planned ? json_number_value(planned) : NAN;
    p->buffers = (int64_t)buffers(node);
    p->rows = rows_of(node);
    if (e->again && p->plan_ms > p->exec_ms && p->plan_ms > 0.1) {
        char detail[100];
        snprintf(detail, sizeof(detail), "%.2f ms, executed in %.2f", p->plan_ms, p->exec_ms);
        set_flag(p, FLAG_PLANNING, detail);
    }
    return true;
}

/* ---- SQLite: a line for each step */

/* True: it reads a whole table, which need not be one that grows. A scan of an index is of those
 * rows that it is for. */
static bool
read_line(struct plan *p, const char *line, size_t n)
{
    char        words[200], name[80];
    const char *at;

    snprintf(words, sizeof(words), "%.*s", (int)n, line);
    if ((at = strstr(words, "INDEX hf_")) != NULL) {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 6, " ("), at + 6);
        add_index(p, name);
    } else if (strstr(words, "PRIMARY KEY")) {
        add_index(p, "primary key");
    } else if (strncmp(words, "SCAN hf_", 8) == 0 && grows(words + 8)) {
        set_flag(p, FLAG_SCAN, words + 5);
    } else {
        return strncmp(words, "SCAN ", 5) == 0;
    }
    return false;
}

static void
read_lines(struct plan *p, const struct explained *e)
{
    bool whole = false;
    char detail[100];

    for (const char *line = e->plan; *line; line += strcspn(line, "\n"), line += *line == '\n')
        whole |= read_line(p, line, strcspn(line, "\n"));
    if (*e->index && strstr(p->indexes, e->index) == NULL)
        set_flag(p, FLAG_INDEX, *p->indexes ? p->indexes : "none");
    if (whole && e->scanned > ROWS_MIN * (int64_t)e->times) {
        snprintf(detail, sizeof(detail), "%lld rows read", (long long)e->scanned / e->times);
        set_flag(p, FLAG_SCAN, detail);
    }
    p->exec_ms = e->ms;
    p->steps = e->steps;
}

/* ---- all plans */

static bool
is_suspect(const struct plan *p)
{
    return p->flags & ((1u << (FLAG_WASTE + 1)) - 1);
}

static struct plan *
find(struct plans *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->rows[i].name, name) == 0)
            return &all->rows[i];
    return NULL;
}

static struct plan *
add(struct plans *all, const struct plan *p)
{
    if (all->n == all->size) {
        size_t       size = all->size ? all->size * 2 : 64;
        struct plan *more = mem_realloc(all->rows, size * sizeof(*more));
        if (more == NULL)
            return NULL;
        all->rows = more;
        all->size = size;
    }
    all->rows[all->n] = *p;
    return &all->rows[all->n++];
}

/* Of several executions the one that is worse stays, with the longest planning, which is that of
 * the first. What is executed for the first time only says how long it was planned. */
static void
keep(struct plans *all, struct plan *p, const struct explained *e)
{
    struct plan *old = find(all, p->name);

    if (old == NULL && (old = add(all, p)) == NULL) {
        all->failed = true;
        return;
    }
    p->hot |= old->hot;
    double plan_ms = fmax(old->plan_ms, p->plan_ms);
    int    times = old->times + (e->times ? e->times : e->again);
    bool   worse = is_suspect(p) != is_suspect(old) ? is_suspect(p) : p->buffers > old->buffers;
    if (old->text == NULL || (e->again && (worse || old->times == 0))) {
        mem_free(old->text);
        *old = *p;
        old->text = mem_strdup(e->plan);
        all->failed |= old->text == NULL;
    }
    old->plan_ms = plan_ms;
    old->times = times;
}

void
plans_add(void *arg, const struct explained *e)
{
    struct plans *all = arg;
    struct plan  *seen = find(all, e->statement);
    struct plan   p = {.may_use = e->index, .inside = e->inside, .hot = all->hot};
    bool          touches = true;

    if (e->inside && seen && seen->times >= TIMES_MAX) {
        seen->times++;
        return;
    }
    p.plan_ms = p.exec_ms = NAN;
    p.buffers = p.steps = p.rows = -1;
    snprintf(p.name, sizeof(p.name), "%s", e->statement);
    if (e->plan[0] == '[' || e->plan[0] == '{') {
        json_t *root = json_loads(e->plan, 0, NULL);
        all->failed |= root == NULL;
        touches = root && read_tree(&p, e, root);
        json_decref(root);
    } else {
        read_lines(&p, e);
    }
    if (touches)
        keep(all, &p, e);
}

void
plans_release(struct plans *p)
{
    for (size_t i = 0; i < p->n; i++)
        mem_free(p->rows[i].text);
    mem_free(p->rows);
    *p = (struct plans){0};
}

bool
plan_is_bad(const struct plan *p, enum flag f)
{
    return p->hot && f <= FLAG_WASTE && p->flags & 1u << f;
}

bool
plans_are_bad(const struct plans *p)
{
    bool bad = false;

    for (size_t i = 0; i < p->n; i++)
        bad |= p->rows[i].hot && is_suspect(&p->rows[i]);
    return bad;
}
