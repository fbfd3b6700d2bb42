/**
 * An app on several processes: `node dist/test-apps/many-cores.js` with `ManyCoresSettings` as JSON in `REALTIME_TEST_CORES`.
 * Workers are called `worker-<pid>` in `realtime:hello`. What the primary and its workers log goes to stdout.
 */
import 'reflect-metadata';
import { Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RealtimeModule, RealtimeService, RoomManager, RoomPolicy, type RealtimeOptions } from 'nestjs-realtime';
import { RealtimeCluster, type RealtimeClusterOptions } from 'nestjs-realtime/cluster';

export interface ManyCoresSettings {
  readonly cluster: Omit<RealtimeClusterOptions, 'start' | 'logger'>;
  readonly realtime: RealtimeOptions;
  readonly mishap?: 'throws at boot' | 'forgets to listen' | 'hangs at the end' | 'runs twice';
}

const { cluster, realtime, mishap } = JSON.parse(process.env['REALTIME_TEST_CORES'] ?? '{}') as ManyCoresSettings;

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

@Injectable()
class Ending implements OnModuleDestroy {
  constructor(private readonly service: RealtimeService) {}

  async onModuleDestroy(): Promise<void> {
    await this.service.drain();
    if (mishap === 'hangs at the end') await new Promise(() => undefined);
  }
}

@Module({
  imports: [RealtimeModule.forRoot({ ...realtime, cluster: { ...realtime.cluster, nodeId: `worker-${process.pid}` } })],
  providers: [ChatGateway, BesideGateway, ChatRoomPolicy, Ending],
})
class AppModule {}

const options: RealtimeClusterOptions = {
  ...cluster,
  start: async ({ listen }) => {
    if (mishap === 'throws at boot') throw new Error('no database');
    const app = await NestFactory.create(AppModule, { logger: ['warn', 'error', 'fatal'], abortOnError: false });
    app.enableShutdownHooks();
    if (mishap !== 'forgets to listen') await listen(app);
  },
};

const running = RealtimeCluster.run(options);
if (mishap === 'runs twice') await RealtimeCluster.run(options);
await running;
