import { BadRequestException, Inject, UseFilters, UseGuards } from '@nestjs/common';
import {
  Ack,
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
  type WsResponse,
} from '@nestjs/websockets';
import { from, map, type Observable } from 'rxjs';
import type { Server, Socket } from 'socket.io';
import { HandshakeGuard, type Handshake } from './handshake-auth.js';
import { SESSION, type RequestWithSession, type SessionMiddleware } from './session.js';
import { WsErrorFilter } from './ws-error.filter.js';

interface NewMessage {
  room: string;
  text: string;
}

interface ChatData {
  user?: string | undefined;
  packets: number;
}

/** A gateway as people write it with Nest's and Socket.IO's documentation at hand. It knows nothing of this library. */
@WebSocketGateway()
export class ChatGateway implements OnGatewayInit, OnGatewayConnection, OnGatewayDisconnect {
  @WebSocketServer()
  readonly server!: Server;

  constructor(@Inject(SESSION) private readonly session: SessionMiddleware) {}

  afterInit(server: Server): void {
    server.engine.use(this.session);
  }

  handleConnection(client: Socket): void {
    const data = client.data as ChatData;
    data.user = (client.request as RequestWithSession).session?.user;
    data.packets = 0;
    client.use((packet, proceed) => {
      data.packets += 1;
      proceed(packet[0] === 'forbidden' ? new Error('the middleware says no') : undefined);
    });
    client.on('error', (error: Error) => client.emit('refused', error.message));
    client.on('disconnecting', () => {
      for (const room of client.rooms) client.to(room).emit('left', client.id);
    });
  }

  handleDisconnect(client: Socket): void {
    this.server.emit('gone', client.id);
  }

  @SubscribeMessage('join')
  async join(@ConnectedSocket() client: Socket, @MessageBody() room: string): Promise<string[]> {
    await client.join(room);
    return [...client.rooms];
  }

  @SubscribeMessage('leave')
  async leave(@ConnectedSocket() client: Socket, @MessageBody() room: string): Promise<string> {
    await client.leave(room);
    return room;
  }

  @SubscribeMessage('new message')
  newMessage(@ConnectedSocket() client: Socket, @MessageBody() { room, text }: NewMessage): string {
    this.server.to(room).emit('new message', { from: client.id, text });
    return 'sent';
  }

  @SubscribeMessage('typing')
  typing(@ConnectedSocket() client: Socket, @MessageBody() room: string): boolean {
    return client.to(room).emit('typing', client.id);
  }

  @SubscribeMessage('header')
  header(@ConnectedSocket() client: Socket, @MessageBody() name: string): string | string[] {
    return client.handshake.headers[name] ?? 'none';
  }

  @SubscribeMessage('who am i')
  whoAmI(@ConnectedSocket() client: Socket): string {
    return (client.data as ChatData).user ?? 'nobody';
  }

  @SubscribeMessage('packets')
  packets(@ConnectedSocket() client: Socket): number {
    return (client.data as ChatData).packets;
  }

  @SubscribeMessage('forbidden')
  forbidden(@ConnectedSocket() client: Socket): void {
    client.emit('refused', 'but the handler ran');
  }

  @SubscribeMessage('response')
  response(@MessageBody() data: unknown): WsResponse<unknown> {
    return { event: 'responded', data };
  }

  @SubscribeMessage('countdown')
  countdown(@MessageBody() numbers: number[]): Observable<WsResponse<number>> {
    return from(numbers).pipe(map((data) => ({ event: 'count', data })));
  }

  @SubscribeMessage('manual ack')
  manualAck(@MessageBody() data: unknown, @Ack() ack: (answer: unknown) => void): void {
    ack({ byHand: data });
  }

  @SubscribeMessage('binary')
  binary(@MessageBody() data: Buffer): Buffer {
    return Buffer.from(data).reverse();
  }

  @UseFilters(WsErrorFilter)
  @SubscribeMessage('fail')
  fail(): never {
    throw new BadRequestException('translated by the filter');
  }

  @UseGuards(HandshakeGuard)
  @SubscribeMessage('guarded')
  guarded(@ConnectedSocket() client: Socket): string {
    return (client.handshake as Handshake).user?.name ?? 'nobody';
  }
}
