import {
  CLIENT_EVENTS,
  type JoinReply,
  type JoinRequest,
  type PresenceCount,
  type PresenceDiff,
  type PublishReply,
  type RoomMeta,
  type RoomStatus,
} from 'nestjs-realtime-protocol';
import { serverDelayMs } from './backoff.js';
import { RealtimeClientError, readRefusal } from './client-error.js';
import type { RoomEventData, RoomEventName, RoomState } from './contract.js';
import { Emitter, type Off } from './emitter.js';
import type { RequestOptions } from './outbox.js';
import type { RoomObserver, RoomPhase } from './presence.js';

/** What a room needs of its client. */
export interface RoomLink {
  readonly isConnected: boolean;
  ask(event: string, data: unknown): Promise<unknown>;
  /** Through the outbox. */
  publish(data: { room: string; event: string; data: unknown }, options: RequestOptions): Promise<unknown>;
  /** Puts the room into the next `realtime:join`. */
  join(room: string): void;
}

export interface JoinOptions {
  /** Shown to the others in the room; JSON, at most 2 KiB. */
  meta?: unknown;
}

export interface RoomChange {
  readonly phase: RoomPhase;
  /** Why it is not joined any more, or not yet: the server's code, or `kicked`, `closed` and their code. */
  readonly error?: RealtimeClientError | undefined;
}

/** One room of one client. Joined once, it joins again by itself after every reconnect, until `leave()`. */
export class RealtimeRoom<Contract = unknown, Name extends string = string> {
  #phase: RoomPhase = 'left';
  /** @internal */
  meta: unknown;
  /** @internal See `presenceOf()`. */
  observer: RoomObserver | undefined;
  /** What the server asked for with its last refusal. @internal */
  retryAfterMs: number | undefined;
  #waiting: { resolve: (state: unknown) => void; reject: (error: RealtimeClientError) => void }[] = [];
  readonly #emitter = new Emitter();
  readonly #changes = new Emitter();

  constructor(
    readonly name: Name,
    private readonly link: RoomLink,
  ) {}

  get phase(): RoomPhase {
    return this.#phase;
  }

  /**
   * Resolves with the policy's `state` once the room is joined; offline it waits for the connection.
   * @throws RealtimeClientError the refusal, `CLOSED`, or why the client has failed. After a refusal nothing is retried.
   */
  join(options: JoinOptions = {}): Promise<RoomState<Contract, Name>> {
    if ('meta' in options) this.meta = options.meta;
    const joined = new Promise<unknown>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#enter('joining');
    this.link.join(this.name);
    return joined as Promise<RoomState<Contract, Name>>;
  }

  /** After this resolves nothing of the room arrives any more. Offline it resolves at once. */
  async leave(): Promise<void> {
    const wasJoined = this.#phase === 'joined';
    this.#end(new RealtimeClientError('CLOSED', 'The room was left'), undefined);
    if (wasJoined && this.link.isConnected) await this.ask(CLIENT_EVENTS.leave, { room: this.name });
  }

  /** What is published or emitted to this room. */
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
    return this.link.publish({ room: this.name, event, data }, options) as Promise<PublishReply>;
  }

  /** Every change of `phase`. */
  onChange(listener: (change: RoomChange) => void): Off {
    return this.#changes.on('change', listener);
  }

  /** @internal */
  ask(event: string, data: unknown): Promise<unknown> {
    return this.link.ask(event, data);
  }

  /** @internal What stands for this room in `realtime:join`. */
  toJoinRequest(): JoinRequest {
    return { room: this.name, meta: this.meta };
  }

  /** @internal */
  settle(result: unknown): 'again' | 'settled' {
    if (this.#phase === 'left') return 'settled';
    const error = readRefusal(result);
    this.retryAfterMs = serverDelayMs(error?.retryAfterMs);
    if (error?.retryable && this.#waiting.length === 0) return 'again';
    if (error) {
      this.#end(error, error);
      return 'settled';
    }
    const reply = result as JoinReply;
    this.observer?.reset(reply.presence);
    this.#enter('joined');
    for (const waiter of this.#waiting.splice(0)) waiter.resolve(reply.state);
    return 'settled';
  }

  /** @internal The connection is lost: the room is wanted still. */
  suspend(): void {
    if (this.#phase === 'joined') this.#enter('joining');
  }

  /** @internal The client has closed or failed: joins that wait will never settle otherwise. */
  abandon(error: RealtimeClientError): void {
    this.suspend();
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }

  /** @internal */
  deliver(event: string, data: unknown, meta: RoomMeta): void {
    if (this.#phase !== 'left') this.#emitter.emit(event, data, meta);
  }

  /** @internal */
  deliverPresence(diff: PresenceDiff | PresenceCount): void {
    if (this.#phase === 'joined') this.observer?.apply(diff);
  }

  /** @internal */
  deliverStatus(status: RoomStatus): void {
    if (status.status === 'gap') return;
    const error = new RealtimeClientError(status.code, `The room was ${status.status}`, { details: status });
    this.#end(error, error);
  }

  #end(rejection: RealtimeClientError, shown: RealtimeClientError | undefined): void {
    this.#enter('left', shown);
    this.observer?.reset(undefined);
    for (const waiter of this.#waiting.splice(0)) waiter.reject(rejection);
  }

  #enter(phase: RoomPhase, error?: RealtimeClientError): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#changes.emit('change', { phase, error } satisfies RoomChange);
  }
}
