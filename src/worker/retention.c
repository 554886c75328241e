/* Retention: see retention.h. How long a queue keeps its runs is read anew at each sweep. */
#include "worker/retention.h"

enum { REST = 3, REST_MIN_US = 10000 };

struct retention
retention_begin(const char *queues, int64_t now_us, int64_t spread)
{
    uint64_t slot = (uint64_t)spread * 7919 % RETENTION_EVERY_S;
    return (struct retention){.queues = queues, .next_us = now_us + (int64_t)slot * US_PER_S};
}

/* One batch. *more: it was full. */
static int
purge_queue(struct retention *r, struct store *s, const struct queue_row *queue, int64_t now_us,
            bool *more, struct err *err)
{
    size_t       n = 0;
    struct purge what = {.queue = queue->name,
                         .ended_before = now_us - queue->retain_us,
                         .status = -1,
                         .limit = RETENTION_BATCH};

    TRY(s->ops->purge(s, &what, &n, err));
    if (n > 0)
        log_event(&s->log, LOG_INFO, "purged", "queue=%s runs=%zu", queue->name, n);
    r->deleted += (int64_t)n;
    *more |= n == RETENTION_BATCH;
    return HF_OK;
}

static int
sweep(struct retention *r, struct store *s, bool *more, struct err *err)
{
    struct arena      a = {0};
    struct queue_row *queues;
    size_t            n = 0;
    int64_t           now_us = 0;

    int rc = s->ops->now(s, &now_us, err);
    if (rc == HF_OK)
        rc = s->ops->queues(s, 0, &a, &queues, &n, err);
    for (size_t i = 0; rc == HF_OK && i < n; i++)
        if (queues[i].retain_us > 0 && queue_in_list(r->queues, queues[i].name))
            rc = purge_queue(r, s, &queues[i], now_us, more, err);
    arena_release(&a);
    return rc;
}

int
retention_tick(struct retention *r, struct store *s, int64_t now_us, struct err *err)
{
    bool    more = false;
    int64_t began_us = clock_steady_us();

    if (now_us < r->next_us)
        return HF_OK;
    int     rc = sweep(r, s, &more, err);
    int64_t rest_us = REST * (clock_steady_us() - began_us);
    if (rest_us < REST_MIN_US)
        rest_us = REST_MIN_US;
    int64_t every_us = RETENTION_EVERY_S * US_PER_S * (r->sharers ? (int64_t)r->sharers : 1);
    r->next_us = now_us + (rc == HF_OK && more ? rest_us : every_us);
    return rc;
}
