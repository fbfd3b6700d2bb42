import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { MessageBody, SubscribeMessage, WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import jwt from 'jsonwebtoken';
import {
  AllowAnonymous,
  CurrentPrincipal,
  RealtimeModule,
  RealtimeService,
  RequireScopes,
  Roles,
  RoomManager,
  RoomPolicy,
  type AuthOptions,
  type CanJoin,
  type Principal,
  type RealtimeHandshake,
} from 'nestjs-realtime';
import type { Socket } from 'socket.io';
import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp, type TestAppOptions } from '../support/app.js';
import { freePort } from '../support/free-port.js';
import { connectedClient, stockClient, type ClientOptions, type StockClient } from '../support/inbox.js';
import { JwksServer } from '../support/jwks-server.js';
import { RawClient } from '../support/raw-client.js';
import { TEST_SECRET, mintToken, type TokenClaims } from '../support/tokens.js';

/** Every handler and every handleConnection counts here: refused clients must leave it at 0. */
let reached = 0;

/** A gateway whose every way in counts; the same in each namespace and on each port. */
function countingGateway(decorate: ClassDecorator): Type {
  @decorate
  class CountingGateway implements OnGatewayConnection<Socket> {
    handleConnection(): void {
      reached += 1;
    }

    @SubscribeMessage('echo')
    echo(@MessageBody() body: unknown): unknown {
      reached += 1;
      return body;
    }

    @SubscribeMessage('me')
    me(@CurrentPrincipal() { id, roles, scopes, isAnonymous }: Principal): object {
      reached += 1;
      return { id, roles, scopes, isAnonymous: isAnonymous === true };
    }

    @Roles('admin')
    @SubscribeMessage('admin')
    admin(@CurrentPrincipal('id') _id: unknown): string {
      reached += 1;
      return 'for admins';
    }

    @RequireScopes('read', 'write')
    @SubscribeMessage('scoped')
    scoped(): string {
      reached += 1;
      return 'for writers';
    }
  }
  return CountingGateway;
}

@RoomPolicy('chat/:id')
class ChatPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

const GENERIC = { code: 'UNAUTHORIZED', message: 'Authentication is required', retryable: false };
const inTenMinutes = (): number => Math.floor(Date.now() / 1_000) + 600;

/** The data of the refusal; neither it nor the error may tell more. */
async function refusalOf(url: string, options: ClientOptions = {}): Promise<unknown> {
  await using client = stockClient(url, options);
  const { event, args } = await client.inbox.next(({ event }) => event === 'connect' || event === 'connect_error');
  expect(event).toBe('connect_error');
  const { message, data } = args[0] as Error & { data?: unknown };
  expect(JSON.stringify({ message, data })).not.toMatch(/stack|node_modules|\.[jt]s\b/);
  return data;
}

