import { Module, type DynamicModule, type OnModuleDestroy } from '@nestjs/common';
import { Registry } from 'prom-client';
import { systemClock } from '../core/clock.js';
import { EventLoopLag } from '../core/event-loop-lag.js';
import { REALTIME_METRICS } from '../core/metrics.js';
import { METRICS_REGISTRY, metricsController } from './metrics.controller.js';
import { PromMetrics } from './prom-metrics.js';

export interface RealtimeMetricsOptions {
  /** Where the metrics are served; false: nowhere, the app serves the registry itself. @default 'metrics' */
  readonly path?: string | false | undefined;
  /** The app's prom-client registry, which then holds its own metrics and ours. @default a new one for this module */
  readonly registry?: Registry | undefined;
  /** For the controller: the app's own `@Public()`, or `@SkipThrottle({ short: true })` for throttlers with names. */
  readonly decorators?: readonly ClassDecorator[] | undefined;
}

class MetricsLifetime implements OnModuleDestroy {
  constructor(private readonly lag: EventLoopLag) {}

  onModuleDestroy(): void {
    this.lag.close();
  }
}

/**
 * Counts with prom-client and serves it. Everybody who counts asks for `REALTIME_METRICS`, which this module provides
 * for the whole app. It refuses to share one registry between two apps. Invariant: no metric has more than 50 series.
 */
@Module({})
export class RealtimeMetricsModule {
  /** `imports: [RealtimeMetricsModule.register()]`, once in an app. */
  static register(options: RealtimeMetricsOptions = {}): DynamicModule {
    const { path = 'metrics', decorators } = options;
    return {
      module: RealtimeMetricsModule,
      global: true,
      controllers: path === false ? [] : [metricsController({ path, decorators })],
      providers: [
        { provide: METRICS_REGISTRY, useFactory: () => options.registry ?? new Registry() },
        { provide: EventLoopLag, useFactory: () => new EventLoopLag(systemClock) },
        {
          provide: MetricsLifetime,
          useFactory: (lag: EventLoopLag) => new MetricsLifetime(lag),
          inject: [EventLoopLag],
        },
        {
          provide: REALTIME_METRICS,
          useFactory: (registry: Registry, lag: EventLoopLag) => {
            const metrics = new PromMetrics(registry);
            metrics.watchEventLoop(() => lag.currentMs);
            return metrics;
          },
          inject: [METRICS_REGISTRY, EventLoopLag],
        },
      ],
      exports: [REALTIME_METRICS, METRICS_REGISTRY],
    };
  }
}
