import { RedisConnection, type RedisOptions } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { startSentinel, type TestSentinels } from '../support/redis-sentinel.js';
import type { TestRedis } from '../support/redis.js';
import { TIMES, delivers, deliversAtLast, startBusNode, until, untilDown, watchUnhandled } from './bus-nodes.js';

watchUnhandled();

const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

const optionsOf = (world: TestSentinels): RedisOptions => ({ sentinel: world.address });

/** Where our subscriptions are, by the servers' own account. */
async function subscribedOn(servers: readonly TestRedis[]): Promise<number[]> {
  const counts = servers.map(async (server) => {
    const client = await server.client();
    return (await client.sendCommand<string[]>(['PUBSUB', 'CHANNELS', 'rt:{#nodes}:probe:*'])).length;
  });
  return Promise.all(counts);
}

/** Both nodes at the master, whichever it is by now, and nobody at another server that answers. */
async function subscribedAt(world: TestSentinels, lost?: TestRedis): Promise<void> {
  const master = await world.master();
  const others = world.servers.filter((server) => server !== master && server !== lost);
  expect(await subscribedOn([master])).toEqual([2]);
  expect(await subscribedOn(others)).toEqual(others.map(() => 0));
}

// At the same time, each on servers of its own: most of each is a vote.
describe('when Redis is behind Sentinel', () => {
  it.concurrent.each(['killed', 'hung'] as const)(
    'moves publishers and subscribers from a master that is %s to the same new one, soon after the sentinels have',
    async (how) => {
      await using world = await startSentinel({ replicas: 2, sentinels: 3, downAfterMs: 1_000 });
      // A hung master is given up before it is replaced.
      const options = { ...optionsOf(world), probeTimeoutMs: 2_000 };
      await using a = await startBusNode(options);
      await using b = await startBusNode(options);
      await deliversAtLast(a, b, 'before');
      const received: string[] = [];
      await b.bus.subscribe('kept', (payload) => received.push(payload));
      await world.synced();

      const old = await world.master();
      for (const node of [a, b]) node.forget();
      if (how === 'killed') await old.stop();
      else old.pause();
      await Promise.all([untilDown(a), untilDown(b)]);
      await world.promoted(old);
      await Promise.all([until(a, 'up'), until(b, 'up')]);
      await eventually(() => subscribedAt(world, old));
      await eventually(async () => {
        await a.bus.publish('kept', 'after');
        expect(received).toContain('after');
      });

      // The old one comes back as a master that nobody follows, until the sentinels have told it.
      if (how === 'killed') await old.restart();
      else old.resume();
      await eventually(async () => {
        const [role] = await (await old.client()).sendCommand<[string]>(['ROLE']);
        expect(role).toBe('slave');
      });
      await deliversAtLast(a, b, 'at last');
      await deliversAtLast(b, a, 'at last');
      await eventually(() => subscribedAt(world));
    },
  );

  it.concurrent(
    'follows when the sentinels change the master without a fault, and says nothing that frightens',
    async () => {
      await using world = await startSentinel({ replicas: 1 });
      await using a = await startBusNode(optionsOf(world));
      await a.connection.command('SET', 'k', 'v');
      await world.failover();
      await eventually(async () => {
        await a.connection.command('SET', 'k', 'w');
        expect(a.bus.state).toBe('up');
        expect(await subscribedOn([await world.master()])).toEqual([1]);
      });
      expect(a.lines.filter((line) => /undefined|Error:/.test(line))).toEqual([]);
    },
  );

  it.concurrent('needs no sentinel while the master is there, and one of them to find it', async () => {
    await using world = await startSentinel({ replicas: 1, sentinels: 3 });
    const [first, second] = world.sentinels;
    await first?.kill();
    await second?.kill();
    await using node = await startBusNode(optionsOf(world));
    await delivers(node, node, 'one is enough');
    await world.sentinels[2]?.kill();
    await delivers(node, node, 'none is needed');
    const late = new RedisConnection(
      { ...TIMES, ...optionsOf(world), required: true, connectTimeoutMs: 500 },
      { logger: quiet },
    );
    await expect(late.ready()).rejects.toThrow(/Redis is not reachable at Sentinel main at .*within 500 ms/);
  });

  it.concurrent('uses the password of the sentinels for them alone, and names no secret when it is wrong', async () => {
    await using world = await startSentinel({ replicas: 1, sentinels: 1, password: 's3cret' });
    const sentinel = { ...world.address, password: 's3cret' };
    await using node = await startBusNode({ sentinel });
    await delivers(node, node, 'c');
    const lines: string[] = [];
    const push = (line: string): void => void lines.push(line);
    const refused = new RedisConnection(
      { ...TIMES, sentinel: { ...sentinel, password: 'wr0ng' }, required: true, connectTimeoutMs: 2_000 },
      { logger: { log: push, warn: push, error: push } },
    );
    await expect(refused.ready()).rejects.toThrow(/not reachable at Sentinel main/);
    expect(lines.join()).not.toMatch(/wr0ng|s3cret/);
  });

  it.concurrent('says which name the sentinels do not know', async () => {
    await using world = await startSentinel({ replicas: 1, sentinels: 1 });
    const sentinel = { ...world.address, name: 'other' };
    // At the end of its time it says the last cause that it knows of, if there was one by then.
    await eventually(async () => {
      const connection = new RedisConnection(
        { ...TIMES, sentinel, required: true, connectTimeoutMs: 2_000 },
        { logger: quiet },
      );
      await expect(connection.ready()).rejects.toThrow(/no master 'other'|master 'other'/);
    });
  });
});
