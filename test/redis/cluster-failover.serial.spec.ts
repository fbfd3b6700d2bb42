import { RedisConnection, type RedisOptions } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { startRedisCluster, type TestRedisCluster } from '../support/redis-cluster.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import {
  TIMES,
  delivers,
  deliversAtLast,
  startBusNode,
  until,
  untilDown,
  watchUnhandled,
  type BusNode,
} from './bus-nodes.js';

watchUnhandled();

const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

const optionsOf = (cluster: TestRedisCluster): RedisOptions => ({ cluster: { nodes: cluster.nodes } });

/** A key on each master, in the order of `masters`. */
async function keysOf(cluster: TestRedisCluster): Promise<string[]> {
  return Promise.all(
    cluster.masters.map(async (master) => {
      for (let nth = 0; ; nth += 1) if ((await cluster.ownerOf(`key${nth}`)) === master) return `key${nth}`;
    }),
  );
}

/** On which masters anybody subscribes to plain channels. */
async function subscribedOn(cluster: TestRedisCluster): Promise<TestRedis[]> {
  const on: TestRedis[] = [];
  for (const master of cluster.masters) {
    const client = await master.client();
    const channels = await client.sendCommand<string[]>(['PUBSUB', 'CHANNELS', 'rt:{#nodes}:probe:*']);
    if (channels.length > 0) on.push(master);
  }
  return on;
}

/** Longer than a machine stands still: nobody but the victim is voted down, or given up. */
const NODE_TIMEOUT_MS = 5_000;
const HUNG = { probeTimeoutMs: 8_000 };

