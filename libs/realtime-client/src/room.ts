import {
  CLIENT_EVENTS,
  type JoinReply,
  type Position,
  type PresenceCount,
  type PresenceDiff,
  type PublishReply,
  type RoomMeta,
  type RoomStatus,
} from 'nestjs-realtime-protocol';
import { RealtimeClientError, readRefusal } from './client-error.js';
import type { RoomEventData, RoomEventName, RoomHistory, RoomState } from './contract.js';
import { Emitter, type Off } from './emitter.js';
import type { Outbox, RequestOptions } from './outbox.js';
import type { JoinOptions, PositionStore } from './options.js';
import type { RoomObserver, RoomPhase } from './presence.js';
import { Progress, type Delivery, type RoomGap } from './progress.js';
import type { Requests } from './requests.js';

/** What a room needs of its client. */
export interface RoomDeps {
  readonly requests: Requests;
  readonly outbox: Outbox;
  /** Of those who listen to an event from whatever room. */
  readonly events: Emitter;
  readonly positions: ReturnType<PositionStore> | undefined;
}

export interface HistoryOptions {
  /** Most publications in the reply, which may have fewer (see `hasMore`). Default 50; the server gives at most 1 000. */
  limit?: number;
  /** The newest publications before this position, to page back. Default: the newest of all. */
  before?: Position;
  /** The oldest publications after this position. */
  after?: Position;
}

export interface RoomChange {
  readonly phase: RoomPhase;
  /** Why it is not joined any more, or not yet: the server's code, or `kicked`, `closed` and their code. */
  readonly error?: RealtimeClientError | undefined;
}

/**
 * One room of one client. Joined once, it joins again by itself after every reconnect, until `leave()`, and goes on where it
 * was: what was missed arrives first, in order, nothing twice; if that is impossible, `onGap` says so.
 */
export class RealtimeRoom<Contract = unknown, Name extends string = string> {
  #phase: RoomPhase = 'left';
  #since: 'retention' | undefined;
  #progress = new Progress();
  /** @internal */
  meta: unknown;
  /** @internal See `presenceOf()`. */
  observer: RoomObserver | undefined;
  /** What the server asked for with its last refusal. @internal */
  retryAfterMs: number | undefined;
  #waiting: { resolve: (state: unknown) => void; reject: (error: RealtimeClientError) => void }[] = [];
  readonly #emitter = new Emitter();
  /** Our own, apart from the app's events. */
  readonly #signals = new Emitter();
  readonly #deps: RoomDeps;
  readonly #enqueue: () => void;

  constructor(
    readonly name: Name,
    deps: RoomDeps,
    /** Puts the room into the next `realtime:join`. */
    enqueue: () => void,
  ) {
    this.#deps = deps;
    this.#enqueue = enqueue;
  }

  get phase(): RoomPhase {
    return this.#phase;
  }

  /** Up to where the room was delivered; undefined before the first join, and in a room without history. */
  get position(): Position | undefined {
    return this.#progress.position;
  }

  /**
   * Resolves with the policy's `state` once the room is joined, after what was missed was delivered; offline it waits for
   * the connection.
   * @throws RealtimeClientError the refusal, `CLOSED`, or why the client has failed. After a refusal nothing is retried; a
   * server that says when to ask again (`retryAfterMs`) is asked then.
   */
  join(options: JoinOptions = {}): Promise<RoomState<Contract, Name>> {
    if ('meta' in options) this.meta = options.meta;
    if (options.since) this.#since = options.since;
    const joined = new Promise<unknown>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#enter('joining');
    this.#enqueue();
    return joined as Promise<RoomState<Contract, Name>>;
  }

