import type { PresenceDeviceChange, PresenceState, PresenceUser } from 'nestjs-realtime-protocol';
import type { ConnectionId, Incarnation } from '../core/ids.js';
import type { Lifecycle } from '../core/lifecycle.js';

export const PRESENCE_STORE = Symbol.for('nestjs-realtime:presence-store');

/** A room whose listed devices have more bytes than this, labels and metadata, is counted, not listed. */
export const MAX_LISTED_BYTES = 131_072;
/** How long an empty room remembers its epoch and version, so that versions go on where they were. */
export const EMPTY_ROOM_TTL_MS = 3_600_000;
/** How long, and of how many users in one room, the time of leaving is known. */
export const LAST_SEEN_TTL_MS = 604_800_000;
export const MAX_LAST_SEEN = 1_000;

export interface PresenceEntry {
  readonly userId: string;
  /** Unique in the room: a connection's id, or a transport's in a user's own room. */
  readonly connectionId: string;
  readonly incarnation: Incarnation;
  readonly device: string;
  /** JSON, at most 2 KiB. */
  readonly meta?: unknown;
}

export interface EnterOptions {
  /** Most entries of one user in the room (`perUser`) or of all (`total`). 0 or absent: no limit. */
  readonly maxPerUser?: number | undefined;
  readonly maxTotal?: number | undefined;
  /** Beyond `maxPerUser`: refuse, or make room by removing that user's oldest entries, at most 16. Default `reject`. */
  readonly onFull?: 'reject' | 'evict-oldest' | undefined;
  /** Entries of the same user and device, at most 16, are replaced, and reported as evicted. */
  readonly replaceDevice?: boolean | undefined;
  /**
   * The connection lives and may have been here before: its node took a new incarnation, or the storage lost it. Limits do
   * not apply and the entry changes its owner. If it is missing although the room is still in the epoch that last confirmed
   * it, it was swept and joins again; in another epoch the storage lost it, and the transition is `none` (published `quiet`).
   */
  readonly restore?: { readonly epoch: string | undefined } | undefined;
}

/** What a write did to the room: told once in the cluster, by whoever made the write. */
export interface PresenceTransition {
  readonly room: string;
  readonly kind: 'join' | 'leave' | 'update' | 'none';
  readonly user: PresenceUser;
  /** The room had nobody before / has nobody any more. */
  readonly occupied?: boolean | undefined;
  readonly empty?: boolean | undefined;
}

export type EnterResult =
  | {
      readonly status: 'entered';
      /** The room's epoch that confirmed the entry: what `restore` asks for later. */
      readonly epoch: string;
      readonly transition: PresenceTransition;
      /** Of the user in the room, this one included. */
      readonly connections: number;
      readonly evicted: readonly { connectionId: ConnectionId; incarnation: Incarnation }[];
    }
  | { readonly status: 'full'; readonly count: number };

export interface PresencePage {
  readonly users: PresenceUser[];
  readonly epoch: string;
  readonly version: number;
  /** Pass it as `cursor` for the next page; absent on the last. A cursor is opaque. */
  readonly next?: string | undefined;
}

/**
 * What the room's channel carries after each transition: `p` + JSON of this. Versions count up by one in an epoch. It says what
 * changed, either by `user` or by `devices`.
 */
export interface PresenceChange {
  readonly epoch: string;
  readonly version: number;
  /** A user who came; without devices, and without `more`, one who has left. */
  readonly user?: PresenceUser | undefined;
  /** What changed of the devices of one user who is there: to be made in this order. */
  readonly devices?: readonly PresenceDeviceChange[] | undefined;
  /** Users in the room after the change. */
  readonly count: number;
  /** Bytes of listed devices in the room after the change. */
  readonly bytes?: number | undefined;
  /** Nobody joined: the storage lost this user and has it again. */
  readonly quiet?: boolean | undefined;
}

/**
 * Who is in which room, in the whole cluster. Every write is atomic for its room, bumps the room's version by one if
 * anything changed, and publishes the change itself: whose write made the transition has announced it, exactly once.
 * All writes are idempotent, so that they may be repeated after a lost answer. The cost of a write and the bytes of its change do
 * not grow with the connections of its user: at most 16 devices of a user are listed. A user's own room (`user/<id>`) lists none,
 * and only its first connection and its last one are changes.
 */
export interface PresenceStore extends Lifecycle {
  enter(room: string, entry: PresenceEntry, options?: EnterOptions): Promise<EnterResult>;
  /** Removes the entry if this incarnation owns it; otherwise does nothing (`none`). */
  leave(
    room: string,
    entry: Pick<PresenceEntry, 'userId' | 'connectionId' | 'incarnation'>,
  ): Promise<PresenceTransition>;
  /** New metadata for an entry that this incarnation owns. */
  update(
    room: string,
    entry: Pick<PresenceEntry, 'userId' | 'connectionId' | 'incarnation'>,
    meta: unknown,
  ): Promise<PresenceTransition>;
  /**
   * The whole room, or its count alone when it has more than `maxListed` users or `MAX_LISTED_BYTES` of listed devices.
   * A room that nobody was ever in (or not for an hour) has the epoch `''` and version 0.
   */
  read(room: string, maxListed: number): Promise<PresenceState>;
  /**
   * Users in the order of their ids. Who is there all the time is listed exactly once; who comes or goes meanwhile, at
   * most once. Never more than `limit`.
   */
  list(room: string, page: { cursor?: string | undefined; limit: number }): Promise<PresencePage>;
  get(room: string, userId: string): Promise<PresenceUser | undefined>;
  /** O(1). */
  count(room: string): Promise<{ users: number; connections: number }>;
  /** Entries (connections) of a room, paged; one that changes its owner meanwhile may come twice. */
  entries(
    room: string,
    page: { cursor?: string | undefined; limit: number },
  ): Promise<{ entries: PresenceEntry[]; next?: string | undefined }>;
  /** Unix milliseconds at which the user's last entry left the room, if the storage still knows. */
  lastSeen(room: string, userId: string): Promise<number | undefined>;
  /** (epoch, version) of many rooms in one pipelined read; undefined for a room without entries. */
  versions(rooms: readonly string[]): Promise<({ epoch: string; version: number } | undefined)[]>;
  /**
   * Removes all entries of a dead incarnation. May run on several nodes at once, be repeated, and fail half-way: each
   * transition is reported once, to whoever made it, as soon as it is made.
   */
  sweep(incarnation: Incarnation, onTransition: (transition: PresenceTransition) => void): Promise<void>;
  /** After the last sweep: drops what was kept to find the entries of a dead incarnation. */
  forget(incarnation: Incarnation): Promise<void>;
}
