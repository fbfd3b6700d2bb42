import { ConnectedSocket, SubscribeMessage, WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import { RealtimeError, RealtimeService, type AuthOptions, type RealtimeOptions } from 'nestjs-realtime';
import type { Socket } from 'socket.io';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp, type TestAppOptions } from '../support/app.js';
import { connectedClient, stockClient, type ClientOptions, type StockClient } from '../support/inbox.js';
import { TEST_SECRET, mintToken } from '../support/tokens.js';

/** What each new connection meets, in order; then they are welcome. */
let failures: RealtimeError[] = [];

@WebSocketGateway({ namespace: 'app' })
class AppGateway implements OnGatewayConnection<Socket> {
  static refusals: Error[] = [];

  handleConnection(): void {
    const failure = AppGateway.refusals.shift();
    if (failure) throw failure;
  }

  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }

  @SubscribeMessage('cut')
  cut(@ConnectedSocket() socket: Socket): void {
    socket.conn.close();
  }
}

const NS = '/app';
const jwt = { secret: TEST_SECRET };

const boot = (
  realtime: Partial<RealtimeOptions> = {},
  more: Pick<TestAppOptions, 'port' | 'clock'> = {},
): Promise<TestApp> => bootApp({ providers: [AppGateway], realtime, ...more });

/** Reconnection as Socket.IO's client does it by default, but soon. */
const SOON = { reconnection: true, reconnectionDelay: 100 };
const client = (app: TestApp, options: ClientOptions = {}): StockClient =>
  stockClient(`${app.url}${NS}`, { auth: { token: mintToken('ada') }, ...SOON, ...options });

/** The client is connected and served. */
async function isServed(ada: StockClient): Promise<void> {
  await ada.inbox.next('connect');
  expect(await ada.ask('ping')).toBe('pong');
}

beforeEach(() => {
  failures = [];
  AppGateway.refusals = [];
});

