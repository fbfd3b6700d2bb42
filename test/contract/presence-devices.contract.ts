import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { PresenceUser } from 'nestjs-realtime-protocol';
import {
  PresenceTable,
  type EnterResult,
  type Incarnation,
  type PresenceEntry,
  type PresenceStore,
} from '../support/engines.js';
import { Model, step } from './presence-model.js';
import type { PresenceWorld } from './presence-engines.js';

const I1 = 'incarnation-1' as Incarnation;
const I2 = 'incarnation-2' as Incarnation;
const LISTED = 16;

const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index);
const labels = (count: number, from = 0): { device: string }[] =>
  numbers(count, from).map((index) => ({ device: `d${index}` }));

/** What every `PresenceStore` promises of users with many connections. */
export function presenceDevicesContract(world: () => PresenceWorld): void {
  let a: PresenceStore;
  let b: PresenceStore;
  let room: string;

  beforeEach(() => {
    [a, b] = world().stores;
    room = `chat/${randomUUID()}`;
  });

  const ada = (index: number, more: Partial<PresenceEntry> = {}): PresenceEntry => ({
    ...{ userId: 'ada', connectionId: `c${index}`, incarnation: I1, device: `d${index}` },
    ...more,
  });
  const enterMany = async (count: number): Promise<void> => {
    for (const index of numbers(count)) await a.enter(room, ada(index));
  };

  describe('when a user has many devices', () => {
    it('lists the 16 oldest, wherever it is read, and counts the others', async () => {
      await enterMany(40);
      const user = { id: 'ada', devices: labels(LISTED), more: 40 - LISTED };
      expect(await b.get(room, 'ada')).toEqual(user);
      expect((await b.read(room, 10)).users).toEqual([user]);
      expect((await b.list(room, { limit: 10 })).users).toEqual([user]);
      expect(await b.count(room)).toEqual({ users: 1, connections: 40 });
    });

    it('lists all devices of a user with many connections of one', async () => {
      for (const index of numbers(40)) await a.enter(room, ada(index, { device: 'laptop' }));
      await a.enter(room, ada(40, { device: 'phone' }));
      expect(await b.get(room, 'ada')).toEqual({ id: 'ada', devices: [{ device: 'laptop' }, { device: 'phone' }] });
    });

    it('tells, with a listed device that goes, the one that takes its place', async () => {
      await enterMany(18);
      const channel = await world().listen(room);
      expect(await a.leave(room, ada(3))).toMatchObject({ kind: 'update', user: { more: 1 } });
      expect((await channel.changes()).map(({ devices }) => devices)).toEqual([
        [{ id: 'ada', drop: 'd3', set: { device: 'd16' }, more: 1 }],
      ]);
      expect((await b.get(room, 'ada'))?.devices).toEqual([...labels(3), ...labels(13, 4)]);
    });

    it('tells of a device that is not listed nothing but the number of them', async () => {
      await enterMany(17);
      const channel = await world().listen(room);
      await a.enter(room, ada(17, { meta: 'new' }));
      expect((await a.update(room, ada(17), 'changed')).kind).toBe('none');
      await a.leave(room, ada(17));
      await a.leave(room, ada(16));
      expect((await channel.changes()).map(({ devices }) => devices)).toEqual([
        [{ id: 'ada', more: 2 }],
        [{ id: 'ada', more: 1 }],
        [{ id: 'ada', more: 0 }],
      ]);
      expect(await b.get(room, 'ada')).toEqual({ id: 'ada', devices: labels(LISTED) });
    });

    it('publishes what changed, however many connections there are', async () => {
      await a.enter(room, ada(0));
      const channel = await world().listen(room);
      await a.update(room, ada(0), 'one');
      for (const index of numbers(100, 1)) await a.enter(room, ada(index));
      await a.update(room, ada(0), 'two');
      const changes = (await channel.changes()).map((change) => JSON.stringify(change.devices));
      expect(changes.at(0)).toBe('[{"id":"ada","set":{"device":"d0","meta":"one"}}]');
      expect(changes.at(-1)).toBe('[{"id":"ada","set":{"device":"d0","meta":"two"}}]');
    });

    it('goes back to the metadata of the connection before when the newest of a device leaves', async () => {
      for (const index of numbers(3)) await a.enter(room, ada(index, { device: 'phone', meta: index }));
      await a.leave(room, ada(1));
      expect((await b.get(room, 'ada'))?.devices).toEqual([{ device: 'phone', meta: 2 }]);
      expect((await a.leave(room, ada(2))).kind).toBe('update');
      expect((await b.get(room, 'ada'))?.devices).toEqual([{ device: 'phone', meta: 0 }]);
    });

    it('counts bytes of listed devices: labels and metadata, and nothing of the others', async () => {
      const channel = await world().listen(room);
      const meta = 'x'.repeat(2_000);
      for (const index of numbers(100)) await a.enter(room, ada(index, { meta }));
      expect((await b.read(room, 10)).users).toHaveLength(1);
      for (const index of numbers(100).reverse()) await a.leave(room, ada(index));
      const bytes = (await channel.changes()).map((change) => change.bytes ?? 0);
      expect(Math.max(...bytes)).toBeLessThan(LISTED * 2_020);
      expect(bytes.at(-1)).toBe(0);
      const label = '\u0001'.repeat(64);
      const others = numbers(450).map((index) => ({ ...ada(index), userId: `user ${index}`, device: label }));
      await Promise.all(others.map((entry) => a.enter(room, entry)));
      expect(await b.read(room, 1_000)).not.toHaveProperty('users');
    });

    it('evicts at most 16 at a time', async () => {
      await enterMany(40);
      const evict = async (index: number): Promise<number> => {
        const result = await a.enter(room, ada(index), { maxPerUser: 5, onFull: 'evict-oldest' });
        return result.status === 'entered' ? result.evicted.length : -1;
      };
      expect([await evict(40), await evict(41), await evict(42), await evict(43)]).toEqual([16, 16, 6, 1]);
      expect(await b.get(room, 'ada')).toEqual({ id: 'ada', devices: labels(5, 39) });
    });

    it('tells one change for what a dead node had of a user', async () => {
      for (const index of numbers(30)) await a.enter(room, ada(index, { incarnation: index % 2 ? I1 : I2 }));
      const channel = await world().listen(room);
      const kinds: string[] = [];
      await b.sweep(I2, ({ kind }) => kinds.push(kind));
      expect(kinds).toEqual(['update']);
      expect(await channel.changes()).toHaveLength(1);
      expect((await a.get(room, 'ada'))?.devices).toEqual(
        numbers(15).map((index) => ({ device: `d${2 * index + 1}` })),
      );
    });

    it('keeps users and devices apart whose ids hold separators', async () => {
      const ids = ['a', 'a\u001fb', 'a\u001f', 'a\u001e', 'a\u001e_', 'a\u001e-', 'a\u001fb\u001fc', '\u001f', ''];
      for (const [user, userId] of ids.entries()) {
        for (const [index, device] of ids.entries()) {
          await a.enter(room, { userId, connectionId: `c${user}.${index}`, incarnation: I1, device });
        }
      }
      const devices = ids.map((device) => ({ device }));
      for (const id of ids) expect(await b.get(room, id)).toEqual({ id, devices });
      for (const [index] of ids.entries()) {
        await a.leave(room, { userId: 'a', connectionId: `c0.${index}`, incarnation: I1 });
      }
      expect(await b.get(room, 'a')).toBeUndefined();
      expect(await b.get(room, 'a\u001fb')).toEqual({ id: 'a\u001fb', devices });
    });
  });

  describe("when it is a user's own room", () => {
    beforeEach(() => {
      room = `user/${randomUUID()}`;
    });

    it('tells the first connection and the last one, and lists none', async () => {
      const channel = await world().listen(room);
      const entered = [await a.enter(room, ada(0)), await a.enter(room, ada(1)), await b.enter(room, ada(2))];
      expect(entered.map(kindOf)).toEqual(['join', 'none', 'none']);
      expect(entered.map((result) => result.status === 'entered' && result.connections)).toEqual([1, 2, 3]);
      expect((await a.update(room, ada(0), 'meta')).kind).toBe('none');
      expect(await b.get(room, 'ada')).toEqual({ id: 'ada', devices: [], more: 3 });
      expect((await b.read(room, 10)).users).toEqual([{ id: 'ada', devices: [], more: 3 }]);
      const left = [await a.leave(room, ada(0)), await a.leave(room, ada(1)), await a.leave(room, ada(2))];
      expect(left.map(({ kind }) => kind)).toEqual(['none', 'none', 'leave']);
      expect((await channel.changes()).map(({ version, user }) => [version, user])).toEqual([
        [1, { id: 'ada', devices: [], more: 1 }],
        [2, { id: 'ada', devices: [] }],
      ]);
      expect(typeof (await b.lastSeen(room, 'ada'))).toBe('number');
    });

    it('limits, evicts the oldest and replaces a device as any other', async () => {
      for (const index of numbers(3)) await a.enter(room, ada(index, { device: '' }));
      expect(await a.enter(room, ada(3), { maxPerUser: 3 })).toEqual({ status: 'full', count: 3 });
      expect(await a.enter(room, ada(3), { maxPerUser: 3, onFull: 'evict-oldest' })).toMatchObject({
        evicted: [{ connectionId: 'c0' }],
      });
      const options = { replaceDevice: true };
      expect(await a.enter(room, ada(4, { device: 'd3' }), options)).toMatchObject({
        evicted: [{ connectionId: 'c3' }],
      });
      expect(await a.count(room)).toEqual({ users: 1, connections: 3 });
      const kinds: string[] = [];
      await b.sweep(I1, (transition) => transition.room === room && kinds.push(transition.kind));
      expect(kinds).toEqual(['leave']);
    });
  });

  describe('when anything happens in any order', () => {
    it('shows what a plain list of the connections shows', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 120, size: 'max' }), async (steps) => {
          room = `chat/${randomUUID()}`;
          const channel = await world().listen(room);
          const model = new Model();
          for (const run of steps) await run(a, room, model);
          const table = new PresenceTable();
          for (const change of await channel.changes()) expect(table.apply(change)).toBe('applied');
          const users = model.users();
          expect(byId([...table.users.values()])).toEqual(users);
          expect(byId((await b.read(room, 100)).users ?? [])).toEqual(users);
          expect((await b.list(room, { limit: 100 })).users).toEqual(users);
          expect((await b.count(room)).connections).toBe(model.entries.length);
        }),
        { numRuns: 40 },
      );
    });
  });
}

function kindOf(result: EnterResult): string {
  return result.status === 'entered' ? result.transition.kind : result.status;
}

function byId(users: readonly PresenceUser[]): PresenceUser[] {
  return [...users].sort((x, y) => (x.id < y.id ? -1 : 1));
}
