import {
  ClusterRequests,
  CommandFollower,
  ManualClock,
  NodeRegistry,
  RedisBus,
  RedisCommandLog,
  RedisConnection,
  RedisNodeLeases,
  randomId,
  type ClusterCommand,
  type Incarnation,
  type NodeId,
} from '../support/engines.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { LeapingClock } from '../support/leaping-clock.js';
import { startRedis } from '../support/redis.js';
import { startTcpProxy } from '../support/tcp-proxy.js';

/** Longer than any machine stands still: a test leaps over them. */
const REDIS = {
  probeIntervalMs: 20_000,
  probeTimeoutMs: GENEROUS_MS,
  commandTimeoutMs: GENEROUS_MS,
  connectTimeoutMs: GENEROUS_MS,
};
/** By Redis' clock no lease runs out by itself in a test; the nodes' own clocks stand still until they look. */
const LEASE = { leaseMs: 150_000, renewMs: 50_000, watchMs: 20_000, sweepAgainMs: 100_000 };
const REQUEST_MS = GENEROUS_MS;
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
  /** Questions that this node has heard. */
  heard: unknown[];
  /** Of its connections to Redis. */
  redisClock: LeapingClock;
  /** Of its lease, its looks at the others and its questions. */
  clock: ManualClock;
  /** One interval passes, and the look that it brings is over. */
  look(): Promise<void>;
  /** Its lease runs out now, by Redis' clock. */
  lapse(): Promise<void>;
  /** As SIGKILL: nothing is released. */
  kill(): Promise<void>;
}

async function startNode(url: string): Promise<Node> {
  const id = randomId<NodeId>();
  const [lapsed, applied, active]: [Incarnation[], ClusterCommand[], ClusterCommand[]] = [[], [], []];
  const heard: unknown[] = [];
  const redisClock = new LeapingClock();
  const clock = new ManualClock();
  let looks = 0;
  const connection = new RedisConnection({ url, ...REDIS }, { logger: quiet, clock: redisClock });
  const bus = new RedisBus(connection);
  const log = new RedisCommandLog(connection, { revokeTtlMs: 60_000 });
  const follower = new CommandFollower({
    log,
    bus,
    clock: redisClock,
    apply: (command) => void applied.push(command),
    activeRevocations: () => active,
    onError: () => undefined,
    retryMs: 100,
  });
  const leases = new RedisNodeLeases(connection);
  const registry = new NodeRegistry({
    ...LEASE,
    leases,
    clock,
    nodeId: id,
    onLapsed: (incarnation) => Promise.resolve(void lapsed.push(incarnation)),
    onCommandsTop: (top) => {
      looks += 1;
      follower.onTop(top);
    },
  });
  const requests = new ClusterRequests({
    bus,
    clock,
    nodeId: id,
    nodes: registry,
    timeoutMs: REQUEST_MS,
    onError: () => undefined,
  });
  requests.handle('echo', (payload) => {
    heard.push(payload);
    return payload;
  });
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
    redisClock[Symbol.dispose]();
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
    heard,
    redisClock,
    clock,
    look: async () => {
      const before = looks;
      clock.advance(LEASE.watchMs);
      await eventually(() => expect(looks).toBeGreaterThan(before));
    },
    lapse: () => leases.release(registry.current(), 0),
    kill: stop,
    [Symbol.asyncDispose]: stop,
  };
}

const idsOf = (nodes: readonly { nodeId: NodeId }[]): NodeId[] => nodes.map(({ nodeId }) => nodeId).sort();

/** A whole lease passes with unbroken contact to Redis: from then on a node may judge others. */
async function growOld(...nodes: readonly Node[]): Promise<void> {
  for (let passedMs = 0; passedMs < LEASE.leaseMs; passedMs += LEASE.watchMs) {
    for (const node of nodes) await node.look();
  }
}

/** What `from` has published so far was heard by `to`: one server tells it all in one order. */
async function fence(from: Node, to: Node): Promise<void> {
  let hasHeard = false;
  await to.bus.subscribe('fence', () => (hasHeard = true));
  await from.bus.publish('fence', '');
  await eventually(() => expect(hasHeard).toBe(true));
}

