import { eventually } from '../support/eventually.js';
import { startSentinel } from '../support/redis-sentinel.js';
import { hearsAll, startAdapterNode, untilConnected } from './adapter-nodes.js';
import { watchUnhandled } from './bus-nodes.js';

watchUnhandled();

describe.each(['pubsub', 'sharded'] as const)('the Socket.IO adapter in %s mode', (mode) => {
  describe('when Redis is behind Sentinel', () => {
    it.each(['killed', 'hung'] as const)('follows to the new master when the old one is %s', async (how) => {
      await using world = await startSentinel({ replicas: 1, sentinels: 3 });
      const options = { sentinel: world.address };
      await using a = await startAdapterNode(options, mode);
      await using b = await startAdapterNode(options, mode);
      await untilConnected(a, b);
      await expect(a.io.fetchSockets()).resolves.toHaveLength(2);
      await world.synced();
      const old = await world.master();
      if (how === 'killed') await old.stop();
      else old.pause();
      await world.promoted(old);
      await untilConnected(a, b, 5_000);
      await hearsAll(a, b);
      await eventually(() => expect(b.io.fetchSockets()).resolves.toHaveLength(2), 5_000);
      if (how === 'hung') old.resume();
      await hearsAll(b, a);
    });
  });
});
