import { resolveRedisOptions, type RedisOptions } from './redis-options.js';

const ADDRESSES = ['url', 'socket', 'sentinel', 'cluster', 'client'] as const;
const ABOVE_ZERO = [
  'connectTimeoutMs',
  'commandTimeoutMs',
  'maxQueuedCommands',
  'probeIntervalMs',
  'probeTimeoutMs',
  'maxMessageBytes',
] as const;

/** Every problem of the options, each in one sentence that names the option; empty if there is none. No secret is repeated. */
export function checkRedisOptions(options: RedisOptions): string[] {
  return [
    ...addressProblems(options),
    ...numberProblems(options),
    ...prefixProblems(options),
    ...adapterProblems(options),
  ];
}

function addressProblems(options: RedisOptions): string[] {
  const given = ADDRESSES.filter((name) => options[name] !== undefined);
  if (given.length === 0) {
    return [`redis: no address: give one of ${ADDRESSES.join(', ')}, or redis: false for one process in memory`];
  }
  if (given.length > 1) return [`redis: give only one of ${given.join(', ')}`];
  const problems: string[] = [];
  if (options.url !== undefined && !isRedisUrl(options.url)) {
    problems.push('redis.url: must start with redis://, rediss:// or unix:// and be a valid address');
  } else if (options.url !== undefined && !isDecodable(options.url)) {
    problems.push(
      "redis.url: has a '%' that is no escape: write %25, or set redis.username and redis.password as they are",
    );
  }
  if (options.socket !== undefined && options.socket.host === undefined && options.socket.path === undefined) {
    problems.push('redis.socket: needs host or path');
  }
  if (options.sentinel !== undefined && options.sentinel.name === '') problems.push('redis.sentinel.name: is empty');
  if (options.sentinel?.nodes.length === 0) problems.push('redis.sentinel.nodes: is empty');
  if (options.cluster?.nodes.length === 0) problems.push('redis.cluster.nodes: is empty');
  if (options.cluster !== undefined && (options.database ?? 0) !== 0) {
    problems.push('redis.database: Redis Cluster has only database 0');
  }
  return problems;
}

function isRedisUrl(url: unknown): boolean {
  if (typeof url !== 'string' || !/^(rediss?|unix):\/\//.test(url)) return false;
  return url.startsWith('unix:') || URL.canParse(url);
}

/** User and password stand in it percent-encoded. */
function isDecodable(url: string): boolean {
  if (url.startsWith('unix:')) return true;
  const { username, password } = new URL(url);
  try {
    return decodeURIComponent(username + password) !== undefined;
  } catch {
    return false;
  }
}

function numberProblems(options: RedisOptions): string[] {
  const problems: string[] = [];
  for (const name of ABOVE_ZERO) {
    const value = options[name];
    if (value !== undefined && !(Number.isFinite(value) && value > 0)) problems.push(`redis.${name}: must be above 0`);
  }
  const { database } = options;
  if (database !== undefined && !(Number.isInteger(database) && database >= 0)) {
    problems.push('redis.database: must be a whole number from 0');
  }
  const resolved = resolveRedisOptions(options);
  if (problems.length === 0 && resolved.probeTimeoutMs <= resolved.probeIntervalMs) {
    problems.push('redis.probeTimeoutMs: must be above redis.probeIntervalMs');
  }
  return problems;
}

/** Braces would decide the slot of every key. */
const KEY_PREFIX = /^[\w.:-]{1,64}$/;

function prefixProblems({ keyPrefix, adapter }: RedisOptions): string[] {
  if (keyPrefix === undefined) return [];
  if (typeof keyPrefix !== 'string' || !KEY_PREFIX.test(keyPrefix)) {
    return ['redis.keyPrefix: 1 to 64 letters, digits and _ . : - are allowed'];
  }
  if (adapter?.key?.startsWith(keyPrefix)) {
    return [
      `redis.adapter.key: must not start with redis.keyPrefix ('${keyPrefix}'): leave it out, or choose another one`,
    ];
  }
  return [];
}

function adapterProblems(options: RedisOptions): string[] {
  const { mode, key, requestsTimeoutMs } = resolveRedisOptions(options).adapter;
  const problems: string[] = [];
  if (!['pubsub', 'sharded'].includes(mode)) problems.push(`redis.adapter.mode: must be 'pubsub' or 'sharded'`);
  if (key === '') problems.push('redis.adapter.key: is empty');
  if (!(requestsTimeoutMs > 0)) problems.push('redis.adapter.requestsTimeoutMs: must be above 0');
  return problems;
}
