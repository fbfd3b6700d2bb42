import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { ServerOptions } from 'socket.io';
import { SeamAdapter, ask, connect, startApp } from './support.js';

const OURS = 'https://app.example';
const FOREIGN = 'https://foreign.example';

@WebSocketGateway({ cors: { origin: OURS, credentials: true } })
class EchoGateway {
  @SubscribeMessage('echo')
  echo(_client: unknown, data: unknown): unknown {
    return { data };
  }
}

const allowRequest: ServerOptions['allowRequest'] = (request, done) => done(null, request.headers.origin === OURS);

describe('when a WebSocket upgrade comes from a foreign origin', () => {
  it('is served whatever cors says, and refused only by allowRequest', async () => {
    const from = (origin: string): object => ({ extraHeaders: { origin } });

    const stock = await startApp({ providers: [EchoGateway] });
    const intruder = await connect(stock.url, from(FOREIGN));
    expect(await ask(intruder, 'echo', 1)).toEqual({ data: 1 });
    const polling = await fetch(`${stock.url}/socket.io/?EIO=4&transport=polling`, { headers: { origin: FOREIGN } });
    expect([polling.status, polling.headers.get('access-control-allow-origin')]).toEqual([200, OURS]);

    const checked = await startApp({ providers: [EchoGateway] }, (app) =>
      app.useWebSocketAdapter(new SeamAdapter(app, () => undefined, { allowRequest })),
    );
    expect(await ask(await connect(checked.url, from(OURS)), 'echo', 1)).toEqual({ data: 1 });
    await expect(connect(checked.url, from(FOREIGN))).rejects.toThrow('websocket error');
  });
});