describe('when a stock client connects to a namespace, a RegExp namespace, or a port of its own', () => {
  let app: TestApp;
  let urls: Record<string, string>;
  let own: number;

  beforeAll(async () => {
    own = await freePort();
    const providers = [
      countingGateway(WebSocketGateway()),
      countingGateway(WebSocketGateway({ namespace: 'static' })),
      countingGateway(WebSocketGateway({ namespace: /^\/dynamic-\d+$/ })),
      countingGateway(WebSocketGateway(own)),
      countingGateway(WebSocketGateway(own, { namespace: 'inner' })),
      countingGateway(WebSocketGateway({ path: '/other.io' })),
      ChatPolicy,
    ];
    app = await bootApp({ providers });
    urls = {
      root: app.url,
      static: `${app.url}/static`,
      RegExp: `${app.url}/dynamic-7`,
      port: `http://127.0.0.1:${own}`,
      'namespace of the port': `http://127.0.0.1:${own}/inner`,
    };
  });

  beforeEach(() => (reached = 0));
  afterAll(() => app[Symbol.asyncDispose]());

  const places = ['root', 'static', 'RegExp', 'port', 'namespace of the port'];

  it.each(places)('connects with a token, joins, sends, and gets acks and errors (%s)', async (place) => {
    await using ada = await connectedClient(urls[place] ?? '', { auth: { token: mintToken('ada') } });
    expect((await ada.inbox.next('realtime:hello')).args[0]).toMatchObject({ connectionId: ada.socket.id, v: 1 });
    expect(await ada.ask('realtime:join', { room: 'chat/42' })).toEqual({ room: 'chat/42' });
    await app.app.get(RoomManager).publish('chat/42', 'message', 'hello');
    expect((await ada.inbox.next('message')).args[0]).toBe('hello');
    expect(await ada.ask('echo', { text: 'hi' })).toEqual({ text: 'hi' });
    expect(await ada.ask('me')).toEqual({ id: 'ada', roles: [], scopes: [], isAnonymous: false });
    expect(await ada.ask('realtime:join', { room: 'nobody/knows' })).toMatchObject({ error: { code: 'FORBIDDEN' } });
    expect(await ada.ask('nobody.listens')).toMatchObject({ error: { code: 'NOT_FOUND' } });
    expect(reached).toBe(3);
  });

  it.each(places)('refuses a client without a token, and lets nothing of it in (%s)', async (place) => {
    expect(await refusalOf(urls[place] ?? '')).toEqual(GENERIC);
    expect(await refusalOf(urls[place] ?? '', { auth: { token: 'not a token' } })).toEqual(GENERIC);
    const { origin, pathname } = new URL(urls[place] ?? '');
    await using raw = await RawClient.open(origin);
    expect(await raw.connect(pathname)).toContain('UNAUTHORIZED');
    raw.send(...['["echo",1]', '["me"]'].map((json) => `2${pathname === '/' ? '' : `${pathname},`}${json}`));
    await raw.closed();
    expect(reached).toBe(0);
  });

  it('serves a gateway with a path of its own in the same way', async () => {
    expect(await refusalOf(app.url, { path: '/other.io' })).toEqual(GENERIC);
    expect(reached).toBe(0);
    await using ada = await connectedClient(app.url, { path: '/other.io', auth: { token: mintToken('ada') } });
    expect(await ada.ask('echo', 1)).toBe(1);
  });

  it('keeps the namespaces of one transport apart', async () => {
    await using raw = await RawClient.connected(app.url, '/static', { token: mintToken('ada') });
    expect(await raw.connect('/dynamic-1')).toContain('UNAUTHORIZED');
    raw.send('2/dynamic-1,["echo",1]');
    await raw.closed();
    expect(reached).toBe(1);
  });
});

describe('when a token is bad', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const publicKey = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const head = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  let app: TestApp;

  beforeAll(async () => {
    const auth: AuthOptions = { jwt: { publicKey, issuer: 'issuer', audience: 'chat' } };
    app = await bootApp({ providers: [countingGateway(WebSocketGateway())], realtime: { auth } });
  });
  beforeEach(() => (reached = 0));
  afterEach(() => expect(reached).toBe(0));
  afterAll(() => app[Symbol.asyncDispose]());

  const claims = (more: object = {}): object => ({
    sub: 'ada',
    iss: 'issuer',
    aud: 'chat',
    exp: inTenMinutes(),
    ...more,
  });
  const sign = (
    payload: object,
    key: KeyObject | string = rsa.privateKey,
    algorithm: jwt.Algorithm = 'RS256',
  ): string => jwt.sign(payload, key, { algorithm });

  it.each<[string, () => unknown]>([
    ['none', () => undefined],
    ['a text that is none', () => 'token'],
    ['not yet valid', () => sign(claims({ nbf: inTenMinutes() - 60 }))],
    ['for another audience', () => sign(claims({ aud: 'mail' }))],
    ['for no audience', () => sign({ ...claims(), aud: undefined })],
    ['of another issuer', () => sign(claims({ iss: 'somebody' }))],
    ['signed with another key', () => sign(claims(), generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey)],
    ['unsigned, `alg: none`', () => `${head({ alg: 'none' })}.${head(claims())}.`],
    [
      'unsigned, with the rest of a good one',
      () => `${head({ alg: 'none' })}.${sign(claims()).split('.').slice(1).join('.')}`,
    ],
    ['an HMAC made with the public key', () => hmacWithPublicKey(claims(), publicKey)],
  ])('answers connect_error with a code: %s', async (_name, token) => {
    expect(await refusalOf(app.url, { auth: { token: token() } })).toEqual(GENERIC);
  });

  it('answers connect_error with a code: expired', async () => {
    const token = sign(claims({ exp: inTenMinutes() - 1_200 }));
    const data = await refusalOf(app.url, { auth: { token } });
    expect(data).toEqual({ code: 'TOKEN_EXPIRED', message: 'The token has expired', retryable: true });
  });

  it('answers connect_error with a code: in the query', async () => {
    expect(await refusalOf(app.url, { query: { token: sign(claims()) } })).toEqual(GENERIC);
  });
});

