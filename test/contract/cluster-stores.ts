import {
  MemoryBus,
  MemoryCommandLog,
  MemoryHub,
  MemoryNodeLeases,
  MemoryRateStore,
  RedisBus,
  RedisCommandLog,
  RedisConnection,
  RedisNodeLeases,
  RedisRateStore,
  type ClusterBus,
  type CommandLog,
  type NodeLeases,
  type RateStore,
} from '../support/engines.js';
import { REDIS_KINDS, type RedisPlace } from '../support/redis-kinds.js';

/** One storage and what stands on it. */
export interface ClusterStores extends AsyncDisposable {
  bus: ClusterBus;
  log: CommandLog;
  /** On the same storage, or one of its own: actions are forgotten soon, so that expiry can be seen. */
  hasty: CommandLog;
  leases: NodeLeases;
  rates: RateStore;
}

const TTL = { revokeTtlMs: 600_000, actionTtlMs: 600_000 };
const HASTY_TTL = { ...TTL, actionTtlMs: 100 };

export const CLUSTER_STORES: Record<string, () => Promise<ClusterStores>> = {
  memory: () => {
    const bus = new MemoryBus(new MemoryHub());
    const log = new MemoryCommandLog(bus, TTL);

    return Promise.resolve({
      bus,
      log,
      hasty: new MemoryCommandLog(bus, HASTY_TTL),
      leases: new MemoryNodeLeases(log),
      rates: new MemoryRateStore(),
      [Symbol.asyncDispose]: () => bus.close(),
    });
  },
};
for (const [name, start] of Object.entries(REDIS_KINDS)) {
  CLUSTER_STORES[name] = async () => redisStores(await start());
}

async function redisStores(place: RedisPlace): Promise<ClusterStores> {
  const connection = new RedisConnection(place.options);
  const bus = new RedisBus(connection);
  await bus.ready();
  return {
    bus,
    log: new RedisCommandLog(connection, TTL),
    hasty: new RedisCommandLog(connection, HASTY_TTL),
    leases: new RedisNodeLeases(connection),
    rates: new RedisRateStore(connection),
    async [Symbol.asyncDispose]() {
      await bus.close();
      await connection.close();
      await place[Symbol.asyncDispose]();
    },
  };
}
