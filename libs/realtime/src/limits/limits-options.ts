import { descriptorReserve, fileDescriptorLimit } from '../core/file-descriptors.js';
import type { TokenBucketLimit } from './token-bucket.js';

/** Bytes of history for each message that a transport may send. */
const HISTORY_BYTES_PER_MESSAGE = 16_384;
/** Bytes of history that may be answered after a pause, whatever the rate: clients that come back need them. */
const MIN_HISTORY_BYTES = 2_097_152;

/** Limits of `RealtimeModule`. Each protects a node or its neighbours; the app's own rules belong into `@Throttle()`. */
export interface LimitsOptions {
  /**
   * Messages per second of one transport, all its namespaces and unknown events included. A CONNECT counts as 10 of them, or as a
   * 20th of `burst` if that is less. Beyond: `RATE_LIMITED`. What rooms have kept is answered at 16 KiB for each of them, and
   * 2 MiB at once at least; beyond, who asks for more is `RATE_LIMITED`. 0: no limit of either.
   * @default 100
   */
  messagesPerSecond?: number | undefined;
  /** Messages that may come at once after a pause, and times 16 KiB of history. @default twice `messagesPerSecond` */
  burst?: number | undefined;
  /**
   * Rooms per second that one transport may join, each room of a list for itself. Beyond: `RATE_LIMITED`, room by room. 0: no limit.
   * @default 100; 0 if `maxRooms` is 0
   */
  joinsPerSecond?: number | undefined;
  /** Rooms that a transport may join at once after a pause: it may come back with several namespaces. @default twice `maxRooms`, at least 256 */
  joinBurst?: number | undefined;
  /**
   * Transports whose `messagesPerSecond` and `joinsPerSecond` one user may use together on a node, bursts included. A transport that
   * replaces another one goes on with its share. Beyond: `RATE_LIMITED`; it ends no transport. 0: no limit.
   * @default 20
   */
  userShares?: number | undefined;
  /**
   * Rooms per second that one user may join on a node which does not serve them yet, with a burst of `userShares` times `joinBurst`.
   * Beyond: `RATE_LIMITED`, room by room. 0: no limit, as with `userShares` 0.
   * @default 10 for each of `userShares`; 0 if `maxRooms` is 0
   */
  newRoomsPerSecond?: number | undefined;
  /** Largest message of a client, in bytes. Beyond: the transport closes with 1009. At least 1 024. @default 65_536 */
  maxPayloadBytes?: number | undefined;
  /** Rooms that one connection may be in. Beyond: `LIMIT_EXCEEDED`. 0: no limit. @default 128 */
  maxRooms?: number | undefined;
  /** Namespaces that one transport may open. Beyond: `LIMIT_EXCEEDED`. 0: those that gateways declare and 4 more. @default 0 */
  namespacesPerTransport?: number | undefined;
  /**
   * Namespaces that this node has of gateways whose `namespace` is a pattern: each is a subscription in Redis. Beyond, a CONNECT
   * that would make one more is answered `UNAVAILABLE` with `retryAfterMs`. 0: no limit. @default 1_000
   */
  dynamicNamespaces?: number | undefined;
  /**
   * Bytes that may wait for a client that reads slowly; beyond it the transport is terminated (`SLOW_CONSUMER`). Volatile
   * messages never wait: Socket.IO leaves them out. 0: no limit, and memory without bound. @default 1_048_576
   */
  maxSendBufferBytes?: number | undefined;
  /** Messages that may wait for a client, whatever their size: each costs memory of its own. 0: no limit. @default 16_384 */
  maxSendBufferMessages?: number | undefined;
  /** Transports of this node. */
  transports?: TransportsOptions | undefined;
  /** Transports that this node accepts in one second, with a burst of two seconds' worth; beyond: as `transports.soft`. 0: no limit. @default 0 */
  newTransportsPerSecond?: number | undefined;
  /** Transports of one user in the whole cluster. */
  transportsPerUser?: TransportsPerUserOptions | undefined;
  /** Transports of one IPv4 address or IPv6 /64 on this node; beyond: as `transports.soft`, with `RATE_LIMITED`. 0: no limit. @default 0 */
  transportsPerIp?: number | undefined;
  /**
   * CONNECTs of one IPv4 address or IPv6 /64 on this node that may fail for their credentials. Beyond: `RATE_LIMITED`, before the
   * credentials are looked at. Those that succeed never count. The last half of `burst` is for transports that have not failed yet.
   */
  failedConnectsPerIp?: FailedConnectsOptions | undefined;
  /**
   * Transports of one IPv4 address or IPv6 /64 on this node that have not asked for a namespace yet. Beyond: 429. 0: no limit.
   * @default 1_000, or half of what the file descriptors allow in transports if that is less
   */
  silentTransportsPerIp?: number | undefined;
  /** When a connection that goes on sending beyond its rate is closed. */
  abuse?: AbuseOptions | undefined;
}

