import type { Position } from 'nestjs-realtime-protocol';
import type { Incarnation, NodeId } from '../core/ids.js';
import type { Lifecycle } from '../core/lifecycle.js';

export interface NodeRecord {
  readonly nodeId: NodeId;
  readonly incarnation: Incarnation;
}

export interface LeaseRenewal {
  /** Identity of the storage (`master_replid`): it changes at each restart and promotion. */
  readonly serverId: string;
  /** `lost`: somebody has declared this incarnation dead; it must not write any more. */
  readonly status: 'held' | 'lost';
  /** Top of the command log at the time of the renewal. */
  readonly commands: Position;
  /** Incarnations whose lease has lapsed and that are not swept for the last time yet. */
  readonly lapsed: readonly Incarnation[];
}

/** Where leases are kept. Times are the storage's own, never a node's. */
export interface NodeLeases extends Lifecycle {
  /** Takes or prolongs the lease by `leaseMs`. A dead incarnation never gets it back: `lost`. */
  renew(node: NodeRecord, leaseMs: number): Promise<LeaseRenewal>;
  /** Lets the lease run out in `inMs` (0: now), so that survivors announce who does not come back. */
  release(incarnation: Incarnation, inMs: number): Promise<void>;
  /** Nodes whose lease has not lapsed. */
  alive(): Promise<NodeRecord[]>;
  /** Marks a lapsed incarnation as dead; it is reported again as lapsed until `sweepAgainMs` later, then forgotten. */
  bury(incarnation: Incarnation, sweepAgainMs: number): Promise<void>;
}
