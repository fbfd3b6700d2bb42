import { Get, Header, Inject, ServiceUnavailableException, type Type } from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService, type HealthCheckResult } from '@nestjs/terminus';
import { HEALTH_SOURCE, type HealthSource } from '../core/health-source.js';
import { opsController, type OpsControllerOptions } from '../core/ops-controller.js';
import type { ReadinessRules } from './readiness.js';
import { RealtimeHealthIndicator } from './realtime.health.js';
import { RedisHealthIndicator } from './redis.health.js';

/** A class for each module, because path and decorators are metadata of the class. */
export function healthController(options: OpsControllerOptions & { rules: ReadinessRules }): Type<unknown> {
  const { rules } = options;
  class HealthController {
    constructor(
      @Inject(HealthCheckService) private readonly health: HealthCheckService,
      @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
      @Inject(RealtimeHealthIndicator) private readonly realtime: RealtimeHealthIndicator,
      @Inject(RedisHealthIndicator) private readonly redis: RedisHealthIndicator,
      @Inject(HEALTH_SOURCE) private readonly source: HealthSource,
    ) {}

    // An answer is the proof: the event loop turns. Not through terminus, which fails all checks while the app shuts down, and
    // a draining node must not be restarted.
    @Get('live')
    @Header('Cache-Control', 'no-store')
    live(): HealthCheckResult {
      const up = this.indicators.check('eventLoop').up({ lagMs: Math.round(this.source.eventLoopLagMs) });
      return { status: 'ok', info: up, error: {}, details: up };
    }

    @Get('ready')
    @Header('Cache-Control', 'no-store')
    ready(): Promise<HealthCheckResult> {
      return this.health.check([
        () => this.realtime.isHealthy('realtime', rules),
        () => this.redis.isHealthy('redis', rules),
      ]);
    }

    // Redis is not asked: a node without it serves its own clients, and Kubernetes would kill it in a loop.
    @Get('startup')
    @Header('Cache-Control', 'no-store')
    startup(): HealthCheckResult {
      const indicator = this.indicators.check('realtime');
      if (this.source.isStarted) {
        const up = indicator.up();
        return { status: 'ok', info: up, error: {}, details: up };
      }
      const down = indicator.down({ reasons: ['starting'] });
      throw new ServiceUnavailableException({ status: 'error', info: {}, error: down, details: down });
    }
  }
  opsController(HealthController, options);
  return HealthController;
}
