import {
  Global,
  Injectable,
  Module,
  SetMetadata,
  VersioningType,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { ThrottlerModule } from '@nestjs/throttler';
import type { AddressInfo } from 'node:net';
import { HEALTH_SOURCE, type HealthSource } from '../core/health-source.js';
import { RealtimeThrottlerGuard } from '../limits/throttler/realtime-throttler.guard.js';
import { RealtimeHealthModule, type RealtimeHealthOptions } from './realtime-health.module.js';
import { RealtimeHealthIndicator } from './realtime.health.js';
import { RedisHealthIndicator } from './redis.health.js';

const Public = (): ClassDecorator => SetMetadata('app:public', true);

@Injectable()
class RefuseUnlessPublic implements CanActivate {
  constructor(private readonly reflector: Reflector) {}
  canActivate(context: ExecutionContext): boolean {
    return this.reflector.getAllAndOverride<boolean>('app:public', [context.getHandler(), context.getClass()]) ?? false;
  }
}

type Source = { -readonly [Key in keyof HealthSource]: HealthSource[Key] };

const apps: INestApplication[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

interface Probes {
  readonly source: Source;
  readonly app: INestApplication;
  probe(name: string): Promise<{ status: number; body: { status: string; details: Record<string, unknown> } }>;
}

async function start(options: RealtimeHealthOptions = {}, isFastify = false): Promise<Probes> {
  const source: Source = {
    isStarted: true,
    isDraining: false,
    hasHeardProbe: true,
    redis: { state: 'up', roundTripMs: 1.234 },
    eventLoopLagMs: 4.2,
    isAtCapacity: false,
    transports: 12,
  };
  @Global()
  @Module({ providers: [{ provide: HEALTH_SOURCE, useValue: source }], exports: [HEALTH_SOURCE] })
  class NodeModule {}
  @Module({
    imports: [
      NodeModule,
      TerminusModule,
      RealtimeHealthModule.register({ decorators: [Public()], ...options }),
      ThrottlerModule.forRoot([{ name: 'short', ttl: 60_000, limit: 1 }]),
    ],
    providers: [
      { provide: APP_GUARD, useClass: RefuseUnlessPublic },
      { provide: APP_GUARD, useClass: RealtimeThrottlerGuard },
    ],
  })
  class AppModule {}
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  const app = isFastify ? module.createNestApplication(new FastifyAdapter()) : module.createNestApplication();
  app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
  app.setGlobalPrefix('api', { exclude: ['health/*path'] });
  await app.listen(0, '127.0.0.1');
  apps.push(app);
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return {
    source,
    app,
    probe: async (name) => {
      const response = await fetch(`http://127.0.0.1:${port}/health/${name}`);
      return { status: response.status, body: (await response.json()) as never };
    },
  };
}

describe('when Kubernetes probes a node', () => {
  it.each([['Express', false] as const, ['Fastify', true] as const])(
    'answers on %s despite a prefix, versions, a refusing guard and a throttler',
    async (_name, isFastify) => {
      const { probe } = await start({}, isFastify);
      for (let i = 0; i < 3; i += 1)
        for (const name of ['live', 'ready', 'startup'])
          expect(await probe(name)).toMatchObject({ status: 200, body: { status: 'ok' } });
      expect((await probe('ready')).body.details).toEqual({
        realtime: { status: 'up', transports: 12, eventLoopLagMs: 4, redis: 'up' },
        redis: { status: 'up', state: 'up', roundTripMs: 1.2 },
      });
    },
  );

  it('stays ready without Redis and says degraded', async () => {
    const { probe, source } = await start();
    source.redis = { state: 'degraded', reason: 'no echo for 4 s' };
    const { status, body } = await probe('ready');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'degraded',
      details: {
        realtime: { status: 'up', redis: 'degraded' },
        redis: { status: 'degraded', state: 'degraded', reason: 'no echo for 4 s' },
      },
    });
    expect((await probe('live')).status).toBe(200);
  });

  it('is not ready without Redis when the app wants that', async () => {
    const { probe, source } = await start({ onRedisDown: 'fail' });
    source.redis = { state: 'degraded' };
    expect(await probe('ready')).toMatchObject({
      status: 503,
      body: { status: 'error', details: { redis: { status: 'down' }, realtime: { reasons: ['redis'] } } },
    });
    expect((await probe('live')).status).toBe(200);
  });

  it.each<[string, Partial<Source>]>([
    ['draining', { isDraining: true }],
    ['lag', { eventLoopLagMs: 700 }],
    ['capacity', { isAtCapacity: true }],
    ['deaf', { hasHeardProbe: false }],
  ])('takes no new traffic for %s, but lives and has started', async (reason, change) => {
    const { probe, source } = await start();
    Object.assign(source, change);
    expect(await probe('ready')).toMatchObject({ status: 503, body: { details: { realtime: { reasons: [reason] } } } });
    expect((await probe('live')).status).toBe(200);
    expect((await probe('startup')).status).toBe(200);
  });

  it('has not started before its servers are bound', async () => {
    const { probe, source } = await start();
    source.isStarted = false;
    expect(await probe('startup')).toMatchObject({ status: 503, body: { status: 'error' } });
  });

  it('serves its indicators to the app’s own checks, without endpoints', async () => {
    const { app, source, probe } = await start({ path: false });
    expect((await probe('ready')).status).toBe(404);
    const [realtime, redis] = [app.get(RealtimeHealthIndicator), app.get(RedisHealthIndicator)];
    const check = app.get(HealthCheckService, { strict: false });
    source.redis = { state: 'off' };
    expect(await check.check([() => realtime.isHealthy(), () => redis.isHealthy('cache')])).toMatchObject({
      status: 'ok',
      details: { realtime: { status: 'up' }, cache: { status: 'up', state: 'off' } },
    });
  });
});
