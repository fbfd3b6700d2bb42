import {
  SERVER_EVENTS,
  isErrorAck,
  isReservedEvent,
  type Hello,
  type PresenceCount,
  type PresenceDiff,
  type RoomMeta,
  type RoomStatus,
} from 'nestjs-realtime-protocol';
import { isRecord } from './client-error.js';
import { Connection } from './connection.js';
import type { ClientStatus, ConnectionState } from './connection-state.js';
import type { EventData, EventName, RequestAnswer, RequestData, RequestName, RoomName } from './contract.js';
import { Emitter, guarded, type Off } from './emitter.js';
import type { JoinOptions, PositionStore, RealtimeClientOptions } from './options.js';
import type { OutboxEntry } from './outbox-entry.js';
import { Outbox, type RequestOptions } from './outbox.js';
import { principalOf, userOf } from './principal.js';
import { Requests, endOf } from './requests.js';
import { RoomSet } from './room-set.js';
import type { RealtimeRoom } from './room.js';
import { TokenRefresh } from './token-refresh.js';

/**
 * What an app holds: typed events, requests and rooms over one connection.
 * It refuses to decide anything: connection-state.ts and outbox-state.ts do.
 * Invariant: after every reconnect, the rooms are joined again before anything that waited for the connection is sent.
 */
export class RealtimeClient<Contract = unknown> {
  /** Requests that are not settled yet, those from before a reload included. */
  readonly outbox: Outbox;
  readonly #connection: Connection;
  readonly #rooms: RoomSet;
  readonly #refresh: TokenRefresh;
  readonly #events = new Emitter();
  readonly #positions: ReturnType<PositionStore> | undefined;
  readonly #options: RealtimeClientOptions;
  /** The user who is signed in, as far as the app says. */
  #claimed: string | undefined;

  constructor(url: string, options: RealtimeClientOptions) {
    this.#options = options;
    const debug = (message: string, details?: unknown): void => guarded(() => options.debug?.(message, details));
    const { device, principal } = options;
    this.outbox = new Outbox(
      url,
      { ...options.outbox, device, principal: typeof principal === 'string' ? principal : undefined },
      { send: (entry) => this.#send(entry), wake: () => this.#connection.dispatch({ type: 'wake' }), debug },
    );
    const credentials = {
      device: async () => (await this.outbox.ready, this.outbox.device),
      token: () => this.#readToken(),
      // Before anything is sent: what waits may be another user's.
      greeted: async (hello: Hello) => {
        const principal = principalOf(hello, this.#claimed);
        this.outbox.dispatch({ type: 'identified', principal });
        await this.#positions?.open(userOf(principal));
      },
    };
    const connection = (this.#connection = new Connection(url, credentials, options, debug));
    const requests = new Requests(connection, () => this.outbox.dispatch({ type: 'spent' }));
    this.#positions = options.positions?.(url, debug);
    const rooms = { requests, outbox: this.outbox, events: this.#events, positions: this.#positions };
    this.#rooms = new RoomSet(connection, rooms);
    this.#refresh = new TokenRefresh(requests, async () => options.getToken(), debug);
    connection.on('state', (_: ClientStatus, state: ConnectionState) => this.#follow(state));
    connection.socket.on(SERVER_EVENTS.token, () => this.#refresh.start());
    connection.socket.onAny((event: string, data: unknown, meta: unknown) => this.#receive(event, data, meta));
  }

  /** How the server tells this tab or app from the user's others. */
  get device(): string {
    return this.outbox.device;
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

  /**
   * Ends the connection and every wait: what was not sent rejects with `CLOSED` and is never sent, what was sent with
   * `UNKNOWN`. To keep stored requests for the next page, do not call it when the page goes away.
   */
  close(): void {
    this.#connection.dispatch({ type: 'close' });
    this.outbox.close();
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
  room<Name extends RoomName<Contract>>(name: Name): RealtimeRoom<Contract, Name> {
    return this.#rooms.get(name) as unknown as RealtimeRoom<Contract, Name>;
  }

  /**
   * Resolves with the handler's answer. Offline it waits for the connection (see `offline` and `timeoutMs`).
   * @throws RealtimeClientError the handler's refusal; `UNAVAILABLE`, `LIMIT_EXCEEDED`, `DROPPED`, `OTHER_PRINCIPAL`,
   * `CLOSED`: it was never sent; `TIMEOUT`, `UNKNOWN`: it may or may not have happened; `ABORTED`: by `signal`.
   */
  request<Name extends RequestName<Contract>>(
    event: Name,
    data: RequestData<Contract, Name>,
    options: RequestOptions = {},
  ): Promise<RequestAnswer<Contract, Name>> {
    return this.outbox.add(event, data, options) as Promise<RequestAnswer<Contract, Name>>;
  }

  async #readToken(): Promise<string | undefined> {
    const token = await this.#options.getToken();
    const { principal = token ? undefined : '' } = this.#options;
    this.#claimed = typeof principal === 'function' ? principal(token) : principal;
    return token;
  }

  #follow(state: ConnectionState): void {
    const end = endOf(state);
    const { hello, isConnected } = this.#connection;
    if (!isConnected) this.#refresh.stop();
    else if (this.#options.userRoom && hello?.userRoom) this.#joinUserRoom(hello.userRoom);
    const joined = this.#rooms.follow(end);
    if (end) this.outbox.dispatch({ type: 'ended', error: end });
    else if (isConnected && hello) {
      const open = (): void => {
        // Not if the connection was lost meanwhile.
        if (hello === this.#connection.hello && this.#connection.isConnected)
          this.outbox.dispatch({ type: 'opened', link: hello });
      };
      // A handler may ask whether the sender is in the room.
      if (joined) void joined.then(open);
      else open();
    } else this.outbox.dispatch({ type: 'lost' });
  }

  #joinUserRoom(name: string): void {
    const room = this.#rooms.get(name);
    // Joined once, it joins again by itself, and tells its end. `true` has no options.
    if (room.phase === 'left') room.join({ ...(this.#options.userRoom as JoinOptions) }).catch(() => undefined);
  }

  #send({ id, event, data, attempt, isRemembered, lane }: OutboxEntry): void {
    const ack = (answer: unknown): void => {
      const isEarly = this.#rooms.find(lane)?.phase === 'joining';
      const outcome = isErrorAck(answer) ? answer : { answer };
      this.outbox.dispatch({ type: 'answered', id, isEarly, ...outcome });
    };
    const { socket } = this.#connection;
    if (isRemembered) socket.emit(event, data, { $rt: { id, attempt } }, ack);
    else socket.emit(event, data, ack);
  }

  #receive(event: string, data: unknown, meta: unknown): void {
    if (!isReservedEvent(event)) {
      const from = isRecord(meta) && typeof meta['room'] === 'string' ? (meta as unknown as RoomMeta) : undefined;
      const room = from && this.#rooms.find(from.room);
      if (room) room.receive([event, data, from]);
      else this.#events.emit(event, data, from);
    } else if (isRecord(data)) {
      const room = this.#rooms.find(String(data['room']));
      if (event === SERVER_EVENTS.presence) room?.deliverPresence(data as unknown as PresenceDiff | PresenceCount);
      else if (event === SERVER_EVENTS.room) room?.deliverStatus(data as unknown as RoomStatus);
    }
  }
}

/** A client of one namespace: the path of `url`. It connects at the first `connect()`, `join()` or `request()`. */
export function createRealtimeClient<Contract = unknown>(
  url: string,
  options: RealtimeClientOptions,
): RealtimeClient<Contract> {
  return new RealtimeClient<Contract>(url, options);
}
