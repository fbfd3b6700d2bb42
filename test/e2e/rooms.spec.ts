import { randomBytes } from 'node:crypto';
import { ConnectedSocket, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Socket } from 'socket.io';
import {
  PresenceService,
  RealtimeService,
  RoomManager,
  RoomPolicy,
  type CanJoin,
  type CanPublish,
  type JoinDecision,
  type PresenceEvent,
  type RoomContext,
} from 'nestjs-realtime';
import { bootPair, type AppPair } from '../support/app-pair.js';
import type { TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@RoomPolicy('team/:id', { presence: true, maxMembers: 3 })
class TeamPolicy implements CanJoin, CanPublish {
  canJoin({ principal, params, meta }: RoomContext): JoinDecision {
    if (params['id'] === 'secret') return { allow: false, code: 'NOT_FOUND', message: 'No such team' };
    return { allow: principal.id !== 'mallory', state: { topic: params['id'], meta } };
  }

  canPublish({ principal, event }: RoomContext & { event: string }): boolean {
    return principal.id === 'ada' && event === 'said';
  }
}

@RoomPolicy('team/lobby', { namespaces: ['/one'] })
class LobbyPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@RoomPolicy('brief/:id')
class BriefPolicy implements CanJoin {
  static isOpen = true;
  canJoin(): JoinDecision {
    return { allow: BriefPolicy.isOpen, expiresInMs: 50 };
  }
}

@WebSocketGateway({ namespace: 'one' })
class OneGateway {
  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }

  @SubscribeMessage('native')
  async native(@ConnectedSocket() socket: Socket): Promise<string[]> {
    await socket.join('native');
    return [...socket.rooms].filter((room) => room !== socket.id);
  }
}

@WebSocketGateway({ namespace: 'two' })
class TwoGateway {
  @SubscribeMessage('fence')
  fence(): string {
    return 'fence';
  }
}

const providers = [TeamPolicy, LobbyPolicy, BriefPolicy, OneGateway, TwoGateway];
const refused = (code: string) => ({ error: expect.objectContaining({ code }) });

