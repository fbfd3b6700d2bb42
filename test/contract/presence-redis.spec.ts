import {
  HostedPresence,
  ManualClock,
  NodePresence,
  RedisBus,
  RedisConnection,
  RedisPresenceStore,
  noMetrics,
  systemClock,
  type EnterResult,
  type Incarnation,
  type PresenceEntry,
  type PresenceTransition,
} from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { Inbox } from '../support/inbox.js';
import { PATIENT } from '../support/redis-kinds.js';
import { startRedis, type TestRedis, type TestRedisClient } from '../support/redis.js';

const SETTLE_MS = 6_000;
const I1 = 'i1' as Incarnation;
const ada: PresenceEntry = { userId: 'ada', connectionId: 'c1', incarnation: I1, device: 'd', meta: [] };
const bob: PresenceEntry = { userId: 'bob', connectionId: 'c2', incarnation: I1, device: 'd' };

describe('presence in Redis', () => {
  let redis: TestRedis;
  let client: TestRedisClient;
  let connection: RedisConnection;
  let store: RedisPresenceStore;
  let prefix: string;
  let nth = 0;

  beforeAll(async () => {
    redis = await startRedis();
    client = await redis.client();
  });
  afterAll(() => redis[Symbol.asyncDispose]());
  beforeEach(async () => {
    prefix = `p${(nth += 1)}:`;
    connection = new RedisConnection({ ...PATIENT, url: redis.url, keyPrefix: prefix });
    store = new RedisPresenceStore(connection);
    await connection.ready();
  });
  afterEach(() => connection.close());

  const key = (name: string): string => `${prefix}{r}:${name}`;
  const keys = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const page of client.scanIterator({ MATCH: `${prefix}*`, COUNT: 1_000 })) found.push(...page);
    return found.map((name) => name.slice(prefix.length)).sort();
  };
  const kindOf = (result: EnterResult): string => (result.status === 'full' ? 'full' : result.transition.kind);
  const epoch = async (): Promise<string> => (await store.read('r', 10)).epoch;

  it('keeps of an empty room only what expires', async () => {
    await store.enter('r', ada);
    await store.enter('r', bob);
    expect(await keys()).toEqual([
      '{#idx:i1}:rooms',
      ...['pc', 'pd', 'pi', 'pm', 'pn', 'pu', 'px', 'py'].map((name) => `{r}:${name}`),
    ]);
    await store.leave('r', ada);
    await store.leave('r', bob);
    await eventually(async () => expect(await keys()).toEqual(['{r}:pl', '{r}:pm']));
    expect(await client.ttl(key('pm'))).toBeGreaterThan(3_500);
    expect(await client.ttl(key('pl'))).toBeGreaterThan(600_000);
    await store.enter('r', ada);
    expect(await client.ttl(key('pm'))).toBe(-1);
  });

  it('writes the room into the index before the first entry, and keeps it while one is on its way', async () => {
    await Promise.all([store.enter('r', ada), store.enter('r', bob)]);
    await Promise.all([store.leave('r', ada), store.leave('r', bob), store.enter('r', ada)]);
    await connection.command('PING', key('pc'));
    expect(await client.sMembers(`${prefix}{#idx:i1}:rooms`)).toEqual(['r']);
    await client.set(`${prefix}{#idx:i2}:rooms`, 'not a set');
    const other = { ...bob, incarnation: 'i2' as Incarnation };
    await expect(store.enter('r2', other)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect((await store.count('r2')).users).toBe(0);
  });

  it('does not keep a room in the index that let nobody in', async () => {
    await store.enter('r', ada);
    const other = { ...bob, incarnation: 'i2' as Incarnation };
    const elsewhere = new RedisPresenceStore(connection);
    expect(await elsewhere.enter('r', other, { maxTotal: 1 })).toEqual({ status: 'full', count: 1 });
    await eventually(async () => expect(await client.exists(`${prefix}{#idx:i2}:rooms`)).toBe(0));
  });

  it('lets the index of a dead incarnation expire, so that a second sweep finds late writes', async () => {
    await store.enter('r', ada);
    const swept: PresenceTransition[] = [];
    await store.sweep(I1, (transition) => swept.push(transition));
    await store.enter('r', bob);
    await store.sweep(I1, (transition) => swept.push(transition));
    expect(swept.map(({ user }) => user.id)).toEqual(['ada', 'bob']);
    expect(await client.ttl(`${prefix}{#idx:i1}:rooms`)).toBeGreaterThan(500);
  });

  it.each(['pc', 'pm', 'pi', 'pu', 'pn', 'pd', 'px', 'py'])('begins anew when %s was evicted alone', async (name) => {
    await store.enter('r', ada);
    await store.enter('r', bob);
    const lost = await epoch();
    await client.del(key(name));
    const restore = { epoch: lost };
    expect(kindOf(await store.enter('r', ada, { restore }))).toBe('none');
    expect(await store.read('r', 10)).toMatchObject({ count: 1, users: [{ id: 'ada' }] });
    expect(await epoch()).not.toBe(lost);
    expect(kindOf(await store.enter('r', bob, { restore }))).toBe('none');
    expect((await store.leave('r', bob)).kind).toBe('leave');
    expect(await store.leave('r', ada)).toMatchObject({ kind: 'leave', empty: true });
    expect(await client.hGet(key('pm'), 'b')).toBe('0');
  });

  it('takes a new epoch when another server goes on with its data, and loses nobody', async () => {
    await store.enter('r', ada);
    const [before, { version }] = [await epoch(), await store.read('r', 10)];
    await client.hSet(key('pm'), 's', 'another server');
    const repeated = await store.enter('r', ada, { restore: { epoch: before } });
    expect(kindOf(repeated)).toBe('none');
    expect(await epoch()).not.toBe(before);
    await store.enter('r', bob);
    expect(await store.read('r', 10)).toMatchObject({ version: version + 1, count: 2 });
  });

  it('keeps at most 1 000 times of leaving', async () => {
    const users = Array.from({ length: 1_010 }, (_, index) => ({
      ...bob,
      userId: `u${index}`,
      connectionId: `c${index}`,
    }));
    await Promise.all(users.map((entry) => store.enter('r', entry)));
    await Promise.all(users.map((entry) => store.leave('r', entry)));
    expect(await client.zCard(key('pl'))).toBe(1_000);
    expect(typeof (await store.lastSeen('r', 'u1009'))).toBe('number');
  });

  it('works for a user that may not ask for INFO', async () => {
    await client.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-info']);
    const url = redis.url.replace('redis://', 'redis://limited:pw@');
    const limited = new RedisConnection({ ...PATIENT, url, keyPrefix: prefix });
    const through = new RedisPresenceStore(limited);
    expect(kindOf(await through.enter('r', ada))).toBe('join');
    const before = await epoch();
    expect(kindOf(await through.enter('r', bob))).toBe('join');
    expect((await store.leave('r', bob)).kind).toBe('leave');
    const known = await epoch();
    expect((await through.leave('r', ada)).kind).toBe('leave');
    expect([before, await epoch()]).toEqual([expect.any(String), known]);
    await limited.close();
  });
});

