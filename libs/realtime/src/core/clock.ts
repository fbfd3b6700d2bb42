/** Time as an argument: everything that waits or compares times asks a `Clock`, so that tests need not sleep. */
export interface Clock {
  /** Monotonic milliseconds: for durations and deadlines. Never jumps. */
  now(): number;
  /** Unix milliseconds: for `exp` and for what people read. May jump. */
  unixNow(): number;
  /** Runs `task` once after `delayMs`. The timer never keeps the process alive. */
  after(delayMs: number, task: () => void): Cancel;
  /** Runs `task` every `intervalMs`. The timer never keeps the process alive. */
  every(intervalMs: number, task: () => void): Cancel;
}

/** Injection token of the clock of the whole module: override it in tests with a `ManualClock`. */
export const REALTIME_CLOCK = Symbol.for('nestjs-realtime:CLOCK');

export type Cancel = () => void;

/** `setTimeout` fires at once above this (2^31 - 1 ms), so longer delays run in slices. */
const MAX_DELAY_MS = 2_147_483_647;

class SystemClock implements Clock {
  now(): number {
    return performance.now();
  }

  unixNow(): number {
    return Date.now();
  }

  after(delayMs: number, task: () => void): Cancel {
    if (delayMs <= MAX_DELAY_MS) {
      const single = setTimeout(task, Math.max(delayMs, 0));
      single.unref();
      return () => clearTimeout(single);
    }
    const dueAt = this.now() + delayMs;
    let timer: NodeJS.Timeout;
    const arm = (remainingMs: number): void => {
      timer = setTimeout(
        () => (remainingMs > MAX_DELAY_MS ? arm(dueAt - this.now()) : task()),
        Math.min(Math.max(remainingMs, 0), MAX_DELAY_MS),
      );
      timer.unref();
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  }

  every(intervalMs: number, task: () => void): Cancel {
    const timer = setInterval(task, intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  }
}

export const systemClock: Clock = new SystemClock();
