import { CLIENT_EVENTS, type HistoryReply, type PresenceState } from 'nestjs-realtime-protocol';
import { RealtimeError } from '../core/realtime-error.js';
import { MAX_RECOVERED, MAX_RECOVERED_BYTES } from '../history/room-log.js';
import type { NodePresence } from '../presence/node-presence.js';
import type { PresenceStore } from '../presence/presence-store.js';
import type { HostedRooms } from '../rooms/hosted-rooms.js';
import { MAX_ATTACHMENTS } from '../rooms/publication-body.js';
import type { RoomHistory } from '../rooms/room-history.js';
import { checkPosition, checkWhole } from '../rooms/room-input.js';
import type { RoomMembership } from '../rooms/room-membership.js';
import type { RoomPolicies } from '../rooms/room-policies.js';
import type { RoomPublisher } from '../rooms/room-publisher.js';
import { isUserRoom } from '../rooms/user-rooms.js';
import { ClientJoins, type Answer } from './client-joins.js';
import type { Connection } from './connection.js';
import { CredentialRefresh, type CredentialRefreshDeps } from './credential-refresh.js';
import { checkMeta, readRecord, readText } from './request-fields.js';

export interface ClientRequest {
  readonly event: string;
  readonly data: unknown;
  /** Of a request that may be sent again: the same each time. */
  readonly id?: string | undefined;
}

export interface ClientRequestsDeps extends CredentialRefreshDeps {
  readonly membership: RoomMembership;
  readonly hosted: HostedRooms;
  readonly policies: RoomPolicies;
  readonly publisher: RoomPublisher;
  readonly histories: RoomHistory;
  readonly presence: NodePresence;
  readonly store: PresenceStore;
  /** Unexpected failures of policies: logged and reported; the client gets `INTERNAL`. */
  readonly onError: (error: unknown, connection: Connection, event: string) => void;
}

const PAGE = 100;
/** The event of a failure that no ack can tell. Another client's words must not pose as the server's. */
const EXCEPTION = 'exception';
/** Requests of a connection that may wait for its joins, with those joins that wait themselves. */
const MAX_WAITING = 128;
/** Milliseconds that a client is asked to wait before it tries again. */
const ASK_AGAIN_MS = 500;
/** Bytes of a publication that is not read yet: a page of small ones from each room of a client must fit. */
const LIKELY_BYTES = 256;

type Handler = (connection: Connection, data: unknown, request: ClientRequest) => Promise<unknown>;

