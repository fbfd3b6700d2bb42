import { ManualClock } from '../testing/manual-clock.js';
import { HandshakeQueue } from './handshake-queue.js';

/** Checks that end when the test says so, in the order in which they began. */
function storm(count: number) {
  const clock = new ManualClock();
  const queue = new HandshakeQueue({ clock, maxRunning: 2, maxWaitMs: 10_000 }, () => 0.5);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const check = (id: number) => async (): Promise<number> => {
    begun.push(id);
    await new Promise<void>((resolve) => ends.push(resolve));
    return id;
  };
  const results = Array.from({ length: count }, (_, id) => queue.run(check(id)));
  for (const result of results) result.catch(() => undefined);
  const endFirst = async (): Promise<void> => {
    ends.shift()?.();
    await clock.advanceAsync(0);
  };
  return { clock, queue, begun, results, endFirst };
}

describe('when more handshakes come than are checked at a time', () => {
  it('lets the others wait, first come first served', async () => {
    const { clock, queue, begun, results, endFirst } = storm(5);
    expect(begun).toEqual([0, 1]);
    expect(queue.pending).toBe(5);
    for (let ended = 1; ended <= 5; ended += 1) {
      await endFirst();
      expect(begun).toHaveLength(Math.min(5, 2 + ended));
    }
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    expect(await Promise.all(results)).toEqual([0, 1, 2, 3, 4]);
    expect([queue.pending, clock.pending]).toEqual([0, 0]);
  });

  it('tells those who wait too long when to come back, and goes on with the others', async () => {
    const { clock, queue, begun, results, endFirst } = storm(3);
    await clock.advanceAsync(9_999);
    await endFirst();
    expect(begun).toEqual([0, 1, 2]);
    const late = queue.run(() => Promise.resolve(3));
    const refused = expect(late).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, retryAfterMs: 3_000 });
    await clock.advanceAsync(10_000);
    await refused;
    await endFirst();
    await endFirst();
    expect(await Promise.all(results)).toEqual([0, 1, 2]);
    expect([queue.pending, clock.pending]).toEqual([0, 0]);
  });

  it('goes on after a check that fails', async () => {
    const queue = new HandshakeQueue({ clock: new ManualClock(), maxRunning: 1, maxWaitMs: 1_000 });
    const failing = queue.run(() => Promise.reject(new Error('no')));
    const next = queue.run(() => Promise.resolve('yes'));
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
    expect(queue.pending).toBe(0);
  });
});
