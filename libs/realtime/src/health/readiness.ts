import type { HealthSource } from '../core/health-source.js';

export interface ReadinessRules {
  /** Milliseconds of event-loop lag above which a node takes no new traffic. 0: never. */
  readonly maxEventLoopLagMs: number;
  readonly onRedisDown: 'report' | 'fail';
}

export interface Readiness {
  /** Why the node should get no new traffic; empty: it is ready. */
  readonly reasons: readonly ReadinessReason[];
  /** To be handed back next time. */
  readonly isLagging: boolean;
}

export type ReadinessReason = 'starting' | 'draining' | 'lag' | 'capacity' | 'deaf' | 'redis';

/**
 * Redis alone never makes a node unready, unless the app wants that: all nodes share it, and taking all of them out of the
 * load balancer at once turns a degraded service into none. A node that lagged is ready again at half the limit, so that one
 * near the limit does not come and go.
 */
export function judgeReadiness(source: HealthSource, wasLagging: boolean, rules: ReadinessRules): Readiness {
  const limit = wasLagging ? rules.maxEventLoopLagMs / 2 : rules.maxEventLoopLagMs;
  const isLagging = rules.maxEventLoopLagMs > 0 && source.eventLoopLagMs > limit;
  const reasons: ReadinessReason[] = [];
  if (!source.isStarted) reasons.push('starting');
  if (source.isDraining) reasons.push('draining');
  if (isLagging) reasons.push('lag');
  if (source.isAtCapacity) reasons.push('capacity');
  if (source.redis.state !== 'off' && !source.hasHeardProbe) reasons.push('deaf');
  if (source.redis.state === 'degraded' && rules.onRedisDown === 'fail') reasons.push('redis');
  return { reasons, isLagging };
}
