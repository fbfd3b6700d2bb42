import { createClient, createCluster, createSentinel, type RedisClientOptions } from 'redis';
import type { ResolvedRedisOptions } from './redis-options.js';

/**
 * The three kinds of node-redis clients behind one small face. Every client made here has an explicit reconnect
 * strategy beside its socket timeout, a bounded queue and no offline queue. Refuses to decide when to connect: that is
 * `RedisLink`'s.
 */
export interface WireClient {
  connect(): Promise<void>;
  /** Rejects at once when the client is not connected. `key`: what decides the cluster's node, undefined for any. */
  send(key: string | undefined, args: readonly string[]): Promise<unknown>;
  subscribe(channels: readonly string[], listener: (message: string, channel: string) => void): Promise<void>;
  unsubscribe(channels: readonly string[]): Promise<void>;
  /** Subscriptions of the Socket.IO adapter, which speaks buffers. */
  readonly raw: NodeRedisClient;
  /** `isReady` changed, or an error was seen. */
  onChange(listener: (isReady: boolean, error?: Error) => void): void;
  destroy(): void;
}

/** What the Socket.IO adapter calls on a node-redis client of any kind. */
export interface NodeRedisClient {
  subscribe(channel: string, listener: BufferListener, asBuffer: true): Promise<void>;
  pSubscribe(pattern: string, listener: BufferListener, asBuffer: true): Promise<void>;
  sSubscribe(channel: string, listener: BufferListener, asBuffer: true): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  pUnsubscribe(pattern: string): Promise<void>;
  sUnsubscribe(channel: string): Promise<void>;
  publish(channel: string, message: string | Buffer): Promise<unknown>;
  sPublish(channel: string, message: string | Buffer): Promise<unknown>;
}

export type BufferListener = (message: Buffer, channel: Buffer) => void;

/** Full jitter, so that a fleet does not return in step: uniform in [20 ms, min(2 s, 50 ms · 2^attempt)]. */
export function reconnectDelayMs(attempt: number, random: () => number = Math.random): number {
  const capMs = Math.min(2_000, 50 * 2 ** Math.min(attempt, 10));
  return 20 + Math.floor(random() * (capMs - 20));
}

/**
 * Time-outs of a socket. `socketTimeout` alone would close the client for good (node-redis' default strategy gives up
 * on that error), so it never goes without `reconnectStrategy`. It lies above the probes' interval: only a connection
 * that answers nothing, not even the handshake, meets it.
 */
export function socketTimeouts(options: ResolvedRedisOptions): {
  connectTimeout: number;
  socketTimeout: number;
  reconnectStrategy: (retries: number) => number;
} {
  return {
    connectTimeout: options.connectTimeoutMs,
    socketTimeout: Math.max(options.connectTimeoutMs, options.probeIntervalMs + options.probeTimeoutMs),
    reconnectStrategy: (retries) => reconnectDelayMs(retries),
  };
}

/** Host and port for messages; never a password. */
export function describeAddress(options: ResolvedRedisOptions): string {
  const { url, socket, sentinel, cluster } = options.address;
  if (url !== undefined) {
    if (url.startsWith('unix:')) return url.replace(/^unix:\/\/([^@/]*@)?/, '').replace(/\?.*$/, '');
    const { hostname, port } = new URL(url);
    return `${hostname}:${port || '6379'}`;
  }
  if (socket !== undefined) return socket.path ?? `${socket.host}:${socket.port ?? 6379}`;
  const nodes = (sentinel ?? cluster)?.nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  if (sentinel !== undefined) return `Sentinel ${sentinel.name} at ${nodes}`;
  return cluster !== undefined ? `cluster at ${nodes}` : "the app's own client";
}

export function createWireClient(options: ResolvedRedisOptions): WireClient {
  if (options.address.sentinel !== undefined) return sentinelClient(options, options.address.sentinel);
  if (options.address.cluster !== undefined) return clusterClient(options, options.address.cluster);
  return standaloneClient(options);
}

