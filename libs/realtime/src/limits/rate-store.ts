/** One fixed-window counter with a block time, as `@nestjs/throttler` defines it; times in milliseconds. */
export interface RateStore {
  hit(key: string, options: { ttlMs: number; limit: number; blockMs: number }): Promise<RateHit>;
}

export interface RateHit {
  readonly hits: number;
  readonly expiresInMs: number;
  readonly isBlocked: boolean;
  readonly blockExpiresInMs: number;
}

/** Injection token of the app's `RateStore`. */
export const RATE_STORE = Symbol.for('nestjs-realtime:RATE_STORE');
