import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { AdapterPublisher } from './adapter-publisher.js';
import { AdapterSubscriber } from './adapter-subscriber.js';
import type { RedisConnection } from './redis-connection.js';
import { answerSafely, type Answering } from './remote-questions.js';

export type RedisAdapterFactory = ReturnType<typeof createAdapter> | ReturnType<typeof createShardedAdapter>;

export interface RedisAdapterHandle {
  /** For Socket.IO's `adapter` option. The first call connects. */
  readonly factory: RedisAdapterFactory;
  close(): Promise<void>;
}

interface FetchSocketsOptions {
  flags?: object;
}

/** What is used of the adapter for one Redis (not the sharded one) beyond its types. */
interface Echoed {
  readonly uid?: unknown;
  onmessage?: (pattern: string | null, channel: string, message: Buffer) => void;
}

/**
 * `@socket.io/redis-adapter` on two connections of its own, so that stock nodes and emitters understand us, with what it
 * lacks: no unhandled rejection, nothing queued for a Redis that is away, local delivery that never waits for it, and
 * errors in decoding and in answering that end nothing. Queries of other nodes end after `requestsTimeoutMs`.
 */
export function createRedisAdapter(connection: RedisConnection): RedisAdapterHandle {
  const publisher = new AdapterPublisher(connection);
  const subscriber = new AdapterSubscriber(connection);
  const { mode, key, requestsTimeoutMs } = connection.options.adapter;
  const create =
    mode === 'sharded'
      ? createShardedAdapter(publisher, subscriber, { channelPrefix: key })
      : createAdapter(publisher, subscriber, { key, requestsTimeout: requestsTimeoutMs });
  let isOpen = false;
  // Socket.IO calls it with `new`: it cannot be an arrow function.
  const factory = function (namespace: never) {
    if (!isOpen) {
      isOpen = true;
      publisher.open();
      subscriber.open();
    }
    const adapter = create(namespace);
    ignoreEchoes(adapter as unknown as Echoed);
    answerSafely(adapter as unknown as Answering, connection);
    const fetchSockets = adapter.fetchSockets.bind(adapter) as (options: FetchSocketsOptions) => Promise<never>;
    // The sharded adapter has no option for its deadline of 5 s, but takes one with each call.
    adapter.fetchSockets = (options: FetchSocketsOptions) =>
      fetchSockets({ ...options, flags: { timeout: requestsTimeoutMs, ...options.flags } });
    return adapter;
  } as RedisAdapterFactory;
  return {
    factory,
    close: () => {
      publisher.close();
      subscriber.close();
      return Promise.resolve();
    },
  };
}

/**
 * A node hears what it has published itself. The adapter decodes that to find out who has sent it; its own id is in the first
 * bytes (MessagePack: an array of three, a short string).
 */
function ignoreEchoes(adapter: Echoed): void {
  const { uid, onmessage } = adapter;
  if (typeof onmessage !== 'function' || typeof uid !== 'string' || uid.length > 31) return;
  const ownStart = Buffer.concat([Buffer.from([0x93, 0xa0 | uid.length]), Buffer.from(uid)]);
  adapter.onmessage = function (pattern, channel, message) {
    const isOwn = message.length > ownStart.length && ownStart.compare(message, 0, ownStart.length) === 0;
    if (!isOwn) onmessage.call(this, pattern, channel, message);
  };
}
