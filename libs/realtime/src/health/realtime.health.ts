import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { HEALTH_SOURCE, type HealthSource } from '../core/health-source.js';
import { judgeReadiness, type ReadinessRules } from './readiness.js';

/** Above this a node answers its clients too late to be worth new ones. */
export const DEFAULT_MAX_LAG_MS = 500;

const DEFAULT_RULES: ReadinessRules = { maxEventLoopLagMs: DEFAULT_MAX_LAG_MS, onRedisDown: 'report' };

/** Whether this node should get new traffic, and why not. For the app's own health checks; answered from memory. */
@Injectable()
export class RealtimeHealthIndicator {
  private wasLagging = false;

  constructor(
    private readonly indicators: HealthIndicatorService,
    @Inject(HEALTH_SOURCE) private readonly source: HealthSource,
  ) {}

  /** `down` with `reasons` while the node starts, drains, lags, is full or has never heard its own probe. */
  isHealthy<const Key extends string = 'realtime'>(
    key = 'realtime' as Key,
    rules: Partial<ReadinessRules> = {},
  ): HealthIndicatorResult<Key> {
    const { reasons, isLagging } = judgeReadiness(this.source, this.wasLagging, { ...DEFAULT_RULES, ...rules });
    this.wasLagging = isLagging;
    const data: Record<string, unknown> = {
      transports: this.source.transports,
      eventLoopLagMs: Math.round(this.source.eventLoopLagMs),
      redis: this.source.redis.state,
    };
    const indicator = this.indicators.check(key);
    return reasons.length === 0 ? indicator.up(data) : indicator.down({ ...data, reasons });
  }
}
