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
  ) {}

  /** One entry for a user, however many devices. Empty in a room that is too large to list: see `count`. */
  get users(): readonly PresenceUser[] {
    return [...(this.#table.users?.values() ?? [])];
  }

  get count(): number {
    return this.#table.count;
  }

  /** Called with the whole list and what is new in it, once for each change. */
  on(event: 'change', listener: (users: readonly PresenceUser[], changes: PresenceChanges) => void): Off {
    return this.#emitter.on(event, listener);
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
      const request = { room: this.room, ...(cursor === undefined ? {} : { cursor }) };
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
    const { joined, left } = difference(before, next);
    this.#emitter.emit('change', this.users, { joined, left });
  }
}
