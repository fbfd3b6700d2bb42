import { REALTIME_CODES, type WireError } from 'nestjs-realtime-protocol';
import type { Cancel, Clock } from '../core/clock.js';

/** How often unanswered messages are looked at, in milliseconds: a timeout is late by at most this. */
const SWEEP_MS = 1_000;

/** A place in the list of those that wait; whoever is in none has no neighbours. */
export interface Waiting {
  readonly receivedAt: number;
  refuse(error: WireError): void;
  older: Waiting | undefined;
  newer: Waiting | undefined;
}

/**
 * Messages whose ack has not been called. One timer for all, running only while there are any: a message costs two
 * references, not a timer. The list is in order of arrival, so a sweep stops at the first young one.
 */
export class InFlight {
  private oldest: Waiting | undefined;
  private newest: Waiting | undefined;
  private count = 0;
  private readonly idle: (() => void)[] = [];
  private timer: Cancel | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly timeoutMs: number,
  ) {}

  get size(): number {
    return this.count;
  }

  add(message: Waiting): void {
    message.older = this.newest;
    if (this.newest) this.newest.newer = message;
    else this.oldest = message;
    this.newest = message;
    this.count += 1;
    if (this.timeoutMs > 0) this.timer ??= this.clock.every(Math.min(SWEEP_MS, this.timeoutMs), () => this.sweep());
  }

  /** Nothing happens to one that is not in the list any more. */
  delete(message: Waiting): void {
    const { older, newer } = message;
    if (!older && this.oldest !== message) return;
    if (older) older.newer = newer;
    else this.oldest = newer;
    if (newer) newer.older = older;
    else this.newest = older;
    message.older = message.newer = undefined;
    this.count -= 1;
    if (this.count > 0) return;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  /** Resolves when every message that was expected an answer to has got it. */
  whenIdle(): Promise<void> {
    return this.count === 0 ? Promise.resolve() : new Promise((resolve) => this.idle.push(resolve));
  }

  private sweep(): void {
    const latest = this.clock.now() - this.timeoutMs;
    for (let message = this.oldest; message && message.receivedAt <= latest; message = this.oldest) {
      message.refuse({ code: 'TIMEOUT', ...REALTIME_CODES.TIMEOUT });
      this.delete(message);
    }
    if (this.count > 0) return;
    this.timer?.();
    this.timer = undefined;
  }
}
