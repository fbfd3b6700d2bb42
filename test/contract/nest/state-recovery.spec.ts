import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Server, Socket } from 'socket.io';
import { SeamAdapter, next, open, startApp } from './support.js';

@WebSocketGateway()
class GreetingGateway {
  handleConnection(client: Socket): void {
    client.emit('greeting', 'gives the client an offset');
  }

  @SubscribeMessage('cut')
  cut(client: Socket): void {
    client.conn.close();
  }
}

/** How often the middleware ran for a client that connected, lost its transport and came back. */
async function runsOfMiddleware(connectionStateRecovery: object): Promise<{ recovered: boolean; runs: number }> {
  let runs = 0;
  const count = (server: Server): void => {
    server.use((_socket, proceed) => {
      runs += 1;
      proceed();
    });
  };
  const { url } = await startApp({ providers: [GreetingGateway] }, (app) =>
    app.useWebSocketAdapter(new SeamAdapter(app, count, { connectionStateRecovery })),
  );
  const client = open(url, { reconnection: true, reconnectionDelay: 0, reconnectionDelayMax: 0 });
  await next(client, 'greeting');
  const back = next(client, 'connect');
  client.emit('cut');
  await back;
  return { recovered: client.recovered, runs };
}

describe('when a client comes back to a server with connection state recovery', () => {
  it('skips the middlewares unless skipMiddlewares is false', async () => {
    expect(await runsOfMiddleware({})).toEqual({ recovered: true, runs: 1 });
    expect(await runsOfMiddleware({ skipMiddlewares: false })).toEqual({ recovered: true, runs: 2 });
  });
});
