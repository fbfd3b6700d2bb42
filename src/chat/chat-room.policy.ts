import { type CanJoin, type RoomContext, RoomPolicy } from 'nestjs-realtime';

/** Any signed-in user may join any chat; only the gateway publishes to it. */
@RoomPolicy('chat/:name', { presence: true, maxMembers: 5_000, namespaces: ['/chat'] })
export class ChatRoomPolicy implements CanJoin {
  canJoin({ principal }: RoomContext): boolean {
    return principal.isAnonymous !== true;
  }
}
