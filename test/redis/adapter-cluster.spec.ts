import { eventually } from '../support/eventually.js';
import { startRedisCluster } from '../support/redis-cluster.js';
import type { TestRedis } from '../support/redis.js';
import { hearsAll, hearsAtLast, startAdapterNode, untilConnected } from './adapter-nodes.js';
import { watchUnhandled } from './bus-nodes.js';

watchUnhandled();

describe.each(['pubsub', 'sharded'] as const)('the Socket.IO adapter in %s mode', (mode) => {
  describe('when Redis is a cluster', () => {
    it('exchanges emits and queries, also after the slots of its channels have moved', async () => {
      await using cluster = await startRedisCluster({ masters: 3 });
      const options = { cluster: { nodes: cluster.nodes }, adapter: { requestsTimeoutMs: 1_000 } };
      await using a = await startAdapterNode(options, mode);
      await using b = await startAdapterNode(options, mode);
      await untilConnected(a, b);
      await hearsAll(a, b);
      b.io.to('room').emit('news', Buffer.from('bytes'));
      await eventually(() => expect(a.received).toContainEqual(Buffer.from('bytes')));
      await eventually(() => expect(a.io.fetchSockets()).resolves.toHaveLength(2));

      for (const channel of ['socket.io#/#room#', 'socket.io#/#', 'socket.io#/#room#']) {
        const [slot, from] = [await cluster.slotOf(channel), await cluster.ownerOf(channel)];
        const to = cluster.masters.find((master) => master !== from) as TestRedis;
        await cluster.migrateSlot(slot, from, to);
        // Emits are at most once; what must not happen is that they stay away. Stock: none of 20, for good.
        await hearsAtLast(a, b);
        await hearsAtLast(b, a);
        await hearsAll(a, b);
        await hearsAll(b, a);
      }
      await eventually(() => expect(b.io.fetchSockets()).resolves.toHaveLength(2));
    });
  });
});
