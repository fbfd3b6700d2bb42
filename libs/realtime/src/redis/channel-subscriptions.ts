import type { WireClient } from './wire-client.js';

/** Channels in one SUBSCRIBE: long enough to be cheap, short enough not to block a shared Redis. */
const BATCH = 500;

interface Waiter {
  channel: string;
  resolve(): void;
  reject(error: unknown): void;
}

export interface ChannelSubscriptionsOptions {
  deliver(channel: string, message: string): void;
  /** A SUBSCRIBE failed for good on this connection (for example by ACL). */
  refused(error: unknown): void;
}

/**
 * Which channels are wanted and which the server has confirmed on the present connection, and the work to make the two
 * equal: one batch at a time, all changes of a turn together. One at a time because node-redis forgets a channel that is
 * subscribed again while its UNSUBSCRIBE is on the way.
 */
export class ChannelSubscriptions {
  readonly #options: ChannelSubscriptionsOptions;
  readonly #wanted = new Set<string>();
  /** Channels whose two states may differ: only these are looked at, however many are subscribed. */
  readonly #dirty = new Set<string>();
  #confirmed = new Set<string>();
  #waiters: Waiter[] = [];
  #client: WireClient | undefined;
  #working: Promise<void> | undefined;

  constructor(options: ChannelSubscriptionsOptions) {
    this.#options = options;
  }

  /** Resolves when the server has confirmed; waits for a connection if there is none. */
  add(channel: string): Promise<void> {
    this.#wanted.add(channel);
    this.#dirty.add(channel);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ channel, resolve, reject });
      this.#schedule();
    });
  }

  /** Never rejects: a connection that breaks meanwhile has forgotten the channel anyway. */
  async remove(channel: string): Promise<void> {
    this.#wanted.delete(channel);
    this.#dirty.add(channel);
    this.#schedule();
    await this.#idle();
  }

  /** All that is wanted is confirmed on this connection when it resolves; rejects if the connection did not live so long. */
  async use(client: WireClient, isSame: boolean): Promise<void> {
    this.#client = client;
    // node-redis subscribes again by itself what it knew, before it says `ready`.
    if (!isSame) this.#confirmed = new Set();
    for (const channel of this.#wanted) if (!this.#confirmed.has(channel)) this.#dirty.add(channel);
    this.#schedule();
    await this.#idle();
    if (this.#client !== client) {
      throw new Error('the connection broke while subscribing');
    }
  }

  drop(): void {
    this.#client = undefined;
  }

  close(error: unknown): void {
    this.#client = undefined;
    this.#wanted.clear();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #schedule(): void {
    // Deferred by a microtask, so that the joins of one turn share one command.
    this.#working ??= Promise.resolve()
      .then(() => this.#work())
      .finally(() => {
        this.#working = undefined;
        this.#settle();
        // What was asked for after the loop had looked for the last time.
        if (this.#client !== undefined && this.#dirty.size > 0) this.#schedule();
      });
  }

  async #idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  async #work(): Promise<void> {
    for (;;) {
      const client = this.#client;
      if (client === undefined || this.#dirty.size === 0) return;
      const { missing, surplus } = this.#nextBatch();
      try {
        if (surplus.length > 0) await client.unsubscribe(surplus);
        if (missing.length > 0) await client.subscribe(missing, this.#deliver);
      } catch (error) {
        for (const channel of [...missing, ...surplus]) this.#dirty.add(channel);
        if (client !== this.#client) return;
        // Unusable until `use()` names another or the same again, so that a refusal cannot spin.
        this.#client = undefined;
        return this.#options.refused(error);
      }
      if (client !== this.#client) continue;
      for (const channel of surplus) this.#confirmed.delete(channel);
      for (const channel of missing) this.#confirmed.add(channel);
      this.#settle();
    }
  }

  #nextBatch(): { missing: string[]; surplus: string[] } {
    const missing: string[] = [];
    const surplus: string[] = [];
    for (const channel of this.#dirty) {
      if (missing.length + surplus.length === BATCH) break;
      this.#dirty.delete(channel);
      const isConfirmed = this.#confirmed.has(channel);
      if (this.#wanted.has(channel) && !isConfirmed) missing.push(channel);
      else if (!this.#wanted.has(channel) && isConfirmed) surplus.push(channel);
    }
    return { missing, surplus };
  }

  readonly #deliver = (message: string, channel: string): void => this.#options.deliver(channel, message);

  #settle(): void {
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (!this.#wanted.has(waiter.channel) || this.#confirmed.has(waiter.channel)) waiter.resolve();
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }
}
