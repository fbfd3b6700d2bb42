import fc from 'fast-check';
import type { PresenceUser } from 'nestjs-realtime-protocol';
import type { EnterOptions, Incarnation, PresenceEntry, PresenceStore } from '../support/engines.js';

const I1 = 'incarnation-1' as Incarnation;
const I2 = 'incarnation-2' as Incarnation;
const LISTED = 16;

/** Connections of a room, oldest first. */
export class Model {
  entries: PresenceEntry[] = [];

  enter(entry: PresenceEntry, { restore, replaceDevice, maxPerUser = 0 }: EnterOptions): void {
    const at = this.entries.findIndex(({ connectionId }) => connectionId === entry.connectionId);
    const known = this.entries[at];
    if (known && known.incarnation !== entry.incarnation && !restore) return;
    if (known?.device === entry.device) {
      this.entries[at] = entry;
      return;
    }
    this.entries = this.entries.filter((other) => other !== known);
    if (!known && !restore) {
      if (replaceDevice) this.entries = this.entries.filter((other) => !isSame(other, entry));
      const own = this.entries.filter(({ userId }) => userId === entry.userId);
      const gone = maxPerUser > 0 ? own.slice(0, Math.max(own.length - maxPerUser + 1, 0)) : [];
      this.entries = this.entries.filter((other) => !gone.includes(other));
    }
    this.entries.push(entry);
  }

  users(): PresenceUser[] {
    const ids = [...new Set(this.entries.map(({ userId }) => userId))].sort();
    return ids.map((id) => {
      const devices = new Map<string, PresenceUser['devices'][number]>();
      for (const { userId, device, meta } of this.entries) {
        if (userId === id) devices.set(device, meta === undefined ? { device } : { device, meta });
      }
      const more = devices.size - LISTED;
      return { id, devices: [...devices.values()].slice(0, LISTED), ...(more > 0 && { more }) };
    });
  }
}

type Step = (store: PresenceStore, room: string, model: Model) => Promise<unknown>;

const entryOf = fc
  .record({
    user: fc.constantFrom('u0', 'u0', 'u0', 'u1'),
    connection: fc.nat(39),
    device: fc.oneof(fc.constantFrom('x', 'y'), fc.nat(30).map(String)),
    incarnation: fc.constantFrom(I1, I1, I2),
    meta: fc.constantFrom(undefined, 0, 1),
  })
  .map(({ user, connection, device, incarnation, meta }): PresenceEntry => {
    const ids = { userId: user, connectionId: `${user}.${connection}`, incarnation, device };
    return meta === undefined ? ids : { ...ids, meta };
  });
const options = fc.constantFrom<EnterOptions>(
  ...[{}, {}, {}, {}, {}, { restore: { epoch: undefined } }, { replaceDevice: true }],
  { maxPerUser: 17, onFull: 'evict-oldest' },
);
/** One call of a store, and of the model. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(entryOf, options).map(([entry, how]): Step =>
      Object.assign(
        (store: PresenceStore, room: string, model: Model) => {
          model.enter(entry, how);
          return store.enter(room, entry, how);
        },
        { toString: () => `enter ${JSON.stringify([entry, how])}` },
      ),
    ),
  },
  {
    weight: 3,
    arbitrary: entryOf.map((entry): Step => {
      const leave: Step = (store, room, model) => {
        model.entries = model.entries.filter((other) => !isOwned(other, entry));
        return store.leave(room, entry);
      };
      return Object.assign(leave, { toString: () => `leave ${JSON.stringify(entry)}` });
    }),
  },
  {
    weight: 3,
    arbitrary: entryOf.map((entry): Step => {
      const update: Step = (store, room, model) => {
        model.entries = model.entries.map((other) =>
          isOwned(other, entry) ? { ...entry, device: other.device } : other,
        );
        return store.update(room, entry, entry.meta);
      };
      return Object.assign(update, { toString: () => `update ${JSON.stringify(entry)}` });
    }),
  },
);

function isOwned(known: PresenceEntry, by: PresenceEntry): boolean {
  return known.connectionId === by.connectionId && known.incarnation === by.incarnation;
}

function isSame(one: PresenceEntry, other: PresenceEntry): boolean {
  return one.userId === other.userId && one.device === other.device;
}
