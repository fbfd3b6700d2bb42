import type { RedisConnection } from './redis-connection.js';
import { RedisLink } from './redis-link.js';
import type { WireClient } from './wire-client.js';

/** What `PUBSUB NUMSUB` would say with this node alone. */
const ONLY_US: readonly [string, number] = ['', 1];

/**
 * What `@socket.io/redis-adapter` takes for a publishing node-redis client. Refuses to queue and to reject: without Redis, or
 * with too much on the way, an emit reaches the local members only, and is counted. Answers at once, because the sharded
 * adapter delivers locally only after the answer.
 */
export class AdapterPublisher {
  readonly #connection: RedisConnection;
  readonly #link: RedisLink;
  #onTheWay = 0;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.#link = new RedisLink(connection.options, connection.clock, {
      create: () => connection.clients.create('commands'),
      follow: (onMoved) => connection.clients.watch(onMoved),
      watch: true,
      on: { up: () => undefined, down: () => undefined, error: () => undefined },
    });
  }

  open(): void {
    this.#link.open();
  }

  close(): void {
    this.#link.close();
  }

  on(): this {
    return this;
  }

  off(): this {
    return this;
  }

  // The adapter looks for these to tell node-redis from ioredis; it never calls them on the publisher.
  pSubscribe(): Promise<void> {
    return Promise.resolve();
  }

  sSubscribe(): Promise<void> {
    return Promise.resolve();
  }

  publish(channel: string, message: string | Buffer): Promise<number> {
    return this.#send((client) => client.publish(channel, message));
  }

  sPublish(channel: string, message: string | Buffer): Promise<number> {
    return this.#send((client) => client.sPublish(channel, message));
  }

  /** Only `PUBSUB NUMSUB` and `PUBSUB SHARDNUMSUB`: how many nodes there are. Without an answer in time: this one. */
  sendCommand(args: readonly string[]): Promise<unknown> {
    const { clock, options, metrics } = this.#connection;
    return new Promise((resolve) => {
      // Never a rejection: it would end up unhandled in `serverSideEmit`.
      const giveUp = (): void => {
        metrics.dropped('adapter-query');
        resolve(ONLY_US);
      };
      const client = this.#link.client;
      if (client === undefined) return giveUp();
      const cancel = clock.after(options.adapter.requestsTimeoutMs, giveUp);
      void subscribersOf(client, args).then(resolve, giveUp).finally(cancel);
    });
  }

  readonly #sent = (): void => void (this.#onTheWay -= 1);

  readonly #failed = (): void => {
    this.#onTheWay -= 1;
    this.#connection.metrics.dropped('adapter-publish');
  };

  #send(publish: (client: WireClient) => Promise<unknown>): Promise<number> {
    const client = this.#link.client;
    if (client === undefined || this.#onTheWay >= this.#connection.options.maxQueuedCommands) {
      this.#connection.metrics.dropped('adapter-publish');
    } else {
      this.#onTheWay += 1;
      publish(client).then(this.#sent, this.#failed);
    }
    return Promise.resolve(0);
  }
}

/** Each master of a cluster knows its own subscribers only. One that is away has none: they hear nothing from here. */
async function subscribersOf({ shards }: WireClient, args: readonly string[]): Promise<unknown> {
  const answers = await Promise.allSettled(shards.map((shard) => shard.send(args)));
  const counts = answers.flatMap((answer) =>
    answer.status === 'fulfilled' && Array.isArray(answer.value) ? [Number(answer.value[1])] : [],
  );
  if (counts.length === 0) throw new Error('no server says who is subscribed');
  return [args[2], counts.reduce((sum, count) => sum + count, 0)];
}
