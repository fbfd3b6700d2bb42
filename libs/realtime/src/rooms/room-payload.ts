import type { RealtimeMetrics } from '../core/metrics.js';
import type { HostedPresence } from '../presence/hosted-presence.js';
import type { HostedHistory } from './hosted-history.js';
import type { RoomBroadcast } from './room-broadcast.js';
import { decodeErasure, decodeRoomMessage } from './room-message.js';
import type { NumberedMessage } from './room-recovery.js';

/** What a hosted room is made of. */
export interface RoomFollowers {
  readonly name: string;
  readonly presence: HostedPresence | undefined;
  readonly history: HostedHistory | undefined;
}

export interface RoomPayloadDeps {
  readonly broadcast: Pick<RoomBroadcast, 'deliver'>;
  readonly metrics: Pick<RealtimeMetrics, 'dropped'>;
  readonly nodeId: string;
}

/** One payload of a room's channel to whom it is for: `p…` presence, `m…` a message, `x…` an erasure. */
export function takePayload({ name, presence, history }: RoomFollowers, payload: string, deps: RoomPayloadDeps): void {
  if (payload.startsWith('p')) return presence?.onChange(payload.slice(1));
  const message = payload.startsWith('m') ? decodeRoomMessage(payload) : undefined;
  if (!message) {
    const erasure = decodeErasure(payload);
    return erasure ? history?.onErased(erasure.offset) : deps.metrics.dropped('malformed-room-message');
  }
  if (message.header.n === deps.nodeId) return;
  if (history && message.position) history.onMessage(message as NumberedMessage);
  else deps.broadcast.deliver(name, message);
}