/** By hand: libraries refuse to make it. */
function hmacWithPublicKey(claims: object, publicKey: string): string {
  const secret = Buffer.from(publicKey);
  // As a buffer it is no PEM text to the library.
  return jwt.sign(claims, secret, { algorithm: 'HS256', allowInvalidAsymmetricKeyTypes: true });
}

describe('when a browser page connects', () => {
  it('meets 403 at the upgrade if its origin is foreign, logged once with the name of the option', async () => {
    reached = 0;
    const lines: string[] = [];
    const clock = new ManualClock(Date.now());
    await using app = await bootApp({ providers: [countingGateway(WebSocketGateway())], clock });
    const write = (...parts: unknown[]): void => void lines.push(parts.map(String).join(' '));
    app.app.useLogger({ log: write, error: write, warn: write });
    const token = mintToken('ada');
    for (const origin of ['https://evil.example', 'https://evil.example', 'null']) {
      await using client = stockClient(app.url, { auth: { token }, extraHeaders: { origin } });
      const error = (await client.inbox.next('connect_error')).args[0] as { description?: { message?: string } };
      expect(error.description?.message).toContain('403');
    }
    expect(lines).toEqual([expect.stringMatching(/evil\.example.*origins/)]);
    expect(reached).toBe(0);
    await using fine = await connectedClient(app.url, { auth: { token }, extraHeaders: { origin: app.url } });
    expect(await fine.ask('echo', 1)).toBe(1);
  });

  it('connects from an origin that the option names', async () => {
    const origins = ['https://app.example'];
    await using app = await bootApp({ providers: [countingGateway(WebSocketGateway())], realtime: { origins } });
    const options = { auth: { token: mintToken('ada') }, extraHeaders: { origin: 'https://app.example' } };
    await using client = await connectedClient(app.url, options);
    expect(client.socket.connected).toBe(true);
  });
});

describe('when a namespace admits strangers', () => {
  @AllowAnonymous()
  @WebSocketGateway({ namespace: 'open' })
  class OpenGateway {
    @SubscribeMessage('me')
    me(@CurrentPrincipal() { id, isAnonymous }: Principal): object {
      return { id, isAnonymous: isAnonymous === true };
    }

    @Roles('admin')
    @SubscribeMessage('admin')
    admin(): string {
      return 'for admins';
    }
  }

  /** Inherits its handlers, not its openness. */
  @WebSocketGateway({ namespace: 'closed' })
  class ClosedGateway extends OpenGateway {}

  let app: TestApp;
  let own: number;

  beforeAll(async () => {
    own = await freePort();
    @AllowAnonymous()
    @WebSocketGateway(own)
    class OpenPortGateway {}
    app = await bootApp({
      providers: [OpenGateway, ClosedGateway, OpenPortGateway, countingGateway(WebSocketGateway())],
    });
  });
  beforeEach(() => (reached = 0));
  afterAll(() => app[Symbol.asyncDispose]());

  it('gives each an id of its own and no rights', async () => {
    await using one = await connectedClient(`${app.url}/open`);
    await using two = await connectedClient(`${app.url}/open`);
    const ids = await Promise.all([one, two].map(async (client) => (await client.ask('me')) as { id: string }));
    expect(ids[0]).toEqual({ id: expect.stringMatching(/^anonymous:[\w-]{16}$/) as unknown, isAnonymous: true });
    // The id of a socket is the name of its private room, and others see a principal's id.
    expect(ids[0]?.id).not.toContain(one.socket.id);
    expect(ids[0]?.id).not.toBe(ids[1]?.id);
    expect(await one.ask('admin')).toMatchObject({ error: { code: 'FORBIDDEN' } });
    expect(await one.ask('realtime:join', { room: 'user/ada' })).toMatchObject({ error: { code: 'FORBIDDEN' } });
  });

  it('knows those who have a token, and refuses those with a bad one', async () => {
    await using ada = await connectedClient(`${app.url}/open`, { auth: { token: mintToken('ada') } });
    expect(await ada.ask('me')).toEqual({ id: 'ada', isAnonymous: false });
    expect(await refusalOf(`${app.url}/open`, { auth: { token: 'bad' } })).toEqual(GENERIC);
  });

  it('opens neither other namespaces, nor subclasses, nor the same namespace on another port', async () => {
    expect(await refusalOf(`${app.url}/closed`)).toEqual(GENERIC);
    expect(await refusalOf(app.url)).toEqual(GENERIC);
    expect(reached).toBe(0);
    await using stranger = await connectedClient(`http://127.0.0.1:${own}`);
    expect(stranger.socket.connected).toBe(true);
  });
});

