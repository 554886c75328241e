/* Percentiles and medians. What is not known is NAN. */
#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double
stats_percentile(const double *sorted, size_t n, double q)
{
    if (n == 0)
        return NAN;
    double rank = ceil(q * (double)n);
    size_t i = rank < 1 ? 0 : (size_t)rank - 1;
    return sorted[i < n ? i : n - 1];
}

struct percentiles
stats_percentiles(double *v, size_t n)
{
    if (n > 0)
        qsort(v, n, sizeof(*v), by_size);
    return (struct percentiles){
        .p50 = stats_percentile(v, n, 0.50),
        .p95 = stats_percentile(v, n, 0.95),
        .p99 = stats_percentile(v, n, 0.99),
        .max = stats_percentile(v, n, 1),
    };
}

double
stats_median(double *v, size_t n)
{
    size_t known = 0;

    for (size_t i = 0; i < n; i++)
        if (!isnan(v[i]))
            v[known++] = v[i];
    if (known == 0)
        return NAN;
    qsort(v, known, sizeof(*v), by_size);
    return known % 2 ? v[known / 2] : (v[known / 2 - 1] + v[known / 2]) / 2;
}

/* Half a doubling for each bin: what is in a bin differs by less than 42 %. */
struct histogram
stats_histogram(const double *sorted, size_t n)
{
    struct histogram h = {0};

    if (n == 0)
        return h;
    h.least = sorted[0] > 0.01 ? sorted[0] : 0.01;
    for (size_t i = 0; i < n; i++) {
        double at = sorted[i] > h.least ? floor(2 * log2(sorted[i] / h.least)) : 0;
        size_t bin = at < BENCH_BINS - 1 ? (size_t)at : BENCH_BINS - 1;
        h.n[bin]++;
        h.bins = bin + 1;
    }
    return h;
}

struct numbers
numbers_unknown(void)
{
    struct numbers all;
    double         v[NUMBERS];

    for (size_t i = 0; i < NUMBERS; i++)
        v[i] = NAN;
    memcpy(&all, v, sizeof(all));
    return all;
}

struct numbers
numbers_median(const struct numbers *runs, size_t n)
{
    enum { RUNS_MAX = 101 };
    struct numbers all;
    double         v[RUNS_MAX], medians[NUMBERS], one[NUMBERS];

    n = n < RUNS_MAX ? n : RUNS_MAX;
    for (size_t k = 0; k < NUMBERS; k++) {
        for (size_t i = 0; i < n; i++) {
            memcpy(one, &runs[i], sizeof(one));
            v[i] = one[k];
        }
        medians[k] = stats_median(v, n);
    }
    memcpy(&all, medians, sizeof(all));
    return all;
}

double
numbers_spread(const struct numbers *runs, size_t n)
{
    double least = INFINITY, most = 0;

    for (size_t i = 0; i < n; i++) {
        least = fmin(least, runs[i].throughput);
        most = fmax(most, runs[i].throughput);
    }
    return n < 2 ? NAN : (most - least) / numbers_median(runs, n).throughput;
}
