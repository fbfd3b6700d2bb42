import { randomBytes } from 'node:crypto';
import { WebSocketGateway } from '@nestjs/websockets';
import type { JoinReply, Position, RoomMeta } from 'nestjs-realtime-protocol';
import { RealtimeService, RoomManager, RoomPolicy, type CanJoin } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../support/app.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';

@RoomPolicy('chat/:id', { history: { size: 400, ttlMs: 60_000 } })
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@RoomPolicy('brief/:id', { history: { size: 5, ttlMs: 60_000 } })
class BriefPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@RoomPolicy('plain/:id')
class PlainPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway()
class AnyGateway {}

const providers = [ChatPolicy, BriefPolicy, PlainPolicy, AnyGateway];
const refused = (code: string) => ({ error: expect.objectContaining({ code }) });

/** What a client got of a room, live, in its order. */
function live(client: StockClient, room: string): { data: unknown; meta: RoomMeta }[] {
  return client.inbox.all.flatMap(({ args }) => {
    const [data, meta] = args as [unknown, RoomMeta | undefined];
    return meta?.room === room ? [{ data, meta }] : [];
  });
}

const dataOf = (reply: JoinReply): unknown[] | undefined => reply.publications?.map(({ data }) => data);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe.each(['memory', 'redis'] as const)('recovery over %s', (engine) => {
  let redis: TestRedis | undefined;
  let nodes: TestApp[];
  let room: string;

  beforeAll(async () => {
    redis = engine === 'redis' ? await startRedis() : undefined;
    const realtime = redis ? { redis: { url: redis.url, keyPrefix: `${randomBytes(6).toString('hex')}:` } } : {};
    nodes = [await bootApp({ providers, realtime })];
    if (redis) nodes.push(await bootApp({ providers, realtime }));
  });

  afterAll(async () => {
    for (const node of nodes) await node[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    room = `chat/${randomBytes(4).toString('hex')}`;
  });

  const first = (): TestApp => nodes[0] as TestApp;
  const last = (): TestApp => nodes.at(-1) as TestApp;
  const rooms = (): RoomManager => last().app.get(RoomManager);
  const connect = (node: TestApp, user: string): Promise<StockClient> =>
    connectedClient(node.url, { auth: { token: mintToken(user) } });
  const join = async (client: StockClient, request: object): Promise<JoinReply> =>
    (await client.ask('realtime:join', request)) as JoinReply;
  const publish = async (from: number, to: number, target = room): Promise<void> => {
    for (const n of range(from, to)) await rooms().publish(target, 'said', n);
  };
  /** Nothing of the room is on its way to this client. */
  const settle = async (client: StockClient, target = room): Promise<void> => {
    const marker = randomBytes(4).toString('hex');
    await rooms().publish(target, 'fence', marker);
    await client.inbox.next(({ args }) => args[0] === marker);
  };

  it('gives a position with the join, and exactly what was missed with the next', async () => {
    const ada = await connect(first(), 'ada');
    const { position } = await join(ada, { room });
    expect(position).toEqual({ epoch: expect.any(String), offset: 0 });
    await publish(1, 3);
    await settle(ada);
    expect(live(ada, room).map(({ meta }) => meta.offset)).toEqual([1, 2, 3, 4]);
    await ada[Symbol.asyncDispose]();
    await publish(4, 8);
    await using again = await connect(last(), 'ada');
    const reply = await join(again, { room, position: { ...position, offset: 4 } });
    expect(reply).toMatchObject({ room, recovered: true, position: { epoch: position?.epoch, offset: 9 } });
    expect(dataOf(reply)).toEqual([4, 5, 6, 7, 8]);
    expect(reply.publications?.[0]).toEqual({ event: 'said', data: 4, id: expect.any(String), offset: 5 });
    await publish(9, 9);
    await settle(again);
    expect(live(again, room).map(({ data }) => data)).toEqual([9, expect.any(String)]);
  });
});
void [RealtimeService, refused];
export type { Position };
