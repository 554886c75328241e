/*
 * Random programs on several workers that share a store and come and go: the end is that of one
 * worker alone.
 *
 *   SEED=n K=n MODE=storm CACHE=n HOLD=n build/tests/sim_shared one_simulation_as_told    one again
 *   SEEDS=n                                                                   so many seeds
 */
#include "simulation.h"

static void
play(uint64_t seed, int mode)
{
    sim_oracle(seed);
    for (int i = 0; i < 4; i++)
        sim_compare(&(struct sim_options){.mode = mode,
                                          .at = i,
                                          .cache_runs = (seed + (uint64_t)i) % 3 ? 1000 : 0,
                                          .hold = i != 2,
                                          .shared = true});
}

/* What runs is not begun again, whoever owns its partition. */
TEST_WITHIN(partitions_that_are_handed_over_change_no_outcome, 100)
{
    for (uint64_t seed = sim_number("SEED", 1), end = seed + (uint64_t)sim_seeds(200); seed < end;
         seed++)
        play(seed, MODE_NONE);
}

TEST_WITHIN(workers_that_die_or_oversleep_change_no_outcome, 100)
{
    for (uint64_t seed = sim_number("SEED", 5001), end = seed + (uint64_t)sim_seeds(400);
         seed < end; seed++)
        play(seed, MODE_STORM);
}

TEST_WITHIN(one_simulation_as_told, 60)
{
    struct sim_options opt;
    if (!sim_as_told(&opt))
        SKIP("SEED and MODE are not set");
    opt.shared = true;
    sim_oracle(sim_number("SEED", 0));
    sim_compare(&opt);
}
