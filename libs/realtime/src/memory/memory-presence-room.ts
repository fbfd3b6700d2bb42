import type { PresenceUser } from 'nestjs-realtime-protocol';
import { randomId, type ConnectionId, type Incarnation } from '../core/ids.js';
import { SmallMap } from '../core/small-map.js';
import type { EnterOptions, EnterResult, PresenceChange, PresenceTransition } from '../presence/presence-store.js';
import { deviceChanges, isOwnRoom, listedUser, ownUser } from '../presence/presence-user.js';
import { MemoryPresenceUser, type MemoryEntry, type UserView } from './memory-presence-user.js';

export interface NewEntry {
  readonly userId: string;
  readonly connectionId: ConnectionId;
  readonly incarnation: Incarnation;
  readonly device: string;
  readonly meta: string | undefined;
}

type EntryIds = Pick<NewEntry, 'userId' | 'connectionId' | 'incarnation'>;

/** Connections that one entry pushes out at most. */
const MAX_EVICTED = 16;

/** One room of `MemoryPresenceStore`: does in one turn what the Redis scripts do in one call, at the same cost. */
export class MemoryPresenceRoom {
  readonly epoch = randomId();
  version = 0;
  /** Bytes of the listed devices. */
  bytes = 0;
  readonly entries = new SmallMap<ConnectionId, MemoryEntry>();
  /** Most users have one connection: only the second one costs more than its entry. */
  readonly users = new SmallMap<string, MemoryEntry | MemoryPresenceUser>();
  private entered = 0;
  private readonly isOwn: boolean;

  constructor(
    readonly room: string,
    private readonly publish: (room: string, change: PresenceChange) => void,
  ) {
    this.isOwn = isOwnRoom(room);
  }

  user(userId: string): PresenceUser {
    return this.view(userId).user;
  }

  enter(added: NewEntry, options: EnterOptions): EnterResult {
    const { userId, connectionId, incarnation, device, meta } = added;
    const known = this.entries.get(connectionId);
    const isTaken = known && (known.userId !== userId || (known.incarnation !== incarnation && !options.restore));
    // A late write of an older life: only a restore changes the owner.
    if (isTaken) return this.result({ room: this.room, kind: 'none', user: this.user(userId) }, userId, []);
    const leaving = known || options.restore ? NOBODY : this.makeRoom(userId, device, options);
    if ('status' in leaving) return leaving;
    const before = this.view(userId);
    const isJoin = this.connectionsOf(userId) === 0;
    const isSameDevice = known?.device === device;
    const order = isSameDevice && known ? known.order : (this.entered += 1);
    const entry = { userId, connectionId, incarnation, device, meta, order, bytes: this.bytesOf(device, meta) };
    if (isSameDevice) this.replace(entry);
    else {
      if (known) this.delete(known);
      this.add(entry);
    }
    const evicted = this.evict(userId, leaving);
    const epoch = options.restore?.epoch;
    const isQuiet = !known && epoch !== undefined && epoch !== this.epoch;
    return this.result(this.changed(userId, before, { isJoin, isQuiet }), userId, evicted);
  }

  /** Takes those of `connectionIds` out that `incarnation` owns. */
  leave(userId: string, connectionIds: readonly ConnectionId[], incarnation: Incarnation): PresenceTransition {
    const before = this.view(userId);
    let removed = 0;
    for (const connectionId of connectionIds) {
      const entry = this.owned({ userId, connectionId, incarnation });
      if (!entry) continue;
      this.delete(entry);
      removed += 1;
    }
    if (removed === 0) return { room: this.room, kind: 'none', user: before.user };
    return this.changed(userId, before, { isJoin: false, isQuiet: false });
  }

  update(ids: EntryIds, meta: string | undefined): PresenceTransition {
    const before = this.view(ids.userId);
    const entry = this.owned(ids);
    if (entry) this.replace({ ...entry, meta, bytes: this.bytesOf(entry.device, meta) });
    return this.changed(ids.userId, before, { isJoin: false, isQuiet: false });
  }

  private owned({ userId, connectionId, incarnation }: EntryIds): MemoryEntry | undefined {
    const entry = this.entries.get(connectionId);
    return entry?.userId === userId && entry.incarnation === incarnation ? entry : undefined;
  }

  private view(userId: string): UserView {
    const found = this.users.get(userId);
    if (this.isOwn) return { user: ownUser(userId, this.connectionsOf(userId)), bytes: 0 };
    if (!found) return { user: { id: userId, devices: [] }, bytes: 0 };
    if (found instanceof MemoryPresenceUser) return found.view(userId);
    return { user: listedUser(userId, [found], 1), bytes: found.bytes };
  }

  private connectionsOf(userId: string): number {
    const found = this.users.get(userId);
    return found instanceof MemoryPresenceUser ? found.size : Number(found !== undefined);
  }

