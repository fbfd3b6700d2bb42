import { userRoom } from 'nestjs-realtime-protocol';
import type { Revocations } from '../auth/revocations.js';
import type { ClusterCommand } from '../cluster/command-log.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { RoomMember } from '../rooms/room-member.js';
import type { RoomMembership } from '../rooms/room-membership.js';
import type { RoomRegistry } from '../rooms/room-registry.js';
import { Connection } from './connection.js';

export interface ClusterCommandsDeps {
  readonly registry: RoomRegistry;
  readonly membership: RoomMembership;
  readonly revocations: Revocations;
}

/** Carries out the cluster's command log on the connections of this node. Every command may come twice. */
export class ClusterCommands {
  constructor(private readonly deps: ClusterCommandsDeps) {}

  apply(command: ClusterCommand): void {
    switch (command.kind) {
      case 'disconnect':
        return this.disconnect(command);
      case 'kick':
        return this.removeFrom(command.room, (member) => isTarget(member, command), 'kicked');
      case 'close-room':
        return this.removeFrom(command.room, () => true, 'closed');
      case 'revoke':
        return this.revoke(command);
      default:
        return refuseUnknown(command);
    }
  }

  private disconnect(command: Extract<ClusterCommand, { kind: 'disconnect' }>): void {
    const error = new RealtimeError(command.code, command.reason, { retryable: false });
    for (const connection of this.candidates(command.userId)) if (isTarget(connection, command)) connection.end(error);
  }

  private removeFrom(room: string, isMeant: (member: RoomMember) => boolean, status: 'kicked' | 'closed'): void {
    this.deps.membership.removeAll(room, isMeant, { status, code: 'FORBIDDEN' });
  }

  private revoke(command: Extract<ClusterCommand, { kind: 'revoke' }>): void {
    this.deps.revocations.add(command);
    for (const connection of this.candidates(command.userId)) {
      if (this.deps.revocations.isRevoked(connection.credentials)) connection.end(new RealtimeError('REVOKED'));
    }
  }

  /** A copy: ending a connection changes what is iterated. */
  private candidates(userId: string | undefined): Connection[] {
    const members = userId === undefined ? this.deps.registry.all() : this.deps.registry.members(userRoom(userId));
    return [...members].filter((member) => member instanceof Connection);
  }
}

function isTarget(
  member: RoomMember,
  target: { userId?: string | undefined; connectionId?: string | undefined; transportId?: string | undefined },
): boolean {
  // A command of another version, or garbage: who names nobody must not hit everybody.
  if ((target.userId ?? target.connectionId ?? target.transportId) === undefined) return false;
  if (target.userId !== undefined && member.principal.id !== target.userId) return false;
  if (target.connectionId !== undefined && member.link.id !== target.connectionId) return false;
  return target.transportId === undefined || member.link.transportId === target.transportId;
}

/** A newer node's command: not ours to carry out, and no reason to stop. */
function refuseUnknown(_command: never): void {
  return undefined;
}
