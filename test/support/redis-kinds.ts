import { randomBytes } from 'node:crypto';
import type { RedisOptions } from './engines.js';
import { startRedisCluster, type TestRedisCluster } from './redis-cluster.js';
import { sharedRedis, type TestRedisClient } from './redis.js';

/** A Redis of some kind with a key prefix of its own, for suites that must hold on every kind. */
export interface RedisPlace extends AsyncDisposable {
  readonly options: RedisOptions & { readonly keyPrefix: string };
  /** A client of each server that has keys. */
  readonly servers: readonly TestRedisClient[];
}

/**
 * Deadlines that no stop of this process or of a server meets. For suites whose subject is what Redis answers, not how
 * long it may take: with the defaults a pause of five seconds is an outage.
 */
export const PATIENT = {
  connectTimeoutMs: 120_000,
  commandTimeoutMs: 120_000,
  probeTimeoutMs: 120_000,
} as const satisfies Partial<RedisOptions>;

/** One server, and three masters: on one server a script may touch keys that a cluster keeps apart. */
export const REDIS_KINDS: Record<string, () => Promise<RedisPlace>> = {
  redis: async () => {
    const redis = await sharedRedis();
    return {
      options: { ...PATIENT, url: redis.url, keyPrefix: redis.prefix + newPrefix() },
      servers: [await redis.client()],
      [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
    };
  },
  'redis cluster': async () => {
    const cluster = await sharedCluster();
    return {
      options: { ...PATIENT, cluster: { nodes: cluster.nodes }, keyPrefix: newPrefix() },
      servers: await Promise.all(cluster.masters.map((master) => master.client())),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};

/** What a suite over `REDIS_KINDS` and memory has to have run on. */
export const EVERY_ENGINE: readonly string[] = ['memory', ...Object.keys(REDIS_KINDS)];

const newPrefix = (): string => `t${randomBytes(6).toString('hex')}:`;

/** Three servers take seconds to find each other: one cluster for all suites of a test file, ended with the file. */
let started: Promise<TestRedisCluster> | undefined;

function sharedCluster(): Promise<TestRedisCluster> {
  started ??= startRedisCluster({ masters: 3, nodeTimeoutMs: 120_000 });
  return started;
}

afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});
