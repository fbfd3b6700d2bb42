import { createRealtimeClient, presenceOf, type RealtimeClient } from 'nestjs-realtime-client';
import type { JoinReply } from 'nestjs-realtime-protocol';
import { RealtimeService, RoomManager } from 'nestjs-realtime';
import { bootApp, type TestApp } from '../../support/app.js';
import { eventually } from '../../support/eventually.js';
import { connectedClient, stockClient, type ClientOptions, type StockClient } from '../../support/inbox.js';
import { canary, leaks } from '../../support/leaks/leak-watch.js';
import { RawClient } from '../../support/raw-client.js';
import { startMonitor, type RedisMonitor } from '../../support/redis-monitor.js';
import { startRedis, type TestRedis } from '../../support/redis.js';
import { mintToken, type TokenClaims } from '../../support/tokens.js';
import { ADDRESS, CLAIM, FAILURES, PRIVATE, UNLISTED, canaryApp } from './canaries.app.js';
import { LogCapture, refusal } from './hostile-app.js';

const NS = '/app';
const ROOM = 'chat/1';

/** A client that polls says goodbye in a request of its own, for which the server must still be there. */
async function end(client: AsyncDisposable): Promise<void> {
  await client[Symbol.asyncDispose]();
  if (!('socket' in client)) return;
  const { engine } = (client as StockClient).socket.io;
  await eventually(() => expect((engine as unknown as { readyState: string }).readyState).toBe('closed'));
}

