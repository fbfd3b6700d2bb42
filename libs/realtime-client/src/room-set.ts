import { CLIENT_EVENTS } from 'nestjs-realtime-protocol';
import { backoffMs } from './backoff.js';
import type { RealtimeClientError } from './client-error.js';
import type { Connection } from './connection.js';
import { endOf, type Requests } from './requests.js';
import { RealtimeRoom, type RoomLink } from './room.js';

/**
 * The rooms of one client. All joins of one turn, and all rooms after a reconnect, travel in one `realtime:join`.
 * Invariant: a room that somebody wants to be in is joined, on its way, or its refusal was told.
 */
export class RoomSet implements RoomLink {
  readonly #rooms = new Map<string, RealtimeRoom>();
  readonly #queue = new Set<RealtimeRoom>();
  #retries = 0;

  constructor(
    private readonly connection: Connection,
    private readonly requests: Requests,
  ) {}

  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  ask(event: string, data: unknown): Promise<unknown> {
    return this.requests.ask(event, data);
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

  /** After each change of the connection's state. `end`: why nothing more will happen. */
  follow(end: RealtimeClientError | undefined): void {
    for (const room of this.#rooms.values()) {
      if (end) room.abandon(end);
      else if (this.isConnected) this.#queue.add(room);
      else room.suspend();
    }
    if (this.isConnected) void this.#flush();
  }

  async #flush(): Promise<void> {
    if (!this.isConnected) return;
    const rooms = [...this.#queue].filter((room) => room.phase === 'joining');
    this.#queue.clear();
    if (rooms.length === 0) return;
    try {
      const answers = await this.ask(CLIENT_EVENTS.join, { rooms: rooms.map((room) => room.toJoinRequest()) });
      this.#settle(rooms, answers as unknown[]);
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
    setTimeout(
      () => {
        for (const room of again) this.#queue.add(room);
        void this.#flush();
      },
      backoffMs(this.#retries++, Math.random()),
    );
  }
}