describe('when a connection ends in a way that may be retried', () => {
  it('comes back after TOKEN_EXPIRED, with the token that its `auth` callback gives', async () => {
    const auth: AuthOptions = { jwt, refreshLeadMs: 0, expiryGraceMs: 0 };
    const clock = new ManualClock(Date.now());
    await using app = await boot({ auth }, { clock });
    const lives = [600, 3_600];
    await using ada = client(app, {
      auth: (give) => give({ token: mintToken('ada', { expiresInSec: lives.shift() ?? 3_600 }) }),
    });
    await isServed(ada);
    clock.advance(1_800_000);
    const { args } = await ada.inbox.next('realtime:bye');
    expect(args[0]).toMatchObject({ code: 'TOKEN_EXPIRED', retryable: true });
    expect((await ada.inbox.next('disconnect')).args).toEqual(['transport close']);
    await isServed(ada);
    expect(lives).toEqual([]);
  });

  it.each(['UNAVAILABLE', 'RATE_LIMITED', 'TIMEOUT', 'INTERNAL'] as const)(
    'comes back after %s as the answer to its CONNECT',
    async (code) => {
      const verify = (): { id: string } => {
        const failure = failures.shift();
        if (failure) throw failure;
        return { id: 'ada' };
      };
      failures = [new RealtimeError(code)];
      await using app = await boot({ auth: { verify } });
      await using ada = client(app);
      await isServed(ada);
      expect(failures).toEqual([]);
      expect(ada.inbox.all.map(({ event }) => event)).not.toContain('connect_error');
    },
  );

  it.each<[string, Partial<RealtimeOptions>, string]>([
    ['503 at the hard limit', { limits: { transports: { hard: 1 } } }, '503'],
    ['503 at the soft limit', { limits: { transports: { soft: 1 } } }, '503'],
    ['429 at the limit of its address', { limits: { transportsPerIp: 1 } }, '429'],
  ])('comes back after %s', async (_name, realtime, status) => {
    await using app = await boot(realtime);
    const first = await connectedClient(`${app.url}${NS}`, { auth: { token: mintToken('first') } });
    await using ada = client(app);
    const error = (await ada.inbox.next('connect_error')).args[0] as { description?: { message?: string } };
    expect(error.description?.message).toContain(status);
    await first[Symbol.asyncDispose]();
    await isServed(ada);
  });

  it('comes back after 503 of a node that is draining', async () => {
    const old = await boot();
    await old.app.get(RealtimeService).drain();
    await using ada = client(old);
    const error = (await ada.inbox.next('connect_error')).args[0] as { description?: { message?: string } };
    expect(error.description?.message).toContain('503');
    await old[Symbol.asyncDispose]();
    await using next = await boot({}, { port: Number(new URL(old.url).port) });
    await isServed(ada);
    expect(next.url).toBe(old.url);
  });

  it('comes back after the server was shut down and started again', async () => {
    const old = await boot();
    await using ada = client(old);
    await isServed(ada);
    const closed = old[Symbol.asyncDispose]();
    expect(['transport close', 'transport error']).toContain((await ada.inbox.next('disconnect')).args[0]);
    await closed;
    await using next = await boot({}, { port: Number(new URL(old.url).port) });
    await isServed(ada);
    expect(next.url).toBe(old.url);
  });

  it('comes back after RATE_LIMITED for persistent abuse', async () => {
    // What is left of a budget is the user's on the next transport, too: it has to fill up soon.
    const limits = { messagesPerSecond: 50, burst: 10, abuse: { maxRefusals: 20, windowMs: 1_000 } };
    await using app = await boot({ limits });
    await using ada = client(app);
    await isServed(ada);
    for (let index = 0; index < 300; index += 1) ada.socket.emit('ping');
    expect((await ada.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    await ada.inbox.next('disconnect');
    await isServed(ada);
  });

  it('comes back after a handleConnection that failed', async () => {
    AppGateway.refusals = [new Error('the database is away')];
    await using app = await boot();
    await using ada = client(app);
    expect((await ada.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'INTERNAL', retryable: true });
    expect((await ada.inbox.next('disconnect')).args).toEqual(['transport close']);
    await isServed(ada);
  });

  it('comes back after its network was cut', async () => {
    await using app = await boot();
    await using ada = client(app);
    await isServed(ada);
    ada.socket.emit('cut');
    await ada.inbox.next('disconnect');
    await isServed(ada);
  });
});

describe('when a connection ends for good', () => {
  /** A second client, cut at the same time, has come back: the first had as long and did not even try. */
  async function staysAway(app: TestApp, ada: StockClient): Promise<void> {
    await using fence = client(app, { auth: { token: mintToken('fence') } });
    await isServed(fence);
    fence.socket.emit('cut');
    await fence.inbox.next('disconnect');
    await isServed(fence);
    expect(ada.socket.active).toBe(false);
    expect(ada.socket.connected).toBe(false);
    const ends = ada.inbox.all.findIndex(({ event }) => event === 'disconnect' || event === 'connect_error');
    expect(ada.inbox.all.slice(ends + 1)).toEqual([]);
  }

  it.each<[string, string, (service: RealtimeService, ada: StockClient) => Promise<unknown>]>([
    ['its user was revoked', 'REVOKED', (service) => service.revoke({ userId: 'ada', reason: 'left' })],
    ['its token was revoked', 'REVOKED', (service) => service.revoke({ tokenId: 't1', reason: 'lost' })],
    ['the server ended its user', 'FORBIDDEN', (service) => service.disconnect({ userId: 'ada' })],
    [
      'the server ended it',
      'FORBIDDEN',
      (service, { socket }) => service.disconnect({ connectionId: String(socket.id) }, 'Enough'),
    ],
  ])('stays away when %s', async (_name, code, end) => {
    await using app = await boot();
    await using ada = client(app, { auth: { token: mintToken('ada', { jti: 't1' }) } });
    await isServed(ada);
    await end(app.app.get(RealtimeService), ada);
    expect((await ada.inbox.next('realtime:bye')).args[0]).toMatchObject({ code, retryable: false });
    expect((await ada.inbox.next('disconnect')).args).toEqual(['io server disconnect']);
    await staysAway(app, ada);
  });

  it('stays away when handleConnection refuses it', async () => {
    await using app = await boot();
    AppGateway.refusals = [new RealtimeError('FORBIDDEN', 'Not you')];
    await using ada = client(app);
    expect((await ada.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'FORBIDDEN', message: 'Not you' });
    await ada.inbox.next('disconnect');
    await staysAway(app, ada);
  });

  it.each<[string, () => unknown, string]>([
    ['no token', () => undefined, 'UNAUTHORIZED'],
    ['an expired token that it cannot renew', () => mintToken('ada', { expiresInSec: -60 }), 'TOKEN_EXPIRED'],
  ])('stays away with %s', async (_name, token, code) => {
    await using app = await boot();
    await using ada = client(app, { auth: { token: token() } });
    const error = (await ada.inbox.next('connect_error')).args[0] as { data?: unknown };
    expect(error.data).toMatchObject({ code });
    await staysAway(app, ada);
  });

  it('stays away when its user has too many connections', async () => {
    await using app = await boot({ limits: { transportsPerUser: { max: 1 } } });
    await using first = await connectedClient(`${app.url}${NS}`, { auth: { token: mintToken('ada') } });
    await using ada = client(app);
    const error = (await ada.inbox.next('connect_error')).args[0] as { data?: unknown };
    expect(error.data).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await staysAway(app, ada);
    expect(first.socket.connected).toBe(true);
  });
});
