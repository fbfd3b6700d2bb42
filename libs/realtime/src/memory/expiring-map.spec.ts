import { ManualClock } from '../testing/manual-clock.js';
import { ExpiringMap } from './expiring-map.js';

describe('when values expire', () => {
  it('forgets them after their time, counted from the last set', () => {
    const clock = new ManualClock();
    const map = new ExpiringMap<number>(clock, 100, 10);
    map.set('a', 1);
    clock.advance(60);
    map.set('b', 2);
    map.set('a', 3);
    clock.advance(60);
    expect([map.get('a'), map.get('b')]).toEqual([3, 2]);
    clock.advance(40);
    expect([map.get('a'), map.get('b')]).toEqual([undefined, undefined]);
  });

  it('keeps the newest beyond its size', () => {
    const map = new ExpiringMap<number>(new ManualClock(), 100, 2);
    for (const [index, key] of ['a', 'b', 'c'].entries()) map.set(key, index);
    map.delete('b');
    expect(['a', 'b', 'c'].map((key) => map.get(key))).toEqual([undefined, undefined, 2]);
  });
});
