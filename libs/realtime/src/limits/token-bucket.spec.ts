import fc from 'fast-check';
import { fullBucket, takeToken } from './token-bucket.js';

const rate = { perSecond: 10, burst: 3 };

describe('when messages arrive faster than the rate', () => {
  it('lets a burst through, then says how long the next token takes', () => {
    const bucket = fullBucket(0, rate);
    expect([takeToken(bucket, 0, rate), takeToken(bucket, 0, rate), takeToken(bucket, 0, rate)]).toEqual([0, 0, 0]);
    expect(takeToken(bucket, 0, rate)).toBe(100);
    expect(takeToken(bucket, 60, rate)).toBe(40);
    expect(takeToken(bucket, 100, rate)).toBe(0);
  });

  it('never holds more than the burst, however long the pause', () => {
    const bucket = fullBucket(0, rate);
    const taken = [0, 0, 0, 0].map(() => takeToken(bucket, 1_000_000, rate));
    expect(taken).toEqual([0, 0, 0, 100]);
  });

  it('gives nothing for time that runs backwards, and counts that time once', () => {
    const bucket = fullBucket(1_000, { perSecond: 10, burst: 1 });
    const slow = { perSecond: 10, burst: 1 };
    expect(takeToken(bucket, 1_000, slow)).toBe(0);
    expect(takeToken(bucket, 500, slow)).toBe(100);
    expect(takeToken(bucket, 1_050, slow)).toBe(50);
  });

  it('has no limit at 0 per second', () => {
    const off = { perSecond: 0, burst: 0 };
    const bucket = fullBucket(0, off);
    expect(Array.from({ length: 1_000 }, () => takeToken(bucket, 0, off)).every((wait) => wait === 0)).toBe(true);
  });

  it('never admits more than burst plus rate times time, and the advice is enough', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 200 }),
        (perSecond, burst, gaps) => {
          const limits = { perSecond, burst };
          const bucket = fullBucket(0, limits);
          let now = 0;
          let admitted = 0;
          for (const gap of gaps) {
            now += gap;
            const waitMs = takeToken(bucket, now, limits);
            if (waitMs === 0) admitted += 1;
            else expect(takeToken({ ...bucket }, now + waitMs, limits)).toBe(0);
          }
          expect(admitted).toBeLessThanOrEqual(burst + (now * perSecond) / 1_000 + 1e-6);
        },
      ),
    );
  });
});
