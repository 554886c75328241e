/*
 * `holdfast purge`: deletes runs that have ended, batch by batch. It rests between batches as long
 * as each took, so that workers go on beside it; it may be stopped at any moment.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/print.h"

enum { BATCH = 1000, BATCH_MAX = 100000, COUNTED_MAX = 100000, FIRST_STATUS = RUN_COMPLETED };

/* On a terminal, so that people see that it goes on. */
static void
show_progress(int64_t deleted, bool last)
{
    if (!isatty(STDERR_FILENO) || (last && deleted == 0))
        return;
    char count[TIME_SIZE];
    fprintf(stderr, "\r%s deleted%s", format_count(deleted, "run", count), last ? "\n" : "");
    fflush(stderr);
}

static void
rest(int64_t us)
{
    struct timespec t = {us / US_PER_S, us % US_PER_S * 1000};
    nanosleep(&t, NULL);
}

static int
delete_all(struct cli *c, const struct purge *what, int64_t *deleted)
{
    struct store *s = c->h->store;
    size_t        n = 0;

    do {
        int64_t began_us = clock_steady_us();
        TRY(s->ops->purge(s, what, &n, &c->err));
        *deleted += (int64_t)n;
        show_progress(*deleted, false);
        if (n == (size_t)what->limit)
            rest(clock_steady_us() - began_us);
    } while (n == (size_t)what->limit);
    show_progress(*deleted, true);
    return HF_OK;
}

static int
count_all(struct cli *c, struct purge what, int64_t *found)
{
    struct store *s = c->h->store;
    size_t        n = 0;

    what.count_only = true;
    what.limit = COUNTED_MAX;
    TRY(s->ops->purge(s, &what, &n, &c->err));
    *found = (int64_t)n;
    return HF_OK;
}

static int
print_outcome(struct cli *c, int64_t n, bool dry)
{
    struct buf b = {0};
    char       count[TIME_SIZE];
    bool       more = dry && n == COUNTED_MAX;

    if (!c->json) {
        printf("%s%s%s\n", format_count(n, "run", count), more ? " or more" : "",
               dry ? " would be deleted" : " deleted");
        return HF_OK;
    }
    buf_putc(&b, '{');
    put_int_member(&b, dry ? "would_delete" : "deleted", n);
    if (dry) {
        put_member(&b, "lower_bound");
        buf_puts(&b, more ? "true" : "false");
    }
    buf_putc(&b, '}');
    return print_buf(c, &b);
}

/* A queue that is not there is a mistake in its name. */
static int
check_queue(struct cli *c, const char *name)
{
    struct store     *s = c->h->store;
    struct queue_row *queues;
    size_t            n;

    if (name == NULL)
        return HF_OK;
    TRY(s->ops->queues(s, 0, &c->arena, &queues, &n, &c->err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, queues[i].name) == 0)
            return HF_OK;
    return err_set(&c->err, HF_NOT_FOUND, "purge: there is no queue %s", name);
}

int
run_purge(struct cli *c)
{
    int64_t      now_us, n = 0, batch = args_number(c, "batch", BATCH);
    int          status = args_choice(c, "status", -1);
    bool         dry = args_given(c, "dry-run");
    struct purge what = {.queue = args_text(c, "queue", NULL),
                         .status = status < 0 ? -1 : FIRST_STATUS + status,
                         .limit = (int)batch};

    if (!args_given(c, "older-than"))
        return err_set(&c->err, HF_INVALID,
                       "purge: --older-than says which runs may go (0s: all that have ended)");
    if (batch < 1 || batch > BATCH_MAX)
        return err_set(&c->err, HF_INVALID, "purge: --batch: 1 to %d", BATCH_MAX);
    TRY(cli_open(c, false));
    TRY(check_queue(c, what.queue));
    struct store *s = c->h->store;
    TRY(s->ops->now(s, &now_us, &c->err));
    what.ended_before = now_us - args_number(c, "older-than", 0) * US_PER_MS;
    if (dry)
        TRY(count_all(c, what, &n));
    else
        TRY(delete_all(c, &what, &n));
    return print_outcome(c, n, dry);
}
