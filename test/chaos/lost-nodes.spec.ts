import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { CLUSTER_TIMES, LEAVE_GRACE_MS, bootCluster, type Cluster, type ClusterNode } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { lasting } from '../support/lasting.js';
import { promised } from '../support/promised.js';
import { startRedis, type TestRedisClient } from '../support/redis.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { FULL_TIMEOUT_MS, IS_FULL, itAtOnce, judgeBound, promisedAtFullLength } from '../support/scale.js';
import { incarnationOf, isForgotten, keysMentioning } from './redis-keys.js';
import { Tabs, connect, type Tab } from './tabs.js';
import { Ticks, echoesBeforeAnswer } from './ticks.js';

if (IS_FULL) jest.setTimeout(FULL_TIMEOUT_MS);

const GONE_WITHIN_MS = promised(20_000, 'README.md, No ghosts');
const BACK_WITHIN_MS = promised(
  10_000,
  'docs/architecture.md: it adds its living connections again before anything else',
);
/** How long a node is stopped or cut off, at least: at full length far beyond its lease. */
const LOST_FOR_MS = IS_FULL ? 25_000 : 0;
const options = { cluster: CLUSTER_TIMES, presence: { leaveGraceMs: LEAVE_GRACE_MS } };

const ROOM = 'chat/lost';
/** On the third node only; `both` has a second tab on the first. */
const GONE = ['gone-1', 'gone-2', 'gone-3'];
const STAYING = ['both', 'stay-1', 'stay-2'];

async function populate(tabs: Tabs, [one, two, three]: readonly ClusterNode[]): Promise<void> {
  await tabs.open(one!, 'stay-1', ROOM);
  await tabs.open(two!, 'stay-2', ROOM);
  await tabs.open(one!, 'both', ROOM);
  await tabs.open(three!, 'both', ROOM);
  for (const user of GONE) await tabs.open(three!, user, ROOM);
  await eventually(() => {
    for (const { story } of tabs.all) {
      expect(story.users).toEqual([...GONE, ...STAYING].sort());
      expect(story.devicesOf('both')).toBe(2);
    }
  });
}

/** Joins and leaves of one user, as `PresenceService.changes` of all nodes told them together. */
function told(cluster: Cluster, userId: string): string[] {
  return cluster.changes
    .filter((change) => change.room === ROOM && change.userId === userId)
    .map(({ type }) => type)
    .filter((type) => type === 'join' || type === 'leave');
}

/** Milliseconds from `sinceMs` to the last announcement of this type about those who were gone, by the nodes' clocks. */
function tookMs({ changes }: Cluster, type: 'join' | 'leave', sinceMs: number): number {
  const at = changes.filter((one) => one.room === ROOM && one.type === type && GONE.includes(one.userId));
  return Math.max(...at.map((change) => change.at)) - sinceMs;
}

/** Nothing about a dead incarnation will be announced any more. */
async function forgotten(client: TestRedisClient, prefix: string, incarnation: string): Promise<void> {
  await eventually(
    async () => expect([incarnation, await isForgotten(client, prefix, incarnation)]).toEqual([incarnation, true]),
    promisedAtFullLength(80_000, 'docs/architecture.md: swept again after 60 s'),
  );
}

/** Whoever comes now is seen after everything that was announced before. */
async function fence(tabs: Tabs, node: ClusterNode, witnesses: readonly Tab[], name: string): Promise<void> {
  await tabs.open(node, name, ROOM);
  await eventually(() => witnesses.forEach(({ story }) => expect(story.users).toContain(name)));
}

