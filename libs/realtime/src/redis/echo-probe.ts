import type { Cancel, Clock } from '../core/clock.js';
import { randomId } from '../core/ids.js';
import type { WireShard } from './wire-client.js';

export interface EchoProbeOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly channel: string;
  /** Every server that publishes; empty while none can be reached. */
  shards(): readonly WireShard[];
  /** Every shard has been heard. Also after each later echo. */
  heard(roundTripMs: number): void;
  /** A shard cannot publish now. */
  mute(): void;
  /** A shard was not heard for `timeoutMs`: `isDeaf` if that is the subscription's fault, and not the shard's own. */
  silent(isDeaf: boolean): void;
}

interface Ear {
  /** When the newest probe that came back had left. */
  heardAt: number;
  hasHeard: boolean;
  /** Whether the last probe was taken by the server. */
  isTaken: boolean;
}

/**
 * Proves that what each server publishes reaches our subscription: one message a server and interval to a channel of our
 * own, which must come back. Refuses to conclude anything from a single one. Lives as long as one subscription.
 */
export class EchoProbe {
  readonly #options: EchoProbeOptions;
  readonly #ears = new Map<string, Ear>();
  /** When each unanswered probe left, oldest first. */
  readonly #sent = new Map<string, number>();
  #startedAt: number;
  #tickedAt: number;
  #cancel: Cancel;
  #isStopped = false;

  constructor(options: EchoProbeOptions) {
    this.#options = options;
    this.#startedAt = this.#tickedAt = options.clock.now();
    this.#cancel = options.clock.every(options.intervalMs, () => this.#tick());
    this.send();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  send(): void {
    const { clock, channel } = this.#options;
    const shards = this.#options.shards();
    const now = clock.now();
    for (const name of this.#ears.keys()) if (!shards.some((shard) => shard.name === name)) this.#ears.delete(name);
    for (const shard of shards) {
      const ear = this.#ears.get(shard.name) ?? { heardAt: now, hasHeard: false, isTaken: false };
      this.#ears.set(shard.name, ear);
      const id = `${randomId(6)} ${shard.name}`;
      this.#sent.set(id, now);
      shard.send(['PUBLISH', channel, id]).then(
        () => (ear.isTaken = true),
        () => {
          ear.isTaken = false;
          // Refused at once (ACL, no connection) or too late: either way nobody can hear this shard.
          if (this.#sent.delete(id) && !this.#isStopped) this.#options.mute();
        },
      );
    }
  }

  /** A message came in on the channel. */
  receive(id: string): void {
    const sentAt = this.#sent.get(id);
    const ear = this.#ears.get(id.slice(id.indexOf(' ') + 1));
    if (sentAt === undefined || ear === undefined || this.#isStopped) return;
    this.#sent.delete(id);
    ear.heardAt = sentAt;
    ear.hasHeard = true;
    const isWhole = [...this.#ears.values()].every((other) => other.hasHeard && !this.#isSilent(other));
    if (isWhole) this.#options.heard(this.#options.clock.now() - sentAt);
  }

  #tick(): void {
    const { clock, intervalMs, timeoutMs } = this.#options;
    const now = clock.now();
    // A late tick means that this process was stopped: the echo may lie unread in the socket.
    if (now - this.#tickedAt > 2 * intervalMs) {
      this.#startedAt = now;
      for (const ear of this.#ears.values()) ear.heardAt = now;
    }
    this.#tickedAt = now;
    for (const [id, sentAt] of this.#sent) if (now - sentAt > 2 * timeoutMs) this.#sent.delete(id);
    // Asked twice, because a timer runs before the socket is read.
    if (this.#areSilent().length > 0 || this.#isAlone()) return void clock.after(0, () => this.#judge());
    this.send();
  }

  #judge(): void {
    if (this.#isStopped) return;
    const silent = this.#areSilent();
    if (silent.length === 0 && !this.#isAlone()) return this.send();
    // One who is heard proves the subscription, unless the server of the silent one says that it has published.
    const isDeaf = silent.length === this.#ears.size || silent.some(({ isTaken }) => isTaken);
    this.#options.silent(isDeaf);
    if (!this.#isStopped) this.send();
  }

  /** No server to publish through, for as long as an echo may take. */
  #isAlone(): boolean {
    return this.#ears.size === 0 && this.#options.clock.now() - this.#startedAt >= this.#limitMs;
  }

  #areSilent(): Ear[] {
    return [...this.#ears.values()].filter((ear) => this.#isSilent(ear));
  }

  #isSilent({ heardAt }: Ear): boolean {
    return this.#options.clock.now() - heardAt >= this.#limitMs;
  }

  /** Half an interval of slack, because timers tremble. */
  get #limitMs(): number {
    return this.#options.timeoutMs - this.#options.intervalMs / 2;
  }
}
