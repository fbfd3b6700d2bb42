import type { RedisClientType } from 'redis';
import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** Where Redis is: exactly one of `url`, `socket`, `sentinel`, `cluster` and `client`. */
export interface RedisAddress {
  /** `redis[s]://[user[:password]@]host[:port][/database]` or `unix:///path`. */
  url?: string | undefined;
  /** Host and port (default 6379), or the path of a Unix socket. */
  socket?: { host?: string | undefined; port?: number | undefined; path?: string | undefined } | undefined;
  /** Redis Sentinel: the name of the master and all sentinels: more than half of those named here are asked each time. */
  sentinel?: RedisSentinelAddress | undefined;
  /** Redis Cluster: some of its nodes; the others are found through them. */
  cluster?: { nodes: readonly RedisNodeAddress[] } | undefined;
  /** The app's own node-redis client. Only its settings are used (`duplicate()`): it is never connected, used or closed. */
  client?: Pick<RedisClientType, 'duplicate' | 'options'> | undefined;
}

export interface RedisSentinelAddress {
  name: string;
  nodes: readonly RedisNodeAddress[];
  /** ACL user of the sentinels themselves. Default: none. */
  username?: string | undefined;
  /** Of the sentinels themselves (`requirepass`). Default: none. Never logged. */
  password?: string | undefined;
}

export interface RedisNodeAddress {
  host: string;
  port: number;
}

/** The Socket.IO adapter for ephemeral emits. */
export interface RedisAdapterOptions {
  /**
   * `pubsub`: one pattern subscription a namespace, works with every Redis and beside stock pods.
   * `sharded`: only the nodes that have members get a message; needs Redis 7. Default `pubsub`.
   */
  mode?: 'pubsub' | 'sharded' | undefined;
  /**
   * Prefix of the adapter's channels, as in `@socket.io/redis-adapter`. Default `socket.io` with the default `keyPrefix`, else
   * `socket.io:<keyPrefix>/`, so that two apps on one Redis are apart. Stock nodes and `@socket.io/redis-emitter` need the same.
   */
  key?: string | undefined;
  /** Milliseconds `fetchSockets()` and the like wait for other nodes. Default 1 000. Must be above 0. */
  requestsTimeoutMs?: number | undefined;
}

export interface RedisOptions extends RedisAddress {
  /** `true` or the options of Node's `tls.connect`. Default: off, or on with a `rediss:` url. */
  tls?: boolean | TlsOptions | undefined;
  /** ACL user. Default: the url's, or Redis' own default user. */
  username?: string | undefined;
  /** Default: the url's, or none. Never logged. */
  password?: string | undefined;
  /** Number of the database; only 0 with `cluster`. Channels are shared by all databases. Default: the url's, or 0. */
  database?: number | undefined;
  /** Put before every key and channel of ours: 1 to 64 of `A-Z a-z 0-9 _ . : -`. Two apps on one Redis need two. Default `rt:`. */
  keyPrefix?: string | undefined;
  /** Milliseconds for one attempt to connect, and the wait at boot with `required`. Default 5 000. Must be above 0. */
  connectTimeoutMs?: number | undefined;
  /** Milliseconds from a command's call to its answer; past it the call rejects with `UNAVAILABLE`. Default 5 000. Must be above 0. */
  commandTimeoutMs?: number | undefined;
  /** Most commands that wait for Redis or for its answer; one more rejects at once with `UNAVAILABLE`. Default 10 000. Must be above 0. */
  maxQueuedCommands?: number | undefined;
  /** Boot fails when Redis could not be reached within `connectTimeoutMs`. Default false: boot goes on, degraded. */
  required?: boolean | undefined;
  /** Milliseconds between two probes of each connection. Default 2 000. Must be above 0. */
  probeIntervalMs?: number | undefined;
  /** Milliseconds without an answer after which a connection is given up and made anew. Default 4 000. Above `probeIntervalMs`. */
  probeTimeoutMs?: number | undefined;
  /** Longest message between nodes, in bytes; longer ones are refused by the publisher and dropped by the receiver. Default 4 194 304. */
  maxMessageBytes?: number | undefined;
  /** The Socket.IO adapter for ephemeral emits. */
  adapter?: RedisAdapterOptions | undefined;
}

export interface ResolvedRedisOptions {
  readonly address: RedisAddress;
  readonly tls: boolean | TlsOptions;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number | undefined;
  readonly keyPrefix: string;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly maxQueuedCommands: number;
  readonly required: boolean;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly maxMessageBytes: number;
  readonly adapter: { readonly mode: 'pubsub' | 'sharded'; readonly key: string; readonly requestsTimeoutMs: number };
}

const DEFAULT_KEY_PREFIX = 'rt:';
/** That of `@socket.io/redis-adapter`. */
const DEFAULT_ADAPTER_KEY = 'socket.io';

/** Fills in the defaults; changes nothing it was given. Check the options first. */
export function resolveRedisOptions(options: RedisOptions): ResolvedRedisOptions {
  const { url, socket, sentinel, cluster, client, keyPrefix = DEFAULT_KEY_PREFIX } = options;
  return {
    address: { url, socket, sentinel, cluster, client },
    tls: options.tls ?? false,
    username: options.username,
    password: options.password,
    database: options.database,
    keyPrefix,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    commandTimeoutMs: options.commandTimeoutMs ?? 5_000,
    maxQueuedCommands: options.maxQueuedCommands ?? 10_000,
    required: options.required ?? false,
    probeIntervalMs: options.probeIntervalMs ?? 2_000,
    probeTimeoutMs: options.probeTimeoutMs ?? 4_000,
    maxMessageBytes: options.maxMessageBytes ?? 4_194_304,
    adapter: {
      mode: options.adapter?.mode ?? 'pubsub',
      key: options.adapter?.key ?? adapterKeyOf(keyPrefix),
      requestsTimeoutMs: options.adapter?.requestsTimeoutMs ?? 1_000,
    },
  };
}

/** The slash is in no prefix: or `x-request` would have the channel of broadcasts that `x` has for requests. */
function adapterKeyOf(keyPrefix: string): string {
  return keyPrefix === DEFAULT_KEY_PREFIX ? DEFAULT_ADAPTER_KEY : `${DEFAULT_ADAPTER_KEY}:${keyPrefix}/`;
}
