import { randomBytes } from 'node:crypto';
import { bootCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { startRedis } from '../../support/redis.js';
import { Crowd } from './crowd.js';

const ROOM = 'exact/same-id';
const IDS = Array.from({ length: 30 }, (_, index) => `order-${index}`);

describe('when two nodes publish with the same id at the same time', () => {
  it.concurrent('publishes once, and gives both the same position', async () => {
    await using redis = await startRedis();
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    await using cluster = await bootCluster(2, { redisUrl: redis.url, keyPrefix });
    using crowd = new Crowd();
    const members = cluster.nodes.map(({ id, url }) =>
      crowd.add({ user: id, rooms: [ROOM], url: () => url, random: Math.random }),
    );
    await eventually(() => members.forEach((member) => expect(member.position(ROOM)).toBeDefined()));

    const replies = await Promise.all(
      IDS.map((id) =>
        Promise.all(cluster.nodes.map((node) => node.call('publish', ROOM, 'message', { name: id }, { id }))),
      ),
    );

    for (const [index, [first, second]] of replies.entries()) {
      expect(first).toEqual({ id: IDS[index], epoch: expect.any(String), offset: expect.any(Number) });
      expect(second).toEqual(first);
    }
    expect(replies.map(([first]) => first?.offset).sort((a = 0, b = 0) => a - b)).toEqual(IDS.map((_, n) => n + 1));
    expect(await (await redis.client()).xLen(`${keyPrefix}{${ROOM}}:log`)).toBe(IDS.length);

    await cluster.nodes[0]?.call('publish', ROOM, 'message', { name: 'fence' });
    await eventually(() => members.forEach((member) => expect(member.position(ROOM)?.offset).toBe(IDS.length + 1)));
    for (const member of members) {
      const names = (member.heard.get(ROOM) ?? []).flatMap((one) => (one.kind === 'message' ? [one.name] : []));
      expect(names.slice(0, -1).sort()).toEqual([...IDS].sort());
    }
  });

  it.concurrent('refuses the second if it says something else', async () => {
    await using redis = await startRedis();
    await using cluster = await bootCluster(2, {
      redisUrl: redis.url,
      keyPrefix: `${randomBytes(6).toString('hex')}:`,
    });
    const outcomes = await Promise.allSettled(
      cluster.nodes.map((node) => node.call('publish', ROOM, 'message', { name: node.id }, { id: 'order-1' })),
    );
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'BAD_REQUEST' } });
  });
});
