/** Two numbers, so that a connection can hold its bucket inline. */
export interface TokenBucket {
  tokens: number;
  /** The clock's `now()` of the last refill. */
  refilledAt: number;
}

export interface Rate {
  /** Tokens that flow in each second. 0: no limit at all. */
  readonly perSecond: number;
  /** Most tokens that a bucket holds: how many may be taken at once after a pause. */
  readonly burst: number;
}

export function fullBucket(now: number, rate: Rate): TokenBucket {
  return { tokens: rate.burst, refilledAt: now };
}

/**
 * Takes one token. Returns 0 if there was one, else the milliseconds until there will be one.
 * Changes the bucket in place and allocates nothing: this runs for every message. Time that runs backwards counts as none.
 */
export function take(bucket: TokenBucket, now: number, rate: Rate): number {
  if (rate.perSecond === 0) return 0;
  const elapsedMs = Math.max(0, now - bucket.refilledAt);
  bucket.tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1_000);
  bucket.refilledAt = Math.max(bucket.refilledAt, now);
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return 0;
  }
  return Math.ceil(((1 - bucket.tokens) * 1_000) / rate.perSecond);
}
