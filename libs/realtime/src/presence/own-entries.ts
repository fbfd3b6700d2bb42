import type { Incarnation } from '../core/ids.js';

/** Who enters: an entry without what the node adds by itself. */
export interface OwnEntry {
  readonly userId: string;
  /** Unique in the room: a connection's id, or a transport's in a user's own room. */
  readonly connectionId: string;
  readonly device: string;
  /** JSON, at most 2 KiB. */
  readonly meta?: unknown;
}

/** One entry of this node, as it should be in the store, and what is known of what is there. */
export interface LiveEntry {
  readonly room: string;
  readonly userId: string;
  readonly connectionId: string;
  device: string;
  meta: unknown;
  wanted: 'in' | 'out';
  /** Incarnations that may own it in the store: more than one only while an answer is missing. */
  owners: Incarnation[];
  /** The room's epoch that confirmed it last. */
  epoch: string | undefined;
  /** The end of its last write, while one is under way: writes of one entry never overtake each other. */
  lane: Promise<void> | undefined;
}

/** The entries of this node, by room and connection. */
export class OwnEntries {
  /** Users' own rooms have one entry as a rule: only the second one costs a map. */
  private readonly rooms = new Map<string, LiveEntry | Map<string, LiveEntry>>();
  /** Out of this node, perhaps not yet out of the store: who comes again must not overtake the own leave. */
  private readonly leaving = new Map<string, LiveEntry>();
  private total = 0;

  constructor(private readonly onSize: (size: number) => void) {}

  get size(): number {
    return this.total;
  }

  get(room: string, connectionId: string): LiveEntry | undefined {
    const found = this.rooms.get(room);
    if (found instanceof Map) return found.get(connectionId);
    return found?.connectionId === connectionId ? found : undefined;
  }

  /** Of one room, or all. */
  *list(room?: string): Iterable<LiveEntry> {
    if (room !== undefined) yield* entriesOf(this.rooms.get(room));
    else for (const entries of this.rooms.values()) yield* entriesOf(entries);
  }

  add(room: string, entry: OwnEntry): LiveEntry {
    const known = this.get(room, entry.connectionId);
    if (known?.userId === entry.userId) return Object.assign(known, { device: entry.device, meta: entry.meta });
    const { userId, connectionId, device, meta } = entry;
    const past = this.leaving.get(keyOf(room, connectionId));
    const live: LiveEntry =
      past?.userId === userId ? Object.assign(past, { device, meta, wanted: 'in' as const }) : liveEntry(room, entry);
    this.leaving.delete(keyOf(room, connectionId));
    this.put(live);
    if (!known) this.onSize((this.total += 1));
    return live;
  }

  /** The node does not have it any more; `forget` it when the store does not have it either. */
  remove(entry: LiveEntry): void {
    const { room, connectionId } = entry;
    entry.wanted = 'out';
    if (this.get(room, connectionId) !== entry) return;
    this.leaving.set(keyOf(room, connectionId), entry);
    const found = this.rooms.get(room);
    if (found instanceof Map) found.delete(connectionId);
    if (!(found instanceof Map) || found.size === 0) this.rooms.delete(room);
    this.onSize((this.total -= 1));
  }

  forget(entry: LiveEntry): void {
    const key = keyOf(entry.room, entry.connectionId);
    if (this.leaving.get(key) === entry) this.leaving.delete(key);
  }

  private put(entry: LiveEntry): void {
    const { room, connectionId } = entry;
    const found = this.rooms.get(room);
    if (found instanceof Map) found.set(connectionId, entry);
    else if (!found || found.connectionId === connectionId) this.rooms.set(room, entry);
    else this.rooms.set(room, new Map([found, entry].map((one) => [one.connectionId, one])));
  }
}

function entriesOf(found: LiveEntry | Map<string, LiveEntry> | undefined): Iterable<LiveEntry> {
  if (found instanceof Map) return found.values();
  return found ? [found] : [];
}

/** In one literal: objects put together by spreading have a shape each, which costs more than the entry itself. */
function liveEntry(room: string, { userId, connectionId, device, meta }: OwnEntry): LiveEntry {
  const owners: Incarnation[] = [];
  return { room, userId, connectionId, device, meta, wanted: 'in', owners, epoch: undefined, lane: undefined };
}

/** Room names have no blanks. */
const keyOf = (room: string, connectionId: string): string => `${room} ${connectionId}`;
