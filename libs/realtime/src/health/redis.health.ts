import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { HEALTH_SOURCE, type HealthSource } from '../core/health-source.js';

export interface RedisHealthOptions {
  /** `report`: degraded is not down. `fail`: it is. @default 'report' */
  readonly onRedisDown?: 'report' | 'fail' | undefined;
}

/** Redis as this node sees it: with the round trip of its last probe, answered from memory. For the app's own health checks. */
@Injectable()
export class RedisHealthIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    @Inject(HEALTH_SOURCE) private readonly source: HealthSource,
  ) {}

  /** `state` is `off` without Redis, `up` or `degraded`. Degraded is terminus' own status where it has one (12), else `up`. */
  isHealthy<const Key extends string = 'redis'>(
    key = 'redis' as Key,
    { onRedisDown = 'report' }: RedisHealthOptions = {},
  ): HealthIndicatorResult<Key> {
    const { state, roundTripMs, reason } = this.source.redis;
    const indicator = this.indicators.check(key);
    const data: Record<string, unknown> = {
      state,
      ...(roundTripMs === undefined ? {} : { roundTripMs: Math.round(roundTripMs * 10) / 10 }),
      ...(reason === undefined ? {} : { reason }),
    };
    if (state !== 'degraded') return indicator.up(data);
    if (onRedisDown === 'fail') return indicator.down(data);
    return typeof indicator.degraded === 'function' ? indicator.degraded(data) : indicator.up(data);
  }
}