/** What leaked is found by the watch of all specs, in each byte that each of these clients got. */
describe('what leaves two nodes in a story that touches every way to a client', () => {
  const log = new LogCapture();
  let redis: TestRedis;
  let monitor: RedisMonitor;
  let [near, far]: TestApp[] = [];
  const open: AsyncDisposable[] = [];
  const clients: RealtimeClient[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    monitor = await startMonitor(redis.port);
    const boot = (): Promise<TestApp> => bootApp(canaryApp({ url: redis.url, keyPrefix: 'canaries:' }));
    [near, far] = [await boot(), await boot()];
    for (const { app } of [near, far]) app.useLogger(log);
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    for (const client of open.splice(0)) await end(client);
    // The values that scripts make themselves are among them; what nodes send is watched anyway.
    leaks.look(monitor.seen.map(({ args }) => args.join(' ')).join('\n'), 'Redis');
    leaks.look(log.drain().join('\n'), 'the log');
    monitor.clear();
  });

  afterAll(async () => {
    for (const each of [near, far]) await each?.[Symbol.asyncDispose]();
    monitor[Symbol.dispose]();
    await redis[Symbol.asyncDispose]();
  });

  const nodeOf = (node: TestApp | undefined): TestApp => {
    if (!node) throw new Error('not booted');
    return node;
  };
  const keep = <Client extends AsyncDisposable>(client: Client): Client => {
    open.push(client);
    return client;
  };
  const tokenOf = (user: string, claims: TokenClaims = {}): string => mintToken(user, { note: CLAIM, ...claims });
  const optionsOf = (user: string): ClientOptions => ({
    auth: { token: tokenOf(user) },
    extraHeaders: { 'x-forwarded-for': ADDRESS, cookie: `session=${user}-${canary(`the cookie of ${user}`)}` },
  });
  const stock = async (node: TestApp, user: string, more: ClientOptions = {}, namespace = NS): Promise<StockClient> =>
    keep(await connectedClient(`${node.url}${namespace}`, { ...optionsOf(user), ...more }));
  const raw = async (node: TestApp, user: string, device: string, v = 2): Promise<RawClient> =>
    keep(await RawClient.connected(node.url, NS, { token: tokenOf(user), rt: { v, device } }));
  const own = (node: TestApp, user: string): RealtimeClient => {
    const client = createRealtimeClient(`${node.url}${NS}`, { getToken: () => tokenOf(user) });
    clients.push(client);
    return client;
  };
  /** A stock client of each transport and our own, of users who are not Ada, on both nodes. */
  const strangers = async (): Promise<StockClient[]> => [
    await stock(nodeOf(near), 'mallory'),
    await stock(nodeOf(far), 'paula', { transports: ['polling'] }),
  ];

  it('shows of a presence list what a list shows, and nothing of a private room', async () => {
    const [node, other] = [nodeOf(near), nodeOf(far)];
    const oda = own(other, 'oda').room(ROOM);
    await oda.join();
    const [mallory, paula] = await strangers();
    for (const client of [mallory, paula]) await client?.ask('realtime:join', { room: ROOM, meta: { mood: 'fine' } });
    for (let device = 0; device < 18; device += 1) {
      const ada = await raw(device % 2 === 0 ? node : other, 'ada', `device ${device}`);
      const meta = device < 16 ? 'shown' : UNLISTED;
      expect(await ada.ask(NS, JSON.stringify(['realtime:join', { room: ROOM, meta }]))).toMatchObject({ room: ROOM });
    }
    await eventually(() =>
      expect(presenceOf(oda).users).toContainEqual(expect.objectContaining({ id: 'ada', more: 2 })),
    );
    for (const client of [mallory, paula]) {
      await eventually(async () =>
        expect(JSON.stringify(await client?.ask('realtime:presence', { room: ROOM }))).toContain('"more":2'),
      );
    }
    const ada = await stock(node, 'ada');
    expect(await ada.ask('realtime:join', { room: 'private/ada', meta: { note: PRIVATE } })).toMatchObject({
      state: { note: PRIVATE },
    });
    await node.app.get(RoomManager).publish('private/ada', 'said', { text: PRIVATE });
    await other.app.get(RealtimeService).toUser('ada').publish('said', { text: PRIVATE });
    for (const event of ['join', 'history', 'presence', 'publish', 'meta']) {
      const message = { room: 'private/ada', event: 'said', data: 'x', meta: 'x', limit: 10 };
      for (const client of [mallory, paula])
        expect(await client?.ask(`realtime:${event}`, message)).toMatchObject({ error: { code: expect.any(String) } });
    }
    await eventually(() => expect(JSON.stringify(ada.inbox.all).split(PRIVATE).length).toBeGreaterThan(2));
  });

  it('sends publications, what was missed and pages of the history with data and positions alone', async () => {
    const [node, other] = [nodeOf(near), nodeOf(far)];
    const [mallory, paula] = await strangers();
    const ada = own(node, 'ada');
    const room = ada.room(ROOM);
    await room.join();
    const joined = (await paula?.ask('realtime:join', { room: ROOM })) as JoinReply;
    await mallory?.ask('realtime:join', { room: ROOM });
    await ada.request('say', { room: ROOM, text: 'a request' });
    await node.app.get(RoomManager).publish(ROOM, 'said', { text: 'from the server' });
    node.app.get(RoomManager).emit(ROOM, 'said', { text: 'live' });
    await mallory?.ask('realtime:publish', { room: ROOM, event: 'said', data: { text: 'from a client' } });
    await paula?.inbox.next(({ args }) => JSON.stringify(args).includes('from a client'));
    await paula?.ask('realtime:leave', { room: ROOM });
    const again = await paula?.ask('realtime:join', { room: ROOM, position: joined.position });
    expect(again).toMatchObject({ recovered: true, publications: { length: 3 } });
    expect(await mallory?.ask('realtime:history', { room: ROOM, limit: 10 })).toMatchObject({ position: {} });
    expect(await other.app.get(RoomManager).members(ROOM)).toBeDefined();
  });

  it.each(['websocket', 'polling'] as const)('tells over %s no more of a failure than its code', async (transport) => {
    const node = nodeOf(near);
    const mallory = await stock(node, 'mallory', { transports: [transport] });
    const oda = own(node, 'oda');
    for (const kind of FAILURES) {
      expect(await mallory.ask('fail', { kind })).toMatchObject({ error: { code: expect.any(String) } });
      mallory.socket.emit('fail', { kind });
      await expect(oda.request('fail', { kind })).rejects.toMatchObject({ code: expect.any(String) });
    }
    for (const event of ['guarded', 'piped', 'filtered']) {
      expect(await mallory.ask(event, {})).toEqual(refusal('INTERNAL'));
      mallory.socket.emit(event, {});
    }
    await mallory.ask('rare', {});
    expect(await mallory.ask('rare', {})).toEqual({ error: expect.objectContaining({ code: 'RATE_LIMITED' }) });
    for (const room of ['chat/broken', 'chat/closed', 'nowhere', 'realtime:x', '#{odd}'])
      expect(await mallory.ask('realtime:join', { room })).toMatchObject({ error: { code: expect.any(String) } });
    await mallory.ask('realtime:join', { room: ROOM });
    const broken = { room: ROOM, event: 'said', data: 'broken' };
    expect(await mallory.ask('realtime:publish', broken)).toMatchObject({ error: { code: expect.any(String) } });
    expect(await mallory.ask('ping')).toBe('mallory');
    for (const [namespace, user] of [
      ['/broken', 'mallory'],
      ['/app', 'broken'],
      ['/none', 'mallory'],
    ] as const) {
      const refused = keep(stockClient(`${node.url}${namespace}`, { ...optionsOf(user), transports: [transport] }));
      await refused.inbox.next(({ event }) => event === 'connect_error' || event === 'disconnect');
    }
    const bad = { auth: { token: `${tokenOf('ada')}x` }, transports: [transport] };
    await expect(connectedClient(`${node.url}${NS}`, bad)).rejects.toMatchObject({ data: { code: 'UNAUTHORIZED' } });
  });

  it('keeps them through a refresh, a kick, a closed room, a revocation and a drain', async () => {
    const [node, other] = [nodeOf(near), nodeOf(far)];
    const ada = await stock(node, 'ada');
    const admin = await stock(node, 'ada', { forceNew: false }, '/admin');
    const [mallory, paula] = await strangers();
    const members = [ada, mallory, paula];
    for (const client of members) await client?.ask('realtime:join', { room: ROOM, meta: 'here' });
    expect(await ada.ask('realtime:refresh', { token: tokenOf('ada', { roles: ['member'] }) })).toBeDefined();
    expect(await mallory?.ask('realtime:refresh', { token: tokenOf('ada') })).toMatchObject({
      error: { code: expect.any(String) },
    });
    const rooms = other.app.get(RoomManager);
    await rooms.kick(ROOM, { userId: 'ada' }, 'enough');
    await ada.inbox.next('realtime:room');
    await rooms.close(ROOM, 'over');
    for (const client of [mallory, paula]) await client?.inbox.next('realtime:room');
    await other.app.get(RealtimeService).revoke({ userId: 'ada' });
    for (const client of [ada, admin]) await client.inbox.next('disconnect');
    await other.app.get(RealtimeService).disconnect({ userId: 'paula' }, 'bye');
    await paula?.inbox.next('disconnect');
    await near?.app.get(RealtimeService).drain();
    await mallory?.inbox.next('disconnect');
  });
});
