import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from './clock.js';

/** Each tick wakes an idle process: 20 a second. A stall may look shorter by up to this much. */
const RESOLUTION_MS = 50;
const WINDOW_MS = 1_000;

/**
 * How late the event loop ran, as readiness and metrics see it: the longest delay of the last whole second, so that one
 * stall is visible for a second and not for ever. Measured by a native timer (perf_hooks), which costs no JavaScript.
 */
export class EventLoopLag {
  private readonly histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private readonly stop: () => void;
  private lastWindowMs = 0;

  constructor(clock: Pick<Clock, 'every'>) {
    this.histogram.enable();
    this.stop = clock.every(WINDOW_MS, () => {
      this.lastWindowMs = this.longestMs();
      this.histogram.reset();
    });
  }

  /** Milliseconds. A stall that goes on counts as soon as it ends, before its window does. */
  get currentMs(): number {
    return Math.max(this.lastWindowMs, this.longestMs());
  }

  close(): void {
    this.stop();
    this.histogram.disable();
  }

  /** The histogram holds the time between two ticks of its timer, so an idle loop shows the timer's own period. */
  private longestMs(): number {
    return this.histogram.count === 0 ? 0 : Math.max(0, this.histogram.max / 1e6 - RESOLUTION_MS);
  }
}
