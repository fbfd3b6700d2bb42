import { RedisBus, RedisConnection, noMetrics, type RedisOptions } from '../support/engines.js';
import { GENEROUS_MS, eventually } from '../support/eventually.js';
import { LeapingClock } from '../support/leaping-clock.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';

/** Longer than any machine stands still: tests leap over them by the clock of a node. */
const TIMES = {
  probeIntervalMs: 20_000,
  probeTimeoutMs: GENEROUS_MS,
  commandTimeoutMs: GENEROUS_MS,
  connectTimeoutMs: GENEROUS_MS,
};

interface Log {
  lines: string[];
  log(line: string): void;
  warn(line: string): void;
  error(line: string): void;
}

function collectLog(): Log {
  const lines: string[] = [];
  const push = (line: string): void => void lines.push(line);
  return { lines, log: push, warn: push, error: push };
}

interface Node extends AsyncDisposable {
  connection: RedisConnection;
  bus: RedisBus;
  /** Its own, so that time passes for it alone. */
  clock: LeapingClock;
  log: Log;
  redisUp: boolean[];
  /** How long each echo took, in milliseconds. */
  echoes: number[];
  /** Failed attempts to connect, and connections that broke. */
  readonly failures: number;
}

function startNode(options: RedisOptions): Node {
  const log = collectLog();
  const redisUp: boolean[] = [];
  const echoes: number[] = [];
  const clock = new LeapingClock();
  let failures = 0;
  const metrics = {
    ...noMetrics,
    redisUp: (isUp: boolean) => void redisUp.push(isUp),
    dropped: (kind: string) => void (failures += kind === 'redis-error' ? 1 : 0),
    clusterDelivery: (seconds: number) => void echoes.push(seconds * 1_000),
  };
  const connection = new RedisConnection({ ...TIMES, ...options }, { logger: log, metrics, clock });
  const bus = new RedisBus(connection);
  return {
    connection,
    bus,
    clock,
    log,
    redisUp,
    echoes,
    get failures() {
      return failures;
    },
    async [Symbol.asyncDispose]() {
      await bus.close();
      await connection.close();
      clock[Symbol.dispose]();
    },
  };
}

const untilState = (bus: RedisBus, state: 'up' | 'down') => eventually(() => expect(bus.state).toBe(state));

async function delivers(from: RedisBus, to: RedisBus, channel: string): Promise<void> {
  const text = `after ${Math.random()}`;
  const received: string[] = [];
  await to.subscribe(channel, (payload) => received.push(payload));
  await from.publish(channel, text);
  await eventually(() => expect(received).toContain(text));
}

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);

beforeAll(() => process.on('unhandledRejection', onUnhandled));
afterAll(() => {
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled).toEqual([]);
});

