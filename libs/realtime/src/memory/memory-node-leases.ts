import { systemClock, type Clock } from '../core/clock.js';
import { randomId, type Incarnation, type NodeId } from '../core/ids.js';
import type { Burial, LeaseLook, LeaseRenewal, NodeLeases, NodeRecord } from '../cluster/node-leases.js';
import type { MemoryCommandLog } from './memory-command-log.js';

const TOMBSTONE_MS = 3_600_000;

interface Lease {
  nodeId: NodeId;
  lapsesAt: number;
}

/** Leases in one process, by its monotonic clock: several registries may share one object, as nodes of one cluster. */
export class MemoryNodeLeases implements NodeLeases {
  readonly #log: MemoryCommandLog;
  readonly #clock: Clock;
  readonly #serverId = randomId();
  readonly #leases = new Map<Incarnation, Lease>();
  readonly #dead = new Map<Incarnation, number>();
  readonly #sweepAt = new Map<Incarnation, number>();

  constructor(log: MemoryCommandLog, clock: Clock = systemClock) {
    this.#log = log;
    this.#clock = clock;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  renew(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal> {
    const now = this.#clock.now();
    const lease = this.#leases.get(node.incarnation);
    const isLost = this.#dead.has(node.incarnation) || (lease !== undefined && lease.lapsesAt <= now);
    if (!isLost) this.#leases.set(node.incarnation, { nodeId: node.nodeId, lapsesAt: now + leaseMs });
    return Promise.resolve({ ...this.#look(now), status: isLost ? 'lost' : 'held' });
  }

  look(): Promise<LeaseLook> {
    return Promise.resolve(this.#look(this.#clock.now()));
  }

  release(incarnation: Incarnation, inMs: number): Promise<void> {
    const lease = this.#leases.get(incarnation);
    if (lease !== undefined) lease.lapsesAt = Math.min(lease.lapsesAt, this.#clock.now() + inMs);
    return Promise.resolve();
  }

  alive(): Promise<NodeRecord[]> {
    const now = this.#clock.now();
    const held = [...this.#leases].filter(([, { lapsesAt }]) => lapsesAt > now);
    return Promise.resolve(held.map(([incarnation, { nodeId }]) => ({ incarnation, nodeId })));
  }

  bury(incarnation: Incarnation, sweepAgainMs: number): Promise<Burial> {
    const now = this.#clock.now();
    const lease = this.#leases.get(incarnation);
    const sweepAt = this.#sweepAt.get(incarnation);
    if (lease !== undefined && lease.lapsesAt <= now) {
      this.#leases.delete(incarnation);
      this.#dead.set(incarnation, now);
      this.#sweepAt.set(incarnation, now + sweepAgainMs);
      return Promise.resolve('dead');
    }
    if (lease === undefined && sweepAt !== undefined && sweepAt <= now) {
      this.#sweepAt.delete(incarnation);
      return Promise.resolve('forgotten');
    }
    return Promise.resolve('unchanged');
  }

  #look(now: number): LeaseLook {
    for (const [incarnation, buriedAt] of this.#dead)
      if (buriedAt <= now - TOMBSTONE_MS) this.#dead.delete(incarnation);
    const lapsed = [...this.#leases].filter(([, { lapsesAt }]) => lapsesAt <= now).map(([incarnation]) => incarnation);
    for (const [incarnation, dueAt] of this.#sweepAt) if (dueAt <= now) lapsed.push(incarnation);
    return { serverId: this.#serverId, commands: this.#log.top, lapsed };
  }
}
