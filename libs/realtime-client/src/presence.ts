import {
  CLIENT_EVENTS,
  type PresenceCount,
  type PresenceDiff,
  type PresenceState,
  type PresenceUser,
} from 'nestjs-realtime-protocol';
import { Emitter, type Off } from './emitter.js';
import { EMPTY, difference, fromSnapshot, merge } from './presence-table.js';

/** How the room asks the server; rejects with `RealtimeClientError`. */
export type Ask = (event: string, data: unknown) => Promise<unknown>;

export interface PresenceChanges {
  readonly joined: readonly PresenceUser[];
  /** Ids of the users whose last device left. */
  readonly left: readonly string[];
  /** Users with other devices or other metadata than before. */
  readonly updated: readonly PresenceUser[];
}

type Page = Omit<PresenceState, 'count'> & { count?: number; next?: string };

/** Who is in a room. While the connection is lost it keeps what it knew; the next join replaces it. */
export class RoomPresence {
  #table = EMPTY;
  /** Diffs that arrived while the server was being asked; undefined: nobody is asking. */
  #waiting: (PresenceDiff | PresenceCount)[] | undefined;
  readonly #emitter = new Emitter();

  constructor(
    private readonly room: string,
    private readonly ask: Ask,
    private readonly updateMeta: (meta: unknown) => Promise<void> = () => Promise.resolve(),
  ) {}

  /** One entry for a user, however many devices. Empty in a room that is too large to list: see `count`. */
  get users(): readonly PresenceUser[] {
    return [...(this.#table.users?.values() ?? [])];
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
  update(meta: unknown): Promise<void> {
    return this.updateMeta(meta);
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
      const request = { room: this.room, cursor };
      const page = (await this.ask(CLIENT_EVENTS.presence, request)) as Page;
      first ??= page;
      if (!page.users) return { epoch: page.epoch, version: page.version, count: page.count ?? this.count };
      users.push(...page.users);
      cursor = page.next;
    } while (cursor !== undefined);
    // The first page's version: what changed while the others were read comes again as a diff.
    return { epoch: first.epoch, version: first.version, count: users.length, users };
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
