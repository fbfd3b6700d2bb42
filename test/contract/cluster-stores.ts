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

/** One storage and what stands on it. The commands' times to live are short, so that expiry can be seen. */
export interface ClusterStores extends AsyncDisposable {
  bus: ClusterBus;
  log: CommandLog;
  leases: NodeLeases;
  rates: RateStore;
}

const TTL = { revokeTtlMs: 60_000, actionTtlMs: 100 };

export const CLUSTER_STORES: Record<string, () => Promise<ClusterStores>> = {
  memory: () => {
    const bus = new MemoryBus(new MemoryHub());
    const log = new MemoryCommandLog(bus, TTL);

    return Promise.resolve({
      bus,
      log,
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
    leases: new RedisNodeLeases(connection),
    rates: new RedisRateStore(connection),
    async [Symbol.asyncDispose]() {
      await bus.close();
      await connection.close();
      await place[Symbol.asyncDispose]();
    },
  };
}