/** The `realtime:*` events of clients (design: Wire). */
export class ClientRequests {
  private readonly handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
    [CLIENT_EVENTS.leave, (connection, data) => this.leave(connection, data)],
    [CLIENT_EVENTS.publish, (connection, data, { id }) => this.publish(connection, data, id)],
    [CLIENT_EVENTS.history, (connection, data) => this.readHistory(connection, data)],
    [CLIENT_EVENTS.presence, (connection, data) => this.readPresence(connection, data)],
    [CLIENT_EVENTS.meta, (connection, data) => this.updateMeta(connection, data)],
    [CLIENT_EVENTS.refresh, (connection, data) => this.credentials.refresh(connection, readRecord(data)['token'])],
  ]);

  private readonly joins: ClientJoins;
  private readonly credentials: CredentialRefresh;

  constructor(private readonly deps: ClientRequestsDeps) {
    this.credentials = new CredentialRefresh(deps);
    this.joins = new ClientJoins(deps.membership, deps.hosted, (connection, error) =>
      this.expected(connection, CLIENT_EVENTS.join, error),
    );
  }

  /** `answer` is called once with the ack's value, or this rejects with a `RealtimeError`. */
  async handle(connection: Connection, request: ClientRequest, answer: Answer): Promise<void> {
    const { event, data } = request;
    const handler = this.handlers.get(event);
    try {
      if (event === CLIENT_EVENTS.join) return await this.joins.join(connection, data, answer);
      if (!handler) throw new RealtimeError('NOT_FOUND', 'No such request');
      answer(await handler(connection, data, request));
    } catch (error) {
      throw this.expected(connection, event, error);
    }
  }

  private async leave(connection: Connection, data: unknown): Promise<null> {
    const room = readText(data, 'room');
    if (isUserRoom(room)) throw new RealtimeError('FORBIDDEN');
    this.checkLines(connection);
    await this.deps.membership.leave(connection, room);
    return null;
  }

  private async publish(connection: Connection, data: unknown, requestId: string | undefined): Promise<unknown> {
    const fields = readRecord(data);
    const room = await this.joinedRoom(connection, data);
    const event = readText(data, 'event', 64);
    if (event === EXCEPTION)
      throw new RealtimeError('BAD_REQUEST', `event must not be '${EXCEPTION}': it reads as the server's own`);
    // A request that is sent again is the same publication.
    const id = fields['id'] === undefined ? requestId : readText(data, 'id', 64);
    const match = this.deps.policies.match(room);
    const { principal, link } = connection;
    const context = { principal, room, params: match?.params ?? {}, namespace: link.namespace, connectionId: link.id };
    if (match) this.deps.policies.checkIdentity(match, context);
    return this.whileIn(
      { connection, room },
      () => match?.declared.policy.canPublish?.({ ...context, event, data: fields['data'] }),
      (mayPublish) => {
        if (mayPublish !== true) throw new RealtimeError('FORBIDDEN');
        return this.deps.publisher.publishAs(principal.id, room, { event, data: fields['data'], id });
      },
    );
  }

  private async readHistory(connection: Connection, data: unknown): Promise<HistoryReply> {
    const room = await this.joinedRoom(connection, data);
    const { after, before, limit } = readRecord(data);
    const query = {
      after: after === undefined ? undefined : checkPosition('after', after),
      before: before === undefined ? undefined : checkPosition('before', before),
      limit: checkWhole('limit', limit, { least: 1, most: MAX_RECOVERED }),
    };
    return this.charged(connection, query.limit, (onRead) => {
      const bounds = { maxBytes: MAX_RECOVERED_BYTES, maxAttachments: MAX_ATTACHMENTS, onRead };
      return this.readWhileIn(connection, room, () => this.deps.histories.read(room, query, bounds));
    });
  }

  /** What is read counts as it is likely to be until it is known: many requests at once must not all come before the first counts. */
  private async charged<T>(
    connection: Connection,
    limit: number,
    read: (onRead: (bytes: number) => void) => Promise<T>,
  ): Promise<T> {
    const refusal = connection.checkHistory();
    if (refusal) throw refusal;
    const likely = Math.min(MAX_RECOVERED_BYTES, limit * LIKELY_BYTES);
    connection.countHistory(likely);
    let bytes = 0;
    try {
      return await read((count) => (bytes = count));
    } finally {
      connection.countHistory(bytes - likely);
    }
  }

  private async readPresence(connection: Connection, data: unknown): Promise<unknown> {
    const room = this.ownRoom(connection, data);
    const presence = this.deps.hosted.find(room)?.presence;
    if (!presence) throw new RealtimeError('NOT_FOUND', 'This room has no presence');
    const { cursor } = readRecord(data);
    const state: PresenceState = presence.state();
    if (cursor === undefined && state.users) return state;
    const from = cursor === undefined ? undefined : readText(data, 'cursor');
    return this.readWhileIn(connection, room, () => this.deps.store.list(room, { cursor: from, limit: PAGE }));
  }

  private async updateMeta(connection: Connection, data: unknown): Promise<null> {
    const room = this.ownRoom(connection, data);
    const ids = { userId: connection.principal.id, connectionId: connection.link.id };
    await this.deps.presence.update(room, ids, checkMeta(readRecord(data)['meta']));
    return null;
  }

  /** `finish` runs in the turn that sees that nobody has removed the connection from the room while `work` took its time. */
  private async whileIn<T, R>(
    { connection, room }: { connection: Connection; room: string },
    work: () => T | Promise<T>,
    finish: (result: Awaited<T>) => R | Promise<R>,
  ): Promise<R> {
    const action = this.deps.membership.begin(connection, room);
    try {
      const result = await work();
      action.check();
      return await finish(result);
    } finally {
      action.end();
    }
  }

  /** What is read of a room is for who is still in it: after a leave is answered, nothing of it reaches the client. */
  private readWhileIn<T>(connection: Connection, room: string, read: () => Promise<T>): Promise<T> {
    return this.whileIn({ connection, room }, read, (result) => {
      if (!connection.rooms.has(room)) throw new RealtimeError('FORBIDDEN');
      return result;
    });
  }

  /** As `ownRoom`, after the joins that the client sent before: it need not wait for their answers. */
  private async joinedRoom(connection: Connection, data: unknown): Promise<string> {
    const room = readText(data, 'room');
    if (!connection.rooms.has(room) && connection.lines?.isBusy(room)) {
      this.checkLines(connection);
      await this.deps.membership.inTurn(connection, room, () => undefined);
    }
    return this.ownRoom(connection, data);
  }

  /** Joins of a connection have a bound of their own, in `RoomJoins`. */
  private checkLines({ lines }: Connection): void {
    if (lines && lines.waiting >= MAX_WAITING)
      throw new RealtimeError('RATE_LIMITED', 'Too many requests wait for joins', { retryAfterMs: ASK_AGAIN_MS });
  }

  private ownRoom(connection: Connection, data: unknown): string {
    const room = readText(data, 'room');
    if (!connection.rooms.has(room)) throw new RealtimeError('FORBIDDEN');
    return room;
  }

  private expected(connection: Connection, event: string, error: unknown): RealtimeError {
    if (error instanceof RealtimeError) return error;
    this.deps.onError(error, connection, event);
    return new RealtimeError('INTERNAL');
  }
}
