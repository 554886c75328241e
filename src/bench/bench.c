/* `holdfast bench`: the options, and each scenario with each number of workers, so often as asked.
 */
#include "bench/bench.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "bench/relay.h"

enum {
    REPEAT_MAX = 101,
    RESULTS_MAX = 4 * BENCH_LIST_MAX * BENCH_LIST_MAX,
    BACKLOG_COUNTED = 90000
};
enum { SLOTS_DEFAULT = 16, DURATION_OF_BACKLOG_MS = 5000 };

static const struct {
    const char *name;
    int64_t     units;
} scenarios[] = {{"noop", 500000}, {"fan-out", 50000}, {"latency", 300}, {"latency-fan-out", 300}};

enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

const char *
bench_scenario_name(enum scenario s)
{
    return scenarios[s].name;
}

void
bench_say(const struct bench *b, const char *fmt, ...)
{
    va_list ap;

    (void)b;
    if (!isatty(STDERR_FILENO))
        return;
    fputs("\r\033[K", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fflush(stderr);
}

/* "20,200,2000" */
static int
read_list(struct cli *c, const char *option, int first, int max, int *out, size_t *n)
{
    const char *p = args_text(c, option, NULL);

    *n = 1;
    out[0] = first;
    for (*n = p ? 0 : 1; p && *n < BENCH_LIST_MAX; p++) {
        char *end;
        long  v = strtol(p, &end, 10);
        if (end == p || v < 1 || v > max || (*end && *end != ','))
            break;
        out[(*n)++] = (int)v;
        if (*end == '\0')
            return HF_OK;
        p = end;
    }
    if (p == NULL)
        return HF_OK;
    return err_set(&c->err, HF_INVALID, "bench: --%s: %s; 1 to %d, or up to %d with commas", option,
                   args_text(c, option, NULL), max, BENCH_LIST_MAX);
}

static int
read_options(struct bench *b)
{
    enum { IN_FLIGHT_MAX = 9999, SLOTS_MAX = 1024 }; /* store.queues counts to 10,000 */
    struct cli *c = b->c;

    b->queue = args_text(c, "queue", "bench");
    b->slots = (int)args_number(c, "slots", SLOTS_DEFAULT);
    b->repeat = (int)args_number(c, "repeat", 3);
    b->units_given = args_number(c, "units", 0);
    b->duration_ms = args_number(c, "duration", 0);
    b->backlog = args_number(c, "backlog", 0);
    b->parked = args_number(c, "parked", 0);
    b->rtt_ms = args_number(c, "rtt", 0);
    if (args_given(c, "units") && b->units_given < 1)
        return err_set(&c->err, HF_INVALID, "bench: --units: at least 1");
    if (b->slots < 1 || b->slots > SLOTS_MAX)
        return err_set(&c->err, HF_INVALID, "bench: --slots: %d, 1 to %d", b->slots, SLOTS_MAX);
    if (b->repeat < 1 || b->repeat > REPEAT_MAX)
        return err_set(&c->err, HF_INVALID, "bench: --repeat: %d, 1 to %d", b->repeat, REPEAT_MAX);
    TRY(read_list(c, "workers", 1, BENCH_WORKERS_MAX, b->workers_list, &b->n_workers_list));
    return read_list(c, "in-flight", 200, IN_FLIGHT_MAX, b->in_flight_list, &b->n_in_flight_list);
}

/* The words after the command; all scenarios if there are none. */
static int
read_scenarios(struct bench *b, bool *wanted)
{
    struct cli *c = b->c;

    for (int i = 0; i < SCENARIOS; i++)
        wanted[i] = c->n_operands == 0;
    for (int k = 0; k < c->n_operands; k++) {
        int i = 0;
        while (i < SCENARIOS && strcmp(c->operands[k], scenarios[i].name) != 0)
            i++;
        if (i == SCENARIOS)
            return err_set(&c->err, HF_INVALID,
                           "bench: %s is not one of noop, fan-out, latency, latency-fan-out",
                           c->operands[k]);
        wanted[i] = true;
    }
    if (b->backlog && (c->n_operands != 1 || !wanted[SCENARIO_NOOP]))
        return err_set(&c->err, HF_INVALID, "bench: --backlog goes with noop alone");
    return HF_OK;
}

/* ---- the store */

/* Without a store that is named: one in a new directory here, so on the disk of the user's. */
static int
choose_store(struct bench *b)
{
    const char *url = b->c->store_url ? b->c->store_url : getenv("HOLDFAST_STORE");
    char        cwd[PATH_MAX];

    if (url == NULL || url[0] == '\0') {
        char *dir = getcwd(cwd, sizeof(cwd))
                        ? arena_printf(&b->c->arena, "%s/holdfast-bench-XXXXXX", cwd)
                        : NULL;
        if (dir == NULL || mkdtemp(dir) == NULL)
            return err_set(&b->c->err, HF_UNAVAILABLE, "bench: no directory for a store here: %s",
                           strerror(errno));
        b->dir = dir;
        url = arena_printf(&b->c->arena, "sqlite:%s/bench.db", dir);
    }
    b->url = b->load_url = url;
    b->c->store_url = url;
    return url ? HF_OK : cli_nomem(b->c);
}

static void
remove_dir(const struct bench *b)
{
    struct dirent *entry;
    DIR           *d = opendir(b->dir);

    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
    rmdir(b->dir);
}

static int
open_store(struct bench *b)
{
    TRY(choose_store(b));
    TRY(cli_open(b->c, true));
    if (b->rtt_ms)
        TRY(bench_relay_open(b, &b->c->err));
    if (!b->c->h->store->shared && (b->n_workers_list > 1 || b->workers_list[0] > 1))
        return err_set(&b->c->err, HF_INVALID,
                       "bench: one worker at a time serves a store of this kind");
    b->n_workers = 0;
    TRY(bench_check_alone(b));
    /* Makes the queue, and shows that its work is done. */
    if (hf_enqueue(b->c->h, "noop", NULL, HF_OPT(.queue = b->queue), NULL))
        return cli_fail(b->c);
    return bench_clean(b);
}

/* ---- running */

static int
repeat(struct bench *b, struct result *r)
{
    r->runs = arena_zalloc(&b->c->arena, (size_t)b->repeat * sizeof(*r->runs));
    if (r->runs == NULL)
        return cli_nomem(b->c);
    for (int k = 0; k < b->repeat; k++) {
        bench_say(b, "%s, %d workers, %d in flight: %d of %d", scenarios[r->scenario].name,
                  r->workers, r->in_flight, k + 1, b->repeat);
        TRY(bench_run(b, &r->runs[r->n_runs++]));
        bool last = k + 1 == b->repeat && args_given(b->c, "keep");
        if (!last)
            TRY(bench_clean(b));
    }
    r->median = numbers_median(r->runs, r->n_runs);
    return HF_OK;
}

static void
prepare(struct bench *b, enum scenario s, int workers, int in_flight, struct result *r)
{
    static const int64_t no_duration = 0;
    int64_t              fallback = b->duration_ms ? scenarios[s].units * 10 : scenarios[s].units;

    if (s == SCENARIO_FAN_OUT && b->duration_ms)
        fallback = INT64_MAX;
    if (s == SCENARIO_NOOP && b->backlog > BACKLOG_COUNTED && b->duration_ms == no_duration)
        b->duration_ms = DURATION_OF_BACKLOG_MS;
    b->scenario = s;
    b->units = b->units_given ? b->units_given : fallback;
    b->n_workers = workers;
    b->in_flight = in_flight;
    *r = (struct result){.scenario = s, .workers = workers, .in_flight = in_flight};
}

static int
run_all(struct bench *b, const bool *wanted)
{
    struct result *results = arena_alloc(&b->c->arena, RESULTS_MAX * sizeof(*results));
    size_t         n = 0;

    if (results == NULL)
        return cli_nomem(b->c);
    for (int s = 0; s < SCENARIOS; s++)
        for (size_t w = 0; wanted[s] && w < b->n_workers_list; w++) {
            size_t turns = s == SCENARIO_FAN_OUT ? b->n_in_flight_list : 1;
            for (size_t k = 0; k < turns; k++) {
                int in_flight = s == SCENARIO_NOOP      ? 0
                                : s == SCENARIO_FAN_OUT ? b->in_flight_list[k]
                                                        : 1;
                prepare(b, s, b->workers_list[w], in_flight, &results[n]);
                TRY(repeat(b, &results[n++]));
            }
        }
    bench_say(b, "%s", "");
    return bench_print(b, results, n);
}

static volatile sig_atomic_t stop_asked;

static void
interrupted(int sig)
{
    stop_asked = 1;
    signal(sig, SIG_DFL);
}

int
bench_check_stop(struct bench *b)
{
    return stop_asked ? err_set(&b->c->err, HF_CANCELLED, "bench: stopped") : HF_OK;
}

int
run_bench(struct cli *c)
{
    struct bench *b = arena_zalloc(&c->arena, sizeof(*b));
    bool          wanted[SCENARIOS];

    if (b == NULL)
        return cli_nomem(c);
    b->c = c;
    TRY(read_options(b));
    TRY(read_scenarios(b, wanted));
    b->out = mmap(NULL, sizeof(*b->out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b->out == MAP_FAILED)
        return cli_nomem(c);
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
    int rc = open_store(b);
    if (rc == HF_OK)
        rc = run_all(b, wanted);
    bench_workers_kill(b);
    relay_close(b->relay);
    if (b->dir && !args_given(c, "keep")) {
        hf_close(c->h);
        c->h = NULL;
        remove_dir(b);
    }
    munmap(b->out, sizeof(*b->out));
    return rc;
}
