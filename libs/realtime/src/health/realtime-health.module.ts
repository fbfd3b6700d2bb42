import { Module, type DynamicModule } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { healthController } from './health.controller.js';
import { DEFAULT_MAX_LAG_MS, RealtimeHealthIndicator } from './realtime.health.js';
import { RedisHealthIndicator } from './redis.health.js';

export interface RealtimeHealthOptions {
  /** `/live`, `/ready` and `/startup` are below it; false: no endpoints, only the indicators. @default 'health' */
  readonly path?: string | false | undefined;
  /** For the controller: the app's own `@Public()`, or `@SkipThrottle({ short: true })` for throttlers with names. */
  readonly decorators?: readonly ClassDecorator[] | undefined;
  /**
   * What readiness makes of a Redis that is away. `report`: 200 with `redis: degraded`, because Redis is shared and 503 on
   * all nodes at once ends the service. `fail`: 503. @default 'report'
   */
  readonly onRedisDown?: 'report' | 'fail' | undefined;
  /** Milliseconds of event-loop lag above which readiness is 503, until it falls below half of it. 0: never. @default 500 */
  readonly maxEventLoopLagMs?: number | undefined;
}

/**
 * Probes as Kubernetes expects them, beside `RealtimeModule`. All answers come from memory: no probe waits for Redis or asks
 * another node. Liveness says only that the event loop turns.
 */
@Module({})
export class RealtimeHealthModule {
  /** `imports: [RealtimeHealthModule.register()]`, once in an app. */
  static register(options: RealtimeHealthOptions = {}): DynamicModule {
    const { path = 'health', decorators, onRedisDown = 'report', maxEventLoopLagMs = DEFAULT_MAX_LAG_MS } = options;
    const rules = { onRedisDown, maxEventLoopLagMs };
    return {
      module: RealtimeHealthModule,
      // Its own instance without a logger: a node that drains would log every probe.
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: path === false ? [] : [healthController({ path, decorators, rules })],
      providers: [RealtimeHealthIndicator, RedisHealthIndicator],
      exports: [RealtimeHealthIndicator, RedisHealthIndicator],
    };
  }
}
