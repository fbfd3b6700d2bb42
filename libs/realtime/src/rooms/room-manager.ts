import type { HistoryReply, Position, PublishReply } from 'nestjs-realtime-protocol';
import type { ClusterRequests } from '../cluster/cluster-requests.js';
import type { CommandLog } from '../cluster/command-log.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { MemberQueries, RoomConnectionsPage } from './member-queries.js';
import type { HistoryQuery, RoomHistory } from './room-history.js';
import { checkRoom, checkText } from './room-input.js';
import type { RoomMember } from './room-member.js';
import type { RoomMembership } from './room-membership.js';
import { type EmitOptions, type PublishOptions, type RoomPublisher, type RoomsPublishReply } from './room-publisher.js';
import type { RoomRegistry } from './room-registry.js';

/** Anything with a Socket.IO socket's id: the socket that Nest hands to a gateway. */
export interface SocketLike {
  readonly id: string;
}

export interface RoomManagerDeps {
  readonly requests: ClusterRequests;
  readonly commands: CommandLog;
  readonly publisher: RoomPublisher;
  readonly histories: RoomHistory;
  readonly registry: RoomRegistry;
  readonly membership: RoomMembership;
  readonly queries: MemberQueries;
}

/**
 * Rooms for server code: one name is one room in the whole app, whatever namespace or node its members are on.
 * An empty or undefined room, user or list throws `BAD_REQUEST`: in Socket.IO it would mean everybody.
 */
export class RoomManager {
  constructor(private readonly deps: RoomManagerDeps) {
    deps.requests.handle('rooms.join', (payload) =>
      this.applyToUser(payload, (member, room, meta) => deps.membership.joinAsServer(member, room, meta)),
    );
    deps.requests.handle('rooms.leave', (payload) =>
      this.applyToUser(payload, (member, room) => deps.membership.leave(member, room)),
    );
  }

  /**
   * Puts a connection of this node, or all connections of a user in the cluster, into a room. No policy is asked.
   * @throws RealtimeError `LIMIT_EXCEEDED` (rooms of the connection, members of the room), `UNAVAILABLE` (engine away),
   * `FORBIDDEN` (it was kicked, or the room was closed, before it was in).
   */
  async join(
    target: SocketLike | { readonly userId: string },
    room: string,
    options: { meta?: unknown } = {},
  ): Promise<void> {
    checkRoom(room);
    if ('userId' in target) {
      await this.deps.requests.request('rooms.join', {
        userId: checkText('userId', target.userId),
        room,
        meta: options.meta,
      });
      return;
    }
    await this.deps.membership.joinAsServer(this.memberOf(target), room, options.meta);
  }

  /** The opposite of `join`; leaving a room that one is not in is fine. */
  async leave(target: SocketLike | { readonly userId: string }, room: string): Promise<void> {
    checkRoom(room);
    if ('userId' in target) {
      await this.deps.requests.request('rooms.leave', { userId: checkText('userId', target.userId), room });
      return;
    }
    await this.deps.membership.leave(this.memberOf(target), room);
  }

  /**
   * Removes connections from a room on every node, also on one that is cut off now, and ends what they have begun there: joins
   * that wait or are being decided, publications that a policy still looks at. What they ask for after it is decided anew.
   * Resolves when the cluster took it.
   */
  async kick(room: string, target: { userId: string } | { connectionId: string }, reason?: string): Promise<void> {
    checkRoom(room);
    if ('userId' in target)
      await this.deps.commands.append({ kind: 'kick', room, userId: checkText('userId', target.userId), reason });
    else
      await this.deps.commands.append({
        kind: 'kick',
        room,
        connectionId: checkText('connectionId', target.connectionId),
        reason,
      });
  }

  /** Removes everybody from a room, on every node, as `kick` does. */
  async close(room: string, reason?: string): Promise<void> {
    await this.deps.commands.append({ kind: 'close-room', room: checkRoom(room), reason });
  }