export interface TransportsOptions {
  /** Beyond: 503 on the upgrade. 0: no limit. @default the process's file descriptors less a tenth (64 to 1 024) */
  hard?: number | undefined;
  /** Beyond: accepted, and CONNECT is answered `UNAVAILABLE` with `retryAfterMs` (browsers cannot see a 503). 0: no limit. @default 0 */
  soft?: number | undefined;
}

export interface TransportsPerUserOptions {
  /** 0: no limit. @default 0 */
  max?: number | undefined;
  /** `reject` the new transport with `LIMIT_EXCEEDED`, or make room by ending the user's oldest. @default 'reject' */
  onFull?: 'reject' | 'evict-oldest' | undefined;
  /** While the registry cannot be asked: admit and count, or refuse with `UNAVAILABLE`. @default 'allow' */
  whenUnavailable?: 'allow' | 'reject' | undefined;
  /**
   * A new transport ends those of the same user with the same device label (`auth.rt.device`), whatever `max` is: for apps whose
   * clients have one connection and a label of their own each. With one label for all tabs, a tab would end the others.
   * @default false
   */
  replaceDevice?: boolean | undefined;
}

export interface FailedConnectsOptions {
  /** How many may fail each second. 0: no limit. @default 50 */
  perSecond?: number | undefined;
  /** How many may fail at once after a pause. @default 500 */
  burst?: number | undefined;
}

export interface AbuseOptions {
  /** Refused messages within `windowMs` after which the connection is closed. 0: never. @default 1_000 */
  maxRefusals?: number | undefined;
  /** Milliseconds. @default 60_000 */
  windowMs?: number | undefined;
}

export interface ResolvedLimitsOptions {
  readonly messagesPerSecond: number;
  readonly burst: number;
  readonly joinsPerSecond: number;
  readonly joinBurst: number;
  readonly userShares: number;
  readonly newRoomsPerSecond: number;
  readonly maxPayloadBytes: number;
  readonly maxRooms: number;
  readonly namespacesPerTransport: number;
  readonly dynamicNamespaces: number;
  readonly maxSendBufferBytes: number;
  readonly maxSendBufferMessages: number;
  readonly transports: Readonly<Required<{ hard: number; soft: number }>>;
  readonly newTransportsPerSecond: number;
  readonly transportsPerUser: {
    readonly max: number;
    readonly onFull: 'reject' | 'evict-oldest';
    readonly whenUnavailable: 'allow' | 'reject';
    readonly replaceDevice: boolean;
  };
  readonly transportsPerIp: number;
  readonly failedConnectsPerIp: { readonly perSecond: number; readonly burst: number };
  readonly silentTransportsPerIp: number;
  readonly abuse: { readonly maxRefusals: number; readonly windowMs: number };
}

/** Two lists of `realtime:join`. */
const LEAST_JOIN_BURST = 256;
/** A tenth of the joins: rooms that are opened one after the other all the time are not what people do. */
const NEW_ROOMS_PER_SHARE = 10;

