import { IoAdapter } from '@nestjs/platform-socket.io';
import { WebSocketGateway } from '@nestjs/websockets';
import type { Server } from 'socket.io';
import { nestMajor, startApp } from './support.js';

@WebSocketGateway({ maxHttpBufferSize: 1_111 })
class FirstGateway {}

@WebSocketGateway({ maxHttpBufferSize: 2_222 })
class SecondGateway {}

@WebSocketGateway({ namespace: 'third', maxHttpBufferSize: 3_333 })
class ThirdGateway {}

const maxima: number[] = [];

class SpyAdapter extends IoAdapter {
  override createIOServer(port: number, options?: object): Server {
    const server = super.createIOServer(port, options) as Server;
    maxima.push(server.engine.opts.maxHttpBufferSize as number);
    return server;
  }
}

describe('when gateways ask for different server options', () => {
  it('makes one server with the options of the gateway that registers first, silently: with an adapter, the second declared in 12', async () => {
    await startApp({ providers: [FirstGateway, SecondGateway, ThirdGateway] }, (app) =>
      app.useWebSocketAdapter(new SpyAdapter(app)),
    );

    expect(maxima).toEqual([nestMajor >= 12 ? 2_222 : 1_111]);
  });
});
