import type { PresenceUser } from 'nestjs-realtime-protocol';
import { randomId, type ConnectionId, type Incarnation } from '../core/ids.js';
import type { EnterOptions, EnterResult, PresenceChange, PresenceTransition } from '../presence/presence-store.js';
import { SmallMap } from '../core/small-map.js';
import { isSameUser, presenceUser, type StoredEntry } from '../presence/presence-user.js';

export interface NewEntry extends Omit<StoredEntry, 'order'> {
  readonly userId: string;
  readonly connectionId: ConnectionId;
}

type Evicted = { connectionId: ConnectionId; entry: StoredEntry };

/** One room of `MemoryPresenceStore`: does in one turn what the Redis scripts do in one call. */
export class MemoryPresenceRoom {
  readonly epoch = randomId();
  version = 0;
  connections = 0;
  bytes = 0;
  readonly users = new SmallMap<string, Map<ConnectionId, StoredEntry>>();
  private entered = 0;

  constructor(
    readonly room: string,
    private readonly publish: (room: string, change: PresenceChange) => void,
  ) {}

  user(userId: string): PresenceUser {
    return presenceUser(userId, this.users.get(userId)?.values() ?? []);
  }

  enter(added: NewEntry, options: EnterOptions): EnterResult {
    const { userId, connectionId, incarnation, device, meta } = added;
    const before = this.user(userId);
    const known = this.users.get(userId)?.get(connectionId);
    // A late write of an older life: only a restore changes the owner.
    if (known && known.incarnation !== incarnation && !options.restore) return this.result(before, before, []);
    const evicted = known || options.restore ? [] : this.makeRoom(userId, device, options);
    if (!Array.isArray(evicted)) return evicted;
    for (const gone of evicted) this.delete(userId, gone.connectionId);
    const entries = this.users.get(userId) ?? new SmallMap<ConnectionId, StoredEntry>();
    if (known) this.delete(userId, connectionId);
    const order = known?.order ?? (this.entered += 1);
    this.users.set(userId, entries.set(connectionId, { incarnation, device, meta, order }));
    this.connections += 1;
    this.bytes += bytesOf(meta);
    const epoch = options.restore?.epoch;
    const isQuiet = !known && epoch !== undefined && epoch !== this.epoch;
    return this.result(before, this.user(userId), evicted, isQuiet);
  }

  /** Takes those of `connectionIds` out that `incarnation` owns. */
  leave(userId: string, connectionIds: readonly ConnectionId[], incarnation: Incarnation): PresenceTransition {
    const before = this.user(userId);
    for (const connectionId of connectionIds) {
      if (this.users.get(userId)?.get(connectionId)?.incarnation === incarnation) this.delete(userId, connectionId);
    }
    return this.changed(before, this.user(userId));
  }

  update(ids: Pick<NewEntry, 'userId' | 'connectionId' | 'incarnation'>, meta: string | undefined): PresenceTransition {
    const before = this.user(ids.userId);
    const entry = this.users.get(ids.userId)?.get(ids.connectionId);
    if (entry?.incarnation !== ids.incarnation) return this.changed(before, before);
    this.bytes += bytesOf(meta) - bytesOf(entry.meta);
    this.users.get(ids.userId)?.set(ids.connectionId, { ...entry, meta });
    return this.changed(before, this.user(ids.userId));
  }

  /** Whom a new entry pushes out, or that there is no place. Changes nothing. */
  private makeRoom(userId: string, device: string, options: EnterOptions): Evicted[] | EnterResult {
    const { maxPerUser = 0, maxTotal = 0, onFull, replaceDevice } = options;
    if (maxTotal <= 0 && !this.users.has(userId)) return [];
    const own = [...(this.users.get(userId) ?? [])]
      .map(([connectionId, entry]) => ({ connectionId, entry }))
      .sort((a, b) => a.entry.order - b.entry.order);
    const isReplaced = ({ entry }: Evicted): boolean => !!replaceDevice && device !== '' && entry.device === device;
    const evicted = own.filter(isReplaced);
    const rest = own.filter((item) => !isReplaced(item));
    if (maxPerUser > 0 && rest.length >= maxPerUser) {
      if (onFull !== 'evict-oldest') return { status: 'full', count: rest.length };
      evicted.push(...rest.slice(0, rest.length - maxPerUser + 1));
    }
    const isFull = maxTotal > 0 && this.connections - evicted.length >= maxTotal;
    return isFull ? { status: 'full', count: this.connections } : evicted;
  }

  private delete(userId: string, connectionId: ConnectionId): void {
    const entries = this.users.get(userId);
    const entry = entries?.get(connectionId);
    if (!entries || !entry) return;
    entries.delete(connectionId);
    if (entries.size === 0) this.users.delete(userId);
    this.connections -= 1;
    this.bytes -= bytesOf(entry.meta);
  }

  private result(before: PresenceUser, after: PresenceUser, evicted: Evicted[], isQuiet = false): EnterResult {
    return {
      status: 'entered',
      epoch: this.epoch,
      transition: this.changed(before, after, isQuiet),
      evicted: evicted.map(({ connectionId, entry: { incarnation } }) => ({ connectionId, incarnation })),
    };
  }

  /** One version and one message for each change that can be seen. */
  private changed(before: PresenceUser, after: PresenceUser, isQuiet = false): PresenceTransition {
    const { room, epoch } = this;
    if (isSameUser(before, after)) return { room, kind: 'none', user: after };
    const count = this.users.size;
    this.version += 1;
    const change = { epoch, version: this.version, user: after, count, bytes: this.bytes };
    this.publish(room, isQuiet ? { ...change, quiet: true } : change);
    if (isQuiet) return { room, kind: 'none', user: after };
    if (before.devices.length === 0) return { room, kind: 'join', user: after, ...(count === 1 && { occupied: true }) };
    if (after.devices.length > 0) return { room, kind: 'update', user: after };
    return { room, kind: 'leave', user: after, ...(count === 0 && { empty: true }) };
  }
}

function bytesOf(json: string | undefined): number {
  return json === undefined ? 0 : Buffer.byteLength(json);
}
