/* `holdfast worker`: offers what it is told to, and serves the queues until it is stopped. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/offer.h"
#include "cli/print.h"

enum { SLOTS_MAX = 4096 };

static int
offer_all(struct cli *c)
{
    const char *text;

    for (size_t i = 0; (text = args_each(c, "module", i)); i++)
        TRY(offer_module(c, text));
    for (size_t i = 0; (text = args_each(c, "exec", i)); i++)
        TRY(offer_exec(c, text));
    for (size_t i = 0; (text = args_each(c, "builtin", i)); i++)
        TRY(offer_builtin(c, text));
    return HF_OK;
}

/* --queue as often as given, to one list with commas; NULL for all queues. */
static int
join_queues(struct cli *c, const char **out)
{
    const char *queue;

    *out = NULL;
    for (size_t i = 0; (queue = args_each(c, "queue", i)); i++) {
        *out = *out ? arena_printf(&c->arena, "%s,%s", *out, queue) : queue;
        if (*out == NULL)
            return cli_nomem(c);
    }
    return HF_OK;
}

/* After a drain: what is left, and what it is that it waits for. */
static int
print_summary(struct cli *c, const char *queues)
{
    struct store  *s = c->h->store;
    struct pending p;
    int64_t        now_us;
    char           count[TIME_SIZE];

    TRY(s->ops->now(s, &now_us, &c->err));
    TRY(s->ops->pending(s, queues, now_us + HF_HOUR * US_PER_MS, &p, &c->err));
    printf("drained: %s %s for signals or later timers", format_count(p.waiting, "run", count),
           p.waiting == 1 ? "waits" : "wait");
    if (p.tasks > 0)
        printf(", %s %s not due", format_count(p.tasks, "task", count),
               p.tasks == 1 ? "is" : "are");
    if (p.paused > 0)
        printf(", %lld paused", (long long)p.paused);
    if (p.blocked > 0)
        printf(", %lld blocked", (long long)p.blocked);
    if (p.dead > 0)
        printf(", %s", format_count(p.dead, "dead letter", count));
    putchar('\n');
    return HF_OK;
}

static int
check_options(struct cli *c)
{
    int64_t slots = args_number(c, "slots", 1);

    if (!args_given(c, "module") && !args_given(c, "exec") && !args_given(c, "builtin"))
        return err_set(&c->err, HF_INVALID,
                       "worker: nothing to offer: --module, --exec or --builtin");
    if (slots < 1 || slots > SLOTS_MAX)
        return err_set(&c->err, HF_INVALID, "worker: --slots: %lld, 1 to %d", (long long)slots,
                       SLOTS_MAX);
    if (args_number(c, "max-crashes", 1) < 1)
        return err_set(&c->err, HF_INVALID, "worker: --max-crashes: at least 1");
    return HF_OK;
}

int
run_worker(struct cli *c)
{
    struct log_style style = {.json = !isatty(STDERR_FILENO), .verbose = args_given(c, "verbose")};
    bool             drain = args_given(c, "drain");
    const char      *queues;

    TRY(check_options(c));
    TRY(join_queues(c, &queues));
    signal(SIGPIPE, SIG_IGN); /* a shell command that does not read its input */
    TRY(cli_open(c, true));
    hf_set_log(c->h, print_log, &style);
    TRY(offer_all(c));
    const hf_worker_opt *opt =
        HF_WORKER(.queues = queues, .drain = drain, .handle_signals = 1,
                  .slots = (int)args_number(c, "slots", 0), .lease_ms = args_number(c, "lease", 0),
                  .grace_ms = args_number(c, "grace", 0),
                  .max_crashes = (int)args_number(c, "max-crashes", 0));
    int rc = hf_run(c->h, opt);
    if (rc)
        cli_fail(c);
    else if (drain)
        rc = print_summary(c, queues);
    hf_set_log(c->h, NULL, NULL);
    return rc;
}
