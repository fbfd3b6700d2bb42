import { hostname } from 'node:os';
import { checkAuthOptions } from './auth/check-auth-options.js';
import { resolveAuthOptions, type AuthOptions, type ResolvedAuthOptions } from './auth/auth-options.js';
import { checkOriginOptions, type OriginOptions } from './auth/origin.js';
import { randomId } from './core/ids.js';
import { checkLimitsOptions } from './limits/check-limits-options.js';
import { checkTrustProxy, type TrustProxy } from './limits/client-address.js';
import { resolveLimitsOptions, type LimitsOptions, type ResolvedLimitsOptions } from './limits/limits-options.js';
import type { Retention } from './history/room-log.js';
import { checkRedisOptions } from './redis/check-redis-options.js';
import type { RedisOptions } from './redis/redis-options.js';
import {
  resolveRequestsOptions,
  type RequestsOptions,
  type ResolvedRequestsOptions,
} from './requests/requests-options.js';
import { checkRetention } from './rooms/room-policies.js';
import { checkCompression, resolveCompression, type CompressionOptions } from './socketio/compression.js';
import type { DeflateOptions } from './socketio/deflated-frame.js';
import type { RealtimeAdapterDeps, RealtimeIoAdapter } from './socketio/realtime-io.adapter.js';

export type { RequestsOptions } from './requests/requests-options.js';

export interface RealtimeOptions {
  /** Who may connect. Required. */
  auth: AuthOptions;
  /** `false` or absent: one process, everything in memory. */
  redis?: RedisOptions | false | undefined;
  limits?: LimitsOptions | undefined;
  /** @default ['websocket']: no sticky sessions needed, and cheaper connects. Add 'polling' only behind sticky sessions. */
  transports?: readonly ('websocket' | 'polling')[] | undefined;
  /** Path of the Socket.IO server. @default '/socket.io' */
  path?: string | undefined;
  /** Browser origins that may connect: a list or a function. Absent: the page's host must be the server's own. */
  origins?: OriginOptions['origins'];
  /** Which proxies may say who the client is and which host it asked for. @default false */
  trustProxy?: TrustProxy | undefined;
  heartbeat?: HeartbeatOptions | undefined;
  /** Milliseconds for the headers of a request, for a transport's first namespace, for the attachments of a message. @default 10_000 */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds after which a message that was not answered is answered `TIMEOUT`. 0: never. @default 30_000 */
  handlerTimeoutMs?: number | undefined;
  /** Whether what a connection gets within one turn of the event loop leaves in one system call. @default true */
  coalesceWrites?: boolean | undefined;
  /** `false` or absent: nothing is compressed. */
  compression?: CompressionOptions | false | undefined;
  presence?: PresenceOptions | undefined;
  rooms?: RoomsOptions | undefined;
  requests?: RequestsOptions | undefined;
  cluster?: ClusterOptions | undefined;
  metrics?: MetricsOptions | undefined;
  drain?: DrainOptions | undefined;
  /** The other `ServerOptions` of Socket.IO; not those that the library owns. */
  socketio?: Readonly<Record<string, unknown>> | undefined;
  /** A subclass of `RealtimeIoAdapter`. */
  adapter?: (new (deps: RealtimeAdapterDeps) => RealtimeIoAdapter) | undefined;
  /** Hears of every unexpected failure, each time: clients cause as many as their limits allow. What it throws is logged and ignored. */
  onError?: ((error: unknown, context: ErrorContext) => void) | undefined;
}

export interface HeartbeatOptions {
  /** Milliseconds between pings. @default 25_000 */
  intervalMs?: number | undefined;
  /** Milliseconds to wait for the pong. @default 20_000 */
  timeoutMs?: number | undefined;
}

export interface PresenceOptions {
  /** Milliseconds in which changes are put together before clients are told. 0: at once. @default 100 */
  coalesceMs?: number | undefined;
  /** Milliseconds a lost connection's user has to come back before it leaves. 0: none. @default 5_000 */
  leaveGraceMs?: number | undefined;
  /** Users beyond which a room tells its count only. @default 1_000 */
  maxListed?: number | undefined;
  /** Milliseconds in which users may be missing after the storage lost everything. @default 6_000 */
  settleMs?: number | undefined;
}

export interface RoomsOptions {
  /** Milliseconds a room without members stays subscribed. @default 10_000 */
  lingerMs?: number | undefined;
  /**
   * Milliseconds in which a publication with history or an id is tried again while Redis is away. A try that is under way
   * then is waited for: up to `redis.commandTimeoutMs` more. 0: one try. @default 5_000
   */
  publishTimeoutMs?: number | undefined;
  /** What the own room of each user keeps of its publications; `false`: nothing. @default { size: 100, ttlMs: 86_400_000 } */
  userHistory?: Retention | false | undefined;
  /** Bytes of recent publications that a node keeps in memory, for all rooms together. 0: none. @default 16_777_216 */
  recentBytes?: number | undefined;
}

