import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  PresenceService,
  RealtimeService,
  RoomManager,
  RoomPolicy,
  roomName,
  type CanJoin,
  type JoinDecision,
  type RoomContext,
} from 'nestjs-realtime';
import { RealtimeEmitter } from 'nestjs-realtime/emitter';
import type { Socket } from 'socket.io';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { mintToken } from '../../support/tokens.js';
import { HostileApp } from './hostile-app.js';

const history = { size: 9, ttlMs: 60_000 };
/** Rooms and parameters that policies were asked about. */
const asked: unknown[] = [];

@RoomPolicy('chat/admin', { history })
class AdminPolicy implements CanJoin {
  canJoin({ principal, room }: RoomContext): boolean {
    asked.push(room);
    return principal.roles.includes('admin');
  }
}

@RoomPolicy('chat/:id', { history, presence: true })
class ChatPolicy implements CanJoin {
  canJoin({ params }: RoomContext): JoinDecision {
    asked.push({ ...params });
    return { allow: true, state: `state of ${params['id']}` };
  }
}

@RoomPolicy('team@x')
class TeamPolicy extends ChatPolicy {}

@WebSocketGateway({ namespace: 'names' })
class NamesGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }

  @SubscribeMessage('server joins')
  join(@ConnectedSocket() socket: Socket, @MessageBody() room: string): Promise<void> {
    return this.rooms.join(socket, room);
  }
}
Reflect.defineMetadata('design:paramtypes', [RoomManager], NamesGateway);

const NS = '/names';

const refused = (problem: string): object => ({
  error: { code: 'BAD_REQUEST', message: `room ${problem}`, retryable: false },
});

describe('when a room is asked for by another name', () => {
  let hostile: HostileApp;
  let mallory: StockClient;

  beforeAll(async () => {
    const providers = [NamesGateway, AdminPolicy, ChatPolicy, TeamPolicy];
    hostile = await HostileApp.boot({ providers }, { namespace: NS, event: 'ping' });
  });
  beforeEach(async () => {
    mallory = await connectedClient(`${hostile.url}${NS}`, { auth: { token: mintToken('mallory') } });
    asked.length = 0;
  });
  afterEach(async () => {
    await hostile.survives();
    await mallory[Symbol.asyncDispose]();
  });
  afterAll(() => hostile[Symbol.asyncDispose]());

  it.each([
    ['an escaped letter', 'chat/%61dmin', "must be 'chat/admin': a room has one name"],
    ['its first segment escaped', '%63hat/1', "must be 'chat/1': a room has one name"],
    ['small letters in an escape', 'chat/a%2fb', "must be 'chat/a%2Fb': a room has one name"],
    ['a character escaped that needs it not', 'team%40x', "must be 'team@x': a room has one name"],
    ['NUL', 'chat/%00', 'must not hold control or bidi characters'],
    ['a line break', 'chat/%0D%0A', 'must not hold control or bidi characters'],
    ['an override of direction', 'chat/%E2%80%AE', 'must not hold control or bidi characters'],
    ['a way up', 'chat/%2E%2E', "must not have the segment '.' or '..'"],
    ['a way up, unescaped', 'chat/..', "must not have the segment '.' or '..'"],
    ['half an escape', 'chat/%E0%A4%A', 'must not have an escape that stands for no character'],
  ])('refuses %s, saying why, and asks no policy', async (_name, room, problem) => {
    expect(await mallory.ask('realtime:join', { room })).toEqual(refused(problem));
    expect(await mallory.ask('realtime:join', { rooms: [{ room }, { room: 'chat/1' }] })).toEqual([
      refused(problem),
      expect.objectContaining({ room: 'chat/1' }),
    ]);
    expect(asked).toEqual([{ id: '1' }]);
  });

  it('is refused in what server code does with rooms, by the same words', async () => {
    const { app } = hostile.node;
    const rooms = app.get(RoomManager);
    const room = 'chat/%61dmin';
    const refusal = { code: 'BAD_REQUEST', message: "room must be 'chat/admin': a room has one name" };
    expect(() => rooms.emit(room, 'message')).toThrow(expect.objectContaining(refusal) as Error);
    expect(() => app.get(RealtimeService).toRoom(room).emit('message')).toThrow(
      expect.objectContaining(refusal) as Error,
    );
    const calls = [
      rooms.publish(room, 'message', 1),
      rooms.publish(['chat/1', room], 'message', 1),
      rooms.history(room, { limit: 1 }),
      rooms.clear(room),
      rooms.join({ userId: 'mallory' }, room),
      rooms.leave({ userId: 'mallory' }, room),
      rooms.kick(room, { userId: 'mallory' }),
      rooms.close(room),
      Promise.resolve().then(() => rooms.members(room)),
      Promise.resolve().then(() => rooms.count(room)),
      app.get(PresenceService).count(room),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject(refusal);
    expect(await mallory.ask('server joins', room)).toMatchObject({ error: { code: 'BAD_REQUEST' } });
    const emitter = new RealtimeEmitter({ redis: { url: 'redis://127.0.0.1:1' } });
    expect(() => emitter.toRoom(room)).toThrow(expect.objectContaining(refusal) as Error);
    await emitter.close();
  });

  it('is decided by the policy of what it stands for, under its one name', async () => {
    expect(await mallory.ask('realtime:join', { room: 'chat/admin' })).toMatchObject({ error: { code: 'FORBIDDEN' } });
    const id = 'ä b@c|1/%';
    const room = roomName('chat/:id', { id });
    expect(await mallory.ask('realtime:join', { room })).toMatchObject({ room, state: `state of ${id}` });
    expect(await mallory.ask('realtime:join', { room: 'team@x' })).toMatchObject({ room: 'team@x' });
    expect(asked).toEqual(['chat/admin', { id }, {}]);
    await hostile.node.app.get(RoomManager).publish(room, 'message', 'to members');
    expect((await mallory.inbox.next('message')).args[0]).toBe('to members');
  });

  it('does not come between a user and the own room, whatever stands in the id', async () => {
    const id = 'auth0|1:ü@x';
    await using user = await connectedClient(`${hostile.url}${NS}`, { auth: { token: mintToken(id) } });
    const room = 'user/auth0%7C1%3A%C3%BC%40x';
    expect(await user.ask('realtime:join', { room })).toMatchObject({ room });
    await hostile.node.app.get(RealtimeService).toUser(id).publish('note', 'for you');
    expect((await user.inbox.next('note')).args[0]).toBe('for you');
  });
});
