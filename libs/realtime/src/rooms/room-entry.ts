import { RealtimeError } from '../core/realtime-error.js';
import type { NodePresence } from '../presence/node-presence.js';
import type { RoomMember } from './room-member.js';
import type { RoomPolicyOptions } from './room-policy.js';

/** Rooms whose connections are kept in the presence store: those with presence, and those with a limit to hold in the cluster. */
export function isTracked(options: RoomPolicyOptions | undefined): options is RoomPolicyOptions {
  return options !== undefined && (options.presence === true || (options.maxMembers ?? 0) > 0);
}

/** @throws RealtimeError `LIMIT_EXCEEDED` if the room is full, `UNAVAILABLE` if the store is away. */
export async function enterTracked(
  presence: NodePresence,
  room: string,
  entry: { member: RoomMember; meta: unknown; maxMembers: number },
): Promise<void> {
  const { member, meta, maxMembers } = entry;
  const result = await presence.enter(
    room,
    { userId: member.principal.id, connectionId: member.link.id, device: member.device, meta },
    { maxTotal: maxMembers },
  );
  if (result.status === 'full') throw new RealtimeError('LIMIT_EXCEEDED', 'The room is full', { retryable: true });
}
