import { randomBytes } from 'node:crypto';
import { bootCluster, type ClusterNode } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { RawClient } from '../../support/raw-client.js';
import { startMonitor } from '../../support/redis-monitor.js';
import { startRedis, type TestRedisClient } from '../../support/redis.js';
import { IS_FULL, itAtOnce, promisedAtFullLength } from '../../support/scale.js';
import { mintToken } from '../../support/tokens.js';
import { Crowd } from './crowd.js';
import { commandsOf, familyOf, roomOf } from './commands-seen.js';

const PUBLICATIONS = 100;
const PADDING = 'x'.repeat(4_000);
const IDLE_USERS = IS_FULL ? 2_000 : 300;
const IDLE_ROOMS = 20;
/** So that accepting thousands is no storm of its own. */
const AT_ONCE = 50;
/** Of the position check (docs/guides/deployment.md). */
const CHECK_EVERY_MS = 40_000;
/** Each node's looks for dead ones, one every 2 s, in which the idle cluster is watched: the nodes' own clock. */
const LOOKS = IS_FULL ? 40 : 5;

async function outputBytes(redis: TestRedisClient): Promise<number> {
  return Number(/total_net_output_bytes:(\d+)/.exec(await redis.info('stats'))?.[1]);
}

/** Calls of a command since the server began, those of scripts too. */
async function calls(redis: TestRedisClient, command: string): Promise<number> {
  const stats = await redis.info('commandstats');
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

async function idle({ url }: ClusterNode, user: number): Promise<RawClient> {
  const client = await RawClient.connected(url, '/chat', { token: mintToken(`idle-${user}`) });
  const room = `${user % 4 < 2 ? 'exact' : 'chat'}/idle-${user % IDLE_ROOMS}`;
  expect(await client.ask('/chat', JSON.stringify(['realtime:join', { room }]))).toMatchObject({ room });
  return client;
}

describe('when a cluster is used', () => {
  itAtOnce('costs messages of publications on the nodes that have members, and on no other', async () => {
    await using redis = await startRedis();
    const client = await redis.client();
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    await using cluster = await bootCluster(4, { redisUrl: redis.url, keyPrefix });
    using crowd = new Crowd();

    /** Bytes that Redis sends for each byte published, members being on these nodes. */
    async function costOf(room: string, nodes: readonly ClusterNode[]): Promise<number> {
      const members = nodes.map(({ id, url }) =>
        crowd.add({ user: `${id} in ${room}`, rooms: [room], url: () => url, random: Math.random }),
      );
      await eventually(() => members.forEach((member) => expect(member.position(room)).toBeDefined()));
      const channel = `${keyPrefix}{${room}}:ch`;
      expect(await client.pubSubNumSub([channel])).toEqual({ [channel]: nodes.length });
      const before = { bytes: await outputBytes(client), appended: await calls(client, 'xadd') };
      for (let n = 0; n < PUBLICATIONS; n += 1) {
        await cluster.nodes[n % 4]!.call('publish', room, 'message', { name: String(n), padding: PADDING });
      }
      await eventually(() => members.forEach((one) => expect(one.position(room)?.offset).toBe(PUBLICATIONS)));
      expect(await calls(client, 'xadd')).toBe(before.appended + PUBLICATIONS);
      return ((await outputBytes(client)) - before.bytes) / (PUBLICATIONS * PADDING.length);
    }

    const onOne = await costOf('exact/on-one', cluster.nodes.slice(1, 2));
    const onAll = await costOf('exact/on-all', cluster.nodes);
    expect(onOne).toBeGreaterThan(1);
    expect(onOne).toBeLessThan(1.5);
    expect(onAll).toBeGreaterThan(4);
    expect(onAll).toBeLessThan(4.5);
  });

  itAtOnce(
    'asks Redis, of idle users, for leases, probes and the positions of hosted rooms, and for nothing else',
    async () => {
      await using redis = await startRedis();
      const keyPrefix = `${randomBytes(6).toString('hex')}:`;
      await using cluster = await bootCluster(2, { redisUrl: redis.url, keyPrefix });
      const clients: RawClient[] = [];
      try {
        for (let from = 0; from < IDLE_USERS; from += AT_ONCE) {
          const users = Array.from({ length: Math.min(AT_ONCE, IDLE_USERS - from) }, (_, index) => from + index);
          clients.push(...(await Promise.all(users.map((user) => idle(cluster.nodes[user % 2]!, user)))));
        }
        using monitor = await startMonitor(redis.port);
        const startedAt = performance.now();
        const commands = await eventually(
          () => {
            const seen = commandsOf(monitor);
            const looks = new Map<string, number>();
            for (const one of seen) {
              if (familyOf(one) === 'lease') looks.set(one.from, (looks.get(one.from) ?? 0) + 1);
            }
            expect([...looks.values()].filter((count) => count >= LOOKS)).toHaveLength(cluster.nodes.length);
            return seen;
          },
          promisedAtFullLength(2_500 * LOOKS, 'docs/guides/deployment.md: one look every 2 s'),
        );
        const checks = Math.ceil((performance.now() - startedAt) / CHECK_EVERY_MS);

        expect([...new Set(commands.map(familyOf))].sort()).toEqual(
          checks > 1 ? ['lease', 'probe', 'room'] : expect.arrayContaining(['lease', 'probe']),
        );
        expect(commands.map(familyOf).filter((family) => !['lease', 'probe', 'room'].includes(family))).toEqual([]);
        // Of each connection of a node, each room, and each kind of read (its log, its presence).
        const reads = new Map<string, number>();
        for (const command of commands) {
          if (familyOf(command) !== 'room') continue;
          const kind = `${command.from} ${roomOf(command)} ${command.args[0]}`;
          reads.set(kind, (reads.get(kind) ?? 0) + 1);
        }
        expect([...reads].filter(([, count]) => count > checks)).toEqual([]);
        if (IS_FULL) console.info(`${commands.length} commands in 80 s, ${reads.size} reads of ${IDLE_USERS} users`);
      } finally {
        await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
      }
    },
  );
});
