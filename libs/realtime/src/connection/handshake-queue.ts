import type { Cancel, Clock } from '../core/clock.js';
import { RealtimeError } from '../core/realtime-error.js';
import { addressKey } from '../limits/client-address.js';

export interface HandshakeQueueOptions {
  readonly clock: Clock;
  /** Handshakes that are checked at a time. */
  readonly maxRunning: number;
  /** Milliseconds that one may wait for its turn. */
  readonly maxWaitMs: number;
}

interface Waiting {
  readonly address: string;
  readonly begin: () => void;
  readonly refuse: () => void;
  readonly dueAt: number;
}

interface Client {
  readonly address: string;
}

const NOBODY: Client = { address: '' };
/** Clients that were refused come back one by one. */
const RETRY_FROM_MS = 1_000;
const RETRY_SPREAD_MS = 4_000;

/**
 * Lets a bounded number of handshakes ask the app's checks and the cluster's store at a time; the others wait. Addresses take turns,
 * so that one which asks for thousands does not keep others waiting; those of one address begin in order of arrival. So a storm
 * is slow instead of failing: each check has its deadline for itself, and what it asks is not asked by thousands at once.
 * A client that waits too long is told to come back. One timer for all that wait, none while nobody does.
 */
export class HandshakeQueue {
  /** Those who have waited longest first. */
  private readonly waiting = new Set<Waiting>();
  /** Of each address that waits, in the order of their turns. */
  private readonly lines = new Map<string, Set<Waiting>>();
  private running = 0;
  private timer: Cancel | undefined;

  constructor(
    private readonly options: HandshakeQueueOptions,
    private readonly random: () => number = Math.random,
  ) {}

  get pending(): number {
    return this.running + this.waiting.size;
  }

  /**
   * Runs `check` when it is its turn. @throws RealtimeError `UNAVAILABLE` with `retryAfterMs` if that takes too long.
   * @param client whose turn it is; those without an address wait together
   */
  async run<Result>(check: () => Promise<Result>, client: Client = NOBODY): Promise<Result> {
    if (this.running < this.options.maxRunning) this.running += 1;
    else await this.turn(addressKey(client.address));
    try {
      return await check();
    } finally {
      this.next();
    }
  }

  private turn(address: string): Promise<void> {
    return new Promise((begin, reject) => {
      const refuse = (): void => reject(this.refusal());
      const one = { address, begin, refuse, dueAt: this.options.clock.now() + this.options.maxWaitMs };
      this.waiting.add(one);
      const line = this.lines.get(address);
      if (line) line.add(one);
      else this.lines.set(address, new Set([one]));
      this.timer ??= this.watch(this.options.maxWaitMs);
    });
  }

  /** Hands the place over, so that nobody who comes now overtakes those who wait. */
  private next(): void {
    const [line] = this.lines.values();
    const [first] = line ?? [];
    if (!line || !first) {
      this.running -= 1;
      return;
    }
    this.remove(first);
    // The others of this address come after one of each other address.
    this.lines.delete(first.address);
    if (line.size > 0) this.lines.set(first.address, line);
    if (this.waiting.size === 0) this.rest();
    first.begin();
  }

  private remove(one: Waiting): void {
    this.waiting.delete(one);
    const line = this.lines.get(one.address);
    line?.delete(one);
    if (line?.size === 0) this.lines.delete(one.address);
  }

  private watch(delayMs: number): Cancel {
    return this.options.clock.after(delayMs, () => {
      this.timer = undefined;
      const now = this.options.clock.now();
      for (const one of this.waiting) {
        if (one.dueAt > now) return void (this.timer = this.watch(one.dueAt - now));
        this.remove(one);
        one.refuse();
      }
    });
  }

  private rest(): void {
    this.timer?.();
    this.timer = undefined;
  }

  private refusal(): RealtimeError {
    const retryAfterMs = Math.round(RETRY_FROM_MS + this.random() * RETRY_SPREAD_MS);
    return new RealtimeError('UNAVAILABLE', 'Too many connect at once', { retryAfterMs });
  }
}
