import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { RoomManager, PresenceService, RoomPolicy, type CanJoin, type RoomContext } from 'nestjs-realtime';
import type { Namespace, Socket } from 'socket.io';
import { bootPair, type AppPair } from '../support/app-pair.js';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@RoomPolicy('private/:id', { presence: true, history: { size: 20, ttlMs: 60_000 } })
class PrivatePolicy implements CanJoin {
  canJoin({ principal }: RoomContext): boolean {
    return principal.id !== 'mallory';
  }
}

/** What gateways of the usual kind do with Socket.IO's rooms. */
class NativeGateway {
  @WebSocketServer()
  server!: Namespace;

  @SubscribeMessage('native.join')
  async join(@ConnectedSocket() socket: Socket, @MessageBody() room: string): Promise<string[]> {
    await socket.join(room);
    return [...socket.rooms];
  }

  @SubscribeMessage('native.leave')
  async leave(@ConnectedSocket() socket: Socket, @MessageBody() room: string): Promise<string[]> {
    await socket.leave(room);
    return [...socket.rooms];
  }

  @SubscribeMessage('native.leaveAll')
  async leaveAll(@ConnectedSocket() socket: Socket): Promise<string[]> {
    for (const room of [...socket.rooms].filter((one) => one !== socket.id)) await socket.leave(room);
    return [...socket.rooms];
  }

  @SubscribeMessage('native.rooms')
  rooms(@ConnectedSocket() socket: Socket): string[] {
    return [...socket.rooms];
  }
}

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway extends NativeGateway {}

@WebSocketGateway({ namespace: 'news' })
class NewsGateway extends NativeGateway {}

const providers = [PrivatePolicy, ChatGateway, NewsGateway];
const refused = (code: string) => ({ error: expect.objectContaining({ code }) });

/** Publications, emits, presence and the room's own events, without what was said natively. */
const heard = ({ inbox }: StockClient, room: string): string[] =>
  inbox.all
    .filter(({ args }) => args.some((arg) => (arg as { room?: unknown } | null)?.room === room))
    .map(({ event }) => event);

