import fc from 'fast-check';
import { SmallMap } from './small-map.js';

type Step = { readonly kind: 'set' | 'delete' | 'get' | 'clear'; readonly key: number; readonly value: number };

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind']>('set', 'set', 'delete', 'get', 'clear'),
    key: fc.constantFrom(0, 1, 2, NaN),
    value: fc.nat(9),
  }),
  { maxLength: 30 },
);

function take(map: Map<number, number>, { kind, key, value }: Step): unknown {
  if (kind === 'set') return map.set(key, value) === map;
  if (kind === 'clear') return map.clear();
  return kind === 'delete' ? map.delete(key) : map.get(key);
}

describe('a small map', () => {
  it('does what a Map does, whatever is done to it', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const small = new SmallMap<number, number>();
        const map = new Map<number, number>();
        for (const step of all) {
          expect(take(small, step)).toEqual(take(map, step));
          expect([...small]).toEqual([...map]);
          expect([...small.keys(), ...small.values(), small.size]).toEqual([...map.keys(), ...map.values(), map.size]);
          expect([0, 1, 2, NaN].map((key) => small.has(key))).toEqual([0, 1, 2, NaN].map((key) => map.has(key)));
        }
        const seen: unknown[] = [];
        small.forEach((value, key, self) => seen.push([key, value, self === small]));
        expect(seen).toEqual([...map].map(([key, value]) => [key, value, true]));
      }),
    );
  });
});
