/** Two numbers, so that a connection can hold its bucket inline. */
export interface TokenBucket {
  tokens: number;
  /** The clock's `now()` of the last refill. */
  updatedAt: number;
}

export interface TokenBucketLimit {
  /** Tokens that flow in each second. 0: no limit at all. */
  readonly perSecond: number;
  /** Most tokens that a bucket holds: how many may be taken at once after a pause. */
  readonly burst: number;
}

export function fullBucket(now: number, rate: TokenBucketLimit): TokenBucket {
  return { tokens: rate.burst, updatedAt: now };
}

/**
 * Takes `cost` tokens. Returns 0 if there were as many, else the milliseconds until there will be.
 * Changes the bucket in place and allocates nothing: this runs for every message. Time that runs backwards counts as none.
 */
export function takeToken(bucket: TokenBucket, now: number, rate: TokenBucketLimit, cost = 1): number {
  if (rate.perSecond === 0) return 0;
  refill(bucket, now, rate);
  if (bucket.tokens >= cost) {
    bucket.tokens -= cost;
    return 0;
  }
  return Math.ceil(((cost - bucket.tokens) * 1_000) / rate.perSecond);
}

/** As `takeToken`, for one of several at once. `ahead`: how many of them were refused before it, and will be asked for again first. */
export function takeInTurn(bucket: TokenBucket, now: number, rate: TokenBucketLimit, ahead: number): number {
  const waitMs = takeToken(bucket, now, rate);
  return waitMs === 0 ? 0 : waitMs + Math.ceil((ahead * 1_000) / rate.perSecond);
}

/** What has flowed in since the last look. */
export function refill(bucket: TokenBucket, now: number, rate: TokenBucketLimit): void {
  const elapsedMs = Math.max(0, now - bucket.updatedAt);
  bucket.tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1_000);
  bucket.updatedAt = Math.max(bucket.updatedAt, now);
}
