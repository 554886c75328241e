/* Moves of partitions: leaving, then fit, then full, then fair share. */
#include "worker/balance.h"

#include <string.h>

/* ---- who can what */

static size_t
word_length(const char *text, char end)
{
    const char *at = strchr(text, end);
    return at ? (size_t)(at - text) : strlen(text);
}

static bool
has_word(const char *list, char gap, const char *word, size_t n, bool prefix)
{
    for (const char *at = list; at && *at;) {
        size_t len = word_length(at, gap);
        if ((prefix ? len > n : len == n) && memcmp(at, word, n) == 0)
            return true;
        at += len;
        at += *at == gap;
    }
    return false;
}

bool
handlers_have(const char *handlers, const char *what)
{
    size_t n = strlen(what);
    bool   any = n > 2 && strcmp(what + n - 2, "@0") == 0;
    return has_word(handlers, ' ', what, any ? n - 1 : n, any);
}

static bool
covers(const char *handlers, const char *others)
{
    for (const char *at = others; at && *at;) {
        size_t len = word_length(at, ' ');
        if (!has_word(handlers, ' ', at, len, false))
            return false;
        at += len;
        at += *at == ' ';
    }
    return true;
}

static bool
serves(const struct worker_row *w, const char *queue)
{
    return w->queues == NULL || has_word(w->queues, ',', queue, strlen(queue), false);
}

/* ---- the state that moves change */

struct moves {
    const struct balance    *b;
    const struct worker_row *me;
    struct move             *out;
    size_t                   n;
};

static bool
is_moving(const struct moves *m, const struct balance_part *part)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->out[i].partition == part->partition)
            return true;
    return part->moving;
}

static int
moved_to(const struct moves *m, int64_t worker)
{
    int n = 0;
    for (size_t i = 0; i < m->n; i++)
        n += m->out[i].to == worker;
    return n;
}

static void
move(struct moves *m, const struct balance_part *part, const struct worker_row *to)
{
    m->out[m->n++] = (struct move){.partition = part->partition, .to = to->id};
}

/* One that may get something: alive, not leaving, and serving the queue. */
static bool
is_peer(const struct moves *m, const struct worker_row *w, const char *queue)
{
    return w->id != m->b->me && w->expires_us > m->b->census->now_us && w->slots_free >= 0 &&
           serves(w, queue);
}

/* It does all that this worker can do, or is newer: so work never goes back and forth. */
static bool
may_replace(const struct moves *m, const struct worker_row *w)
{
    return w->id > m->b->me || m->me == NULL || covers(w->handlers, m->me->handlers);
}

static int
load_of(const struct moves *m, const struct worker_row *w)
{
    return w->partitions + moved_to(m, w->id);
}

/* ---- reasons */

static const struct worker_row *
least_loaded(const struct moves *m, const char *queue)
{
    const struct worker_row *best = NULL;
    for (size_t i = 0; i < m->b->census->n_workers; i++) {
        const struct worker_row *w = &m->b->census->workers[i];
        if (is_peer(m, w, queue) && (best == NULL || load_of(m, w) < load_of(m, best)))
            best = w;
    }
    return best;
}

static void
leave(struct moves *m)
{
    for (size_t i = 0; i < m->b->n_parts; i++) {
        const struct balance_part *part = &m->b->parts[i];
        const struct worker_row   *to = least_loaded(m, part->queue);
        if (to && !is_moving(m, part))
            move(m, part, to);
    }
}

static const struct balance_part *
find_part(const struct balance *b, int32_t partition)
{
    for (size_t i = 0; i < b->n_parts; i++)
        if (b->parts[i].partition == partition)
            return &b->parts[i];
    return NULL;
}

/* Work that we cannot do goes, with its partition, to one that can. To an older one that cannot do
 * all of ours only if nothing of ours is under way there. */
static void
fit(struct moves *m)
{
    for (size_t i = 0; i < m->b->n_stuck; i++) {
        const struct balance_part *part = find_part(m->b, m->b->stuck[i].partition);
        const struct worker_row   *best = NULL;
        if (part == NULL || is_moving(m, part))
            continue;
        bool idle = part->running == 0 && part->waiting == 0;
        for (size_t k = 0; k < m->b->census->n_workers; k++) {
            const struct worker_row *w = &m->b->census->workers[k];
            if (is_peer(m, w, part->queue) && handlers_have(w->handlers, m->b->stuck[i].what) &&
                (idle || may_replace(m, w)) && (best == NULL || w->id > best->id))
                best = w;
        }
        if (best)
            move(m, part, best);
    }
}

/* No slot is free, and work waits: it goes where there are most. */
static void
spread(struct moves *m)
{
    for (size_t k = 0; k < m->b->census->n_workers; k++) {
        const struct worker_row *w = &m->b->census->workers[k];
        size_t                   given = 0;
        for (size_t i = 0; i < m->b->n_parts && (int)given < w->slots_free; i++) {
            const struct balance_part *part = &m->b->parts[i];
            if (part->waiting == 0 || is_moving(m, part) || !is_peer(m, w, part->queue) ||
                !may_replace(m, w))
                continue;
            move(m, part, w);
            given += part->waiting;
        }
    }
}

/* The partition with the least to do. */
static const struct balance_part *
idlest(const struct moves *m, const struct worker_row *to)
{
    const struct balance_part *best = NULL;
    for (size_t i = 0; i < m->b->n_parts; i++) {
        const struct balance_part *part = &m->b->parts[i];
        if (is_moving(m, part) || !is_peer(m, to, part->queue))
            continue;
        if (best == NULL || part->running + part->waiting < best->running + best->waiting)
            best = part;
    }
    return best;
}

/* One that has room and at least two partitions less gets half of the difference. */
static void
share(struct moves *m)
{
    int mine = 0;
    for (size_t i = 0; i < m->b->n_parts; i++)
        mine += !is_moving(m, &m->b->parts[i]);
    for (;;) {
        const struct worker_row   *to = NULL;
        const struct balance_part *part;
        for (size_t k = 0; k < m->b->census->n_workers; k++) {
            const struct worker_row *w = &m->b->census->workers[k];
            if (w->slots_free > 0 && may_replace(m, w) && idlest(m, w) &&
                (to == NULL || load_of(m, w) < load_of(m, to)))
                to = w;
        }
        if (to == NULL || mine < load_of(m, to) + 2 || (part = idlest(m, to)) == NULL)
            return;
        move(m, part, to);
        mine--;
    }
}

size_t
balance(const struct balance *b, struct move *out)
{
    struct moves m = {.b = b, .out = out};

    for (size_t i = 0; i < b->census->n_workers; i++)
        if (b->census->workers[i].id == b->me)
            m.me = &b->census->workers[i];
    if (b->leaving) {
        leave(&m);
        return m.n;
    }
    fit(&m);
    if (b->full)
        spread(&m);
    share(&m);
    return m.n;
}
