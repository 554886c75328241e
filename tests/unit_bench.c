/* Percentiles and medians of the benchmark. */
#include <math.h>

#include "bench/numbers.c"
#include "test.h"

TEST(a_percentile_is_the_smallest_value_that_the_share_is_not_above)
{
    double             v[100];
    struct percentiles p;

    for (int i = 0; i < 100; i++)
        v[i] = 100 - i;
    p = stats_percentiles(v, 100);
    CHECK(p.p50 == 50 && p.p95 == 95 && p.p99 == 99 && p.max == 100);
    CHECK(stats_percentile(v, 100, 0) == 1);
    v[0] = 7;
    p = stats_percentiles(v, 1);
    CHECK(p.p50 == 7 && p.p95 == 7 && p.p99 == 7 && p.max == 7);
    v[1] = 8;
    CHECK(stats_percentile(v, 2, 0.5) == 7);
    CHECK(stats_percentile(v, 2, 0.51) == 8);
}

TEST(of_nothing_nothing_is_known)
{
    struct percentiles p = stats_percentiles(NULL, 0);
    double             unknown[] = {NAN, NAN};
    CHECK(isnan(p.p50) && isnan(p.max));
    CHECK(isnan(stats_median(unknown, 2)));
    CHECK(isnan(stats_median(NULL, 0)));
}

TEST(a_median_is_the_middle_of_what_is_known)
{
    double odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2}, holes[] = {NAN, 3, NAN, 1, 2};
    CHECK(stats_median(odd, 3) == 5);
    CHECK(stats_median(even, 4) == 2.5);
    CHECK(stats_median(holes, 5) == 2);
}

/* Each number has a median of its own: they need not come from the same run. */
TEST(medians_of_runs_are_taken_number_by_number)
{
    struct numbers runs[3], m;

    for (int i = 0; i < 3; i++)
        runs[i] = numbers_unknown();
    runs[0].throughput = 10, runs[1].throughput = 30, runs[2].throughput = 20;
    runs[0].result.p99 = 3, runs[1].result.p99 = 1, runs[2].result.p99 = 2;
    runs[1].commits = 4;
    m = numbers_median(runs, 3);
    CHECK(m.throughput == 20);
    CHECK(m.result.p99 == 2);
    CHECK(m.commits == 4);
    CHECK(isnan(m.statements));
}

/* Every value is in one bin, and a bin never holds one that is twice another in it. */
TEST(a_histogram_holds_every_value)
{
    double           v[] = {0.5, 0.6, 0.9, 1.0, 1.9, 4.0, 64.0};
    struct histogram h = stats_histogram(v, 7);
    unsigned         all = 0;

    for (size_t i = 0; i < h.bins; i++)
        all += h.n[i];
    CHECK(all == 7);
    CHECK(h.least == 0.5 && h.n[0] == 2 && h.n[1] == 1 && h.n[2] == 1);
    CHECK(h.bins == 15 && h.n[14] == 1);
    CHECK(stats_histogram(NULL, 0).bins == 0);
}

TEST(what_is_beyond_the_last_bin_is_in_it)
{
    double           v[] = {0.001, 1e9};
    struct histogram h = stats_histogram(v, 2);
    CHECK(h.bins == BENCH_BINS && h.n[0] == 1 && h.n[BENCH_BINS - 1] == 1);
}

TEST(the_spread_is_how_far_throughputs_lie_apart)
{
    struct numbers runs[3];

    for (int i = 0; i < 3; i++) {
        runs[i] = numbers_unknown();
        runs[i].throughput = 90 + 10 * i;
    }
    CHECK(fabs(numbers_spread(runs, 3) - 0.2) < 1e-9);
    CHECK(isnan(numbers_spread(runs, 1)));
}
