import type { RealtimeLogger } from '../core/logger.js';
import type { Retention } from '../history/room-log.js';
import { checkRedisOptions } from '../redis/check-redis-options.js';
import type { RedisOptions } from '../redis/redis-options.js';
import { checkRetention } from '../rooms/room-policies.js';

export interface RealtimeEmitterOptions {
  /** The app's own `redis` options: the same Redis and the same `keyPrefix`, or nobody hears it. */
  redis: RedisOptions;
  /** Milliseconds until a publication is given up, as `rooms.publishTimeoutMs`. Default 5 000. Must be above 0. */
  publishTimeoutMs?: number | undefined;
  /** What users' own rooms keep, as the app's `rooms.userHistory`. Default `{ size: 100, ttlMs: 86_400_000 }`. */
  userHistory?: Retention | false | undefined;
  /** Milliseconds that a revocation is kept, as the app's `auth.maxTokenLifeMs`. Default 86 400 000. Must be above 0. */
  maxTokenLifeMs?: number | undefined;
  /** Default `console`; says when Redis goes away and comes back. */
  logger?: RealtimeLogger | undefined;
}

export interface ResolvedEmitterOptions {
  readonly redis: RedisOptions;
  readonly publishTimeoutMs: number;
  readonly userHistory: Retention | undefined;
  readonly maxTokenLifeMs: number;
  readonly logger: RealtimeLogger;
}

/** @throws Error naming every problem. */
export function resolveEmitterOptions(options: RealtimeEmitterOptions): ResolvedEmitterOptions {
  const { redis, publishTimeoutMs = 5_000, userHistory, maxTokenLifeMs = 86_400_000, logger = console } = options;
  const problems = checkRedisOptions(redis ?? {});
  for (const [name, value] of Object.entries({ publishTimeoutMs, maxTokenLifeMs })) {
    if (!(Number.isFinite(value) && value > 0)) problems.push(`${name}: must be above 0`);
  }
  if (userHistory) problems.push(...checkRetention(userHistory, 'userHistory'));
  if (problems.length > 0) throw new Error(`RealtimeEmitter cannot be used:\n- ${problems.join('\n- ')}`);
  return {
    // A hung server is given up as soon as a server that is away.
    redis: { ...redis, commandTimeoutMs: redis.commandTimeoutMs ?? publishTimeoutMs },
    publishTimeoutMs,
    userHistory: userHistory === false ? undefined : (userHistory ?? { size: 100, ttlMs: 86_400_000 }),
    maxTokenLifeMs,
    logger,
  };
}
