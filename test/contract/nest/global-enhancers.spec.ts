import { Catch, Controller, Get, Injectable } from '@nestjs/common';
import type { CallHandler, CanActivate, ExceptionFilter, NestInterceptor, PipeTransform } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Observable } from 'rxjs';
import { runFixture } from './fixtures/run-fixture.js';
import { ask, connect, nestMajor, next, startApp } from './support.js';

const log: string[] = [];

@Injectable()
class LoggingEnhancer implements CanActivate, NestInterceptor, PipeTransform {
  canActivate(): boolean {
    log.push('guard');
    return true;
  }

  intercept(_context: unknown, handler: CallHandler): Observable<unknown> {
    log.push('interceptor');
    return handler.handle();
  }

  transform(value: unknown): unknown {
    if (!log.includes('pipe')) log.push('pipe');
    return value;
  }
}

@Catch()
class LoggingFilter implements ExceptionFilter {
  catch(_exception: unknown, host: Parameters<ExceptionFilter['catch']>[1]): void {
    log.push('filter');
    if (host.getType() === 'http') host.switchToHttp().getResponse<{ end(): void }>().end();
  }
}

@WebSocketGateway()
class EchoGateway {
  @SubscribeMessage('echo')
  echo(_client: unknown, data: unknown): unknown {
    return { data };
  }

  @SubscribeMessage('fail')
  fail(): never {
    throw new Error('failed');
  }
}

@Controller()
class FailingController {
  @Get()
  fail(): never {
    throw new Error('failed');
  }
}

async function globalEnhancers(): Promise<void> {
  const enhancers = [APP_GUARD, APP_INTERCEPTOR, APP_PIPE].map((provide) => ({ provide, useClass: LoggingEnhancer }));
  const { url } = await startApp({
    controllers: [FailingController],
    providers: [EchoGateway, ...enhancers, { provide: APP_FILTER, useClass: LoggingFilter }],
  });
  await fetch(url);
  expect(log.splice(0)).toEqual(['guard', 'interceptor', 'filter']);

  const client = await connect(url);
  expect(await ask(client, 'echo', 1)).toEqual({ data: 1 });
  expect(log.splice(0)).toEqual(nestMajor >= 12 ? ['guard', 'interceptor', 'pipe'] : []);

  const failed = next(client, 'exception');
  client.emit('fail', 1);
  await failed;
  expect(log.splice(0)).not.toContain('filter');
}

async function globalThrottler(): Promise<void> {
  const { stdout, stderr } = await runFixture('global-throttler.mjs');
  if (!stdout) throw new Error(stderr);
  expect(JSON.parse(stdout)).toEqual(
    nestMajor >= 12
      ? { withoutPayload: 'refused', ofOne: 'answered', ofOther: 'answered', fourth: 'refused', buckets: 1 }
      : { withoutPayload: 'answered', ofOne: 'answered', ofOther: 'answered', fourth: 'answered', buckets: 0 },
  );
}

describe('when enhancers are global', () => {
  it('runs guards, interceptors and pipes on messages in 12 only and filters in neither, so that ThrottlerGuard breaks gateways in 12', async () => {
    await globalEnhancers();
    await globalThrottler();
  });
});
