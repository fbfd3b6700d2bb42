import { RedisConnection, RedisPresenceStore, type Incarnation, type PresenceEntry } from '../support/engines.js';
import { PATIENT } from '../support/redis-kinds.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../support/redis.js';

const FEW = 20;
const MANY = 500;

const ada = (index: number, more: Partial<PresenceEntry> = {}): PresenceEntry => ({
  ...{
    userId: 'ada',
    connectionId: `c${1_000 + index}`,
    incarnation: 'i1' as Incarnation,
    device: `d${1_000 + index}`,
  },
  ...more,
});

/** What Redis did for one write: its own commands, those of scripts included, and the bytes that it sent. */
interface Work {
  readonly calls: Record<string, number>;
  readonly bytes: number;
}

describe('when one user has many connections', () => {
  let redis: TestRedis;
  let client: TestRedisClient;
  let connection: RedisConnection;
  let store: RedisPresenceStore;

  beforeAll(async () => {
    redis = await startRedis();
    client = await redis.client();
    connection = new RedisConnection({ ...PATIENT, url: redis.url });
    store = new RedisPresenceStore(connection);
    await connection.ready();
    // From here on Redis knows the scripts.
    await worksAt('chat/first', 0);
  });
  afterAll(async () => {
    await connection.close();
    await redis[Symbol.asyncDispose]();
  });

  /** The connection's pings and the questions of the test are no work of the write. */
  async function callsNow(): Promise<Map<string, number>> {
    const stats = await client.info('commandstats');
    const all = [...stats.matchAll(/cmdstat_(\S+):calls=(\d+)/g)].map(([, name = '', calls]) => [name, Number(calls)]);
    return new Map(all as [string, number][]);
  }

  async function workOf(write: () => Promise<unknown>): Promise<Work> {
    const before = await callsNow();
    const bytesBefore = Number(/total_net_output_bytes:(\d+)/.exec(await client.info('stats'))?.[1]);
    await write();
    const bytes = Number(/total_net_output_bytes:(\d+)/.exec(await client.info('stats'))?.[1]) - bytesBefore;
    const changed = [...(await callsNow())].map(([name, calls]) => [name, calls - (before.get(name) ?? 0)] as const);
    const calls = Object.fromEntries(changed.filter(([name, count]) => count > 0 && !/info|ping/.test(name)));
    return { calls, bytes };
  }

  /** The work of an enter, an update and a leave behind `count` connections. */
  async function worksAt(room: string, count: number, more: Partial<PresenceEntry> = {}): Promise<Work[]> {
    const entry = ada(count, more);
    const works = [
      await workOf(() => store.enter(room, entry)),
      await workOf(() => store.update(room, entry, 'meta')),
      await workOf(() => store.update(room, ada(0, more), count)),
      await workOf(() => store.leave(room, entry)),
      await workOf(() => store.get(room, 'ada')),
    ];
    return works;
  }

  it.each([
    ['in a room, each on a device', 'chat/devices', {}],
    ['in a room, all on one device', 'chat/device', { device: 'one' }],
    ["in the user's own room", 'user/ada', { device: '' }],
  ])('costs Redis the same for the next one, however many there are: %s', async (_, room, more) => {
    for (let index = 0; index < FEW; index += 1) await store.enter(room, ada(index, more));
    const few = await worksAt(room, FEW, more);
    for (let index = FEW; index < MANY; index += 1) await store.enter(room, ada(index, more));
    const many = await worksAt(room, MANY, more);
    expect(many.map(({ calls }) => calls)).toEqual(few.map(({ calls }) => calls));
    // Numbers with other digits, a ping between: growth would be tens of bytes for each of the 480 connections.
    for (const [index, { bytes }] of many.entries()) {
      expect(Math.abs(bytes - (few[index]?.bytes ?? 0))).toBeLessThanOrEqual(512);
    }
  });
});
