import { randomUUID } from 'node:crypto';
import {
  PresenceTable,
  type EnterOptions,
  type EnterResult,
  type Incarnation,
  type PresenceEntry,
  type PresenceStore,
  type PresenceTransition,
} from '../support/engines.js';
import type { PresenceWorld } from './presence-engines.js';

const I1 = 'incarnation-1' as Incarnation;
const I2 = 'incarnation-2' as Incarnation;
const HOSTILE = ['__proto__', 'constructor', 'a\u0000b', 'a\u001fb', '{x}', '"quoted"', '../..', '0', '🦊 ünï', ' '];

/** What every `PresenceStore` promises. `world()` is asked in each test. */
export function presenceStoreContract(world: () => PresenceWorld): void {
  let a: PresenceStore;
  let b: PresenceStore;
  let room: string;

  beforeEach(() => {
    [a, b] = world().stores;
    room = `chat/${randomUUID()}`;
  });

  const entry = (userId: string, connectionId: string, more: Partial<PresenceEntry> = {}): PresenceEntry => ({
    ...{ userId, connectionId, incarnation: I1, device: `device of ${connectionId}` },
    ...more,
  });
  const enter = (userId: string, connectionId: string, more?: Partial<PresenceEntry>, options?: EnterOptions) =>
    a.enter(room, entry(userId, connectionId, more), options);
  const sweep = async (store: PresenceStore, incarnation: Incarnation): Promise<PresenceTransition[]> => {
    const transitions: PresenceTransition[] = [];
    await store.sweep(incarnation, (transition) => transitions.push(transition));
    return transitions;
  };

  describe('when users come and go', () => {
    it('tells the first device as a join, further ones as updates, the last one as a leave', async () => {
      const kinds = [
        kindOf(await enter('ada', 'c1')),
        kindOf(await enter('ada', 'c2')),
        (await a.leave(room, entry('ada', 'c1'))).kind,
        (await a.leave(room, entry('ada', 'c2'))).kind,
      ];
      expect(kinds).toEqual(['join', 'update', 'update', 'leave']);
    });

    it('says when the room becomes occupied and empty', async () => {
      expect(transitionOf(await enter('ada', 'c1'))).toMatchObject({ room, occupied: true });
      expect(transitionOf(await enter('bob', 'c2'))).not.toHaveProperty('occupied');
      expect(await a.leave(room, entry('ada', 'c1'))).not.toHaveProperty('empty');
      expect(await a.leave(room, entry('bob', 'c2'))).toMatchObject({ empty: true, user: { id: 'bob', devices: [] } });
      expect(await a.count(room)).toEqual({ users: 0, connections: 0 });
      expect(await a.versions([room])).toEqual([undefined]);
    });

    it('shows one item for each device, oldest first, with the newest metadata', async () => {
      await enter('ada', 'c1', { device: 'phone', meta: { x: 1 } });
      await enter('ada', 'c2', { device: 'laptop' });
      await enter('ada', 'c3', { device: 'phone', meta: { x: 2 } });
      expect(await b.get(room, 'ada')).toEqual({
        id: 'ada',
        devices: [{ device: 'phone', meta: { x: 2 } }, { device: 'laptop' }],
      });
      expect(await b.count(room)).toEqual({ users: 1, connections: 3 });
    });

    it('changes nothing when a write is repeated', async () => {
      const first = await enter('ada', 'c1', { meta: 1 });
      const before = await a.read(room, 10);
      const again = await enter('ada', 'c1', { meta: 1 });
      expect([kindOf(first), kindOf(again)]).toEqual(['join', 'none']);
      expect(await a.read(room, 10)).toEqual(before);
      await a.leave(room, entry('ada', 'c1'));
      expect((await a.leave(room, entry('ada', 'c1'))).kind).toBe('none');
      expect((await a.leave(room, entry('nobody', 'c9'))).kind).toBe('none');
    });

    it('leaves no trace of a leave in a room that never was', async () => {
      expect((await a.leave(room, entry('ada', 'c1'))).kind).toBe('none');
      expect(await a.read(room, 10)).toEqual({ epoch: '', version: 0, count: 0, users: [] });
    });

    it('knows when a user was seen last', async () => {
      await enter('ada', 'c1');
      expect(await a.lastSeen(room, 'ada')).toBeUndefined();
      await a.leave(room, entry('ada', 'c1'));
      const seenAt = await b.lastSeen(room, 'ada');
      expect(Math.abs(Date.now() - Number(seenAt))).toBeLessThan(60_000);
    });
  });

  describe('when many write at once', () => {
    it('makes exactly one join and one leave for each user', async () => {
      const users = Array.from({ length: 20 }, (_, index) => `user ${index}`);
      const writes = users.flatMap((user) => [1, 2, 3].map((tab) => entry(user, `${user}/${tab}`)));
      const entered = await Promise.all(writes.map((item, i) => (i % 2 ? a : b).enter(room, item)));
      const left = await Promise.all(writes.map((item, i) => (i % 2 ? b : a).leave(room, item)));
      expect(entered.filter((result) => kindOf(result) === 'join')).toHaveLength(20);
      expect(new Set(left.filter(({ kind }) => kind === 'leave').map(({ user }) => user.id))).toEqual(new Set(users));
      expect(left.filter(({ kind }) => kind === 'leave')).toHaveLength(20);
      expect(left.filter(({ empty }) => empty)).toHaveLength(1);
    });

    it('publishes every version once, in order, and the last one is the room', async () => {
      const channel = await world().listen(room);
      const work = Array.from({ length: 40 }, async (_, index) => {
        const item = entry(`user ${index % 8}`, `c${index}`, { meta: { index } });
        const store = index % 2 ? a : b;
        await store.enter(room, item);
        if (index % 3 === 0) await store.update(room, item, { updated: index });
        if (index % 4 === 0) await store.leave(room, item);
      });
      await Promise.all(work);
      const changes = await channel.changes();
      expect(changes.map(({ version }) => version)).toEqual(changes.map((_, index) => index + 1));
      const table = new PresenceTable();
      for (const change of changes) {
        expect(table.apply(change)).toBe('applied');
        expect(change.count).toBe(table.users.size);
      }
      const state = await a.read(room, 100);
      expect(byId(state.users ?? [])).toEqual(byId([...table.users.values()]));
      expect({ epoch: state.epoch, version: state.version }).toEqual({
        epoch: changes[0]?.epoch,
        version: changes.at(-1)?.version,
      });
      expect(await b.versions([room, `${room}/none`])).toEqual([
        { epoch: state.epoch, version: state.version },
        undefined,
      ]);
    });

    it('goes on counting versions when the room was empty meanwhile', async () => {
      const channel = await world().listen(room);
      await enter('ada', 'c1');
      await a.leave(room, entry('ada', 'c1'));
      await enter('ada', 'c2');
      const changes = await channel.changes();
      expect(changes.map(({ version }) => version)).toEqual([1, 2, 3]);
      expect(new Set(changes.map(({ epoch }) => epoch)).size).toBe(1);
    });
  });

  describe('when metadata is set', () => {
    const values: unknown[] = [[], {}, '', 0, null, false, [[]], { a: [], b: {} }, { n: 1e21, f: 0.1 }];
    values.push({ __proto__x: 1 }, JSON.parse('{"__proto__":{"admin":true}}'), 'ünï 🦊 \u0000 \u2028 </script>', '\\"');

    it.each(values.map((value) => [JSON.stringify(value), value]))('gives back %s as it came', async (json, value) => {
      const channel = await world().listen(room);
      await enter('ada', 'c1', { device: 'd', meta: value });
      const [change] = await channel.changes();
      const [listed] = (await b.list(room, { limit: 1 })).users;
      const [stored] = (await b.entries(room, { limit: 1 })).entries;
      const seen = [change?.user, await b.get(room, 'ada'), listed].map((user) => user?.devices[0]?.meta);
      expect([...seen, stored?.meta].map((meta) => JSON.stringify(meta))).toEqual([json, json, json, json]);
    });

    it('updates it for the owner alone', async () => {
      await enter('ada', 'c1', { device: 'd', meta: 1 });
      expect((await a.update(room, entry('ada', 'c1', { incarnation: I2 }), 2)).kind).toBe('none');
      expect((await a.update(room, entry('ada', 'c1'), 2)).kind).toBe('update');
      expect((await a.update(room, entry('ada', 'c1'), 2)).kind).toBe('none');
      expect((await a.update(room, entry('ada', 'c2'), 2)).kind).toBe('none');
      expect((await a.get(room, 'ada'))?.devices).toEqual([{ device: 'd', meta: 2 }]);
      await a.update(room, entry('ada', 'c1'), undefined);
      expect((await a.get(room, 'ada'))?.devices).toEqual([{ device: 'd' }]);
    });

    it.each([
      ['2049 bytes', 'x'.repeat(2_047)],
      ['a bigint', 1n],
      ['a function', () => 1],
    ])('refuses %s and names the field', async (_, meta) => {
      const refusal = { code: 'BAD_REQUEST', details: [{ field: 'meta' }] };
      await expect(enter('ada', 'c1', { meta })).rejects.toMatchObject(refusal);
      await expect(a.update(room, entry('ada', 'c1'), meta)).rejects.toMatchObject(refusal);
      expect((await a.count(room)).users).toBe(0);
    });
  });

  describe('when there are limits', () => {
    it('lets exactly five of a hundred concurrent entries of one user in', async () => {
      const results = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          (i % 2 ? a : b).enter(room, entry('ada', `c${i}`), { maxPerUser: 5, onFull: 'reject' }),
        ),
      );
      expect(results.filter(({ status }) => status === 'entered')).toHaveLength(5);
      expect(results.find(({ status }) => status === 'full')).toEqual({ status: 'full', count: 5 });
      expect(await a.count(room)).toEqual({ users: 1, connections: 5 });
    });

    it('evicts the oldest so that exactly five remain', async () => {
      const results = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          (i % 2 ? a : b).enter(room, entry('ada', `c${i}`), { maxPerUser: 5, onFull: 'evict-oldest' }),
        ),
      );
      const evicted = results.flatMap((result) => (result.status === 'entered' ? result.evicted : []));
      expect(new Set(evicted.map(({ connectionId }) => connectionId)).size).toBe(95);
      const left = (await a.entries(room, { limit: 10 })).entries.map(({ connectionId }) => connectionId);
      expect(left).toHaveLength(5);
      for (const { connectionId } of evicted) expect(left).not.toContain(connectionId);
    });

    it('evicts in the order of entering, and names the owner', async () => {
      await enter('ada', 'c1');
      await enter('ada', 'c2', { incarnation: I2 });
      await enter('ada', 'c1');
      const result = await enter('ada', 'c3', {}, { maxPerUser: 1, onFull: 'evict-oldest' });
      expect(result).toMatchObject({
        status: 'entered',
        evicted: [
          { connectionId: 'c1', incarnation: I1 },
          { connectionId: 'c2', incarnation: I2 },
        ],
      });
      expect(await sweep(a, I2)).toEqual([]);
      expect(await a.count(room)).toEqual({ users: 1, connections: 1 });
    });

    it('limits the whole room, and changes nothing when it refuses', async () => {
      await enter('ada', 'c1', { device: 'phone' }, { maxTotal: 2 });
      await enter('bob', 'c2', {}, { maxTotal: 2 });
      const before = await a.read(room, 10);
      expect(await enter('cyd', 'c3', {}, { maxTotal: 2 })).toEqual({ status: 'full', count: 2 });
      expect(await a.read(room, 10)).toEqual(before);
      expect(kindOf(await enter('bob', 'c2', {}, { maxTotal: 2 }))).toBe('none');
      const replaced = await enter('ada', 'c4', { device: 'phone' }, { maxTotal: 2, replaceDevice: true });
      expect(replaced).toMatchObject({ status: 'entered', evicted: [{ connectionId: 'c1' }] });
      expect(kindOf(replaced)).toBe('none');
    });

    it('replaces the same device of the same user only', async () => {
      await enter('bob', 'c1', { device: 'phone' });
      await enter('ada', 'c2', { device: 'phone' });
      await enter('ada', 'c3', { device: 'laptop' });
      const result = await enter('ada', 'c4', { device: 'phone' }, { replaceDevice: true, maxPerUser: 2 });
      expect(result).toMatchObject({ status: 'entered', evicted: [{ connectionId: 'c2' }] });
      expect(await a.count(room)).toEqual({ users: 2, connections: 3 });
      const nameless = await enter('ada', 'c5', { device: '' }, { replaceDevice: true });
      expect(nameless).toMatchObject({ evicted: [] });
    });
  });

  describe('when a room is read', () => {
    it('lists pages without overlap, never more than asked for', async () => {
      const ids = Array.from({ length: 250 }, (_, index) => `user ${index}`);
      await Promise.all(ids.map((id) => enter(id, `c of ${id}`)));
      const listed: string[] = [];
      let cursor: string | undefined;
      let pages = 0;
      do {
        const page = await a.list(room, { cursor, limit: 100 });
        expect(page.users.length).toBeLessThanOrEqual(100);
        listed.push(...page.users.map(({ id }) => id));
        cursor = page.next;
        pages += 1;
        if (pages === 1) await a.leave(room, entry('user 1', 'c of user 1'));
      } while (cursor !== undefined);
      expect(pages).toBe(3);
      expect(new Set(listed).size).toBe(listed.length);
      expect(ids.filter((id) => !listed.includes(id) && id !== 'user 1')).toEqual([]);
    });

    it('pages through entries', async () => {
      const ids = Array.from({ length: 25 }, (_, index) => `c${index}`);
      for (const id of ids) await enter(`user ${id.length}`, id, { incarnation: id > 'c2' ? I2 : I1, meta: id });
      const seen: PresenceEntry[] = [];
      let cursor: string | undefined;
      do {
        const page = await b.entries(room, { cursor, limit: 10 });
        seen.push(...page.entries);
        cursor = page.next;
      } while (cursor !== undefined);
      expect(seen.map(({ connectionId }) => connectionId).sort()).toEqual([...ids].sort());
      for (const item of seen) {
        expect(item).toMatchObject({ meta: item.connectionId, incarnation: item.connectionId > 'c2' ? I2 : I1 });
      }
    });

    it('gives the count alone above the limit of users or of metadata', async () => {
      for (const id of ['ada', 'bob', 'cyd']) await enter(id, `c-${id}`);
      expect((await a.read(room, 3)).users).toHaveLength(3);
      expect(await a.read(room, 2)).toMatchObject({ count: 3, version: 3 });
      expect(await a.read(room, 2)).not.toHaveProperty('users');
      const meta = 'x'.repeat(2_000);
      await Promise.all(Array.from({ length: 66 }, (_, index) => enter(`big ${index}`, `b${index}`, { meta })));
      expect(await a.read(room, 1_000)).not.toHaveProperty('users');
      await Promise.all([1, 2, 3].map((index) => a.leave(room, entry(`big ${index}`, `b${index}`))));
      expect((await a.read(room, 1_000)).users).toHaveLength(66);
    });

    it('knows nobody in a room without entries', async () => {
      expect(await a.list(room, { limit: 10 })).toMatchObject({ users: [] });
      expect(await a.entries(room, { limit: 10 })).toMatchObject({ entries: [] });
      expect(await a.get(room, 'ada')).toBeUndefined();
      expect(await a.lastSeen(room, 'ada')).toBeUndefined();
      expect(await a.count(room)).toEqual({ users: 0, connections: 0 });
    });
  });

  describe('when a node died', () => {
    it('removes its entries once, by two reapers at once and again, and spares users with another device', async () => {
      const users = Array.from({ length: 130 }, (_, index) => `user ${index}`);
      await Promise.all(users.flatMap((id) => [enter(id, `c1 ${id}`), enter(id, `c2 ${id}`)]));
      await a.enter(room, entry('user 7', 'elsewhere', { incarnation: I2 }));
      const other = `${room}/other`;
      await a.enter(other, entry('ada', 'x'));
      const channel = await world().listen(room);
      const reports = (await Promise.all([sweep(a, I1), sweep(b, I1)])).flat();
      const here = reports.filter((report) => report.room === room && report.kind === 'leave');
      expect(here.map(({ user }) => user.id).sort()).toEqual(users.filter((id) => id !== 'user 7').sort());
      expect(reports.filter((report) => report.room === other)).toMatchObject([{ kind: 'leave', empty: true }]);
      expect(await sweep(b, I1)).toEqual([]);
      expect((await a.read(room, 10)).users).toMatchObject([{ id: 'user 7', devices: [{}] }]);
      const versions = (await channel.changes()).map(({ version }) => version);
      expect(versions).toEqual(versions.map((_, index) => (versions[0] ?? 0) + index));
    });

    it('does not let it write over its new incarnation', async () => {
      await enter('ada', 'c1', { device: 'd', meta: 'old' });
      const restored = await enter(
        'ada',
        'c1',
        { device: 'd', meta: 'old', incarnation: I2 },
        { restore: { epoch: undefined } },
      );
      expect(kindOf(restored)).toBe('none');
      expect(kindOf(await enter('ada', 'c1', { device: 'd', meta: 'late' }))).toBe('none');
      expect((await a.update(room, entry('ada', 'c1'), 'late')).kind).toBe('none');
      expect((await a.leave(room, entry('ada', 'c1'))).kind).toBe('none');
      expect(await sweep(b, I1)).toEqual([]);
      expect(await a.get(room, 'ada')).toEqual({ id: 'ada', devices: [{ device: 'd', meta: 'old' }] });
      expect((await a.leave(room, entry('ada', 'c1', { incarnation: I2 }))).kind).toBe('leave');
    });

    it('announces those as joined who were swept and live on', async () => {
      const entered = await enter('ada', 'c1');
      await sweep(b, I1);
      const restore = { epoch: epochOf(entered) };
      const restored = await enter('ada', 'c1', { incarnation: I2 }, { restore });
      expect(kindOf(restored)).toBe('join');
      expect(kindOf(await enter('ada', 'c1', { incarnation: I2 }, { restore }))).toBe('none');
    });

    it('restores beyond every limit: who is restored is connected', async () => {
      await enter('ada', 'c1');
      const restore = { epoch: undefined };
      const restored = await enter('ada', 'c2', {}, { maxPerUser: 1, maxTotal: 1, restore });
      expect(kindOf(restored)).toBe('update');
    });
  });

  describe('when the storage lost everything', () => {
    it('takes everybody back without a join, in a new epoch without holes', async () => {
      const first = await enter('ada', 'c1', { meta: [] });
      await b.enter(room, entry('bob', 'c2', { incarnation: I2 }));
      await world().loseEverything();
      const channel = await world().listen(room);
      const restore = { epoch: epochOf(first) };
      const stranger = await enter('cyd', 'c3');
      const restored = await Promise.all([
        enter('ada', 'c1', { meta: [] }, { restore }),
        b.enter(room, entry('bob', 'c2', { incarnation: I2 }), { restore }),
      ]);
      expect([stranger, ...restored].map(kindOf)).toEqual(['join', 'none', 'none']);
      const changes = await channel.changes();
      expect(changes.map(({ version, quiet }) => [version, quiet ?? false])).toEqual([
        [1, false],
        [2, true],
        [3, true],
      ]);
      expect(changes[0]?.epoch).not.toBe(restore.epoch);
      expect((await a.read(room, 10)).users?.map(({ id }) => id).sort()).toEqual(['ada', 'bob', 'cyd']);
      expect((await a.leave(room, entry('ada', 'c1'))).kind).toBe('leave');
      expect(await sweep(a, I2)).toHaveLength(1);
    });
  });

  describe('when ids are hostile', () => {
    it.each(HOSTILE)('keeps a user called %j apart', async (id) => {
      await enter('ada', 'c0');
      expect(transitionOf(await enter(id, 'c1', { device: id, meta: { id } }))).toMatchObject({
        kind: 'join',
        user: { id, devices: [{ device: id, meta: { id } }] },
      });
      await enter(id, '__proto__', { device: 'two' });
      expect((await b.get(room, id))?.devices).toHaveLength(2);
      expect((await b.list(room, { limit: 10 })).users.map((user) => user.id).sort()).toEqual([id, 'ada'].sort());
      expect((await b.entries(room, { limit: 10 })).entries.filter(({ userId }) => userId === id)).toHaveLength(2);
      expect(await sweep(b, I1)).toContainEqual(expect.objectContaining({ kind: 'leave', user: { id, devices: [] } }));
      expect(typeof (await b.lastSeen(room, id))).toBe('number');
      expect(Object.prototype).not.toHaveProperty('id');
    });
  });
}

function transitionOf(result: EnterResult): PresenceTransition {
  if (result.status !== 'entered') throw new Error(`not entered: ${JSON.stringify(result)}`);
  return result.transition;
}

const kindOf = (result: EnterResult): string => transitionOf(result).kind;

function epochOf(result: EnterResult): string {
  if (result.status !== 'entered') throw new Error(`not entered: ${JSON.stringify(result)}`);
  return result.epoch;
}

function byId<User extends { id: string }>(users: readonly User[]): User[] {
  return [...users].sort((x, y) => (x.id < y.id ? -1 : 1));
}
