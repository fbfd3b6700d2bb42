import { Module, ValidationPipe } from '@nestjs/common';
import { APP_GUARD, APP_PIPE } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import { RealtimeModule } from 'nestjs-realtime';
import { RealtimeHealthModule } from 'nestjs-realtime/health';
import { RealtimeMetricsModule } from 'nestjs-realtime/metrics';
import { RealtimeThrottlerGuard, RealtimeThrottlerModule, RealtimeThrottlerStorage } from 'nestjs-realtime/throttler';
import { AdminModule } from './admin/admin.module.js';
import { AuthModule } from './auth/auth.module.js';
import { ChatModule } from './chat/chat.module.js';
import { ConfigModule } from './config.module.js';
import { DemoConfig } from './config.js';
import { NodeModule } from './node/node.module.js';
import { NotificationsModule } from './notifications/notifications.module.js';

@Module({
  imports: [
    ConfigModule,
    RealtimeModule.forRootAsync({
      inject: [DemoConfig],
      useFactory: (config: DemoConfig) => ({
        auth: { jwt: { secret: config.jwtSecret, algorithms: ['HS256'] } },
        redis: config.redisUrl === undefined ? false : { url: config.redisUrl },
        cluster: { nodeId: config.nodeName },
      }),
    }),
    ThrottlerModule.forRootAsync({
      imports: [RealtimeThrottlerModule],
      inject: [RealtimeThrottlerStorage],
      useFactory: (storage: RealtimeThrottlerStorage) => ({ throttlers: [{ ttl: 10_000, limit: 300 }], storage }),
    }),
    RealtimeHealthModule.register(),
    RealtimeMetricsModule.register(),
    AuthModule,
    ChatModule,
    NotificationsModule,
    AdminModule,
    NodeModule,
  ],
  providers: [
    { provide: APP_GUARD, useClass: RealtimeThrottlerGuard },
    { provide: APP_PIPE, useFactory: () => new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true }) },
  ],
})
export class AppModule {}
