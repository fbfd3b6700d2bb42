import type { ClusterBus } from './cluster/cluster-bus.js';
import type { CommandLog } from './cluster/command-log.js';
import type { OlderEngine } from './cluster/older-nodes.js';
import type { NodeLeases } from './cluster/node-leases.js';
import type { Clock } from './core/clock.js';
import type { Lifecycle } from './core/lifecycle.js';
import type { RealtimeMetrics } from './core/metrics.js';
import type { RoomLog } from './history/room-log.js';
import type { RateStore } from './limits/rate-store.js';
import type { PresenceStore } from './presence/presence-store.js';
import type { RequestStore } from './requests/request-store.js';
import type { ResolvedRealtimeOptions } from './realtime.options.js';

/** One implementation of every port: all in memory, or all in Redis. */
export interface Engine extends Lifecycle {
  readonly kind: 'memory' | 'redis';
  readonly bus: ClusterBus;
  readonly leases: NodeLeases;
  readonly commands: CommandLog;
  /** Of nodes with the key names of before; undefined where there are none. */
  readonly older: OlderEngine | undefined;
  readonly presence: PresenceStore;
  readonly rates: RateStore;
  readonly requests: RequestStore;
  readonly log: RoomLog;
  /** Boot went on without something that the server refuses, and still does. */
  readonly isRefused: boolean;
  /** Resolves when the task is done, or when the server refuses it and is not required. Rejects if it is required. */
  untilServed(task: Promise<unknown>): Promise<void>;
  /** Socket.IO's own cluster adapter; undefined in memory, where Socket.IO's default serves. */
  readonly socketIoAdapter: unknown;
}

export interface EngineDeps {
  readonly clock: Clock;
  readonly metrics: RealtimeMetrics;
}

/** Loads `redis` only when it is configured. Does not connect: `ready()` does. */
export async function createEngine(options: ResolvedRealtimeOptions, deps: EngineDeps): Promise<Engine> {
  const stores = { commandLog: { revokeTtlMs: options.auth.maxTokenLifeMs }, requests: options.requests };
  if (options.redis) {
    const { createRedisEngine } = await import('./redis/create-redis-engine.js');
    return createRedisEngine(options.redis, { ...deps, ...stores });
  }
  const { createMemoryEngine } = await import('./memory/create-memory-engine.js');
  return createMemoryEngine({ ...deps, ...stores });
}