describe('when the token comes another way', () => {
  const gateway = (): Type => countingGateway(WebSocketGateway());
  const me = { id: 'ada', roles: [], scopes: [], isAnonymous: false };
  const boot = (auth: AuthOptions): Promise<TestApp> => bootApp({ providers: [gateway()], realtime: { auth } });

  it('reads the Authorization header', async () => {
    await using app = await boot({ jwt: { secret: TEST_SECRET } });
    const extraHeaders = { authorization: `Bearer ${mintToken('ada')}` };
    await using ada = await connectedClient(app.url, { extraHeaders });
    expect(await ada.ask('me')).toEqual(me);
  });

  it('reads the cookie that the option names, and no other', async () => {
    await using app = await boot({ jwt: { secret: TEST_SECRET }, cookie: 'session' });
    const cookie = (name: string): ClientOptions => ({
      extraHeaders: { cookie: `a=1; ${name}=${mintToken('ada')}; b=2` },
    });
    await using ada = await connectedClient(app.url, cookie('session'));
    expect(await ada.ask('me')).toEqual(me);
    expect(await refusalOf(app.url, cookie('token'))).toEqual(GENERIC);
  });

  it('prefers what the client says over what the browser adds', async () => {
    await using app = await boot({ jwt: { secret: TEST_SECRET }, cookie: 'session' });
    const extraHeaders = { cookie: `session=${mintToken('ada')}` };
    await using bob = await connectedClient(app.url, { auth: { token: mintToken('bob') }, extraHeaders });
    expect(await bob.ask('me')).toMatchObject({ id: 'bob' });
    expect(await refusalOf(app.url, { auth: { token: 'bad' }, extraHeaders })).toEqual(GENERIC);
  });

  it('reads the query only when the option allows it', async () => {
    await using app = await boot({ jwt: { secret: TEST_SECRET }, allowQueryToken: true });
    await using ada = await connectedClient(app.url, { query: { token: mintToken('ada') } });
    expect(await ada.ask('me')).toEqual(me);
  });

  it("asks the app's own check in a namespace that has one, and nobody in one that is left to the app", async () => {
    const seen: RealtimeHandshake[] = [];
    const verify = (handshake: RealtimeHandshake): { id: string; roles: string[] } | undefined => {
      seen.push(handshake);
      return handshake.headers['x-api-key'] === 'k1' ? { id: 'legacy', roles: ['admin'] } : undefined;
    };
    const auth: AuthOptions = { jwt: { secret: TEST_SECRET }, namespaces: { '/legacy': { verify }, '/free': false } };
    const providers = ['legacy', 'free', 'main'].map((namespace) => countingGateway(WebSocketGateway({ namespace })));
    await using app = await bootApp({ providers, realtime: { auth } });
    const extraHeaders = { 'x-api-key': 'k1' };
    await using legacy = await connectedClient(`${app.url}/legacy`, { extraHeaders });
    expect(await legacy.ask('me')).toMatchObject({ id: 'legacy', roles: ['admin'] });
    expect(seen[0]).toMatchObject({ namespace: '/legacy', headers: extraHeaders, address: '127.0.0.1' });
    expect(await refusalOf(`${app.url}/legacy`, { auth: { token: mintToken('ada') } })).toEqual(GENERIC);
    expect(await refusalOf(`${app.url}/main`, { extraHeaders })).toEqual(GENERIC);
    await using free = await connectedClient(`${app.url}/free`);
    expect(await free.ask('echo', 1)).toBe(1);
    expect(await free.ask('me')).toMatchObject({ error: { code: 'UNAUTHORIZED' } });
    expect(await free.ask('admin')).toMatchObject({
      error: { code: expect.stringMatching(/UNAUTHORIZED|FORBIDDEN/) as unknown },
    });
  });

  it('maps claims with the option', async () => {
    const principal = async (claims: Readonly<Record<string, unknown>>) =>
      Promise.resolve({ id: `tenant/${String(claims['sub'])}`, roles: ['member'] });
    await using app = await boot({ jwt: { secret: TEST_SECRET }, principal });
    await using ada = await connectedClient(app.url, { auth: { token: mintToken('ada', { roles: ['admin'] }) } });
    expect(await ada.ask('me')).toMatchObject({ id: 'tenant/ada', roles: ['member'] });
  });
});

