import {
  MemoryPresenceStore,
  RedisConnection,
  RedisPresenceStore,
  parsePresenceChange,
  systemClock,
  type PresenceChange,
  type PresenceStore,
} from '../support/engines.js';
import { Inbox } from '../support/inbox.js';
import { REDIS_KINDS, type RedisPlace } from '../support/redis-kinds.js';

/** What was published on one room's channel. */
export class Channel {
  private readonly inbox = new Inbox();
  private fences = 0;
  private begun = 0;

  constructor(private readonly send: (payload: string) => Promise<unknown>) {}

  readonly receive = (payload: string): void => this.inbox.push(payload);

  /** From now on. In a cluster, what was published just before the subscription may still come in behind it. */
  async begin(): Promise<this> {
    await this.fence();
    this.begun = this.inbox.all.length;
    return this;
  }

  /** Every change so far. */
  async changes(): Promise<PresenceChange[]> {
    await this.fence();
    return this.inbox.all
      .slice(this.begun)
      .filter(({ event }) => event.startsWith('p'))
      .map(({ event }) => {
        const change = parsePresenceChange(event.slice(1));
        if (!change) throw new Error(`not a presence change: ${event}`);
        return change;
      });
  }

  /** A marker goes the same way, and whatever was published before it has arrived before it. */
  private async fence(): Promise<void> {
    const marker = `fence ${(this.fences += 1)}`;
    await this.send(marker);
    await this.inbox.next(marker);
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

async function redisWorld(place: RedisPlace): Promise<PresenceWorld> {
  const connections = [new RedisConnection(place.options), new RedisConnection(place.options)] as const;
  await Promise.all(connections.map((connection) => connection.ready()));
  const { keyPrefix } = place.options;
  const [any] = place.servers;
  if (any === undefined) throw new Error('no server');
  const subscriber = await any.duplicate().connect();
  return {
    stores: [new RedisPresenceStore(connections[0]), new RedisPresenceStore(connections[1])],
    listen: async (room) => {
      const name = `${keyPrefix}{${room}}:ch`;
      // On the way that the room's own messages take: through the master of its slot.
      const channel = new Channel((payload) => connections[0].command('PUBLISH', name, payload));
      await subscriber.subscribe(name, channel.receive);
      return channel.begin();
    },
    loseEverything: async () => {
      for (const server of place.servers) {
        for await (const keys of server.scanIterator({ MATCH: `${keyPrefix}*`, COUNT: 1_000 })) {
          await Promise.all(keys.map((key) => server.del(key)));
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      subscriber.destroy();
      await Promise.all(connections.map((connection) => connection.close()));
      await place[Symbol.asyncDispose]();
    },
  };
}

export const presenceWorlds: Record<string, () => Promise<PresenceWorld>> = { memory: memoryWorld };
for (const [name, start] of Object.entries(REDIS_KINDS)) {
  presenceWorlds[name] = async () => redisWorld(await start());
}
