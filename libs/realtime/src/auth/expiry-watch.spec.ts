import { ManualClock } from '../testing/manual-clock.js';
import { ExpiryWatch } from './expiry-watch.js';

const setUp = () => {
  const clock = new ManualClock();
  const seen: string[] = [];
  const errors: unknown[] = [];
  const watch = new ExpiryWatch<string>({
    clock,
    refreshLeadMs: 30_000,
    expiryGraceMs: 25_000,
    onError: (error) => errors.push(error),
  });
  const at = (): number => clock.now() / 1_000;
  const add = (key: string, inMs: number): void =>
    watch.watch(key, clock.unixNow() + inMs, {
      onRefreshDue: () => seen.push(`${key} due ${at()}`),
      onExpired: () => seen.push(`${key} expired ${at()}`),
    });
  return { clock, watch, seen, errors, add };
};

describe('when tokens come to their end', () => {
  it('asks before it and ends after the grace, with one timer for all', () => {
    const { clock, watch, seen, add } = setUp();
    add('a', 60_000);
    add('b', 90_000);
    add('c', 60_000);
    expect(clock.pending).toBe(1);
    clock.advance(84_000);
    expect(seen).toEqual(['a due 30', 'c due 30', 'b due 60']);
    clock.advance(60_000);
    expect(seen.slice(3)).toEqual(['a expired 85', 'c expired 85', 'b expired 115']);
    expect([watch.size, clock.pending]).toEqual([0, 0]);
  });

  it('never fires early, whatever the milliseconds', () => {
    const { clock, seen, add } = setUp();
    clock.advance(999);
    add('a', 30_001);
    clock.advance(1_000);
    expect(seen).toEqual(['a due 1.999']);
    clock.advance(54_000);
    expect(seen).toHaveLength(1);
    clock.advance(1_000);
    expect(seen[1]).toBe('a expired 56.999');
  });

  it('asks at once when the end is near or past', () => {
    const { clock, seen, add } = setUp();
    add('a', 5_000);
    add('b', -3_000);
    clock.advance(1_000);
    expect(seen).toEqual(['a due 1', 'b due 1']);
    clock.advance(29_000);
    expect(seen.slice(2)).toEqual(['b expired 22', 'a expired 30']);
  });

  it('starts anew with a new token and forgets what is gone', () => {
    const { clock, watch, seen, add } = setUp();
    add('a', 60_000);
    add('b', 60_000);
    clock.advance(31_000);
    add('a', 100_000);
    watch.unwatch('b');
    watch.unwatch('nobody');
    clock.advance(100_000);
    expect(seen).toEqual(['a due 30', 'b due 30', 'a due 101']);
    watch.close();
    expect(clock.pending).toBe(0);
  });

  it('reaches beyond 2^31 ms', () => {
    const { clock, seen, add } = setUp();
    const days40 = 40 * 86_400_000;
    add('a', days40);
    clock.advance(2_147_484_000);
    expect(seen).toEqual([]);
    clock.advance(days40 - 2_147_484_000);
    expect(seen).toHaveLength(1);
  });
});

describe('when the wall clock jumps', () => {
  it('catches up forwards at the next tick', () => {
    const { clock, seen, add } = setUp();
    add('a', 3_600_000);
    add('b', 7_200_000);
    clock.advance(5_000);
    clock.jumpUnix(3_600_000 + 30_000);
    clock.advance(1_000);
    expect(seen).toEqual(['a due 6']);
    clock.advance(1_000);
    expect(seen).toEqual(['a due 6', 'a expired 7']);
  });

  it('waits for the new time backwards, and asks newcomers in time', () => {
    const { clock, seen, add } = setUp();
    add('a', 60_000);
    clock.advance(20_000);
    clock.jumpUnix(-3_600_000);
    clock.advance(1_000);
    add('b', 31_000);
    clock.advance(2_000);
    expect(seen).toEqual(['b due 22']);
    clock.advance(3_610_000);
    expect(seen).toContain('a due 3630');
  });
});

describe('when a handler misbehaves', () => {
  it('reports the throw and calls the others', () => {
    const { clock, watch, seen, errors, add } = setUp();
    const handlers = {
      onRefreshDue: () => {
        throw new Error('bug');
      },
      onExpired: () => watch.unwatch('c'),
    };
    watch.watch('x', clock.unixNow() + 40_000, handlers);
    add('c', 40_000);
    clock.advance(65_000);
    expect(errors).toHaveLength(1);
    expect(seen).toEqual(['c due 10']);
  });
});
