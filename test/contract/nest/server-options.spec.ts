import { WebSocketGateway } from '@nestjs/websockets';
import type { Server } from 'socket.io';
import { SeamAdapter, nestMajor, startApp } from './support.js';

@WebSocketGateway({ maxHttpBufferSize: 1_111 })
class FirstGateway {}

@WebSocketGateway({ maxHttpBufferSize: 2_222 })
class SecondGateway {}

@WebSocketGateway({ namespace: 'third', maxHttpBufferSize: 3_333 })
class ThirdGateway {}

const maxima: number[] = [];

const spy = (server: Server): unknown =>
  maxima.push((server.engine.opts as { maxHttpBufferSize: number }).maxHttpBufferSize);

describe('when gateways ask for different server options', () => {
  it('makes one server with the options of the gateway that registers first, silently: with an adapter, the second declared in 12', async () => {
    await startApp({ providers: [FirstGateway, SecondGateway, ThirdGateway] }, (app) =>
      app.useWebSocketAdapter(new SeamAdapter(app, spy)),
    );

    expect(maxima).toEqual([nestMajor >= 12 ? 2_222 : 1_111]);
  });
});
