import { RestartBackoff } from './restart-backoff.js';

const limits = { minDelayMs: 100, maxDelayMs: 1_000 };

function delays(random: () => number, servedMs: readonly number[]): number[] {
  const backoff = new RestartBackoff(limits, random);
  return servedMs.map((ms) => backoff.afterDeath(ms));
}

describe('when a worker dies again and again', () => {
  it.each([
    { random: 1, expected: [200, 400, 800, 1_000, 1_000] },
    { random: 0.5, expected: [150, 250, 450, 550, 550] },
    { random: 0, expected: [100, 100, 100, 100, 100] },
  ])('waits up to twice as long each time, never less than the least: $random', ({ random, expected }) => {
    expect(delays(() => random, [0, 0, 0, 0, 0])).toEqual(expected);
  });

  it('counts short service as a death like any other', () => {
    expect(delays(() => 1, [0, 900, 1_000])).toEqual([200, 400, 800]);
  });

  it('forgets the deaths before a long service', () => {
    expect(delays(() => 1, [0, 0, 0, 1_001, 0])).toEqual([200, 400, 800, 200, 400]);
  });

  it('stays finite after a thousand deaths', () => {
    expect(delays(() => 1, Array<number>(1_100).fill(0)).at(-1)).toBe(1_000);
  });
});
