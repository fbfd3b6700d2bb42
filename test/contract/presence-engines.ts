import {
  MemoryPresenceStore,
  RedisConnection,
  RedisPresenceStore,
  parsePresenceChange,
  systemClock,
  type PresenceChange,
  type PresenceStore,
} from '../support/engines.js';
import { sharedRedis } from '../support/redis.js';

/** What was published on one room's channel. */
export class Channel {
  private readonly payloads: string[] = [];
  private readonly waiting = new Map<string, () => void>();

  constructor(private readonly send: (payload: string) => Promise<unknown>) {}

  readonly receive = (payload: string): void => {
    this.payloads.push(payload);
    this.waiting.get(payload)?.();
  };

  /** Every change so far: a marker goes the same way, and whatever was published before it has arrived before it. */
  async changes(): Promise<PresenceChange[]> {
    const marker = `fence ${this.waiting.size}`;
    const arrived = new Promise<void>((resolve) => this.waiting.set(marker, resolve));
    await this.send(marker);
    await arrived;
    return this.payloads
      .filter((payload) => payload.startsWith('p'))
      .map((payload) => {
        const change = parsePresenceChange(payload.slice(1));
        if (!change) throw new Error(`not a presence change: ${payload}`);
        return change;
      });
  }
}

export interface PresenceWorld extends AsyncDisposable {
  /** Two nodes on one storage. */
  readonly stores: readonly [PresenceStore, PresenceStore];
  listen(room: string): Promise<Channel>;
  /** The storage comes back empty. */
  loseEverything(): Promise<void>;
}

async function memoryWorld(): Promise<PresenceWorld> {
  const channels = new Map<string, Channel>();
  const store = new MemoryPresenceStore({
    clock: systemClock,
    publish: (channel, payload) => channels.get(channel)?.receive(payload),
  });
  return {
    stores: [store, store],
    listen: async (room) => {
      const channel: Channel = new Channel(async (payload) => channel.receive(payload));
      channels.set(`{${room}}:ch`, channel);
      return channel;
    },
    loseEverything: async () => store.reset(),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

async function redisWorld(): Promise<PresenceWorld> {
  const redis = await sharedRedis();
  const options = { url: redis.url, keyPrefix: redis.prefix };
  const connections = [new RedisConnection(options), new RedisConnection(options)] as const;
  await Promise.all(connections.map((connection) => connection.ready()));
  const client = await redis.client();
  const subscriber = await redis.client();
  return {
    stores: [new RedisPresenceStore(connections[0]), new RedisPresenceStore(connections[1])],
    listen: async (room) => {
      const name = `${redis.prefix}{${room}}:ch`;
      const channel = new Channel((payload) => client.publish(name, payload));
      await subscriber.subscribe(name, channel.receive);
      return channel;
    },
    loseEverything: async () => {
      for await (const keys of client.scanIterator({ MATCH: `${redis.prefix}*`, COUNT: 1_000 })) {
        if (keys.length > 0) await client.del(keys);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(connections.map((connection) => connection.close()));
      await redis[Symbol.asyncDispose]();
    },
  };
}

export const presenceWorlds: Record<string, () => Promise<PresenceWorld>> = { memory: memoryWorld, redis: redisWorld };