describe('when Redis is killed and comes back empty', () => {
  it('goes down, refuses commands at their deadline, comes up with every subscription live', async () => {
    await using redis = await startRedis();
    await using a = startNode({ url: redis.url });
    await using b = startNode({ url: redis.url });
    await Promise.all([a.bus.ready(), b.bus.ready()]);
    const received: string[] = [];
    for (let i = 0; i < 700; i += 1) await b.bus.subscribe(`c${i}`, (payload) => received.push(`${i}:${payload}`));

    await redis.stop();
    // No clock is needed: the connections break.
    await Promise.all([untilState(a.bus, 'down'), untilState(b.bus, 'down')]);
    await eventually(() => expect(a.connection.isUp).toBe(false));
    const lost = a.bus.publish('c1', 'lost');
    const refused = expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, maybeWritten: false });
    a.clock.leap(TIMES.commandTimeoutMs / 2);
    expect(a.connection.queued).toBe(1);
    a.clock.leap(TIMES.commandTimeoutMs / 2);
    expect(a.connection.queued).toBe(0);
    await refused;

    await redis.restart();
    await Promise.all([untilState(a.bus, 'up'), untilState(b.bus, 'up')]);
    for (let i = 0; i < 700; i += 1) await a.bus.publish(`c${i}`, 'x');
    await eventually(() => expect(received).toHaveLength(700));
    await delivers(b.bus, a.bus, 'back');
    expect(a.redisUp).toEqual([true, false, true]);
    expect(a.log.lines).toEqual([
      expect.stringContaining(`Redis is not reachable at 127.0.0.1:${redis.port}`),
      expect.stringContaining('Redis is back'),
    ]);
  });

  it('keeps commands that were never sent, in order, and sends them if Redis is back in time', async () => {
    await using redis = await startRedis();
    await using node = startNode({ url: redis.url });
    await node.bus.ready();
    await redis.stop();
    await eventually(() => expect(node.connection.isUp).toBe(false));
    const waiting = ['1', '2', '3'].map((value) => node.connection.command('RPUSH', 'list', value));
    await redis.restart();
    await expect(Promise.all(waiting)).resolves.toEqual([1, 2, 3]);
    await expect(node.connection.command('LRANGE', 'list', '0', '-1')).resolves.toEqual(['1', '2', '3']);
  });

  it('refuses beyond the bound of the queue at once', async () => {
    await using redis = await startRedis();
    await using node = startNode({ url: redis.url, maxQueuedCommands: 5 });
    await node.bus.ready();
    await redis.stop();
    await eventually(() => expect(node.connection.isUp).toBe(false));
    const called = Array.from({ length: 20 }, () => node.connection.command('SET', 'k', 'v'));
    const settled = Promise.allSettled(called);
    expect(node.connection.queued).toBe(5);
    await Promise.allSettled(called.slice(5));
    expect(node.connection.queued).toBe(5);
    node.clock.leap(TIMES.commandTimeoutMs);
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true);
    expect(node.connection.queued).toBe(0);
  });

  it('refuses publications beyond the bound of the queue, of one loop and one channel too', async () => {
    await using redis = await startRedis();
    await using node = startNode({ url: redis.url, maxQueuedCommands: 5 });
    await node.bus.ready();
    await redis.stop();
    await eventually(() => expect(node.connection.isUp).toBe(false));
    const sent = Array.from({ length: 20 }, (_, i) => node.bus.publish('ch', String(i)));
    const settled = Promise.allSettled(sent);
    expect(node.connection.queued).toBe(5);
    await redis.restart();
    const statuses = (await settled).map(({ status }) => status);
    expect(statuses).toEqual(Array.from({ length: 20 }, (_, i) => (i < 5 ? 'fulfilled' : 'rejected')));
  });
});

describe('when the link is half-open', () => {
  let redis: TestRedis;
  let proxy: TcpProxy;
  beforeEach(async () => {
    redis = await startRedis();
    proxy = await startTcpProxy({ port: redis.port });
  });
  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  it('is noticed within the probe timeout, and healed with new connections', async () => {
    await using far = startNode({ url: `redis://127.0.0.1:${proxy.port}` });
    await using near = startNode({ url: redis.url });
    await Promise.all([far.bus.ready(), near.bus.ready()]);
    await delivers(near.bus, far.bus, 'before');

    proxy.stall();
    far.clock.leap(TIMES.probeTimeoutMs / 2);
    expect([far.bus.state, far.connection.isUp]).toEqual(['up', true]);
    far.clock.leap(TIMES.probeTimeoutMs / 2);
    expect([far.bus.state, far.connection.isUp]).toEqual(['down', false]);
    expect(near.bus.state).toBe('up');

    proxy.heal();
    await untilState(far.bus, 'up');
    await delivers(near.bus, far.bus, 'before');
    await delivers(far.bus, near.bus, 'other');
  });

  it('does not take a slow link for a dead one', async () => {
    await using far = startNode({ url: `redis://127.0.0.1:${proxy.port}` });
    await far.bus.ready();
    const states: string[] = [];
    far.bus.onState((state) => states.push(state));
    proxy.delay(50);
    for (let round = 0; round < 10; round += 1) {
      const heard = far.echoes.length;
      // What was asked takes half an interval, which is less than the timeout.
      far.clock.leap(1.5 * TIMES.probeIntervalMs);
      await eventually(() => expect(far.echoes.length).toBeGreaterThan(heard));
      // A fence: the connection's own PING was answered before.
      await far.connection.command('PING');
    }
    expect(states).toEqual([]);
    expect(far.connection.isUp).toBe(true);
    expect(far.bus.roundTripMs).toBeGreaterThan(90);
    await delivers(far.bus, far.bus, 'slow');
  });
});

