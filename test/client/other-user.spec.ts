import jwt from 'jsonwebtoken';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { AllowAnonymous, RoomManager, RoomPolicy, type AuthOptions, type CanJoin } from 'nestjs-realtime';
import {
  createRealtimeClient,
  storedOutbox,
  storedPositions,
  type OutboxStorage,
  type RealtimeClient,
  type RealtimeClientOptions,
} from 'nestjs-realtime-client';
import type { Socket } from 'socket.io';
import { bootApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { Gate } from '../support/gate.js';
import { endTransports } from '../support/live-sockets.js';
import { TEST_SECRET, mintToken } from '../support/tokens.js';
import { HELLO, bareServer } from './bare-server.js';

const handled: unknown[] = [];

@WebSocketGateway()
@AllowAnonymous()
class PaymentGateway {
  @SubscribeMessage('pay')
  pay(@ConnectedSocket() { data }: Socket, @MessageBody() from: string): string {
    const { principal } = data as { principal: { id: string; isAnonymous: boolean } };
    const who = principal.isAnonymous ? 'nobody' : principal.id;
    handled.push(`${from} as ${who}`);
    return who;
  }
}

@RoomPolicy('chat/:id', { history: { size: 100, ttlMs: 600_000 } })
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

class MemoryStorage implements OutboxStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

/** Whoever wants to sign in waits here while it is shut. */
const signIn = new Gate();
const clients: RealtimeClient[] = [];

beforeEach(() => {
  handled.length = 0;
});

afterEach(() => {
  signIn.open();
  for (const client of clients.splice(0)) client.close();
});

function clientOf(url: string, options: RealtimeClientOptions): RealtimeClient {
  const client = createRealtimeClient(url, options);
  clients.push(client);
  return client;
}

function become(client: RealtimeClient, status: string): Promise<void> {
  return new Promise((resolve) => {
    const off = client.on('state', (now) => {
      if (now !== status) return;
      off();
      resolve();
    });
  });
}

/** The network goes; the client is back when `signIn` is open. */
async function lose(client: RealtimeClient, app: TestApp): Promise<void> {
  const isLost = become(client, 'waiting');
  signIn.shut();
  await endTransports(app.app);
  await isLost;
}

const opaque: AuthOptions = {
  verify: ({ auth }) => {
    const { token } = auth as { token?: string };
    return token === undefined ? null : { id: token.replace('opaque-', '') };
  },
};
const numeric = (sub: string): string => jwt.sign({ sub: Number(sub) }, TEST_SECRET, { expiresIn: 600 });

const TOKENS: [kind: string, auth: AuthOptions | undefined, ada: string, bob: string, token: (id: string) => string][] =
  [
    ['JWTs whose sub is a string', undefined, 'ada', 'bob', mintToken],
    ['JWTs whose sub is a number', undefined, '1', '2', numeric],
    ['opaque tokens', opaque, 'ada', 'bob', (id) => `opaque-${id}`],
  ];

describe.each(TOKENS)('when another user signs in while a request waits, with %s', (_, auth, ada, bob, token) => {
  const boot = (): Promise<TestApp> =>
    bootApp({ providers: [PaymentGateway, ChatPolicy], ...(auth ? { realtime: { auth } } : {}) });

  it('sends nothing of the first as the second, and says why', async () => {
    await using app = await boot();
    let user = ada;
    const client = clientOf(app.url, { getToken: () => signIn.pass('').then(() => token(user)) });
    expect(await client.request('pay', 'first')).toBe(ada);
    await lose(client, app);
    const waiting = client.request('pay', 'second', { idempotent: true, offline: 'queue' });
    user = bob;
    signIn.open();
    await expect(waiting).rejects.toMatchObject({ code: 'OTHER_PRINCIPAL', message: expect.stringContaining('user') });
    expect(await client.request('pay', 'third')).toBe(bob);
    expect(handled).toEqual([`first as ${ada}`, `third as ${bob}`]);
  });

  it('sends what waits when the same user is back, with another token', async () => {
    await using app = await boot();
    const client = clientOf(app.url, { getToken: () => signIn.pass('').then(() => token(ada)) });
    await client.request('pay', 'first');
    await lose(client, app);
    const waiting = client.request('pay', 'second', { offline: 'queue' });
    signIn.open();
    expect(await waiting).toBe(ada);
  });

  it('keeps what waits over a reload, for its user alone', async () => {
    await using app = await boot();
    const storage = new MemoryStorage();
    const outbox = { store: storedOutbox({ storage, key: 'outbox' }) };
    const before = clientOf(app.url, { getToken: () => signIn.pass('').then(() => token(ada)), outbox });
    await before.request('pay', 'first');
    await lose(before, app);
    before.request('pay', 'second', { offline: 'queue' }).catch(() => undefined);
    const left = storage.items.get('outbox') ?? '';
    expect(JSON.parse(left)).toMatchObject({ entries: [{ principal: ada }] });
    before.close();
    signIn.open();

    storage.items.set('outbox', left);
    const other = clientOf(app.url, { getToken: () => token(bob), outbox });
    await other.request('pay', 'third');
    expect(other.outbox.pending).toEqual([]);
    other.close();
    const again = clientOf(app.url, { getToken: () => token(ada), outbox });
    await again.request('pay', 'fourth');
    await eventually(() => expect(handled).toContain(`second as ${ada}`));
    expect(handled).not.toContain(`second as ${bob}`);
  });

  it('keeps positions over a reload, for each user apart', async () => {
    await using app = await boot();
    const storage = new MemoryStorage();
    const heard = async (user: string): Promise<unknown[]> => {
      const client = clientOf(app.url, {
        getToken: () => token(user),
        positions: storedPositions({ storage, key: 'p' }),
      });
      const got: unknown[] = [];
      const room = client.room('chat/1');
      room.on('message', (data) => got.push(data));
      await room.join();
      await app.app.get(RoomManager).publish('chat/1', 'message', 'now');
      await eventually(() => expect(got).toContain('now'));
      await eventually(() =>
        expect(JSON.parse(storage.items.get(`p:${user}`) ?? '{}')).toMatchObject({
          rooms: { 'chat/1': [room.position?.epoch, room.position?.offset, expect.any(Number)] },
        }),
      );
      client.close();
      return got;
    };
    await heard(ada);
    await app.app.get(RoomManager).publish('chat/1', 'message', 'meanwhile');
    expect(await heard(bob)).toEqual(['now']);
    expect(await heard(ada)).toEqual(['meanwhile', 'now', 'now']);
  });
});

describe('when a user signs in who was nobody before, or out', () => {
  it.each([
    [undefined, 'ada'],
    ['ada', undefined],
  ])('sends nothing of the one as the other (%s, then %s)', async (first, second) => {
    await using app = await bootApp({ providers: [PaymentGateway] });
    let user = first;
    const client = clientOf(app.url, { getToken: () => signIn.pass('').then(() => user && mintToken(user)) });
    await client.request('pay', 'first');
    await lose(client, app);
    const waiting = client.request('pay', 'second', { offline: 'queue' });
    user = second;
    signIn.open();
    await expect(waiting).rejects.toMatchObject({ code: 'OTHER_PRINCIPAL' });
    expect(handled).toEqual([`first as ${first ?? 'nobody'}`]);
  });

  it('goes on as nobody, if it is nobody again', async () => {
    await using app = await bootApp({ providers: [PaymentGateway] });
    const client = clientOf(app.url, { getToken: () => signIn.pass('').then(() => undefined) });
    await client.request('pay', 'first');
    await lose(client, app);
    const waiting = client.request('pay', 'second', { offline: 'queue' });
    signIn.open();
    expect(await waiting).toBe('nobody');
  });
});

describe('when the server does not say who is signed in', () => {
  async function afterReconnect(options: Partial<RealtimeClientOptions>): Promise<unknown> {
    await using server = await bareServer({ hello: ({ id }: Socket) => ({ ...HELLO, connectionId: id }) });
    const client = clientOf(server.url, { getToken: () => 'a token', ...options });
    await client.request('pay', 1);
    const isLost = become(client, 'waiting');
    for (const { conn } of server.io.sockets.sockets.values()) conn.close();
    await isLost;
    return await client.request('pay', 2, { offline: 'queue' }).catch(({ code }: { code: string }) => code);
  }

  it('sends nothing that waits on another connection, unless the app says it', async () => {
    expect(await afterReconnect({})).toBe('OTHER_PRINCIPAL');
    expect(await afterReconnect({ principal: 'ada' })).toBeNull();
    expect(await afterReconnect({ principal: (token) => token })).toBeNull();
    expect(await afterReconnect({ getToken: () => undefined })).toBeNull();
  });

  it('stores nothing', async () => {
    await using server = await bareServer({ hello: HELLO, onRequest: () => undefined });
    const storage = new MemoryStorage();
    const client = clientOf(server.url, { getToken: () => 'a token', outbox: { store: storedOutbox({ storage }) } });
    client.request('pay', 1, { offline: 'queue' }).catch(() => undefined);
    await eventually(() => expect(server.heard).toHaveLength(1));
    expect(storage.items.size).toBe(0);
  });

  it.each([7, 'user/%', {}])('takes nonsense for silence (%j)', async (userRoom) => {
    await using server = await bareServer({ hello: { ...HELLO, userRoom } });
    const client = clientOf(server.url, { getToken: () => 'a token' });
    expect(await client.request('pay', 1)).toBeNull();
  });
});
