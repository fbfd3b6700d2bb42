import { CLIENT_EVENTS } from 'nestjs-realtime-protocol';
import { backoffMs } from './backoff.js';
import type { RealtimeClientError } from './client-error.js';
import type { Connection } from './connection.js';
import type { Outbox, RequestOptions } from './outbox.js';
import { endOf, type Requests } from './requests.js';
import { RealtimeRoom, type RoomLink } from './room.js';

/** The most rooms in one `realtime:join`. */
const MAX_JOINS = 128;

/**
 * The rooms of one client. All joins of one turn, and all rooms after a reconnect, travel in one `realtime:join`.
 * Invariant: a room that somebody wants to be in is joined, on its way, or its refusal was told.
 */
export class RoomSet implements RoomLink {
  readonly #rooms = new Map<string, RealtimeRoom>();
  readonly #queue = new Set<RealtimeRoom>();
  #retries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly requests: Requests,
    private readonly outbox: Outbox,
  ) {}

  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  ask(event: string, data: unknown): Promise<unknown> {
    return this.requests.ask(event, data);
  }

  publish(data: { room: string; event: string; data: unknown }, options: RequestOptions): Promise<unknown> {
    return this.outbox.add(CLIENT_EVENTS.publish, data, { idempotent: true, ...options });
  }

  get(name: string): RealtimeRoom {
    const room = this.#rooms.get(name) ?? new RealtimeRoom(name, this);
    this.#rooms.set(name, room);
    return room;
  }

  find(name: string): RealtimeRoom | undefined {
    return this.#rooms.get(name);
  }

  join(name: string): void {
    const room = this.get(name);
    const end = endOf(this.connection.state);
    if (end) return room.abandon(end);
    this.#queue.add(room);
    if (this.isConnected) queueMicrotask(() => void this.#flush());
    else this.connection.dispatch({ type: 'wake' });
  }

  /**
   * After each change of the connection's state. `end`: why nothing more will happen.
   * Resolves when the rooms are joined again, or refused; undefined: there is nothing to wait for.
   */
  follow(end: RealtimeClientError | undefined): Promise<unknown> | undefined {
    for (const room of this.#rooms.values()) {
      if (end) room.abandon(end);
      else if (this.isConnected) this.#queue.add(room);
      else room.suspend();
    }
    // Not connected any more, or about to ask for all of them: no retry of before is worth it.
    clearTimeout(this.#timer);
    return this.#flush();
  }

  #flush(): Promise<unknown> | undefined {
    if (!this.isConnected) return undefined;
    const rooms = [...this.#queue].filter((room) => room.phase === 'joining');
    this.#queue.clear();
    const asked: Promise<void>[] = [];
    while (rooms.length > 0) asked.push(this.#ask(rooms.splice(0, MAX_JOINS)));
    return asked.length > 0 ? Promise.all(asked) : undefined;
  }

  async #ask(rooms: readonly RealtimeRoom[]): Promise<void> {
    try {
      const answers = await this.ask(CLIENT_EVENTS.join, { rooms: rooms.map((room) => room.toJoinRequest()) });
      this.#settle(rooms, Array.isArray(answers) ? answers : []);
    } catch (error) {
      // A lost connection asks again by itself when it is back.
      if (this.isConnected)
        this.#settle(
          rooms,
          rooms.map(() => ({ error })),
        );
    }
  }

  /** A refusal that may pass is asked again, unless someone waits for the answer to their `join()`. */
  #settle(rooms: readonly RealtimeRoom[], answers: readonly unknown[]): void {
    const again = rooms.filter((room, index) => room.settle(answers[index]) === 'again');
    if (again.length === 0) {
      this.#retries = 0;
      return;
    }
    for (const room of again) this.#queue.add(room);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => void this.#flush(),
      Math.max(...again.map(waitOf), backoffMs(this.#retries++, Math.random())),
    );
  }
}

/** What the server asked for; 0 otherwise. */
function waitOf(room: RealtimeRoom): number {
  return room.retryAfterMs ?? 0;
}
