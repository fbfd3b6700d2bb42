import { createHash } from 'node:crypto';

/**
 * Keys of ours in Redis, without `keyPrefix`. What one script touches shares the tag in braces, and so a slot of a cluster.
 * Invariant: a tag with `#` is none of a room's, because no room's name may hold one; and what others name (principals,
 * devices, throttlers) stands in a key as a hash only. So no two kinds of key, and no two owners of a kind, ever meet.
 */

/** Of all nodes together: leases and the command log. */
export const NODES_TAG = '{#nodes}';
/** Up to 0.1: also the tag of a room of that name. See `OlderNodes`. */
export const OLDER_NODES_TAG = '{nodes}';

/** A room's. */
export function roomKey(room: string, part: string): string {
  // The only key that both a room and the nodes of before have: what these still read and write is not for the room.
  const isTaken = room === 'nodes' && part === 'log';
  return `{${room}}:${isTaken ? 'roomlog' : part}`;
}

/** Rooms in which an incarnation has entries. */
export const indexKey = (incarnation: string): string => `{#idx:${incarnation}}:rooms`;

/** Requests of a principal, of all devices or of one. */
export function requestKey(principalId: string, part: string, device?: string): string {
  const key = `{#req:${hashOf(principalId)}}:${part}`;
  return device === undefined ? key : `${key}:${hashOf(device)}`;
}

/** The name of a request among those of its principal. */
export const requestField = (device: string, id: string): string => `${hashOf(device)}:${id}`;

/** One counter of a throttler. */
export const rateKey = (counter: string): string => `{#rate:${hashOf(counter)}}`;

/** 132 bits: nobody finds two texts with the same one. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
