import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { bootCluster, scaledOptions, scaledRedisTimes, type Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { PresenceStory } from '../support/presence-story.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { Samples } from '../support/samples.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { SCALE, TEST_TIMEOUT_MS, measured, observationWindow, scaled, within } from '../support/scale.js';
import { probe, type ProbeAnswer } from './probes.js';
import { Tabs, connect, type Tab } from './tabs.js';
import { Ticks } from './ticks.js';
import { Traffic } from './traffic.js';

jest.setTimeout(TEST_TIMEOUT_MS);

const ROOM = 'chat/outage';
const TICK_MS = 200;
const OUTAGE_MS = scaled(25_000);
/** After this, every leave that a lease or a lost storage could still bring has been announced. */
const LATE_MS = scaled(15_000 + 2_000 + 5_000) + 6_000;

/** `presence.settleMs` does not scale, because the reconnect backoff does not. */
const WHOLE_WITHIN_MS = SCALE === 1 ? 10_000 : within(10_000) + 6_000;

/** How much longer than the others one node does without Redis, its reconnect backoff aside. */
const STRAGGLE_MS = scaled(1_500);

interface Outage {
  begin(redis: TestRedis): Promise<void>;
  end(redis: TestRedis): Promise<void>;
}

const OUTAGES: Record<string, Outage> = {
  'killed, and comes back empty': { begin: (redis) => redis.stop(), end: (redis) => redis.restart() },
  'stopped, and goes on where it was': {
    begin: (redis) => Promise.resolve(redis.pause()),
    end: (redis) => Promise.resolve(redis.resume()),
  },
};

function users(tabs: Tabs): string[] {
  return [...new Set(tabs.all.map(({ user }) => user))].sort();
}

async function populate(tabs: Tabs, { nodes }: Cluster): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    await tabs.open(node, `user-${index}a`, ROOM);
    await tabs.open(node, `user-${index}b`, ROOM);
  }
  await tabs.open(nodes[0]!, 'two-tabs', ROOM);
  await tabs.open(nodes[1]!, 'two-tabs', ROOM);
  await eventually(() => {
    for (const { story } of tabs.all) {
      expect(story.users).toEqual(users(tabs));
      expect(story.devicesOf('two-tabs')).toBe(2);
    }
  });
}

/** Joins and leaves that clients or `PresenceService.changes` have told so far, as text. */
function announced(tabs: readonly Tab[], cluster: Cluster, since: { diffs: number[]; changes: number }): string[] {
  const told = tabs.flatMap(({ user, node, story }, index) =>
    story.diffs
      .slice(since.diffs[index])
      .flatMap(({ join = [], leave = [] }) => [
        ...join.map(({ id }) => `join ${id}`),
        ...leave.map((id) => `leave ${id}`),
      ])
      .map((text) => `${text} to ${user} on ${node.id}`),
  );
  const changes = cluster.changes
    .slice(since.changes)
    .filter(({ type }) => type !== 'update')
    .map(({ type, userId, node }) => `${type} ${userId} by ${node}`);
  return [...told, ...changes];
}

