import { randomBytes } from 'node:crypto';
import { bootCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { PresenceStory } from '../support/presence-story.js';
import { startRedis } from '../support/redis.js';
import { probe } from './probes.js';
import { Tabs, connect } from './tabs.js';

const ROOM = 'chat/late';

describe('when Redis comes later than the nodes', () => {
  it('boots, serves its own clients, takes no traffic from a load balancer, and becomes a cluster by itself', async () => {
    await using redis = await startRedis();
    await redis.stop();
    await using cluster = await bootCluster(2, {
      redisUrl: redis.url,
      keyPrefix: `${randomBytes(6).toString('hex')}:`,
      // Nothing that a client gets from its own node waits for Redis: it would wait until after the test.
      options: { redis: { commandTimeoutMs: 600_000 } },
    });
    const { nodes } = cluster;
    for (const { url } of nodes) {
      expect(await probe(url, '/health/live')).toMatchObject({ status: 200 });
      expect(await probe(url, '/health/ready')).toMatchObject({ status: 503, redis: 'degraded' });
    }
    await using early = await connect(nodes[0]!, 'early');
    await nodes[0]!.call('startTicks', 'user/early', 50);
    await early.inbox.next('tick');

    await redis.restart();
    await eventually(async () => {
      for (const { url } of nodes) {
        expect(await probe(url, '/health/ready')).toMatchObject({ status: 200, redis: 'up' });
      }
    });
    await eventually(async () => {
      for (const node of nodes) expect(await node.call('isOnline', 'early')).toEqual({ online: true });
    });
    await nodes[0]!.call('stopTicks', 'user/early');
    // What another node says to the user arrives: its room was not subscribed when it connected.
    await eventually(async () => {
      await nodes[1]!.call('publish', 'user/early', 'note', 'hello');
      expect(early.inbox.all.map(({ event }) => event)).toContain('note');
    });
    await using tabs = new Tabs();
    const bob = await tabs.open(nodes[1]!, 'bob', ROOM);
    await PresenceStory.join(early, ROOM);
    await eventually(() => expect(bob.story.users).toEqual(['bob', 'early']));
  });
});
