import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { WebSocketGateway } from '@nestjs/websockets';
import { RealtimeModule, Roles } from 'nestjs-realtime';
import { BENCH_SECRET } from '../harness/tokens.js';
import { serve } from './serve.js';
import { TenHandlers } from './ten-handlers.js';

/** `Roles` brings `RealtimeAuthGuard`; it stands where stock has its guard. */
@Roles('member')
@WebSocketGateway()
class OurGateway extends TenHandlers {}

/** Every limit that has a default is on at its default; those that are off by default are on, out of the load's reach. */
@Module({
  imports: [
    RealtimeModule.forRoot({
      auth: { jwt: { secret: BENCH_SECRET } },
      redis: process.env['REDIS_URL'] ? { url: process.env['REDIS_URL'], keyPrefix: `bench${process.pid}:` } : false,
      limits: {
        transports: { soft: 100_000 },
        transportsPerIp: 100_000,
        newTransportsPerSecond: 100_000,
        transportsPerUser: { max: 100 },
      },
    }),
  ],
  providers: [OurGateway],
})
class OurModule {}

await serve(OurModule);