  /** Whom a new entry pushes out, or that there is no place. Changes nothing. */
  private makeRoom(userId: string, device: string, options: EnterOptions): Leaving | EnterResult {
    const { maxPerUser = 0, maxTotal = 0, onFull, replaceDevice } = options;
    const found = this.users.get(userId);
    const replaced = replaceDevice && device !== '' ? ofDevice(found, device) : [];
    const left = this.connectionsOf(userId) - replaced.length;
    const isOver = maxPerUser > 0 && left >= maxPerUser;
    if (isOver && onFull !== 'evict-oldest') return { status: 'full', count: left };
    const surplus = isOver ? Math.min(left - maxPerUser + 1, MAX_EVICTED - replaced.length) : 0;
    const isFull = maxTotal > 0 && this.entries.size - replaced.length - surplus >= maxTotal;
    return isFull ? { status: 'full', count: this.entries.size } : { replaced, surplus };
  }

  private evict(userId: string, { replaced, surplus }: Leaving): readonly MemoryEntry[] {
    if (replaced.length + surplus === 0) return replaced;
    const evicted = [...replaced];
    for (const entry of replaced) this.delete(entry);
    for (let nth = 0; nth < surplus; nth += 1) {
      const found = this.users.get(userId);
      const oldest = found instanceof MemoryPresenceUser ? found.oldest : found;
      if (!oldest) break;
      this.delete(oldest);
      evicted.push(oldest);
    }
    return evicted;
  }

  private add(entry: MemoryEntry): void {
    this.entries.set(entry.connectionId, entry);
    const found = this.users.get(entry.userId);
    if (!found) this.users.set(entry.userId, entry);
    else if (found instanceof MemoryPresenceUser) found.add(entry);
    else {
      const user = new MemoryPresenceUser();
      user.add(found);
      user.add(entry);
      this.users.set(entry.userId, user);
    }
  }

  private replace(entry: MemoryEntry): void {
    this.entries.set(entry.connectionId, entry);
    const found = this.users.get(entry.userId);
    if (found instanceof MemoryPresenceUser) found.replace(entry);
    else this.users.set(entry.userId, entry);
  }

  private delete(entry: MemoryEntry): void {
    this.entries.delete(entry.connectionId);
    const found = this.users.get(entry.userId);
    if (found instanceof MemoryPresenceUser) found.delete(entry);
    if (!(found instanceof MemoryPresenceUser) || found.size === 0) this.users.delete(entry.userId);
  }

  private result(
    transition: PresenceTransition,
    userId: string,
    evicted: readonly Pick<MemoryEntry, 'connectionId' | 'incarnation'>[],
  ): EnterResult {
    return {
      status: 'entered',
      epoch: this.epoch,
      transition,
      connections: this.connectionsOf(userId),
      evicted: evicted.map(({ connectionId, incarnation }) => ({ connectionId, incarnation })),
    };
  }

  /** One version and one message for each change that can be seen. A user's own room shows nothing but who is there. */
  private changed(
    userId: string,
    before: UserView,
    { isJoin, isQuiet }: { isJoin: boolean; isQuiet: boolean },
  ): PresenceTransition {
    const { room, epoch } = this;
    const { user, bytes } = this.view(userId);
    this.bytes += bytes - before.bytes;
    const isLeave =
      !isJoin && !this.users.has(userId) && (before.user.devices.length > 0 || (before.user.more ?? 0) > 0);
    const devices = isJoin || isLeave || this.isOwn ? [] : deviceChanges(before.user, user);
    if (!isJoin && !isLeave && devices.length === 0) return { room, kind: 'none', user };
    const count = this.users.size;
    this.version += 1;
    const change = { epoch, version: this.version, count, bytes: this.bytes, ...(isQuiet && { quiet: true }) };
    this.publish(room, devices.length > 0 ? { ...change, devices } : { ...change, user });
    if (isQuiet) return { room, kind: 'none', user };
    if (isJoin) return { room, kind: 'join', user, ...(count === 1 && { occupied: true }) };
    if (isLeave) return { room, kind: 'leave', user, ...(count === 0 && { empty: true }) };
    return { room, kind: 'update', user };
  }

  private bytesOf(device: string, meta: string | undefined): number {
    if (this.isOwn) return 0;
    return Buffer.byteLength(JSON.stringify(device)) + (meta === undefined ? 0 : Buffer.byteLength(meta));
  }
}

interface Leaving {
  /** Entries of the same device. */
  readonly replaced: readonly MemoryEntry[];
  /** How many of the oldest go, too. */
  readonly surplus: number;
}

const NOBODY: Leaving = { replaced: [], surplus: 0 };

function ofDevice(found: MemoryEntry | MemoryPresenceUser | undefined, device: string): readonly MemoryEntry[] {
  if (found instanceof MemoryPresenceUser) return found.ofDevice(device, MAX_EVICTED);
  return found?.device === device ? [found] : [];
}
