import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Throttle } from '@nestjs/throttler';
import { CurrentPrincipal, RealtimeError, RoomManager, type Principal } from 'nestjs-realtime';
import { DemoConfig } from '../config.js';
import { ChatRef, SendMessage } from './chat.dto.js';

interface Socket {
  readonly id: string;
}

@WebSocketGateway({ namespace: 'chat' })
export class ChatGateway {
  constructor(
    private readonly rooms: RoomManager,
    private readonly config: DemoConfig,
  ) {}

  @SubscribeMessage('message.send')
  @Throttle({ default: { ttl: 10_000, limit: 50 } })
  async send(
    @MessageBody() { chatId, text }: SendMessage,
    @CurrentPrincipal() me: Principal,
    @ConnectedSocket() socket: Socket,
  ): Promise<{ id: string }> {
    const room = this.roomOf(chatId, socket);
    const message = { from: me.id, text, at: Date.now(), node: this.config.nodeName };
    const { id } = await this.rooms.publish(room, 'message', message);
    return { id };
  }

  /** Gone in a moment and sent often: an ephemeral emit, to everyone but the one who types. */
  @SubscribeMessage('typing')
  @Throttle({ default: { ttl: 10_000, limit: 50 } })
  typing(
    @MessageBody() { chatId }: ChatRef,
    @CurrentPrincipal() me: Principal,
    @ConnectedSocket() socket: Socket,
  ): void {
    this.rooms.emit(this.roomOf(chatId, socket), 'typing', { from: me.id }, { exclude: socket.id });
  }

  /** Who may join is the policy's business; who is not in the room cannot speak in it. */
  private roomOf(chatId: string, socket: Socket): string {
    const room = `chat/${chatId}`;
    if (!this.rooms.roomsOf(socket).includes(room)) throw new RealtimeError('FORBIDDEN', `Join ${room} first`);
    return room;
  }
}
