import type { Cancel, Clock } from '../core/clock.js';
import { fromReplyError, RedisUnavailableError } from './redis-unavailable-error.js';
import type { Passage, WireClient, WireCommand } from './wire-client.js';

/** A command that has been called; a class, as there are thousands of them a second. */
class Pending implements Passage {
  isSent = false;
  isWritten = false;
  isOver = false;

  constructor(
    readonly command: WireCommand,
    readonly calledAt: number,
    readonly resolve: (value: unknown) => void,
    readonly reject: (error: Error) => void,
  ) {}
}

export interface PendingCommandsOptions {
  clock: Clock;
  timeoutMs: number;
  maxQueued: number;
  /** Seconds from call to answer, and whether there was one. */
  onSettled(seconds: number, isOk: boolean): void;
  /** Before the caller hears of it. */
  onRefused(client: WireClient, error: unknown): void;
}

/**
 * Commands between their call and their answer: in order, at most `maxQueued`, each with the same time to live. A command
 * that never left is refused at its deadline and is certainly not carried out; one that left may be.
 */
export class PendingCommands {
  readonly #options: PendingCommandsOptions;
  /** In call order, which is deadline order too: the oldest comes first. */
  readonly #all = new Set<Pending>();
  #cancelTimer: Cancel | undefined;
  #client: WireClient | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: PendingCommandsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Sends what waits, in order, and from now on at once; undefined: from now on everything waits. */
  use(client: WireClient | undefined): void {
    this.#client = client;
    if (client === undefined) return;
    for (const pending of this.#all) if (!pending.isSent) this.#send(pending, client);
  }

  add(command: WireCommand): Promise<unknown> {
    if (this.#all.size >= this.#options.maxQueued) {
      return Promise.reject(new RedisUnavailableError({ maybeWritten: false, cause: new Error('the queue is full') }));
    }
    return new Promise((resolve, reject) => {
      const pending = new Pending(command, this.#options.clock.now(), resolve, reject);
      this.#all.add(pending);
      if (this.#cancelTimer === undefined) this.#armTimer(pending);
      if (this.#client !== undefined) this.#send(pending, this.#client);
    });
  }

  /** Resolves when nothing is on its way any more, at the latest after `withinMs`. */
  drained(withinMs: number): Promise<void> {
    if (this.#all.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(withinMs, resolve);
      this.#onEmpty = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Refuses everything that waits. */
  clear(reason: string): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (const pending of [...this.#all]) this.#refuse(pending, reason);
  }

  #send(pending: Pending, client: WireClient): void {
    pending.isSent = true;
    pending.isWritten = true;
    client.send(pending.command, pending).then(
      (value) => {
        if (this.#end(pending, true)) pending.resolve(value);
      },
      (error: unknown) => {
        this.#options.onRefused(client, error);
        if (this.#end(pending, false)) pending.reject(fromReplyError(error));
      },
    );
  }

  #refuse(pending: Pending, reason: string): void {
    if (!this.#end(pending, false)) return;
    pending.reject(new RedisUnavailableError({ maybeWritten: pending.isWritten, cause: new Error(reason) }));
  }

  /** False if it had ended before. */
  #end(pending: Pending, isOk: boolean): boolean {
    if (!this.#all.delete(pending)) return false;
    pending.isOver = true;
    this.#options.onSettled((this.#options.clock.now() - pending.calledAt) / 1_000, isOk);
    if (this.#all.size === 0) this.#onEmpty?.();
    return true;
  }

  /** One timer for all: it runs for the oldest command, which is usually answered long before. */
  #armTimer(oldest: Pending): void {
    const { clock, timeoutMs } = this.#options;
    this.#cancelTimer = clock.after(oldest.calledAt + timeoutMs - clock.now(), () => {
      this.#cancelTimer = undefined;
      const now = clock.now();
      for (const pending of this.#all) {
        if (pending.calledAt + timeoutMs > now) return this.#armTimer(pending);
        this.#refuse(pending, `no answer from Redis within ${timeoutMs} ms`);
      }
    });
  }
}