describe.each(['memory', 'redis'] as const)('rooms over %s', (engine) => {
  let pair: AppPair;
  let room: string;

  beforeAll(async () => {
    pair = await bootPair(engine, { providers });
  });

  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    room = `team/${randomBytes(4).toString('hex')}`;
  });

  const first = (): TestApp => pair.first;
  const last = (): TestApp => pair.last;
  const connect = (node: TestApp, user: string, namespace = 'one'): Promise<StockClient> =>
    connectedClient(`${node.url}/${namespace}`, { auth: { token: mintToken(user) } });

  it('asks the most specific policy, and tells its state or its refusal', async () => {
    await using ada = await connect(first(), 'ada');
    await using two = await connect(first(), 'ada', 'two');
    await using mallory = await connect(first(), 'mallory');
    expect(await ada.ask('realtime:join', { room, meta: { a: 1 } })).toMatchObject({
      room,
      state: { topic: room.slice(5), meta: { a: 1 } },
    });
    expect(await ada.ask('realtime:join', { room: 'team/secret' })).toEqual(refused('NOT_FOUND'));
    expect(await mallory.ask('realtime:join', { room })).toEqual(refused('FORBIDDEN'));
    expect(await ada.ask('realtime:join', { room: 'no/policy' })).toEqual(refused('FORBIDDEN'));
    expect(await ada.ask('realtime:join', { room: 'team/lobby' })).toEqual({ room: 'team/lobby' });
    expect(await two.ask('realtime:join', { room: 'team/lobby' })).toEqual(refused('FORBIDDEN'));
    const answers = await ada.ask('realtime:join', { rooms: [{ room }, { room: 'no/policy' }, { room: 5 }] });
    expect(answers).toEqual([
      expect.objectContaining({ room }),
      { room: 'no/policy', ...refused('FORBIDDEN') },
      refused('BAD_REQUEST'),
    ]);
  });

  it('is one room for all namespaces and nodes, and tells nothing after a leave', async () => {
    await using ada = await connect(first(), 'ada');
    await using bob = await connect(last(), 'bob', 'two');
    // On bob's node: what cleo has heard that node has delivered to everybody in the room.
    await using cleo = await connect(last(), 'cleo');
    for (const one of [ada, bob, cleo]) await one.ask('realtime:join', { room });
    const rooms = first().app.get(RoomManager);
    await rooms.publish(room, 'news', 1);
    expect((await bob.inbox.next('news')).args).toEqual([1, { room, id: expect.any(String) }]);
    rooms.emit(room, 'typing', 2, { exclude: ada.socket.id as string });
    expect((await bob.inbox.next('typing')).args).toEqual([2, { room }]);
    await bob.ask('realtime:leave', { room });
    await rooms.publish(room, 'news', 3);
    for (const one of [ada, cleo]) expect((await one.inbox.next(({ args }) => args[0] === 3)).event).toBe('news');
    await bob.ask('fence');
    expect(bob.inbox.unread.filter(({ event }) => event === 'news')).toEqual([]);
    expect(ada.inbox.all.filter(({ event }) => event === 'typing')).toEqual([]);
  });

  it('lets clients publish only what the policy allows, and only from inside', async () => {
    await using ada = await connect(first(), 'ada');
    await using bob = await connect(last(), 'bob');
    expect(await ada.ask('realtime:publish', { room, event: 'said', data: 1 })).toEqual(refused('FORBIDDEN'));
    await ada.ask('realtime:join', { room });
    await bob.ask('realtime:join', { room });
    expect(await ada.ask('realtime:publish', { room, event: 'said', data: 'hi' })).toEqual({ id: expect.any(String) });
    expect((await bob.inbox.next('said')).args[0]).toBe('hi');
    expect(await ada.ask('realtime:publish', { room, event: 'other', data: 1 })).toEqual(refused('FORBIDDEN'));
    expect(await bob.ask('realtime:publish', { room, event: 'said', data: 1 })).toEqual(refused('FORBIDDEN'));
    expect(await ada.ask('realtime:publish', { room, event: 'realtime:join', data: 1 })).toEqual(refused('FORBIDDEN'));
  });

  it('publishes for a client that has just asked to join and does not wait for the answer', async () => {
    await using ada = await connect(first(), 'ada');
    const joined = ada.ask('realtime:join', { room });
    const published = ada.ask('realtime:publish', { room, event: 'said', data: 1 });
    expect(await published).toEqual({ id: expect.any(String) });
    expect(await joined).toMatchObject({ room });
  });

  it('holds its limit in the whole cluster, and lists members and users', async () => {
    const clients = await Promise.all(
      ['ada', 'bob', 'cleo', 'dan'].map((user, index) => connect(index % 2 ? last() : first(), user)),
    );
    const answers = await Promise.all(clients.map((client) => client.ask('realtime:join', { room })));
    expect(answers.filter((answer) => !('error' in (answer as object)))).toHaveLength(3);
    expect(answers.filter((answer) => 'error' in (answer as object))).toEqual([refused('LIMIT_EXCEEDED')]);
    const rooms = last().app.get(RoomManager);
    expect(await rooms.count(room)).toBe(3);
    const { connections, missing } = await rooms.members(room);
    expect(connections).toHaveLength(3);
    expect(missing).toEqual([]);
    expect(await last().app.get(PresenceService).count(room)).toBe(3);
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  it('kicks and closes on every node, telling why', async () => {
    await using ada = await connect(first(), 'ada');
    await using bob = await connect(last(), 'bob');
    await using cleo = await connect(last(), 'cleo');
    for (const one of [ada, bob, cleo]) await one.ask('realtime:join', { room });
    const rooms = first().app.get(RoomManager);
    await rooms.kick(room, { userId: 'bob' });
    expect((await bob.inbox.next('realtime:room')).args).toEqual([{ room, status: 'kicked', code: 'FORBIDDEN' }]);
    await rooms.publish(room, 'news', 1);
    for (const one of [ada, cleo]) await one.inbox.next('news');
    await bob.ask('fence');
    expect(bob.inbox.unread.filter(({ event }) => event === 'news')).toEqual([]);
    await rooms.close(room);
    expect((await ada.inbox.next('realtime:room')).args).toEqual([{ room, status: 'closed', code: 'FORBIDDEN' }]);
    await eventually(async () => expect(await rooms.count(room)).toBe(0));
  });

  it('asks a policy again when its answer expires', async () => {
    BriefPolicy.isOpen = true;
    await using ada = await connect(first(), 'ada');
    await ada.ask('realtime:join', { room: 'brief/1' });
    BriefPolicy.isOpen = false;
    expect((await ada.inbox.next('realtime:room')).args).toEqual([
      { room: 'brief/1', status: 'kicked', code: 'FORBIDDEN' },
    ]);
  });

  it('lets server code join a user on every node, and reach it in its own room', async () => {
    await using here = await connect(first(), 'eve');
    await using there = await connect(last(), 'eve', 'two');
    const rooms = first().app.get(RoomManager);
    await rooms.join({ userId: 'eve' }, 'server/made');
    await eventually(async () => expect(await rooms.count('server/made')).toBe(2));
    await rooms.publish('server/made', 'news', 1);
    await here.inbox.next('news');
    await there.inbox.next('news');
    await last().app.get(RealtimeService).toUser('eve').publish('note', 'hi');
    expect((await here.inbox.next('note')).args[1]).toMatchObject({ room: 'user/eve' });
    await there.inbox.next('note');
    expect(await here.ask('realtime:join', { room: 'user/eve' })).toEqual({
      room: 'user/eve',
      position: { epoch: expect.any(String), offset: 1 },
    });
    expect(await here.ask('realtime:join', { room: 'user/ada' })).toEqual(refused('FORBIDDEN'));
    expect(await here.ask('native')).toEqual(expect.not.arrayContaining(['user/eve']));
    await rooms.leave({ userId: 'eve' }, 'server/made');
    await eventually(async () => expect(await rooms.count('server/made')).toBe(0));
  });

  it('tells presence once in the cluster, and who is online', async () => {
    const events: PresenceEvent[] = [];
    const subscriptions = pair.nodes.map((node) =>
      node.app.get(PresenceService).changes.subscribe((event) => event.room === room && events.push(event)),
    );
    const presence = first().app.get(PresenceService);
    await using watcher = await connect(first(), 'watcher');
    await watcher.ask('realtime:join', { room });
    const tab = await connect(first(), 'fay');
    const phone = await connect(last(), 'fay');
    await tab.ask('realtime:join', { room, meta: { status: 'away' } });
    await phone.ask('realtime:join', { room });
    expect(await presence.get(room, 'fay')).toMatchObject({ id: 'fay', devices: [{}, {}] });
    expect(await presence.isOnline('fay')).toMatchObject({ online: true });
    const joined = await watcher.inbox.next(
      ({ event, args }) => event === 'realtime:presence' && JSON.stringify(args).includes('fay'),
    );
    expect(joined.args[0]).toMatchObject({
      room,
      join: expect.arrayContaining([expect.objectContaining({ id: 'fay' })]),
    });
    expect(await tab.ask('realtime:meta', { room, meta: { status: 'here' } })).toBeNull();
    expect(await tab.ask('realtime:meta', { room, meta: 'x'.repeat(3_000) })).toEqual(refused('BAD_REQUEST'));
    await tab.ask('realtime:leave', { room });
    await phone.ask('realtime:leave', { room });
    await watcher.inbox.next(
      ({ event, args }) => event === 'realtime:presence' && JSON.stringify(args).includes('"leave":["fay"]'),
    );
    await eventually(() =>
      expect(events.filter(({ type, user }) => user.id === 'fay' && type !== 'update').map(({ type }) => type)).toEqual(
        ['join', 'leave'],
      ),
    );
    expect(events.filter(({ type }) => type === 'occupied')).toHaveLength(1);
    for (const subscription of subscriptions) subscription.unsubscribe();
    await tab[Symbol.asyncDispose]();
    await phone[Symbol.asyncDispose]();
    await eventually(async () =>
      expect(await presence.isOnline('fay')).toMatchObject({ online: false, lastSeen: expect.any(Number) }),
    );
  });
});
