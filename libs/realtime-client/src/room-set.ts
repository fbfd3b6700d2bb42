import { CLIENT_EVENTS } from 'nestjs-realtime-protocol';
import { MIN_PAUSE_MS, backoffMs } from './backoff.js';
import type { RealtimeClientError } from './client-error.js';
import type { Connection } from './connection.js';
import { endOf } from './requests.js';
import { RealtimeRoom, type RoomDeps } from './room.js';

/** The most rooms in one `realtime:join`. */
const MAX_JOINS = 128;

/**
 * The rooms of one client. All joins of one turn, and all rooms after a reconnect, travel in one `realtime:join`.
 * Invariant: a room that somebody wants to be in is joined, on its way, or its refusal was told.
 */
export class RoomSet {
  readonly #rooms = new Map<string, RealtimeRoom>();
  readonly #queue = new Set<RealtimeRoom>();
  #retries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #connection: Connection;
  readonly #deps: RoomDeps;

  constructor(connection: Connection, deps: RoomDeps) {
    this.#connection = connection;
    this.#deps = deps;
  }

  get(name: string): RealtimeRoom {
    let room = this.#rooms.get(name);
    if (!room) this.#rooms.set(name, (room = new RealtimeRoom(name, this.#deps, () => this.#join(name))));
    return room;
  }

  find(name: string | undefined): RealtimeRoom | undefined {
    return this.#rooms.get(name as string);
  }

  #join(name: string): void {
    const room = this.get(name);
    const end = endOf(this.#connection.state);
    if (end) return room.abandon(end);
    this.#queue.add(room);
    if (this.#connection.isConnected) queueMicrotask(() => void this.#flush());
    else this.#connection.dispatch({ type: 'wake' });
  }

  /**
   * After each change of the connection's state. `end`: why nothing more will happen.
   * Resolves when the rooms are joined again, or refused; undefined: there is nothing to wait for.
   */
  follow(end: RealtimeClientError | undefined): Promise<unknown> | undefined {
    for (const room of this.#rooms.values()) {
      if (end) room.abandon(end);
      else if (this.#connection.isConnected) this.#queue.add(room);
      else room.suspend();
    }
    // Not connected any more, or about to ask for all of them: no retry of before is worth it.
    clearTimeout(this.#timer);
    return this.#flush();
  }

  #flush(): Promise<unknown> | undefined {
    if (!this.#connection.isConnected) return undefined;
    const rooms = [...this.#queue].filter((room) => room.phase === 'joining');
    this.#queue.clear();
    const asked: Promise<void>[] = [];
    while (rooms.length > 0) asked.push(this.#ask(rooms.splice(0, MAX_JOINS)));
    return asked.length > 0 ? Promise.all(asked) : undefined;
  }

  async #ask(rooms: readonly RealtimeRoom[]): Promise<void> {
    try {
      const request = { rooms: rooms.map((room) => room.toJoinRequest()) };
      // In the turn of the answer: what is told right after it, a gap for example, comes after what it brings.
      await this.#deps.requests.ask(CLIENT_EVENTS.join, request, (answers) =>
        this.#settle(rooms, Array.isArray(answers) ? answers : []),
      );
    } catch (error) {
      // A lost connection asks again by itself when it is back.
      if (this.#connection.isConnected)
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
    const delays = again.map(({ retryAfterMs }) => retryAfterMs ?? backoffMs(this.#retries, Math.random()));
    this.#retries += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#flush(), Math.max(MIN_PAUSE_MS, ...delays));
  }
}
