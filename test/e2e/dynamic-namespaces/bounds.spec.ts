import { WebSocketGateway } from '@nestjs/websockets';
import { RealtimeMetricsModule } from 'nestjs-realtime/metrics';
import { bootApp } from '../../support/app.js';
import { eventually } from '../../support/eventually.js';
import { RawClient } from '../../support/raw-client.js';
import { LogCapture } from '../bad-input/hostile-app.js';
import { as, bootTenants, inLobby, visit, type Tenants } from './tenants.js';

describe('when a client names a namespace that only a pattern matches', () => {
  let tenants: Tenants;

  beforeAll(async () => (tenants = await bootTenants()));
  afterAll(() => tenants[Symbol.asyncDispose]());

  it.each([
    ['the wild cards of Redis', '/tenant-*'],
    ['a class of characters of Redis', '/tenant-[a-z]'],
    ['a question mark', '/tenant-?x'],
    ["the adapter's separator", '/tenant-a#b'],
    ['a backslash', '/tenant-\\'],
    ['a quote', '/tenant-"'],
    ['braces', '/tenant-{x}'],
    ['a space', '/tenant-a b'],
    ['NUL', '/tenant-\0'],
    ['a line feed', '/tenant-a\nb'],
    ['a character that turns text around', '/tenant-\u202e'],
    ['letters that look like others', '/tenant-\u0430'],
    ['201 characters behind the slash', `/tenant-${'n'.repeat(194)}`],
    ['60 000 characters', `/tenant-${'n'.repeat(60_000)}`],
  ])('refuses %s, and makes nothing', async (_name, namespace) => {
    await using ada = await inLobby(tenants);
    const before = tenants.story.checks.length;
    expect(await ada.connect(namespace, as('ada'))).toBe(`4${namespace},{"message":"Invalid namespace"}`);
    expect(tenants.tenants()).toEqual([]);
    expect(tenants.story.checks).toHaveLength(before);
    expect(await ada.ask('/lobby', '["where"]')).toBe('/lobby');
  });

  it('takes the characters of room names, up to 200 behind the slash', async () => {
    await using ada = await inLobby(tenants);
    for (const name of [`/tenant-${'n'.repeat(193)}`, '/tenant-aZ0_-.:/@|+%20'])
      expect(await ada.connect(name, as('ada'))).toContain('"sid"');
  });
});

describe('when a node has as many dynamic namespaces as it may', () => {
  const limits = { dynamicNamespaces: 2, namespacesPerTransport: 20 };

  it('refuses the next one so that it is tried again, and names the option in its log', async () => {
    await using tenants = await bootTenants({ realtime: { limits } });
    const log = new LogCapture();
    tenants.node.app.useLogger(log);
    await using ada = await inLobby(tenants);
    for (const name of ['/tenant-1', '/tenant-2']) expect(await ada.connect(name, as('ada'))).toContain('"sid"');
    const ours = JSON.stringify({ user: 'bob', rt: { v: 1 } });
    await using bob = await RawClient.open(tenants.url);
    const answer = await bob.connect('/tenant-3', ours);
    expect(answer).toContain('"UNAVAILABLE"');
    expect(answer).toContain('"retryAfterMs"');
    expect(log.lines.join()).toContain('limits.dynamicNamespaces');
    expect(tenants.tenants()).toEqual(['/tenant-1', '/tenant-2']);
    expect(await bob.connect('/tenant-2', ours)).toContain('"sid"');
    expect(await bob.connect('/lobby', ours)).toContain('"sid"');
  });

  it('ends an empty one for it', async () => {
    await using tenants = await bootTenants({ realtime: { limits } });
    await using ada = await inLobby(tenants);
    expect(await ada.connect('/tenant-1', as('ada'))).toContain('"sid"');
    await visit(ada, ['/tenant-2', '/tenant-3', '/tenant-4']);
    await eventually(() => expect(tenants.tenants()).toEqual(['/tenant-1', '/tenant-4']));
    expect(await ada.ask('/tenant-1', '["where"]')).toBe('/tenant-1');
  });

  it('makes as many as clients name with a limit of 0', async () => {
    await using tenants = await bootTenants({ realtime: { limits: { ...limits, dynamicNamespaces: 0 } } });
    await using ada = await inLobby(tenants);
    for (let place = 0; place < 12; place += 1)
      expect(await ada.connect(`/tenant-${place}`, as('ada'))).toContain('"sid"');
    expect(tenants.tenants()).toHaveLength(12);
  });
});

describe('when metrics count connections in namespaces of a pattern', () => {
  it('names the pattern, whatever clients name', async () => {
    await using tenants = await bootTenants({ imports: [RealtimeMetricsModule.register()] });
    await using ada = await inLobby(tenants);
    await visit(ada, ['/tenant-1', '/tenant-2']);
    expect(await ada.connect('/tenant-3', as('ada'))).toContain('"sid"');
    const text = await (await fetch(`${tenants.url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.includes('namespace="/^'));
    const pattern = String(/^\/tenant-.+$/).replaceAll('\\', '\\\\');
    expect(lines.toSorted()).toEqual([
      `realtime_connections{namespace="${pattern}"} 1`,
      `realtime_connects_total{namespace="${pattern}"} 3`,
      `realtime_disconnects_total{namespace="${pattern}",reason="client namespace disconnect"} 2`,
    ]);
    expect(text).toContain('realtime_connections{namespace="/lobby"} 1');
    expect(text).not.toContain('/tenant-1');
  });
});

describe("when an app asks Socket.IO to end a pattern's namespaces", () => {
  @WebSocketGateway()
  class AnyGateway {}

  it('does not boot, and says that the library does', async () => {
    const socketio = { cleanupEmptyChildNamespaces: true };
    await expect(bootApp({ providers: [AnyGateway], realtime: { socketio } })).rejects.toThrow(
      'socketio.cleanupEmptyChildNamespaces',
    );
  });
});
