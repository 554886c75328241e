// Medians and percentiles. Unknown is null, also of nothing.

export function percentile(sorted, share) {
    if (sorted.length === 0)
        return null;
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

export function percentiles(samples) {
    const sorted = [...(samples ?? [])].sort((a, b) => a - b);
    return {
        p50: percentile(sorted, 0.5),
        p95: percentile(sorted, 0.95),
        p99: percentile(sorted, 0.99),
        max: percentile(sorted, 1),
    };
}

export function median(values) {
    const sorted = values.filter((v) => Number.isFinite(v)).sort((a, b) => a - b);
    if (sorted.length === 0)
        return null;
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Of results of one shape: each number is the median of all results' numbers in its place.
export function medians(results) {
    const [first] = results;
    if (first === null || typeof first !== 'object')
        return results.some((r) => typeof r === 'number') ? median(results) : first;
    const keys = [...new Set(results.flatMap((r) => Object.keys(r ?? {})))];
    return Object.fromEntries(keys.map((key) =>
        [key, medians(results.map((r) => r?.[key] ?? null))]));
}
