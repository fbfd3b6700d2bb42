import type { Position } from 'nestjs-realtime-protocol';
import {
  LOG_META_TTL_MS,
  MAX_FORKS,
  RedisConnection,
  RedisRoomLog,
  isContinuous,
  isRecoverable,
  type PublishOutcome,
} from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { Inbox } from '../support/inbox.js';
import { PATIENT } from '../support/redis-kinds.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../support/redis.js';
import { RETENTION, publication } from './room-logs.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const ALL = { after: 0, limit: 1_000 };
const ROOM = 'chat/42';

interface Node extends AsyncDisposable {
  readonly log: RedisRoomLog;
  readonly connection: RedisConnection;
}

async function node(
  url: string,
  keyPrefix: string,
  user: { username?: string; password?: string } = {},
): Promise<Node> {
  const connection = new RedisConnection({ ...PATIENT, url, keyPrefix, ...user });
  await connection.ready();
  const log = new RedisRoomLog(connection, 4_194_304);
  return { log, connection, [Symbol.asyncDispose]: () => connection.close() };
}

function positionOf(outcome: PublishOutcome): Position {
  if (outcome.status === 'conflict' || !outcome.position) throw new Error(`no position: ${outcome.status}`);
  return outcome.position;
}

async function publish(log: RedisRoomLog, count: number): Promise<Position[]> {
  const outcomes = await Promise.all(Array.from({ length: count }, () => log.publish(publication(ROOM))));
  return outcomes.map(positionOf);
}

const offsetsIn = async (log: RedisRoomLog): Promise<number[]> =>
  (await log.read(ROOM, RETENTION, ALL)).entries.map(({ offset }) => offset);

