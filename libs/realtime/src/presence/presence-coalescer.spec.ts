import type { PresenceUser } from 'nestjs-realtime-protocol';
import { PresenceCoalescer } from './presence-coalescer.js';
import { PresenceTable } from './presence-table.js';

const SETTLE_MS = 6_000;
const user = (id: string, ...devices: string[]): PresenceUser => ({
  id,
  devices: devices.map((device) => ({ device })),
});

/** A room with `told` users at (e, 10), and what then happens to it. */
function roomOf(...told: PresenceUser[]) {
  const table = new PresenceTable();
  const coalescer = new PresenceCoalescer('r', SETTLE_MS);
  table.load({ epoch: 'e', version: 10, users: told });
  coalescer.begin(table);
  const change = (...users: PresenceUser[]): void => {
    for (const next of users) {
      table.apply({ epoch: table.epoch, version: table.version + 1, user: next, count: 0 });
      coalescer.note(next.id);
    }
  };
  const snapshot = (epoch: string, version: number, nowMs: number, ...users: PresenceUser[]): void => {
    table.load({ epoch, version, users });
    coalescer.noteAll(table, nowMs);
  };
  return { table, coalescer, change, snapshot, flush: (nowMs = 0) => coalescer.flush(table, nowMs) };
}

const ada = user('ada', 'd');
const bob = user('bob', 'd');

describe('when users changed between two flushes', () => {
  it.each<{ name: string; told: PresenceUser[]; changes: PresenceUser[]; diff: object | undefined }>([
    { name: 'a join', told: [], changes: [ada], diff: { from: 10, to: 11, join: [ada] } },
    { name: 'a leave', told: [ada], changes: [user('ada')], diff: { from: 10, to: 11, leave: ['ada'] } },
    { name: 'an update', told: [ada], changes: [user('ada', 'x')], diff: { to: 11, update: [user('ada', 'x')] } },
    { name: 'a join and a leave', told: [], changes: [ada, user('ada')], diff: undefined },
    { name: 'a leave and a join', told: [ada], changes: [user('ada'), ada], diff: undefined },
    { name: 'there and back', told: [ada], changes: [user('ada', 'x'), ada], diff: undefined },
    { name: 'a join and its update', told: [], changes: [ada, user('ada', 'x')], diff: { join: [user('ada', 'x')] } },
    {
      name: 'several users',
      told: [ada],
      changes: [user('ada'), bob, user('cyd', 'd'), user('cyd')],
      diff: { from: 10, to: 14, leave: ['ada'], join: [bob] },
    },
  ])('tells the difference: $name', ({ told, changes, diff }) => {
    const room = roomOf(...told);
    room.change(...changes);
    const flushed = room.flush().diff;
    if (diff === undefined) expect(flushed).toBeUndefined();
    else expect(flushed).toMatchObject({ room: 'r', epoch: 'e', ...diff });
    expect(room.flush()).toEqual({ diff: undefined, nextAtMs: undefined });
  });

  it('begins each diff where the last thing told ended, also after changes that cancelled out', () => {
    const room = roomOf();
    room.change(ada, user('ada'));
    room.flush();
    expect(room.coalescer.state()).toEqual({ epoch: 'e', version: 10, count: 0, users: [] });
    room.change(bob);
    expect(room.flush().diff).toMatchObject({ from: 10, to: 13 });
    expect(room.coalescer.state()).toEqual({ epoch: 'e', version: 13, count: 1, users: [bob] });
  });
});

describe('when a snapshot of the same epoch repairs a hole', () => {
  it('tells leaves at once', () => {
    const room = roomOf(ada);
    room.snapshot('e', 20, 0, bob);
    expect(room.flush().diff).toEqual({ room: 'r', epoch: 'e', from: 10, to: 20, join: [bob], leave: ['ada'] });
  });
});

describe('when the epoch changes', () => {
  it('says nothing if everybody is there', () => {
    const room = roomOf(ada, bob);
    room.snapshot('f', 2, 0, bob, ada);
    expect(room.flush()).toEqual({ diff: undefined, nextAtMs: undefined });
  });

  it('holds leaves back until the missing are restored', () => {
    const room = roomOf(ada, bob);
    room.snapshot('', 0, 1_000);
    expect(room.flush(1_100)).toEqual({ diff: undefined, nextAtMs: 7_000 });
    room.snapshot('f', 2, 3_000, ada, bob);
    expect(room.flush(3_000)).toEqual({ diff: undefined, nextAtMs: undefined });
    expect(room.flush(9_000)).toEqual({ diff: undefined, nextAtMs: undefined });
  });

  it('tells the leaves of those who do not come back, counted from the first snapshot without them', () => {
    const room = roomOf(ada, bob);
    room.snapshot('', 0, 1_000);
    room.snapshot('f', 1, 4_000, bob);
    expect(room.flush(6_999)).toEqual({ diff: undefined, nextAtMs: 7_000 });
    expect(room.coalescer.state().users).toEqual([ada, bob]);
    expect(room.flush(7_000).diff).toEqual({ room: 'r', epoch: 'f', from: 10, to: 1, leave: ['ada'] });
  });

  it('tells a leave that the store announces in the new epoch at once', () => {
    const room = roomOf(ada, bob);
    room.snapshot('f', 1, 0, bob);
    room.change(user('ada'));
    expect(room.flush(100).diff).toMatchObject({ leave: ['ada'] });
  });

  it('tells joins and updates without waiting', () => {
    const room = roomOf(ada);
    room.snapshot('f', 2, 0, user('ada', 'x'), bob);
    expect(room.flush().diff).toMatchObject({ join: [bob], update: [user('ada', 'x')] });
  });
});

describe('when devices of users changed', () => {
  it('tells the users, and apart from them what changed', () => {
    const room = roomOf(user('ada', 'a', 'b'), bob);
    room.change(user('ada', 'b', 'c'), user('cyd', 'd'));
    expect(room.flush()).toMatchObject({
      diff: { from: 10, to: 12, join: [user('cyd', 'd')], update: [user('ada', 'b', 'c')] },
      partial: {
        ...{ room: 'r', epoch: 'e', from: 10, to: 12, join: [user('cyd', 'd')] },
        devices: [{ id: 'ada', drop: 'a', set: { device: 'c' } }],
      },
    });
    expect(room.flush().partial).toBeUndefined();
  });

  it('has nothing to tell apart if none did', () => {
    const room = roomOf(bob);
    room.change(user('cyd', 'd'), user('bob'));
    expect(room.flush()).toMatchObject({ diff: { join: [user('cyd', 'd')], leave: ['bob'] }, partial: undefined });
  });
});

describe('when the list was given up and comes back', () => {
  it('tells the whole list from version 0, even an empty one', () => {
    const room = roomOf(ada, bob);
    room.coalescer.clear();
    room.snapshot('e', 30, 0, ada);
    expect(room.flush().diff).toEqual({ room: 'r', epoch: 'e', from: 0, to: 30, join: [ada] });
    room.coalescer.clear();
    room.snapshot('e', 31, 0);
    expect(room.flush().diff).toEqual({ room: 'r', epoch: 'e', from: 0, to: 31 });
    expect(room.flush().diff).toBeUndefined();
  });
});
