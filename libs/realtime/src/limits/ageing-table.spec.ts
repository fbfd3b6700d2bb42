import { ManualClock } from '../testing/manual-clock.js';
import { AgeingTable, type Ageing } from './ageing-table.js';

class Until implements Ageing {
  isForgotten = false;

  constructor(readonly fullAt: number) {}

  isFull(now: number): boolean {
    return now >= this.fullAt;
  }
}

describe('when budgets are kept by name', () => {
  let clock: ManualClock;
  let table: AgeingTable<Until>;

  beforeEach(() => {
    clock = new ManualClock();
    table = new AgeingTable(
      () => clock.now(),
      (entry) => (entry.isForgotten = true),
    );
  });

  it('finds one until it is full again', () => {
    const entry = new Until(1_000);
    table.add('a', entry);
    clock.advance(999);
    expect(table.find('a')).toBe(entry);
    clock.advance(1);
    expect(table.find('a')).toBeUndefined();
    expect([table.size, entry.isForgotten]).toEqual([0, true]);
  });

  it('forgets those that are full while others come, also behind one that stays', () => {
    table.add('busy', new Until(Infinity));
    for (let nth = 0; nth < 1_000; nth += 1) table.add(`early ${nth}`, new Until(1_000));
    clock.advance(1_000);
    for (let nth = 0; nth < 1_000; nth += 1) table.add(`late ${nth}`, new Until(Infinity));
    expect(table.size).toBe(1_001);
    expect(table.find('busy')).toBeDefined();
  });

  it('holds at most 10 000, and forgets the oldest for a new one', () => {
    const entries = Array.from({ length: 10_005 }, () => new Until(Infinity));
    for (const [nth, entry] of entries.entries()) table.add(`key ${nth}`, entry);
    expect(table.size).toBe(10_000);
    expect(entries.filter(({ isForgotten }) => isForgotten)).toEqual(entries.slice(0, 5));
    expect(table.find('key 4')).toBeUndefined();
    expect(table.find('key 5')).toBe(entries[5]);
  });

  it('leaves a place to the entry that has it now', () => {
    const [old, next] = [new Until(0), new Until(Infinity)];
    table.add('a', old);
    expect(table.find('a')).toBeUndefined();
    table.add('a', next);
    expect(table.forgetIfFull('a', old)).toBe(true);
    expect(table.find('a')).toBe(next);
  });
});
