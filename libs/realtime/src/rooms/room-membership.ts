import { SERVER_EVENTS, userRoom, type RoomStatus } from 'nestjs-realtime-protocol';
import type { Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { NodePresence } from '../presence/node-presence.js';
import { ClientWishes, type ClientJoin } from './client-wishes.js';
import type { HostedRooms } from './hosted-rooms.js';
import { PolicyRechecks, endOf } from './policy-rechecks.js';
import { RemovalWatch, removedMeanwhile, type WatchedAction } from './removal-watch.js';
import { isTracked } from './room-entry.js';
import { RoomJoins, type Admission, type JoinOutcome } from './room-joins.js';
import type { RoomMember } from './room-member.js';
import type { RoomPolicies } from './room-policies.js';
import type { RoomRegistry } from './room-registry.js';

export interface RoomMembershipDeps {
  readonly registry: RoomRegistry;
  readonly hosted: HostedRooms;
  readonly policies: RoomPolicies;
  readonly presence: NodePresence;
  readonly clock: Clock;
  readonly metrics: Pick<RealtimeMetrics, 'recovered' | 'throttled'>;
  /** A policy that was asked again has failed. */
  readonly onPolicyError: (error: unknown, member: RoomMember) => void;
  /** Rooms of a connection. 0: no limit. */
  readonly maxRooms: number;
  /** Bytes that may wait for a client. 0: no limit. */
  readonly maxSendBufferBytes: number;
}

/** What a member is told of its end in a room. */
export type Removal = Omit<RoomStatus, 'room'>;

/**
 * How a connection gets into a room and out of it, on this node. Asks policies for clients, not for server code.
 * Invariants: a join is answered only when the room's channel is active here; whatever ends half-way leaves no trace;
 * after a leave nothing of the room reaches the client; a removal counts for what the client has begun in the room.
 */
export class RoomMembership {
  private readonly joins: RoomJoins;
  private readonly removals = new RemovalWatch();
  private readonly rechecks: PolicyRechecks;
  private readonly wishes: ClientWishes;

  constructor(private readonly deps: RoomMembershipDeps) {
    this.joins = new RoomJoins({ ...deps, removals: this.removals });
    this.rechecks = new PolicyRechecks({
      clock: deps.clock,
      onEnd: (member, room, code) => this.removeAll(room, (one) => one === member, endOf(code)),
      onError: deps.onPolicyError,
    });
    this.wishes = new ClientWishes(deps.policies, this.rechecks);
  }

  /**
   * A client asks for itself, for one room or several: names are checked, policies decide. `answer` is called once, with the
   * outcomes in their order, and must send them at once: publications of the rooms come right after it.
   */
  joinAsClient(
    member: RoomMember,
    requests: readonly (() => ClientJoin)[],
    answer: (outcomes: readonly JoinOutcome[]) => void,
  ): Promise<void> {
    const wishes = requests.map((read) => this.wishes.of(member, read));
    return this.joins.run(member, wishes, answer);
  }

  /** Server code may join a connection to any valid room. Rejects with `FORBIDDEN` if it is removed from there meanwhile. */
  async joinAsServer(member: RoomMember, room: string, meta?: unknown): Promise<void> {
    const admission: Admission = { room, match: this.deps.policies.match(room), meta, wanted: {} };
    await this.joins.run(member, [{ room, isBounded: false, admit: () => Promise.resolve(admission) }], ([outcome]) => {
      if (outcome && 'error' in outcome) throw outcome.error;
    });
  }

  async leave(member: RoomMember, room: string): Promise<void> {
    await this.inTurn(member, room, () => this.depart(member, room));
  }

  /** After all joins and leaves of the room that the connection has asked for before; at once if there are none. */
  async inTurn(member: RoomMember, room: string, task: () => void): Promise<void> {
    const turn = member.takeTurn(room);
    try {
      if (turn) await turn;
      task();
    } finally {
      member.endTurn(room);
    }
  }

  /** What a client that is in the room is about to do there. Every call needs an `end()`. @throws RealtimeError `FORBIDDEN` */
  begin(member: RoomMember, room: string): WatchedAction {
    if (!member.rooms.has(room)) throw new RealtimeError('FORBIDDEN');
    return this.removals.begin(member, room);
  }

  /** Removes connections at once, also those that are about to get in, and tells them why. */
  removeAll(room: string, isMeant: (member: RoomMember) => boolean, status: Removal): void {
    this.removals.overrule(room, isMeant, removedMeanwhile(status.code));
    for (const member of [...this.deps.registry.members(room)].filter(isMeant)) this.remove(member, room, status);
  }

  private remove(member: RoomMember, room: string, status: Removal): void {
    if (!member.rooms.has(room)) return;
    this.depart(member, room);
    member.link.emit(SERVER_EVENTS.room, { room, ...status } satisfies RoomStatus);
  }

  /**
   * The connection is gone: presence waits for the user to come back, everything else ends now. What a client that left by
   * itself has asked for before goes on; `isExpelled`: the server has ended it, and that ends.
   */
  departAll(member: RoomMember, options: { graceful: boolean; isExpelled?: boolean }): void {
    member.lines?.close();
    this.rechecks.cancelAll(member);
    for (const room of this.deps.registry.unregister(member)) {
      if (options.isExpelled) this.removals.overrule(room, (one) => one === member, removedMeanwhile());
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

  private depart(member: RoomMember, room: string): void {
    if (!this.deps.registry.remove(member, room)) return;
    this.rechecks.cancel(member, room);
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
}
