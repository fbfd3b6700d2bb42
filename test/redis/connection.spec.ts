import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { createClient } from 'redis';
import { RedisConnection, reconnectDelayMs, type RedisOptions } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { LeapingClock } from '../support/leaping-clock.js';
import { startRedis } from '../support/redis.js';
import { TIMES } from './bus-nodes.js';

const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

function connect(options: RedisOptions, clock?: LeapingClock): RedisConnection & AsyncDisposable {
  const connection = new RedisConnection({ ...TIMES, ...options }, { logger: quiet, clock });
  return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.close() });
}

function script(lua: string) {
  return { name: 'test', lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

afterEach(() => jest.restoreAllMocks());

const push = script("return redis.call('RPUSH', KEYS[1], ARGV[1])");

describe('when a script runs', () => {
  it('keeps the order of a turn, the first call and other commands included', async () => {
    await using redis = await startRedis();
    await using connection = connect({ url: redis.url });
    const calls = ['1', '2', '3'].flatMap((n) => [
      connection.run(push, ['{k}'], [`s${n}`]),
      connection.command('RPUSH', '{k}', `c${n}`),
    ]);
    await Promise.all(calls);
    await expect(connection.command('LRANGE', '{k}', '0', '-1')).resolves.toEqual(['s1', 'c1', 's2', 'c2', 's3', 'c3']);
  });

  it('is sent again when the server has forgotten it', async () => {
    await using redis = await startRedis();
    await using connection = connect({ url: redis.url });
    await connection.run(push, ['{k}'], ['a']);
    await connection.command('SCRIPT', 'FLUSH');
    await expect(connection.run(push, ['{k}'], ['b'])).resolves.toBe(2);
    await redis.stop();
    await eventually(() => expect(connection.isUp).toBe(false));
    await redis.restart();
    await expect(connection.run(push, ['{k}'], ['c'])).resolves.toBe(1);
  });

  it('rejects with INTERNAL when it is wrong, and keeps the cause for the log', async () => {
    await using redis = await startRedis();
    await using connection = connect({ url: redis.url });
    const failed = connection.run(script("return redis.call('NOPE')"), ['k'], []);
    await expect(failed).rejects.toMatchObject({ code: 'INTERNAL', cause: expect.any(Error) });
    await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining('NOPE') });
  });
});

describe('when Redis is set up to lose keys', () => {
  it('says so once, at the first connect', async () => {
    await using redis = await startRedis({ args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] });
    const lines: string[] = [];
    const logger = { ...quiet, warn: (line: string) => void lines.push(line) };
    const connection = new RedisConnection({ url: redis.url, ...TIMES }, { logger });
    const ups: boolean[] = [];
    connection.onState((isUp) => ups.push(isUp));
    await connection.ready();
    await eventually(() => expect(lines).toEqual([expect.stringContaining('allkeys-lru')]));
    const admin = await redis.client();
    await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    await eventually(() => expect(ups).toEqual([true, false, true]));
    // Fences: what a second look would have asked was answered before them, on the same connection.
    for (let fences = 0; fences < 2; fences += 1) await connection.command('PING');
    expect(lines.filter((line) => line.includes('allkeys-lru'))).toHaveLength(1);
    await connection.close();
  });
});

describe('when Redis still loads its data', () => {
  it('is not up before it answers: what waits is neither refused nor out of order', async () => {
    // Slow to load: 0.3 ms for each command; it looks at its clients after each 1 024.
    const args = ['--key-load-delay', '300'];
    await using redis = await startRedis({ isPersistent: true, args });
    await using connection = connect({ url: redis.url });
    await Promise.all(Array.from({ length: 8_000 }, (_, n) => connection.command('SET', `k${n}`, 'v')));
    await redis.stop();
    await eventually(() => expect(connection.isUp).toBe(false));
    const numbers = Array.from({ length: 50 }, (_, n) => String(n));
    const calls = numbers.map((n) => connection.run(push, ['{k}'], [n]));
    await redis.restart();
    await Promise.all(calls);
    await expect(connection.command('LRANGE', '{k}', '0', '-1')).resolves.toEqual(numbers);
  });
});

