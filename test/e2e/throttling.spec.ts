import { randomBytes } from 'node:crypto';
import { Controller, Get, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Throttle, ThrottlerModule } from '@nestjs/throttler';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { httpOnly } from 'nestjs-realtime';
import { RealtimeThrottlerGuard, RealtimeThrottlerModule, RealtimeThrottlerStorage } from 'nestjs-realtime/throttler';
import { ManualClock } from 'nestjs-realtime/testing';
import { bootApp, type TestApp } from '../support/app.js';
import { connectedClient } from '../support/inbox.js';
import { startRedis } from '../support/redis.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway()
class ThrottledGateway {
  @Throttle({ default: { limit: 3, ttl: 60_000 } })
  @SubscribeMessage('limited')
  limited(): string {
    return 'ok';
  }

  @SubscribeMessage('free')
  free(): string {
    return 'ok';
  }
}

@Controller()
class ThrottledController {
  @Throttle({ default: { limit: 2, ttl: 60_000 } })
  @Get('limited')
  limited(): string {
    return 'ok';
  }
}

/** Knows HTTP alone: on a gateway message it would throw. */
@Injectable()
class HttpGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return typeof context.switchToHttp().getRequest<{ url: string }>().url.at(0) === 'string';
  }
}

function boot(realtime = {}): Promise<TestApp> {
  return bootApp({
    realtime,
    imports: [
      ThrottlerModule.forRootAsync({
        imports: [RealtimeThrottlerModule],
        inject: [RealtimeThrottlerStorage],
        useFactory: (storage: RealtimeThrottlerStorage) => ({ throttlers: [{ ttl: 60_000, limit: 1_000 }], storage }),
      }),
    ],
    controllers: [ThrottledController],
    providers: [
      ThrottledGateway,
      { provide: APP_GUARD, useClass: httpOnly(HttpGuard) },
      { provide: APP_GUARD, useClass: RealtimeThrottlerGuard },
    ],
  });
}

const refused = {
  error: expect.objectContaining({ code: 'RATE_LIMITED', retryable: true, retryAfterMs: expect.any(Number) }),
};

describe('when HTTP and gateways share one throttler guard', () => {
  it('counts messages by principal, and HTTP as before', async () => {
    await using app = await boot();
    const auth = { token: mintToken('ada') };
    await using ada = await connectedClient(app.url, { auth });
    await using again = await connectedClient(app.url, { auth });
    await using bob = await connectedClient(app.url, { auth: { token: mintToken('bob') } });
    expect([await ada.ask('limited'), await again.ask('limited'), await ada.ask('limited')]).toEqual([
      'ok',
      'ok',
      'ok',
    ]);
    expect(await again.ask('limited')).toEqual(refused);
    expect(await ada.ask('free')).toBe('ok');
    expect(await bob.ask('limited')).toBe('ok');
    const statuses = [];
    for (let call = 0; call < 3; call += 1) statuses.push((await fetch(`${app.url}/limited`)).status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  it('counts once for two nodes on one Redis', async () => {
    await using redis = await startRedis();
    const realtime = { redis: { url: redis.url, keyPrefix: `${randomBytes(6).toString('hex')}:` } };
    await using one = await boot(realtime);
    await using two = await boot(realtime);
    const auth = { token: mintToken('ada') };
    await using here = await connectedClient(one.url, { auth });
    await using there = await connectedClient(two.url, { auth });
    const answers = [await here.ask('limited'), await there.ask('limited'), await here.ask('limited')];
    expect(answers).toEqual(['ok', 'ok', 'ok']);
    expect(await there.ask('limited')).toEqual(refused);
  });
});

describe('when a connection sends too much', () => {
  it('refuses known and unknown events beyond the bucket, then ends the connection', async () => {
    await using app = await bootApp({
      providers: [ThrottledGateway],
      // The bucket stays as empty as it is; of three messages the CONNECT takes a small part.
      clock: new ManualClock(Date.now()),
      realtime: { limits: { messagesPerSecond: 1, burst: 3, abuse: { maxRefusals: 3, windowMs: 60_000 } } },
    });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect([await client.ask('free'), await client.ask('nobody.listens')]).toEqual([
      'ok',
      { error: expect.objectContaining({ code: 'NOT_FOUND' }) },
    ]);
    expect(await client.ask('nobody.listens')).toEqual(refused);
    for (let call = 0; call < 3; call += 1) client.socket.emit('free');
    expect((await client.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    await client.inbox.next('disconnect');
  });
});
