import { eventually } from '../support/eventually.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { hearsAll, startAdapterNode, untilConnected, type AdapterNode } from './adapter-nodes.js';

const MODES = ['pubsub', 'sharded'] as const;

interface Nodes {
  readonly redis: TestRedis;
  readonly a: AdapterNode;
  readonly b: AdapterNode;
}

async function withTwoNodes(mode: (typeof MODES)[number], test: (nodes: Nodes) => Promise<void>): Promise<void> {
  await using redis = await startRedis();
  await using a = await startAdapterNode({ url: redis.url }, mode);
  await using b = await startAdapterNode({ url: redis.url }, mode);
  await untilConnected(a, b);
  await test({ redis, a, b });
}

/** What `a` is told of the socket of `b`. */
async function dataOf(a: AdapterNode, b: AdapterNode): Promise<unknown> {
  const all = await a.io.fetchSockets();
  return all.find(({ id }) => id === b.client.id)?.data;
}

function circle(): object {
  const user: { name: string; self?: object } = { name: 'ada' };
  user.self = user;
  return user;
}

describe.each(MODES)("when a node's answer to another one cannot be sent, %s", (mode) => {
  it.each<[string, () => unknown]>([
    ['a BigInt', () => ({ id: 10n })],
    ['a circle', circle],
    ['a value whose toJSON throws', () => ({ toJSON: () => JSON.parse('{') as unknown })],
  ])('gives the rest of socket.data with %s in it, and says so', async (_name, user) => {
    await withTwoNodes(mode, async ({ a, b }) => {
      const [socket] = [...b.io.sockets.sockets.values()];
      Object.assign(socket?.data as object, { user: user(), tenant: 'blue' });
      expect(await dataOf(a, b)).toEqual({ tenant: 'blue' });
      expect(b.logged).toEqual([expect.stringMatching(/^socket ".+" is sent to another node without data\."user"/)]);
      expect(b.dropped).toEqual(['adapter-answer']);
      await hearsAll(a, b);
    });
  });

  it('lives on when a listener of serverSideEmit throws, or answers what cannot be sent', async () => {
    await withTwoNodes(mode, async ({ a, b }) => {
      b.io.on('fails', () => {
        throw new Error('the listener is broken');
      });
      b.io.on('asks', (answer: (value: unknown) => void) => setImmediate(() => answer(10n)));
      a.io.serverSideEmit('fails');
      a.io.serverSideEmit('asks', () => undefined);
      await eventually(() => expect(b.logged.join('\n')).toMatch(/the listener is broken[^]*BigInt/));
      await hearsAll(a, b);
    });
  });
});

it.each(MODES)('lives on after requests that nobody understands, %s', async (mode) => {
  await withTwoNodes(mode, async ({ redis, a, b }) => {
    const stranger = await redis.client();
    const requests = Array.from({ length: 14 }, (_, type) =>
      JSON.stringify({ uid: 'x', nsp: '/', requestId: 'x', type }),
    );
    for (const request of requests) {
      await stranger.publish('socket.io-request#/#', request);
      await stranger.sPublish('socket.io#/#', request);
    }
    await hearsAll(a, b);
    await hearsAll(b, a);
    expect(b.logged.join('\n')).toMatch(/failed at a question of another node/);
  });
});
