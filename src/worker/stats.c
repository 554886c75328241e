/* The text that a worker publishes. Numbers are whole, or have one decimal: no locale writes them
 * in another way. */
#include "worker/stats.h"

static const int64_t EVERY_US = US_PER_S;

void
stats_init(struct stats *s, const struct tally *tally, const struct meter *meter)
{
    *s = (struct stats){.tally = tally, .meter = meter, .began_us = clock_steady_us()};
}

void
stats_release(struct stats *s)
{
    buf_release(&s->text);
}

void
stats_ping(struct stats *s, int64_t us)
{
    s->pings[s->n_pings++ % STATS_PINGS] = us > 0 ? us : 1;
}

/* 0: not known. */
static int64_t
roundtrip_us(const struct stats *s)
{
    int64_t min = 0;
    for (size_t i = 0; i < STATS_PINGS; i++)
        if (s->pings[i] && (min == 0 || s->pings[i] < min))
            min = s->pings[i];
    return min;
}

/* ---- looking */

static uint64_t
get(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void
look(struct stats *s, int64_t now_us)
{
    const struct tally *t = s->tally;
    struct stats_mark  *m = &s->next;

    *m = (struct stats_mark){.at_us = now_us, .roundtrip_us = roundtrip_us(s)};
    m->work = get(&t->turns) + get(&t->tasks) + get(&t->failed) + get(&t->runs) + get(&t->commits);
    m->moving = m->work != s->said.work;
    for (int i = 0; i < METER_OPS; i++)
        m->ops[i] = get(&s->meter->ops[i].count);
    for (uint32_t i = 0; i < atomic_load(&t->n_queues); i++) {
        m->tasks[i] = get(&t->queues[i].tasks);
        m->runs[i] = get(&t->queues[i].runs);
    }
}

static bool
is_news(const struct stats *s)
{
    return !s->told || s->next.moving || s->said.moving ||
           (s->said.roundtrip_us == 0) != (s->next.roundtrip_us == 0);
}

/* ---- writing */

static void
put(struct buf *b, const char *name, uint64_t v)
{
    bool first = b->len > 0 && b->data[b->len - 1] == '{';
    buf_printf(b, "%s\"%s\":%llu", first ? "" : ",", name, (unsigned long long)v);
}

static void
put_rate(struct buf *b, const char *name, uint64_t n, int64_t interval_us)
{
    uint64_t tenths = n * 10 * US_PER_S / (uint64_t)(interval_us > 0 ? interval_us : 1);
    put(b, name, tenths / 10);
    buf_printf(b, ".%d", (int)(tenths % 10));
}

static void
put_engine(struct buf *b, const struct tally *t, const struct meter *m)
{
    buf_puts(b, ",\"engine\":{");
    put(b, "turns", get(&t->turns));
    put(b, "turn_us", get(&t->turn_us));
    put(b, "steps", get(&t->steps));
    put(b, "tasks", get(&t->tasks));
    put(b, "failed", get(&t->failed));
    put(b, "task_us", get(&t->task_us));
    put(b, "runs", get(&t->runs));
    put(b, "commits", get(&m->commits));
    put(b, "writes", get(&m->writes));
    put(b, "fetches", get(&m->fetches));
    put(b, "rows", get(&m->rows));
    buf_putc(b, '}');
}

static void
put_operations(struct buf *b, const struct stats *s, int64_t interval_us)
{
    buf_puts(b, ",\"operations\":{");
    for (int i = 0; i < METER_OPS; i++) {
        const struct meter_op *op = &s->meter->ops[i];
        if (s->next.ops[i] == 0)
            continue;
        buf_printf(b, "%s\"%s\":{", b->data[b->len - 1] == '{' ? "" : ",", meter_name(i));
        put(b, "count", s->next.ops[i]);
        put(b, "errors", get(&op->errors));
        put(b, "total_us", get(&op->total_us));
        put(b, "p50_us", (uint64_t)meter_percentile(op, 50));
        put(b, "p99_us", (uint64_t)meter_percentile(op, 99));
        put(b, "max_us", get(&op->max_us));
        put_rate(b, "per_s", s->next.ops[i] - s->said.ops[i], interval_us);
        buf_putc(b, '}');
    }
    buf_putc(b, '}');
}

static void
put_queues(struct buf *b, const struct stats *s, int64_t interval_us)
{
    buf_puts(b, ",\"queues\":{");
    for (uint32_t i = 0; i < atomic_load(&s->tally->n_queues); i++) {
        const struct queue_tally *q = &s->tally->queues[i];
        if (i > 0)
            buf_putc(b, ',');
        buf_json(b, q->name);
        buf_puts(b, ":{");
        put(b, "tasks", s->next.tasks[i]);
        put(b, "failed", get(&q->failed));
        put(b, "runs", s->next.runs[i]);
        put_rate(b, "tasks_per_s", s->next.tasks[i] - s->said.tasks[i], interval_us);
        put_rate(b, "runs_per_s", s->next.runs[i] - s->said.runs[i], interval_us);
        buf_putc(b, '}');
    }
    buf_putc(b, '}');
}

const char *
stats_text(struct stats *s, int64_t now_us)
{
    struct buf *b = &s->text;
    int64_t     since_us = s->said.at_us ? s->said.at_us : s->began_us;

    if (s->told && now_us < s->said.at_us + EVERY_US)
        return NULL;
    look(s, now_us);
    if (!is_news(s)) {
        s->said = s->next; /* a rate does not count the rest before it */
        return NULL;
    }
    buf_clear(b);
    buf_puts(b, "{\"version\":1");
    put(b, "up_ms", (uint64_t)(now_us - s->began_us) / US_PER_MS);
    put(b, "interval_ms", (uint64_t)(now_us - since_us) / US_PER_MS);
    if (s->next.roundtrip_us)
        put(b, "roundtrip_us", (uint64_t)s->next.roundtrip_us);
    else
        buf_puts(b, ",\"roundtrip_us\":null");
    if (!b->failed)
        put_engine(b, s->tally, s->meter);
    if (!b->failed)
        put_operations(b, s, now_us - since_us);
    if (!b->failed)
        put_queues(b, s, now_us - since_us);
    buf_putc(b, '}');
    return b->failed ? NULL : b->data;
}

void
stats_said(struct stats *s)
{
    s->said = s->next;
    s->told = true;
}

void
stats_forget(struct stats *s)
{
    s->told = false;
}
