/*
 * Waiting and hints: NOTIFY in, NOTIFY out. Hints only make it fast: whatever is missed is found by
 * looking, within a second.
 *
 * Channels: the schema's name, to all workers: "w", workers or partitions changed. With a colon and
 * a worker's number behind it, to that one: "p 12 13", there is news in these partitions; "o", you
 * own more; "r NO CHANNEL", somebody waits on CHANNEL for the run NO to end. A client that waits
 * has a channel of its own: whatever comes there, it looks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "store/postgres_read.h"

enum { IDLE_US = 1000000, BUSY_US = 5000, NAP_MIN_US = 500, WAITER_US = 10000000 };
enum { LOOK_MIN_US = 50000, LOOK_MAX_US = 1000000, POLL_MIN_US = 1000, POLL_MAX_US = 250000 };

/* ---- in */

static void
hear_news(struct postgres *s, const char *text)
{
    for (char *end; *text; text = end) {
        long partition = strtol(text, &end, 10);
        if (end == text)
            break;
        if (partition > 0 && partition <= PARTITION_ID_MAX)
            s->hints.news[partition / 8] |= (uint8_t)(1u << partition % 8);
    }
    s->hints.any_news = s->hints.woken = true;
}

/* The same again only stays longer; one too many takes the place of the oldest. */
static void
hear_waiter(struct postgres *s, const char *text)
{
    struct pg_hints *h = &s->hints;
    struct pg_waiter who = {.until_us = clock_steady_us() + WAITER_US};
    char            *channel;
    size_t           i = 0;

    who.run_no = strtoll(text, &channel, 10);
    if (*channel++ != ' ' || strlen(channel) >= sizeof(who.channel))
        return;
    snprintf(who.channel, sizeof(who.channel), "%s", channel);
    if (h->waiters == NULL)
        h->waiters = mem_alloc(WAITERS_MAX * sizeof(*h->waiters));
    if (h->waiters == NULL)
        return;
    while (i < h->n_waiters &&
           (h->waiters[i].run_no != who.run_no || strcmp(h->waiters[i].channel, who.channel) != 0))
        i++;
    if (i == WAITERS_MAX) {
        memmove(h->waiters, h->waiters + 1, (WAITERS_MAX - 1) * sizeof(*h->waiters));
        i = WAITERS_MAX - 1;
    } else if (i == h->n_waiters) {
        h->n_waiters++;
    }
    h->waiters[i] = who;
}

void
pg_hear(struct postgres *s, const char *channel, const char *text)
{
    if (s->channel[0] && strcmp(channel, s->channel) == 0)
        s->hints.result = true;
    else if (text[0] == 'p')
        hear_news(s, text + 1);
    else if (text[0] == 'r' && text[1] == ' ')
        hear_waiter(s, text + 2);
    else if (text[0] == 'w' || text[0] == 'o')
        s->hints.workers = s->hints.woken = true;
}

void
pg_all_news(struct postgres *s)
{
    memset(s->hints.news, 0xff, sizeof(s->hints.news));
    s->hints.any_news = s->hints.workers = s->hints.woken = true;
}

bool
pg_has_news(const struct postgres *s, int32_t partition)
{
    return (s->hints.news[partition / 8] >> partition % 8 & 1) != 0;
}

void
pg_forget_news(struct postgres *s, int32_t partition)
{
    s->hints.news[partition / 8] &= (uint8_t) ~(1u << partition % 8);
}

/* ---- out */

void
pg_hint(struct postgres *s, const int32_t *partitions, size_t n)
{
    pg_one_section(s);
    struct pg_args *a = pg_args(s);
    int             ids = pg_array(a, PG_INT2);
    for (size_t i = 0; i < n; i++)
        pg_add_int2(a, ids, partitions[i]);
    pg_send(s, PG_hint, a);
    pg_sync(s);
}

static bool
has_ended(const struct pg_waiter *who, const int64_t *run_nos, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (run_nos[i] == who->run_no)
            return true;
    return false;
}