describe('when Redis was demoted to a replica', () => {
  it('refuses writes with UNAVAILABLE and connects anew, until it is a master again', async () => {
    await using redis = await startRedis();
    await using connection = connect({ url: redis.url });
    await connection.command('SET', 'k', 'v');
    const admin = await redis.client();
    await admin.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
    await expect(connection.command('SET', 'k', 'v')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(connection.isUp).toBe(false);
    await admin.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    await eventually(() => connection.command('SET', 'k', 'v'));
  });
});

describe('when Redis is full', () => {
  it('rejects writes with UNAVAILABLE and says that nothing was written', async () => {
    await using redis = await startRedis({ args: ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'] });
    await using connection = connect({ url: redis.url });
    await expect(connection.command('SET', 'k', 'v')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      maybeWritten: false,
    });
  });
});

describe('when the answer is lost', () => {
  it('rejects within the deadline and says that it may have been carried out', async () => {
    await using redis = await startRedis();
    using clock = new LeapingClock();
    // The connection itself is given up later than the command.
    await using connection = connect({ url: redis.url, probeTimeoutMs: 10 * TIMES.commandTimeoutMs }, clock);
    await connection.ready();
    redis.pause();
    const call = connection.command('SET', 'k', 'v');
    const rejected = expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE', maybeWritten: true });
    clock.leap(TIMES.commandTimeoutMs / 2);
    expect(connection.queued).toBe(1);
    clock.leap(TIMES.commandTimeoutMs / 2);
    expect(connection.queued).toBe(0);
    await rejected;
    expect(connection.isUp).toBe(true);
    redis.resume();
  });
});

describe('when Redis rejects every connection at once', () => {
  it('backs off: the pauses between attempts grow as computed', async () => {
    // No jitter: each pause is as long as it may be.
    jest.spyOn(Math, 'random').mockReturnValue(1 - Number.EPSILON);
    const attemptedAt: number[] = [];
    const server = createServer((socket) => {
      attemptedAt.push(performance.now());
      socket.resetAndDestroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using connection = connect({ url: `redis://127.0.0.1:${port}` });
    await connection.ready();
    await eventually(() => expect(attemptedAt.length).toBeGreaterThanOrEqual(6));
    // Each attempt was seen before the pause behind it began: a busy machine only makes it longer.
    const pauses = attemptedAt.slice(1, 6).map((at, index) => at - (attemptedAt[index] as number));
    const computed = pauses.map((_, attempt) => reconnectDelayMs(attempt));
    expect(computed).toEqual([49, 99, 199, 399, 799]);
    // Node's timers count whole milliseconds.
    pauses.forEach((pauseMs, attempt) => expect(pauseMs).toBeGreaterThan((computed[attempt] as number) - 2));
    expect(connection.isUp).toBe(false);
    server.close();
  });
});

describe('when it is closed', () => {
  it('refuses what waits and what comes later, twice without harm', async () => {
    await using redis = await startRedis();
    await redis.stop();
    await using connection = connect({ url: redis.url });
    const waiting = connection.command('PING');
    const refused = expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await connection.close();
    await connection.close();
    await refused;
    await expect(connection.command('PING')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await connection.ready();
  });
});

describe('when the address is given in other ways', () => {
  it("takes the settings of the app's own client and leaves it alone", async () => {
    await using redis = await startRedis();
    const client = createClient({ url: redis.url });
    await using connection = connect({ client });
    await expect(connection.command('PING')).resolves.toBe('PONG');
    expect(client.isOpen).toBe(false);
  });

  it('connects through a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rt-redis-'));
    const path = join(folder, 'redis.sock');
    await using redis = await startRedis({ args: ['--unixsocket', path] });
    await using byPath = connect({ socket: { path } });
    await using byUrl = connect({ url: `unix://${path}` });
    await expect(byPath.command('PING')).resolves.toBe('PONG');
    await expect(byUrl.command('PING')).resolves.toBe('PONG');
    expect(redis.port).toBeGreaterThan(0);
    rmSync(folder, { recursive: true });
  });

  it.each(['p@ss/w', 'a%41b', 'pa%ss', 'a+b c?#', 'ü€:'])(
    "prefers the given user, password '%s' and database to those of the url",
    async (password) => {
      await using redis = await startRedis();
      const admin = await redis.client();
      await admin.sendCommand(['ACL', 'SETUSER', 'a%64a', 'on', `>${password}`, '+@all', '~*', '&*']);
      const url = redis.url.replace('//', '//nobody:wrong@');
      await using connection = connect({ url, username: 'a%64a', password, database: 3 });
      await connection.command('SET', 'k', 'v');
      await admin.sendCommand(['SELECT', '3']);
      await expect(admin.sendCommand(['GET', 'k'])).resolves.toBe('v');
    },
  );
});
