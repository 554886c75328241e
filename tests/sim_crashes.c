/*
 * Random programs, a crash at every store call: what is recorded is never lost and never done
 * again, and the end is the same.
 *
 *   SEED=n K=n MODE=crash-after build/tests/sim_crashes one_simulation_as_told    one again
 *   SEEDS=n                                                                       so many seeds
 */
#include <stdio.h>

#include "simulation.h"

TEST_WITHIN(a_crash_or_error_at_any_store_call_changes_no_outcome, 100)
{
    long n = 0;
    for (uint64_t seed = sim_number("SEED", 1), end = seed + (uint64_t)sim_seeds(200); seed < end;
         seed++) {
        long calls = sim_oracle(seed);
        for (long k = 1; k <= calls; k++, n++) {
            struct sim_options opt = {
                .mode = 1 + (int)((uint64_t)k + seed) % (MODES - 1), .at = k, .cache_runs = 1000};
            sim_compare(&opt);
        }
    }
    printf("%ld simulations\n", n);
}

TEST_WITHIN(late_results_and_crashes_change_no_outcome, 100)
{
    for (uint64_t seed = sim_number("SEED", 1001), end = seed + (uint64_t)sim_seeds(100);
         seed < end; seed++) {
        long calls = sim_oracle(seed);
        for (long k = 1 + (long)(seed % 3); k <= calls; k += 3) {
            struct sim_options opt = {.mode = 1 + (int)((uint64_t)k + seed) % (MODES - 1),
                                      .at = k,
                                      .cache_runs = seed % 2 ? 0 : 1000,
                                      .hold = true};
            sim_compare(&opt);
        }
    }
}

TEST_WITHIN(many_crashes_and_errors_change_no_outcome, 100)
{
    for (uint64_t seed = sim_number("SEED", 2001), end = seed + (uint64_t)sim_seeds(600);
         seed < end; seed++) {
        sim_oracle(seed);
        for (int i = 0; i < 8; i++)
            sim_compare(&(struct sim_options){
                .mode = MODE_STORM, .at = i, .cache_runs = i % 3 ? 1000 : 0, .hold = i % 2});
    }
}

/* What is read from the store is what was in memory. */
TEST_WITHIN(runs_read_again_after_every_commit_go_on_alike, 100)
{
    for (uint64_t seed = sim_number("SEED", 3001), end = seed + (uint64_t)sim_seeds(1000);
         seed < end; seed++) {
        sim_oracle(seed);
        sim_compare(&(struct sim_options){.cache_runs = 0});
        sim_compare(&(struct sim_options){.cache_runs = 0, .hold = true});
    }
}

TEST_WITHIN(one_simulation_as_told, 60)
{
    struct sim_options opt;
    if (!sim_as_told(&opt))
        SKIP("SEED and MODE are not set");
    sim_oracle(sim_number("SEED", 0));
    sim_compare(&opt);
}
