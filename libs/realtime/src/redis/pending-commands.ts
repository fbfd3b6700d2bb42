import type { Cancel, Clock } from '../core/clock.js';
import { fromReplyError, RedisUnavailableError } from './redis-unavailable-error.js';
import type { Passage, WireClient } from './wire-client.js';

export type SendCommand = (client: WireClient, passage: Passage) => Promise<unknown>;

interface Pending extends Passage {
  readonly send: SendCommand;
  readonly calledAt: number;
  readonly dueAt: number;
  isSent: boolean;
  isOver: boolean;
  settle(outcome: { value: unknown } | { error: unknown }): void;
}

export interface PendingCommandsOptions {
  clock: Clock;
  timeoutMs: number;
  maxQueued: number;
  /** Seconds from call to answer, and whether there was one. */
  onSettled(seconds: number, isOk: boolean): void;
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

  add(send: SendCommand): Promise<unknown> {
    if (this.#all.size >= this.#options.maxQueued) {
      return Promise.reject(new RedisUnavailableError({ maybeWritten: false, cause: new Error('the queue is full') }));
    }
    return new Promise((resolve, reject) => {
      const calledAt = this.#options.clock.now();
      const pending: Pending = {
        send,
        calledAt,
        dueAt: calledAt + this.#options.timeoutMs,
        isSent: false,
        isWritten: false,
        isOver: false,
        settle: (outcome) => {
          if (!this.#all.delete(pending)) return;
          pending.isOver = true;
          const isOk = 'value' in outcome;
          this.#options.onSettled((this.#options.clock.now() - calledAt) / 1_000, isOk);
          if (this.#all.size === 0) this.#onEmpty?.();
          if (isOk) resolve(outcome.value);
          else reject(fromReplyError(outcome.error));
        },
      };
      this.#all.add(pending);
      this.#armTimer(pending.dueAt);
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
    pending.send(client, pending).then(
      (value) => pending.settle({ value }),
      (error: unknown) => pending.settle({ error }),
    );
  }

  #refuse(pending: Pending, reason: string): void {
    pending.settle({ error: new RedisUnavailableError({ maybeWritten: pending.isWritten, cause: new Error(reason) }) });
  }

  /** One timer for all: it runs for the oldest command, which is usually answered long before. */
  #armTimer(dueAt: number): void {
    if (this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#options.clock.after(dueAt - this.#options.clock.now(), () => {
      this.#cancelTimer = undefined;
      const now = this.#options.clock.now();
      for (const pending of this.#all) {
        if (pending.dueAt > now) return this.#armTimer(pending.dueAt);
        this.#refuse(pending, `no answer from Redis within ${this.#options.timeoutMs} ms`);
      }
    });
  }
}
