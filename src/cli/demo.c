/* `holdfast demo`: starts the orders, kills workers on the way, answers for the clerk, checks. */
#include "cli/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/print.h"
#include "cli/view.h"

enum {
    ORDERS_DEFAULT = 1000,
    KILLS_DEFAULT = 5,
    WORKERS_DEFAULT = 3, /* where there may be several */
    TICK_MS = 50,
    PATIENCE_MS = 120000,
    LINES_AN_ORDER = 5, /* less than most orders write, so that all kills find work under way */
    BAR_COLUMNS = 40
};

static int
start_orders(struct demo *d)
{
    for (size_t i = 0; i < d->n_orders; i++)
        if (hf_start(d->c->h, "order", d->orders[i].input, HF_OPT(.id = d->orders[i].id), NULL))
            return cli_fail(d->c);
    return HF_OK;
}

/* The clerk answers as the orders say, a few at a time: some answers come before they are asked
 * for. */
static int
answer(struct demo *d, size_t until)
{
    for (; d->n_answers < until && d->n_answers < d->n_orders; d->n_answers++) {
        const struct order *o = &d->orders[d->n_answers];
        if (strcmp(o->approval, "none") == 0)
            continue;
        const char *payload = strcmp(o->approval, "yes") == 0 ? "\"yes\"" : "\"no\"";
        int         rc = hf_send(d->c->h, o->id, "approval", payload, HF_OPT(.key = o->id));
        if (rc && rc != HF_DONE) /* a declined order asks nobody */
            return cli_fail(d->c);
    }
    return HF_OK;
}

/* Lines of the ledger read so far. */
struct tail {
    int    fd;
    size_t lines;
};

