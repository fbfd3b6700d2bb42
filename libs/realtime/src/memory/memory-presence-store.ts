import type { PresenceState, PresenceUser } from 'nestjs-realtime-protocol';
import type { Clock } from '../core/clock.js';
import type { ConnectionId, Incarnation } from '../core/ids.js';
import { encodeMeta } from '../presence/presence-meta.js';
import {
  EMPTY_ROOM_TTL_MS,
  LAST_SEEN_TTL_MS,
  MAX_LISTED_BYTES,
  type EnterOptions,
  type EnterResult,
  type PresenceChange,
  type PresenceEntry,
  type PresencePage,
  type PresenceStore,
  type PresenceTransition,
} from '../presence/presence-store.js';
import { ExpiringMap } from './expiring-map.js';
import { MemoryPresenceRoom } from './memory-presence-room.js';

export interface MemoryPresenceStoreOptions {
  readonly clock: Clock;
  /** Where changes go: the room's channel without any prefix, and `p` + JSON. Called before the write resolves. */
  readonly publish: (channel: string, payload: string) => void;
}

type EntryIds = Pick<PresenceEntry, 'userId' | 'connectionId' | 'incarnation'>;

/** Users, in all rooms, whose time of leaving is known. */
const MAX_LAST_SEEN_ALL = 100_000;

/** Presence of one process, with the meaning of the Redis store. Refuses nothing more, and forgets all at exit. */
export class MemoryPresenceStore implements PresenceStore {
  private readonly rooms = new Map<string, MemoryPresenceRoom>();
  private readonly emptyRooms: ExpiringMap<MemoryPresenceRoom>;
  private readonly seenAt: ExpiringMap<number>;
  /** One function for all rooms. */
  private readonly publish = (room: string, change: PresenceChange): void =>
    this.options.publish(`{${room}}:ch`, `p${JSON.stringify(change)}`);

  constructor(private readonly options: MemoryPresenceStoreOptions) {
    this.emptyRooms = new ExpiringMap(options.clock, EMPTY_ROOM_TTL_MS, MAX_LAST_SEEN_ALL);
    this.seenAt = new ExpiringMap(options.clock, LAST_SEEN_TTL_MS, MAX_LAST_SEEN_ALL);
  }

  async ready(): Promise<void> {}

  async close(): Promise<void> {}

  /** Forgets everything at once, as a Redis that came back empty: what tests of recovery need. */
  reset(): void {
    this.rooms.clear();
    this.emptyRooms.clear();
    this.seenAt.clear();
  }

  async enter(room: string, entry: PresenceEntry, options: EnterOptions = {}): Promise<EnterResult> {
    const meta = encodeMeta(entry.meta);
    const { userId, incarnation, device } = entry;
    const added = { userId, incarnation, device, meta, connectionId: entry.connectionId as ConnectionId };
    const opened = this.open(room);
    const result = opened.enter(added, options);
    this.settle(opened);
    return result;
  }

  async leave(room: string, { userId, connectionId, incarnation }: EntryIds): Promise<PresenceTransition> {
    const transition = this.open(room).leave(userId, [connectionId as ConnectionId], incarnation);
    return this.left(transition);
  }

  async update(room: string, ids: EntryIds, meta: unknown): Promise<PresenceTransition> {
    const encoded = encodeMeta(meta);
    const opened = this.open(room);
    const transition = opened.update({ ...ids, connectionId: ids.connectionId as ConnectionId }, encoded);
    this.settle(opened);
    return transition;
  }

  async sweep(incarnation: Incarnation, onTransition: (transition: PresenceTransition) => void): Promise<void> {
    for (const room of [...this.rooms.values()]) {
      const dead = new Map<string, ConnectionId[]>();
      for (const { userId, connectionId, incarnation: owner } of room.entries.values()) {
        if (owner !== incarnation) continue;
        const ids = dead.get(userId);
        if (ids) ids.push(connectionId);
        else dead.set(userId, [connectionId]);
      }
      for (const [userId, ids] of dead) {
        const transition = this.left(room.leave(userId, ids, incarnation));
        if (transition.kind !== 'none') onTransition(transition);
      }
    }
  }

