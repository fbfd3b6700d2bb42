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
  it('lets the others of an address wait, first come first served', async () => {
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

  it('serves addresses in turn, each in order of arrival', async () => {
    const queue = new HandshakeQueue({ clock: new ManualClock(), maxRunning: 1, maxWaitMs: 1_000 });
    const begun: string[] = [];
    const ask = (who: string): Promise<void> =>
      queue.run(
        async () => {
          begun.push(who);
          await Promise.resolve();
        },
        { address: who.charAt(0) },
      );
    const flood = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'].map(ask);
    const others = ['b1', 'c1', 'b2'].map(ask);
    await Promise.all([...flood, ...others]);
    expect(begun).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4', 'a5', 'a6']);
    expect(queue.pending).toBe(0);
  });

  it('leaves no turn to an address whose wait has ended', async () => {
    const clock = new ManualClock();
    const queue = new HandshakeQueue({ clock, maxRunning: 1, maxWaitMs: 1_000 });
    let end = (): void => undefined;
    const first = queue.run(() => new Promise<void>((resolve) => (end = resolve)));
    const late = ['a', 'a', 'b'].map((address) => queue.run(() => Promise.resolve(address), { address }));
    const refused = Promise.allSettled(late);
    await clock.advanceAsync(1_000);
    expect((await refused).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const next = queue.run(() => Promise.resolve('c'), { address: 'c' });
    end();
    await first;
    expect(await next).toBe('c');
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
