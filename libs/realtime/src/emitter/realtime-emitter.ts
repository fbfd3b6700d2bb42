import { userRoom, type PublishReply } from 'nestjs-realtime-protocol';
import {
  checkNames,
  disconnectCommand,
  revokeCommand,
  type DisconnectTarget,
  type RevokeOptions,
} from '../cluster/command-input.js';
import { systemClock, type Clock } from '../core/clock.js';
import { randomId } from '../core/ids.js';
import { noMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { Retention } from '../history/room-log.js';
import { RedisCommandLog } from '../redis/redis-command-log.js';
import { RedisConnection } from '../redis/redis-connection.js';
import { RedisRoomLog } from '../redis/redis-room-log.js';
import { PublishQueue } from '../rooms/publish-queue.js';
import { checkRooms } from '../rooms/room-input.js';
import { checkRetention } from '../rooms/room-policies.js';
import {
  RoomPublisher,
  type EmitOptions,
  type PublishOptions,
  type RoomPublisherDeps,
  type RoomsPublishReply,
} from '../rooms/room-publisher.js';
import { isUserRoom } from '../rooms/user-rooms.js';
import { resolveEmitterOptions, type RealtimeEmitterOptions } from './emitter-options.js';

export interface EmitterPublishOptions extends PublishOptions {
  /**
   * What the room keeps, as its policy in the app says; `false`: nothing. Default: what the room was last used with (nothing
   * if no node has used it yet), and `userHistory` for rooms of users.
   */
  readonly history?: Retention | false | undefined;
}

export interface EmitterTarget<Reply> {
  /** At most once, to whoever is there while Redis is; nobody is told of a loss. Leaves before `close()` resolves. */
  emit(event: string, data?: unknown, options?: EmitOptions): void;
  /**
   * As `RoomManager.publish` in the app, and with the same ids: what either has published under an id is not published
   * again by the other. @throws RealtimeError `UNAVAILABLE`, `UNKNOWN`, `BAD_REQUEST`, `LIMIT_EXCEEDED`, as there.
   */
  publish(event: string, data: unknown, options?: EmitterPublishOptions): Promise<Reply>;
}

/**
 * Publishes to rooms and users, and ends connections, from processes that serve none: workers, scripts, cron jobs. It is no
 * node: it holds no lease, hears no channel and knows no policy. Needs Redis; connects at the first call.
 * Invariant: what it has published, and what it says of that, is what a node of the app would have.
 */
export class RealtimeEmitter {
  readonly #connection: RedisConnection;
  readonly #commands: RedisCommandLog;
  readonly #queue: PublishQueue;
  readonly #publisher: RoomPublisher;
  readonly #deps: Omit<RoomPublisherDeps, 'policies'>;
  readonly #clock: Clock = systemClock;
  #closing: Promise<void> | undefined;

  /** @throws Error naming every problem of the options. */
  constructor(options: RealtimeEmitterOptions) {
    const { redis, publishTimeoutMs, userHistory, maxTokenLifeMs, logger } = resolveEmitterOptions(options);
    const clock = this.#clock;
    const connection = (this.#connection = new RedisConnection(redis, { clock, logger }));
    const log = new RedisRoomLog(connection, connection.options.maxMessageBytes);
    this.#commands = new RedisCommandLog(connection, { revokeTtlMs: maxTokenLifeMs });
    this.#queue = new PublishQueue({ log, clock, metrics: noMetrics, timeoutMs: publishTimeoutMs });
    this.#deps = {
      ...{ log, queue: this.#queue, clock, metrics: noMetrics, nodeId: `emitter-${randomId()}` },
      bus: { publish: (channel, payload) => this.#send(channel, payload) },
      // Nobody is connected here.
      registry: { find: () => undefined, has: () => false },
      broadcast: { deliver: () => undefined },
    };
    const retentionOf = (room: string): Retention | 'stored' | undefined => (isUserRoom(room) ? userHistory : 'stored');
    this.#publisher = new RoomPublisher({ ...this.#deps, policies: { retentionOf } });
  }

  /** Whether Redis answers now. */
  get isUp(): boolean {
    return this.#connection.isUp;
  }

  /** Connects, if that is wanted before the first call. Rejects only with `redis.required`. */
  ready(): Promise<void> {
    return this.#connection.ready();
  }

  /** All members of a room, or of several, on every node. @throws RealtimeError `BAD_REQUEST` for no room or a bad name. */
  toRoom(room: string): EmitterTarget<PublishReply>;
  toRoom(rooms: readonly string[]): EmitterTarget<RoomsPublishReply>;
  toRoom(rooms: string | readonly string[]): EmitterTarget<PublishReply | RoomsPublishReply> {
    const targets = checkRooms(rooms);
    return {
      emit: (event, data, options) => this.#publisher.emit(targets, event, data, options),
      publish: async (event, data, options = {}) => {
        const publisher = this.#publisherFor(options);
        return typeof rooms === 'string'
          ? publisher.publishTo(rooms, event, data, options)
          : publisher.publish(targets, event, data, options);
      },
    };
  }

  /** All connections of a user, on every node, and those that come back within the retention of the user's room. */
  toUser(userId: string): EmitterTarget<PublishReply> {
    checkNames({ userId });
    return this.toRoom(userRoom(userId));
  }

  /** Ends connections for good on every node; resolves when the cluster took it. @throws RealtimeError `UNAVAILABLE`, `BAD_REQUEST`. */
  async disconnect(target: DisconnectTarget, reason?: string): Promise<void> {
    await this.#commands.append(disconnectCommand(target, reason));
  }

  /**
   * Refuses credentials from now on and ends the connections that use them, as `RealtimeService.revoke`; resolves when the
   * cluster took it. @throws RealtimeError `UNAVAILABLE`, `BAD_REQUEST`.
   */
  async revoke(options: RevokeOptions): Promise<void> {
    await this.#commands.append(revokeCommand(options, this.#clock.unixNow()));
  }

  /** Waits up to a second for what is on its way, and refuses the rest; nothing keeps the process alive after it. */
  close(): Promise<void> {
    this.#closing ??= Promise.resolve().then(() => {
      this.#queue.close();
      return this.#connection.close();
    });
    return this.#closing;
  }

  #publisherFor({ history }: EmitterPublishOptions): RoomPublisher {
    if (history === undefined) return this.#publisher;
    const [problem] = history === false ? [] : checkRetention(history, 'history');
    if (problem !== undefined) throw new RealtimeError('BAD_REQUEST', problem);
    return new RoomPublisher({ ...this.#deps, policies: { retentionOf: () => history || undefined } });
  }

  async #send(channel: string, payload: string): Promise<void> {
    const { keyPrefix, options } = this.#connection;
    if (Buffer.byteLength(payload) > options.maxMessageBytes) {
      throw new RealtimeError('LIMIT_EXCEEDED', `A message between nodes may have ${options.maxMessageBytes} bytes`);
    }
    await this.#connection.publish(keyPrefix + channel, payload);
  }
}