  /**
   * Publishes to all members in the cluster. In a room with history it is numbered and kept: everybody gets it once and in
   * its place, or is told of a gap; a node's publications to one room keep the order of their calls. Without history:
   * whoever is there, at most once. It is tried again until `rooms.publishTimeoutMs`; with an id, and in the handler of a
   * request, the caller may try again, too: that gives the same reply and reaches nobody twice.
   * @throws RealtimeError `UNAVAILABLE` (retryable): nobody got it, and nobody will. `UNKNOWN`: the cluster engine went away
   * while it was on its way; retryable if it has an id. `BAD_REQUEST`: data that is no JSON, an id that was used for something
   * else. `LIMIT_EXCEEDED`: too large. Of several rooms, others may have got it.
   */
  publish(room: string, event: string, data: unknown, options?: PublishOptions): Promise<PublishReply>;
  publish(rooms: readonly string[], event: string, data: unknown, options?: PublishOptions): Promise<RoomsPublishReply>;
  publish(
    rooms: string | readonly string[],
    event: string,
    data: unknown,
    options: PublishOptions = {},
  ): Promise<PublishReply | RoomsPublishReply> {
    const { publisher } = this.deps;
    return typeof rooms === 'string'
      ? publisher.publishTo(rooms, event, data, options)
      : publisher.publish(rooms, event, data, options);
  }

  /**
   * Ephemeral: members on this node get it at once, others at most once and only while the cluster engine is up.
   * No order relative to `publish`. Never rejects for an engine that is away: that is counted.
   */
  emit(rooms: string | readonly string[], event: string, data?: unknown, options?: EmitOptions): void {
    this.deps.publisher.emit(rooms, event, data, options);
  }

  /**
   * What the room has kept, oldest first, and where it stands: the oldest `limit` after a position, the newest before one, or
   * the newest of all.
   * @throws RealtimeError `BAD_REQUEST`: a limit that is not 1 to 1 000, no position, a room without history. `NOT_FOUND`: a
   * position of the future or of an epoch that is not known, or `after` one whose next publications are not kept any more.
   */
  history(room: string, query: HistoryQuery): Promise<HistoryReply> {
    return this.deps.histories.read(room, query);
  }

  /**
   * Erases everything that the room has kept; positions go on counting. Clients that join with an older one get
   * `recovered: false`. Recent publications in the memory of a node that is cut off go when its position is checked.
   */
  clear(room: string): Promise<void> {
    return this.deps.histories.clear(room);
  }

  /**
   * Erases one publication, which leaves a hole; false if it was gone already. Who has received it keeps it. A node that does
   * not hear of it (it is at most once) forgets its copy as all recent ones.
   * @throws RealtimeError `NOT_FOUND` for a position of an epoch that the room does not know.
   */
  remove(room: string, position: Position): Promise<boolean> {
    return this.deps.histories.remove(room, position);
  }

  /** Connections in the room, in the whole cluster; `missing` names nodes that did not answer in time. */
  members(room: string, page: { cursor?: string; limit?: number } = {}): Promise<RoomConnectionsPage> {
    return this.deps.queries.members(checkRoom(room), page);
  }

  /** Connections (not users: see `PresenceService.count`) in the room, in the whole cluster. */
  count(room: string): Promise<number> {
    return this.deps.queries.count(checkRoom(room));
  }

  /** Rooms of a connection of this node, its user's own room included. */
  roomsOf(socket: SocketLike): readonly string[] {
    return [...this.memberOf(socket).rooms];
  }

  private memberOf(socket: SocketLike): RoomMember {
    const member = this.deps.registry.find(checkText('socket.id', socket?.id));
    if (!member) throw new RealtimeError('NOT_FOUND', 'This connection is not on this node, or is gone');
    return member;
  }

  private async applyToUser(
    payload: unknown,
    apply: (member: RoomMember, room: string, meta: unknown) => Promise<unknown>,
  ): Promise<number> {
    const { userId, room, meta } = payload as { userId: string; room: string; meta?: unknown };
    const members = [...this.deps.registry.all()].filter((member) => member.principal.id === userId);
    await Promise.allSettled(members.map((member) => apply(member, room, meta)));
    return members.length;
  }
}
