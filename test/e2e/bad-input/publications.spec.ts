import { randomBytes } from 'node:crypto';
import { WebSocketGateway } from '@nestjs/websockets';
import { RoomManager, RoomPolicy, type CanJoin, type CanPublish } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../../support/app.js';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { startRedis, type TestRedis } from '../../support/redis.js';
import { mintToken } from '../../support/tokens.js';

@RoomPolicy('log/:id', { history: { size: 20, ttlMs: 60_000 } })
class LogPolicy implements CanJoin, CanPublish {
  canJoin(): boolean {
    return true;
  }

  canPublish(): boolean {
    return true;
  }
}

@WebSocketGateway()
class Gateway {}

const refused = (code: string) => ({ error: expect.objectContaining({ code }) });
const rejected = (code: string) => expect.objectContaining({ code });
const huge = 'x'.repeat(10_240);
const cycle: { self?: unknown } = {};
cycle.self = cycle;

describe.each(['memory', 'redis'] as const)('what makes no sense to a room over %s', (engine) => {
  let redis: TestRedis | undefined;
  let node: TestApp;
  let rooms: RoomManager;
  let room: string;

  beforeAll(async () => {
    redis = engine === 'redis' ? await startRedis() : undefined;
    node = await bootApp({ providers: [LogPolicy, Gateway], realtime: redis ? { redis: { url: redis.url } } : {} });
    rooms = node.app.get(RoomManager);
  });

  afterAll(async () => {
    await node[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    room = `log/${randomBytes(4).toString('hex')}`;
  });

  async function member(user: string): Promise<StockClient> {
    const client = await connectedClient(node.url, { auth: { token: mintToken(user) } });
    await client.ask('realtime:join', { room });
    return client;
  }

  it.each<[string, (given: { rooms: RoomManager; room: string }) => unknown]>([
    ['no room', ({ rooms: r }) => r.publish('', 'e', 1)],
    ['an empty list', ({ rooms: r }) => r.publish([], 'e', 1)],
    ['a bad room among good ones', ({ rooms: r, room: one }) => r.publish([one, 'a b'], 'e', 1)],
    ['no event', ({ rooms: r, room: one }) => r.publish(one, '', 1)],
    ['an event of ours', ({ rooms: r, room: one }) => r.publish(one, 'realtime:hello', 1)],
    ["an event of Socket.IO's", ({ rooms: r, room: one }) => r.publish(one, 'disconnect', 1)],
    ['a BigInt', ({ rooms: r, room: one }) => r.publish(one, 'e', 1n)],
    ['a function', ({ rooms: r, room: one }) => r.publish(one, 'e', () => 1)],
    ['a cycle', ({ rooms: r, room: one }) => r.publish(one, 'e', cycle)],
    ['a cycle, emitted', ({ rooms: r, room: one }) => Promise.resolve().then(() => r.emit(one, 'e', cycle))],
    [
      '11 binary values',
      ({ rooms: r, room: one }) =>
        r.publish(
          one,
          'e',
          Array.from({ length: 11 }, () => Buffer.alloc(1)),
        ),
    ],
    ['a long id', ({ rooms: r, room: one }) => r.publish(one, 'e', 1, { id: huge })],
    ['an empty id', ({ rooms: r, room: one }) => r.publish(one, 'e', 1, { id: '' })],
    ['to exclude what is no id', ({ rooms: r, room: one }) => r.publish(one, 'e', 1, { exclude: [5 as never] })],
    ['to exclude an object', ({ rooms: r, room: one }) => r.publish(one, 'e', 1, { exclude: {} as never })],
    ['no time to live', ({ rooms: r, room: one }) => r.publish(one, 'e', 1, { ttlMs: 0 })],
    ['half a millisecond', ({ rooms: r, room: one }) => r.publish(one, 'e', 1, { ttlMs: 0.5 })],
    ['no limit', ({ rooms: r, room: one }) => r.history(one, {} as never)],
    ['no query', ({ rooms: r, room: one }) => r.history(one, undefined as never)],
    ['a limit of 0', ({ rooms: r, room: one }) => r.history(one, { limit: 0 })],
    ['a limit of 10^9', ({ rooms: r, room: one }) => r.history(one, { limit: 1e9 })],
    ['a limit of NaN', ({ rooms: r, room: one }) => r.history(one, { limit: NaN })],
    [
      'a negative position',
      ({ rooms: r, room: one }) => r.history(one, { limit: 1, after: { epoch: 'e', offset: -1 } }),
    ],
    [
      'two positions',
      ({ rooms: r, room: one }) =>
        r.history(one, { limit: 1, after: { epoch: 'e', offset: 1 }, before: { epoch: 'e', offset: 1 } }),
    ],
    ['to remove nothing', ({ rooms: r, room: one }) => r.remove(one, undefined as never)],
    ['to clear nothing', ({ rooms: r }) => r.clear(undefined as never)],
  ])('refuses server code: %s', async (_name, call) => {
    await expect(call({ rooms, room })).rejects.toEqual(rejected('BAD_REQUEST'));
  });

  it.each<[string, string, string, object]>([
    ['publish', 'BAD_REQUEST', 'a long id', { event: 'e', data: 1, id: huge }],
    ['publish', 'BAD_REQUEST', 'an id that is a number', { event: 'e', data: 1, id: 5 }],
    ['publish', 'BAD_REQUEST', 'an empty id', { event: 'e', data: 1, id: '' }],
    [
      'publish',
      'BAD_REQUEST',
      "a placeholder of Socket.IO's",
      { event: 'e', data: { a: { _placeholder: true, num: 99 } } },
    ],
    ['publish', 'BAD_REQUEST', 'no event', { data: 1 }],
    ['publish', 'BAD_REQUEST', 'an event of ours', { event: 'realtime:hello', data: 1 }],
    ['publish', 'BAD_REQUEST', "an event of Socket.IO's", { event: 'connect', data: 1 }],
    ['publish', 'BAD_REQUEST', 'a room that is none', { room: {}, event: 'e', data: 1 }],
    ['publish', 'FORBIDDEN', 'a room that it is not in', { room: 'log/other', event: 'e', data: 1 }],
    ['history', 'FORBIDDEN', 'a room that it is not in', { room: 'log/other', limit: 1 }],
    ['history', 'FORBIDDEN', "another user's room", { room: 'user/bob', limit: 1 }],
    ['history', 'BAD_REQUEST', 'no limit', {}],
    ['history', 'BAD_REQUEST', 'a limit of 10^9', { limit: 1e9 }],
    ['history', 'BAD_REQUEST', 'a limit of 301', { limit: 301 }],
    ['history', 'BAD_REQUEST', 'a limit that is text', { limit: '5' }],
    ['history', 'BAD_REQUEST', 'a limit that is negative', { limit: -1 }],
    ['history', 'BAD_REQUEST', 'a position that is a number', { limit: 1, after: 5 }],
    ['history', 'BAD_REQUEST', 'a position that is null', { limit: 1, before: null }],
    ['history', 'BAD_REQUEST', 'a negative offset', { limit: 1, after: { epoch: 'e', offset: -1 } }],
    ['history', 'BAD_REQUEST', 'an offset that is NaN', { limit: 1, after: { epoch: 'e', offset: NaN } }],
    ['history', 'BAD_REQUEST', 'an offset that is text', { limit: 1, after: { epoch: 'e', offset: '1' } }],
    ['history', 'BAD_REQUEST', 'an offset beyond whole numbers', { limit: 1, after: { epoch: 'e', offset: 1e300 } }],
    ['history', 'BAD_REQUEST', 'an epoch that is no name', { limit: 1, after: { epoch: '"', offset: 1 } }],
    ['history', 'NOT_FOUND', 'an epoch that nobody knows', { limit: 1, after: { epoch: 'other', offset: 0 } }],
    ['history', 'NOT_FOUND', 'an epoch named __proto__', { limit: 1, before: { epoch: '__proto__', offset: 0 } }],
  ])('refuses a client (%s, %s): %s', async (event, code, _name, fields) => {
    await using ada = await member('ada');
    expect(await ada.ask(`realtime:${event}`, { room, ...fields })).toEqual(refused(code));
  });

  it('does not know the future, nor what is not kept any more', async () => {
    await using ada = await member('ada');
    const replies = await Promise.all(Array.from({ length: 22 }, (_, index) => rooms.publish(room, 'n', index)));
    const { epoch } = replies[0] as { epoch: string };
    for (const query of [{ after: 23 }, { before: 23 }, { after: 1 }]) {
      const [[name, offset]] = Object.entries(query) as [[string, number]];
      const asked = { room, limit: 5, [name]: { epoch, offset } };
      expect(await ada.ask('realtime:history', asked)).toEqual(refused('NOT_FOUND'));
    }
    expect(await ada.ask('realtime:history', { room, limit: 1, after: { epoch, offset: 2 } })).toMatchObject({
      publications: [{ offset: 3 }],
    });
  });
});
