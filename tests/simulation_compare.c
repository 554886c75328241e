/* The comparison: the outcome of a simulation with that of the oracle, and what tests are told from
 * outside: which seeds, how many, which one alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

static struct plan plan;
static struct buf  oracle, outcome;

uint64_t
sim_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

static void
show_difference(const char *should, const char *is)
{
    while (*should || *is) {
        size_t n = strcspn(should, "\n"), m = strcspn(is, "\n");
        int    order = strncmp(should, is, n < m ? n : m);
        if (n == m && order == 0) {
            should += n + (should[n] == '\n');
            is += m + (is[m] == '\n');
            continue;
        }
        order = order ? order : (int)n - (int)m;
        if (*is == '\0' || (*should && order < 0)) {
            printf("missing: %.*s\n", (int)n, should);
            should += n + (should[n] == '\n');
        } else {
            printf("too much: %.*s\n", (int)m, is);
            is += m + (is[m] == '\n');
        }
    }
}

long
sim_compare(const struct sim_options *opt)
{
    buf_clear(&outcome);
    long calls = simulate(&plan, opt, &outcome);
    if (strcmp(oracle.data, outcome.data) != 0) {
        show_difference(oracle.data, outcome.data);
        sim_fail("the outcome is not that of the oracle");
    }
    return calls;
}

long
sim_oracle(uint64_t seed)
{
    struct sim_options opt = {.cache_runs = 1000};
    plan_make(seed, &plan);
    buf_clear(&oracle);
    return simulate(&plan, &opt, &oracle);
}

int
sim_seeds(int usual)
{
    return (int)sim_number("SEEDS", (uint64_t)(test_is_quick() ? (usual + 9) / 10 : usual));
}

bool
sim_as_told(struct sim_options *opt)
{
    static const char *const modes[] = {
        "none", "crash-before", "crash-after", "unavailable", "unknown", "lost", "", "storm"};
    const char *mode = getenv("MODE");

    *opt = (struct sim_options){.at = (long)sim_number("K", 0),
                                .cache_runs = sim_number("CACHE", 1000),
                                .hold = sim_number("HOLD", 0) != 0};
    if (getenv("SEED") == NULL || mode == NULL)
        return false;
    while (opt->mode < MODE_STORM && strcmp(modes[opt->mode], mode) != 0)
        opt->mode++;
    return true;
}
