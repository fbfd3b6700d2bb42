import { randomBytes } from 'node:crypto';
import { RealtimeEmitter } from 'nestjs-realtime/emitter';
import { eventually } from '../support/eventually.js';
import { promised } from '../support/promised.js';
import { startRedis } from '../support/redis.js';

const silent = { log: () => undefined, warn: () => undefined, error: () => undefined };
const PUBLISH_TIMEOUT_MS = 400;
/** Below the default of the option, which would show that the given one is ignored. */
const WITHIN_MS = promised(5_000, 'docs/guides/emitter.md: publishTimeoutMs, by default 5 s');

describe('when Redis is away from an emitter', () => {
  it('refuses within its deadline, and carries on when Redis is back', async () => {
    await using redis = await startRedis();
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    const own = new RealtimeEmitter({
      redis: { url: redis.url, keyPrefix },
      publishTimeoutMs: PUBLISH_TIMEOUT_MS,
      logger: silent,
    });
    await own.ready();
    await redis.stop();
    await eventually(() => expect(own.isUp).toBe(false));
    const since = performance.now();
    const calls = [
      own.toUser('ada').publish('note', 1),
      own.toUser('ada').publish('note', 1, { volatile: true, id: 'v' }),
      own.disconnect({ userId: 'ada' }),
      own.revoke({ userId: 'ada' }),
    ];
    own.toRoom('chat/1').emit('hint');
    const outcomes = await Promise.allSettled(calls);
    expect(performance.now() - since).toBeLessThan(WITHIN_MS);
    const unavailable = { status: 'rejected', reason: expect.objectContaining({ code: 'UNAVAILABLE' }) };
    expect(outcomes).toEqual(calls.map(() => unavailable));
    await redis.restart();
    const patient = new RealtimeEmitter({ redis: { url: redis.url, keyPrefix }, logger: silent });
    expect(await patient.toUser('ada').publish('note', 2)).toMatchObject({ offset: 1 });
    await Promise.all([own.close(), patient.close(), patient.close()]);
    await expect(patient.toUser('ada').publish('note', 3)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(patient.disconnect({ userId: 'ada' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