describe('when Redis has no memory left', () => {
  it('refuses entries as unavailable, changes nothing, and takes leaves', async () => {
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    const client = await redis.client();
    const connection = new RedisConnection({ ...PATIENT, url: redis.url });
    const store = new RedisPresenceStore(connection);
    await store.enter('r', ada);
    await store.enter('r', bob);
    await client.configSet('maxmemory', '1');
    const another = { ...bob, userId: 'cyd', connectionId: 'c3' };
    await expect(store.enter('r', another)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect((await store.leave('r', bob)).kind).toBe('leave');
    expect(await store.read('r', 10)).toMatchObject({ count: 1, version: 3 });
    await client.configSet('maxmemory', '0');
    expect(kindOfStatus(await store.enter('r', another))).toBe('join');
    await connection.close();
  });
});

describe('when Redis comes back empty under two nodes', () => {
  it('announces no leave and no join for those who stayed, and everything for the others', async () => {
    await using redis = await startRedis();
    const nodes = await Promise.all([bootNode(redis.url, 'n1'), bootNode(redis.url, 'n2')]);
    const [first, second] = nodes;
    await Promise.all(nodes.map(({ hosted }) => hosted.open()));
    await first.presence.enter('r', { userId: 'ada', connectionId: 'a1', device: 'd' });
    await first.presence.enter('r', { userId: 'bob', connectionId: 'b1', device: 'd' });
    await second.presence.enter('r', { userId: 'cyd', connectionId: 'c1', device: 'd', meta: {} });
    await Promise.all(nodes.map((node) => node.settle()));
    for (const { known } of nodes) expect(known()).toEqual(['ada', 'bob', 'cyd']);
    for (const node of nodes) node.forget();

    await redis.restart();
    await Promise.all(nodes.map(({ bus }) => eventually(() => expect(bus.state).toBe('up'))));
    await first.presence.leave('r', { userId: 'bob', connectionId: 'b1' });
    await Promise.all(nodes.map((node) => node.recover()));
    await second.presence.enter('r', { userId: 'dan', connectionId: 'd1', device: 'd' });

    for (const { known, told, settle } of nodes) {
      await settle();
      expect(known()).toEqual(['ada', 'cyd', 'dan']);
      expect(told()).toEqual({ join: ['dan'], leave: ['bob'], update: [] });
    }
    expect(nodes.flatMap(({ transitions }) => transitions.map(({ kind, user }) => `${kind} ${user.id}`))).toEqual([
      'join dan',
    ]);
    await Promise.all(nodes.map((node) => node.close()));
  });
});

function kindOfStatus(result: EnterResult): string {
  return result.status === 'full' ? 'full' : result.transition.kind;
}

/** A node that hosts room `r`, as rooms do it: subscribe, follow, check after a reconnect. */
async function bootNode(url: string, name: string) {
  const connection = new RedisConnection({ ...PATIENT, url });
  const bus = new RedisBus(connection);
  const store = new RedisPresenceStore(connection);
  const transitions: PresenceTransition[] = [];
  const presence = new NodePresence({
    store,
    clock: systemClock,
    incarnations: { current: () => name as Incarnation, onChange: () => () => undefined },
    onTransition: (transition) => transitions.push(transition),
    metrics: noMetrics,
  });
  const join: string[] = [];
  const leave: string[] = [];
  const update: string[] = [];
  // Time passes for the room when the test says so: the others have restored themselves by then.
  const clock = new ManualClock();
  const hosted = new HostedPresence({
    ...{ room: 'r', store, clock, coalesceMs: 5, settleMs: SETTLE_MS },
    emit: (payload) => {
      if ('count' in payload) throw new Error('not a large room');
      join.push(...(payload.join ?? []).map(({ id }) => id));
      leave.push(...(payload.leave ?? []));
      update.push(...(payload.update ?? []).map(({ id }) => id));
    },
  });
  await bus.ready();
  const heard = new Inbox();
  await bus.subscribe('{r}:ch', (payload) => {
    heard.push(payload);
    if (payload.startsWith('p')) hosted.onChange(payload.slice(1));
  });
  return {
    ...{ bus, presence, hosted, transitions },
    known: () => (hosted.state().users ?? []).map(({ id }) => id).sort(),
    told: () => ({ join, leave, update }),
    /** Everything that was published has come, and has been told. */
    settle: async () => {
      await bus.publish('{r}:ch', `fence of ${name}`);
      await heard.next(`fence of ${name}`);
      await clock.advanceAsync(SETTLE_MS);
    },
    forget: () => [join, leave, update, transitions].forEach((list) => list.splice(0)),
    recover: async () => {
      const [seen] = await store.versions(['r']);
      await Promise.all([hosted.check(seen), presence.restoreAll()]);
    },
    close: async () => {
      hosted.close();
      await presence.close();
      await bus.close();
      await connection.close();
    },
  };
}
