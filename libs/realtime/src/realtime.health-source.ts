import type { HealthSource, RedisHealth } from './core/health-source.js';
import type { RealtimeRuntime } from './realtime.runtime.js';

/** What probes may ask of this node; every answer is in memory already. */
export function createHealthSource(runtime: RealtimeRuntime): HealthSource {
  const { engine, options } = runtime.context;
  let hasHeardProbe = engine.kind === 'memory' || engine.bus.state === 'up';
  engine.bus.onState((state) => (hasHeardProbe ||= state === 'up'));
  return {
    get isStarted() {
      return runtime.isStarted || !runtime.isServer;
    },
    get isDraining() {
      return runtime.isDraining;
    },
    get hasHeardProbe() {
      return hasHeardProbe;
    },
    get redis(): RedisHealth {
      if (!options.redis) return { state: 'off' };
      const isUp = engine.bus.state === 'up' && !engine.isRefused;
      return { state: isUp ? 'up' : 'degraded', roundTripMs: engine.bus.roundTripMs };
    },
    get eventLoopLagMs() {
      return runtime.lag.currentMs;
    },
    get isAtCapacity() {
      return runtime.connections.transportLimits.isAtCapacity;
    },
    get transports() {
      return runtime.connections.transportLimits.live;
    },
  };
}
