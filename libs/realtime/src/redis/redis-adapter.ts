import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { AdapterPublisher } from './adapter-publisher.js';
import { AdapterSubscriber } from './adapter-subscriber.js';
import type { RedisConnection } from './redis-connection.js';

export type RedisAdapterFactory = ReturnType<typeof createAdapter> | ReturnType<typeof createShardedAdapter>;

export interface RedisAdapterHandle {
  /** For Socket.IO's `adapter` option. The first call connects. */
  readonly factory: RedisAdapterFactory;
  close(): Promise<void>;
}

interface FetchSocketsOptions {
  flags?: object;
}

/**
 * `@socket.io/redis-adapter` on two connections of its own, so that stock nodes and emitters understand us, with what it
 * lacks: no unhandled rejection, nothing queued for a Redis that is away, local delivery that never waits for it, and
 * decoding errors that end nothing. Queries of other nodes end after `requestsTimeoutMs`.
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
