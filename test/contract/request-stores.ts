import { MemoryRequestStore, RedisConnection, RedisRequestStore, type RequestStore } from '../support/engines.js';
import { REDIS_KINDS, type RedisPlace } from '../support/redis-kinds.js';

export interface RequestStores extends AsyncDisposable {
  /** Several stores of the same limits, as on several nodes. */
  readonly requests: readonly [RequestStore, RequestStore];
  /** A store whose window ends soon. */
  readonly hasty: RequestStore;
}

export const MAX_ANSWERS = 3;
export const HASTY_MS = 60;

/** Of answers of one user. */
export const MAX_BYTES = 1_000;

const LIMITS = { windowMs: 3_600_000, maxPerDevice: MAX_ANSWERS, maxBytesPerUser: MAX_BYTES };
const HASTY_LIMITS = { ...LIMITS, windowMs: HASTY_MS };

export const REQUEST_STORES: Record<string, () => Promise<RequestStores>> = {
  memory: () => {
    const store = new MemoryRequestStore(LIMITS);
    return Promise.resolve({
      requests: [store, store],
      hasty: new MemoryRequestStore(HASTY_LIMITS),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
};
for (const [name, start] of Object.entries(REDIS_KINDS)) {
  REQUEST_STORES[name] = async () => redisStores(await start());
}

async function redisStores(place: RedisPlace): Promise<RequestStores> {
  const connections = [0, 1].map(() => new RedisConnection(place.options));
  const [first, second] = connections as [RedisConnection, RedisConnection];
  await first.ready();
  return {
    requests: [new RedisRequestStore(first, LIMITS), new RedisRequestStore(second, LIMITS)],
    hasty: new RedisRequestStore(first, HASTY_LIMITS),
    async [Symbol.asyncDispose]() {
      await Promise.all(connections.map((connection) => connection.close()));
      await place[Symbol.asyncDispose]();
    },
  };
}
