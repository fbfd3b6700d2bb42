import { Logger } from '@nestjs/common';
import { noMetrics } from '../../core/metrics.js';
import type { RateHit, RateStore } from '../rate-store.js';
import { RealtimeThrottlerStorage } from './realtime-throttler.storage.js';

const storeOf = (answer: () => Promise<RateHit>): RateStore & { asked: unknown[] } => {
  const asked: unknown[] = [];
  return {
    asked,
    hit: (...question) => {
      asked.push(question);
      return answer();
    },
  };
};

describe('when the throttler counts in the shared store', () => {
  it('gives milliseconds, and returns whole seconds, rounded up', async () => {
    const store = storeOf(async () => ({ hits: 3, expiresInMs: 1_001, isBlocked: true, blockExpiresInMs: 59_001 }));
    expect(await new RealtimeThrottlerStorage(store).increment('key', 60_000, 2, 30_000, 'default')).toEqual({
      totalHits: 3,
      timeToExpire: 2,
      isBlocked: true,
      timeToBlockExpire: 60,
    });
    expect(store.asked).toEqual([['default:key', { ttlMs: 60_000, limit: 2, blockMs: 30_000 }]]);
  });

  it('admits and counts while the store is away', async () => {
    Logger.overrideLogger(false);
    const dropped: string[] = [];
    const store = storeOf(() => Promise.reject(new Error('no Redis')));
    const storage = new RealtimeThrottlerStorage(store, { ...noMetrics, dropped: (kind) => dropped.push(kind) });
    const records = [await storage.increment('k', 1_000, 1, 0, 'a'), await storage.increment('k', 1_000, 1, 0, 'a')];
    expect(records.map(({ isBlocked }) => isBlocked)).toEqual([false, false]);
    expect(dropped).toEqual(['throttle', 'throttle']);
  });
});
