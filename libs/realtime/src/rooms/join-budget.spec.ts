import type { Link } from '../core/link.js';
import { ManualClock } from '../testing/manual-clock.js';
import { JoinBudget, whenSendable } from './join-budget.js';
import type { Recovery } from './room-recovery.js';

const recovery = (bytes: number, attachments = 0): Recovery => ({
  ...{ position: { epoch: 'e', offset: 1 }, recovered: true, publications: [] },
  ...{ bytes, attachments },
});

describe('what one answer carries', () => {
  it('is bounded for all rooms together; what does not fit is asked for again', () => {
    const budget = new JoinBudget(100);
    expect(budget.take(recovery(60))).toMatchObject({ recovered: true });
    expect(() => budget.take(recovery(50))).toThrow(
      expect.objectContaining({ code: 'UNAVAILABLE', retryAfterMs: 500 }),
    );
    expect(budget.take(recovery(40))).toMatchObject({ recovered: true });
    expect(budget.take({ position: { epoch: 'e', offset: 1 }, bytes: 0, attachments: 0 })).toBeDefined();
    expect(budget.take(undefined)).toBeUndefined();
  });

  it('is not what would never fit', () => {
    expect(new JoinBudget(100).take(recovery(101))).toEqual({
      ...{ position: { epoch: 'e', offset: 1 }, recovered: false },
      ...{ bytes: 0, attachments: 0 },
    });
  });

  it('has no more binary values than a client accepts in one packet', () => {
    const budget = new JoinBudget(100);
    expect(budget.take(recovery(1, 11))?.recovered).toBe(false);
    expect(budget.take(recovery(1, 6))?.recovered).toBe(true);
    expect(() => budget.take(recovery(1, 5))).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
  });
});

describe('when a client is slow', () => {
  const slow = () => {
    const listeners = new Set<() => void>();
    const link = {
      pendingBytes: 200,
      onDrain: (listener: () => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    return { link, listeners, drain: () => listeners.forEach((listener) => listener()) };
  };

  it('waits until less than the half is left', async () => {
    const { link, listeners, drain } = slow();
    const clock = new ManualClock();
    const sendable = whenSendable(link as unknown as Link, 100, clock);
    drain();
    expect(listeners.size).toBe(1);
    link.pendingBytes = 99;
    drain();
    await sendable;
    expect(listeners.size).toBe(0);
    expect(clock.pending).toBe(0);
    await whenSendable(link as unknown as Link, 100, clock);
  });

  it('gives up after 5 s', async () => {
    const { link, listeners } = slow();
    const clock = new ManualClock();
    const sendable = whenSendable(link as unknown as Link, 100, clock);
    clock.advance(5_000);
    await expect(sendable).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 500 });
    expect(listeners.size).toBe(0);
  });
});