describe('when the keys are elsewhere', () => {
  const pair = () => generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const sign = (key: KeyObject, kid: string): string =>
    jwt.sign({ sub: 'ada', exp: inTenMinutes() }, key, { algorithm: 'RS256', keyid: kid });

  it('reads a JWKS, knows a rotated key at once, and forgets a withdrawn one', async () => {
    const [old, fresh] = [pair(), pair()];
    await using jwks = await JwksServer.start();
    jwks.publish({ old: old.publicKey });
    const [clock, jwksCacheMs] = [new ManualClock(Date.now()), 60_000];
    const auth: AuthOptions = { jwt: { jwksUri: jwks.uri, jwksCacheMs } };
    await using app = await bootApp({ providers: [countingGateway(WebSocketGateway())], realtime: { auth }, clock });
    const connect = (token: string): Promise<StockClient> => connectedClient(app.url, { auth: { token } });
    await using first = await connect(sign(old.privateKey, 'old'));
    expect(await first.ask('me')).toMatchObject({ id: 'ada' });
    expect(jwks.requests).toHaveLength(1);
    jwks.publish({ old: old.publicKey, fresh: fresh.publicKey });
    await using second = await connect(sign(fresh.privateKey, 'fresh'));
    expect(await second.ask('me')).toMatchObject({ id: 'ada' });
    await using overlap = await connect(sign(old.privateKey, 'old'));
    expect(overlap.socket.connected).toBe(true);
    jwks.publish({ fresh: fresh.publicKey });
    clock.advance(jwksCacheMs - 1);
    await using cached = await connect(sign(old.privateKey, 'old'));
    expect(cached.socket.connected).toBe(true);
    expect(jwks.requests).toHaveLength(2);
    clock.advance(1);
    expect(await refusalOf(app.url, { auth: { token: sign(old.privateKey, 'old') } })).toEqual(GENERIC);
    expect(jwks.requests).toHaveLength(3);
  });

  it("uses the app's own JwtService", async () => {
    @Module({
      imports: [
        JwtModule.register({
          global: true,
          secret: 'the secret of the app, long enough for hs256',
          signOptions: { expiresIn: 60 },
        }),
        RealtimeModule.forRootAsync({
          inject: [JwtService],
          useFactory: (service: JwtService) => ({ auth: { jwt: { service } } }),
        }),
      ],
      providers: [countingGateway(WebSocketGateway())],
    })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
    await app.listen(0, '127.0.0.1');
    try {
      const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
      await using ada = await connectedClient(url, { auth: { token: app.get(JwtService).sign({ sub: 'ada' }) } });
      expect(await ada.ask('me')).toMatchObject({ id: 'ada' });
      expect(await refusalOf(url, { auth: { token: mintToken('ada') } })).toEqual(GENERIC);
    } finally {
      await app.close();
    }
  });
});

describe('when handlers ask for roles and scopes', () => {
  @Roles('editor', 'admin')
  @WebSocketGateway({ namespace: 'editors' })
  class EditorsGateway {
    @SubscribeMessage('edit')
    edit(): string {
      return 'edited';
    }

    @Roles('admin')
    @SubscribeMessage('delete')
    delete(): string {
      return 'deleted';
    }
  }

  it.each<[string, TokenClaims, string, string, unknown]>([
    ['no role', {}, '/', 'admin', 'FORBIDDEN'],
    ['another role', { roles: ['user'] }, '/', 'admin', 'FORBIDDEN'],
    ['the role', { roles: ['user', 'admin'] }, '/', 'admin', 'for admins'],
    ['one scope of two', { scope: 'read' }, '/', 'scoped', 'FORBIDDEN'],
    ['both scopes', { scope: 'write read' }, '/', 'scoped', 'for writers'],
    ["no role of the class's", { roles: ['user'] }, '/editors', 'edit', 'FORBIDDEN'],
    ["a role of the class's", { roles: ['editor'] }, '/editors', 'edit', 'edited'],
    ["the class's, not the method's", { roles: ['editor'] }, '/editors', 'delete', 'FORBIDDEN'],
    ['both', { roles: ['admin'] }, '/editors', 'delete', 'deleted'],
  ])('with %s', async (_name, claims, namespace, event, expected) => {
    reached = 0;
    const options: TestAppOptions = { providers: [countingGateway(WebSocketGateway()), EditorsGateway] };
    await using app = await bootApp(options);
    await using ada = await connectedClient(`${app.url}${namespace}`, { auth: { token: mintToken('ada', claims) } });
    const answer = await ada.ask(event);
    if (expected === 'FORBIDDEN') expect(answer).toEqual({ error: expect.objectContaining({ code: 'FORBIDDEN' }) });
    else expect(answer).toBe(expected);
  });
});

