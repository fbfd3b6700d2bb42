import { REALTIME_CODES } from 'nestjs-realtime-protocol';
import type { Cancel, Clock } from '../core/clock.js';
import type { Message } from './message.js';

/** How often unanswered messages are looked at, in milliseconds: a timeout is late by at most this. */
const SWEEP_MS = 1_000;

/**
 * Messages whose ack has not been called. One timer for all, running only while there are any: a message costs an entry
 * in a set, not a timer. The set is in order of arrival, so a sweep stops at the first young one.
 */
export class InFlight {
  private readonly messages = new Set<Message>();
  private readonly idle: (() => void)[] = [];
  private timer: Cancel | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly timeoutMs: number,
  ) {}

  get size(): number {
    return this.messages.size;
  }

  add(message: Message): void {
    this.messages.add(message);
    if (this.timeoutMs > 0) this.timer ??= this.clock.every(Math.min(SWEEP_MS, this.timeoutMs), () => this.sweep());
  }

  delete(message: Message): void {
    this.messages.delete(message);
    if (this.messages.size > 0) return;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  /** Resolves when every message that was expected an answer to has got it. */
  whenIdle(): Promise<void> {
    return this.messages.size === 0 ? Promise.resolve() : new Promise((resolve) => this.idle.push(resolve));
  }

  private sweep(): void {
    const oldest = this.clock.now() - this.timeoutMs;
    for (const message of this.messages) {
      if (message.receivedAt > oldest) break;
      message.refuse({ code: 'TIMEOUT', ...REALTIME_CODES.TIMEOUT });
      this.messages.delete(message);
    }
    if (this.messages.size > 0) return;
    this.timer?.();
    this.timer = undefined;
  }
}
