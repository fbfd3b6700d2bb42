import {
  ClusterRequests,
  CommandFollower,
  NodeRegistry,
  RedisBus,
  RedisCommandLog,
  RedisConnection,
  RedisNodeLeases,
  randomId,
  systemClock,
  type ClusterCommand,
  type Incarnation,
  type NodeId,
} from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { startRedis } from '../support/redis.js';
import { startTcpProxy } from '../support/tcp-proxy.js';

/** A tenth of the defaults: a lease of 15 s is one of 1.5 s here. */
const REDIS = { probeIntervalMs: 200, probeTimeoutMs: 400, commandTimeoutMs: 500, connectTimeoutMs: 500 };
const LEASE = { leaseMs: 1_500, renewMs: 500, watchMs: 200, sweepAgainMs: 1_000 };
const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

interface Node extends AsyncDisposable {
  id: NodeId;
  bus: RedisBus;
  log: RedisCommandLog;
  registry: NodeRegistry;
  follower: CommandFollower;
  requests: ClusterRequests;
  lapsed: Incarnation[];
  applied: ClusterCommand[];
  active: ClusterCommand[];
  /** As SIGKILL: nothing is released. */
  kill(): Promise<void>;
}

async function startNode(url: string): Promise<Node> {
  const id = randomId<NodeId>();
  const [lapsed, applied, active]: [Incarnation[], ClusterCommand[], ClusterCommand[]] = [[], [], []];
  const connection = new RedisConnection({ url, ...REDIS }, { logger: quiet });
  const bus = new RedisBus(connection);
  const log = new RedisCommandLog(connection, { revokeTtlMs: 60_000 });
  const follower = new CommandFollower({
    log,
    bus,
    clock: systemClock,
    apply: (command) => void applied.push(command),
    activeRevocations: () => active,
    onError: () => undefined,
    retryMs: 100,
  });
  const registry = new NodeRegistry({
    ...LEASE,
    leases: new RedisNodeLeases(connection),
    clock: systemClock,
    nodeId: id,
    onLapsed: (incarnation) => Promise.resolve(void lapsed.push(incarnation)),
    onCommandsTop: (top) => follower.onTop(top),
  });
  const requests = new ClusterRequests({
    bus,
    clock: systemClock,
    nodeId: id,
    nodes: registry,
    onError: () => undefined,
  });
  requests.handle('echo', (payload) => payload);
  bus.onState((state) => state === 'up' && void registry.refresh());
  await bus.ready();
  await Promise.all([follower.ready(), registry.start(), requests.ready()]);
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await bus.close();
    await connection.close();
    await follower.close();
    await registry.close();
  };
  return {
    id,
    bus,
    log,
    registry,
    follower,
    requests,
    lapsed,
    applied,
    active,
    kill: stop,
    [Symbol.asyncDispose]: stop,
  };
}

const idsOf = (nodes: readonly { nodeId: NodeId }[]): NodeId[] => nodes.map(({ nodeId }) => nodeId).sort();

describe('when a node is killed', () => {
  it('is swept by a survivor within a lease and a few looks, and no longer asked', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis.url);
    await using b = await startNode(redis.url);
    await using c = await startNode(redis.url);
    expect(idsOf(await a.registry.alive())).toEqual([a.id, b.id, c.id].sort());
    // One whole lease passes before anybody may judge: c dies when a and b are old enough.
    const oldEnoughAt = performance.now() + LEASE.leaseMs;
    await eventually(() => expect(performance.now()).toBeGreaterThan(oldEnoughAt));
    const dead = c.registry.current();
    const killedAt = performance.now();
    await c.kill();

    const asked = await a.requests.request('echo', 'hi', { deadlineMs: 200 });
    expect(asked.missing).toEqual([c.id]);
    await eventually(() => expect([...a.lapsed, ...b.lapsed]).toContain(dead));
    expect(performance.now() - killedAt).toBeLessThan(LEASE.leaseMs + 5 * LEASE.watchMs);
    await eventually(async () => expect(idsOf(await a.registry.alive())).toEqual([a.id, b.id].sort()));
    const { answers, missing } = await a.requests.request('echo', 'hi');
    expect(idsOf(answers)).toEqual([a.id, b.id].sort());
    expect(missing).toEqual([]);
  });
});

describe.each(['killed and restarted empty', 'stopped and continued'] as const)('when Redis is %s', (how) => {
  it('announces nobody as gone, and everybody is back under a lease', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis.url);
    await using b = await startNode(redis.url);
    const before = [a, b].map(({ registry }) => registry.current());
    const wentAt = performance.now();
    if (how === 'stopped and continued') redis.pause();
    else await redis.stop();
    await eventually(() => expect([a.bus.state, b.bus.state]).toEqual(['down', 'down']));
    await eventually(() => expect(performance.now() - wentAt).toBeGreaterThan(LEASE.leaseMs * 1.5));
    if (how === 'stopped and continued') redis.resume();
    else await redis.restart();
    await eventually(() => expect([a.bus.state, b.bus.state]).toEqual(['up', 'up']));
    await eventually(() => expect([a.registry.isHeld, b.registry.isHeld]).toEqual([true, true]));

    const now = [a, b].map(({ registry }) => registry.current());
    expect(now).not.toContain(before[0]);
    expect(now).not.toContain(before[1]);
    await eventually(async () => expect(await a.registry.alive()).toHaveLength(2));
    for (const { lapsed } of [a, b]) for (const incarnation of now) expect(lapsed).not.toContain(incarnation);
  });
});

describe('when commands are given', () => {
  const revoke = (userId: string): ClusterCommand => ({ kind: 'revoke', userId, at: 1 });

  it('reaches every node at once, and a node that was cut off when it is back', async () => {
    await using redis = await startRedis();
    await using proxy = await startTcpProxy({ port: redis.port });
    await using a = await startNode(redis.url);
    await using b = await startNode(`redis://127.0.0.1:${proxy.port}`);
    await a.follower.whenApplied(await a.log.append(revoke('one')));
    await eventually(() => expect(b.applied).toEqual([revoke('one')]), 1_000);
    proxy.stall();
    await a.log.append(revoke('two'));
    await eventually(() => expect(b.bus.state).toBe('down'));
    expect(b.applied).toEqual([revoke('one')]);
    proxy.heal();
    await eventually(() => expect(b.applied).toEqual([revoke('one'), revoke('two')]));
    expect(a.applied).toEqual([revoke('one'), revoke('two')]);
  });

  it('is in force on a node that starts later, and again in a Redis that lost everything', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis.url);
    await a.log.append(revoke('one'));
    a.active.push(revoke('one'));
    await using b = await startNode(redis.url);
    expect(b.applied).toEqual([revoke('one')]);
    b.active.push(revoke('one'));

    await redis.restart();
    await eventually(async () => {
      const { commands } = await a.log.read();
      expect(commands.map(({ command }) => command)).toContainEqual(revoke('one'));
    });
    await using late = await startNode(redis.url);
    expect(late.applied).toContainEqual(revoke('one'));
  });
});
