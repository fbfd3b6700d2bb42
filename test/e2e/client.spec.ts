import { Injectable } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  CurrentPrincipal,
  RealtimeService,
  RoomManager,
  RoomPolicy,
  type CanJoin,
  type JoinDecision,
  type Principal,
  type RoomContext,
} from 'nestjs-realtime';
import {
  createRealtimeClient,
  presenceOf,
  type ClientStatus,
  type RealtimeClient,
  type RealtimeRoom,
} from 'nestjs-realtime-client';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp } from '../support/app.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { TEST_SECRET, mintToken } from '../support/tokens.js';

interface ChatContract {
  events: { message: { text: string }; notice: { text: string } };
  requests: {
    say: { data: { room: string; text: string }; answer: { id: string } };
    roles: { data: null; answer: readonly string[] };
  };
}

@RoomPolicy('chat/:id', { presence: true })
@Injectable()
class ChatPolicy implements CanJoin {
  canJoin({ params }: RoomContext): JoinDecision {
    return { allow: params['id'] !== 'secret', state: { topic: params['id'] } };
  }
}

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('say')
  say(@MessageBody() { room, text }: { room: string; text: string }) {
    return this.rooms.publish(room, 'message', { text });
  }

  @SubscribeMessage('roles')
  roles(@CurrentPrincipal() { roles }: Principal): readonly string[] {
    return roles;
  }
}

let demo: TestApp;
const open: RealtimeClient<ChatContract>[] = [];

beforeEach(async () => {
  demo = await bootApp({
    providers: [ChatPolicy, ChatGateway],
    realtime: { presence: { coalesceMs: 0, leaveGraceMs: 0 } },
  });
});

afterEach(async () => {
  for (const client of open.splice(0)) client.close();
  await demo[Symbol.asyncDispose]();
});

function clientOf(user: string, getToken = () => mintToken(user), url = demo.url): RealtimeClient<ChatContract> {
  const client = createRealtimeClient<ChatContract>(`${url}/chat`, { getToken });
  open.push(client);
  return client;
}

const idsIn = (room: RealtimeRoom<ChatContract>): string[] =>
  presenceOf(room)
    .users.map(({ id }) => id)
    .sort();

function reaches(client: RealtimeClient<ChatContract>, wanted: ClientStatus): Promise<void> {
  return new Promise((resolve) => {
    const off = client.on('state', (status) => status === wanted && resolve(off()));
  });
}

function nextText(room: RealtimeRoom<ChatContract>): Promise<string> {
  return new Promise((resolve) => {
    const off = room.on('message', ({ text }) => resolve((off(), text)));
  });
}

describe('when two clients join a room', () => {
  it('gives them the state, each other and what is said', async () => {
    const [ada, bob] = [clientOf('ada').room('chat/1'), clientOf('bob').room('chat/1')];
    expect(await ada.join()).toEqual({ topic: '1' });
    await bob.join();
    await eventually(() =>
      expect([idsIn(ada), idsIn(bob)]).toEqual([
        ['ada', 'bob'],
        ['ada', 'bob'],
      ]),
    );

    const heard = Promise.all([nextText(ada), nextText(bob)]);
    await open[0]?.request('say', { room: 'chat/1', text: 'hello' });
    expect(await heard).toEqual(['hello', 'hello']);

    await bob.leave();
    await eventually(() => expect(idsIn(ada)).toEqual(['ada']));
  });

  it('refuses one room without harm to the other', async () => {
    const client = clientOf('ada');
    const [good, bad] = [client.room('chat/1'), client.room('chat/secret')];
    const results = await Promise.allSettled([good.join(), bad.join()]);
    expect(results).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'FORBIDDEN', retryable: false } }]);
    expect([good.phase, bad.phase]).toEqual(['joined', 'left']);
  });
});

describe('when the server has no place for a client', () => {
  it('fails at once for a bad token, and everything that waits with it', async () => {
    const client = clientOf('ada', () => 'no token at all');
    await expect(client.room('chat/1').join()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    await expect(client.request('say', { room: 'x', text: '' })).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(client.state).toBe('failed');
  });

  it('fails when its user is revoked', async () => {
    const client = clientOf('ada');
    await client.room('chat/1').join();
    const failed = reaches(client, 'failed');
    await demo.app.get(RealtimeService).revoke({ userId: 'ada' });
    await failed;
    await expect(client.request('say', { room: 'x', text: '' })).rejects.toMatchObject({ code: 'REVOKED' });
  });

  it('leaves a room that it was kicked from, and stays connected', async () => {
    const client = clientOf('ada');
    const room = client.room('chat/1');
    await room.join();
    const left = new Promise((resolve) => room.onChange(({ phase }) => phase === 'left' && resolve(phase)));
    await demo.app.get(RoomManager).kick('chat/1', { userId: 'ada' });
    await left;
    expect([client.state, presenceOf(room).users]).toEqual(['connected', []]);
  });
});

describe('when the connection is lost', () => {
  it('comes back, and its rooms with it', async () => {
    await using proxy = await startTcpProxy({ port: Number(new URL(demo.url).port) });
    const client = clientOf('ada', undefined, `http://127.0.0.1:${proxy.port}`);
    const rooms = [client.room('chat/1'), client.room('chat/2')];
    await Promise.all(rooms.map((room) => room.join()));
    const waiting = reaches(client, 'waiting');
    proxy.cut();
    await waiting;
    expect(rooms.map(({ phase }) => phase)).toEqual(['joining', 'joining']);

    const heard = Promise.all(rooms.map(nextText));
    proxy.heal();
    // Waits for the connection; the rooms are joined before it is sent.
    await client.request('say', { room: 'chat/1', text: 'one' }, { timeoutMs: GENEROUS_MS });
    await client.request('say', { room: 'chat/2', text: 'two' });
    expect(await heard).toEqual(['one', 'two']);
  });

  it('says so to a request whose answer it can no longer get', async () => {
    await using proxy = await startTcpProxy({ port: Number(new URL(demo.url).port) });
    const client = clientOf('ada', undefined, `http://127.0.0.1:${proxy.port}`);
    await client.room('chat/1').join();
    proxy.stall();
    const request = client.request('say', { room: 'chat/1', text: 'gone' });
    proxy.cut();
    await expect(request).rejects.toMatchObject({ code: 'UNKNOWN' });
    client.close();
    await expect(client.request('say', { room: 'chat/1', text: 'late' })).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('when a token is about to expire', () => {
  it('is asked for again, and the connection lives on', async () => {
    const clock = new ManualClock(Date.now());
    const auth = { jwt: { secret: TEST_SECRET }, refreshLeadMs: 300_000 };
    // The clock stands still: no bucket would fill up again.
    const realtime = { auth, limits: { messagesPerSecond: 0 } };
    await using app = await bootApp({ providers: [ChatPolicy, ChatGateway], realtime, clock });
    let tokens = 0;
    const getToken = () => mintToken('ada', { expiresInSec: (tokens += 1) * 600, roles: [`token ${tokens}`] });
    const client = clientOf('ada', getToken, app.url);
    await client.room('chat/1').join();
    clock.advance(400_000);
    await eventually(async () => expect(await client.request('roles', null)).toEqual(['token 2']));
    // Past the end of the first token, and of all patience with it.
    clock.advance(400_000);
    const answer = await client.request('say', { room: 'chat/1', text: 'still here' });
    expect([typeof answer.id, client.state, tokens]).toEqual(['string', 'connected', 2]);
  });
});
