import { userRoom } from 'nestjs-realtime-protocol';
import { RealtimeError } from '../core/realtime-error.js';
import type { PolicyRechecks } from './policy-rechecks.js';
import { checkClientRoom } from './room-entry.js';
import type { Admission, Wish } from './room-joins.js';
import type { RoomMember } from './room-member.js';
import type { PolicyMatch, RoomPolicies } from './room-policies.js';
import type { JoinDecision } from './room-policy.js';
import type { Wanted } from './room-recovery.js';
import { isUserRoom } from './user-rooms.js';

/** What a client says of one room that it wants to join. */
export interface ClientJoin {
  readonly room: unknown;
  readonly meta?: unknown;
  readonly wanted: Wanted;
}

interface Asked {
  readonly member: RoomMember;
  readonly room: string;
  readonly match: PolicyMatch;
  readonly meta: unknown;
}

/** What clients want to join: each room is checked, and the policy that decides about it is asked, now and in its time again. */
export class ClientWishes {
  constructor(
    private readonly policies: RoomPolicies,
    private readonly rechecks: PolicyRechecks,
  ) {}

  /** One room; what is wrong with it is the answer. */
  of(member: RoomMember, read: () => ClientJoin): Wish {
    try {
      const request = read();
      const room = typeof request.room === 'string' ? request.room : undefined;
      return { room, isBounded: true, admit: () => this.admitClient(member, request) };
    } catch {
      // Which fails again, as the answer.
      return { room: undefined, isBounded: true, admit: async () => this.admitClient(member, read()) };
    }
  }

  /** Asks whoever decides about the room; the own room of the client's user needs nobody. */
  private async admitClient(member: RoomMember, request: ClientJoin): Promise<Admission> {
    const { meta, wanted } = request;
    const { principal, link } = member;
    const room = checkClientRoom(request.room);
    if (room === userRoom(principal.id) && !principal.isAnonymous) return { room, match: undefined, wanted };
    const match = this.policies.match(room);
    if (!match || isUserRoom(room)) throw new RealtimeError('FORBIDDEN');
    const context = { principal, room, params: match.params, namespace: link.namespace, connectionId: link.id, meta };
    const question = this.rechecks.nextQuestion();
    const decision = await this.policies.askToJoin(match, context);
    const asked = { member, room, match, meta };
    const recheck = { member, room, pattern: match.declared.pattern, question, ask: () => this.askAgain(asked) };
    const onEntered = (): void => this.rechecks.set(recheck, decision.expiresInMs);
    return { room, match, decision, meta, wanted, onEntered };
  }

  private askAgain({ member, room, match, meta }: Asked): Promise<JoinDecision> {
    const { principal, link } = member;
    return this.policies.askToJoin(match, {
      ...{ principal, room, params: match.params, meta },
      ...{ namespace: link.namespace, connectionId: link.id },
    });
  }
}
