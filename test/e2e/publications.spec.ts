import { randomBytes } from 'node:crypto';
import { ConnectedSocket, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Position } from 'nestjs-realtime-protocol';
import type { Socket } from 'socket.io';
import { RealtimeService, RoomManager, RoomPolicy, type CanJoin, type CanPublish } from 'nestjs-realtime';
import { bootPair, type AppPair } from '../support/app-pair.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@RoomPolicy('log/:id', { history: { size: 20, ttlMs: 60_000 } })
class LogPolicy implements CanJoin, CanPublish {
  canJoin(): boolean {
    return true;
  }

  canPublish(): boolean {
    return true;
  }
}

@RoomPolicy('live/:id')
class LivePolicy extends LogPolicy {}

class Gateway {
  /** What `onAnyOutgoing` of the asking socket was told since. */
  static readonly outgoing: unknown[][] = [];

  @SubscribeMessage('watch')
  watch(@ConnectedSocket() socket: Socket): string {
    socket.onAnyOutgoing((...args: unknown[]) => {
      Gateway.outgoing.push(args);
      if (args[1] === 'throw') throw new Error('a listener of the app');
    });
    return 'watching';
  }
}

@WebSocketGateway()
class RootGateway extends Gateway {}

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway extends Gateway {}

const providers = [LogPolicy, LivePolicy, RootGateway, ChatGateway];
const refused = (code: string) => ({ error: expect.objectContaining({ code }) });
const rejected = (code: string) => expect.objectContaining({ code });

