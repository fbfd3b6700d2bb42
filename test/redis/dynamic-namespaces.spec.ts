import type { RedisOptions } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { RawClient } from '../support/raw-client.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../support/redis.js';
import { as, bootTenants, inLobby, visit, type Tenants } from '../e2e/dynamic-namespaces/tenants.js';
import { watchUnhandled } from './bus-nodes.js';

watchUnhandled();

const named = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, place) => `/tenant-${first + place}`);

describe.each(['pubsub', 'sharded'] as const)('dynamic namespaces with the adapter in %s mode', (mode) => {
  let redis: TestRedis;
  let admin: TestRedisClient;

  beforeEach(async () => {
    redis = await startRedis();
    admin = await redis.client();
  });
  afterEach(() => redis[Symbol.asyncDispose]());

  const boot = (adapter: RedisOptions['adapter'] = {}): Promise<Tenants> =>
    bootTenants({ realtime: { redis: { url: redis.url, adapter: { ...adapter, mode } } } });

  const patterns = async (): Promise<number> => Number(await admin.sendCommand(['PUBSUB', 'NUMPAT']));

  /** A pattern for each namespace: the root, the lobby and so many tenants. */
  const patternsWith = (tenants: number): number => (mode === 'pubsub' ? 2 + tenants : 0);

  /** Tenants whose namespace some node is subscribed to. */
  const subscribed = async (): Promise<string[]> => {
    const [what, channels] =
      mode === 'sharded' ? ['SHARDCHANNELS', 'socket.io#/tenant-*'] : ['CHANNELS', 'socket.io-request#/tenant-*'];
    const found = await admin.sendCommand<string[]>(['PUBSUB', what, channels]);
    return [...new Set(found.map((channel) => channel.split('#')[1] ?? ''))].toSorted();
  };

  it('subscribes to nothing for strangers', async () => {
    await using tenants = await boot();
    await using ada = await inLobby(tenants);
    await visit(ada, ['/tenant-a']);
    await eventually(async () => expect(await subscribed()).toEqual(['/tenant-a']));
    await using stranger = await RawClient.open(tenants.url);
    for (const name of named(1, 20)) expect(await stranger.connect(name, '{}')).toContain('UNAUTHORIZED');
    // Behind them: subscriptions of a node are made in their order.
    await visit(ada, ['/tenant-b']);
    await eventually(async () => expect(await subscribed()).toEqual(['/tenant-a', '/tenant-b']));
    await eventually(async () => expect(await patterns()).toBe(patternsWith(2)));
  });

  it('ends the subscriptions of a namespace with it', async () => {
    await using tenants = await boot();
    await using ada = await inLobby(tenants);
    await visit(ada, named(1, 20));
    await eventually(async () => expect(await subscribed()).toEqual(named(13, 20)));
    await eventually(async () => expect(await patterns()).toBe(patternsWith(8)));
  });

  it('brings what another node emits to a namespace that came back, once', async () => {
    await using one = await boot();
    await using two = await boot();
    await using ada = await inLobby(one);
    await visit(ada, named(1, 9));
    await eventually(() => expect(one.tenants()).toEqual(named(2, 9)));
    // At once: the end of the old subscription may still be on its way.
    expect(await ada.connect('/tenant-1', as('ada'))).toContain('"sid"');
    const heard = (): string[] =>
      ada.inbox.all.map(({ args: [text] }) => String(text)).filter((text) => text.startsWith('2/tenant-1,["news"'));
    let sent = 0;
    await eventually(() => {
      two.server.of('/tenant-1').emit('news', (sent += 1));
      expect(heard()).not.toEqual([]);
    });
    two.server.of('/tenant-1').emit('news', 'last');
    await ada.inbox.next(({ args: [text] }) => text === '2/tenant-1,["news","last"]');
    expect(new Set(heard()).size).toBe(heard().length);
    await eventually(async () => expect(await two.server.of('/tenant-1').fetchSockets()).toHaveLength(1));
  });
});
