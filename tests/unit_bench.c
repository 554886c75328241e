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