describe('when a node is lost', () => {
  const keyPrefix = () => `${randomBytes(6).toString('hex')}:`;

  itAtOnce('announces the users of a killed one as gone within 20 s, exactly once in the cluster', async () => {
    await using redis = await startRedis();
    const prefix = keyPrefix();
    await using cluster = await bootCluster(3, {
      redisUrl: redis.url,
      keyPrefix: prefix,
      options: { ...options, limits: { transportsPerUser: { max: 2 } } },
    });
    await using tabs = new Tabs();
    const [one, two, three] = cluster.nodes;
    await populate(tabs, cluster.nodes);
    const client = await redis.client();
    const dead = await incarnationOf(client, prefix, three!.id);
    await expect(connect(two!, 'both')).rejects.toMatchObject({ data: { code: 'LIMIT_EXCEEDED' } });
    const survivors = tabs.except(three!);
    const before = survivors.map(({ story }) => story.joins('gone-1'));
    await tabs.open(three!, 'zz-moving', ROOM);
    await eventually(() => survivors.forEach(({ story }) => expect(story.users).toContain('zz-moving')));

    const killedAt = Date.now();
    await three!.kill();
    // Who comes back elsewhere before anybody was missed has not left.
    await tabs.open(one!, 'zz-moving', ROOM);
    const remaining = [...STAYING, 'zz-moving'].sort();
    await eventually(() => {
      for (const { story } of survivors) expect(story.users).toEqual(remaining);
    });
    // The dead tab does not count any more.
    await using _third = await eventually(() => connect(two!, 'both'));
    for (const node of cluster.nodes.slice(0, 2)) {
      expect((await node.call('list', ROOM)).map(({ id }) => id)).toEqual(remaining);
    }
    // The second sweep finds nothing more to announce.
    await forgotten(client, prefix, dead);
    await fence(tabs, one!, survivors, 'zz-fence');
    await cluster.settled();
    judgeBound('users of a killed node announced as gone', tookMs(cluster, 'leave', killedAt), GONE_WITHIN_MS);

    for (const { story } of survivors) {
      for (const user of GONE) expect(story.leaves(user)).toBe(1);
      for (const user of remaining) expect([user, story.leaves(user)]).toEqual([user, 0]);
      expect(story.joins('zz-moving')).toBe(1);
      expect(story.devicesOf('zz-moving')).toBe(1);
      expect(story.holes).toEqual([]);
    }
    expect(survivors.map(({ story }) => story.joins('gone-1'))).toEqual(before);
    for (const user of GONE) expect([user, told(cluster, user)]).toEqual([user, ['join', 'leave']]);
    for (const user of remaining) expect([user, told(cluster, user)]).toEqual([user, ['join']]);
  });

  itAtOnce(
    'announces the users of one that was stopped as gone once and as back once, and keeps nothing of its old life',
    async () => {
      await using redis = await startRedis();
      const prefix = keyPrefix();
      await using cluster = await bootCluster(3, {
        redisUrl: redis.url,
        keyPrefix: prefix,
        options,
      });
      await using tabs = new Tabs();
      const [one, , three] = cluster.nodes;
      await populate(tabs, cluster.nodes);
      const client = await redis.client();
      const old = await incarnationOf(client, prefix, three!.id);
      expect(await keysMentioning(client, prefix, old)).not.toEqual([]);
      const survivors = tabs.except(three!);
      const joinsBefore = new Map(survivors.map(({ story }) => [story, GONE.map((user) => story.joins(user))]));

      three!.pause();
      const stopped = lasting(LOST_FOR_MS);
      await eventually(() => {
        for (const { story } of survivors) expect(story.users).toEqual([...STAYING].sort());
      });
      await stopped;
      const resumedAt = Date.now();
      three!.resume();
      await eventually(() => {
        for (const { story } of tabs.all) expect(story.users).toEqual([...GONE, ...STAYING].sort());
      });
      expect(tabs.all.every(({ client: { socket } }) => socket.connected)).toBe(true);
      expect(await incarnationOf(client, prefix, three!.id)).not.toBe(old);

      await forgotten(client, prefix, old);
      await fence(tabs, one!, tabs.all.slice(), 'zz-fence');
      await cluster.settled();
      judgeBound('users of a continued node back', tookMs(cluster, 'join', resumedAt), BACK_WITHIN_MS);
      for (const { story } of survivors) {
        expect(story.holes).toEqual([]);
        for (const user of GONE) expect([user, story.leaves(user)]).toEqual([user, 1]);
        expect(GONE.map((user) => story.joins(user))).toEqual(joinsBefore.get(story)!.map((count) => count + 1));
        for (const user of STAYING) expect([user, story.leaves(user)]).toEqual([user, 0]);
      }
      for (const { story } of tabs.all.filter(({ node }) => node === three)) {
        // They may hear of it, or find everything as it was; never one half of it.
        expect(story.holes).toEqual([]);
        for (const user of [...GONE, ...STAYING]) expect(story.users).toContain(user);
      }
      for (const user of GONE) expect([user, told(cluster, user)]).toEqual([user, ['join', 'leave', 'join']]);
      for (const user of STAYING) expect([user, told(cluster, user)]).toEqual([user, ['join']]);
      // The tombstone that refuses delayed renewals is all that is left.
      expect(await keysMentioning(client, prefix, old)).toEqual([`${prefix}{#nodes}:dead`]);
    },
  );

  itAtOnce(
    'announces the users of one that was cut off from Redis as gone once and as back once, and serves them meanwhile',
    async () => {
      await using redis = await startRedis();
      await using proxy = await startTcpProxy({ port: redis.port });
      await using cluster = await bootCluster(2, {
        redisUrl: redis.url,
        keyPrefix: keyPrefix(),
        options,
      });
      const three = await cluster.add({ redis: { url: `redis://127.0.0.1:${proxy.port}` } });
      await using tabs = new Tabs();
      await populate(tabs, cluster.nodes);
      const others = tabs.except(three);
      const own = tabs.all.filter(({ node }) => node === three);
      const ticks = own.map((tab) => new Ticks(tab));
      await three.call('startTicks', ROOM, 200);
      const joinsBefore = new Map(others.map(({ story }) => [story, GONE.map((user) => story.joins(user))]));
      const toldBefore = own.map(({ story }) => story.diffs.length);

      proxy.cut();
      const over = lasting(LOST_FOR_MS);
      await eventually(() => {
        for (const { story } of others) expect(story.users).toEqual([...STAYING].sort());
      });
      await over;
      // Local delivery needs no Redis: what the node emits now comes before its answer, on each connection.
      for (const { client } of own) expect(await echoesBeforeAnswer(client, ROOM)).toBe(true);
      expect(own.map(({ story }) => story.diffs.length)).toEqual(toldBefore);
      const healedAt = Date.now();
      proxy.heal();
      await eventually(() => {
        for (const { story } of tabs.all) expect(story.users).toEqual([...GONE, ...STAYING].sort());
      });
      await fence(tabs, cluster.nodes[0]!, tabs.all.slice(), 'zz-fence');
      await three.call('stopTicks', ROOM);
      await cluster.settled();
      judgeBound('users of a node that was cut off back', tookMs(cluster, 'join', healedAt), BACK_WITHIN_MS);
      for (const { story } of others) {
        expect(story.holes).toEqual([]);
        for (const user of GONE) expect([user, story.leaves(user)]).toEqual([user, 1]);
        expect(GONE.map((user) => story.joins(user))).toEqual(joinsBefore.get(story)!.map((count) => count + 1));
        for (const user of STAYING) expect([user, story.leaves(user)]).toEqual([user, 0]);
      }
      for (const user of GONE) expect([user, told(cluster, user)]).toEqual([user, ['join', 'leave', 'join']]);
      for (const user of STAYING) expect([user, told(cluster, user)]).toEqual([user, ['join']]);
      expect(ticks.flatMap((each) => each.missing())).toEqual([]);
      expect(ticks.filter((each) => each.own.length === 0)).toEqual([]);
      expect(tabs.all.every(({ client: { socket } }) => socket.connected)).toBe(true);
    },
  );
});
