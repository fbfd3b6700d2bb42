import { ManualClock, type Clock } from 'nestjs-realtime/testing';

const TICK_MS = 5;

/**
 * The system's clock, but a test can let a deadline of the product pass without waiting for it: `leap` runs everything
 * that falls due on the way, in its order and within the caller's turn, so that nothing from outside comes in between.
 * Wall time does not leap. Give it deadlines that are longer than any machine stands still, and leap over them.
 */
export class LeapingClock implements Clock, Disposable {
  readonly #clock = new ManualClock();
  readonly #timer: NodeJS.Timeout;
  #caughtUpAt = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#catchUp(), TICK_MS);
    this.#timer.unref();
  }

  now(): number {
    return this.#clock.now();
  }

  unixNow(): number {
    return Date.now();
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#clock.after(delayMs, task);
  }

  every(intervalMs: number, task: () => void): () => void {
    return this.#clock.every(intervalMs, task);
  }

  leap(ms: number): void {
    this.#clock.advance(ms);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #catchUp(): void {
    const now = performance.now();
    const passedMs = now - this.#caughtUpAt;
    this.#caughtUpAt = now;
    this.#clock.advance(passedMs);
  }
}