bool
pg_tell(struct postgres *s, const int64_t *run_nos, size_t n)
{
    struct pg_hints *h = &s->hints;
    if (h->n_waiters == 0 || n == 0)
        return false;
    struct pg_args *a = pg_args(s);
    int             channels = pg_array(a, PG_TEXT);
    int64_t         now_us = clock_steady_us();
    size_t          kept = 0, before = h->n_waiters;

    for (size_t i = 0; i < before; i++) {
        if (has_ended(&h->waiters[i], run_nos, n))
            pg_add_text(a, channels, h->waiters[i].channel);
        else if (h->waiters[i].until_us > now_us)
            h->waiters[kept++] = h->waiters[i];
    }
    h->n_waiters = kept;
    if (a->arg[channels].n == 0)
        return false;
    pg_send(s, PG_tell, a);
    pg_sync(s);
    return true;
}

void
pg_hint_workers(struct postgres *s)
{
    pg_one_section(s);
    pg_send(s, PG_hint_workers, NULL);
    pg_sync(s);
}

void
pg_hint_owner(struct postgres *s, int64_t worker)
{
    pg_one_section(s);
    struct pg_args *a = pg_args(s);
    pg_put_int8(a, worker);
    pg_send(s, PG_hint_owner, a);
    pg_sync(s);
}

/* ---- being somebody */

/* Workers of several installations in one database have the same numbers. */
void
pg_worker_name(const struct postgres *s, int64_t worker, char out[CHANNEL_SIZE])
{
    bool usual = strcmp(s->target.schema, "holdfast") == 0;

    if (worker == 0)
        snprintf(out, CHANNEL_SIZE, "holdfast");
    else if (usual)
        snprintf(out, CHANNEL_SIZE, "holdfast/%lld", (long long)worker);
    else
        snprintf(out, CHANNEL_SIZE, "holdfast/%.40s/%lld", s->target.schema, (long long)worker);
}

int
pg_serve(struct postgres *s, int64_t worker, bool listen, struct err *err)
{
    char name[CHANNEL_SIZE];

    if (s->named == worker && (s->listens || !listen || s->pooled))
        return HF_OK;
    s->worker = worker;
    if (!s->pooled) {
        struct pg_args *a = pg_args(s);
        pg_worker_name(s, worker, name);
        pg_put_text(a, name);
        pg_send(s, PG_take_name, a);
        if (s->listens)
            pg_send(s, PG_unlisten, NULL);
        if (listen) {
            snprintf(name, sizeof(name), "%s:%lld", s->target.schema, (long long)worker);
            pg_listen(s, s->target.schema);
            pg_listen(s, name);
        }
        pg_sync(s);
        TRY(pg_synced(s, err));
        s->channel[0] = '\0';
        s->listens = listen;
    }
    s->named = worker;
    pg_all_news(s); /* what was said before was not heard */
    return HF_OK;
}

/* ---- waiting */

int
postgres_wait(struct store *base, int wake_fd, int64_t deadline_us, struct err *err)
{
    struct postgres *s = postgres_of(base);
    int64_t          now_us = clock_steady_us(), us = IDLE_US;
    bool             woken = false;

    (void)err;
    if (s->conn)
        pg_listen_until(s, -1, 0, &woken);
    if (s->hints.woken) {
        s->hints.woken = false;
        return HF_OK;
    }
    bool busy = s->busy_until_us > now_us; /* nobody hints */
    if (busy || !s->listens || s->lost.code) {
        int64_t most = busy ? BUSY_US : IDLE_US;
        us = s->nap_us ? s->nap_us * 2 : NAP_MIN_US;
        s->nap_us = us = us < most ? us : most;
    }
    int64_t until_us = deadline_us < now_us + us ? deadline_us : now_us + us;
    while (!woken && !s->hints.woken && clock_steady_us() < until_us)
        if (!pg_listen_until(s, wake_fd, until_us, &woken))
            break; /* the next verb connects anew */
    s->hints.woken = false;
    return HF_OK;
}

