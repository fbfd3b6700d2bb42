import { randomFillSync } from 'node:crypto';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** One process of the cluster, for its whole life. */
export type NodeId = Branded<'NodeId'>;
/** One life of a node in the cluster: it takes a new one when its lease lapsed. Owns presence entries. */
export type Incarnation = Branded<'Incarnation'>;
/** One Socket.IO socket: one principal in one namespace. */
export type ConnectionId = Branded<'ConnectionId'>;
/** One Engine.IO connection; carries one connection for each namespace in use. */
export type TransportId = Branded<'TransportId'>;

/** `bytes` random bytes as URL-safe text; 12 bytes (96 bits) make collisions in one cluster's life implausible. */
export function randomId<Id extends string = string>(bytes = 12): Id {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('base64url', used - bytes, used) as Id;
}

/** Random bytes for many ids at a time: asking for a few costs as much as asking for all of these. Each is used once. */
const pool = Buffer.allocUnsafeSlow(4_096);
let used = pool.length;
