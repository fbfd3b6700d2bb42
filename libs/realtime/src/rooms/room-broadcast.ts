import { SERVER_EVENTS, type RoomStatus } from 'nestjs-realtime-protocol';
import type { BroadcastOptions, LocalSockets } from '../core/link.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import type { RoomMember } from './room-member.js';
import { toEvent, type RoomMessage } from './room-message.js';
import type { RoomRegistry } from './room-registry.js';
import { isUserRoom } from './user-rooms.js';

/**
 * Local delivery. A user's own room has a handful of members and is known to our registry alone: an app that looks at
 * `client.rooms`, or emits to each of them, must not meet a room that it did not join. All others are Socket.IO rooms, too.
 * Invariant: a message is framed at most once for each namespace, and not at all for a room without members here.
 */
export class RoomBroadcast {
  constructor(
    private readonly registry: RoomRegistry,
    private readonly sockets: LocalSockets,
    private readonly metrics: Pick<RealtimeMetrics, 'fannedOut' | 'messagesOut'>,
  ) {}

  /** To all members here but those that the message excludes by their connection. At most once. */
  deliver(room: string, message: RoomMessage): void {
    const members = this.registry.members(room);
    if (members.size === 0) return;
    this.metrics.fannedOut(members.size);
    this.metrics.messagesOut(members.size);
    const options = { except: message.header.x, volatile: message.header.v === 1 };
    if (isUserRoom(room)) sendToEach(members, message, options);
    else this.sockets.send(room, toEvent(message), options);
  }

  /** What the room itself has to say, before whatever is delivered next. */
  tell(room: string, status: RoomStatus): void {
    for (const { link } of this.registry.members(room)) link.emit(SERVER_EVENTS.room, status);
  }
}

function sendToEach(members: Iterable<RoomMember>, message: RoomMessage, { except, volatile }: BroadcastOptions): void {
  const event = toEvent(message);
  for (const { link } of members) if (!except?.includes(link.id)) link.send(event, { volatile });
}