// At the same time, each on a cluster of its own: most of each is a vote.
describe('when a Redis Cluster is not what it was', () => {
  it.concurrent.each(['killed', 'hung'] as const)(
    'goes on with the other slots when a master is %s, holds commands until a replica is promoted, and hears everybody again',
    async (how) => {
      await using cluster = await startRedisCluster({ masters: 3, replicas: 1, nodeTimeoutMs: NODE_TIMEOUT_MS });
      await using a = await startBusNode({ ...optionsOf(cluster), ...HUNG });
      await using b = await startBusNode({ ...optionsOf(cluster), ...HUNG });
      const [lost = '', other = ''] = await keysOf(cluster);
      await deliversAtLast(a, b, 'before');
      // What a replica has not got yet dies with its master.
      for (const [index, key] of [lost, other].entries()) {
        const client = await (cluster.masters[index] as TestRedis).client();
        await client.sendCommand(['RPUSH', key, '0']);
        expect(await client.sendCommand(['WAIT', '1', '0'])).toBe(1);
      }

      const [victim] = cluster.masters as [TestRedis];
      for (const node of [a, b]) node.forget();
      if (how === 'killed') await victim.stop();
      else victim.pause();
      await Promise.all([untilDown(a), untilDown(b)]);
      // Held, if the connection is known to be broken; else sent into the silence, with an end that nobody knows. Never both.
      const calls = ['1', '2', '3'].map((n) => a.connection.command('RPUSH', lost, n));
      const ends = (await Promise.allSettled(calls)).map(({ status }) => status);
      expect(new Set(ends).size).toBe(1);
      await expect(a.connection.command('RPUSH', lost, 'after')).resolves.toBeGreaterThan(0);
      await expect(a.connection.command('RPUSH', other, '1')).resolves.toBe(2);
      const list = (await a.connection.command('LRANGE', lost, '0', '-1')) as string[];
      expect(list).toEqual(ends[0] === 'fulfilled' ? ['0', '1', '2', '3', 'after'] : ['0', 'after']);

      await Promise.all([until(a, 'up'), until(b, 'up')]);
      await deliversAtLast(a, b, 'after');
      await deliversAtLast(b, a, 'after');
      if (how === 'hung') victim.resume();
      await deliversAtLast(a, b, 'at last');
    },
  );

  it.concurrent(
    'lets nodes start while a master hangs, which find who is promoted though nobody has a command',
    async () => {
      await using cluster = await startRedisCluster({ masters: 3, replicas: 1, nodeTimeoutMs: NODE_TIMEOUT_MS });
      const [victim] = cluster.masters as [TestRedis];
      victim.pause();
      // Several, because who listens on the hung master notices by that.
      const nodes = await Promise.all([1, 2, 3, 4].map(() => startBusNode({ ...optionsOf(cluster), ...HUNG })));
      const [a, b] = nodes as [BusNode, BusNode];
      await deliversAtLast(a, b, 'channel');
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  );

  it.concurrent(
    'says that a master is away and nobody takes over, refuses its keys at the deadline as certainly not written, and comes back with it',
    async () => {
      await using cluster = await startRedisCluster({
        masters: 3,
        args: ['--cluster-require-full-coverage', 'no'],
      });
      const [gone = '', there = ''] = await keysOf(cluster);
      await using node = await startBusNode({ ...optionsOf(cluster), commandTimeoutMs: 2_000 });
      const [victim] = cluster.masters as [TestRedis];
      await victim.stop();
      await untilDown(node);
      await eventually(() => expect(node.lines.join()).toContain('not reachable'));
      // A try may be on its way at the very deadline, and then says so: another one is held.
      await eventually(async () => {
        const refused = node.connection.command('SET', gone, 'x');
        await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', maybeWritten: false });
      });
      await eventually(async () => expect(await node.connection.command('SET', there, 'x')).toBe('OK'));
      // A node that boots now runs degraded, with what there is.
      const late = new RedisConnection({ ...TIMES, ...optionsOf(cluster) }, { logger: quiet });
      await late.ready();
      await expect(late.command('SET', there, 'y')).resolves.toBe('OK');
      await late.close();
      await victim.restart();
      await until(node, 'up');
      await eventually(() => node.connection.command('SET', gone, 'x'));
      expect(node.lines.filter((line) => !line.startsWith('no echo'))).toEqual([
        expect.stringMatching(
          new RegExp(`Redis is not reachable at cluster at .*127.0.0.1:${victim.port}: .*degraded`),
        ),
        expect.stringContaining('Redis is back'),
      ]);
    },
  );

  it.concurrent(
    'notices by the probe of a master that the cluster bus carries its messages no more, and listens elsewhere',
    async () => {
      await using cluster = await startRedisCluster({ masters: 3 });
      // Real seconds: a clock that leaps would outrun the echoes of the others.
      await using node = await startBusNode({ ...optionsOf(cluster), probeTimeoutMs: 4_000 });
      const [ear] = (await subscribedOn(cluster)) as [TestRedis];
      const deaf = cluster.masters.find((master) => master !== ear) as TestRedis;
      const id = await (await ear.client()).sendCommand<string>(['CLUSTER', 'MYID']);
      // For a minute it has no link to where we listen, as if a firewall stood between them; clients see nothing of it.
      await (await deaf.client()).sendCommand(['CLUSTER', 'FORGET', id]);
      node.forget();
      await untilDown(node);
      await until(node, 'up');
      await eventually(async () => expect(await subscribedOn(cluster)).not.toEqual([ear]));
      await delivers(node, node, 'again');
    },
  );

  it.concurrent(
    'says that a node of a cluster wants redis.cluster, and what is no cluster is not reached as one',
    async () => {
      await using cluster = await startRedisCluster({ masters: 3 });
      const lines: string[] = [];
      const logger = { ...quiet, warn: (line: string) => void lines.push(line) };
      const [any] = cluster.masters as [TestRedis];
      const connection = new RedisConnection({ url: any.url }, { logger });
      await connection.ready();
      await eventually(() => expect(lines).toEqual([expect.stringContaining('redis.cluster')]));
      await connection.close();

      await using single = await startRedis();
      const nodes = [{ host: '127.0.0.1', port: single.port }];
      const required = new RedisConnection({ cluster: { nodes }, required: true, connectTimeoutMs: 200 }, { logger });
      await expect(required.ready()).rejects.toThrow(/cluster/);
    },
  );
});
