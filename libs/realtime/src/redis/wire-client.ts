import type { ResolvedRedisOptions } from './redis-options.js';
import type { RedisScript } from './script-runner.js';

/**
 * The kinds of node-redis clients (one server, Sentinel, Cluster) behind one small face. Refuses to decide when to
 * connect and when to give up: that is `RedisLink`'s. Nothing here has an offline queue: what was never sent stays with
 * who can refuse it at its deadline.
 */
export interface WireClient {
  /** Rejects if the server cannot be used; then, and after `end`, the client is to be destroyed. */
  connect(): Promise<void>;
  readonly isReady: boolean;
  /** Notices by itself that a server answers nothing any more: of several, only that one's connection is given up. */
  readonly isWatchful?: boolean;
  listen(events: WireEvents): void;
  /**
   * Sends at once, or rejects. With a `passage` a Redis Cluster may hold the command while its slot is on the move or has
   * no master, and keeps the order of the slot's commands; without one it has a single try.
   */
  send(command: WireCommand, passage?: Passage): Promise<unknown>;
  /** Every server that publishes: what each of them sends must be heard. One, but for a Redis Cluster. */
  readonly shards: readonly WireShard[];
  subscribe(channels: readonly string[], listener: (message: string, channel: string) => void): Promise<void>;
  unsubscribe(channels: readonly string[]): Promise<void>;
  /** One try; a Redis Cluster takes it on any master. Resolves with what the server says. */
  publish(channel: string, message: string | Buffer): Promise<unknown>;
  /** One try, on the master of the channel's slot. */
  sPublish(channel: string, message: string | Buffer): Promise<unknown>;
  /** For the Socket.IO adapter, which hears buffers. */
  readonly raw: NodeRedisSubscriber;
  destroy(): void;
}

export interface WireCommand {
  /** What decides the cluster's node; undefined: any. */
  readonly key?: string | undefined;
  /** The whole command, or with `script` what follows the script in EVAL. */
  readonly args: readonly string[];
  readonly script?: RedisScript | undefined;
}

/** One command on its way, between its caller and the client. */
export interface Passage {
  /** Its caller has its answer, or has given up: it must not be sent any more. */
  readonly isOver: boolean;
  /** Whether Redis may have carried it out. The client says no while it holds the command. */
  isWritten: boolean;
}

export interface WireShard {
  readonly name: string;
  /** One try. */
  send(args: readonly string[]): Promise<unknown>;
}

export interface WireEvents {
  change(isReady: boolean): void;
  /** Every shard is connected, after some were not. */
  whole?(): void;
  /** Also for every failed attempt to connect. */
  error(error: Error): void;
  /** It will not be ready again by itself. */
  end(): void;
  /** A sharded channel lost its subscription, because its slot has moved. */
  lost(channel: string): void;
}

/** What a connection is for: only a Redis Cluster makes a difference. */
export type WireRole = 'commands' | 'subscriptions';

/** Makes the clients of one `redis` option; what they must know in common (who is master, who has which slot) is shared. */
export interface WireClients {
  create(role: WireRole): WireClient;
  /** While it is watched, `onMoved` is called when connections now lead to the wrong server. Returns its own end. */
  watch(onMoved: () => void): () => void;
}

/** What the Socket.IO adapter calls on a subscribing node-redis client of any kind. */
export interface NodeRedisSubscriber {
  subscribe(channel: string, listener: BufferListener, asBuffer: true): Promise<void>;
  pSubscribe(pattern: string, listener: BufferListener, asBuffer: true): Promise<void>;
  sSubscribe(channel: string, listener: BufferListener, asBuffer: true): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  pUnsubscribe(pattern: string): Promise<void>;
  sUnsubscribe(channel: string): Promise<void>;
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
