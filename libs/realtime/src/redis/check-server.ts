import type { ResolvedRedisOptions } from './redis-options.js';
import type { WireShard } from './wire-client.js';

/** Between this clock and Redis' beyond which someone should look: token times and last-seen are compared with it. */
const SKEW_MS = 5_000;

interface Checked {
  readonly shards: readonly WireShard[];
  readonly options: ResolvedRedisOptions;
}

/**
 * What is wrong with these servers for us, each thing once, in whole sentences. Never rejects: a server that tells nothing
 * is not complained about.
 */
export async function checkServer({ shards, options }: Checked, unixNow: number): Promise<string[]> {
  const warnings = await Promise.all(shards.map((shard) => checkShard(shard, { options, unixNow })));
  return [...new Set(warnings.flat())];
}

async function checkShard(
  shard: WireShard,
  { options, unixNow }: { options: ResolvedRedisOptions; unixNow: number },
): Promise<string[]> {
  try {
    const [info, time] = await Promise.all([shard.send(['INFO']), shard.send(['TIME'])]);
    return [
      ...evictionWarnings(String(info)),
      ...kindWarnings(String(info), options),
      ...versionWarnings(String(info), options),
      ...skewWarnings(time, unixNow),
    ];
  } catch (error) {
    const isForbidden = error instanceof Error && error.message.startsWith('NOPERM');
    return isForbidden
      ? [`Redis tells this user nothing about itself (${error.message}): failovers are not noticed; allow +info`]
      : [];
  }
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}

function evictionWarnings(info: string): string[] {
  const policy = field(info, 'maxmemory_policy') ?? 'noeviction';
  const isBounded = Number(field(info, 'maxmemory') ?? 0) > 0;
  if (!isBounded || !policy.startsWith('allkeys')) return [];
  return [
    `Redis evicts any key when it is full (maxmemory-policy ${policy}): presence and history can vanish; use noeviction`,
  ];
}

function kindWarnings(info: string, { address }: ResolvedRedisOptions): string[] {
  const mode = field(info, 'redis_mode');
  if (mode === 'cluster' && address.cluster === undefined) {
    return ['this Redis is a node of a cluster: give redis.cluster, or most commands will be refused (MOVED)'];
  }
  return mode === 'sentinel' ? ['this is a Redis Sentinel, not a Redis: give redis.sentinel'] : [];
}

function versionWarnings(info: string, { adapter }: ResolvedRedisOptions): string[] {
  const version = field(info, 'redis_version') ?? '';
  const major = Number.parseInt(version, 10);
  if (adapter.mode !== 'sharded' || !(major < 7)) return [];
  return [`redis.adapter.mode 'sharded' needs Redis 7, this is ${version}: emits reach local members only`];
}

function skewWarnings(time: unknown, unixNow: number): string[] {
  if (!Array.isArray(time)) return [];
  const skewMs = Math.round(Number(time[0]) * 1_000 + Number(time[1]) / 1_000 - unixNow);
  if (!(Math.abs(skewMs) > SKEW_MS)) return [];
  return [`the clock of this node and that of Redis differ by ${skewMs} ms: check time synchronisation`];
}
