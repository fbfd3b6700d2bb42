import type { ResolvedRedisOptions } from './redis-options.js';
import type { ScriptRunner } from './script-runner.js';

/** Between this clock and Redis' beyond which someone should look: token times and last-seen are compared with it. */
const SKEW_MS = 5_000;

type Checked = Pick<ScriptRunner, 'command'> & { readonly options: ResolvedRedisOptions };

/** What is wrong with this server for us, in whole sentences. Never rejects: a server that tells nothing is not complained about. */
export async function checkServer(redis: Checked, unixNow: number): Promise<string[]> {
  try {
    const [info, time] = await Promise.all([redis.command('INFO'), redis.command('TIME')]);
    return [
      ...evictionWarnings(String(info)),
      ...versionWarnings(String(info), redis.options),
      ...skewWarnings(time, unixNow),
    ];
  } catch {
    return [];
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
