import { AllowAnonymous, RealtimeError, type RealtimeOptions } from 'nestjs-realtime';
import { WebSocketGateway } from '@nestjs/websockets';
import type { Server } from 'socket.io';
import { eventually } from '../../support/eventually.js';
import { stockClient } from '../../support/inbox.js';
import { RawClient } from '../../support/raw-client.js';
import { as, bootTenants, inLobby, visit, type Tenants } from './tenants.js';

@AllowAnonymous()
@WebSocketGateway({ namespace: /^\/open-\d+$/ })
class OpenGateway {}

describe('when a client asks for a namespace that nobody has been in', () => {
  let tenants: Tenants;

  beforeEach(async () => (tenants = await bootTenants({ providers: [OpenGateway] })));
  afterEach(() => tenants[Symbol.asyncDispose]());

  it('makes it for no stranger, whom no code of the app sees but the check', async () => {
    await using stranger = await RawClient.open(tenants.url);
    for (const name of ['/tenant-1', '/tenant-2', '/tenant-1'])
      expect(await stranger.connect(name, '{}')).toContain('"UNAUTHORIZED"');
    expect(tenants.tenants()).toEqual([]);
    expect(tenants.gateway.parent).toHaveProperty('children.size', 0);
    const { checks, met, connected } = tenants.story;
    expect({ checks, met, connected }).toEqual({
      checks: ['nobody for /tenant-1', 'nobody for /tenant-2', 'nobody for /tenant-1'],
      met: [],
      connected: [],
    });
    expect(await stranger.connect('/tenant-1', as('ada'))).toContain('"sid"');
  });

  it('tells a stock client why', async () => {
    await using stranger = stockClient(`${tenants.url}/tenant-1`);
    const { args } = await stranger.inbox.next('connect_error');
    expect(args[0]).toMatchObject({ message: 'Authentication is required', data: { code: 'UNAUTHORIZED' } });
  });

  it('makes it for a stranger whom the gateway of the pattern admits', async () => {
    await using stranger = await RawClient.open(tenants.url);
    expect(await stranger.connect('/open-1', '{}')).toContain('UNAUTHORIZED');
    const auth = { jwt: { secret: 'a secret of thirty-two bytes, at least' } };
    await using open = await bootTenants({ providers: [OpenGateway], realtime: { auth } });
    await using guest = await RawClient.open(open.url);
    expect(await guest.connect('/open-1')).toContain('"sid"');
    expect(await guest.connect('/tenant-1')).toContain('UNAUTHORIZED');
    expect(open.tenants()).toEqual([]);
  });

  it('runs the check once for each connection, then the middlewares of the app, then the gateway', async () => {
    await using first = await RawClient.connected(tenants.url, '/tenant-1', { user: 'ada' });
    await using second = await RawClient.connected(tenants.url, '/tenant-1', { user: 'bob' });
    expect(await first.ask('/tenant-1', '["where"]')).toBe('/tenant-1');
    expect(await second.ask('/tenant-1', '["where"]')).toBe('/tenant-1');
    const { checks, met, connected } = tenants.story;
    expect(checks).toEqual(['ada for /tenant-1', 'bob for /tenant-1']);
    expect(met).toEqual(['ada', 'bob']);
    expect(connected).toEqual(['ada in /tenant-1', 'bob in /tenant-1']);
  });

  it('makes one namespace for two that ask at the same moment', async () => {
    tenants.story.checking.shut();
    const clients = [await RawClient.open(tenants.url), await RawClient.open(tenants.url)];
    const answers = clients.map((client, place) => client.connect('/tenant-1', as(`user${place}`)));
    await tenants.story.checking.reached('check', 2);
    tenants.story.checking.open();
    for (const answer of await Promise.all(answers)) expect(answer).toContain('"sid"');
    expect(tenants.story.checks).toHaveLength(2);
    expect(tenants.tenants()).toEqual(['/tenant-1']);
    tenants.server.of('/tenant-1').emit('both');
    for (const client of clients) {
      await client.inbox.next(({ args: [text] }) => text === '2/tenant-1,["both"]');
      await client[Symbol.asyncDispose]();
    }
  });

  it('makes none for a client that left while it was authenticated', async () => {
    const made: string[] = [];
    tenants.server.on('new_namespace', ({ name }) => made.push(name));
    tenants.story.checking.shut();
    const ada = await RawClient.open(tenants.url);
    ada.send(`0/tenant-1,${as('ada')}`);
    await tenants.story.checking.reached('check');
    const { engine } = tenants.server as unknown as { engine: { clientsCount: number } };
    ada.reset();
    await ada.closed();
    await eventually(() => expect(engine.clientsCount).toBe(0));
    tenants.story.checking.open();
    // Behind it: the check of a client that stays.
    await using bob = await RawClient.connected(tenants.url, '/tenant-2', { user: 'bob' });
    expect(await bob.ask('/tenant-2', '["where"]')).toBe('/tenant-2');
    expect(made).toEqual(['/tenant-2']);
    expect(tenants.story.met).toEqual(['bob']);
  });

  it('checks it once, however often it is asked for meanwhile, and ends the transport', async () => {
    tenants.story.checking.shut();
    await using ada = await RawClient.open(tenants.url);
    ada.send(...Array.from({ length: 100 }, () => `0/tenant-1,${as('ada')}`));
    await ada.closed();
    tenants.story.checking.open();
    await using bob = await RawClient.connected(tenants.url, '/tenant-2', { user: 'bob' });
    expect(await bob.ask('/tenant-2', '["where"]')).toBe('/tenant-2');
    expect(tenants.story.checks.filter((check) => check.startsWith('ada')).length).toBeLessThanOrEqual(1);
    expect(tenants.tenants()).toEqual(['/tenant-2']);
  });

  it('counts it as one of the namespaces of the transport while it is checked', async () => {
    await using limited = await bootTenants({ realtime: { limits: { namespacesPerTransport: 2 } } });
    await using ada = await inLobby(limited);
    limited.story.checking.shut();
    ada.send(`0/tenant-1,${as('ada')}`);
    await limited.story.checking.reached('check', 2);
    expect(await ada.connect('/tenant-2', as('ada'))).toContain('"LIMIT_EXCEEDED"');
    limited.story.checking.open();
    await ada.inbox.next(({ args: [text] }) => String(text).startsWith('0/tenant-1,'));
    expect(limited.tenants()).toEqual(['/tenant-1']);
  });

  it('draws on the budget of the transport for a name that is refused, too', async () => {
    await using limited = await bootTenants({ realtime: { limits: { messagesPerSecond: 0.001, burst: 20 } } });
    await using ada = await RawClient.open(limited.url);
    const auth = JSON.stringify({ user: 'ada', rt: { v: 1 } });
    const answers: string[] = [];
    for (let place = 0; place < 21; place += 1) answers.push(await ada.connect('/nobody-serves-it', auth));
    expect(answers.slice(0, 20).every((answer) => answer.includes('Invalid namespace'))).toBe(true);
    expect(answers.at(-1)).toContain('"RATE_LIMITED"');
  });

  it('reports what goes wrong with the namespace, and tells the client no more than a code', async () => {
    const reported: unknown[] = [];
    const onError: RealtimeOptions['onError'] = (error, { namespace }) => reported.push([String(error), namespace]);
    await using failing = await bootTenants({ realtime: { onError } });
    failing.server.of((_name, _auth, next) => next(null, false));
    const broken = failing.server.of((_name, _auth, next) => next(null, true));
    Object.assign(broken, {
      createChild: () => {
        throw new TypeError('hunter2');
      },
    });
    await using ada = await RawClient.open(failing.url);
    const auth = JSON.stringify({ user: 'ada', rt: { v: 1 } });
    expect(await ada.connect('/other-1', auth)).toContain('"INTERNAL"');
    expect(JSON.stringify(ada.inbox.all)).not.toContain('hunter2');
    expect(reported).toEqual([['TypeError: hunter2', '/other-1']]);
  });

  it('tells our client of the limit that it was let in to be told of', async () => {
    await using full = await bootTenants({ realtime: { limits: { transports: { hard: 9, soft: 1 } } } });
    await using _first = await inLobby(full);
    await using second = await RawClient.open(full.url, { query: '&rt=1' });
    expect(await second.connect('/tenant-1', JSON.stringify({ user: 'bob', rt: { v: 1 } }))).toContain('"UNAVAILABLE"');
    await second.closed();
    expect(full.story.checks).toEqual(['ada for /lobby']);
    expect(full.tenants()).toEqual([]);
  });
});