static void
count_lines(const struct demo *d, struct tail *t)
{
    char    bytes[65536];
    ssize_t n;

    if (t->fd < 0)
        t->fd = open(d->ledger_path, O_RDONLY | O_CLOEXEC);
    while (t->fd >= 0 && (n = read(t->fd, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < n; i++)
            t->lines += bytes[i] == '\n';
}

static int
count_live(struct demo *d, size_t *out)
{
    struct store  *s = d->c->h->store;
    struct pending p;
    int64_t        now_us;

    TRY(s->ops->now(s, &now_us, &d->c->err));
    TRY(s->ops->pending(s, NULL, now_us, &p, &d->c->err));
    if (p.blocked > 0)
        return err_set(&d->c->err, HF_FAILED, "demo: blocked orders: %lld; see %s",
                       (long long)p.blocked, d->dir);
    *out = (size_t)(p.running + p.due + p.waiting + p.paused);
    return HF_OK;
}

static void
show_progress(const struct demo *d, size_t live, size_t lines)
{
    size_t ended = d->n_orders - live;

    if (!d->bar)
        return;
    printf("\r  [");
    for (size_t k = 0; k < BAR_COLUMNS; k++)
        fputs(k * d->n_orders < ended * BAR_COLUMNS ? "#" : "-", stdout);
    printf("] %zu of %zu orders, %zu tasks done, %d kills ", ended, d->n_orders, lines, d->killed);
    fflush(stdout);
}

static int
kill_and_restart(struct demo *d, size_t live, size_t lines)
{
    int  i = d->killed % d->n_workers;
    long pid = (long)d->worker[i];

    demo_kill_worker(d, i);
    d->killed++;
    if (!d->bar)
        printf("  kill -9 %ld: %zu of %zu orders done, %zu lines in the ledger\n", pid,
               d->n_orders - live, d->n_orders, lines);
    fflush(stdout);
    return demo_start_worker(d, i);
}

/* Until no order lives and every kill was done. */
static int
watch(struct demo *d, struct tail *t)
{
    int64_t begin_us = clock_steady_us();
    size_t  live = d->n_orders, total = d->n_orders * LINES_AN_ORDER;

    while (live > 0) {
        poll(NULL, 0, TICK_MS);
        TRY(demo_watch_workers(d));
        count_lines(d, t);
        TRY(count_live(d, &live));
        TRY(answer(d, t->lines * d->n_orders / total));
        if (d->killed < d->kills &&
            t->lines >= total * (size_t)(d->killed + 1) / (size_t)(d->kills + 1) && live > 0)
            TRY(kill_and_restart(d, live, t->lines));
        if (t->lines * 10 >= total * 9)
            TRY(answer(d, d->n_orders));
        show_progress(d, live, t->lines);
        if (clock_steady_us() - begin_us > PATIENCE_MS * US_PER_MS)
            return err_set(&d->c->err, HF_FAILED,
                           "demo: orders that have not ended: %zu, after %d s; see %s", live,
                           PATIENCE_MS / 1000, d->dir);
    }
    if (d->bar)
        putchar('\n');
    return HF_OK;
}

static void
print_summary(const struct demo *d, const struct ledger *l, const struct tally *t, int64_t took_ms)
{
    char took[TIME_SIZE], count[TIME_SIZE];

    printf("\n%s: %zu completed, %zu declined, %zu rejected by the clerk\n",
           format_count((int64_t)d->n_orders, "order", count), t->completed, t->declined,
           t->rejected);
    printf("compensated: %zu refunds, %zu releases\n", t->refunded, t->released);
    printf("%s killed %d times; the ledger has %zu lines, %zu of them repeated attempts\n",
           d->n_workers == 1 ? "the worker was" : "one of the workers was", d->killed, l->n,
           t->repeated);
    printf("%severy recorded result stands in the ledger, nothing is missing, nothing was shipped "
           "twice%s\n",
           paint(PAINT_GREEN), paint(PAINT_OFF));
    printf("it took %s\n", format_duration(took_ms, took));
}

static int
check(struct demo *d, int64_t begin_us)
{
    struct ledger l;
    struct tally  t;
    struct view   v;

    TRY(ledger_read(d->ledger_path, &l, &d->c->err));
    int rc = demo_check(d, &l, &t);
    if (rc == HF_OK)
        print_summary(d, &l, &t, (clock_steady_us() - begin_us) / US_PER_MS);
    ledger_release(&l);
    if (rc || t.sample == NULL)
        return rc;
    printf("\nOne of them (holdfast show %s):\n\n", t.sample);
    TRY(view_load(d->c, t.sample, 0, &v));
    return print_timeline(d->c, &v);
}

static int
play(struct demo *d)
{
    struct tail t = {.fd = -1};
    int64_t     begin_us = clock_steady_us();
    char        count[TIME_SIZE];

    printf("%s in %s", format_count((int64_t)d->n_orders, "order", count), d->dir);
    if (!d->own_file)
        printf(" and PostgreSQL, %d worker%s", d->n_workers, d->n_workers == 1 ? "" : "s");
    putchar('\n');
    fflush(stdout);
    TRY(start_orders(d));
    TRY(demo_start_workers(d));
    int rc = watch(d, &t);
    if (t.fd >= 0)
        close(t.fd);
    TRY(rc);
    TRY(demo_stop_workers(d));
    return check(d, begin_us);
}

/* A file of its own with one worker; or a PostgreSQL database that somebody gave, with several. */
static int
choose_store(struct demo *d)
{
    struct cli *c = d->c;

    d->own_file = c->store_url == NULL;
    if (!d->own_file && strncmp(c->store_url, "postgres", 8) != 0)
        return err_set(
            &c->err, HF_INVALID,
            "demo: makes a file of its own, --dir says where; --store is for PostgreSQL");
    d->n_workers = (int)args_number(c, "workers", d->own_file ? 1 : WORKERS_DEFAULT);
    if (d->own_file && d->n_workers != 1)
        return err_set(&c->err, HF_INVALID, "demo: --workers: one at a time owns an SQLite store");
    if (d->n_workers < 1 || d->n_workers > DEMO_WORKERS_MAX)
        return err_set(&c->err, HF_INVALID, "demo: --workers: 1 to %d", DEMO_WORKERS_MAX);
    return HF_OK;
}

static int
open_store(struct demo *d)
{
    struct cli *c = d->c;
    struct buf  steps = {0};

    if (!d->own_file) {
        d->url = c->store_url;
        int rc = store_migrate(d->url, MIGRATE_RUN, &steps, &c->err);
        buf_release(&steps);
        TRY(rc);
    }
    if (hf_open(d->url, &c->h))
        return c->h ? cli_fail(c) : cli_nomem(c);
    return HF_OK;
}

int
run_demo(struct cli *c)
{
    struct demo d = {
        .c = c, .kills = (int)args_number(c, "kills", KILLS_DEFAULT), .bar = on_terminal()};
    size_t orders = (size_t)args_number(c, "orders", ORDERS_DEFAULT);

    if (orders < 1)
        return err_set(&c->err, HF_INVALID, "demo: --orders: at least 1");
    TRY(choose_store(&d));
    TRY(demo_find_module(&d));
    TRY(demo_read_orders(&d, orders));
    TRY(demo_make_dir(&d));
    TRY(open_store(&d));
    int rc = play(&d);
    demo_kill_workers(&d);
    bool keep = args_given(c, "keep") || args_given(c, "dir") || rc != HF_OK;
    if (rc == HF_OK && keep)
        printf("\nEverything is in %s; look around with holdfast --store %s list\n", d.dir, d.url);
    hf_close(c->h);
    c->h = NULL;
    if (!keep)
        demo_remove_dir(&d);
    return rc;
}