describe.each(Object.entries(OUTAGES))('when Redis is %s', (_, outage) => {
  it('goes on locally, says so, announces nobody who stayed, and is whole again soon after', async () => {
    await using redis = await startRedis();
    await using proxy = await startTcpProxy({ port: redis.port });
    await using cluster = await bootCluster(2, {
      redisUrl: redis.url,
      keyPrefix: `${randomBytes(6).toString('hex')}:`,
      options: { ...scaledOptions(), redis: scaledRedisTimes() },
    });
    await cluster.add({ redis: { ...scaledRedisTimes(), url: `redis://127.0.0.1:${proxy.port}` } });
    await using tabs = new Tabs();
    await populate(tabs, cluster);
    const nodes = [...cluster.nodes];
    using live = new Samples(100, () => Promise.all(nodes.map(({ url }) => probe(url, '/health/live'))));
    using ready = new Samples(100, () => Promise.all(nodes.map(({ url }) => probe(url, '/health/ready'))));
    const ticks = tabs.all.map((tab) => new Ticks(tab));
    await Promise.all(nodes.map((node) => node.call('startTicks', ROOM, TICK_MS)));
    const senders = [0, 2, 4].map((index) => new Traffic(tabs.all[index]!.client, 'chat/traffic', TICK_MS));
    await nodes[0]!.call('revoke', { tokenId: 'stolen' });
    await eventually(() => ticks.forEach((each) => expect(each.own.length).toBeGreaterThan(3)));
    await eventually(() => expect(ready.last?.map(({ redis: state }) => state)).toEqual(['up', 'up', 'up']));
    // Somebody whose connection does not live through it.
    const leaver = await tabs.open(nodes[2]!, 'zz-leaver', ROOM);
    await eventually(() => tabs.all.forEach(({ story }) => expect(story.users).toContain('zz-leaver')));
    tabs.all.pop();
    await cluster.settled();
    const since = { diffs: tabs.all.map(({ story }) => story.diffs.length), changes: cluster.changes.length };

    const wentAt = performance.now();
    await outage.begin(redis);
    const over = observationWindow(OUTAGE_MS);
    const isDegraded = (answers: ProbeAnswer[]): boolean => answers.every(({ redis: state }) => state === 'degraded');
    const isUp = (answers: ProbeAnswer[]): boolean => answers.every(({ redis: state }) => state === 'up');
    const degraded = await eventually(() => {
      const sample = ready.first(wentAt, isDegraded);
      expect(sample).toBeDefined();
      return sample!;
    }, within(5_000));
    measured('all nodes say degraded', wentAt, 5_000);
    expect(degraded.atMs - wentAt).toBeLessThanOrEqual(within(5_000));
    leaver.client.socket.disconnect();
    // Who comes now is let in, and told that the room cannot be joined yet.
    await using newcomer = await connect(nodes[1]!, 'zz-newcomer');
    expect(await newcomer.ask('realtime:join', { room: ROOM })).toMatchObject({
      error: { code: 'UNAVAILABLE', retryable: true },
    });
    await over;
    expect(announced(tabs.all, cluster, since).filter((text) => !text.includes('zz-leaver'))).toEqual([]);
    // Nodes do not come back together: what the first ones find must not be told as truth about the last one.
    proxy.cut();
    await outage.end(redis);
    await observationWindow(STRAGGLE_MS);
    proxy.heal();
    const backAt = performance.now();

    await Promise.all([
      eventually(() => expect(ready.first(backAt, isUp)).toBeDefined(), within(5_000)).then(() =>
        measured('all nodes say up', backAt, 5_000),
      ),
      eventually(async () => {
        for (const node of nodes) expect((await node.call('list', ROOM)).map(({ id }) => id)).toEqual(users(tabs));
        for (const { story } of tabs.all) expect(story.users).toEqual(users(tabs));
        for (const user of [...users(tabs), 'zz-newcomer']) {
          expect([user, await nodes[2]!.call('isOnline', user)]).toEqual([user, { online: true }]);
        }
      }, WHOLE_WITHIN_MS).then(() => measured('presence right on all nodes', backAt, 10_000)),
      eventually(async () => {
        const text = randomBytes(6).toString('hex');
        expect(await tabs.all[0]!.client.ask('message.send', { room: ROOM, text })).not.toHaveProperty('error');
        for (const { client } of tabs.all) {
          await client.inbox.next(({ event, args }) => event === 'message' && isText(args[0], text), 1_000);
        }
      }, within(10_000)).then(() => measured('publications reach all nodes', backAt, 10_000)),
    ]);
    const late = await cluster.add();
    await expect(connect(late, 'thief', { jti: 'stolen' })).rejects.toMatchObject({ data: { code: 'REVOKED' } });
    await observationWindow(LATE_MS);
    // Whoever joins now is heard of after everything that was announced before.
    await PresenceStory.join(newcomer, ROOM);
    await eventually(() => tabs.all.forEach(({ story }) => expect(story.users).toContain('zz-newcomer')));
    await Promise.all(nodes.map((node) => node.call('stopTicks', ROOM)));
    for (const sender of senders) sender[Symbol.dispose]();
    await eventually(() => senders.forEach(({ sent, answers }) => expect(answers).toHaveLength(sent)));
    await cluster.settled();

    const told = announced(tabs.all, cluster, since);
    expect(told.filter((text) => !/zz-leaver|zz-newcomer/.test(text))).toEqual([]);
    for (const { story } of tabs.all) {
      expect([story.leaves('zz-leaver'), story.joins('zz-newcomer'), story.holes]).toEqual([1, 1, []]);
    }
    // `UNKNOWN`: what was on its way when Redis was killed has no id to be tried again with.
    expect(senders.flatMap(({ codes }) => codes)).toContain('UNAVAILABLE');
    expect(['UNAVAILABLE', 'UNKNOWN']).toEqual(expect.arrayContaining(senders.flatMap(({ codes }) => codes)));
    expect(tabs.all.map(({ client }) => client.socket.connected)).toEqual(tabs.all.map(() => true));
    for (const each of ticks) {
      expect(each.missing()).toEqual([]);
      // A tick, and what a busy machine may add; an outage that reached local delivery would add seconds.
      expect(each.longestPauseMs()).toBeLessThan(SCALE === 1 ? 1_000 : 2_000);
    }
    // One line for each change of state and connection, not one for each failure.
    for (const { log } of cluster.nodes) expect(log.trim().split('\n').length).toBeLessThanOrEqual(4);
    expect(live.all.filter(({ value }) => value.some(({ status }) => status !== 200))).toEqual([]);
    expect(ready.all.filter(({ value }) => value.some(({ status }) => status !== 200))).toEqual([]);
    expect(cluster.nodes.every(({ isRunning }) => isRunning)).toBe(true);
  });
});

function isText(data: unknown, text: string): boolean {
  return (data as { text?: unknown } | undefined)?.text === text;
}
