import type { Numbered } from './continuity.js';
import { MAX_RECOVERED, MAX_RECOVERED_BYTES } from './room-log.js';

export interface RecentEntry<M extends Numbered> {
  readonly offset: number;
  readonly message: M;
  /** Of its text, in UTF-8. */
  readonly bytes: number;
}

/** What an entry costs beyond its text, in bytes: objects, and what they say of it. */
const OVERHEAD = 256;

/**
 * The newest publications of one room, in their order and without a hole, up to where the room stands on this node: never
 * more than a client may recover. Knows from which offset on it is complete.
 */
export class RecentRoom<M extends Numbered> {
  /** Joins under way that rely on it: it is not evicted. */
  pins = 0;
  private readonly list: RecentEntry<M>[] = [];
  private textBytes = 0;
  private isComplete = false;
  private isExhausted = false;

  constructor(
    readonly name: string,
    /** Publications that the log keeps. */
    private readonly size: number,
    private after: number,
    private readonly weigh: (delta: number) => void,
  ) {}

  get entries(): readonly RecentEntry<M>[] {
    return this.list;
  }

  /** Everything after this offset is here. */
  get completeAfter(): number {
    return this.after;
  }

  /** All that the log keeps is here. */
  get isWhole(): boolean {
    return this.isComplete;
  }

  /** What is not here is more than a client may recover: there is no use in asking the log. */
  get isFull(): boolean {
    return this.isExhausted;
  }

  push(message: M): void {
    const bytes = Buffer.byteLength(message.text);
    this.list.push({ offset: message.position.offset, message, bytes });
    this.add(bytes, 1);
    // What the log does not keep either is no loss.
    if (this.list.length > this.size && this.size < MAX_RECOVERED) this.trim(this.list[0]?.offset ?? 0);
    while (this.list.length > MAX_RECOVERED || this.textBytes > MAX_RECOVERED_BYTES) {
      this.dropOldest();
      this.isExhausted = true;
    }
  }

  /** The newest of the log before what is here, without a hole between the two; `hasMore`: the log has older ones. */
  loadOlder(messages: readonly M[], start: number, hasMore: boolean): void {
    const newer = this.list.map(({ message }) => message);
    const first = newer[0]?.position.offset ?? Infinity;
    const older = messages.filter(({ position }) => position.offset < first);
    this.reset(hasMore ? (messages[0]?.position.offset ?? this.after + 1) - 1 : start);
    this.isComplete = !hasMore;
    this.isExhausted = true;
    for (const message of [...older, ...newer]) this.push(message);
  }

  /** Forgets everything: the room goes on after this offset. */
  reset(after: number): void {
    while (this.list.length > 0) this.dropOldest();
    this.after = after;
    this.isComplete = false;
    this.isExhausted = false;
  }

  /** The log has forgotten everything up to here. */
  trim(start: number): void {
    const isWhole = this.isComplete;
    while ((this.list[0]?.offset ?? Infinity) <= start) this.dropOldest();
    this.after = Math.max(this.after, start);
    this.isComplete = isWhole;
  }

  /** One entry was erased. */
  erase(offset: number): void {
    const index = this.list.findIndex((entry) => entry.offset === offset);
    const [erased] = index === -1 ? [] : this.list.splice(index, 1);
    if (erased) this.add(erased.bytes, -1);
  }

  /** To make room for others: it may be read again. */
  evictOldest(): void {
    this.dropOldest();
    this.isExhausted = false;
  }

  private dropOldest(): void {
    const oldest = this.list.shift();
    if (!oldest) return;
    this.add(oldest.bytes, -1);
    this.after = oldest.offset;
    this.isComplete = false;
  }

  private add(bytes: number, sign: 1 | -1): void {
    this.textBytes += sign * bytes;
    this.weigh(sign * (bytes + OVERHEAD));
  }
}

/**
 * The recent publications of all rooms that this node hosts, so that a crowd that comes back is served from memory. Bounded
 * in bytes: beyond, the room that nobody used for the longest time loses its oldest ones first.
 */
export class RecentPublications<M extends Numbered> {
  /** The one used last is the last. */
  private readonly rooms = new Map<string, RecentRoom<M>>();
  private bytes = 0;

  /** 0: nothing is kept but what joins under way need. */
  constructor(private readonly maxBytes: number) {}

  get size(): number {
    return this.bytes;
  }

  /** `size`: what the log keeps; `completeAfter`: where the room begins on this node. */
  open(name: string, size: number, completeAfter: number): RecentRoom<M> {
    const room = new RecentRoom<M>(name, size, completeAfter, (delta) => (this.bytes += delta));
    this.rooms.set(name, room);
    return room;
  }

  close(room: RecentRoom<M>): void {
    room.reset(Infinity);
    if (this.rooms.get(room.name) === room) this.rooms.delete(room.name);
  }

  /** Somebody read or will read it: it is evicted after the others. */
  touch(room: RecentRoom<M>): void {
    if (this.rooms.get(room.name) !== room) return;
    this.rooms.delete(room.name);
    this.rooms.set(room.name, room);
  }

  /** To be called after rooms have grown. */
  evict(): void {
    if (this.bytes <= this.maxBytes) return;
    for (const room of this.rooms.values()) {
      while (room.pins === 0 && room.entries.length > 0) {
        room.evictOldest();
        if (this.bytes <= this.maxBytes) return;
      }
    }
  }
}
