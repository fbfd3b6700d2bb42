/** The secret of all benchmarked servers. */
export const BENCH_SECRET = 'a-secret-for-benchmarks-long-enough-for-hs256';

/** Users who come one after the other, and from the first on again: more than any scenario has at once. */
export const USERS = 20_000;
