/* The states of tables that hurt, and filling a store with one. */
#include "bench/explain.h"

enum { CHUNK = 50000 }; /* rows of a commit: a second or less */

const struct scenario explain_scenarios[] = {
    {.name = "heavy-single-queue",
     .what = "tasks wait in one queue",
     .queues = 1,
     .share = {[FILL_TASKS] = 1000},
     .main = FILL_TASKS},
    {.name = "many-queues-sparse",
     .what = "tasks wait in 100 queues",
     .queues = 100,
     .share = {[FILL_TASKS] = 50},
     .main = FILL_TASKS},
    {.name = "with-steps",
     .what = "runs with ten rows of history each, live and ended",
     .queues = 1,
     .share = {[FILL_RUNNING] = 10, [FILL_SLEEPING] = 10, [FILL_ENDED] = 80},
     .steps = 10,
     .main = FILL_HISTORY},
    {.name = "sleepers",
     .what = "runs wait for a timer",
     .queues = 1,
     .share = {[FILL_SLEEPING] = 1000},
     .main = FILL_SLEEPING},
    {.name = "finished-history",
     .what = "runs have ended",
     .queues = 1,
     .share = {[FILL_ENDED] = 1000},
     .steps = 1,
     .main = FILL_ENDED},
    {.name = "mixed-states",
     .what =
         "rows of all kinds in ten queues: tasks waiting, delayed, claimed by a worker that died, "
         "dead letters, runs, unread signals",
     .queues = 10,
     .share = {[FILL_TASKS] = 300,
               [FILL_DELAYED] = 150,
               [FILL_CLAIMED] = 20,
               [FILL_DEAD] = 50,
               [FILL_RUNNING] = 50,
               [FILL_SLEEPING] = 100,
               [FILL_ENDED] = 230,
               [FILL_INBOX] = 100},
     .steps = 1,
     .main = FILLS},
    {0}};

static bool
is_run(enum fill what)
{
    return what == FILL_RUNNING || what == FILL_SLEEPING || what == FILL_ENDED;
}

int64_t
scenario_count(const struct scenario *s, enum fill what, int64_t rows)
{
    int64_t n = 0;

    if (what == FILL_QUEUES)
        return s->queues;
    for (enum fill k = FILL_TASKS; what == FILLS && k < FILL_HISTORY; k++)
        n += scenario_count(s, k, rows);
    for (enum fill k = 0; what == FILL_HISTORY && s->steps && k < FILL_HISTORY; k++)
        n += is_run(k) ? scenario_count(s, k, rows) : 0; /* runs that have one */
    if (what >= FILL_HISTORY && what != FILL_INBOX)
        return n;
    return (rows * s->share[what] + 999) / 1000;
}

/* Those from first on, commit by commit. */
static int
fill(const struct scenario *s, struct store *store, enum fill what, int64_t first, int64_t n,
     bool (*stop)(void), struct err *err)
{
    int64_t chunk = what == FILL_QUEUES ? 10 : CHUNK;

    if (what == FILL_HISTORY && s->steps)
        chunk /= s->steps;
    for (int64_t end = first + n; first < end; first += chunk) {
        int64_t last = first + chunk < end ? first + chunk - 1 : end - 1;
        if (stop())
            return err_set(err, HF_CANCELLED, "explain: stopped");
        TRY(store_fill(store, what, first, last, s->steps, err));
    }
    return HF_OK;
}

int
scenario_fill(const struct scenario *s, struct store *store, int64_t rows,
              enum statistics statistics, bool (*stop)(void), struct err *err)
{
    int64_t runs = 1;

    TRY(store_statistics(store, statistics, false, err));
    for (enum fill what = 0; what < FILLS; what++) {
        int64_t n = scenario_count(s, what, rows);
        TRY(fill(s, store, what, is_run(what) ? runs : 1, n, stop, err));
        runs += is_run(what) ? n : 0;
    }
    return store_statistics(store, statistics, true, err);
}