describe('when a node is killed', () => {
  it('is swept by the first look of a survivor after its lease, and no longer asked', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis.url);
    await using b = await startNode(redis.url);
    await using c = await startNode(redis.url);
    expect(idsOf(await a.registry.alive())).toEqual([a.id, b.id, c.id].sort());
    await growOld(a, b);
    const dead = c.registry.current();
    const witness = new RedisConnection({ url: redis.url, ...REDIS }, { logger: quiet });
    await c.kill();

    const asking = a.requests.request('echo', 'hi');
    await eventually(() => expect(b.heard).toEqual(['hi']));
    await fence(b, a);
    a.clock.advance(REQUEST_MS - 1);
    let isOver = false;
    void asking.then(() => (isOver = true));
    await fence(b, a);
    expect(isOver).toBe(false);
    a.clock.advance(1);
    const asked = await asking;
    expect(idsOf(asked.answers)).toEqual([a.id, b.id].sort());
    expect(asked.missing).toEqual([c.id]);

    // The question has taken so long that they have to grow old again. As long as the lease lasts nobody is swept.
    await growOld(a, b);
    expect([...a.lapsed, ...b.lapsed]).toEqual([]);
    await new RedisNodeLeases(witness).release(dead, 0);
    await a.look();
    await eventually(() => expect(a.lapsed).toEqual([dead]));
    await eventually(async () => expect(idsOf(await a.registry.alive())).toEqual([a.id, b.id].sort()));
    const { answers, missing } = await a.requests.request('echo', 'again');
    expect(idsOf(answers)).toEqual([a.id, b.id].sort());
    expect(missing).toEqual([]);
    await witness.close();
  });
});

describe.each(['killed and restarted empty', 'stopped and continued'] as const)('when Redis is %s', (how) => {
  it('announces nobody as gone, and everybody is back under a lease', async () => {
    await using redis = await startRedis();
    await using a = await startNode(redis.url);
    await using b = await startNode(redis.url);
    await growOld(a, b);
    const before = [a, b].map(({ registry }) => registry.current());
    // The outage is longer than their leases.
    for (const node of [a, b]) await node.lapse();
    if (how === 'stopped and continued') redis.pause();
    else await redis.stop();
    for (const { clock, redisClock } of [a, b]) {
      redisClock.leap(REDIS.probeTimeoutMs);
      clock.advance(LEASE.leaseMs * 1.5);
      redisClock.leap(REDIS.commandTimeoutMs);
    }
    await eventually(() => expect([a.bus.state, b.bus.state]).toEqual(['down', 'down']));
    expect([a.registry.isHeld, b.registry.isHeld]).toEqual([false, false]);
    if (how === 'stopped and continued') redis.resume();
    else await redis.restart();
    await eventually(() => expect([a.bus.state, b.bus.state]).toEqual(['up', 'up']));
    await eventually(() => expect([a.registry.isHeld, b.registry.isHeld]).toEqual([true, true]));

    const now = [a, b].map(({ registry }) => registry.current());
    expect(now).not.toContain(before[0]);
    expect(now).not.toContain(before[1]);
    // One that was given up meanwhile keeps its lease until that runs out.
    await eventually(async () => {
      const alive = await a.registry.alive();
      expect(new Set(idsOf(alive))).toEqual(new Set([a.id, b.id]));
      expect(alive.map(({ incarnation }) => incarnation)).toEqual(expect.arrayContaining(now));
    });
    // Their contact is young: they may not even judge who they were before.
    for (const node of [a, b]) await node.look();
    expect([...a.lapsed, ...b.lapsed]).toEqual([]);
    await growOld(a, b);
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
    // Nobody looks: the bus alone has told it.
    await eventually(() => expect(b.applied).toEqual([revoke('one')]));
    proxy.stall();
    await a.log.append(revoke('two'));
    b.redisClock.leap(REDIS.probeTimeoutMs);
    expect(b.bus.state).toBe('down');
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
