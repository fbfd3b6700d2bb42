import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  PresenceService,
  RealtimeService,
  RoomManager,
  RoomPolicy,
  type CanJoin,
  type CanPublish,
  type RoomContext,
} from 'nestjs-realtime';
import type { Socket } from 'socket.io';
import { Ack, itWithAck } from '../../support/ack.js';
import { connectedClient, type StockClient } from '../../support/inbox.js';
import { mintToken } from '../../support/tokens.js';
import { HostileApp, refusal } from './hostile-app.js';

@RoomPolicy('chat/:id', { presence: true })
class ChatPolicy implements CanJoin, CanPublish {
  canJoin({ params }: RoomContext): boolean {
    return params['id'] !== 'forbidden';
  }

  canPublish(): boolean {
    return true;
  }
}

@RoomPolicy('tenant/:tenant/board')
class TenantPolicy implements CanJoin {
  canJoin({ principal, params }: RoomContext): boolean {
    return principal.claims['tenant'] === params['tenant'];
  }
}

/** Matches everything with one segment: names that a policy would allow must still be refused. */
@RoomPolicy(':any')
class AnyPolicy implements CanJoin {
  static asked: string[] = [];

  canJoin({ room }: RoomContext): boolean {
    AnyPolicy.asked.push(room);
    return true;
  }
}

@RoomPolicy('broken/:id')
class BrokenPolicy implements CanJoin {
  canJoin(): never {
    throw new Error('select * from secrets');
  }
}

@RoomPolicy('unsayable/:id')
class UnsayablePolicy implements CanJoin {
  canJoin() {
    return { allow: true, state: 1n };
  }
}

@WebSocketGateway({ namespace: 'rooms' })
class RoomsGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }

  @SubscribeMessage('rooms')
  roomsOf(@ConnectedSocket() socket: Socket): { ours: readonly string[]; theirs: number } {
    return { ours: this.rooms.roomsOf(socket), theirs: socket.rooms.size };
  }

  @SubscribeMessage('ack twice')
  ackTwice(@MessageBody() body: unknown, @Ack() ack: (value: unknown) => void): void {
    ack(body);
    ack('again');
  }
}

const NS = '/rooms';

