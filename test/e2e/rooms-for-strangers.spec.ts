import { Logger } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  AllowAnonymous,
  RoomManager,
  RoomPolicy,
  type AuthOptions,
  type CanJoin,
  type CanPublish,
  type RoomContext,
} from 'nestjs-realtime';
import type { Socket } from 'socket.io';
import { bootApp, type TestApp } from '../support/app.js';
import { connectedClient } from '../support/inbox.js';
import { TEST_SECRET, mintToken } from '../support/tokens.js';

const keep = { presence: true, history: { size: 9, ttlMs: 60_000 } };
/** Principals that a policy was asked about. */
const asked: string[] = [];

class AskedPolicy implements CanJoin, CanPublish {
  canJoin({ principal }: RoomContext): boolean {
    asked.push(principal.id);
    return true;
  }

  canPublish({ principal }: RoomContext): boolean {
    asked.push(principal.id);
    return true;
  }
}

@RoomPolicy('chat/:id', keep)
class ChatPolicy extends AskedPolicy {}

@RoomPolicy('lobby/:id', { ...keep, anonymous: true })
class LobbyPolicy extends AskedPolicy {}

@WebSocketGateway({ namespace: 'left-to-the-app' })
class LegacyGateway {}

@AllowAnonymous()
@WebSocketGateway({ namespace: 'open' })
class OpenGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('let me in')
  async letIn(@ConnectedSocket() socket: Socket, @MessageBody() room: string): Promise<void> {
    await this.rooms.join(socket, room);
  }
}
Reflect.defineMetadata('design:paramtypes', [RoomManager], OpenGateway);

const auth: AuthOptions = { jwt: { secret: TEST_SECRET }, namespaces: { '/left-to-the-app': false } };
const providers = [ChatPolicy, LobbyPolicy, LegacyGateway, OpenGateway];
const namespaces = ['left-to-the-app', 'open'];
const FORBIDDEN = { error: { code: 'FORBIDDEN', message: expect.any(String) as unknown, retryable: false } };
const SIGNED_IN_ONLY = { error: { ...FORBIDDEN.error, message: 'Only signed-in clients may use this room' } };

let app: TestApp;
let warnings: string[];

beforeAll(async () => {
  warnings = [];
  const silent = (): void => undefined;
  Logger.overrideLogger({ log: silent, error: silent, warn: (line: string) => warnings.push(line) });
  app = await bootApp({ providers, realtime: { auth }, logger: 'log' });
  await app.app.get(RoomManager).publish('chat/1', 'message', 'said before');
});
beforeEach(() => (asked.length = 0));
afterAll(() => app[Symbol.asyncDispose]());

describe('when a policy says nothing of clients without an identity', () => {
  it.each(namespaces)('refuses them whatever they ask for, and is not asked about them (%s)', async (namespace) => {
    await using stranger = await connectedClient(`${app.url}/${namespace}`);
    const room = 'chat/1';
    expect(await stranger.ask('realtime:join', { room })).toEqual(SIGNED_IN_ONLY);
    expect(await stranger.ask('realtime:join', { room, since: 'retention' })).toEqual(SIGNED_IN_ONLY);
    expect(await stranger.ask('realtime:join', { room, position: { epoch: 'x', offset: 0 } })).toEqual(SIGNED_IN_ONLY);
    const list = await stranger.ask('realtime:join', { rooms: [{ room }, { room: 'lobby/1' }] });
    expect(list).toEqual([{ room, ...SIGNED_IN_ONLY }, expect.objectContaining({ room: 'lobby/1' })]);
    expect(await stranger.ask('realtime:publish', { room, event: 'message', data: 'forged' })).toEqual(FORBIDDEN);
    expect(await stranger.ask('realtime:history', { room, limit: 9 })).toEqual(FORBIDDEN);
    expect(await stranger.ask('realtime:presence', { room })).toEqual(FORBIDDEN);
    expect(await stranger.ask('realtime:meta', { room, meta: 1 })).toEqual(FORBIDDEN);
    expect(asked).toHaveLength(1); // about the lobby
    expect(await app.app.get(RoomManager).count(room)).toBe(0);
  });

  it('says so once in the log, naming the policy and the option', async () => {
    const lines = warnings.filter((line) => line.includes('`anonymous: true`'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("@RoomPolicy('chat/:id') on ChatPolicy");
  });

  it('asks about those who are signed in, in the same namespace', async () => {
    await using ada = await connectedClient(`${app.url}/open`, { auth: { token: mintToken('ada') } });
    expect(await ada.ask('realtime:join', { room: 'chat/1' })).toMatchObject({ room: 'chat/1' });
    expect(asked).toEqual(['ada']);
  });

  it('lets a stranger whom server code has let in hear, and not publish', async () => {
    await using stranger = await connectedClient(`${app.url}/open`);
    expect(await stranger.ask('let me in', 'chat/2')).toBeNull();
    await app.app.get(RoomManager).publish('chat/2', 'message', 'for members');
    expect((await stranger.inbox.next('message')).args[0]).toBe('for members');
    const publish = { room: 'chat/2', event: 'message', data: 'forged' };
    expect(await stranger.ask('realtime:publish', publish)).toEqual(SIGNED_IN_ONLY);
    expect(await stranger.ask('realtime:join', { room: 'chat/2', since: 'retention' })).toEqual(SIGNED_IN_ONLY);
    expect(asked).toEqual([]);
  });

  it.each(namespaces)('is not reached by a refresh, which makes nobody of a stranger (%s)', async (namespace) => {
    await using stranger = await connectedClient(`${app.url}/${namespace}`);
    const refusal = { error: { code: 'UNAUTHORIZED' } };
    expect(await stranger.ask('realtime:refresh', { token: mintToken('ada') })).toMatchObject(refusal);
    expect(await stranger.ask('realtime:join', { room: 'chat/1' })).toEqual(SIGNED_IN_ONLY);
  });
});

describe('when a policy speaks of clients without an identity', () => {
  it.each(namespaces)('is asked about them, and they are served as others are (%s)', async (namespace) => {
    const room = `lobby/${namespace}`;
    await using stranger = await connectedClient(`${app.url}/${namespace}`);
    expect(await stranger.ask('realtime:join', { room })).toMatchObject({
      room,
      presence: { count: expect.any(Number) as unknown },
    });
    const publish = { room, event: 'message', data: 'hello' };
    expect(await stranger.ask('realtime:publish', publish)).toMatchObject({ offset: 1 });
    const [, meta] = (await stranger.inbox.next('message')).args as [unknown, { publisher: string }];
    expect(meta.publisher).toMatch(/^anonymous:[\w-]{16}$/);
    expect(meta.publisher).not.toContain(stranger.socket.id);
    expect(await stranger.ask('realtime:history', { room, limit: 9 })).toMatchObject({
      publications: [{ data: 'hello' }],
    });
    expect(asked).toEqual([meta.publisher, meta.publisher]);
  });
});

describe('when the option is no boolean', () => {
  it('fails boot and names it', async () => {
    @RoomPolicy('odd/:id', { anonymous: 'yes' as never })
    class OddPolicy extends AskedPolicy {}
    await expect(bootApp({ providers: [LegacyGateway, OddPolicy] })).rejects.toThrow(
      "@RoomPolicy('odd/:id') on OddPolicy: anonymous must be true or false",
    );
  });
});