describe('when a token is about to end', () => {
  const auth: AuthOptions = {
    jwt: { secret: TEST_SECRET, clockToleranceSec: 0 },
    refreshLeadMs: 60_000,
    expiryGraceMs: 1_000,
  };
  const clock = new ManualClock(Date.now());
  let app: TestApp;

  /** By the app's clock. */
  function tokenOf(sub: string, lifeSec: number, claims: object = {}): string {
    const iat = Math.floor(clock.unixNow() / 1_000);
    return jwt.sign({ sub, iat, exp: iat + lifeSec, ...claims }, TEST_SECRET, { algorithm: 'HS256' });
  }

  beforeAll(async () => {
    const providers = ['one', 'two'].map((namespace) => countingGateway(WebSocketGateway({ namespace })));
    app = await bootApp({ providers, realtime: { auth }, clock });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  it('asks for a new one, and takes it for the whole transport, roles included', async () => {
    const token = tokenOf('ada', 600);
    await using one = await connectedClient(`${app.url}/one`, { auth: { token } });
    const two = one.socket.io.socket('/two', { auth: { token } });
    await new Promise<void>((resolve) => two.once('connect', resolve));
    clock.advance(538_000);
    await one.ask('echo', 'fence');
    expect(one.inbox.all.map(({ event }) => event)).not.toContain('realtime:token');
    clock.advance(3_000);
    const { expiresAt } = (await one.inbox.next('realtime:token')).args[0] as { expiresAt: number };
    expect(expiresAt).toBe((jwt.decode(token) as { exp: number }).exp * 1_000);
    expect(await one.ask('admin')).toMatchObject({ error: { code: 'FORBIDDEN' } });
    const longer = tokenOf('ada', 3_600, { roles: ['admin'] });
    const renewed = await one.ask('realtime:refresh', { token: longer });
    expect(renewed).toMatchObject({ expiresAt: (jwt.decode(longer) as { exp: number }).exp * 1_000 });
    expect(await one.ask('admin')).toBe('for admins');
    expect(await two.emitWithAck('admin')).toBe('for admins');
    await using control = await connectedClient(`${app.url}/one`, { auth: { token } });
    clock.advance(62_000);
    expect((await control.inbox.next('realtime:bye')).args[0]).toMatchObject({
      code: 'TOKEN_EXPIRED',
      retryable: true,
    });
    expect(await one.ask('admin')).toBe('for admins');
    expect(await two.emitWithAck('admin')).toBe('for admins');
  });

  it.each<[string, () => unknown, string]>([
    ["another subject's token", () => tokenOf('bob', 600, { roles: ['admin'] }), 'UNAUTHORIZED'],
    ['an expired token', () => tokenOf('ada', -10), 'TOKEN_EXPIRED'],
    ['no token', () => undefined, 'UNAUTHORIZED'],
    ['an empty token', () => '', 'UNAUTHORIZED'],
    ['a token of another type', () => ({ sub: 'ada' }), 'UNAUTHORIZED'],
    [
      'a token signed with another key',
      () => jwt.sign({ sub: 'ada', exp: Math.floor(clock.unixNow() / 1_000) + 600 }, 'x'.repeat(40)),
      'UNAUTHORIZED',
    ],
  ])('refuses %s and keeps what there was', async (_name, token, code) => {
    await using ada = await connectedClient(`${app.url}/one`, { auth: { token: tokenOf('ada', 600) } });
    expect(await ada.ask('realtime:refresh', { token: token() })).toMatchObject({ error: { code } });
    expect(await ada.ask('me')).toMatchObject({ id: 'ada', roles: [] });
  });

  it('refuses a token that was revoked', async () => {
    const fresh = tokenOf('carol', 600, { jti: 'stolen' });
    await using carol = await connectedClient(`${app.url}/one`, { auth: { token: tokenOf('carol', 600) } });
    await app.app.get(RealtimeService).revoke({ tokenId: 'stolen', reason: 'stolen' });
    expect(await carol.ask('realtime:refresh', { token: fresh })).toMatchObject({ error: { code: 'REVOKED' } });
    expect(await refusalOf(`${app.url}/one`, { auth: { token: fresh } })).toMatchObject({ code: 'REVOKED' });
  });
});
