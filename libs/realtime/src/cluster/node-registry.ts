import type { Position } from 'nestjs-realtime-protocol';
import type { Cancel, Clock } from '../core/clock.js';
import { randomId, type Incarnation, type NodeId } from '../core/ids.js';
import type { IncarnationSource } from '../core/incarnation-source.js';
import type { LeaseLook, NodeLeases, NodeRecord } from './node-leases.js';
import { UnbrokenContact } from './unbroken-contact.js';

export interface NodeRegistryOptions {
  leases: NodeLeases;
  clock: Clock;
  nodeId: NodeId;
  /** Milliseconds a lease lasts without a renewal. Default 15 000. */
  leaseMs?: number | undefined;
  /** Milliseconds between renewals, at most. Default 5 000. */
  renewMs?: number | undefined;
  /** Milliseconds between looks at the others, and between attempts after a failed renewal. Default 2 000. */
  watchMs?: number | undefined;
  /** Milliseconds until a dead incarnation is swept for the second and last time. Default 60 000. */
  sweepAgainMs?: number | undefined;
  /** Removes everything of a dead incarnation. Must be repeatable: other nodes do the same, and a rejection is tried again. */
  onLapsed(incarnation: Incarnation): Promise<void>;
  /** After the last sweep: nothing about a dead incarnation need be kept. Not repeated when it fails. */
  onForgotten?: ((incarnation: Incarnation) => Promise<void>) | undefined;
  /** The top of the command log, with each look. */
  onCommandsTop(position: Position): void;
  /** A renewal, look or sweep failed, or a listener threw. It is tried again. */
  onError?: ((error: unknown) => void) | undefined;
}

/**
 * This node's place in the cluster: it holds the lease, knows who else does, and declares dead whose lease lapsed. Refuses
 * to judge others before its own contact with one and the same server was unbroken for a whole lease: an outage of that
 * server announces nobody's leave. Invariant: an incarnation that may be dead is never returned by `current()`.
 */
