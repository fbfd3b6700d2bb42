import type { BroadcastOptions, LocalSockets } from '../core/link.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import type { RoomRegistry } from './room-registry.js';

/** The rooms that belong to one user each; see `userRoom()`. */
const USER_ROOMS = 'user/';

export function isUserRoom(room: string): boolean {
  return room.startsWith(USER_ROOMS);
}

/**
 * Local delivery. A user's own room has a handful of members and is known to our registry alone: an app that looks at
 * `client.rooms`, or emits to each of them, must not meet a room that it did not join. All others are Socket.IO rooms, too.
 */
export class RoomBroadcast implements LocalSockets {
  constructor(
    private readonly registry: RoomRegistry,
    private readonly sockets: LocalSockets,
    private readonly metrics: Pick<RealtimeMetrics, 'fannedOut' | 'messagesOut'>,
  ) {}

  broadcast(room: string, event: string, args: readonly unknown[], options: BroadcastOptions = {}): void {
    const members = this.registry.members(room);
    if (members.size === 0) return;
    this.metrics.fannedOut(members.size);
    this.metrics.messagesOut(members.size);
    if (!isUserRoom(room)) return this.sockets.broadcast(room, event, args, options);
    for (const { link } of members) {
      if (!options.except?.includes(link.id)) link.emit(event, ...args);
    }
  }
}
