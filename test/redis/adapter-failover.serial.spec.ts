import { eventually } from '../support/eventually.js';
import { startRedisCluster } from '../support/redis-cluster.js';
import { startSentinel } from '../support/redis-sentinel.js';
import { hearsAtLast, startAdapterNode, type AdapterNode } from './adapter-nodes.js';
import { watchUnhandled } from './bus-nodes.js';

watchUnhandled();

/** A hung master is given up soon, and a query that is lost with it is asked again. */
const OPTIONS = { probeTimeoutMs: 2_000, adapter: { requestsTimeoutMs: 1_000 } };

/** A server that stands still may be given up or voted down by mistake: then some emits are lost, but never all. */
async function bothHear(a: AdapterNode, b: AdapterNode): Promise<void> {
  await hearsAtLast(a, b);
  await hearsAtLast(b, a);
}

const MODES = ['pubsub', 'sharded'] as const;
const ENDS = (['killed', 'hung'] as const).flatMap((how) => MODES.map((mode) => [how, mode] as const));

// At the same time, each on servers of its own: most of each is a vote.
describe('when the Socket.IO adapter loses its master', () => {
  it.concurrent.each(MODES)(
    'hears again in %s mode when a replica has taken over from a killed one of a cluster',
    async (mode) => {
      await using cluster = await startRedisCluster({ masters: 3, replicas: 1, nodeTimeoutMs: 1_000 });
      const options = { ...OPTIONS, cluster: { nodes: cluster.nodes } };
      await using a = await startAdapterNode(options, mode);
      await using b = await startAdapterNode(options, mode);
      await bothHear(a, b);
      const victim = await cluster.ownerOf('socket.io#/#room#');
      await victim.stop();
      a.received.length = 0;
      a.io.to('room').emit('news', 'local');
      await eventually(() => expect(a.received).toContain('local'));
      await bothHear(a, b);
      await eventually(() => expect(a.io.fetchSockets()).resolves.toHaveLength(2));
    },
  );

  it.concurrent.each(ENDS)('follows Sentinel to the new one when the old one is %s, in %s mode', async (how, mode) => {
    await using world = await startSentinel({ replicas: 1, sentinels: 3, downAfterMs: 1_000 });
    const options = { ...OPTIONS, sentinel: world.address };
    await using a = await startAdapterNode(options, mode);
    await using b = await startAdapterNode(options, mode);
    await bothHear(a, b);
    await eventually(() => expect(a.io.fetchSockets()).resolves.toHaveLength(2));
    await world.synced();
    const old = await world.master();
    if (how === 'killed') await old.stop();
    else old.pause();
    await world.promoted(old);
    await bothHear(a, b);
    await eventually(() => expect(b.io.fetchSockets()).resolves.toHaveLength(2));
    if (how === 'hung') old.resume();
    await bothHear(a, b);
  });
});