function shared(options: ResolvedRedisOptions) {
  const tls = options.tls === false ? {} : { ...(options.tls === true ? {} : options.tls), tls: true as const };
  return {
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.database === undefined ? {} : { database: options.database }),
    // Without an offline queue of its own: what was never sent must stay ours, to be refused at its deadline.
    disableOfflineQueue: true,
    commandsQueueMaxLength: options.maxQueuedCommands,
    maintNotifications: 'disabled' as const,
    socket: { ...tls, ...socketTimeouts(options) },
  };
}

function standaloneClient(options: ResolvedRedisOptions): WireClient {
  const { client: own, url, socket } = options.address;
  const base = shared(options);
  // The kinds of socket options (TCP, IPC, TLS) are a union that cannot be spread together in types.
  const sockets = { ...own?.options.socket, ...socket, ...base.socket } as NonNullable<RedisClientOptions['socket']>;
  const settings = { ...base, ...(url === undefined ? {} : { url: completeUrl(url, options) }), socket: sockets };
  const client = own === undefined ? createClient(settings) : own.duplicate(settings);
  return {
    connect: async () => void (await client.connect()),
    send: (_key, args) => client.sendCommand([...args]),
    subscribe: (channels, listener) => client.subscribe([...channels], listener),
    unsubscribe: (channels) => client.unsubscribe([...channels]),
    raw: client,
    onChange: (listener) => {
      client.on('ready', () => listener(true));
      client.on('error', (error: Error) => listener(client.isReady, error));
      client.on('end', () => listener(false));
    },
    destroy: () => {
      if (client.isOpen) client.destroy();
    },
  };
}

/** node-redis lets the url win over options and throws, with the url in the message, when the two disagree about TLS. */
function completeUrl(url: string, options: ResolvedRedisOptions): string {
  if (url.startsWith('unix:')) return url;
  const complete = new URL(options.tls === false ? url : url.replace(/^redis:/, 'rediss:'));
  if (options.username !== undefined) complete.username = options.username;
  if (options.password !== undefined) complete.password = options.password;
  if (options.database !== undefined) complete.pathname = `/${options.database}`;
  return complete.href;
}

function sentinelClient(
  options: ResolvedRedisOptions,
  { name, nodes }: NonNullable<ResolvedRedisOptions['address']['sentinel']>,
): WireClient {
  const { disableOfflineQueue: _queued, ...node } = shared(options);
  const client = createSentinel({
    name,
    sentinelRootNodes: [...nodes],
    nodeClientOptions: node,
    sentinelClientOptions: { socket: node.socket },
  });
  return {
    connect: async () => void (await client.connect()),
    send: (_key, args) => client.sendCommand(false, [...args]),
    subscribe: (channels, listener) => client.subscribe([...channels], listener),
    unsubscribe: (channels) => client.unsubscribe([...channels]),
    raw: client,
    onChange: (listener) => {
      client.on('ready', () => listener(true));
      client.on('error', (error: Error) => listener(client.isReady, error));
    },
    destroy: () => {
      if (client.isOpen) client.destroy().catch(() => undefined);
    },
  };
}

function clusterClient(
  options: ResolvedRedisOptions,
  { nodes }: NonNullable<ResolvedRedisOptions['address']['cluster']>,
): WireClient {
  const { database: _zero, disableOfflineQueue: _queued, ...defaults } = shared(options);
  const client = createCluster({ rootNodes: nodes.map((socket) => ({ socket })), defaults });
  return {
    connect: async () => void (await client.connect()),
    send: (key, args) => client.sendCommand(key, false, [...args]),
    subscribe: (channels, listener) => client.subscribe([...channels], listener),
    unsubscribe: (channels) => client.unsubscribe([...channels]),
    raw: client,
    onChange: (listener) => {
      client.on('connect', () => listener(true));
      client.on('error', (error: Error) => listener(client.isOpen, error));
    },
    destroy: () => {
      if (client.isOpen) client.destroy();
    },
  };
}
