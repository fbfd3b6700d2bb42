import type { PresenceChange } from './presence-store.js';
import { PresenceTable } from './presence-table.js';

const ada = { id: 'ada', devices: [{ device: 'd' }] };
const gone = { id: 'ada', devices: [] };
const change = (epoch: string, version: number, user = ada): PresenceChange => ({ epoch, version, user, count: 1 });

describe('when a change arrives', () => {
  it.each([
    { at: ['e', 4], change: change('e', 5), result: 'applied' },
    { at: ['e', 4], change: change('e', 4), result: 'stale' },
    { at: ['e', 4], change: change('e', 1), result: 'stale' },
    { at: ['e', 4], change: change('e', 6), result: 'gap' },
    { at: ['e', 4], change: change('f', 5), result: 'gap' },
    { at: ['e', 4], change: change('f', 1), result: 'gap' },
    { at: ['', 0], change: change('f', 1), result: 'applied' },
    { at: ['', 0], change: change('f', 2), result: 'gap' },
  ] as const)('is $result: $change.epoch $change.version at $at', ({ at: [epoch, version], change, result }) => {
    const table = new PresenceTable();
    table.load({ epoch, version, users: [] });
    expect(table.apply(change)).toBe(result);
    expect([table.epoch, table.version]).toEqual(
      result === 'applied' ? [change.epoch, change.version] : [epoch, version],
    );
    expect(table.users.size).toBe(result === 'applied' ? 1 : 0);
  });

  it('changes devices of a user who is there, and misses something if nobody is', () => {
    const table = new PresenceTable();
    table.load({ epoch: 'e', version: 1, users: [ada] });
    const devices = [{ id: 'ada', set: { device: 'new' } }];
    expect(table.apply({ epoch: 'e', version: 2, devices, count: 1 })).toBe('applied');
    expect(table.users.get('ada')).toEqual({ id: 'ada', devices: [...ada.devices, { device: 'new' }] });
    const others = [{ id: 'bob', drop: 'd' }];
    expect(table.apply({ epoch: 'e', version: 3, devices: others, count: 1 })).toBe('gap');
    expect([table.version, [...table.users.keys()]]).toEqual([2, ['ada']]);
  });

  it('drops a user without devices', () => {
    const table = new PresenceTable();
    table.load({ epoch: 'e', version: 1, users: [ada] });
    expect(table.apply(change('e', 2, gone))).toBe('applied');
    expect([...table.users]).toEqual([]);
  });
});

describe('when a snapshot is loaded', () => {
  it('replaces everything, by an older version too', () => {
    const table = new PresenceTable();
    table.load({ epoch: 'e', version: 9, users: [ada] });
    table.load({ epoch: 'e', version: 2, users: [{ id: '__proto__', devices: [] }] });
    expect([table.version, [...table.users.keys()]]).toEqual([2, ['__proto__']]);
  });
});
