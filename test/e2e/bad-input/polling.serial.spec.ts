import type { Server } from 'socket.io';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { SOCKET_SERVERS } from 'nestjs-realtime';
import { bootApp } from '../../support/app.js';
import { eventually } from '../../support/eventually.js';
import { promised } from '../../support/promised.js';

const SOURCE = 'docs/guides/limits-and-throttling.md: connectTimeoutMs and one second';
const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';

@WebSocketGateway({ namespace: 'polled' })
class PolledGateway {
  @SubscribeMessage('echo')
  echo(): string {
    return 'echo';
  }
}

describe('when polling sessions are opened and left', () => {
  it.each([
    ['at once', 0],
    ['after a poll', 1],
  ])('they are gone with the connect timeout: left %s', async (_name, polls) => {
    const realtime = { transports: ['polling'] as const, connectTimeoutMs: 300 };
    await using node = await bootApp({ providers: [PolledGateway], realtime });
    const [server] = node.app.get<() => readonly Server[]>(SOCKET_SERVERS)();
    for (let index = 0; index < 20; index += 1) {
      const opened = await (await fetch(`${node.url}${HANDSHAKE}`)).text();
      const { sid } = JSON.parse(opened.slice(1)) as { sid: string };
      const left = new AbortController();
      const continued = Array.from({ length: polls }, () =>
        fetch(`${node.url}${HANDSHAKE}&sid=${sid}`, { signal: left.signal }).catch(() => undefined),
      );
      left.abort();
      await Promise.all(continued);
    }
    await eventually(() => expect(server?.engine.clientsCount).toBe(0), promised(15_000, SOURCE));
  });
});
