import {
  Controller,
  Get,
  Injectable,
  Module,
  SetMetadata,
  VersioningType,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  type NestInterceptor,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, Reflector } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { ThrottlerModule } from '@nestjs/throttler';
import type { AddressInfo } from 'node:net';
import { Counter, Registry } from 'prom-client';
import { map } from 'rxjs';
import { REALTIME_METRICS, type RealtimeMetrics } from '../core/metrics.js';
import { RealtimeThrottlerGuard } from '../limits/throttler/realtime-throttler.guard.js';
import { RealtimeMetricsModule, type RealtimeMetricsOptions } from './realtime-metrics.module.js';

const Public = (): ClassDecorator => SetMetadata('app:public', true);

@Injectable()
class RefuseUnlessPublic implements CanActivate {
  constructor(private readonly reflector: Reflector) {}
  canActivate(context: ExecutionContext): boolean {
    return this.reflector.getAllAndOverride<boolean>('app:public', [context.getHandler(), context.getClass()]) ?? false;
  }
}

@Injectable()
class WrapInData implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

@Controller('own')
class OwnController {
  @Get()
  own(): string {
    return 'own';
  }
}

const apps: INestApplication[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

async function start(
  options?: RealtimeMetricsOptions,
  isFastify = false,
): Promise<{ url: string; app: INestApplication }> {
  @Module({
    imports: [
      RealtimeMetricsModule.register(options),
      ThrottlerModule.forRoot([{ name: 'short', ttl: 60_000, limit: 2 }]),
    ],
    controllers: [OwnController],
    providers: [
      { provide: APP_GUARD, useClass: RefuseUnlessPublic },
      { provide: APP_GUARD, useClass: RealtimeThrottlerGuard },
      { provide: APP_INTERCEPTOR, useClass: WrapInData },
    ],
  })
  class AppModule {}
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  const app = isFastify ? module.createNestApplication(new FastifyAdapter()) : module.createNestApplication();
  app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
  app.setGlobalPrefix('api', { exclude: ['metrics'] });
  await app.listen(0, '127.0.0.1');
  apps.push(app);
  return { url: `http://127.0.0.1:${(app.getHttpServer() as { address(): AddressInfo }).address().port}`, app };
}

describe('when metrics are served', () => {
  it.each([['Express', false] as const, ['Fastify', true] as const])(
    'answers on %s despite versions, a prefix, a refusing guard, a throttler and a wrapping interceptor',
    async (_name, isFastify) => {
      const { url, app } = await start({ decorators: [Public()] }, isFastify);
      app.get<RealtimeMetrics>(REALTIME_METRICS).messageIn('send');
      for (let i = 0; i < 4; i += 1) {
        const response = await fetch(`${url}/metrics`);
        expect(response.status).toBe(200);
        expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
        expect(response.headers.get('cache-control')).toBe('no-store');
        expect(await response.text()).toContain('realtime_messages_in_total{event="send"} 1');
      }
      expect((await fetch(`${url}/api/v1/own`)).status).toBe(403);
    },
  );

  it('is refused by the app’s guard without a decorator of the app', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/metrics`)).status).toBe(403);
  });

  it('serves the app’s own registry under another path, or nothing', async () => {
    const registry = new Registry();
    new Counter({ name: 'app_orders_total', help: 'Orders', registers: [registry] }).inc(3);
    const { url } = await start({ registry, path: 'metrics/all', decorators: [Public()] });
    const text = await (await fetch(`${url}/api/metrics/all`)).text();
    expect(text).toContain('app_orders_total 3');
    expect(text).toContain('realtime_event_loop_lag_seconds');
    expect((await fetch(`${(await start({ path: false })).url}/metrics`)).status).toBe(404);
  });

  it('gives two apps in one process registries of their own', async () => {
    const [one, other] = [await start(), await start()];
    one.app.get<RealtimeMetrics>(REALTIME_METRICS).published();
    expect(one.app.get(REALTIME_METRICS)).not.toBe(other.app.get(REALTIME_METRICS));
  });
});
