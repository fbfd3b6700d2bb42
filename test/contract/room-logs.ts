import {
  MemoryBus,
  MemoryRoomLog,
  RedisBus,
  RedisConnection,
  RedisRoomLog,
  roomChannel,
  systemClock,
  type ClusterBus,
  type NewPublication,
  type RoomLog,
} from '../support/engines.js';
import { Inbox } from '../support/inbox.js';
import { REDIS_KINDS, type RedisPlace } from '../support/redis-kinds.js';

export interface RoomLogs extends AsyncDisposable {
  readonly bus: ClusterBus;
  /** Two nodes on one storage. */
  readonly logs: readonly [RoomLog, RoomLog];
  /** One that takes texts of at most `TIGHT_BYTES`. */
  readonly tight: RoomLog;
}

export const TIGHT_BYTES = 1_000;
const MAX_MESSAGE_BYTES = 4_194_304;

export const ROOM_LOGS: Record<string, () => Promise<RoomLogs>> = {
  memory: async () => {
    const bus = new MemoryBus();
    const log = new MemoryRoomLog(bus);
    const tight = new MemoryRoomLog(bus, systemClock, { maxMessageBytes: TIGHT_BYTES });
    return { bus, logs: [log, log], tight, [Symbol.asyncDispose]: () => bus.close() };
  },
};
for (const [name, start] of Object.entries(REDIS_KINDS)) {
  ROOM_LOGS[name] = async () => redisLogs(await start());
}

async function redisLogs(place: RedisPlace): Promise<RoomLogs> {
  const connections = [0, 1].map(() => new RedisConnection(place.options));
  const [first, second] = connections as [RedisConnection, RedisConnection];
  const bus = new RedisBus(first);
  await bus.ready();
  return {
    bus,
    logs: [new RedisRoomLog(first, MAX_MESSAGE_BYTES), new RedisRoomLog(second, MAX_MESSAGE_BYTES)],
    tight: new RedisRoomLog(first, TIGHT_BYTES),
    async [Symbol.asyncDispose]() {
      await bus.close();
      await Promise.all(connections.map((connection) => connection.close()));
      await place[Symbol.asyncDispose]();
    },
  };
}

/** What a room's channel carried, in its order. */
export class RoomChannel {
  private readonly inbox = new Inbox();
  private fences = 0;

  private constructor(
    private readonly bus: ClusterBus,
    private readonly name: string,
  ) {}

  static async open(bus: ClusterBus, room: string): Promise<RoomChannel> {
    const channel = new RoomChannel(bus, roomChannel(room));
    await bus.subscribe(channel.name, (payload) => channel.inbox.push(payload));
    return channel;
  }

  /** Everything so far: a marker goes the same way, and whatever was published before it has arrived before it. */
  async messages(): Promise<string[]> {
    const fence = `fence ${(this.fences += 1)}`;
    await this.bus.publish(this.name, fence);
    await this.inbox.next(fence);
    return this.inbox.all.map(({ event }) => event).filter((payload) => !payload.startsWith('fence '));
  }
}

export const RETENTION = { size: 100, ttlMs: 600_000 };
let nth = 0;

/** A publication with a name and a text of its own, unless the test says otherwise. */
export function publication(room: string, over: Partial<NewPublication> = {}): NewPublication {
  nth += 1;
  return { room, publisher: 'server', id: `id ${nth}`, text: `{}\n"message",${nth}`, retention: RETENTION, ...over };
}
