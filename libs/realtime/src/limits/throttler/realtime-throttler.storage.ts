import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import type { ThrottlerStorage } from '@nestjs/throttler';
import { REALTIME_METRICS, noMetrics, type RealtimeMetrics } from '../../core/metrics.js';
import { RATE_STORE, type RateStore } from '../rate-store.js';

type ThrottlerRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>;

const LOG_INTERVAL_MS = 60_000;

/**
 * Keeps the throttler's counters where the realtime module keeps everything: in Redis, so that limits hold across nodes and
 * restarts, or in memory. While the store is away requests are admitted and counted as dropped `throttle`: a limit that
 * cannot be checked must not become an outage.
 */
@Injectable()
export class RealtimeThrottlerStorage implements ThrottlerStorage {
  private readonly logger = new Logger(RealtimeThrottlerStorage.name);
  private loggedAt = -Infinity;

  constructor(
    @Inject(RATE_STORE) private readonly store: RateStore,
    @Optional() @Inject(REALTIME_METRICS) private readonly metrics: RealtimeMetrics = noMetrics,
  ) {}

  /** @nestjs/throttler gives `ttl` and `blockDuration` in milliseconds, and expects seconds back. */
  async increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerRecord> {
    try {
      const hit = await this.store.hit(`${throttlerName}:${key}`, { ttlMs: ttl, limit, blockMs: blockDuration });
      return {
        totalHits: hit.hits,
        timeToExpire: toSeconds(hit.expiresInMs),
        isBlocked: hit.isBlocked,
        timeToBlockExpire: toSeconds(hit.blockExpiresInMs),
      };
    } catch (error) {
      this.metrics.dropped('throttle');
      this.warn(error);
      return { totalHits: 0, timeToExpire: toSeconds(ttl), isBlocked: false, timeToBlockExpire: 0 };
    }
  }

  private warn(error: unknown): void {
    const now = performance.now();
    if (now - this.loggedAt < LOG_INTERVAL_MS) return;
    this.loggedAt = now;
    this.logger.warn(
      `Throttling is off while its store is away: ${error instanceof Error ? error.message : 'unknown'}`,
    );
  }
}

/** Rounded up: a client that waits for as long as it is told must not be refused again. */
function toSeconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1_000));
}