export class NodeRegistry implements IncarnationSource {
  readonly nodeId: NodeId;
  readonly #options: NodeRegistryOptions;
  readonly #leaseMs: number;
  readonly #renewMs: number;
  readonly #watchMs: number;
  readonly #contact: UnbrokenContact;
  readonly #listeners = new Set<(next: Incarnation, previous: Incarnation) => void>();
  readonly #sweeping = new Map<Incarnation, Promise<void>>();
  #incarnation: Incarnation = randomId<Incarnation>();
  /** By the monotonic clock, counted from before the renewal left; undefined while this incarnation has none confirmed. */
  #heldUntil: number | undefined;
  #renewedAt = -Infinity;
  #serverId: string | undefined;
  #known: readonly NodeRecord[] = [];
  #turn: Promise<void> | undefined;
  #cancel: Cancel | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: NodeRegistryOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.#leaseMs = options.leaseMs ?? 15_000;
    this.#renewMs = options.renewMs ?? 5_000;
    this.#watchMs = options.watchMs ?? 2_000;
    this.#contact = new UnbrokenContact(2.5 * this.#watchMs);
  }

  /** Whether the lease is held, by this node's clock. */
  get isHeld(): boolean {
    return this.#heldUntil !== undefined && this.#options.clock.now() < this.#heldUntil;
  }

  /** Nodes that were alive at the last successful read; this one always. */
  get known(): readonly NodeRecord[] {
    if (this.#cancel === undefined) return this.#known;
    const others = this.#known.filter(({ nodeId }) => nodeId !== this.nodeId);
    return [{ nodeId: this.nodeId, incarnation: this.#incarnation }, ...others];
  }

  /** Takes the lease and keeps it from now on. Resolves after the first attempt, also a failed one: it goes on trying. */
  async start(): Promise<void> {
    if (this.#cancel !== undefined || this.#closing !== undefined) return;
    this.#cancel = this.#options.clock.every(this.#watchMs, () => void this.#takeTurn());
    await this.#takeTurn();
  }

  /** Renews now, for example because the server is back. Resolves when done, also if it failed. */
  async refresh(): Promise<void> {
    await this.#turn;
    if (this.#cancel === undefined || this.#closing !== undefined) return;
    this.#renewedAt = -Infinity;
    await this.#takeTurn();
  }

  current(): Incarnation {
    if (this.#heldUntil !== undefined && this.#options.clock.now() >= this.#heldUntil) this.#reincarnate();
    return this.#incarnation;
  }

  onChange(listener: (next: Incarnation, previous: Incarnation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads who is alive; if that fails, who was alive at the last read. Never rejects. */
  async alive(): Promise<readonly NodeRecord[]> {
    try {
      this.#known = await this.#options.leases.alive();
    } catch (error) {
      this.#options.onError?.(error);
    }
    return this.known;
  }

  /** The current incarnation if others can see that it lives, after one more attempt to renew; else undefined. */
  async held(): Promise<Incarnation | undefined> {
    this.current();
    if (!this.isHeld) await this.refresh();
    return this.isHeld ? this.#incarnation : undefined;
  }

  /** Whether a lease ran out; false while this node may not judge others, or cannot read who is alive. Never rejects. */
  async hasLapsed(incarnation: Incarnation): Promise<boolean> {
    const mayJudge = this.#contact.lasted(this.#leaseMs, this.#options.clock.now());
    if (incarnation === this.#incarnation || !mayJudge) return false;
    try {
      return (await this.#options.leases.alive()).every((node) => node.incarnation !== incarnation);
    } catch (error) {
      this.#options.onError?.(error);
      return false;
    }
  }

  /** Lets the lease run out in `leaveGraceMs` instead of a whole lease, and stops. Never rejects. */
  close(leaveGraceMs = 0): Promise<void> {
    this.#closing ??= this.#close(leaveGraceMs);
    return this.#closing;
  }

  async #close(leaveGraceMs: number): Promise<void> {
    if (this.#cancel === undefined) return;
    this.#cancel();
    await this.#turn;
    await Promise.allSettled(this.#sweeping.values());
    this.#cancel = undefined;
    this.#listeners.clear();
    await this.#options.leases
      .release(this.#incarnation, leaveGraceMs)
      .catch((error) => this.#options.onError?.(error));
  }

  /** One at a time: a hung server must not collect renewals that would all arrive late. */
  #takeTurn(): Promise<void> {
    this.#turn ??= this.#renewOrLook().finally(() => (this.#turn = undefined));
    return this.#turn;
  }

  async #renewOrLook(): Promise<void> {
    try {
      const isDue = this.#options.clock.now() - this.#renewedAt + this.#watchMs > this.#renewMs;
      const look = isDue || !this.isHeld ? await this.#renew() : await this.#options.leases.look();
      if (!this.#isSameServer(look.serverId)) await this.#renew();
      this.#contact.confirmed(look.serverId, this.#options.clock.now());
      this.#options.onCommandsTop(look.commands);
      this.#judge(look.lapsed);
    } catch (error) {
      this.#contact.broken();
      this.#options.onError?.(error);
    }
  }

  async #renew(): Promise<LeaseLook> {
    for (let attempt = 1; ; attempt += 1) {
      const sentAt = this.#options.clock.now();
      const incarnation = this.current();
      const renewal = await this.#options.leases.renew({ nodeId: this.nodeId, incarnation }, this.#leaseMs);
      if (incarnation === this.#incarnation && renewal.status === 'held') {
        this.#heldUntil = sentAt + this.#leaseMs;
        this.#renewedAt = sentAt;
        return renewal;
      }
      if (incarnation === this.#incarnation) this.#reincarnate();
      if (attempt === 3) return renewal;
    }
  }

  /** Another server may have lost entries of ours: a new incarnation makes everybody write them again. */
  #isSameServer(serverId: string): boolean {
    const isSame = this.#serverId === undefined || this.#serverId === serverId;
    this.#serverId = serverId;
    if (!isSame) this.#reincarnate();
    return isSame;
  }

  #judge(lapsed: readonly Incarnation[]): void {
    if (!this.#contact.lasted(this.#leaseMs, this.#options.clock.now())) return;
    for (const incarnation of lapsed) {
      if (incarnation === this.#incarnation || this.#sweeping.has(incarnation)) continue;
      const swept = this.#sweep(incarnation).finally(() => this.#sweeping.delete(incarnation));
      this.#sweeping.set(incarnation, swept);
    }
  }

  async #sweep(incarnation: Incarnation): Promise<void> {
    try {
      await this.#options.onLapsed(incarnation);
      const burial = await this.#options.leases.bury(incarnation, this.#options.sweepAgainMs ?? 60_000);
      if (burial === 'forgotten') await this.#options.onForgotten?.(incarnation);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  #reincarnate(): void {
    const previous = this.#incarnation;
    this.#incarnation = randomId<Incarnation>();
    this.#heldUntil = undefined;
    for (const listener of [...this.#listeners]) {
      try {
        listener(this.#incarnation, previous);
      } catch (error) {
        this.#options.onError?.(error);
      }
    }
  }
}