/* A channel of its own, from the next Sync on. */
static bool
send_channel(struct postgres *s)
{
    if (s->channel[0])
        return false;
    snprintf(s->channel, sizeof(s->channel), "%s:c%016llx", s->target.schema,
             (unsigned long long)id_random());
    pg_listen(s, s->channel);
    pg_sync(s);
    return true;
}

/*
 * The run, and *ended if that is what the caller waits for. One roundtrip, in which it listens and
 * asks to be told before it looks: nothing is lost between.
 */
static int
look(struct postgres *s, const char *id, const char *token, bool enlist, struct arena *a,
     struct run_row *out, bool *ended, struct err *err)
{
    enum { TOKEN = 5, STATUS = 10 };
    struct pg_args *args;
    bool            listen = enlist && send_channel(s);

    if (enlist) {
        args = pg_args(s);
        pg_put_text(args, id);
        pg_put_text(args, s->channel);
        pg_send(s, PG_enlist_waiter, args);
        pg_sync(s);
    }
    args = pg_args(s);
    pg_put_text(args, id);
    pg_send(s, PG_run_if_ended, args);
    pg_sync(s);
    if (listen && pg_synced(s, NULL) != HF_OK)
        s->channel[0] = '\0';
    if (enlist)
        pg_synced(s, NULL); /* a hint */
    int  rc = pg_result(s, err);
    bool there = rc == HF_OK && pg_rows(s) > 0;
    if (there && run_has_ended((int)pg_get_int(s, 0, STATUS))) {
        const char *owned = pg_peek_text(s, 0, TOKEN);
        *ended = token == NULL || (owned && strcmp(owned, token) == 0);
    }
    if (*ended && (rc = pg_run_row(s, 0, a, out)) != HF_OK)
        err_nomem(err);
    int end = pg_synced(s, rc == HF_OK ? err : NULL);
    if (rc != HF_OK || end != HF_OK)
        return rc != HF_OK ? rc : end;
    return there ? HF_OK : err_set(err, HF_NOT_FOUND, "run %s: not found", id);
}

/* Until something comes on the channel, or the time has come. */
static void
nap(struct postgres *s, int64_t until_us)
{
    bool woken = false;
    while (!s->hints.result && clock_steady_us() < until_us)
        if (!pg_listen_until(s, -1, until_us, &woken))
            return;
}

/* What was told of is looked at once without asking again: if it is not the end, the pause that
 * follows asks. */
int
postgres_wait_result(struct store *base, const char *id, const char *token, int64_t deadline_us,
                     struct arena *a, struct run_row *out, struct err *err)
{
    struct postgres *s = postgres_of(base);
    int64_t          least_us, most_us, step_us = 0;
    bool             ended = false;
    struct err       own = {0};

    if (err == NULL)
        err = &own;
    s->hints.result = false; /* of another run */
    for (;;) {
        TRY(pg_ready(s, err));
        bool    enlist = !s->pooled && !s->hints.result;
        int64_t begun_us = clock_steady_us();
        s->hints.result = false;
        TRY(look(s, id, token, enlist, a, out, &ended, err));
        if (ended)
            return HF_OK;
        int64_t now_us = clock_steady_us();
        if (now_us >= deadline_us) {
            TRY(base->ops->run_get(base, id, a, out, err));
            return err_set(err, HF_TIMEOUT, "run %s: has not ended yet", id);
        }
        if (!enlist && !s->pooled)
            continue;
        least_us = s->pooled ? POLL_MIN_US : LOOK_MIN_US + 4 * (now_us - begun_us);
        most_us = s->pooled ? POLL_MAX_US : LOOK_MAX_US;
        step_us = step_us == 0 ? least_us : step_us * 2 < most_us ? step_us * 2 : most_us;
        nap(s, deadline_us < now_us + step_us ? deadline_us : now_us + step_us);
    }
}

void
postgres_tell_waiters(struct store *base)
{
    (void)base; /* the cycle has told them, right behind its commit */
}