describe('when a client asks for rooms that are not its own', () => {
  let hostile: HostileApp;
  let victim: StockClient;
  let mallory: StockClient;
  let rooms: RoomManager;

  beforeAll(async () => {
    const providers = [RoomsGateway, ChatPolicy, TenantPolicy, AnyPolicy, BrokenPolicy, UnsayablePolicy];
    hostile = await HostileApp.boot({ providers }, { namespace: NS, event: 'ping' });
    rooms = hostile.node.app.get(RoomManager);
  });

  beforeEach(async () => {
    const connect = (user: string, tenant: string): Promise<StockClient> =>
      connectedClient(`${hostile.url}${NS}`, { auth: { token: mintToken(user, { tenant }) } });
    victim = await connect('victim', 'one');
    mallory = await connect('mallory', 'two');
    AnyPolicy.asked = [];
    hostile.log.drain();
  });

  afterEach(async () => {
    await hostile.survives();
    await victim[Symbol.asyncDispose]();
    await mallory[Symbol.asyncDispose]();
  });

  afterAll(() => hostile[Symbol.asyncDispose]());

  const isInNoRoom = async (): Promise<void> =>
    expect(await mallory.ask('rooms')).toEqual({ ours: ['user/mallory'], theirs: 1 });

  it("B-34/35: refuses another socket's id, though a policy matches it, and overhears nothing", async () => {
    expect(await mallory.ask('realtime:join', { room: victim.socket.id })).toEqual(refusal('FORBIDDEN'));
    expect(await mallory.ask('realtime:join', { room: mallory.socket.id })).toEqual(refusal('FORBIDDEN'));
    expect(AnyPolicy.asked).toEqual([]);
    hostile.node.app.get(RealtimeService).toUser('victim').emit('private', 'for your eyes');
    expect((await victim.inbox.next('private')).args[0]).toBe('for your eyes');
    await isInNoRoom();
    expect(mallory.inbox.all.map(({ event }) => event)).not.toContain('private');
  });

  /** To presence, metadata, a publication and a leave: of what is no name at all, and of a room that nobody can be in. */
  const NO_NAME = Array.from({ length: 4 }, () => refusal('BAD_REQUEST'));
  const NOT_JOINED = [refusal('FORBIDDEN'), refusal('FORBIDDEN'), refusal('FORBIDDEN'), null];

  it.each<[string, unknown, readonly unknown[]]>([
    ['an object', { room: 'chat/1' }, NO_NAME],
    ['an object that says it is a text', { toString: 'chat/1', length: 6 }, NO_NAME],
    ['null', null, NO_NAME],
    ['nothing', undefined, NO_NAME],
    ['a number', 7, NO_NAME],
    ['true', true, NO_NAME],
    ['a list', ['chat/1'], NO_NAME],
    ['an empty text', '', NO_NAME],
    ['a space', 'chat/a b', NOT_JOINED],
    ['an asterisk', '*', NOT_JOINED],
    ['NUL', 'chat/\0', NO_NAME],
    ['a line break', 'chat/1\n', NO_NAME],
    ['a lone surrogate', 'chat/\ud800', NO_NAME],
    ['another script', 'chat/ä', NOT_JOINED],
    ['201 characters', `chat/${'x'.repeat(196)}`, NOT_JOINED],
    ['300 characters', 'x'.repeat(300), NOT_JOINED],
    ['50 KB', 'x'.repeat(50_000), NO_NAME],
    ['a reserved name', 'realtime:presence', NOT_JOINED],
    ['braces of a hash tag', 'chat/{x}', NOT_JOINED],
    ["another user's own room, encoded", 'user/%76ictim', [...NOT_JOINED.slice(0, 3), refusal('FORBIDDEN')]],
    ["another user's own room, its kind encoded", '%75ser/victim', NOT_JOINED],
  ])('B-34/35: answers BAD_REQUEST to a room that is %s', async (_name, room, answers) => {
    expect(await mallory.ask('realtime:join', { room })).toEqual(refusal('BAD_REQUEST'));
    expect(await mallory.ask('realtime:join', { rooms: [{ room }] })).toEqual([refusal('BAD_REQUEST')]);
    const request = { room, event: 'x', data: 1, meta: {} };
    const others = ['realtime:presence', 'realtime:meta', 'realtime:publish', 'realtime:leave'];
    expect(await Promise.all(others.map((event) => mallory.ask(event, request)))).toEqual(answers);
    expect(AnyPolicy.asked).toEqual([]);
    await isInNoRoom();
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'chat/1'],
    ['a list', [{ room: 'chat/1' }]],
    ['no rooms', { rooms: [] }],
    ['129 rooms', { rooms: Array.from({ length: 129 }, (_, index) => ({ room: `chat/${index}` })) }],
    ['rooms that are no list', { rooms: { 0: { room: 'chat/1' }, length: 1 } }],
    ['meta above 2 KiB', { room: 'chat/1', meta: 'x'.repeat(2_100) }],
  ])('B-34/35: answers BAD_REQUEST to a join with %s', async (_name, request) => {
    expect(await mallory.ask('realtime:join', request)).toEqual(refusal('BAD_REQUEST'));
    await isInNoRoom();
  });

  it('B-34/35: answers each of a list, and hears of the bad ones nothing that it said', async () => {
    const requests = [null, 7, 'chat/1', { room: 'chat/ok' }, { room: 'nobody/has/a/policy' }, { room: '\0secret' }];
    const answers = (await mallory.ask('realtime:join', { rooms: requests })) as object[];
    const codes = answers.map((answer) => (answer as { error?: { code: string } }).error?.code);
    expect(codes).toEqual(['BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST', undefined, 'FORBIDDEN', 'BAD_REQUEST']);
    expect(JSON.stringify(answers)).not.toContain('secret');
  });

  it.each([
    ['a room without a policy', 'nobody/has/a/policy'],
    ['a room that the policy refuses', 'chat/forbidden'],
    ["another tenant's room", 'tenant/one/board'],
    ["another user's own room", 'user/victim'],
    ['a room like its own', 'user/mallory/x'],
  ])('B-36/37: answers FORBIDDEN to %s', async (_name, room) => {
    expect(await mallory.ask('realtime:join', { room })).toEqual(refusal('FORBIDDEN'));
    await isInNoRoom();
  });

  it('B-36/37: lets a client join its own room and its own tenant', async () => {
    expect(await mallory.ask('realtime:join', { room: 'user/mallory' })).toMatchObject({ room: 'user/mallory' });
    expect(await mallory.ask('realtime:join', { room: 'tenant/two/board' })).toEqual({ room: 'tenant/two/board' });
  });

  it("B-36/37: refuses to leave the user's own room", async () => {
    expect(await mallory.ask('realtime:leave', { room: 'user/mallory' })).toEqual(refusal('FORBIDDEN'));
    await isInNoRoom();
  });

  it('B-36/37: refuses sending, presence and metadata in a room that the client is not in', async () => {
    await victim.ask('realtime:join', { room: 'chat/private' });
    for (const [event, more] of [
      ['realtime:publish', { event: 'message', data: 'spam' }],
      ['realtime:presence', {}],
      ['realtime:meta', { meta: { name: 'victim' } }],
    ] as const) {
      expect(await mallory.ask(event, { room: 'chat/private', ...more })).toEqual(refusal('FORBIDDEN'));
    }
    await rooms.publish('chat/private', 'fence', 1);
    await victim.inbox.next('fence');
    expect(victim.inbox.all.map(({ event }) => event)).not.toContain('message');
  });

  it('B-36/37: refuses to publish in the own room, where no policy allows it', async () => {
    const request = { room: 'user/mallory', event: 'message', data: 1 };
    expect(await mallory.ask('realtime:publish', request)).toEqual(refusal('FORBIDDEN'));
  });

  it.each([
    ['exception'],
    ['realtime:bye'],
    ['realtime:drain'],
    ['connect'],
    ['connect_error'],
    ['disconnect'],
    ['disconnecting'],
    ['newListener'],
    ['removeListener'],
    [''],
    ['\0'],
    ['x'.repeat(65)],
    [7],
    [null],
  ])('B-36/37: publishes no event named %j', async (event) => {
    await victim.ask('realtime:join', { room: 'chat/public' });
    await mallory.ask('realtime:join', { room: 'chat/public' });
    const before = victim.inbox.all.length;
    expect(await mallory.ask('realtime:publish', { room: 'chat/public', event, data: 1 })).toEqual(
      refusal('BAD_REQUEST'),
    );
    expect(await mallory.ask('realtime:publish', { room: 'chat/public', event: 'fence', data: 1 })).toEqual({
      id: expect.any(String) as unknown,
    });
    await victim.inbox.next('fence');
    const heard = victim.inbox.all.slice(before).map(({ event: name }) => name);
    expect(heard.filter((name) => name !== 'realtime:presence')).toEqual(['fence']);
  });

  it.each<unknown>(['', 'x'.repeat(65), 'a\0b', '\ud800', 7, {}])(
    'B-16: publishes nothing under the id %j',
    async (id) => {
      await mallory.ask('realtime:join', { room: 'chat/public' });
      const request = { room: 'chat/public', event: 'message', data: 1, id };
      expect(await mallory.ask('realtime:publish', request)).toEqual(refusal('BAD_REQUEST'));
    },
  );

  it('B-36/37: answers LIMIT_EXCEEDED to the 129th room, and lets a room be left for another', async () => {
    const rooms = Array.from({ length: 127 }, (_, index) => ({ room: `chat/${index}` }));
    const joined = (await mallory.ask('realtime:join', { rooms })) as { error?: unknown }[];
    expect(joined.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(await mallory.ask('realtime:join', { room: 'chat/one-too-many' })).toEqual(refusal('LIMIT_EXCEEDED'));
    expect(await mallory.ask('realtime:join', { room: 'chat/0' })).toMatchObject({ room: 'chat/0' });
    expect(await mallory.ask('realtime:leave', { room: 'chat/0' })).toBeNull();
    expect(await mallory.ask('realtime:join', { room: 'chat/another' })).toMatchObject({ room: 'chat/another' });
  });

  it('B-51: answers INTERNAL for a policy that throws, without its text', async () => {
    expect(await mallory.ask('realtime:join', { room: 'broken/1' })).toEqual(refusal('INTERNAL'));
    expect(JSON.stringify(mallory.inbox.all)).not.toContain('secrets');
    expect(hostile.reported.splice(0).map(({ event }) => event)).toEqual(['realtime:join']);
    await isInNoRoom();
  });

  it('answers INTERNAL when what a policy says cannot be encoded', async () => {
    expect(await mallory.ask('realtime:join', { room: 'unsayable/1' })).toEqual(refusal('INTERNAL'));
    expect(hostile.reported.splice(0)).toHaveLength(1);
  });

  it('answers unknown `realtime:` requests, and the names of our own events', async () => {
    for (const event of ['realtime:', 'realtime:bye', 'realtime:__proto__'])
      expect(await mallory.ask(event, {})).toEqual(refusal('NOT_FOUND'));
    // Known ones, asked for nothing: our own mark of a packet that is nested too deep, and a request without its room.
    for (const event of ['realtime:malformed', 'realtime:history'])
      expect(await mallory.ask(event, {})).toEqual(refusal('BAD_REQUEST'));
  });

  itWithAck('answers once, however often the handler acks', async () => {
    expect(await mallory.ask('ack twice', 'once')).toBe('once');
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an empty text', ''],
    ['an empty list', []],
    ['a list of nothing', [undefined]],
    ['a list with an empty text', ['chat/1', '']],
    ['an object', {}],
    ['a reserved name', 'realtime:x'],
  ])('B-38: throws when server code targets %s, which Socket.IO takes for everybody', async (_name, target) => {
    const bad = expect.objectContaining({ code: 'BAD_REQUEST' }) as Error;
    const room = target as string;
    const service = hostile.node.app.get(RealtimeService);
    expect(() => rooms.emit(room, 'leak', 1)).toThrow(bad);
    expect(() => service.toRoom(room).emit('leak', 1)).toThrow(bad);
    await expect(rooms.publish(room, 'leak', 1)).rejects.toEqual(bad);
    await expect(service.toRoom(room).publish('leak', 1)).rejects.toEqual(bad);
    await expect(rooms.close(room)).rejects.toEqual(bad);
    await expect(rooms.kick(room, { userId: 'victim' })).rejects.toEqual(bad);
    await expect(rooms.join({ userId: 'victim' }, room)).rejects.toEqual(bad);
    await rooms.publish('user/victim', 'fence', 1);
    await victim.inbox.next('fence');
    expect(victim.inbox.all.map(({ event }) => event)).not.toContain('leak');
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an empty text', ''],
    ['an empty list', []],
    ['an object', {}],
  ])('B-38: throws when server code names a user or a connection by %s', async (_name, target) => {
    const bad = expect.objectContaining({ code: 'BAD_REQUEST' }) as Error;
    const id = target as string;
    const service = hostile.node.app.get(RealtimeService);
    expect(() => service.toUser(id)).toThrow(bad);
    await expect(service.disconnect({ userId: id })).rejects.toEqual(bad);
    await expect(service.disconnect({ connectionId: id })).rejects.toEqual(bad);
    await expect(service.revoke({ userId: id })).rejects.toEqual(bad);
    await expect(service.revoke({ tokenId: id })).rejects.toEqual(bad);
    await expect(rooms.kick('chat/1', { userId: id })).rejects.toEqual(bad);
    await expect(rooms.kick('chat/1', { connectionId: id })).rejects.toEqual(bad);
    await expect(rooms.join({ userId: id }, 'chat/1')).rejects.toEqual(bad);
    await expect(rooms.leave({ userId: id }, 'chat/1')).rejects.toEqual(bad);
    await expect(hostile.node.app.get(PresenceService).isOnline(id)).rejects.toEqual(bad);
    expect(victim.socket.connected).toBe(true);
  });

  it.each<[string, unknown]>([
    ['no name', ''],
    ['undefined', undefined],
    ['a reserved name', 'realtime:bye'],
    ["one of Socket.IO's names", 'disconnect'],
  ])('B-38: throws when server code emits an event with %s', async (_name, event) => {
    const bad = expect.objectContaining({ code: 'BAD_REQUEST' }) as Error;
    expect(() => rooms.emit('user/victim', event as string, 1)).toThrow(bad);
    await expect(rooms.publish('user/victim', event as string, 1)).rejects.toEqual(bad);
  });
});
