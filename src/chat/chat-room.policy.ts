import { type CanJoin, RoomPolicy } from 'nestjs-realtime';

/** Any signed-in user may join any chat; only the gateway publishes to it. Who comes back within the hour missed nothing. */
@RoomPolicy('chat/:name', {
  presence: true,
  maxMembers: 5_000,
  namespaces: ['/chat'],
  history: { size: 200, ttlMs: 3_600_000 },
})
export class ChatRoomPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}
