/** What the health checks ask of a node, each answered from memory at once: a probe never waits for Redis. */
export interface HealthSource {
  /** The servers are bound and the first attempt at everything else was made. */
  readonly isStarted: boolean;
  readonly isDraining: boolean;
  /** This node has received a message that it published itself: until then it may be deaf. True without Redis. */
  readonly hasHeardProbe: boolean;
  readonly redis: RedisHealth;
  /** The longest delay of the event loop in the last second. */
  readonly eventLoopLagMs: number;
  /** Another transport would be deferred or refused. */
  readonly isAtCapacity: boolean;
  /** Open transports. */
  readonly transports: number;
}

export interface RedisHealth {
  /** `off`: not configured. `degraded`: configured, and commands or the echo of our own messages do not come back. */
  readonly state: 'off' | 'up' | 'degraded';
  /** Milliseconds from the last probe's publication to its echo. */
  readonly roundTripMs?: number | undefined;
  /** Why it is degraded, for operators; no addresses, no secrets. */
  readonly reason?: string | undefined;
}

/** Injection token of the node's `HealthSource`. */
export const HEALTH_SOURCE = Symbol.for('nestjs-realtime:HEALTH');
