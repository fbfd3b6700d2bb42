import type { Cancel, Clock } from '../core/clock.js';

interface Timer {
  readonly id: number;
  readonly task: () => void;
  readonly intervalMs: number | undefined;
  dueAt: number;
}

/** Lets promise chains of any practical length settle: a macrotask runs only when the microtask queue is empty. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A clock that stands still until a test moves it. Timers run in the order of their due times, and in the order of
 * their creation when due together; each sees `now()` at its own due time, also in one long `advance`.
 */
export class ManualClock implements Clock {
  private readonly timers = new Map<number, Timer>();
  private nextId = 1;
  private elapsedMs = 0;
  private unixOffsetMs: number;

  /** @param unixStartMs what `unixNow()` says at the start; default 2026-01-01T00:00:00Z. */
  constructor(unixStartMs: number = Date.UTC(2026, 0, 1)) {
    this.unixOffsetMs = unixStartMs;
  }

  now(): number {
    return this.elapsedMs;
  }

  unixNow(): number {
    return this.unixOffsetMs + this.elapsedMs;
  }

  after(delayMs: number, task: () => void): Cancel {
    return this.arm(Math.max(delayMs, 0), task, undefined);
  }

  every(intervalMs: number, task: () => void): Cancel {
    if (!(intervalMs > 0)) throw new RangeError(`every(${intervalMs}): the interval must be above 0 ms`);
    return this.arm(intervalMs, task, intervalMs);
  }

  /** Timers that are still armed: 0 at the end of a test means nothing was left behind. */
  get pending(): number {
    return this.timers.size;
  }

  /** Moves time by `ms` and runs what falls due on the way, timers armed meanwhile included. */
  advance(ms: number): void {
    const until = this.elapsedMs + ms;
    while (this.runNext(until)) continue;
    this.elapsedMs = until;
  }

  /** As `advance`, but promises settle before the first timer, between timers and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const until = this.elapsedMs + ms;
    await settle();
    while (this.runNext(until)) await settle();
    this.elapsedMs = until;
    await settle();
  }

  /** The wall clock alone jumps, back or forth: `now()` and the timers do not notice. */
  jumpUnix(ms: number): void {
    this.unixOffsetMs += ms;
  }

  private arm(delayMs: number, task: () => void, intervalMs: number | undefined): Cancel {
    const id = this.nextId++;
    this.timers.set(id, { id, task, intervalMs, dueAt: this.elapsedMs + delayMs });
    return () => void this.timers.delete(id);
  }

  private runNext(until: number): boolean {
    let next: Timer | undefined;
    for (const timer of this.timers.values()) {
      const isEarlier = next === undefined || timer.dueAt < next.dueAt;
      if (timer.dueAt <= until && isEarlier) next = timer;
    }
    if (next === undefined) return false;
    this.elapsedMs = Math.max(this.elapsedMs, next.dueAt);
    if (next.intervalMs === undefined) this.timers.delete(next.id);
    else {
      next.dueAt += next.intervalMs;
      // Re-inserted, so that it comes after one-shot timers that were already due at the same moment.
      this.timers.delete(next.id);
      this.timers.set(next.id, next);
    }
    next.task();
    return true;
  }
}