describe('when Redis is stopped and continued', () => {
  it('goes down within the probe timeout and comes up by itself', async () => {
    await using redis = await startRedis();
    await using node = startNode({ url: redis.url });
    await node.bus.ready();
    redis.pause();
    node.clock.leap(TIMES.probeTimeoutMs);
    expect(node.bus.state).toBe('down');
    const refused = expect(node.connection.command('PING')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    node.clock.leap(TIMES.commandTimeoutMs);
    await refused;
    redis.resume();
    await untilState(node.bus, 'up');
    await delivers(node.bus, node.bus, 'again');
  });
});

describe('when subscribers are disconnected by the server', () => {
  it('is subscribed again without anybody asking', async () => {
    await using redis = await startRedis();
    await using node = startNode({ url: redis.url });
    await node.bus.ready();
    const received: string[] = [];
    await node.bus.subscribe('c', (payload) => received.push(payload));
    const states: string[] = [];
    node.bus.onState((state) => states.push(state));
    const admin = await redis.client();
    await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    await eventually(() => expect(states).toEqual(['down', 'up']));
    await node.bus.publish('c', 'x');
    await eventually(() => expect(received).toEqual(['x']));
  });
});

describe('when Redis is not there at boot', () => {
  const nowhere = async (): Promise<string> => {
    const redis = await startRedis();
    await redis.stop();
    return redis.url;
  };

  it('says so at once, lets boot go on, and does not repeat itself', async () => {
    await using node = startNode({ url: (await nowhere()).replace('//', '//user:s3cret@') });
    await node.connection.ready();
    expect(node.connection.isUp).toBe(false);
    expect(node.log.lines).toEqual([expect.stringMatching(/not reachable at 127\.0\.0\.1:\d+ .*running degraded/)]);
    const refused = expect(node.connection.command('PING')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    node.clock.leap(TIMES.commandTimeoutMs);
    await refused;
    // Attempts go on, and fail.
    await eventually(() => expect(node.failures).toBeGreaterThan(3));
    expect(node.log.lines).toHaveLength(1);
    expect(node.log.lines.join()).not.toContain('s3cret');
  });

  it('makes boot fail with the address and the cause if it is required', async () => {
    await using node = startNode({ url: await nowhere(), required: true, connectTimeoutMs: 150 });
    await expect(node.connection.ready()).rejects.toThrow(/Redis is not reachable at 127\.0\.0\.1:\d+ within 150 ms/);
  });
});

describe('when a subscription is refused', () => {
  it('is not up, because its own probe is refused, and says why', async () => {
    await using redis = await startRedis();
    const admin = await redis.client();
    await admin.sendCommand(['ACL', 'SETUSER', 'deaf', 'on', '>pw', '+@all', '~*', 'resetchannels']);
    await using node = startNode({ url: redis.url, username: 'deaf', password: 'pw' });
    await node.connection.ready();
    void node.bus.ready();
    await eventually(() => expect(node.log.lines.join()).toContain('refused a subscription'));
    expect(node.bus.state).toBe('down');
    await admin.sendCommand(['ACL', 'SETUSER', 'deaf', '&*']);
    await untilState(node.bus, 'up');
  });
});