export interface DrainOptions {
  /** Milliseconds over which `RealtimeService.drain()` hands connections over. 0: at once. @default 15_000 */
  windowMs?: number | undefined;
}

export interface MetricsOptions {
  /** Milliseconds between summary lines in the log. 0: none. @default 60_000 */
  summaryMs?: number | undefined;
}

export interface ClusterOptions {
  /** Name of this node in answers, logs and `realtime:hello`; unique in the cluster. @default host name and a random suffix; clients see a random one */
  nodeId?: string | undefined;
  /** Milliseconds a node may be silent before the others take it for dead. @default 15_000 */
  leaseMs?: number | undefined;
  /** Milliseconds between renewals of the lease. @default 5_000 */
  renewMs?: number | undefined;
  /** Milliseconds between looks for dead nodes. @default 2_000 */
  watchMs?: number | undefined;
  /** Milliseconds until what a dead node left behind is removed for the second and last time. @default 60_000 */
  sweepAgainMs?: number | undefined;
  /** Milliseconds to wait for other nodes' answers. @default 1_000 */
  requestTimeoutMs?: number | undefined;
}

export interface ErrorContext {
  /** The event, or the hook that failed. */
  readonly event: string | undefined;
  readonly connectionId: string | undefined;
  readonly namespace: string | undefined;
  readonly userId: string | undefined;
}

export interface ResolvedRealtimeOptions {
  readonly auth: ResolvedAuthOptions;
  readonly redis: RedisOptions | undefined;
  readonly limits: ResolvedLimitsOptions;
  readonly transports: readonly ('websocket' | 'polling')[];
  readonly path: string;
  readonly origins: OriginOptions['origins'];
  readonly trustProxy: TrustProxy;
  readonly heartbeat: Readonly<Required<{ intervalMs: number; timeoutMs: number }>>;
  readonly connectTimeoutMs: number;
  readonly handlerTimeoutMs: number;
  readonly coalesceWrites: boolean;
  readonly compression: DeflateOptions | undefined;
  readonly presence: Readonly<{ coalesceMs: number; leaveGraceMs: number; maxListed: number; settleMs: number }>;
  readonly rooms: Readonly<{
    lingerMs: number;
    publishTimeoutMs: number;
    userHistory: Retention | undefined;
    recentBytes: number;
  }>;
  readonly requests: ResolvedRequestsOptions;
  readonly cluster: Readonly<{
    nodeId: string;
    shownId: string;
    leaseMs: number;
    renewMs: number;
    watchMs: number;
    sweepAgainMs: number;
    requestTimeoutMs: number;
  }>;
  readonly metrics: Readonly<{ summaryMs: number }>;
  readonly drain: Readonly<{ windowMs: number }>;
  readonly socketio: Readonly<Record<string, unknown>>;
  readonly adapter: RealtimeOptions['adapter'];
  readonly onError: RealtimeOptions['onError'];
}

/** Options of Socket.IO that the library's promises depend on, and where they are set instead. */
const OWNED: Readonly<Record<string, string>> = {
  adapter: 'redis.adapter',
  parser: 'the library',
  wsEngine: 'the library',
  cleanupEmptyChildNamespaces: "the library (a pattern's namespace ends after its last connection)",
  connectionStateRecovery: 'the library (its recovery comes after authentication)',
  transports: 'transports',
  path: 'path',
  cors: 'origins',
  pingInterval: 'heartbeat.intervalMs',
  pingTimeout: 'heartbeat.timeoutMs',
  connectTimeout: 'connectTimeoutMs',
  maxHttpBufferSize: 'limits.maxPayloadBytes',
  allowRequest: 'origins or auth.verify',
  destroyUpgrade: 'the library',
};