describe('the room log in Redis', () => {
  let redis: TestRedis;
  let client: TestRedisClient;
  let prefix: string;
  let here: Node;
  let log: RedisRoomLog;
  let nth = 0;

  beforeAll(async () => {
    redis = await startRedis();
    client = await redis.client();
  });
  afterAll(() => redis[Symbol.asyncDispose]());
  beforeEach(async () => {
    prefix = `l${(nth += 1)}:`;
    here = await node(redis.url, prefix);
    log = here.log;
  });
  afterEach(() => here[Symbol.asyncDispose]());

  const key = (suffix: string): string => `${prefix}{${ROOM}}:${suffix}`;
  const keys = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const page of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1_000 })) found.push(...page);
    return found.sort();
  };
  /** As if another server had answered last. */
  const changeServer = (): Promise<number> => client.hSet(key('logm'), 'server', 'another');

  it('keeps everything of a room in one slot, and for a bounded time', async () => {
    await publish(log, 1);
    const names = await keys();
    expect(names).toEqual([key('log'), key('logm'), expect.stringMatching(/:once:[\w-]{22}$/)]);
    for (const name of names) {
      expect(name.startsWith(`${prefix}{${ROOM}}:`)).toBe(true);
      expect(await client.pTTL(name)).toBeGreaterThan(0);
    }
    expect(await client.pTTL(key('log'))).toBeLessThanOrEqual(RETENTION.ttlMs);
  });

  it('keeps the numbers of a log for a week past its use, of one without an entry for a day', async () => {
    await log.states([{ room: ROOM, retention: RETENTION }]);
    expect(await client.pTTL(key('logm'))).toBeGreaterThanOrEqual(DAY_MS);
    expect(await client.pTTL(key('logm'))).toBeLessThanOrEqual(DAY_MS + HOUR_MS);
    await publish(log, 1);
    expect(await client.pTTL(key('logm'))).toBeGreaterThanOrEqual(LOG_META_TTL_MS);
    await client.pExpire(key('logm'), DAY_MS);
    await log.states([{ room: ROOM, retention: { size: 1, ttlMs: 10 * LOG_META_TTL_MS } }]);
    expect(await client.pTTL(key('logm'))).toBeGreaterThanOrEqual(20 * LOG_META_TTL_MS);
  });

  it('writes nothing when an idle room is looked at', async () => {
    await publish(log, 3);
    await client.configResetStat();
    for (let i = 0; i < 20; i += 1) await log.states([{ room: ROOM, retention: RETENTION }]);
    const stats = await client.info('commandstats');
    expect(stats).toMatch(/cmdstat_hgetall:calls=20,/);
    expect(stats).not.toMatch(/cmdstat_(hset|pexpire|xrange|xtrim|del)/);
  });

  it('frees what is trimmed, in bounded steps', async () => {
    const retention = { size: 10, ttlMs: 60_000 };
    for (let i = 0; i < 10; i += 1) {
      await Promise.all(Array.from({ length: 200 }, () => log.publish(publication(ROOM, { retention, windowMs: 0 }))));
      // A node of a stream holds at most 100 entries and goes as a whole.
      expect(await client.xLen(key('log'))).toBeLessThanOrEqual(110);
    }
    expect((await log.read(ROOM, retention, ALL)).entries).toHaveLength(10);
  });

  describe('when another server counts on', () => {
    it('begins a new epoch after a restart, and knows where the old one ended', async () => {
      await using persistent = await startRedis({ isPersistent: true });
      await using other = await node(persistent.url, prefix);
      const before = await publish(other.log, 5);
      const named = publication(ROOM);
      const first = positionOf(await other.log.publish(named));
      await persistent.restart();
      const state = await eventually(() => other.log.read(ROOM, RETENTION, ALL));
      expect(state).toMatchObject({ offset: 6, start: 0, forks: { [first.epoch]: 6 } });
      expect(state.epoch).not.toBe(first.epoch);
      expect(state.entries).toHaveLength(6);
      expect(await other.log.publish(named)).toEqual({ status: 'repeat', position: first });
      expect(await publish(other.log, 1)).toEqual([{ epoch: state.epoch, offset: 7 }]);
      expect([...before, first].every((position) => isRecoverable(position, state))).toBe(true);
      expect(await other.log.remove(ROOM, first)).toBe(true);
    });

    it('tells lost positions from kept ones after a replica was promoted without them', async () => {
      await using replica = await startRedis({ replicaOf: redis.port });
      const onReplica = await replica.client();
      await publish(log, 5);
      await eventually(async () => expect(await onReplica.hGet(key('logm'), 'offset')).toBe('5'));
      await onReplica.sendCommand(['REPLICAOF', 'NO', 'ONE']);
      const lost = await publish(log, 3);
      await using other = await node(replica.url, prefix);
      const after = await publish(other.log, 4);
      const state = await other.log.read(ROOM, RETENTION, ALL);
      const old = lost[0]?.epoch as string;
      expect(after.map(({ offset }) => offset)).toEqual([6, 7, 8, 9]);
      expect(state).toMatchObject({ offset: 9, start: 0, forks: { [old]: 5 } });
      expect(lost.some((position) => isContinuous(position, state))).toBe(false);
      expect(isRecoverable({ epoch: old, offset: 5 }, state)).toBe(true);
      expect(await other.log.remove(ROOM, lost[1] as Position)).toBe(false);
      expect(await offsetsIn(other.log)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it('remembers the newest eight ended epochs', async () => {
      const epochs: Position[] = [];
      for (let i = 0; i < MAX_FORKS + 2; i += 1) {
        epochs.push(...(await publish(log, 1)));
        await changeServer();
      }
      const [{ forks, offset } = { forks: {}, offset: 0 }] = await log.states([{ room: ROOM, retention: RETENTION }]);
      expect(offset).toBe(MAX_FORKS + 2);
      expect(forks).toEqual(Object.fromEntries(epochs.slice(-MAX_FORKS).map(({ epoch, offset: at }) => [epoch, at])));
      await expect(log.remove(ROOM, epochs[0] as Position)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect(await log.remove(ROOM, epochs[2] as Position)).toBe(true);
      expect(await client.hLen(key('logm'))).toBeLessThanOrEqual(9 + MAX_FORKS);
    });

    it('forks once, whichever call sees it first', async () => {
      for (const call of [
        () => publish(log, 1),
        () => log.clear(ROOM),
        () => log.remove(ROOM, { epoch: '', offset: 1 }).catch(() => undefined),
        () => log.read(ROOM, RETENTION, { limit: 0 }),
      ]) {
        const [before] = await publish(log, 1);
        await changeServer();
        await call();
        const [state] = await log.states([{ room: ROOM, retention: RETENTION }]);
        expect(state?.epoch).not.toBe(before?.epoch);
        expect(state?.forks[before?.epoch ?? '']).toBe(before?.offset);
      }
    });

    it('works without the right to ask which server it is, and notices no failover then', async () => {
      const commands = '+@all -info';
      await client.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', ...commands.split(' ')]);
      await using limited = await node(redis.url, prefix, { username: 'app', password: 'pw' });
      const [first] = await publish(limited.log, 1);
      await changeServer();
      expect(await publish(limited.log, 1)).toEqual([{ epoch: first?.epoch, offset: 2 }]);
      expect(await offsetsIn(limited.log)).toEqual([1, 2]);
      expect((await log.read(ROOM, RETENTION, ALL)).forks).toEqual({ [first?.epoch as string]: 2 });
    });
  });

  describe('when keys were lost', () => {
    it('begins anew after a flush', async () => {
      const [old] = await publish(log, 3);
      await client.del(await keys());
      const state = await log.read(ROOM, RETENTION, ALL);
      expect(state).toMatchObject({ offset: 0, start: 0, forks: {}, entries: [] });
      expect(isContinuous(old as Position, state)).toBe(false);
      expect(await publish(log, 1)).toEqual([{ epoch: state.epoch, offset: 1 }]);
    });

    it('keeps its numbers without the stream: who has seen all goes on', async () => {
      const positions = await publish(log, 3);
      await client.del(key('log'));
      const lost = await log.read(ROOM, RETENTION, ALL);
      expect(lost).toMatchObject({ epoch: positions[0]?.epoch, offset: 3, start: 3, entries: [] });
      expect(positions.map((position) => isRecoverable(position, lost))).toEqual([false, false, true]);
      await publish(log, 2);
      const state = await log.read(ROOM, RETENTION, ALL);
      expect([state.start, state.entries.map(({ offset }) => offset)]).toEqual([3, [4, 5]]);
    });

    it.each(['publish', 'read'] as const)('deletes a stream whose numbers are lost (%s)', async (call) => {
      const [old] = await publish(log, 3);
      await client.del(key('logm'));
      if (call === 'read') expect(await offsetsIn(log)).toEqual([]);
      const [position] = await publish(log, 1);
      expect(position?.offset).toBe(1);
      expect(position?.epoch).not.toBe(old?.epoch);
      expect(await offsetsIn(log)).toEqual([1]);
    });

    it('does not stumble over entries of unknown origin', async () => {
      await publish(log, 2);
      await client.xAdd(key('log'), '900-0', { t: '1', m: 'foreign' });
      expect(await publish(log, 1)).toMatchObject([{ offset: 3 }]);
      const state = await log.read(ROOM, RETENTION, ALL);
      expect([state.start, state.entries.map(({ offset }) => offset)]).toEqual([2, [3]]);
    });

    it('knows its scripts again after they were forgotten', async () => {
      await publish(log, 1);
      await client.scriptFlush();
      expect((await publish(log, 20)).map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, i) => i + 2));
    });
  });

  describe('when Redis refuses to write', () => {
    const refusals: [string, Record<string, string>, Record<string, string>][] = [
      ['too few replicas', { 'min-replicas-to-write': '1' }, { 'min-replicas-to-write': '0' }],
      ['no memory', { maxmemory: '1mb' }, { maxmemory: '0' }],
    ];

    it.each(refusals)('says so (%s), has written nothing, and can still be read', async (_name, refuse, allow) => {
      await publish(log, 2);
      const subscriber = await redis.client();
      const heard = new Inbox();
      await subscriber.subscribe(`${prefix}{${ROOM}}:ch`, (message) => heard.push(message));
      const named = publication(ROOM);
      const rest = await keys();
      await client.configSet(refuse);
      try {
        for (const retention of [RETENTION, undefined]) {
          const refused = log.publish({ ...named, id: `${named.id}${retention?.size}`, retention });
          await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, maybeWritten: false });
        }
        expect(await log.read(ROOM, RETENTION, ALL)).toMatchObject({ offset: 2, start: 0 });
        expect(await log.states([{ room: ROOM, retention: { size: 1, ttlMs: 60_000 } }])).toMatchObject([{ start: 1 }]);
        const unmade = log.read('chat/new', RETENTION, ALL);
        await expect(unmade).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      } finally {
        await client.configSet(allow);
      }
      expect(await keys()).toEqual(rest);
      expect(await log.publish(named)).toMatchObject({ status: 'published', position: { offset: 3 } });
      await heard.next(({ event }) => event.startsWith('m3 '));
      expect(heard.all).toHaveLength(1);
    });

    it('does not read a demoted master, which may be behind', async () => {
      await using replica = await startRedis({ replicaOf: redis.port });
      const onReplica = await replica.client();
      await publish(log, 1);
      await eventually(async () => expect(await onReplica.hGet(key('logm'), 'offset')).toBe('1'));
      await using other = await node(replica.url, prefix);
      await expect(publish(other.log, 1)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(offsetsIn(other.log)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });
  });
});
