import { RealtimeError } from '../core/realtime-error.js';
import type { NodePresence } from '../presence/node-presence.js';
import { checkRoom } from './room-input.js';
import type { RoomMember } from './room-member.js';
import type { RoomPolicyOptions } from './room-policy.js';

/** What Socket.IO's ids look like: each is also a private room, on every node, so nobody may join such a name. */
const SOCKET_ID = /^[A-Za-z0-9_-]{20}$/;

/** @throws RealtimeError `BAD_REQUEST` for what is no room name, `FORBIDDEN` for a name that could be a socket's own room. */
export function checkClientRoom(room: unknown): string {
  const name = checkRoom(room);
  if (SOCKET_ID.test(name)) throw new RealtimeError('FORBIDDEN');
  return name;
}

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