/** Fills in the defaults and changes nothing it was given. @throws Error that lists every problem, naming option and fix. */
export function resolveRealtimeOptions(options: RealtimeOptions): ResolvedRealtimeOptions {
  const problems = checkRealtimeOptions(options);
  if (problems.length > 0) throw new Error(`RealtimeModule has invalid options:\n- ${problems.join('\n- ')}`);
  const { heartbeat = {}, presence = {}, rooms = {}, cluster = {}, metrics = {} } = options;
  return {
    auth: resolveAuthOptions(options.auth),
    redis: options.redis === false ? undefined : options.redis,
    limits: resolveLimitsOptions(options.limits),
    transports: options.transports ?? ['websocket'],
    path: options.path ?? '/socket.io',
    origins: options.origins,
    trustProxy: options.trustProxy ?? false,
    heartbeat: { intervalMs: heartbeat.intervalMs ?? 25_000, timeoutMs: heartbeat.timeoutMs ?? 20_000 },
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    handlerTimeoutMs: options.handlerTimeoutMs ?? 30_000,
    coalesceWrites: options.coalesceWrites ?? true,
    compression: resolveCompression(options.compression),
    presence: {
      coalesceMs: presence.coalesceMs ?? 100,
      leaveGraceMs: presence.leaveGraceMs ?? 5_000,
      maxListed: presence.maxListed ?? 1_000,
      settleMs: presence.settleMs ?? 6_000,
    },
    rooms: {
      lingerMs: rooms.lingerMs ?? 10_000,
      publishTimeoutMs: rooms.publishTimeoutMs ?? 5_000,
      userHistory: rooms.userHistory === false ? undefined : (rooms.userHistory ?? { size: 100, ttlMs: 86_400_000 }),
      recentBytes: rooms.recentBytes ?? 16_777_216,
    },
    requests: resolveRequestsOptions(options.requests),
    cluster: {
      nodeId: cluster.nodeId ?? `${hostname()}-${randomId(4)}`,
      shownId: cluster.nodeId ?? randomId(6),
      leaseMs: cluster.leaseMs ?? 15_000,
      renewMs: cluster.renewMs ?? 5_000,
      watchMs: cluster.watchMs ?? 2_000,
      sweepAgainMs: cluster.sweepAgainMs ?? 60_000,
      requestTimeoutMs: cluster.requestTimeoutMs ?? 1_000,
    },
    metrics: { summaryMs: metrics.summaryMs ?? 60_000 },
    drain: { windowMs: options.drain?.windowMs ?? 15_000 },
    socketio: options.socketio ?? {},
    adapter: options.adapter,
    onError: options.onError,
  };
}

function checkRealtimeOptions(options: RealtimeOptions | undefined): string[] {
  if (typeof options !== 'object' || options === null) return ['options: an object is needed, with `auth` at least'];
  const { redis, socketio, transports, path } = options;
  const problems = [...checkAuthOptions(options.auth), ...checkLimitsOptions(options.limits)];
  if (redis !== undefined && redis !== false) problems.push(...checkRedisOptions(redis));
  problems.push(...checkOriginOptions(options.origins), ...checkTrustProxy(options.trustProxy));
  problems.push(...checkTimes(options), ...checkCompression(options));
  const isTransports =
    transports === undefined || (Array.isArray(transports) && transports.length > 0 && transports.every(isTransport));
  if (!isTransports) problems.push("transports: a list of 'websocket' and 'polling' is needed");
  if (path !== undefined && (typeof path !== 'string' || !path.startsWith('/')))
    problems.push("path: must start with '/'");
  for (const key of Object.keys(socketio ?? {})) {
    const owner = OWNED[key];
    if (owner !== undefined) problems.push(`socketio.${key}: belongs to ${owner}, set it there`);
  }
  return problems;
}

function isTransport(value: unknown): boolean {
  return value === 'websocket' || value === 'polling';
}

/** Each is a whole number; those in `positive` must be above 0. */
function checkTimes(options: RealtimeOptions): string[] {
  const { heartbeat = {}, presence = {}, rooms = {}, cluster = {}, metrics = {} } = options;
  const { userHistory, ...roomNumbers } = rooms;
  const mayBeZero = {
    handlerTimeoutMs: options.handlerTimeoutMs,
    ...named('presence', presence),
    ...named('rooms', roomNumbers),
    ...named('metrics', metrics),
    ...named('drain', options.drain ?? {}),
    ...named('requests', options.requests ?? {}),
  };
  const { nodeId, ...clusterTimes } = cluster;
  const positive = {
    connectTimeoutMs: options.connectTimeoutMs,
    ...named('heartbeat', heartbeat),
    ...named('cluster', clusterTimes),
  };
  const problems = [...checkNumbers(mayBeZero, 0), ...checkNumbers(positive, 1)];
  if (userHistory !== undefined && userHistory !== false)
    problems.push(...checkRetention(userHistory, 'rooms.userHistory'));
  if (nodeId !== undefined && !/^[\w.:-]{1,64}$/.test(nodeId))
    problems.push('cluster.nodeId: 1 to 64 letters, digits and . : _ - are allowed');
  const { leaseMs = 15_000, renewMs = 5_000 } = cluster;
  if (leaseMs < 2 * renewMs)
    problems.push('cluster.leaseMs: must be at least twice cluster.renewMs, or one lost renewal kills a node');
  return problems;
}

function named(prefix: string, group: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(group).map(([name, value]) => [`${prefix}.${name}`, value]));
}

function checkNumbers(group: Record<string, unknown>, least: number): string[] {
  return Object.entries(group)
    .filter(([, value]) => value !== undefined && !(Number.isInteger(value) && (value as number) >= least))
    .map(([name]) => `${name}: must be a whole number of at least ${least}`);
}
