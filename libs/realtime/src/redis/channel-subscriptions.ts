import type { WireClient } from './wire-client.js';

/** Channels in one SUBSCRIBE: long enough to be cheap, short enough not to block a shared Redis. */
const BATCH = 500;

interface Waiter {
  channel: string;
  generation: number;
  resolve(): void;
  reject(error: unknown): void;
}

export interface ChannelSubscriptionsOptions {
  /** @param generation the newest that was asked for when the SUBSCRIBE was sent: later ones must not hear the message */
  deliver(channel: string, message: string, generation: number): void;
  /** A SUBSCRIBE failed for good on this connection (for example by ACL). */
  refused(error: unknown): void;
}

/**
 * Which channels are wanted and which the server has confirmed on the present connection, and the work to make the two
 * equal: one batch at a time, all changes of a turn together. One at a time because node-redis forgets a channel that is
 * subscribed again while its UNSUBSCRIBE is on the way. Invariant: a channel that is added again gets a SUBSCRIBE of its
 * own, because only the server's confirmation tells earlier messages from later ones.
 */
export class ChannelSubscriptions {
  readonly #options: ChannelSubscriptionsOptions;
  /** Channel → the generation that asked for it last. */
  readonly #wanted = new Map<string, number>();
  /** Channels whose two states may differ: only these are looked at, however many are subscribed. */
  readonly #dirty = new Set<string>();
  /** Channel → the newest generation when its SUBSCRIBE was sent. */
  #confirmed = new Map<string, number>();
  #generation = 0;
  #waiters: Waiter[] = [];
  #client: WireClient | undefined;
  #working: Promise<void> | undefined;

  constructor(options: ChannelSubscriptionsOptions) {
    this.#options = options;
  }

  /** `confirmed` resolves when the server has said so; it waits for a connection if there is none. */
  add(channel: string): { generation: number; confirmed: Promise<void> } {
    const generation = (this.#generation += 1);
    this.#wanted.set(channel, generation);
    this.#dirty.add(channel);
    const confirmed = new Promise<void>((resolve, reject) => {
      this.#waiters.push({ channel, generation, resolve, reject });
      this.#schedule();
    });
    return { generation, confirmed };
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
    if (!isSame) this.#confirmed = new Map();
    for (const [channel, generation] of this.#wanted) {
      if (!this.#isConfirmed(channel, generation)) this.#dirty.add(channel);
    }
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
      let generation: number;
      try {
        if (surplus.length > 0) await client.unsubscribe(surplus);
        generation = this.#generation;
        if (missing.length > 0) await client.subscribe(missing, this.#deliverSince(generation));
      } catch (error) {
        for (const channel of [...missing, ...surplus]) this.#dirty.add(channel);
        if (client !== this.#client) return;
        // Unusable until `use()` names another or the same again, so that a refusal cannot spin.
        this.#client = undefined;
        return this.#options.refused(error);
      }
      if (client !== this.#client) continue;
      for (const channel of surplus) this.#confirmed.delete(channel);
      for (const channel of missing) this.#confirmed.set(channel, generation);
      this.#settle();
    }
  }

  #nextBatch(): { missing: string[]; surplus: string[] } {
    const missing: string[] = [];
    const surplus: string[] = [];
    for (const channel of this.#dirty) {
      if (missing.length + surplus.length >= BATCH) break;
      this.#dirty.delete(channel);
      const wanted = this.#wanted.get(channel);
      if (wanted !== undefined && this.#isConfirmed(channel, wanted)) continue;
      if (this.#confirmed.has(channel)) surplus.push(channel);
      if (wanted !== undefined) missing.push(channel);
    }
    return { missing, surplus };
  }

  /** A listener of its own for each SUBSCRIBE: node-redis calls it from the confirmation on, and never before. */
  #deliverSince(generation: number): (message: string, channel: string) => void {
    return (message, channel) => this.#options.deliver(channel, message, generation);
  }

  #isConfirmed(channel: string, generation: number): boolean {
    return (this.#confirmed.get(channel) ?? 0) >= generation;
  }

  #settle(): void {
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiters) {
      const { channel, generation } = waiter;
      if (!this.#wanted.has(channel) || this.#isConfirmed(channel, generation)) waiter.resolve();
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }
}
