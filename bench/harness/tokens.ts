/** The secret of all benchmarked servers. */
export const BENCH_SECRET = 'a-secret-for-benchmarks-long-enough-for-hs256';
