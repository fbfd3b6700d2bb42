/** The app of `many-cores.ts`, as its workers load it. */
import 'reflect-metadata';
import { Injectable, Module, type INestApplication, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RealtimeModule, RealtimeService, RoomManager, RoomPolicy, type RealtimeOptions } from 'nestjs-realtime';

@RoomPolicy('chat/:id', { presence: true })
class ChatRoomPolicy {
  canJoin(): boolean {
    return true;
  }
}

@WebSocketGateway({ namespace: 'chat' })
class ChatGateway {
  constructor(private readonly rooms: RoomManager) {}

  @SubscribeMessage('message.send')
  send(@MessageBody() body: { room: string; text: string }) {
    return this.rooms.publish(body.room, 'message', { text: body.text });
  }

  @SubscribeMessage('echo')
  echo(@MessageBody() body: unknown) {
    return body;
  }
}

/** A gateway with a path has a server of its own, on the same HTTP server. */
@WebSocketGateway({ path: '/beside' })
class BesideGateway {}

export async function createApp(options: RealtimeOptions, hangsAtTheEnd: boolean): Promise<INestApplication> {
  @Injectable()
  class Ending implements OnModuleDestroy {
    constructor(private readonly service: RealtimeService) {}

    async onModuleDestroy(): Promise<void> {
      await this.service.drain();
      if (hangsAtTheEnd) await new Promise(() => undefined);
    }
  }

  @Module({
    imports: [RealtimeModule.forRoot({ ...options, cluster: { ...options.cluster, nodeId: `worker-${process.pid}` } })],
    providers: [ChatGateway, BesideGateway, ChatRoomPolicy, Ending],
  })
  class AppModule {}

  const app = await NestFactory.create(AppModule, { logger: ['warn', 'error', 'fatal'], abortOnError: false });
  app.enableShutdownHooks();
  return app;
}