describe('when the app makes namespaces by a function', () => {
  it('asks it once for a name, and then who it is', async () => {
    await using tenants = await bootTenants();
    const asked: string[] = [];
    const parent = tenants.server.of((name, _auth, next) => {
      asked.push(name);
      next(null, name === '/made-1');
    });
    parent.use((socket, next) => {
      asked.push(`middleware for ${String((socket.data as { principal?: { id: string } }).principal?.id)}`);
      next();
    });
    await using ada = await inLobby(tenants);
    expect(await ada.connect('/made-1', '{}')).toContain('UNAUTHORIZED');
    expect(await ada.connect('/made-2', as('ada'))).toContain('Invalid namespace');
    expect((tenants.server as unknown as { _nsps: Map<string, unknown> })._nsps.has('/made-1')).toBe(false);
    expect(await ada.connect('/made-1', as('ada'))).toContain('"sid"');
    expect(asked).toEqual(['/made-1', '/made-2', '/made-1', 'middleware for ada']);
  });
});

describe('when a middleware of the app', () => {
  let tenants: Tenants;
  const used = (server: Server): void =>
    void server
      .of('/lobby')
      .use((socket, next) => next(tenants.story.refused.has(userOf(socket)) ? new Error('no') : undefined));
  const userOf = (socket: { data: unknown }): string => (socket.data as { principal: { id: string } }).principal.id;

  beforeEach(async () => {
    tenants = await bootTenants();
    used(tenants.server);
  });
  afterEach(() => tenants[Symbol.asyncDispose]());

  it.each(['/tenant-1', '/lobby'])(
    'refuses a client in %s, nothing stays of it, and it may try again',
    async (name) => {
      tenants.story.refused.add('ada');
      await using ada = await RawClient.open(tenants.url);
      expect(await ada.connect(name, as('ada'))).toMatch(/^4/);
      expect(tenants.held(name)).toBe(0);
      tenants.story.refused.clear();
      expect(await ada.connect(name, as('ada'))).toContain('"sid"');
      expect(tenants.held(name)).toBe(1);
    },
  );

  it('never ends, the namespace forgets the client with its transport', async () => {
    const lost = await inLobby(tenants);
    lost.send(`0/tenant-1,${as('lost')}`);
    await eventually(() => expect(tenants.story.met).toEqual(['lost']));
    expect(tenants.held('/tenant-1')).toBe(1);
    await lost[Symbol.asyncDispose]();
    await eventually(() => expect(tenants.held('/tenant-1')).toBe(0));
    await using ada = await inLobby(tenants);
    await visit(
      ada,
      Array.from({ length: 8 }, (_, place) => `/tenant-${place + 2}`),
    );
    await eventually(() => expect(tenants.tenants()).not.toContain('/tenant-1'));
  });
});

describe('when the transport of a refused client is closed', () => {
  it.each(['/tenant-1', '/lobby'])('keeps no socket of it in %s', async (name) => {
    const auth = { verify: () => Promise.reject(new RealtimeError('UNAVAILABLE')) };
    await using tenants = await bootTenants({ realtime: { auth } });
    await using ada = await RawClient.open(tenants.url);
    // A stock client comes back only if its transport is closed.
    ada.send(`0${name},${as('ada')}`);
    await ada.closed();
    await eventually(() => expect(tenants.held(name)).toBe(0));
  });
});