  /**
   * After this resolves nothing of the room arrives any more, and a later join begins anew. Offline it resolves at once.
   */
  async leave(): Promise<void> {
    const wasJoined = this.#phase === 'joined';
    this.#progress = new Progress();
    this.#remember();
    this.#end(new RealtimeClientError('CLOSED', 'The room was left'), undefined);
    if (wasJoined && this.#deps.requests.isConnected) await this.#tellLeft();
  }

  /**
   * What is published or emitted to this room. Publications of a room with history have a position (`meta.epoch`,
   * `meta.offset`) and come in their order, also those that were missed: they come before the room is `joined` again.
   */
  on<Event extends RoomEventName<Contract, Name>>(
    event: Event,
    listener: (data: RoomEventData<Contract, Name, Event>, meta: RoomMeta) => void,
  ): Off {
    return this.#emitter.on(event, listener);
  }

  /**
   * To everybody in the room, if its policy lets clients publish. In order within this room; idempotent: after a lost answer
   * it is sent again with the same id, and is in the room once.
   * @throws RealtimeClientError as `client.request()`.
   */
  publish<Event extends RoomEventName<Contract, Name>>(
    event: Event,
    data: RoomEventData<Contract, Name, Event>,
    options: Omit<RequestOptions, 'lane'> = {},
  ): Promise<PublishReply> {
    const publication = { room: this.name, event, data };
    const sent = this.#deps.outbox.add(CLIENT_EVENTS.publish, publication, { idempotent: true, ...options });
    return sent as Promise<PublishReply>;
  }

  /**
   * What the room has kept, oldest first; it has to be joined. To page back, as long as the reply `hasMore`: `before` with the
   * epoch of its `position` and the offset of its oldest publication.
   * @throws RealtimeClientError `NOT_FOUND` for a position that is not kept any more, `BAD_REQUEST` where nothing is kept,
   * `UNAVAILABLE` without a connection: it does not wait for one.
   */
  history(options: HistoryOptions = {}): Promise<RoomHistory<Contract, Name>> {
    const request = { room: this.name, limit: 50, ...options };
    return this.ask(CLIENT_EVENTS.history, request) as Promise<RoomHistory<Contract, Name>>;
  }

  /** Every change of `phase`. */
  onChange(listener: (change: RoomChange) => void): Off {
    return this.#signals.on('change', listener);
  }

  /**
   * Something may be missing before what is delivered next: it has to be fetched another way, such as `history()` or a
   * reload of what is shown.
   */
  onGap(listener: (gap: RoomGap) => void): Off {
    return this.#signals.on('gap', listener);
  }

  /** @internal */
  ask(event: string, data: unknown): Promise<unknown> {
    return this.#deps.requests.ask(event, data);
  }

  /** @internal What stands for this room in `realtime:join`. */
  toJoinRequest(): unknown {
    const position = (this.#progress.position ??= this.#deps.positions?.get(this.name));
    const since = position ? undefined : this.#since;
    if (position || since) this.#progress.hold();
    return { room: this.name, meta: this.meta, position, since };
  }

  /** @internal */
  settle(result: unknown): 'again' | 'settled' {
    const error = readRefusal(result);
    this.retryAfterMs = error?.retryAfterMs;
    if (!error) this.#admitted(result as JoinReply);
    else if (this.#phase !== 'left') {
      // A server that says when is no refusal: the turn of a room among many comes later.
      if (error.retryable && (error.retryAfterMs !== undefined || this.#waiting.length === 0)) return 'again';
      this.#end(error, error);
    }
    return 'settled';
  }

  /** @internal The connection is lost: the room is wanted still. What was held back is missed, and will be brought. */
  suspend(): void {
    this.#progress.release();
    if (this.#phase === 'joined') this.#enter('joining');
  }

  /** @internal The client has closed or failed: joins that wait will never settle otherwise. */
  abandon(error: RealtimeClientError): void {
    this.suspend();
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }

  /** @internal */
  receive(delivery: Delivery): void {
    if (this.#phase !== 'left' && !this.#progress.hear(delivery)) return;
    this.#deliver(delivery);
    this.#remember();
  }

  /** @internal */
  deliverPresence(diff: PresenceDiff | PresenceCount): void {
    if (this.#phase === 'joined') this.observer?.apply(diff);
  }

  /** @internal */
  deliverStatus(status: RoomStatus): void {
    const { position, code, retryable } = status;
    if (status.status === 'gap') {
      if (this.#progress.interrupt(position)) this.#signals.emit('gap', { position, code } satisfies RoomGap);
      return this.#remember();
    }
    const error = new RealtimeClientError(code, `The room was ${status.status}`, {
      retryable: !!retryable,
      details: status,
    });
    this.#end(error, error);
  }

  #admitted(reply: JoinReply): void {
    const { gap, deliveries } = this.#progress.answer(reply);
    if (gap && this.#phase !== 'left') this.#signals.emit('gap', gap);
    for (const delivery of deliveries) this.#deliver(delivery);
    // Left meanwhile, also by a listener of what was delivered.
    if (this.#phase === 'left') return void this.#tellLeft().catch(() => undefined);
    this.#remember();
    this.observer?.reset(reply.presence);
    this.#enter('joined');
    for (const waiter of this.#waiting.splice(0)) waiter.resolve(reply.state);
  }

  #deliver(delivery: Delivery): void {
    this.#deps.events.emit(...delivery);
    if (this.#phase !== 'left') this.#emitter.emit(...delivery);
  }

  #remember(): void {
    this.#deps.positions?.set(this.name, this.position);
  }

  #tellLeft(): Promise<unknown> {
    return this.ask(CLIENT_EVENTS.leave, { room: this.name });
  }

  #end(rejection: RealtimeClientError, shown: RealtimeClientError | undefined): void {
    this.#enter('left', shown);
    for (const delivery of this.#progress.release()) this.#deliver(delivery);
    this.observer?.reset(undefined);
    for (const waiter of this.#waiting.splice(0)) waiter.reject(rejection);
  }

  #enter(phase: RoomPhase, error?: RealtimeClientError): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#signals.emit('change', { phase, error } satisfies RoomChange);
  }
}