/** Fills in the defaults; changes nothing it is given. Options that `checkLimitsOptions` refuses give nonsense. */
export function resolveLimitsOptions(
  options: LimitsOptions = {},
  descriptors: () => number | undefined = fileDescriptorLimit,
): ResolvedLimitsOptions {
  const messagesPerSecond = options.messagesPerSecond ?? 100;
  const maxRooms = options.maxRooms ?? 128;
  const userShares = options.userShares ?? 20;
  const defaultHard = defaultHardLimit(descriptors());
  return {
    messagesPerSecond,
    burst: options.burst ?? messagesPerSecond * 2,
    joinsPerSecond: options.joinsPerSecond ?? (maxRooms === 0 ? 0 : 100),
    joinBurst: options.joinBurst ?? Math.max(LEAST_JOIN_BURST, 2 * maxRooms),
    userShares,
    newRoomsPerSecond: options.newRoomsPerSecond ?? (maxRooms === 0 ? 0 : NEW_ROOMS_PER_SHARE * userShares),
    maxPayloadBytes: options.maxPayloadBytes ?? 65_536,
    maxRooms,
    namespacesPerTransport: options.namespacesPerTransport ?? 0,
    dynamicNamespaces: options.dynamicNamespaces ?? 1_000,
    maxSendBufferBytes: options.maxSendBufferBytes ?? 1_048_576,
    maxSendBufferMessages: options.maxSendBufferMessages ?? 16_384,
    transports: {
      hard: options.transports?.hard ?? defaultHard,
      soft: options.transports?.soft ?? 0,
    },
    newTransportsPerSecond: options.newTransportsPerSecond ?? 0,
    transportsPerUser: {
      max: options.transportsPerUser?.max ?? 0,
      onFull: options.transportsPerUser?.onFull ?? 'reject',
      whenUnavailable: options.transportsPerUser?.whenUnavailable ?? 'allow',
      replaceDevice: options.transportsPerUser?.replaceDevice ?? false,
    },
    transportsPerIp: options.transportsPerIp ?? 0,
    failedConnectsPerIp: {
      perSecond: options.failedConnectsPerIp?.perSecond ?? 50,
      burst: options.failedConnectsPerIp?.burst ?? 500,
    },
    silentTransportsPerIp: options.silentTransportsPerIp ?? defaultSilent(defaultHard),
    abuse: { maxRefusals: options.abuse?.maxRefusals ?? 1_000, windowMs: options.abuse?.windowMs ?? 60_000 },
  };
}

function defaultHardLimit(descriptors: number | undefined): number {
  return descriptors === undefined ? 0 : Math.max(1, descriptors - descriptorReserve(descriptors));
}

/** Bytes of what rooms have kept that clients are answered: a message that asks for them costs what its answer weighs. */
export function historyLimit({ messagesPerSecond, burst }: ResolvedLimitsOptions): TokenBucketLimit {
  return {
    perSecond: messagesPerSecond * HISTORY_BYTES_PER_MESSAGE,
    burst: Math.max(burst * HISTORY_BYTES_PER_MESSAGE, MIN_HISTORY_BYTES),
  };
}

/** What ten thousand users behind one address need who come back within seconds: a connection is silent for a round trip. */
const SILENT_TRANSPORTS = 1_000;

function defaultSilent(defaultHard: number): number {
  return defaultHard === 0 ? SILENT_TRANSPORTS : Math.min(SILENT_TRANSPORTS, Math.ceil(defaultHard / 2));
}

/** Refusals as a bucket: one token for each refused message; when none is left, the connection has gone too far. */
export function abuseLimit({ maxRefusals, windowMs }: ResolvedLimitsOptions['abuse']): TokenBucketLimit {
  return { perSecond: (maxRefusals * 1_000) / windowMs, burst: maxRefusals };
}
