import type { PresenceUser } from 'nestjs-realtime-protocol';
import type { ConnectionId } from '../core/ids.js';
import { MAX_DEVICES, listedUser, type StoredEntry } from '../presence/presence-user.js';

export interface MemoryEntry extends StoredEntry {
  readonly userId: string;
  readonly connectionId: ConnectionId;
  /** Of its device and metadata as JSON. */
  readonly bytes: number;
}

/** What is seen of a user, and the bytes of the listed devices. */
export interface UserView {
  readonly user: PresenceUser;
  readonly bytes: number;
}

/**
 * The connections of one user in one room, by age and by device. Nothing here looks at all of them: a change searches by halves,
 * and a view takes the first devices only.
 */
export class MemoryPresenceUser {
  private readonly all: MemoryEntry[] = [];
  private readonly byDevice = new Map<string, MemoryEntry[]>();
  /** The oldest connection of each device, oldest first. */
  private readonly heads: MemoryEntry[] = [];

  get size(): number {
    return this.all.length;
  }

  get oldest(): MemoryEntry | undefined {
    return this.all[0];
  }

  /** The oldest connections of a device. */
  ofDevice(device: string, limit: number): MemoryEntry[] {
    return this.byDevice.get(device)?.slice(0, limit) ?? [];
  }

  /** The entry is newer than all others. */
  add(entry: MemoryEntry): void {
    this.all.push(entry);
    const group = this.byDevice.get(entry.device);
    if (group) {
      group.push(entry);
      return;
    }
    this.byDevice.set(entry.device, [entry]);
    this.heads.push(entry);
  }

  /** An entry of the same connection, device and age, with another owner or other metadata. */
  replace(entry: MemoryEntry): void {
    for (const list of [this.all, this.byDevice.get(entry.device) ?? [], this.heads]) {
      const at = indexOf(list, entry.order);
      if (list[at]?.order === entry.order) list[at] = entry;
    }
  }

  delete(entry: MemoryEntry): void {
    remove(this.all, entry.order);
    const group = this.byDevice.get(entry.device) ?? [];
    const isHead = group[0]?.order === entry.order;
    remove(group, entry.order);
    const [next] = group;
    if (!next) this.byDevice.delete(entry.device);
    if (!isHead) return;
    remove(this.heads, entry.order);
    if (next) this.heads.splice(indexOf(this.heads, next.order), 0, next);
  }

  view(id: string): UserView {
    const listed = this.heads.slice(0, MAX_DEVICES).map((head) => this.byDevice.get(head.device)?.at(-1) ?? head);
    const bytes = listed.reduce((sum, entry) => sum + entry.bytes, 0);
    return { user: listedUser(id, listed, this.byDevice.size), bytes };
  }
}

/** Where the entry of this age is, or would be. */
function indexOf(list: readonly MemoryEntry[], order: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle]?.order ?? Infinity) < order) low = middle + 1;
    else high = middle;
  }
  return low;
}

function remove(list: MemoryEntry[], order: number): void {
  const at = indexOf(list, order);
  if (list[at]?.order === order) list.splice(at, 1);
}
