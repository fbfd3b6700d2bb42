import 'reflect-metadata';
import { Module, type INestApplication } from '@nestjs/common';
import { WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import { RealtimeModule, RoomManager, RoomPolicy, Roles, type CanJoin } from 'nestjs-realtime';
import { RealtimeMetricsModule } from 'nestjs-realtime/metrics';
import type { Server } from 'socket.io';
import { BENCH_SECRET } from '../harness/tokens.js';
import { MESSAGE, type Message } from '../load/wire.js';
import type { Sends } from './publishing.js';
import { serveNest } from './serve.js';
import { TenHandlers } from './ten-handlers.js';

/** `Roles` brings `RealtimeAuthGuard`; it stands where stock has its guard. */
@Roles('member')
@WebSocketGateway()
class OurGateway extends TenHandlers {
  @WebSocketServer()
  readonly server!: Server;
}

@RoomPolicy('hall/:id', { presence: true })
class HallPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

@RoomPolicy('log/:id', { history: { size: 300, ttlMs: 600_000 } })
class LogPolicy implements CanJoin {
  canJoin(): boolean {
    return true;
  }
}

/** Every limit that has a default is on at its default; those that are off by default are on, out of the load's reach. */
@Module({
  imports: [
    RealtimeModule.forRoot({
      auth: { jwt: { secret: BENCH_SECRET } },
      compression: process.env['BENCH_DEFLATE'] ? {} : false,
      redis: process.env['REDIS_URL'] ? { url: process.env['REDIS_URL'] } : false,
      limits: {
        transports: { soft: 100_000 },
        transportsPerIp: 100_000,
        newTransportsPerSecond: 100_000,
        transportsPerUser: { max: 100 },
      },
    }),
    RealtimeMetricsModule.register(),
  ],
  providers: [OurGateway, HallPolicy, ...(process.env['BENCH_HISTORY'] ? [LogPolicy] : [])],
})
class OurModule {}

function sends(app: INestApplication): Sends {
  const { server } = app.get(OurGateway);
  const rooms = app.get(RoomManager);
  return {
    emit: (room: string, message: Message) => server.to(room).emit(MESSAGE, message),
    publish: (room: string, message: Message) => rooms.publish(room, MESSAGE, message),
  };
}

await serveNest(OurModule, { sends });
