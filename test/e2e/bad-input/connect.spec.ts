import { createHmac, generateKeyPairSync } from 'node:crypto';
import { SubscribeMessage, WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import { RealtimeError, type RealtimeHandshake } from 'nestjs-realtime';
import jwt from 'jsonwebtoken';
import { Subject, firstValueFrom } from 'rxjs';
import type { Socket } from 'socket.io';
import { eventually } from '../../support/eventually.js';
import { connectedClient, stockClient, type ClientOptions } from '../../support/inbox.js';
import { RawClient } from '../../support/raw-client.js';
import { TEST_SECRET, mintToken } from '../../support/tokens.js';
import { HostileApp } from './hostile-app.js';

let reached: string[] = [];

@WebSocketGateway({ namespace: 'guarded' })
class GuardedGateway implements OnGatewayConnection<Socket> {
  handleConnection(socket: Socket): void {
    reached.push(`connection ${String((socket.data as { principal?: { id: string } }).principal?.id)}`);
  }

  @SubscribeMessage('echo')
  echo(): string {
    reached.push('echo');
    return 'echo';
  }
}

/** Not counted: where the well-behaved client lives. */
@WebSocketGateway({ namespace: 'witness' })
class WitnessGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

@WebSocketGateway({ namespace: 'failing' })
class FailingGateway implements OnGatewayConnection<Socket> {
  static failure: () => unknown = () => undefined;
  static gate = new Subject<void>();

  handleConnection(): unknown {
    return FailingGateway.failure();
  }

  handleDisconnect(): never {
    throw new Error('handleDisconnect is broken');
  }

  @SubscribeMessage('event')
  event(): string {
    reached.push('event');
    return 'handled';
  }
}

@WebSocketGateway({ namespace: /^\/dynamic-\d+$/ })
class DynamicGateway {
  @SubscribeMessage('echo')
  echo(): string {
    return 'echo';
  }
}

@WebSocketGateway({ namespace: 'slow' })
class SlowGateway {
  static checks = 0;
  static gate = new Subject<void>();
}

const providers = [GuardedGateway, WitnessGateway, FailingGateway, DynamicGateway, SlowGateway];
const NS = '/guarded';
const GENERIC = { code: 'UNAUTHORIZED', message: 'Authentication is required', retryable: false };
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();

async function slowVerify(): Promise<{ id: string }> {
  SlowGateway.checks += 1;
  await firstValueFrom(SlowGateway.gate);
  return { id: 'mallory' };
}

function boot(): Promise<HostileApp> {
  const namespaces = { '/slow': { verify: slowVerify } };
  const realtime = { auth: { jwt: { secret: TEST_SECRET }, namespaces } };
  return HostileApp.boot({ providers, realtime }, { namespace: '/witness', event: 'ping' });
}

function forge(header: object, payload: object, key: string | undefined): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${key === undefined ? '' : createHmac('sha256', key).update(input).digest('base64url')}`;
}

const inTenMinutes = (): number => Math.floor(Date.now() / 1_000) + 600;
const sign = (claims: object, options: jwt.SignOptions = {}): string => jwt.sign(claims, TEST_SECRET, options);

/** What a stock client is told; nothing behind the handshake may have run. */
async function refusalOf(url: string, options: ClientOptions): Promise<unknown> {
  await using client = stockClient(url, options);
  const { event, args } = await client.inbox.next(({ event }) => event === 'connect_error' || event === 'connect');
  expect(event).toBe('connect_error');
  const error = args[0] as Error & { data?: unknown };
  expect(JSON.stringify(error.data)).not.toMatch(/stack|\.js|\.ts|node_modules/);
  return error.data;
}

describe('when credentials are bad', () => {
  let hostile: HostileApp;

  beforeAll(async () => (hostile = await boot()));
  beforeEach(() => (reached = []));
  afterEach(async () => {
    expect(reached).toEqual([]);
    await hostile.survives();
  });
  afterAll(() => hostile[Symbol.asyncDispose]());

  it.each<[string, () => unknown]>([
    ['an empty text', () => ''],
    ['no token at all', () => 'not.a.token'],
    [
      'another key',
      () => jwt.sign({ sub: 'ada', exp: inTenMinutes() }, 'another secret that is long enough for hs256'),
    ],
    ['no signature', () => forge({ alg: 'none', typ: 'JWT' }, { sub: 'ada', exp: inTenMinutes() }, undefined)],
    ['`None` and a signature', () => forge({ alg: 'None' }, { sub: 'ada', exp: inTenMinutes() }, TEST_SECRET)],
    ['a future nbf', () => sign({ sub: 'ada', exp: inTenMinutes(), nbf: inTenMinutes() - 60 })],
    ['an audience while none is configured', () => sign({ sub: 'ada', aud: 'billing', exp: inTenMinutes() })],
    ['no exp', () => sign({ sub: 'ada' })],
    ['an exp that is a text', () => forge({ alg: 'HS256' }, { sub: 'ada', exp: String(inTenMinutes()) }, TEST_SECRET)],
    ['a far exp', () => sign({ sub: 'ada', exp: inTenMinutes() + 10 * 365 * 86_400 })],
    ['no sub', () => sign({ exp: inTenMinutes() })],
    ['an empty sub', () => sign({ sub: '', exp: inTenMinutes() })],
    ['a sub with a line break', () => sign({ sub: 'ada\nadmin', exp: inTenMinutes() })],
    ['a sub of 129 characters', () => sign({ sub: 'x'.repeat(129), exp: inTenMinutes() })],
    ['a sub that gives no room name', () => sign({ sub: '界'.repeat(100), exp: inTenMinutes() })],
    ['a sub that poses as anonymous', () => sign({ sub: 'anonymous:1', exp: inTenMinutes() })],
    ['the kid of a file', () => sign({ sub: 'ada' }, { keyid: '../../../../dev/null', expiresIn: 60 }).slice(0, -3)],
    ['100 KB', () => `${sign({ sub: 'ada', exp: inTenMinutes() })}${'x'.repeat(60_000)}`],
    ['roles that are no list', () => sign({ sub: 'ada', roles: { admin: true }, exp: inTenMinutes() })],
  ])('B-22…28: refuses a token with %s', async (_name, token) => {
    expect(await refusalOf(`${hostile.url}${NS}`, { auth: { token: token() } })).toEqual(GENERIC);
  });

  it('B-22…28: refuses an expired token, telling that a new one would do', async () => {
    const token = mintToken('ada', { expiresInSec: -60 });
    const data = await refusalOf(`${hostile.url}${NS}`, { auth: { token } });
    expect(data).toEqual({ code: 'TOKEN_EXPIRED', message: 'The token has expired', retryable: true });
  });

  it('B-22…28: makes no request for a `jku`, `x5u` or `jwk` of the token', async () => {
    const connections: unknown[] = [];
    hostile.node.app.getHttpServer().on('request', (request: { url: string }) => connections.push(request.url));
    const jku = `${hostile.url}/jwks.json`;
    const header = { alg: 'RS256', kid: 'k', jku, x5u: jku, jwk: rsa.publicKey.export({ format: 'jwk' }) };
    const token = jwt.sign({ sub: 'ada', exp: inTenMinutes() }, rsa.privateKey, { algorithm: 'RS256', header });
    expect(await refusalOf(`${hostile.url}${NS}`, { auth: { token } })).toEqual(GENERIC);
    expect(connections).toEqual([]);
  });

  it('B-29: does not read a token in the query', async () => {
    const token = mintToken('ada');
    expect(await refusalOf(`${hostile.url}${NS}?token=${token}`, { query: { token } })).toEqual(GENERIC);
    expect(hostile.log.drain().join()).not.toContain(token);
  });

  it('B-18: refuses a stock client whose `auth` carries a token of another type', async () => {
    for (const token of [123, true, {}, [], ['a'], { toString: 'x' }])
      expect(await refusalOf(`${hostile.url}${NS}`, { auth: { token } })).toEqual(GENERIC);
  });

  it.each(['5', '-5', '0', '1e400', '[1]', '[]', 'null', 'true', '"text"', '{"token":123}', '{"token":{"a":1}}', '{}'])(
    'B-18: answers CONNECT_ERROR with a code to an `auth` of %s',
    async (auth) => {
      await using client = await RawClient.open(hostile.url);
      for (const namespace of [NS, '/dynamic-1']) {
        const answer = await client.connect(namespace, auth);
        expect(JSON.parse(answer.slice(`4${namespace},`.length))).toEqual({ message: GENERIC.message, data: GENERIC });
      }
    },
  );

  it.each([
    ['__proto__ keys', '{"__proto__":{"token":"x"},"token":1}'],
    ['a forged mark of our client', '{"token":1,"rt":{"v":1e400,"device":{"a":1}}}'],
    ['a mark that is null', '{"token":null,"rt":null}'],
  ])('B-18: answers CONNECT_ERROR to %s', async (_name, auth) => {
    await using client = await RawClient.open(hostile.url);
    expect(await client.connect(NS, auth)).toContain('"UNAUTHORIZED"');
  });

  it('B-18: closes on an `auth` nested 10 000 deep', async () => {
    await using client = await RawClient.open(hostile.url);
    client.send(`0${NS},{"token":${'['.repeat(10_000)}${']'.repeat(10_000)}}`);
    await client.closed();
  });
});

describe('when an HMAC is made with the public key', () => {
  it('B-22…28: refuses it', async () => {
    const auth = { jwt: { publicKey: publicPem } };
    reached = [];
    const good = jwt.sign({ sub: 'witness', exp: inTenMinutes() }, rsa.privateKey, { algorithm: 'RS256' });
    await using hostile = await HostileApp.boot(
      { providers, realtime: { auth } },
      { namespace: '/witness', event: 'ping', token: good },
    );
    const token = forge({ alg: 'HS256' }, { sub: 'ada', exp: inTenMinutes() }, publicPem);
    expect(await refusalOf(`${hostile.url}${NS}`, { auth: { token } })).toEqual(GENERIC);
    expect(reached).toEqual([]);
    await hostile.survives();
  });
});

describe('when a page of another origin connects', () => {
  let hostile: HostileApp;
  const token = mintToken('ada');

  beforeAll(async () => (hostile = await boot()));
  beforeEach(() => {
    reached = [];
    hostile.log.drain();
  });
  afterEach(async () => {
    expect(reached).toEqual([]);
    await hostile.survives();
  });
  afterAll(() => hostile[Symbol.asyncDispose]());

  it.each([
    ['another host', 'https://evil.example'],
    ['`null`', 'null'],
    ['a host that starts like ours', 'http://127.0.0.1.evil.example'],
    ['a host that ends like ours', 'http://evil.example:127.0.0.1'],
    ['another port', 'http://127.0.0.1:1'],
    ['a user that looks like our host', 'http://127.0.0.1@evil.example'],
    ['a path', 'http://127.0.0.1/'],
    ['nothing', ''],
  ])('B-30/31: refuses an origin of %s with 403', async (_name, origin) => {
    const headers = { origin, cookie: `token=${token}` };
    await expect(RawClient.open(hostile.url, { headers })).rejects.toThrow(/403|400/);
    for (const line of hostile.log.drain()) expect(line).not.toMatch(/\p{Cc}/u);
  });

  it('B-30/31: lets the own origin and no origin in', async () => {
    for (const headers of [{}, { origin: hostile.url }]) {
      await using client = await RawClient.open(hostile.url, { headers });
      expect(await client.connect('/witness', JSON.stringify({ token }))).toContain('"sid"');
    }
  });
});

describe('when a transport asks for too much', () => {
  let hostile: HostileApp;
  const auth = JSON.stringify({ token: mintToken('mallory') });

  beforeAll(async () => (hostile = await boot()));
  beforeEach(() => {
    reached = [];
    SlowGateway.checks = 0;
  });
  afterEach(async () => {
    SlowGateway.gate.next();
    await hostile.survives();
  });
  afterAll(() => hostile[Symbol.asyncDispose]());

  it('B-46: closes on 1 000 CONNECTs to one namespace while authentication is slow, having asked once', async () => {
    await using client = await RawClient.open(hostile.url);
    client.send(...Array.from({ length: 1_000 }, () => `0/slow,${auth}`));
    await client.closed();
    SlowGateway.gate.next();
    await hostile.survives();
    expect(SlowGateway.checks).toBeLessThanOrEqual(1);
    expect(client.inbox.all.map(({ event }) => event)).not.toContain('packet');
  });

  it('B-46: closes on a second CONNECT to a live namespace', async () => {
    await using client = await hostile.raw('/witness');
    client.send(`0/witness,${auth}`);
    await client.closed();
  });

  it('B-46: connects again after a DISCONNECT', async () => {
    await using client = await hostile.raw('/witness');
    client.send('1/witness,');
    expect(await client.connect('/witness', auth)).toContain('"sid"');
    // In one write, as stock clients do.
    client.send('1/witness,', `0/witness,${auth}`);
    await client.inbox.next(({ args: [text] }) => String(text).startsWith('0/witness,'));
    expect(await client.ask('/witness', '["ping"]')).toBe('pong');
  });

  it('B-46: closes on what is malformed behind a DISCONNECT in the same write', async () => {
    await using client = await hostile.raw('/witness');
    client.send('1/witness,', 'x', '2/witness,["ping"]');
    await client.closed();
  });

  it('B-46: connects again after a refusal', async () => {
    await using client = await RawClient.open(hostile.url);
    expect(await client.connect('/witness', '{"token":"bad"}')).toContain('UNAUTHORIZED');
    expect(await client.connect('/witness', auth)).toContain('"sid"');
  });

  it('B-43/46: opens the declared namespaces and four more, and refuses the next until one is left', async () => {
    await using client = await RawClient.open(hostile.url);
    const declared = 4;
    for (let index = 0; index < declared + 4; index += 1)
      expect(await client.connect(`/dynamic-${index}`, auth)).toContain('"sid"');
    expect(await client.connect('/dynamic-99', auth)).toContain('LIMIT_EXCEEDED');
    client.send('1/dynamic-0,');
    expect(await client.connect('/dynamic-99', auth)).toContain('"sid"');
  });

  it('B-43/46: refuses a namespace that no gateway declares, and makes none', async () => {
    await using client = await RawClient.open(hostile.url);
    for (const namespace of ['/nobody', '/dynamic-', '/dynamic-x', '/__proto__', `/${'x'.repeat(10_000)}`])
      expect(await client.connect(namespace, auth)).toContain('Invalid namespace');
    expect(await client.connect('/witness', auth)).toContain('"sid"');
  });
});

describe('when a connection is still being set up', () => {
  let hostile: HostileApp;
  const auth = JSON.stringify({ token: mintToken('mallory') });

  beforeAll(async () => (hostile = await boot()));
  beforeEach(() => (reached = []));
  afterEach(() => hostile.survives());
  afterAll(() => hostile[Symbol.asyncDispose]());

  it('B-19/20: handles nothing that came in the same write as the CONNECT before it is authenticated', async () => {
    FailingGateway.failure = () => undefined;
    await using client = await RawClient.open(hostile.url);
    client.send(`0/failing,${auth}`, '2/failing,1["event"]', '2/failing,["event"]');
    await client.closed();
    await hostile.survives();
    expect(reached).toEqual([]);
  });

  it('B-19/20: lets a message wait for handleConnection', async () => {
    FailingGateway.failure = () => firstValueFrom(FailingGateway.gate);
    await using client = await RawClient.open(hostile.url);
    await client.connect('/failing', auth);
    const answer = client.ask('/failing', '["event"]');
    await hostile.survives();
    expect(reached).toEqual([]);
    FailingGateway.gate.next();
    expect(await answer).toBe('handled');
  });

  it('B-19/20: bounds what waits, and answers what is too much', async () => {
    FailingGateway.failure = () => firstValueFrom(FailingGateway.gate);
    await using client = await RawClient.open(hostile.url);
    await client.connect('/failing', auth);
    client.send(...Array.from({ length: 100 }, () => '2/failing,["event"]'));
    expect(await client.ask('/failing', '["event"]')).toMatchObject({
      error: { code: 'UNAVAILABLE', retryable: true },
    });
    const refused = client.inbox.all.filter(({ args: [text] }) => String(text).includes('"exception"')).length;
    expect(refused).toBeGreaterThan(30);
    FailingGateway.gate.next();
    await eventually(() => expect(reached).toHaveLength(100 - refused));
  });

  it('B-19/20: drops what waits when the client goes', async () => {
    FailingGateway.failure = () => firstValueFrom(FailingGateway.gate);
    const client = await RawClient.open(hostile.url);
    await client.connect('/failing', auth);
    client.send('2/failing,["event"]');
    await hostile.survives();
    client.reset();
    await client.closed();
    await hostile.survives();
    FailingGateway.gate.next();
    await hostile.survives();
    expect(reached).toEqual([]);
  });

  const throwing = (error: unknown) => (): never => {
    throw error;
  };

  it.each<[string, () => unknown, string]>([
    ['throws', throwing(new Error('db password is hunter2')), 'INTERNAL'],
    ['rejects', () => Promise.reject(new Error('db password is hunter2')), 'INTERNAL'],
    ['throws a text', throwing('hunter2'), 'INTERNAL'],
    ['throws undefined', throwing(undefined), 'INTERNAL'],
    ['throws a refusal', throwing(new RealtimeError('FORBIDDEN', 'Not today')), 'FORBIDDEN'],
  ])('B-19/20: disconnects when handleConnection %s, saying no more than the code', async (_name, failure, code) => {
    FailingGateway.failure = failure;
    await using client = stockClient(`${hostile.url}/failing`, { auth: { token: mintToken('mallory') } });
    expect((await client.inbox.next('realtime:bye')).args[0]).toMatchObject({ code });
    await client.inbox.next('disconnect');
    expect(JSON.stringify(client.inbox.all)).not.toContain('hunter2');
    expect(reached).toEqual([]);
  });
});

describe("when a client asks for Socket.IO's connection state recovery", () => {
  it('B-40…42: recovers nothing, whoever’s id it names', async () => {
    reached = [];
    await using hostile = await boot();
    await using victim = await connectedClient(`${hostile.url}${NS}`, { auth: { token: mintToken('victim') } });
    const stolen = { pid: victim.socket.id, offset: '0' };
    await using mallory = stockClient(`${hostile.url}${NS}`, { auth: { token: mintToken('mallory'), ...stolen } });
    await mallory.inbox.next('connect');
    expect(mallory.socket.recovered).toBeFalsy();
    expect(mallory.socket.id).not.toBe(victim.socket.id);
    expect(await mallory.ask('echo')).toBe('echo');
    expect(reached).toEqual(['connection victim', 'connection mallory', 'echo']);
    expect(await refusalOf(`${hostile.url}${NS}`, { auth: stolen })).toEqual(GENERIC);
    await hostile.survives();
  });

  it('B-40…42: tells clients no private session id', async () => {
    await using hostile = await boot();
    await using client = await RawClient.open(hostile.url);
    const answer = await client.connect('/witness', JSON.stringify({ token: mintToken('ada') }));
    expect(answer).not.toContain('"pid"');
  });

  it('B-40…42: cannot be switched on', async () => {
    const realtime = { socketio: { connectionStateRecovery: {} } };
    await expect(HostileApp.boot({ providers, realtime }, { namespace: '/witness', event: 'ping' })).rejects.toThrow(
      'socketio.connectionStateRecovery',
    );
  });
});

describe('when tokens are allowed in the query', () => {
  it('B-29: keeps them out of every log', async () => {
    const auth = { jwt: { secret: TEST_SECRET }, allowQueryToken: true };
    await using hostile = await HostileApp.boot(
      { providers, realtime: { auth } },
      { namespace: '/witness', event: 'ping' },
    );
    const token = mintToken('ada', { jti: 'in-the-query' });
    await using good = await connectedClient(`${hostile.url}/witness`, { query: { token } });
    expect(await good.ask('nobody.listens')).toMatchObject({ error: { code: 'NOT_FOUND' } });
    expect(await refusalOf(`${hostile.url}${NS}`, { query: { token: `${token}x` } })).toEqual(GENERIC);
    const headers = { origin: 'http://evil.example' };
    await expect(RawClient.open(hostile.url, { query: `&token=${token}`, headers })).rejects.toThrow('403');
    const lines = hostile.log.drain();
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join()).not.toContain(token);
    await hostile.survives();
  });
});

describe("when the app's own authentication misbehaves", () => {
  const verify = (handshake: RealtimeHandshake): never => {
    throw Object.assign(new Error(`cannot read ${JSON.stringify(handshake.auth)}`), { secret: 'hunter2' });
  };

  it.each<[string, (handshake: RealtimeHandshake) => unknown, unknown]>([
    ['throws', verify, GENERIC],
    ['answers nonsense', () => 7, GENERIC],
    ['answers without an id', () => ({ roles: ['admin'] }), GENERIC],
    ['answers an id that is an object', () => ({ id: { toString: () => 'admin' } }), GENERIC],
    ['answers times that are none', () => ({ id: 'ada', expiresAt: 'tomorrow' }), GENERIC],
  ])('B-18: refuses when it %s', async (_name, check, expected) => {
    reached = [];
    const auth = {
      verify: check as () => { id: string },
      namespaces: { '/witness': { verify: () => ({ id: 'witness' }) } },
    };
    await using hostile = await HostileApp.boot(
      { providers, realtime: { auth } },
      { namespace: '/witness', event: 'ping' },
    );
    const data = await refusalOf(`${hostile.url}${NS}`, { auth: { token: 'secret-token' } });
    expect(data).toEqual(expected);
    expect(hostile.log.drain().join()).not.toMatch(/hunter2|secret-token/);
    expect(reached).toEqual([]);
    await hostile.survives();
  });

  it('B-18: gives up on it after the deadline, and closes the transport of a stock client so that it may retry', async () => {
    reached = [];
    const verify = (): Promise<never> => new Promise(() => undefined);
    const auth = { verify, timeoutMs: 100, namespaces: { '/witness': { verify: () => ({ id: 'witness' }) } } };
    await using hostile = await HostileApp.boot(
      { providers, realtime: { auth } },
      { namespace: '/witness', event: 'ping' },
    );
    await using raw = await RawClient.open(hostile.url);
    raw.send(`0${NS},{"token":"x"}`);
    await raw.closed();
    await using ours = await RawClient.open(hostile.url);
    expect(await ours.connect(NS, '{"token":"x","rt":{"v":1}}')).toContain('"TIMEOUT"');
    expect(reached).toEqual([]);
    await hostile.survives();
  });
});
