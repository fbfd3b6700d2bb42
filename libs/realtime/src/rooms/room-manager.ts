import { isRoomName, type PublishReply } from 'nestjs-realtime-protocol';
import { roomChannel, type ClusterBus } from '../cluster/cluster-bus.js';
import type { ClusterRequests } from '../cluster/cluster-requests.js';
import type { CommandLog } from '../cluster/command-log.js';
import { randomId } from '../core/ids.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { PublicationStore } from '../requests/publication-store.js';
import { nextPublicationId } from '../requests/request-scope.js';
import type { HostedRooms } from './hosted-rooms.js';
import type { MemberQueries, RoomConnectionsPage } from './member-queries.js';
import type { RoomBroadcast } from './room-broadcast.js';
import type { RoomMember } from './room-member.js';
import type { RoomMembership } from './room-membership.js';
import { decodeRoomMessage, encodeRoomMessage, isDeliverable, toPayload } from './room-message.js';
import type { RoomRegistry } from './room-registry.js';

/** Anything with a Socket.IO socket's id: the socket that Nest hands to a gateway. */
export interface SocketLike {
  readonly id: string;
}

export interface PublishOptions {
  /**
   * Names the publication: it is published once in 5 minutes to each room, however often that is tried. At most 128
   * characters. Absent: random; for the handler of a request it follows from the request, so that a second run repeats it.
   */
  readonly id?: string | undefined;
  /** Connections (socket ids) that do not get it. */
  readonly exclude?: string | readonly string[] | undefined;
  /** May be dropped for clients that are not ready to receive. Default false. */
  readonly volatile?: boolean | undefined;
}

export interface RoomManagerDeps {
  readonly bus: ClusterBus;
  readonly requests: ClusterRequests;
  readonly commands: CommandLog;
  readonly publications: PublicationStore;
  readonly broadcast: RoomBroadcast;
  readonly registry: RoomRegistry;
  readonly membership: RoomMembership;
  readonly hosted: HostedRooms;
  readonly queries: MemberQueries;
  readonly metrics: RealtimeMetrics;
  readonly nodeId: string;
}

interface NamedPublish {
  readonly publisher: string;
  readonly targets: readonly string[];
  readonly id: string;
  readonly event: string;
  readonly data: unknown;
  readonly options: PublishOptions;
  readonly mayDiffer?: boolean;
}

