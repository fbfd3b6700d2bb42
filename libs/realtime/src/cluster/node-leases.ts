import type { Position } from 'nestjs-realtime-protocol';
import type { Incarnation, NodeId } from '../core/ids.js';
import type { Lifecycle } from '../core/lifecycle.js';

export interface NodeRecord {
  readonly nodeId: NodeId;
  readonly incarnation: Incarnation;
}

export interface LeaseLook {
  /** Identity of the storage (`master_replid`): it changes at each restart and promotion. */
  readonly serverId: string;
  /** Top of the command log now. */
  readonly commands: Position;
  /** Incarnations to sweep now: those whose lease lapsed, and buried ones whose second sweep is due. At most 100. */
  readonly lapsed: readonly Incarnation[];
}

export interface LeaseRenewal extends LeaseLook {
  /** `lost`: the lease lapsed or somebody has declared this incarnation dead; it must not write any more. */
  readonly status: 'held' | 'lost';
}

export type Burial = 'dead' | 'forgotten' | 'unchanged';

/** Where leases are kept. Times are the storage's own, never a node's. */
export interface NodeLeases extends Lifecycle {
  /** Takes or prolongs the lease by `leaseMs`. An incarnation whose lease lapsed never gets it back: `lost`. */
  renew(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal>;
  /** The same without touching a lease. */
  look(): Promise<LeaseLook>;
  /** Lets the lease run out in `inMs` (0: now), so that survivors announce who does not come back. Never prolongs it. */
  release(incarnation: Incarnation, inMs: number): Promise<void>;
  /** Nodes whose lease has not lapsed. */
  alive(): Promise<NodeRecord[]>;
  /**
   * To be called after a sweep. The first time it marks a lapsed incarnation as dead, which is reported once more as lapsed
   * `sweepAgainMs` later; burying it then ends that: `forgotten`. Does nothing (`unchanged`) to a lease that still runs, and
   * may be repeated.
   */
  bury(incarnation: Incarnation, sweepAgainMs: number): Promise<Burial>;
}
