import { SERVER_EVENTS, userRoom, type JoinReply, type RoomStatus } from 'nestjs-realtime-protocol';
import type { Clock } from '../core/clock.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { NodePresence } from '../presence/node-presence.js';
import type { HostedRooms } from './hosted-rooms.js';
import { checkClientRoom, enterTracked, isTracked } from './room-entry.js';
import type { RoomMember } from './room-member.js';
import { askToJoin, type PolicyMatch, type RoomPolicies } from './room-policies.js';
import type { RoomRegistry } from './room-registry.js';
import { isUserRoom } from './user-rooms.js';

export interface RoomMembershipDeps {
  readonly registry: RoomRegistry;
  readonly hosted: HostedRooms;
  readonly policies: RoomPolicies;
  readonly presence: NodePresence;
  readonly clock: Clock;
  /** 0: no limit. */
  readonly maxRooms: number;
}

interface Admission {
  readonly member: RoomMember;
  readonly room: string;
  readonly match: PolicyMatch | undefined;
  readonly meta: unknown;
}

/**
 * How a connection gets into a room and out of it, on this node. Asks policies for clients, not for server code.
 * Invariants: a join is answered only when the room's channel is active here; whatever ends half-way leaves no trace;
 * after a leave nothing of the room reaches the client.
 */
export class RoomMembership {
  constructor(private readonly deps: RoomMembershipDeps) {}

  /** A client asks for itself: names are checked, the policy decides. */
  joinAsClient(member: RoomMember, request: { room: unknown; meta?: unknown }): Promise<JoinReply> {
    return member.inOrder(async () => {
      const room = checkClientRoom(request.room);
      if (room === userRoom(member.principal.id) && !member.principal.isAnonymous) return { room };
      const match = this.deps.policies.match(room);
      if (!match || isUserRoom(room)) throw new RealtimeError('FORBIDDEN');
      const { principal, link } = member;
      const context = { principal, room, params: match.params, namespace: link.namespace, connectionId: link.id };
      const decision = await askToJoin(match, { ...context, meta: request.meta });
      const reply = await this.admit({ member, room, match, meta: request.meta });
      if (decision.expiresInMs) this.askAgainIn(decision.expiresInMs, { member, room, match, meta: request.meta });
      return decision.state === undefined ? reply : { ...reply, state: decision.state };
    });
  }

  /** Server code may join a connection to any valid room. */
  joinAsServer(member: RoomMember, room: string, meta?: unknown): Promise<JoinReply> {
    return member.inOrder(() => this.admit({ member, room, match: this.deps.policies.match(room), meta }));
  }

  leave(member: RoomMember, room: string): Promise<void> {
    return member.inOrder(async () => this.depart(member, room));
  }

  /** Removes the connection at once and tells it why. */
  remove(member: RoomMember, room: string, status: Omit<RoomStatus, 'room'>): void {
    if (!member.rooms.has(room)) return;
    this.depart(member, room);
    member.link.emit(SERVER_EVENTS.room, { room, ...status } satisfies RoomStatus);
  }

  /** The connection is gone: presence waits for the user to come back, everything else ends now. */
  departAll(member: RoomMember, options: { graceful: boolean }): void {
    for (const room of this.deps.registry.unregister(member)) {
      this.deps.hosted.release(room, { isHold: false });
      if (!isTracked(this.deps.policies.match(room)?.declared.options)) continue;
      const ids = { userId: member.principal.id, connectionId: member.link.id };
      if (options.graceful) this.deps.presence.leaveLater(room, ids);
      else void this.deps.presence.leave(room, ids);
    }
  }

  /** The own room of the member's user: no policy, no presence of its own. A bus that is away does not keep anybody out. */
  async enterUserRoom(member: RoomMember): Promise<void> {
    const room = userRoom(member.principal.id);
    const active = this.deps.hosted.hold(room).catch(() => undefined);
    if (this.deps.registry.isRegistered(member)) this.deps.registry.add(member, room);
    if (this.deps.hosted.isReachable) await active;
    this.deps.hosted.release(room, { isHold: true });
  }

  private async admit(admission: Admission): Promise<JoinReply> {
    const { member, room, match } = admission;
    const options = match?.declared.options;
    if (member.rooms.has(room)) return this.reply(room);
    if (this.deps.maxRooms > 0 && member.rooms.size >= this.deps.maxRooms) {
      throw new RealtimeError('LIMIT_EXCEEDED', `A connection can be in ${this.deps.maxRooms} rooms`);
    }
    try {
      await this.deps.hosted.hold(room);
      if (isTracked(options))
        await enterTracked(this.deps.presence, room, { ...admission, maxMembers: options.maxMembers ?? 0 });
      if (!this.deps.registry.isRegistered(member) || !member.link.isOpen) {
        if (isTracked(options)) this.leavePresence(member, room);
        throw new RealtimeError('UNAVAILABLE', 'The connection is gone');
      }
      this.deps.registry.add(member, room);
      member.link.joinRoom(room);
      return this.reply(room);
    } finally {
      this.deps.hosted.release(room, { isHold: true });
    }
  }

  private depart(member: RoomMember, room: string): void {
    if (!this.deps.registry.remove(member, room)) return;
    member.link.leaveRoom(room);
    this.deps.hosted.release(room, { isHold: false });
    if (isTracked(this.deps.policies.match(room)?.declared.options)) this.leavePresence(member, room);
  }

  /** Not awaited: an outage must not delay the answer; the entry is removed locally at once and in the store until done. */
  private leavePresence(member: RoomMember, room: string): void {
    this.deps.presence
      .leave(room, { userId: member.principal.id, connectionId: member.link.id })
      .catch(() => undefined);
  }

  private reply(room: string): JoinReply {
    const presence = this.deps.hosted.find(room)?.presence;
    return presence ? { room, presence: presence.state() } : { room };
  }

  private askAgainIn(delayMs: number, admission: Admission): void {
    const { member, room, match } = admission;
    this.deps.clock.after(delayMs, () => {
      if (!match || !member.rooms.has(room)) return;
      const { principal, link } = member;
      const context = { principal, room, params: match.params, namespace: link.namespace, connectionId: link.id };
      askToJoin(match, { ...context, meta: admission.meta }).then(
        (decision) => decision.expiresInMs && this.askAgainIn(decision.expiresInMs, admission),
        () => this.remove(member, room, { status: 'kicked', code: 'FORBIDDEN' }),
      );
    });
  }
}
