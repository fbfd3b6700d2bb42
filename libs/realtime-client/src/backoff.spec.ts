import { backoffMs } from './backoff.js';

describe('backoffMs', () => {
  it.each([
    [0, 0.5, 1_000],
    [1, 0.5, 2_000],
    [2, 0.5, 4_000],
    [4, 0.5, 10_000],
    [9, 0.5, 10_000],
    [5_000, 0.5, 10_000],
  ])('of attempt %i at %f of its range is %i ms', (attempt, random, expected) => {
    expect(backoffMs(attempt, random)).toBe(expected);
  });

  it('reaches from nothing to just below 20 s', () => {
    expect(backoffMs(8, 0)).toBe(0);
    expect(backoffMs(8, 0.999_999)).toBe(19_999);
  });
});
