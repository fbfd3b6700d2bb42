import { randomBytes } from 'node:crypto';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RealtimeService } from 'nestjs-realtime';
import { HEALTH_SOURCE, type HealthSource } from 'nestjs-realtime/health';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { startRedis } from '../support/redis.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { mintToken } from '../support/tokens.js';

/** What the node believed of Redis each time the handler ran. */
const states: string[] = [];
let health: HealthSource | undefined;

@WebSocketGateway()
class ProbeGateway {
  @SubscribeMessage('probe')
  probe(): null {
    states.push(health?.redis.state ?? 'off');
    return null;
  }
}

describe('when a user is revoked while a node is cut off from Redis', () => {
  it('handles no message of that user once Redis is back, not even in the moment before the log is read', async () => {
    await using redis = await startRedis();
    await using proxy = await startTcpProxy({ port: redis.port });
    const keyPrefix = `${randomBytes(6).toString('hex')}:`;
    await using cut = await bootApp({
      providers: [ProbeGateway],
      realtime: {
        redis: { url: `redis://127.0.0.1:${proxy.port}`, keyPrefix },
        limits: { messagesPerSecond: 0 },
      },
    });
    await using whole = await bootApp({ realtime: { redis: { url: redis.url, keyPrefix } } });
    health = cut.app.get<HealthSource>(HEALTH_SOURCE, { strict: false });
    await using ada = await connectedClient(cut.url, { auth: { token: mintToken('ada') } });
    await ada.ask('probe');
    proxy.cut();
    await eventually(() => expect(health?.redis.state).toBe('degraded'));
    states.length = 0;
    await whole.app.get(RealtimeService).revoke({ userId: 'ada', issuedBefore: new Date(Date.now() + 60_000) });
    const talking = (async () => {
      while (ada.socket.connected) await ada.ask('probe').catch(() => undefined);
    })();
    await eventually(() => expect(states.length).toBeGreaterThan(10));
    proxy.heal();
    // A slow link makes the moment between the first echo and the read of the log long enough to be hit.
    proxy.delay(30);
    expect((await ada.inbox.next('realtime:bye')).args[0]).toMatchObject({ code: 'REVOKED' });
    ada.socket.close();
    await talking;
    expect(new Set(states)).toEqual(new Set(['degraded']));
  });
});
