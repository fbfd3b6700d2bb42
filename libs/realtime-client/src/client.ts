import {
  CLIENT_EVENTS,
  SERVER_EVENTS,
  isReservedEvent,
  type Hello,
  type PresenceCount,
  type PresenceDiff,
  type RoomMeta,
  type RoomStatus,
} from 'nestjs-realtime-protocol';
import { Connection } from './connection.js';
import type { ClientStatus, ConnectionState } from './connection-state.js';
import type { EventData, EventName, RequestAnswer, RequestData, RequestName } from './contract.js';
import { Emitter, type Off } from './emitter.js';
import type { RealtimeClientOptions } from './options.js';
import { Requests, endOf } from './requests.js';
import { RoomSet } from './room-set.js';
import type { RealtimeRoom } from './room.js';

export interface RequestOptions {
  /** How long to wait, for the connection and for the answer together. Default 10 000 ms. */
  timeoutMs?: number;
}

/**
 * What an app holds: typed events, requests and rooms over one connection.
 * It refuses to queue across restarts and to resend: a request is sent at most once.
 * Invariant: after every reconnect, the rooms are on their way before anything that waited for the connection.
 */
export class RealtimeClient<Contract = unknown> {
  readonly device: string;
  readonly #connection: Connection;
  readonly #requests: Requests;
  readonly #rooms: RoomSet;
  readonly #events = new Emitter();

  constructor(
    url: string,
    private readonly options: RealtimeClientOptions,
  ) {
    this.device = options.device ?? randomDevice();
    const connection = (this.#connection = new Connection(url, this.device, options));
    this.#requests = new Requests(connection);
    this.#rooms = new RoomSet(connection, this.#requests);
    connection.on('state', (_: ClientStatus, state: ConnectionState) => this.#rooms.follow(endOf(state)));
    connection.socket.on(SERVER_EVENTS.token, () => void this.#refreshToken());
    connection.socket.onAny((event: string, data: unknown, meta: unknown) => this.#receive(event, data, meta));
  }

  get state(): ClientStatus {
    return this.#connection.state.status;
  }

  /** What the server said first: its limits, and the node that serves this connection. */
  get hello(): Hello | undefined {
    return this.#connection.hello;
  }

  /** `join()` and `request()` connect an idle client; after `close()` or a failure only this does. */
  connect(): void {
    this.#connection.dispatch({ type: 'connect' });
  }

  /** Ends the connection and every wait. What still waits for it rejects with `CLOSED`. */
  close(): void {
    this.#connection.dispatch({ type: 'close' });
  }

  /**
   * `state` and `hello` are the client's own; every other name is an event of the server, from whatever room it came
   * (`meta.room`) or from none.
   */
  on(event: 'state', listener: (status: ClientStatus, state: ConnectionState) => void): Off;
  on(event: 'hello', listener: (hello: Hello) => void): Off;
  on<Event extends EventName<Contract>>(
    event: Event,
    listener: (data: EventData<Contract, Event>, meta?: RoomMeta) => void,
  ): Off;
  on(event: string, listener: (...args: never[]) => void): Off {
    if (event === 'state' || event === 'hello') return this.#connection.on(event, listener);
    return this.#events.on(event, listener);
  }

  /** Always the same object for a name. Nothing is joined until its `join()`. */
  room<Name extends string>(name: Name): RealtimeRoom<Contract, Name> {
    return this.#rooms.get(name) as unknown as RealtimeRoom<Contract, Name>;
  }

  /**
   * Resolves with the handler's answer. Offline it waits for the connection, within `timeoutMs`.
   * @throws RealtimeClientError the handler's refusal; `UNAVAILABLE`: it was never sent; `TIMEOUT` and `UNKNOWN`: it may or
   * may not have happened.
   */
  request<Name extends RequestName<Contract>>(
    event: Name,
    data: RequestData<Contract, Name>,
    options: RequestOptions = {},
  ): Promise<RequestAnswer<Contract, Name>> {
    return this.#requests.ask(event, data, options.timeoutMs) as Promise<RequestAnswer<Contract, Name>>;
  }

  async #refreshToken(): Promise<void> {
    try {
      await this.#requests.ask(CLIENT_EVENTS.refresh, { token: await this.options.getToken() });
    } catch (cause) {
      // Not fatal: when the grace is over the server says TOKEN_EXPIRED, and the reconnect asks for a token again.
      this.options.debug?.('the token was not refreshed', cause);
    }
  }

  #receive(event: string, data: unknown, meta: unknown): void {
    if (event === SERVER_EVENTS.presence) {
      const diff = data as PresenceDiff | PresenceCount;
      this.#rooms.find(diff.room)?.deliverPresence(diff);
    } else if (event === SERVER_EVENTS.room) {
      const status = data as RoomStatus;
      this.#rooms.find(status.room)?.deliverStatus(status);
    } else if (!isReservedEvent(event)) {
      const from = meta as RoomMeta | undefined;
      this.#events.emit(event, data, from);
      if (from) this.#rooms.find(from.room)?.deliver(event, data, from);
    }
  }
}

/** Not `randomUUID`: browsers have that on secure pages only. */
function randomDevice(): string {
  return [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(36).padStart(2, '0')).join('');
}

/** A client of one namespace: the path of `url`. It connects at the first `connect()`, `join()` or `request()`. */
export function createRealtimeClient<Contract = unknown>(
  url: string,
  options: RealtimeClientOptions,
): RealtimeClient<Contract> {
  return new RealtimeClient<Contract>(url, options);
}
