import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { SOCKET_SERVERS } from 'nestjs-realtime';
import type { Server } from 'socket.io';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { connectedClient } from '../../support/inbox.js';
import { nextTurn } from '../../support/next-turn.js';
import { RawClient } from '../../support/raw-client.js';
import { as, bootTenants, inLobby, visit, type Tenants } from './tenants.js';

const named = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, place) => `/tenant-${first + place}`);

describe('when the last connection of a dynamic namespace has gone', () => {
  let tenants: Tenants;
  let ada: RawClient;

  beforeEach(async () => {
    tenants = await bootTenants();
    ada = await inLobby(tenants);
  });
  afterEach(async () => {
    await ada[Symbol.asyncDispose]();
    await tenants[Symbol.asyncDispose]();
  });

  it('keeps it with seven others that are empty, and ends the one that was left first', async () => {
    await visit(ada, named(1, 8));
    await nextTurn();
    expect(tenants.tenants()).toEqual(named(1, 8));
    await visit(ada, named(9, 9));
    await eventually(() => expect(tenants.tenants()).toEqual(named(2, 9)));
    // Somebody was in it again: it is not the oldest any more.
    await visit(ada, ['/tenant-2', '/tenant-10']);
    await eventually(() => expect(tenants.tenants()).toEqual(['/tenant-2', ...named(4, 10)]));
    expect(tenants.gateway.parent).toHaveProperty('children.size', 8);
  });

  it('ends none with a connection in it', async () => {
    await using bob = await RawClient.connected(tenants.url, '/tenant-1', { user: 'bob' });
    await visit(ada, ['/tenant-1', ...named(2, 20)]);
    await eventually(() => expect(tenants.tenants()).toEqual(['/tenant-1', ...named(13, 20)]));
    expect(await bob.ask('/tenant-1', '["where"]')).toBe('/tenant-1');
    await bob[Symbol.asyncDispose]();
    await eventually(() => expect(tenants.held('/tenant-1')).toBe(0));
    await visit(ada, named(21, 27));
    await eventually(() => expect(tenants.tenants()).toEqual(['/tenant-1', ...named(21, 27)]));
  });

  it('closes the adapter of the one that ends, once', async () => {
    await visit(ada, named(1, 1));
    const { adapter } = tenants.server.of('/tenant-1');
    let closed = 0;
    adapter.close = () => void (closed += 1);
    await visit(ada, named(2, 30));
    await eventually(() => expect(tenants.tenants()).toEqual(named(23, 30)));
    expect(closed).toBe(1);
  });

  it('makes it anew for the next, with the middlewares and the handlers of its gateway', async () => {
    await visit(ada, named(1, 9));
    await eventually(() => expect(tenants.tenants()).not.toContain('/tenant-1'));
    await using bob = await connectedClient(`${tenants.url}/tenant-1`, { auth: { user: 'bob' } });
    expect(await bob.ask('where')).toBe('/tenant-1');
    expect(tenants.story.met.at(-1)).toBe('bob');
    tenants.server.of('/tenant-1').emit('news', 1);
    tenants.gateway.parent.emit('news', 2);
    for (const value of [1, 2]) expect((await bob.inbox.next('news')).args).toEqual([value]);
    expect(bob.inbox.all.filter(({ event }) => event === 'news')).toHaveLength(2);
    expect(tenants.story.met.filter((user) => user === 'bob')).toHaveLength(1);
  });
});

describe('when a connection waits in a middleware of the app', () => {
  it('keeps its namespace, however many come and go', async () => {
    await using tenants = await bootTenants();
    await using ada = await inLobby(tenants);
    await visit(ada, named(1, 1));
    tenants.story.meeting.shut();
    await using waiting = await RawClient.open(tenants.url);
    const answer = waiting.connect('/tenant-1', as('wait'));
    await tenants.story.meeting.reached('middleware');
    await visit(ada, named(1, 20));
    await eventually(() => expect(tenants.tenants()).toEqual(['/tenant-1', ...named(13, 20)]));
    tenants.story.meeting.open();
    expect(await answer).toContain('"sid"');
    expect(await waiting.ask('/tenant-1', '["where"]')).toBe('/tenant-1');
    tenants.server.of('/tenant-1').emit('news');
    await waiting.inbox.next(({ args: [text] }) => text === '2/tenant-1,["news"]');
  });
});

