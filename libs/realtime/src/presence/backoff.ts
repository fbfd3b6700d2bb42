import type { Cancel, Clock } from '../core/clock.js';

const BASE_MS = 100;
const CAP_MS = 5_000;

/** Full jitter: `random(0, min(5 s, 100 ms · 2^attempt))`, so that nodes that failed together do not come back together. */
export function backoffMs(attempt: number): number {
  return Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 10));
}

/** The wait between two attempts. */
export class Pause {
  private cancel: Cancel | undefined;
  private resume: (() => void) | undefined;
  private isOver = false;

  constructor(private readonly clock: Clock) {}

  wait(delayMs: number): Promise<void> {
    if (this.isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.resume = resolve;
      this.cancel = this.clock.after(delayMs, resolve);
    });
  }

  /** Ends the wait that is under way: there is news. */
  skip(): void {
    this.cancel?.();
    this.resume?.();
  }

  /** Ends it, and every later one at once. */
  end(): void {
    this.isOver = true;
    this.skip();
  }
}
