/*
 * Random programs, a crash at every store call: what is recorded is never lost and never done
 * again, and the end is the same.
 *
 *   SEED=n K=n MODE=crash-after build/tests/sim_crashes one_simulation_as_told    one again
 *   SEEDS=n                                                                       so many seeds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

static struct plan plan;
static struct buf  oracle, outcome;

static uint64_t
number_from(const char *name, uint64_t otherwise)
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

static long
run_plan(const struct sim_options *opt)
{
    buf_clear(&outcome);
    long calls = simulate(&plan, opt, &outcome);
    if (strcmp(oracle.data, outcome.data) != 0) {
        show_difference(oracle.data, outcome.data);
        sim_fail("the outcome is not that of the oracle");
    }
    return calls;
}

static long
make_oracle(uint64_t seed)
{
    struct sim_options opt = {.cache_runs = 1000};
    plan_make(seed, &plan);
    buf_clear(&oracle);
    return simulate(&plan, &opt, &oracle);
}

static int
seeds(int usual)
{
    return (int)number_from("SEEDS", (uint64_t)(test_is_quick() ? (usual + 9) / 10 : usual));
}

TEST_WITHIN(a_crash_or_error_at_any_store_call_changes_no_outcome, 100)
{
    long n = 0;
    for (uint64_t seed = number_from("SEED", 1), end = seed + (uint64_t)seeds(200); seed < end;
         seed++) {
        long calls = make_oracle(seed);
        for (long k = 1; k <= calls; k++, n++) {
            struct sim_options opt = {
                .mode = 1 + (int)((uint64_t)k + seed) % (MODES - 1), .at = k, .cache_runs = 1000};
            run_plan(&opt);
        }
    }
    printf("%ld simulations\n", n);
}

TEST_WITHIN(late_results_and_crashes_change_no_outcome, 100)
{
    for (uint64_t seed = number_from("SEED", 1001), end = seed + (uint64_t)seeds(100); seed < end;
         seed++) {
        long calls = make_oracle(seed);
        for (long k = 1 + (long)(seed % 3); k <= calls; k += 3) {
            struct sim_options opt = {.mode = 1 + (int)((uint64_t)k + seed) % (MODES - 1),
                                      .at = k,
                                      .cache_runs = seed % 2 ? 0 : 1000,
                                      .hold = true};
            run_plan(&opt);
        }
    }
}

TEST_WITHIN(many_crashes_and_errors_change_no_outcome, 100)
{
    for (uint64_t seed = number_from("SEED", 2001), end = seed + (uint64_t)seeds(600); seed < end;
         seed++) {
        make_oracle(seed);
        for (int i = 0; i < 8; i++)
            run_plan(&(struct sim_options){
                .mode = MODE_STORM, .at = i, .cache_runs = i % 3 ? 1000 : 0, .hold = i % 2});
    }
}

/* What is read from the store is what was in memory. */
TEST_WITHIN(runs_read_again_after_every_commit_go_on_alike, 100)
{
    for (uint64_t seed = number_from("SEED", 3001), end = seed + (uint64_t)seeds(1000); seed < end;
         seed++) {
        make_oracle(seed);
        run_plan(&(struct sim_options){.cache_runs = 0});
        run_plan(&(struct sim_options){.cache_runs = 0, .hold = true});
    }
}

TEST_WITHIN(one_simulation_as_told, 60)
{
    static const char *const modes[] = {
        "none", "crash-before", "crash-after", "unavailable", "unknown", "lost", "", "storm"};
    const char        *mode = getenv("MODE");
    struct sim_options opt = {.at = (long)number_from("K", 0),
                              .cache_runs = number_from("CACHE", 1000),
                              .hold = number_from("HOLD", 0) != 0};
    if (getenv("SEED") == NULL || mode == NULL)
        SKIP("SEED and MODE are not set");
    while (opt.mode <= MODE_STORM && strcmp(modes[opt.mode], mode) != 0)
        opt.mode++;
    CHECK(opt.mode <= MODE_STORM);
    make_oracle(number_from("SEED", 0));
    run_plan(&opt);
}