describe.each(['memory', 'redis'] as const)("Socket.IO's room of the same name, over %s", (engine) => {
  let pair: AppPair;
  let rooms: RoomManager;
  let room: string;

  beforeAll(async () => {
    pair = await bootPair(engine, { providers });
    rooms = pair.first.app.get(RoomManager);
  });

  afterAll(() => pair[Symbol.asyncDispose]());

  beforeEach(() => {
    room = `private/${randomBytes(4).toString('hex')}`;
  });

  const connect = (user: string, node = pair.first, namespace = 'chat'): Promise<StockClient> =>
    connectedClient(`${node.url}/${namespace}`, { auth: { token: mintToken(user) } });

  async function member(user: string, node = pair.first, namespace = 'chat'): Promise<StockClient> {
    const client = await connect(user, node, namespace);
    expect(await client.ask('realtime:join', { room })).toMatchObject({ room });
    return client;
  }

  const server = (node: TestApp): Namespace => node.app.get(ChatGateway).server;

  /** What the app says natively, from each node: it comes after all that the room got before on the same node. */
  const sayNatively = (node: TestApp, text: string): void => void server(node).to(room).emit('native', text);

  const everything = async (): Promise<void> => {
    await rooms.publish(room, 'kept', 1);
    await rooms.publish(room, 'passing', 2, { volatile: true });
    rooms.emit(room, 'typing', 3);
  };

  /** On the node of `witness`, who is a member: what it has heard was delivered there to everybody. */
  const settle = (witness: StockClient): Promise<void> =>
    eventually(() => expect(heard(witness, room)).toEqual(expect.arrayContaining(['kept', 'passing', 'typing'])));

  /** Who asks after all of it was delivered has heard all that was for it. */
  const fence = (client: StockClient): Promise<unknown> => client.ask('native.rooms');

  it('lets nobody hear the room who joined it natively, past its policy', async () => {
    await using ada = await member('ada');
    await using mallory = await connect('mallory');
    expect(await mallory.ask('realtime:join', { room })).toEqual(refused('FORBIDDEN'));
    expect(await mallory.ask('native.join', room)).toContain(room);
    await using bob = await member('bob');
    await ada.inbox.next(({ event, args }) => event === 'realtime:presence' && JSON.stringify(args).includes('bob'));
    await everything();
    await settle(ada);
    await rooms.close(room);
    await bob.inbox.next('realtime:room');
    sayNatively(pair.first, 'to who is left');
    expect((await mallory.inbox.next('native')).args).toEqual(['to who is left']);
    expect(heard(mallory, room)).toEqual([]);
    expect(await rooms.count(room)).toBe(0);
  });

  it.each(['socketsJoin', 'socketsJoin from another node'] as const)('lets nobody hear it by %s', async (way) => {
    await using ada = await member('ada');
    await using mallory = await connect('mallory');
    const from = way === 'socketsJoin' ? pair.first : pair.last;
    server(from)
      .in(mallory.socket.id as string)
      .socketsJoin(room);
    await eventually(async () => expect(await mallory.ask('native.rooms')).toContain(room));
    await everything();
    await settle(ada);
    sayNatively(pair.first, 'to both');
    for (const one of [ada, mallory]) expect((await one.inbox.next('native')).args).toEqual(['to both']);
    expect(heard(mallory, room)).toEqual([]);
    expect(await mallory.ask('realtime:history', { room, limit: 1 })).toEqual(refused('FORBIDDEN'));
    const presence = await pair.last.app.get(PresenceService).list(room);
    expect(presence.users.map(({ id }) => id)).toEqual(['ada']);
  });

  const LEAVES: [string, (client: StockClient) => unknown][] = [
    ['client.leave()', (client) => client.ask('native.leave', room)],
    ['client.leave() of each of client.rooms', (client) => client.ask('native.leaveAll')],
    [
      'socketsLeave()',
      ({ socket }) =>
        server(pair.first)
          .in(socket.id as string)
          .socketsLeave(room),
    ],
    [
      'socketsLeave() from another node',
      ({ socket }) =>
        server(pair.last)
          .in(socket.id as string)
          .socketsLeave(room),
    ],
    ['socketsLeave() of the whole room', () => server(pair.last).in(room).socketsLeave(room)],
  ];

  it.each(LEAVES)('loses its members nothing by %s', async (_way, leave) => {
    await using ada = await member('ada');
    await using bob = await member('bob', pair.last);
    await leave(ada);
    await eventually(async () => expect(await ada.ask('native.rooms')).not.toContain(room));
    await everything();
    for (const one of [ada, bob]) await settle(one);
    expect(await rooms.count(room)).toBe(2);
    expect(await pair.last.app.get(PresenceService).count(room)).toBe(2);
    await using cleo = await member('cleo');
    await ada.inbox.next(({ event, args }) => event === 'realtime:presence' && JSON.stringify(args).includes('cleo'));
    sayNatively(pair.first, 'to who is in it');
    await cleo.inbox.next('native');
    await fence(ada);
    expect(ada.inbox.all.filter(({ event }) => event === 'native')).toEqual([]);
    await rooms.close(room);
    expect((await ada.inbox.next('realtime:room')).args).toEqual([{ room, status: 'closed', code: 'FORBIDDEN' }]);
  });

  it('has the members in it as ever, and shows them to the app', async () => {
    await using ada = await member('ada');
    expect(await ada.ask('native.rooms')).toContain(room);
    expect(server(pair.first).adapter.rooms.get(room)).toEqual(new Set([ada.socket.id]));
    sayNatively(pair.last, 'from another node');
    expect((await ada.inbox.next('native')).args).toEqual(['from another node']);
    await ada.ask('realtime:leave', { room });
    expect(await ada.ask('native.rooms')).not.toContain(room);
  });

  it('has no say in who is excluded', async () => {
    await using ada = await member('ada');
    await using bob = await member('bob', pair.first, 'news');
    await ada.ask('native.join', 'a-group');
    await rooms.publish(room, 'kept', 1, { exclude: ['a-group', bob.socket.id as string] });
    expect((await ada.inbox.next('kept')).args[0]).toBe(1);
    await fence(bob);
    expect(bob.inbox.all.filter(({ event }) => event === 'kept')).toEqual([]);
  });
});

describe('when a native room is joined that a policy is about', () => {
  it('says so once, and says nothing of members and other rooms', async () => {
    const lines: string[] = [];
    const warn = jest
      .spyOn(Logger.prototype, 'warn')
      .mockImplementation((line: unknown) => void lines.push(String(line)));
    await using app = await bootApp({ providers });
    await using ada = await connectedClient(`${app.url}/chat`, { auth: { token: mintToken('ada') } });
    await ada.ask('realtime:join', { room: 'private/1' });
    await ada.ask('native.join', 'private/1');
    for (const other of ['elsewhere', 5, '', 'private/%', 'private']) await ada.ask('native.join', other);
    expect(lines.filter((line) => line.includes('no member'))).toEqual([]);
    await ada.ask('native.join', 'private/2');
    await ada.ask('native.join', 'private/3');
    expect(lines.filter((line) => line.includes('no member'))).toEqual([
      expect.stringContaining('the Socket.IO room "private/2"'),
    ]);
    warn.mockRestore();
  });
});
