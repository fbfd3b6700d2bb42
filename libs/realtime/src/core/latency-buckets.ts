/** Each bucket is a quarter wider than the one before: a quantile is at most 25 % too high. */
const GROWTH = 1.25;
const FIRST_SECONDS = 0.000_05;
/** Up to about 60 s; what is longer counts as that. */
const BUCKETS = 63;

/** Quantiles of durations in constant memory, without keeping the durations. */
export class LatencyBuckets {
  private readonly counts = new Uint32Array(BUCKETS + 1);
  private total = 0;

  add(seconds: number): void {
    const index = seconds <= FIRST_SECONDS ? 0 : Math.ceil(Math.log(seconds / FIRST_SECONDS) / Math.log(GROWTH));
    this.counts[Math.min(index, BUCKETS)]! += 1;
    this.total += 1;
  }

  /** The upper end of the bucket that holds the quantile, in seconds; undefined if nothing was added. */
  quantile(share: number): number | undefined {
    if (this.total === 0) return undefined;
    let left = Math.max(1, Math.ceil(share * this.total));
    for (let index = 0; index <= BUCKETS; index += 1) {
      left -= this.counts[index]!;
      if (left <= 0) return FIRST_SECONDS * GROWTH ** index;
    }
    return FIRST_SECONDS * GROWTH ** BUCKETS;
  }

  reset(): void {
    this.counts.fill(0);
    this.total = 0;
  }
}
