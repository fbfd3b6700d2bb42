import { randomBytes } from 'node:crypto';
import { LEAVE_GRACE_MS, bootCluster, type Cluster, type ClusterNode } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';
import { Tabs, type Tab } from './tabs.js';

const LIMIT = 5;

describe('when three processes share one Redis', () => {
  let redis: TestRedis;
  let cluster: Cluster;
  let nodes: ClusterNode[];

  beforeAll(async () => {
    redis = await startRedis();
    cluster = await bootCluster(3, {
      redisUrl: redis.url,
      keyPrefix: `${randomBytes(6).toString('hex')}:`,
      options: { presence: { leaveGraceMs: LEAVE_GRACE_MS }, limits: { transportsPerUser: { max: LIMIT } } },
    });
    nodes = [...cluster.nodes];
  });

  afterAll(async () => {
    try {
      await cluster[Symbol.asyncDispose]();
    } finally {
      await redis[Symbol.asyncDispose]();
    }
  });

  it('delivers what is sent on one to the others, once and in order', async () => {
    await using tabs = new Tabs();
    for (const [index, node] of nodes.entries()) await tabs.open(node, `reader-${index}`, 'chat/messages');
    const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`);
    for (const text of texts) await tabs.all[0]!.client.ask('message.send', { room: 'chat/messages', text });
    for (const { client } of tabs.all) {
      for (const text of texts) {
        const { args } = await client.inbox.next('message');
        expect(args[0]).toEqual({ from: 'reader-0', text });
      }
      expect(client.inbox.unread.filter(({ event }) => event === 'message')).toEqual([]);
    }
  });

  it('lists the connected users on every node, and tells every client the same', async () => {
    await using tabs = new Tabs();
    const users = Array.from({ length: 9 }, (_, index) => `user-${index}`);
    await Promise.all(users.map((user, index) => tabs.open(nodes[index % 3]!, user, 'chat/lists')));
    for (const node of nodes) {
      expect((await node.call('list', 'chat/lists')).map(({ id }) => id)).toEqual(users);
    }
    await eventually(() => tabs.all.forEach(({ story }) => expect(story.users).toEqual(users)));
    expect(tabs.all.flatMap(({ story }) => story.holes)).toEqual([]);
  });

  it('shows a user with two tabs on two nodes once, and says once that it left', async () => {
    await using tabs = new Tabs();
    const watchers: Tab[] = [];
    for (const [index, node] of nodes.entries()) watchers.push(await tabs.open(node, `watcher-${index}`, 'chat/tabs'));
    const first = await tabs.open(nodes[0]!, 'ada', 'chat/tabs');
    const second = await tabs.open(nodes[1]!, 'ada', 'chat/tabs');
    await eventually(() => watchers.forEach(({ story }) => expect(story.devicesOf('ada')).toBe(2)));
    for (const node of nodes) {
      expect((await node.call('list', 'chat/tabs')).filter(({ id }) => id === 'ada')).toHaveLength(1);
    }
    first.client.socket.disconnect();
    await eventually(() => watchers.forEach(({ story }) => expect(story.devicesOf('ada')).toBe(1)));
    second.client.socket.disconnect();
    await eventually(() => watchers.forEach(({ story }) => expect(story.users).not.toContain('ada')));

    await tabs.open(nodes[2]!, 'fence', 'chat/tabs');
    await eventually(() => watchers.forEach(({ story }) => expect(story.users).toContain('fence')));
    await cluster.settled();
    for (const { story } of watchers) {
      expect([story.joins('ada'), story.leaves('ada')]).toEqual([1, 1]);
      expect(story.holes).toEqual([]);
    }
    const told = cluster.changes.filter(({ room, userId }) => room === 'chat/tabs' && userId === 'ada');
    expect(told.map(({ type }) => type).filter((type) => type === 'join' || type === 'leave')).toEqual([
      'join',
      'leave',
    ]);
  });

  it(`admits exactly ${LIMIT} of 100 connections that one user opens at once on two nodes`, async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) =>
        connectedClient(`${nodes[index % 2]!.url}/chat`, { auth: { token: mintToken('greedy') } }),
      ),
    );
    const admitted = outcomes.flatMap((outcome): StockClient[] =>
      outcome.status === 'fulfilled' ? [outcome.value] : [],
    );
    const refusals = outcomes.flatMap((outcome): unknown[] => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(admitted).toHaveLength(LIMIT);
    expect(new Set(refusals.map((refusal) => (refusal as { data?: { code?: string } }).data?.code))).toEqual(
      new Set(['LIMIT_EXCEEDED']),
    );
    for (const { socket } of admitted) socket.disconnect();
    await eventually(async () => expect(await nodes[0]!.call('isOnline', 'greedy')).toMatchObject({ online: false }));
  });
});
