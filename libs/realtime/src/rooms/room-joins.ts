import type { JoinReply } from 'nestjs-realtime-protocol';
import type { Clock } from '../core/clock.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { NodePresence } from '../presence/node-presence.js';
import type { HostedRooms } from './hosted-rooms.js';
import { JoinBudget, whenSendable } from './join-budget.js';
import type { RemovalWatch, WatchedAction } from './removal-watch.js';
import { enterTracked, isTracked } from './room-entry.js';
import type { RoomMember } from './room-member.js';
import type { RoomFollowers } from './room-payload.js';
import type { PolicyMatch } from './room-policies.js';
import type { JoinDecision } from './room-policy.js';
import type { Wanted } from './room-recovery.js';
import type { RoomRegistry } from './room-registry.js';

export interface RoomJoinsDeps {
  readonly registry: RoomRegistry;
  readonly hosted: HostedRooms;
  readonly presence: NodePresence;
  /** Joins under way, which a removal ends. */
  readonly removals: RemovalWatch;
  readonly clock: Clock;
  readonly metrics: Pick<RealtimeMetrics, 'recovered' | 'throttled'>;
  /** Rooms of a connection. 0: no limit. */
  readonly maxRooms: number;
  /** Bytes that may wait for a client. 0: no limit. */
  readonly maxSendBufferBytes: number;
}

/** Rooms of a connection whose joins may wait for an earlier join or leave of the same room. */
const MAX_WAITING = 16;
/** Rooms that a connection may join at a time: twice as many as it can be in, and at least these. */
const MIN_AT_A_TIME = 256;
/** Milliseconds that a client is asked to wait before it tries again. */
const ASK_AGAIN_MS = 500;

/** One room that a connection may enter: whoever had to be asked has agreed. */
export interface Admission {
  readonly room: string;
  readonly match: PolicyMatch | undefined;
  readonly decision?: JoinDecision | undefined;
  readonly meta?: unknown;
  readonly wanted: Wanted;
  readonly onEntered?: (() => void) | undefined;
}

/** One room that a connection asks for. */
export interface Wish {
  /** Undefined: not even that can be read. */
  readonly room: string | undefined;
  /** Refused with `RATE_LIMITED` if too many of the connection's wait. */
  readonly isBounded: boolean;
  /** Asks whoever has to be asked; its refusal rejects. */
  admit(): Promise<Admission>;
}

export type JoinOutcome = { readonly reply: JoinReply } | { readonly error: unknown };

interface Prepared extends Admission {
  readonly action: WatchedAction | undefined;
  readonly followers: RoomFollowers;
  release(): void;
}

/**
 * How a connection enters rooms: first everything that takes time, for all of them at once; then, in one synchronous turn,
 * it enters and is answered. Refuses what the answer cannot carry now. Invariant: no publication of a room reaches the
 * connection between the moment that its reply speaks of and the reply, and none of later is missing. Whoever is removed from a
 * room while it asks to get in does not get in.
 */
export class RoomJoins {
  constructor(private readonly deps: RoomJoinsDeps) {}

  /** `answer` is called once, in the turn in which the connection enters; what it throws rejects. Keeps the order of the connection's joins and leaves of a room. */
  async run(
    member: RoomMember,
    wishes: readonly Wish[],
    answer: (outcomes: readonly JoinOutcome[]) => void,
  ): Promise<void> {
    const { removals, clock } = this.deps;
    const turns = this.takeTurns(member, wishes);
    const watched = wishes.map((wish) => ({
      wish,
      action: wish.room === undefined ? undefined : removals.begin(member, wish.room),
    }));
    const prepared: Prepared[] = [];
    try {
      const settled = await Promise.allSettled(
        watched.map(async ({ wish, action }) => {
          const turn = wish.room === undefined ? undefined : turns.get(wish.room);
          if (turn instanceof RealtimeError) throw turn;
          if (turn) await turn;
          action?.check();
          this.checkIsHere(member);
          const one = await this.prepare(member, await wish.admit(), action);
          prepared.push(one);
          return one;
        }),
      );
      // Joins of other rooms may have been answered since there was room.
      while (member.link.pendingBytes >= this.halfBuffer) await whenSendable(member.link, this.halfBuffer, clock);
      const budget = new JoinBudget(this.halfBuffer);
      answer(
        settled.map((one) =>
          one.status === 'rejected' ? { error: one.reason as unknown } : this.enter(member, one.value, budget),
        ),
      );
    } finally {
      for (const one of prepared) one.release();
      for (const { action } of watched) action?.end();
      for (const [room, turn] of turns) if (!(turn instanceof RealtimeError)) member.endTurn(room);
    }
  }

