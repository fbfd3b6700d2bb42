import {
  CLIENT_EVENTS,
  type PresenceCount,
  type PresenceDiff,
  type PresenceState,
  type PresenceUser,
} from 'nestjs-realtime-protocol';
import { Emitter, type Off } from './emitter.js';
import { EMPTY, difference, fromSnapshot, merge, usersOf } from './presence-table.js';

export type RoomPhase = 'left' | 'joining' | 'joined';

/** What a room is for its presence. */
export interface PresenceRoom {
  readonly name: string;
  readonly phase: RoomPhase;
  /** @internal What the others see of this device. */
  meta: unknown;
  /** @internal Told of every snapshot and every diff. */
  observer: RoomObserver | undefined;
  /** @internal Rejects with `RealtimeClientError`. */
  ask(event: string, data: unknown): Promise<unknown>;
}

export interface RoomObserver {
  reset(snapshot: PresenceState | undefined): void;
  apply(diff: PresenceDiff | PresenceCount): void;
}

/**
 * Who is in a room: the same object for the same room. Best before `room.join()`; later it asks the server for what the
 * join had told already. A function of its own, so that an app that does not show who is there does not load it.
 */
export function presenceOf(room: PresenceRoom): RoomPresence {
  if (room.observer instanceof RoomPresence) return room.observer;
  return (room.observer = new RoomPresence(room));
}

export interface PresenceChanges {
  readonly joined: readonly PresenceUser[];
  /** Ids of the users whose last device left. */
  readonly left: readonly string[];
  /** Users with other devices or other metadata than before. */
  readonly updated: readonly PresenceUser[];
}

type Page = Omit<PresenceState, 'count'> & { count?: number; next?: string };

/** Who is in a room. While the connection is lost it keeps what it knew; the next join replaces it. */
export class RoomPresence implements RoomObserver {
  #table = EMPTY;
  /** Diffs that arrived while the server was being asked; undefined: nobody is asking. */
  #waiting: (PresenceDiff | PresenceCount)[] | undefined;
  readonly #emitter = new Emitter();

  /** By `presenceOf()`. */
  constructor(private readonly room: PresenceRoom) {
    if (room.phase === 'joined') void this.#askAgain();
  }

  /** One entry for a user, however many devices. Empty in a room that is too large to list: see `count`. */
  get users(): readonly PresenceUser[] {
    return usersOf(this.#table);
  }

  get count(): number {
    return this.#table.count;
  }

  /** Undefined for who is not there, and in a room that is too large to list. */
  get(userId: string): PresenceUser | undefined {
    return this.#table.users?.get(userId);
  }

  /**
   * `change`: with the whole list and what is new in it, once for each change. `join`, `leave` and `update`: for each user,
   * before `change`; not for those who were there already when the room was joined for the first time.
   */
  on(event: 'change', listener: (users: readonly PresenceUser[], changes: PresenceChanges) => void): Off;
  on(event: 'join' | 'leave' | 'update', listener: (user: PresenceUser) => void): Off;
  on(event: string, listener: (...args: never[]) => void): Off {
    return this.#emitter.on(event, listener);
  }

  /**
   * What the others see of this device; JSON, at most 2 KiB. While the room is not joined it goes out with the join.
   * @throws RealtimeClientError the server's refusal, or `UNKNOWN` when the connection ended before its answer; the next
   * join carries it in any case.
   */
  async update(meta: unknown): Promise<void> {
    const { room } = this;
    // Remembered for the next join; told at once where the room is joined.
    room.meta = meta;
    if (room.phase === 'joined') await room.ask(CLIENT_EVENTS.meta, { room: room.name, meta });
  }

  /** @internal */
  reset(snapshot: PresenceState | undefined): void {
    this.#waiting = undefined;
    this.#set(snapshot ? fromSnapshot(snapshot) : EMPTY);
  }

  /** @internal */
  apply(diff: PresenceDiff | PresenceCount): void {
    if (this.#waiting) {
      this.#waiting.push(diff);
      return;
    }
    const merged = merge(this.#table, diff);
    if (merged === 'stale') void this.#askAgain();
    else this.#set(merged);
  }

  async #askAgain(): Promise<void> {
    const waiting: (PresenceDiff | PresenceCount)[] = (this.#waiting = []);
    let snapshot: PresenceState | undefined;
    try {
      snapshot = await this.#readAll();
    } catch {
      // The connection or the server is in trouble. The next diff will not fit either, and asks again.
    }
    if (this.#waiting !== waiting) return;
    this.#waiting = undefined;
    if (!snapshot) return;
    this.#set(fromSnapshot(snapshot));
    for (const diff of waiting) this.apply(diff);
  }

  async #readAll(): Promise<PresenceState> {
    const users: PresenceUser[] = [];
    let first: Page | undefined;
    let cursor: string | undefined;
    do {
      const request = { room: this.room.name, cursor };
      const page = (await this.room.ask(CLIENT_EVENTS.presence, request)) as Page;
      first ??= page;
      if (!page.users) return { ...page, count: page.count ?? this.count };
      users.push(...page.users);
      cursor = page.next;
    } while (cursor);
    // The first page's version: what changed while the others were read comes again as a diff.
    return { ...first, count: users.length, users };
  }

  #set(next: typeof EMPTY): void {
    const before = this.#table;
    if (next === before) return;
    this.#table = next;
    const { joined, left, updated } = difference(before, next);
    if (before !== EMPTY && next !== EMPTY) {
      for (const user of joined) this.#emitter.emit('join', user);
      for (const user of left) this.#emitter.emit('leave', user);
      for (const user of updated) this.#emitter.emit('update', user);
    }
    this.#emitter.emit('change', this.users, { joined, left: left.map(({ id }) => id), updated });
  }
}
