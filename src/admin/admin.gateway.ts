import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { CurrentPrincipal, Roles, RoomManager, type Principal } from 'nestjs-realtime';
import { Announce, Kick } from './admin.dto.js';

/** In the namespace of the chat: a user with the role needs no second connection. */
@WebSocketGateway({ namespace: 'chat' })
@Roles('admin')
export class AdminGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('admin.announce')
  async announce(
    @MessageBody() { chatId, text }: Announce,
    @CurrentPrincipal() me: Principal,
  ): Promise<{ id: string }> {
    const { id } = await this.rooms.publish(`chat/${chatId}`, 'announcement', { from: me.id, text, at: Date.now() });
    return { id };
  }

  /** On whatever node the user is. */
  @SubscribeMessage('admin.kick')
  async kick(@MessageBody() { chatId, user, reason }: Kick): Promise<void> {
    await this.rooms.kick(`chat/${chatId}`, { userId: user }, reason);
  }
}