describe('when a client comes in the turn in which its namespace would end', () => {
  it('finds it there', async () => {
    await using tenants = await bootTenants();
    await using ada = await inLobby(tenants);
    await visit(ada, named(1, 8));
    expect(await ada.connect('/tenant-9', as('ada'))).toContain('"sid"');
    // The ninth is empty, so that the first has to go, and somebody connects to it.
    ada.send('1/tenant-9,', `0/tenant-1,${as('ada')}`);
    await ada.inbox.next(({ args: [text] }) => String(text).startsWith('0/tenant-1,{"sid"'));
    expect(await ada.ask('/tenant-1', '["where"]')).toBe('/tenant-1');
    expect(tenants.tenants()).toContain('/tenant-1');
    tenants.server.of('/tenant-1').emit('news');
    await ada.inbox.next(({ args: [text] }) => text === '2/tenant-1,["news"]');
  });
});

describe('when server code makes a namespace of a pattern', () => {
  it('is one that clients find, with the gateway of the pattern', async () => {
    await using tenants = await bootTenants();
    const own = tenants.server.of('/tenant-own');
    await using ada = await connectedClient(`${tenants.url}/tenant-own`, { auth: { user: 'ada' } });
    expect(await ada.ask('where')).toBe('/tenant-own');
    own.emit('news', 1);
    expect((await ada.inbox.next('news')).args).toEqual([1]);
    await using stranger = await RawClient.open(tenants.url);
    expect(await stranger.connect('/tenant-own', '{}')).toContain('UNAUTHORIZED');
    expect(tenants.story.met).toEqual(['ada']);
  });

  it('ends like any other, whether somebody was in it or not', async () => {
    await using tenants = await bootTenants();
    for (const name of named(1, 30)) tenants.server.of(name);
    await eventually(() => expect(tenants.tenants()).toEqual(named(23, 30)));
    await using ada = await inLobby(tenants);
    await visit(ada, ['/tenant-23', '/tenant-31']);
    await eventually(() => expect(tenants.tenants()).toEqual(['/tenant-23', ...named(25, 31)]));
  });
});

describe('when a pattern matches a namespace that a gateway declares', () => {
  @WebSocketGateway({ namespace: 'tenant-declared' })
  class DeclaredGateway {
    @SubscribeMessage('declared')
    declared(): string {
      return 'declared';
    }
  }

  it('keeps it for good, with its gateway', async () => {
    await using tenants = await bootTenants({ providers: [DeclaredGateway] });
    await using ada = await inLobby(tenants);
    await visit(ada, ['/tenant-declared', ...named(1, 20)]);
    await eventually(() => expect(tenants.tenants()).toEqual(['/tenant-declared', ...named(13, 20)]));
    await using bob = await connectedClient(`${tenants.url}/tenant-declared`, { auth: { user: 'bob' } });
    expect(await bob.ask('declared')).toBe('declared');
  });
});

describe('when two servers of an app have namespaces of patterns', () => {
  it('keeps eight empty ones, of both together', async () => {
    const port = await freePort();
    @WebSocketGateway(port, { namespace: /^\/tenant-\d+$/ })
    class OtherGateway {}

    await using tenants = await bootTenants({ providers: [OtherGateway] });
    const servers = tenants.node.app.get(SOCKET_SERVERS)() as Server[];
    expect(servers).toHaveLength(2);
    for (const name of named(1, 6)) for (const server of servers) server.of(name);
    const left = (): string[] =>
      servers.flatMap((server) => [...(server as unknown as { _nsps: Map<string, unknown> })._nsps.keys()]);
    await eventually(() => expect(left().filter((name) => name.startsWith('/tenant-'))).toHaveLength(8));
    expect(left()).not.toContain('/tenant-1');
    expect(left()).not.toContain('/tenant-2');
  });
});