  /** Entries are found in the rooms themselves. */
  forget(_incarnation: Incarnation): Promise<void> {
    return Promise.resolve();
  }

  async read(room: string, maxListed: number): Promise<PresenceState> {
    const known = this.find(room);
    if (!known) return { epoch: '', version: 0, count: 0, users: [] };
    const state = { epoch: known.epoch, version: known.version, count: known.users.size };
    if (known.users.size > maxListed || known.bytes > MAX_LISTED_BYTES) return state;
    return { ...state, users: [...known.users.keys()].map((id) => known.user(id)) };
  }

  async list(room: string, page: { cursor?: string | undefined; limit: number }): Promise<PresencePage> {
    const known = this.find(room);
    const { items, next } = pageOf([...(known?.users.keys() ?? [])], page);
    const users = items.flatMap((id): PresenceUser[] => (known ? [known.user(id)] : []));
    return { users, epoch: known?.epoch ?? '', version: known?.version ?? 0, next };
  }

  async entries(
    room: string,
    page: { cursor?: string | undefined; limit: number },
  ): Promise<{ entries: PresenceEntry[]; next?: string | undefined }> {
    const byKey = new Map<string, PresenceEntry>();
    for (const { userId, connectionId, incarnation, device, meta } of this.rooms.get(room)?.entries.values() ?? []) {
      const entry = { userId, connectionId, incarnation, device };
      const key = `${incarnation} ${connectionId} ${userId}`;
      byKey.set(key, meta === undefined ? entry : { ...entry, meta: JSON.parse(meta) as unknown });
    }
    const { items, next } = pageOf([...byKey.keys()], page);
    return { entries: items.flatMap((key) => byKey.get(key) ?? []), next };
  }

  async get(room: string, userId: string): Promise<PresenceUser | undefined> {
    const known = this.rooms.get(room);
    return known?.users.has(userId) ? known.user(userId) : undefined;
  }

  async count(room: string): Promise<{ users: number; connections: number }> {
    const known = this.rooms.get(room);
    return { users: known?.users.size ?? 0, connections: known?.entries.size ?? 0 };
  }

  async lastSeen(room: string, userId: string): Promise<number | undefined> {
    return this.seenAt.get(`${room} ${userId}`);
  }

  async versions(rooms: readonly string[]): Promise<({ epoch: string; version: number } | undefined)[]> {
    return rooms.map((room) => {
      const known = this.rooms.get(room);
      return known && { epoch: known.epoch, version: known.version };
    });
  }

  private find(room: string): MemoryPresenceRoom | undefined {
    return this.rooms.get(room) ?? this.emptyRooms.get(room);
  }

  private open(room: string): MemoryPresenceRoom {
    return this.find(room) ?? new MemoryPresenceRoom(room, this.publish);
  }

  private left(transition: PresenceTransition): PresenceTransition {
    const { kind, room, user } = transition;
    if (kind === 'leave') this.seenAt.set(`${room} ${user.id}`, this.options.clock.unixNow());
    const known = this.rooms.get(room);
    if (known) this.settle(known);
    return transition;
  }

  /** Rooms with users are kept; an empty one only remembers its epoch and version for a while. */
  private settle(room: MemoryPresenceRoom): void {
    if (room.users.size > 0) {
      this.emptyRooms.delete(room.room);
      this.rooms.set(room.room, room);
    } else if (this.rooms.delete(room.room)) {
      this.emptyRooms.set(room.room, room);
    }
  }
}

/** In the order of the keys; a cursor is the last key of the page before. */
function pageOf(
  keys: string[],
  { cursor, limit }: { cursor?: string | undefined; limit: number },
): { items: string[]; next?: string | undefined } {
  const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString();
  const rest = keys.filter((key) => after === undefined || key > after).sort();
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    next: rest.length > limit && last !== undefined ? Buffer.from(last).toString('base64url') : undefined,
  };
}
