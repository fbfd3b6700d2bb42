import { createHash } from 'node:crypto';
import {
  RedisConnection,
  RedisPresenceStore,
  RedisRoomLog,
  roomChannel,
  type Incarnation,
  type PublishOutcome,
} from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { startRedisCluster, type TestRedisCluster } from '../support/redis-cluster.js';
import type { TestRedis } from '../support/redis.js';
import { LeapingClock } from '../support/leaping-clock.js';
import { TIMES, startBusNode, watchUnhandled } from './bus-nodes.js';

watchUnhandled();

const RETENTION = { size: 10_000, ttlMs: 600_000 };
const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

function script(lua: string) {
  return { name: 'test', lua, sha1: createHash('sha1').update(lua).digest('hex') };
}

const push = script("redis.call('SET', KEYS[2], ARGV[1]) return redis.call('RPUSH', KEYS[1], ARGV[1])");

describe('when a slot of a Redis Cluster moves', () => {
  let cluster: TestRedisCluster;
  let options: { cluster: { nodes: TestRedisCluster['nodes'] }; keyPrefix: string };
  let nth = 0;

  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3 });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());
  beforeEach(() => {
    options = { cluster: { nodes: cluster.nodes }, keyPrefix: `s${(nth += 1)}:` };
  });

  const connect = (clock?: LeapingClock): RedisConnection & AsyncDisposable => {
    const connection = new RedisConnection({ ...TIMES, ...options }, { logger: quiet, clock });
    return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.close() });
  };

  async function ways(key: string): Promise<{ slot: number; from: TestRedis; to: TestRedis }> {
    const [slot, from] = [await cluster.slotOf(key), await cluster.ownerOf(key)];
    const to = cluster.masters.find((master) => master !== from);
    if (to === undefined) throw new Error('one master only');
    return { slot, from, to };
  }

  it('finds the way at the first command, scripts and plain ones, and keeps their order', async () => {
    await using connection = connect();
    await connection.ready();
    const keys = Array.from({ length: 30 }, (_, index) => `{k${index}}`);
    const numbers = Array.from({ length: 20 }, (_, index) => String(index));
    await Promise.all(
      keys.flatMap((key) =>
        numbers.map((n, index) =>
          index % 2 === 0 ? connection.run(push, [key, `${key}:last`], [n]) : connection.command('RPUSH', key, n),
        ),
      ),
    );
    for (const key of keys) {
      await expect(connection.command('LRANGE', key, '0', '-1')).resolves.toEqual(numbers);
    }
    await expect(connection.command('TIME')).resolves.toHaveLength(2);
  });

  it('waits while the keys of a script are on both sides, holds back what comes later, and then goes on', async () => {
    await using connection = connect();
    const keys = ['{both}', '{both}:last'];
    await connection.run(push, keys, ['0']);
    const { slot, from, to } = await ways('{both}');
    await cluster.beginMigration(slot, from, to);
    await cluster.moveKeys(slot, from, to, 1);
    let answered = 0;
    const calls = ['1', '2', '3', '4'].map((n) => connection.run(push, keys, [n]).finally(() => (answered += 1)));
    calls.push(connection.command('RPUSH', '{both}', '5'));
    // A fence: another slot of the same master is not held up.
    await connection.command('PING');
    expect(answered).toBe(0);
    await cluster.moveKeys(slot, from, to);
    await cluster.endMigration(slot, to);
    await Promise.all(calls);
    const list = await connection.command('LRANGE', '{both}', '0', '-1');
    expect(list).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('refuses at the deadline what it held, and then certainly does not send it', async () => {
    await using patient = connect();
    using clock = new LeapingClock();
    await using connection = connect(clock);
    await connection.ready();
    const keys = ['{late}', '{late}:last'];
    await patient.run(push, keys, ['0']);
    const { slot, from, to } = await ways('{late}');
    await cluster.beginMigration(slot, from, to);
    await cluster.moveKeys(slot, from, to, 1);
    const lost = connection.run(push, keys, ['lost']);
    const refused = expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, maybeWritten: false });
    // A fence: the first try has come back before, from the same server.
    await connection.command('EXISTS', '{late}');
    clock.leap(TIMES.commandTimeoutMs);
    await refused;
    while ((await cluster.moveKeys(slot, from, to)) > 0);
    await cluster.endMigration(slot, to);
    await patient.run(push, keys, ['1']);
    const list = await patient.command('LRANGE', '{late}', '0', '-1');
    expect(list).toEqual(['0', '1']);
  });

  it('keeps asking the new server for keys that have gone, scripts it has never seen too', async () => {
    await using connection = connect();
    const keys = ['{asked}', '{asked}:last'];
    await connection.run(push, keys, ['0']);
    const { slot, from, to } = await ways('{asked}');
    await cluster.beginMigration(slot, from, to);
    while ((await cluster.moveKeys(slot, from, to)) > 0);
    const numbers = Array.from({ length: 20 }, (_, index) => String(index + 1));
    await Promise.all(numbers.map((n) => connection.run(push, keys, [n])));
    const before = await connection.command('LRANGE', '{asked}', '0', '-1');
    expect(before).toEqual(['0', ...numbers]);
    await cluster.endMigration(slot, to);
    await expect(connection.run(push, keys, ['last'])).resolves.toBe(22);
  });

  it('loses nothing of a room that is published to and entered meanwhile, there and back again', async () => {
    const room = 'chat/moving';
    await using writer = connect();
    const log = new RedisRoomLog(writer, 1_000_000);
    const presence = new RedisPresenceStore(writer);
    const ends: PublishOutcome[] = [];
    const entry = { userId: 'ada', connectionId: 'c', incarnation: 'i' as Incarnation, device: 'd' };
    let isMoving = true;
    let sent = 0;
    const publish = async (): Promise<void> => {
      while (isMoving) {
        const burst = Array.from({ length: 5 }, () => {
          const id = String((sent += 1));
          return log.publish({ room, publisher: 'p', id, text: `{}\n"n",${id}`, retention: RETENTION });
        });
        ends.push(...(await Promise.all(burst)));
        await presence.enter(room, entry);
        await presence.leave(room, entry);
      }
    };
    const { slot, from, to } = await ways(`${options.keyPrefix}{${room}}`);
    const publishing = publish();
    for (let round = 0; round < 4; round += 1) {
      const [source, target] = round % 2 === 0 ? [from, to] : [to, from];
      const aim = sent + 20;
      await eventually(() => expect(sent).toBeGreaterThan(aim));
      await cluster.beginMigration(slot, source, target);
      for (let moved = 1; moved > 0;) moved = await cluster.moveKeys(slot, source, target, 1);
      await cluster.endMigration(slot, target);
    }
    isMoving = false;
    await publishing;

    const entries = (await log.read(room, RETENTION, { after: 0, limit: 10_000 })).entries;
    const texts: string[] = [];
    for (let after = 0; texts.length < sent;) {
      const page = await log.read(room, RETENTION, { after, limit: 1_000 });
      if (page.entries.length === 0) break;
      texts.push(...page.entries.map(({ text }) => text));
      after = page.entries.at(-1)?.offset ?? after;
    }
    expect(entries[0]?.offset).toBe(1);
    expect(texts).toEqual(Array.from({ length: sent }, (_, index) => `{}\n"n",${index + 1}`));
    expect(ends.map((end) => end.status)).toEqual(Array.from({ length: sent }, () => 'published'));
    expect((await presence.read(room, 10)).count).toBe(0);
  });

  it('goes on hearing a room whose slot has moved, without subscribing again', async () => {
    const channel = roomChannel('chat/heard');
    await using reader = await startBusNode(options);
    await using writer = await startBusNode(options);
    const heard: string[] = [];
    await reader.bus.subscribe(channel, (payload) => heard.push(payload));
    const { slot, from, to } = await ways(`${options.keyPrefix}${channel}`);
    await cluster.migrateSlot(slot, from, to);
    // The cluster bus itself may lose some, and then the probe has to notice: what counts is that they do not stay away.
    await eventually(async () => {
      await Promise.all(Array.from({ length: 20 }, (_, index) => writer.bus.publish(channel, String(index))));
      expect(heard).toEqual(expect.arrayContaining(Array.from({ length: 20 }, (_, index) => String(index))));
    });
  });
});