describe.each(['memory', 'redis', 'redis, sharded'] as const)('publications over %s', (engine) => {
  let pair: AppPair;
  let rooms: RoomManager;
  let room: string;
  const errors: string[] = [];

  beforeAll(async () => {
    const onError = (error: unknown): void => void errors.push((error as Error).message);
    const adapter = { mode: engine === 'redis, sharded' ? ('sharded' as const) : ('pubsub' as const) };
    pair = await bootPair(engine === 'memory' ? 'memory' : 'redis', {
      providers,
      realtime: engine === 'memory' ? { onError } : { onError, redis: { adapter } },
    });
    rooms = pair.first.app.get(RoomManager);
  });

  afterAll(() => pair[Symbol.asyncDispose]());

  beforeEach(() => {
    room = `log/${randomBytes(4).toString('hex')}`;
    Gateway.outgoing.length = 0;
  });

  async function member(user: string, { namespace = '', node = pair.last, joins = [room] } = {}) {
    const client = await connectedClient(`${node.url}/${namespace}`, { auth: { token: mintToken(user) } });
    for (const one of joins) await client.ask('realtime:join', { room: one });
    return client;
  }

  const told = async (client: StockClient, event: string): Promise<readonly unknown[]> =>
    (await client.inbox.next(event)).args;

  it('tells data and meta in every namespace, with the place in the log', async () => {
    await using ada = await member('ada');
    await using bob = await member('bob', { namespace: 'chat', node: pair.first });
    const reply = await rooms.publish(room, 'news', { text: 'ü\u2028', n: [1.5, null] });
    expect(reply).toEqual({ id: expect.any(String), offset: 1, epoch: expect.any(String) });
    const expected = [
      { text: 'ü\u2028', n: [1.5, null] },
      { room, ...reply },
    ];
    expect(await told(ada, 'news')).toEqual(expected);
    expect(await told(bob, 'news')).toEqual(expected);
    expect((await rooms.publish(room, 'news', 2)).offset).toBe(2);
  });

  it('has no place where nothing is kept', async () => {
    const live = `live/${room.slice(4)}`;
    await using ada = await member('ada', { joins: [live] });
    const reply = await rooms.publish(live, 'news', 1);
    expect(reply).toEqual({ id: expect.any(String) });
    expect(await told(ada, 'news')).toEqual([1, { room: live, id: reply.id }]);
    await expect(rooms.history(live, { limit: 1 })).rejects.toEqual(rejected('BAD_REQUEST'));
    await expect(rooms.clear(live)).rejects.toThrow('history');
    expect(await ada.ask('realtime:history', { room: live, limit: 1 })).toEqual(refused('BAD_REQUEST'));
  });

  it('carries binary data as it is, live, in histories and to users', async () => {
    await using ada = await member('ada', { namespace: 'chat' });
    await using bob = await member('bob');
    const data = { name: 'a', parts: [Buffer.from([0, 1, 255]), { deep: new Uint8Array([7]) }] };
    const heard = { name: 'a', parts: [Buffer.from([0, 1, 255]), { deep: Buffer.from([7]) }] };
    const reply = await rooms.publish(room, 'file', data);
    expect(await told(ada, 'file')).toEqual([heard, { room, ...reply }]);
    expect(await told(bob, 'file')).toEqual([heard, { room, ...reply }]);
    const position = { epoch: reply.epoch, offset: 1 };
    const publication = { event: 'file', data: heard, id: reply.id, offset: 1 };
    expect(await rooms.history(room, { limit: 5 })).toEqual({ publications: [publication], position });
    expect(await ada.ask('realtime:history', { room, limit: 5 })).toEqual({ publications: [publication], position });
    rooms.emit(room, 'look', Buffer.from('x'));
    expect(await told(bob, 'look')).toEqual([Buffer.from('x'), { room }]);
    await pair.first.app.get(RealtimeService).toUser('ada').publish('file', data);
    expect((await told(ada, 'file'))[0]).toEqual(heard);
  });

  it('gives a client as many binary values at once as its parser takes', async () => {
    await using ada = await member('ada');
    const four = Array.from({ length: 4 }, (_, index) => Buffer.from([index]));
    for (let i = 0; i < 6; i += 1) await rooms.publish(room, 'file', four);
    const page = (query: object) => ada.ask('realtime:history', { room, limit: 100, ...query });
    const offsets = (reply: unknown) =>
      (reply as { publications: { offset: number }[] }).publications.map((p) => p.offset);
    const newest = (await page({})) as { position: Position; hasMore?: boolean };
    expect([offsets(newest), newest.hasMore]).toEqual([[5, 6], true]);
    expect(offsets(await page({ before: { ...newest.position, offset: 5 } }))).toEqual([3, 4]);
    expect(offsets(await page({ after: { ...newest.position, offset: 2 } }))).toEqual([3, 4]);
    expect((await rooms.history(room, { limit: 100 })).publications).toHaveLength(6);
  });

  it("is for a user's own room, too, which is one for all namespaces", async () => {
    await using ada = await member('ada', { joins: [] });
    await using tab = await member('ada', { joins: [], namespace: 'chat', node: pair.first });
    await ada.ask('watch');
    const user = pair.first.app.get(RealtimeService).toUser('ada');
    const reply = await user.publish('note', { n: 1 }, { exclude: tab.socket.id as string });
    expect(reply).toEqual({ id: expect.any(String), offset: expect.any(Number), epoch: expect.any(String) });
    const args = [{ n: 1 }, { room: 'user/ada', ...reply }];
    expect(await told(ada, 'note')).toEqual(args);
    expect(Gateway.outgoing).toEqual([['note', ...args]]);
    await user.publish('end', null);
    await tab.inbox.next('end');
    expect(tab.inbox.all.filter(({ event }) => event === 'note')).toEqual([]);
    const history = await ada.ask('realtime:history', { room: 'user/ada', limit: 2 });
    expect(history).toMatchObject({ publications: [{ event: 'note', data: { n: 1 } }, { event: 'end' }] });
  });

  it('shows listeners what goes out', async () => {
    await using ada = await member('ada', { namespace: 'chat' });
    await ada.ask('watch');
    const reply = await rooms.publish(room, 'news', { b: Buffer.from('x') });
    await ada.inbox.next('news');
    expect(Gateway.outgoing).toEqual([['news', { b: Buffer.from('x') }, { room, ...reply }]]);
  });

  it('reports a listener that throws, and reaches other namespaces and what comes next', async () => {
    await using ada = await member('ada', { joins: [room, 'user/ada'] });
    await using bob = await member('bob', { namespace: 'chat' });
    await ada.ask('watch');
    await rooms.publish(room, 'news', 'throw');
    expect((await told(bob, 'news'))[0]).toBe('throw');
    await rooms.publish(room, 'news', 'next');
    expect((await told(ada, 'news'))[0]).toBe('next');
    await rooms.publish('user/ada', 'note', 'throw');
    expect((await told(ada, 'note'))[0]).toBe('throw');
    expect(errors).toEqual(['a listener of the app', 'a listener of the app']);
  });

  it('leaves out who is excluded, and keeps nothing that is volatile', async () => {
    await using ada = await member('ada');
    await using bob = await member('bob', { namespace: 'chat' });
    await rooms.publish(room, 'typing', 1, { exclude: [ada.socket.id as string, 'nobody'] });
    // Who is just being written to does not get it: until everybody has, one at a time.
    const cursors = (client: StockClient) => client.inbox.all.filter(({ event }) => event === 'cursor');
    await eventually(async () => {
      expect(await rooms.publish(room, 'cursor', 2, { volatile: true })).toEqual({ id: expect.any(String) });
      expect([cursors(ada).length, cursors(bob).length].sort()[0]).toBeGreaterThan(0);
    });
    expect(cursors(ada)[0]?.args).toEqual([2, { room, id: expect.any(String) }]);
    const named = () => rooms.publish(room, 'last', 3, { volatile: true, id: 'c' });
    expect([await named(), await named()]).toEqual([{ id: 'c' }, { id: 'c' }]);
    await rooms.publish(room, 'end', 0, { exclude: [] });
    for (const client of [ada, bob]) await told(client, 'end');
    expect(bob.inbox.all.map(({ event }) => event)).toContain('typing');
    expect(ada.inbox.all.map(({ event }) => event)).not.toContain('typing');
    expect(ada.inbox.all.filter(({ event }) => event === 'last').length).toBeLessThanOrEqual(1);
    const { publications } = await rooms.history(room, { limit: 10 });
    expect(publications.map(({ event }) => event)).toEqual(['typing', 'end']);
  });

  it('recovers nothing that has expired by itself', async () => {
    await rooms.publish(room, 'brief', 1, { ttlMs: 1 });
    await rooms.publish(room, 'lasting', 2, { ttlMs: 60_000 });
    await using ada = await member('ada');
    await eventually(async () => {
      const history = await ada.ask('realtime:history', { room, limit: 5 });
      expect(history).toMatchObject({ publications: [{ event: 'lasting', offset: 2 }], position: { offset: 2 } });
    });
  });

  it('goes to several rooms under one id, with a place in each', async () => {
    const [one, two, live] = [`${room}/a`, room, `live/${room.slice(4)}`] as const;
    await using ada = await member('ada', { joins: [two, live] });
    await rooms.publish(two, 'first', 0);
    const reply = await rooms.publish([one, two, live, two], 'news', 1);
    expect(reply).toEqual({ id: expect.any(String), positions: { [two]: { offset: 2, epoch: expect.any(String) } } });
    const { id, positions } = reply;
    const heard = [await told(ada, 'news'), await told(ada, 'news')];
    expect(heard).toEqual(
      expect.arrayContaining([
        [1, { room: two, id, ...positions[two] }],
        [1, { room: live, id }],
      ]),
    );
    await rooms.publish(two, 'end', 0);
    await told(ada, 'end');
    expect(ada.inbox.all.filter(({ event }) => event === 'news')).toHaveLength(2);
  });

  it('keeps the order of calls, and one place for one id, from whichever node', async () => {
    const others = pair.last.app.get(RoomManager);
    const replies = await Promise.all(Array.from({ length: 10 }, (_, index) => rooms.publish(room, 'n', index)));
    expect(replies.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const [here, there] = await Promise.all([rooms, others].map((one) => one.publish(room, 'once', 1, { id: 'x' })));
    expect(here).toEqual({ id: 'x', offset: 11, epoch: replies[0]?.epoch });
    expect(there).toEqual(here);
    await expect(others.publish(room, 'once', 2, { id: 'x' })).rejects.toEqual(rejected('BAD_REQUEST'));
  });

  it('takes publications of clients, names their publisher, and keeps their ids apart', async () => {
    await using ada = await member('ada');
    await using bob = await member('bob', { namespace: 'chat' });
    const said = { room, event: 'said', data: { text: 'hi' }, id: 'x' };
    const reply = await ada.ask('realtime:publish', said);
    expect(reply).toEqual({ id: 'x', offset: 1, epoch: expect.any(String) });
    expect(await ada.ask('realtime:publish', said)).toEqual(reply);
    expect(await ada.ask('realtime:publish', { ...said, data: 2 })).toEqual(refused('BAD_REQUEST'));
    expect(await bob.ask('realtime:publish', { ...said, data: 3 })).toMatchObject({ id: 'x', offset: 2 });
    expect(await rooms.publish(room, 'said', 4, { id: 'x' })).toMatchObject({ id: 'x', offset: 3 });
    expect(await told(bob, 'said')).toEqual([{ text: 'hi' }, { room, publisher: 'ada', ...(reply as object) }]);
    expect((await told(bob, 'said'))[1]).toMatchObject({ publisher: 'bob', offset: 2 });
    expect((await told(bob, 'said'))[1]).not.toHaveProperty('publisher');
    const { publications } = await rooms.history(room, { limit: 3 });
    expect(publications.map(({ publisher }) => publisher)).toEqual(['ada', 'bob', undefined]);
  });

  it('takes a request of a client that is sent again as the same publication', async () => {
    await using ada = await member('ada');
    const envelope = { $rt: { id: randomBytes(16).toString('hex'), attempt: 1 } };
    const publish = () => ada.ask('realtime:publish', { room, event: 'said', data: 1 }, envelope);
    const reply = await publish();
    expect(reply).toEqual({ id: envelope.$rt.id, offset: 1, epoch: expect.any(String) });
    expect(await publish()).toEqual(reply);
  });

  it('pages through what is kept, from both ends', async () => {
    const published = await Promise.all(Array.from({ length: 25 }, (_, index) => rooms.publish(room, 'n', index + 1)));
    const { epoch } = published[0] as { epoch: string };
    const at = (offset: number): Position => ({ epoch, offset });
    const page = async (query: { after?: Position; before?: Position; limit: number }) => {
      const { publications, position, hasMore } = await rooms.history(room, query);
      expect(position).toEqual(at(25));
      return [publications.map(({ data }) => data), hasMore];
    };
    expect(await page({ limit: 2 })).toEqual([[24, 25], true]);
    expect(await page({ before: at(24), limit: 3 })).toEqual([[21, 22, 23], true]);
    expect(await page({ before: at(8), limit: 5 })).toEqual([[6, 7], undefined]);
    expect(await page({ after: at(5), limit: 2 })).toEqual([[6, 7], true]);
    expect(await page({ after: at(23), limit: 9 })).toEqual([[24, 25], undefined]);
    expect(await page({ after: at(25), limit: 9 })).toEqual([[], undefined]);
  });

  it('erases one publication, or all of them', async () => {
    await using ada = await member('ada');
    const reply = await Promise.all([1, 2, 3].map((n) => rooms.publish(room, 'n', n)));
    const position = { epoch: reply[0]?.epoch as string, offset: 2 };
    expect([await rooms.remove(room, position), await rooms.remove(room, position)]).toEqual([true, false]);
    const left = await rooms.history(room, { limit: 9 });
    expect(left.publications.map(({ data }) => data)).toEqual([1, 3]);
    await expect(rooms.remove(room, { ...position, epoch: 'other' })).rejects.toEqual(rejected('NOT_FOUND'));
    await rooms.clear(room);
    expect(await rooms.history(room, { limit: 9 })).toEqual({ publications: [], position: { ...position, offset: 3 } });
    expect(await rooms.publish(room, 'n', 4)).toMatchObject({ offset: 4 });
    for (const n of [1, 2, 3, 4]) expect((await told(ada, 'n'))[0]).toBe(n);
  });
});