/** Publishers of ids that server code gave, and of those that follow from a request; clients have a colon in theirs. */
const SERVER = 'server';
const REQUESTS = 'requests';

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
   * @throws RealtimeError `LIMIT_EXCEEDED` (rooms of the connection, members of the room), `UNAVAILABLE` (engine away).
   */
  async join(
    target: SocketLike | { readonly userId: string },
    room: string,
    options: { meta?: unknown } = {},
  ): Promise<void> {
    checkRoom(room);
    if ('userId' in target) {
      await this.deps.requests.request('rooms.join', { userId: checkUser(target.userId), room, meta: options.meta });
      return;
    }
    await this.deps.membership.joinAsServer(this.memberOf(target), room, options.meta);
  }

  /** The opposite of `join`; leaving a room that one is not in is fine. */
  async leave(target: SocketLike | { readonly userId: string }, room: string): Promise<void> {
    checkRoom(room);
    if ('userId' in target) {
      await this.deps.requests.request('rooms.leave', { userId: checkUser(target.userId), room });
      return;
    }
    await this.deps.membership.leave(this.memberOf(target), room);
  }

  /** Removes connections from a room on every node, also on one that is cut off now. Resolves when the cluster took it. */
  async kick(room: string, target: { userId: string } | { connectionId: string }, reason?: string): Promise<void> {
    checkRoom(room);
    if ('userId' in target)
      await this.deps.commands.append({ kind: 'kick', room, userId: checkUser(target.userId), reason });
    else
      await this.deps.commands.append({
        kind: 'kick',
        room,
        connectionId: checkText('connectionId', target.connectionId),
        reason,
      });
  }

  /** Removes everybody from a room, on every node. */
  async close(room: string, reason?: string): Promise<void> {
    await this.deps.commands.append({ kind: 'close-room', room: checkRoom(room), reason });
  }

  /**
   * Publishes to all members in the cluster, at most once, in one order for all of them (without history).
   * With an id, and in the handler of a request, it is idempotent: trying again gives the same reply and reaches nobody twice.
   * @throws RealtimeError `UNAVAILABLE` (retryable) when the cluster engine did not take it: then nobody got it, or, with an
   * id, nobody will get it twice. `BAD_REQUEST` for an id that was used for something else.
   */
  async publish(
    rooms: string | readonly string[],
    event: string,
    data: unknown,
    options: PublishOptions = {},
  ): Promise<PublishReply> {
    const targets = checkRooms(rooms);
    if (options.id !== undefined) {
      const id = checkText('id', options.id);
      return this.publishOnce({ publisher: SERVER, targets, id, event, data, options });
    }
    const derived = nextPublicationId(targets);
    if (derived !== undefined) {
      // A second run may say it differently (a time, a random number): the first has been published, and stands.
      return this.publishOnce({ publisher: REQUESTS, targets, id: derived, event, data, options, mayDiffer: true });
    }
    const id = randomId();
    const payloads = targets.map((room) => [room, encode({ room, event, data, id, options })] as const);
    await Promise.all(payloads.map(([room, payload]) => this.deps.bus.publish(roomChannel(room), payload)));
    this.deps.metrics.published();
    return { id };
  }

  /** For a client: its ids do not meet those of others, nor the server's. `publisher` is never told to anybody. */
  publishAs(publisher: string, room: string, event: string, data: unknown, id?: string): Promise<PublishReply> {
    if (id === undefined) return this.publish(room, event, data);
    return this.publishOnce({ publisher, targets: [checkRoom(room)], id, event, data, options: {} });
  }

  /**
   * Ephemeral: members on this node get it at once, others at most once and only while the cluster engine is up.
   * No order relative to `publish`. Never rejects for an engine that is away: that is counted.
   */
  emit(
    rooms: string | readonly string[],
    event: string,
    data?: unknown,
    options: Omit<PublishOptions, 'id'> = {},
  ): void {
    for (const room of checkRooms(rooms)) {
      const payload = encode({ room, event, data, options, deliveredBy: this.deps.nodeId });
      const message = decodeRoomMessage(payload);
      if (message) this.deps.broadcast.deliver(room, message);
      this.deps.bus.publish(roomChannel(room), payload).catch(() => this.deps.metrics.dropped('emit'));
    }
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

  private async publishOnce({ publisher, targets, mayDiffer, ...message }: NamedPublish): Promise<PublishReply> {
    const { id } = message;
    const named = targets.map((room) => ({ room, publisher, id, payload: encode({ room, ...message }) }));
    const outcomes = await Promise.all(named.map((one) => this.deps.publications.publishOnce(one)));
    if (mayDiffer !== true && outcomes.includes('conflict'))
      throw new RealtimeError('BAD_REQUEST', 'this id names another publication');
    if (outcomes.includes('published')) this.deps.metrics.published();
    return { id };
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

function encode(message: {
  room: string;
  event: string;
  data: unknown;
  id?: string;
  options: PublishOptions;
  deliveredBy?: string;
}): string {
  const { room, event, data, id, options, deliveredBy } = message;
  if (typeof event !== 'string' || event === '' || event.length > 256)
    throw new RealtimeError('BAD_REQUEST', 'event must be a string of 1 to 256 characters');
  if (!isDeliverable(event))
    throw new RealtimeError(
      'BAD_REQUEST',
      `this event name is reserved: choose one that does not start with 'realtime:' and is none of Socket.IO's own`,
    );
  const x = toList(options.exclude);
  const header = {
    ...(x && { x }),
    ...(options.volatile === true && { v: 1 as const }),
    ...(deliveredBy && { n: deliveredBy }),
  };
  try {
    return toPayload(encodeRoomMessage({ room, event, data, id, header }));
  } catch (cause) {
    throw new RealtimeError('BAD_REQUEST', 'data must be JSON', { cause });
  }
}

function toList(value: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof value === 'string' ? [value] : value;
}

function checkRooms(rooms: string | readonly string[]): readonly string[] {
  const list = typeof rooms === 'string' ? [rooms] : rooms;
  if (!Array.isArray(list) || list.length === 0)
    throw new RealtimeError('BAD_REQUEST', 'rooms must name at least one room');
  return list.map(checkRoom);
}

function checkRoom(room: string): string {
  if (!isRoomName(room)) {
    throw new RealtimeError(
      'BAD_REQUEST',
      'room must be 1 to 200 characters of A-Z a-z 0-9 _ - . : / @ | + %: use roomName()',
    );
  }
  return room;
}

function checkUser(userId: string): string {
  return checkText('userId', userId);
}

function checkText(name: string, value: string | undefined): string {
  if (typeof value !== 'string' || value === '' || value.length > 128) {
    throw new RealtimeError('BAD_REQUEST', `${name} must be a string of 1 to 128 characters`);
  }
  return value;
}
