import { randomBytes } from 'node:crypto';
import { bootCluster, type Cluster, type ClusterSettings } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { startRedis } from '../../support/redis.js';
import { Crowd } from './crowd.js';
import type { Member } from './member.js';
import type { HeardEvent, ToldEvent } from './room-history.js';

const ROOM = 'exact/only-node';

/** Heard up to 5 live; then SIGKILL of the only node, and another in its place. */
async function outlive(
  settings: ClusterSettings,
  then: (cluster: Cluster) => Promise<unknown>,
): Promise<HeardEvent[][]> {
  await using cluster = await bootCluster(1, settings);
  using crowd = new Crowd();
  const url = (): string => cluster.nodes.find((node) => node.isRunning)?.url ?? '';
  const [ann] = ['ann', 'ben'].map((user) => crowd.add({ user, rooms: [ROOM], url, random: Math.random }));
  await eventually(() => crowd.all.forEach((one) => expect(one.position(ROOM)).toBeDefined()));
  for (let n = 1; n <= 5; n += 1) await cluster.nodes[0]!.call('publish', ROOM, 'message', { name: `before ${n}` });
  await eventually(() => crowd.all.forEach((one) => expect(one.position(ROOM)?.offset).toBe(5)));
  ann?.leave();
  await cluster.nodes[0]!.call('publish', ROOM, 'message', { name: 'while ann was away' });
  await eventually(() => expect(crowd.all[1]?.position(ROOM)?.offset).toBe(6));

  await cluster.nodes[0]!.kill();
  await cluster.add();
  await then(cluster);
  ann?.comeBack();
  await eventually(() => crowd.all.forEach((one) => expect(eventsAfter(one)).toHaveLength(1)));
  expect(crowd.all.flatMap(({ malformed }) => malformed)).toEqual([]);
  return crowd.all.map(eventsAfter);
}

function eventsAfter({ heard }: Member): HeardEvent[] {
  return (heard.get(ROOM) ?? []).filter(({ kind }) => kind === 'recovered' || kind === 'told');
}

const publishes = ({ nodes }: Cluster): Promise<unknown> =>
  nodes.find((node) => node.isRunning)!.call('publish', ROOM, 'message', { name: 'after' });

describe('when the only node is killed and another takes its place', () => {
  it.concurrent('recovers everybody from Redis', async () => {
    await using redis = await startRedis();
    const settings = { redisUrl: redis.url, keyPrefix: `${randomBytes(6).toString('hex')}:` };
    const [[ann], [ben]] = (await outlive(settings, publishes)) as [[HeardEvent], [HeardEvent]];
    expect(ann).toMatchObject({
      kind: 'recovered',
      publications: [
        { offset: 6, name: 'while ann was away' },
        { offset: 7, name: 'after' },
      ],
    });
    expect(ben.kind).toBe('recovered');
  });

  it.concurrent('tells everybody that what was in its memory is gone', async () => {
    const [[ann], [ben]] = (await outlive({}, publishes)) as [[HeardEvent], [HeardEvent]];
    expect(ann).toMatchObject({ kind: 'told', how: 'join', position: { offset: 1 } });
    expect(ben).toMatchObject({ kind: 'told', how: 'join' });
    expect(ann.position.epoch).not.toBe((ann as ToldEvent).from.epoch);
  });
});