  /** A turn in each room of a list, in the order in which joins are received; or the refusal, if too many wait already. */
  private takeTurns(
    member: RoomMember,
    wishes: readonly Wish[],
  ): Map<string, Promise<void> | undefined | RealtimeError> {
    const turns = new Map<string, Promise<void> | undefined | RealtimeError>();
    for (const { room, isBounded } of wishes) {
      if (room === undefined || turns.has(room)) continue;
      const isRefused = isBounded && this.isLineFull(member, room);
      if (isRefused) this.deps.metrics.throttled('joins');
      turns.set(room, isRefused ? tooMany() : member.takeTurn(room));
    }
    return turns;
  }

  private isLineFull({ lines }: RoomMember, room: string): boolean {
    if (!lines) return false;
    return lines.isBusy(room)
      ? lines.waiting >= MAX_WAITING
      : lines.busy >= Math.max(MIN_AT_A_TIME, 2 * this.deps.maxRooms);
  }

  private get halfBuffer(): number {
    const { maxSendBufferBytes } = this.deps;
    return maxSendBufferBytes === 0 ? Infinity : maxSendBufferBytes / 2;
  }

  private async prepare(
    member: RoomMember,
    admission: Admission,
    action: WatchedAction | undefined,
  ): Promise<Prepared> {
    const { hosted } = this.deps;
    const { room, match, meta, wanted } = admission;
    const options = match?.declared.options;
    this.checkIsHere(member);
    if (!member.rooms.has(room)) this.checkCount(member);
    const undo = [() => hosted.release(room, { isHold: true })];
    const release = (): void => undo.reverse().forEach((step) => step());
    try {
      const followers = await hosted.hold(room);
      if (followers.history) undo.push(await followers.history.prepare(wanted));
      if (isTracked(options) && !member.rooms.has(room)) {
        undo.push(() => this.forget(member, room));
        await enterTracked(this.deps.presence, room, { member, meta, maxMembers: options.maxMembers ?? 0 });
      }
      return { ...admission, action, followers, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Synchronous, as everything between here and the answer must be. */
  private enter(member: RoomMember, prepared: Prepared, budget: JoinBudget): JoinOutcome {
    const { registry, metrics } = this.deps;
    const { room, wanted, followers, decision } = prepared;
    try {
      this.checkIsHere(member);
      prepared.action?.check();
      const isNew = !member.rooms.has(room);
      if (isNew) this.checkCount(member);
      const missed = followers.history?.recover(wanted, member);
      // Nothing has happened yet: the client comes again with the same position.
      const refusal = missed?.bytes ? member.checkHistory() : undefined;
      if (refusal) throw refusal;
      const recovery = budget.take(missed);
      if (recovery?.bytes) member.countHistory(recovery.bytes);
      if (recovery?.recovered !== undefined) metrics.recovered(recovery.recovered);
      if (isNew) {
        registry.add(member, room);
        member.link.joinRoom(room);
      }
      prepared.onEntered?.();
      const { position, recovered, publications } = recovery ?? nothingKept(wanted);
      return {
        reply: {
          room,
          ...(decision?.state === undefined ? {} : { state: decision.state }),
          ...(followers.presence ? { presence: followers.presence.state() } : {}),
          ...(position ? { position } : {}),
          ...(recovered === undefined ? {} : { recovered }),
          ...(publications ? { publications } : {}),
        },
      };
    } catch (error) {
      return { error };
    }
  }

  private checkIsHere(member: RoomMember): void {
    if (!this.deps.registry.isRegistered(member) || !member.link.isOpen)
      throw new RealtimeError('UNAVAILABLE', 'The connection is gone');
  }

  private checkCount(member: RoomMember): void {
    const { maxRooms } = this.deps;
    if (maxRooms > 0 && member.rooms.size >= maxRooms)
      throw new RealtimeError('LIMIT_EXCEEDED', `A connection can be in ${maxRooms} rooms`);
  }

  /** Not awaited, as any leave: removed locally at once, and in the store until done. */
  private forget(member: RoomMember, room: string): void {
    if (member.rooms.has(room)) return;
    const ids = { userId: member.principal.id, connectionId: member.link.id };
    this.deps.presence.leave(room, ids).catch(() => undefined);
  }
}

/** A room without history cannot give what was missed. */
function nothingKept({ position, since }: Wanted): Pick<JoinReply, 'position' | 'recovered' | 'publications'> {
  return position || since ? { recovered: false } : {};
}

function tooMany(): RealtimeError {
  return new RealtimeError('RATE_LIMITED', 'Too many joins wait', { retryAfterMs: ASK_AGAIN_MS });
}
