import { RealtimeError } from '../core/realtime-error.js';
import type { RoomMember } from './room-member.js';

/** Something that a connection has begun in a room, or to get into it. */
export interface WatchedAction {
  /** Why it must not take effect any more: the connection was removed from the room meanwhile. */
  readonly refusal: RealtimeError | undefined;
  /** @throws RealtimeError the refusal. To be called in the turn in which the action takes effect. */
  check(): void;
  /** Every action needs one. */
  end(): void;
}

export function removedMeanwhile(code = 'FORBIDDEN'): RealtimeError {
  return new RealtimeError(code, 'Removed from the room meanwhile');
}

/**
 * What is under way in rooms while somebody else is waited for (a policy, the cluster engine, a slow client), so that a removal
 * counts for it, too. Knows no policy and asks nobody. Invariant: it holds what is under way, and nothing when nothing is.
 */
export class RemovalWatch {
  /** One action at a time is the rule: only the second one costs a set. */
  private readonly rooms = new Map<string, Action | Set<Action>>();

  /** Rooms in which something is under way. */
  get size(): number {
    return this.rooms.size;
  }

  begin(member: RoomMember, room: string): WatchedAction {
    const action = new Action(member, () => this.end(action, room));
    const found = this.rooms.get(room);
    if (found instanceof Set) found.add(action);
    else this.rooms.set(room, found ? new Set([found, action]) : action);
    return action;
  }

  /** What these connections have begun in the room until now does not take effect. */
  overrule(room: string, isMeant: (member: RoomMember) => boolean, refusal: RealtimeError): void {
    const found = this.rooms.get(room);
    if (!found) return;
    for (const action of found instanceof Set ? found : [found]) if (isMeant(action.member)) action.refusal ??= refusal;
  }

  private end(action: Action, room: string): void {
    const found = this.rooms.get(room);
    if (found === action) this.rooms.delete(room);
    if (found instanceof Set && found.delete(action) && found.size === 0) this.rooms.delete(room);
  }
}

class Action implements WatchedAction {
  refusal: RealtimeError | undefined;

  constructor(
    readonly member: RoomMember,
    readonly end: () => void,
  ) {}

  check(): void {
    if (this.refusal) throw this.refusal;
  }
}
