import { JwtService } from '@nestjs/jwt';
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
} from '@nestjs/websockets';
import type { Namespace, Socket } from 'socket.io';

/** A chat as the tutorials write it: the token is checked in `handleConnection`, who is there stands in a Map. */
@WebSocketGateway({ namespace: 'chat' })
export class StockChatGateway implements OnGatewayConnection, OnGatewayDisconnect {
  @WebSocketServer()
  private readonly server!: Namespace;
  private readonly present = new Map<string, { user: string; room: string }>();

  constructor(private readonly jwt: JwtService) {}

  async handleConnection(socket: Socket): Promise<void> {
    try {
      const { token } = socket.handshake.auth as { token: string };
      const { sub } = await this.jwt.verifyAsync<{ sub: string }>(token);
      (socket.data as { user?: string }).user = sub;
    } catch {
      socket.disconnect();
    }
  }

  handleDisconnect(socket: Socket): void {
    const entry = this.present.get(socket.id);
    if (!entry) return;
    this.present.delete(socket.id);
    this.server.to(entry.room).emit('user.left', entry.user);
  }

  @SubscribeMessage('join')
  async join(@MessageBody() room: string, @ConnectedSocket() socket: Socket): Promise<string[]> {
    const { user } = socket.data as { user: string };
    await socket.join(room);
    this.present.set(socket.id, { user, room });
    this.server.to(room).emit('user.joined', user);
    return [...this.present.values()].filter((entry) => entry.room === room).map((entry) => entry.user);
  }

  @SubscribeMessage('message')
  message(@MessageBody() message: { room: string; text: string }): void {
    this.server.to(message.room).emit('message', message);
  }
}
