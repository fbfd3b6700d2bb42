import { WebSocketGateway } from '@nestjs/websockets';
import type { Namespace, Server, Socket } from 'socket.io';
import { SeamAdapter, connect, startApp } from './support.js';

describe('when createIOServer adds a middleware to the server and to every new namespace', () => {
  it('runs once for each connection in the root, a static and a RegExp namespace, before handleConnection', async () => {
    const log: string[] = [];
    const middleware = (socket: Socket, proceed: () => void): void => {
      log.push(`middleware ${socket.nsp.name}`);
      proceed();
    };

    const guard = (server: Server): void => {
      server.use(middleware);
      server.on('new_namespace', (namespace: Namespace) => namespace.use(middleware));
    };

    class LoggingGateway {
      handleConnection(client: Socket): void {
        log.push(`connected ${client.nsp.name}`);
      }
    }

    @WebSocketGateway()
    class RootGateway extends LoggingGateway {}

    @WebSocketGateway({ namespace: 'static' })
    class StaticGateway extends LoggingGateway {}

    @WebSocketGateway({ namespace: /^\/tenant-\d+$/ })
    class TenantGateway extends LoggingGateway {}

    const { url } = await startApp({ providers: [RootGateway, StaticGateway, TenantGateway] }, (app) =>
      app.useWebSocketAdapter(new SeamAdapter(app, guard)),
    );
    const namespaces = ['/', '/static', '/tenant-1', '/tenant-2'];
    for (const namespace of namespaces) await connect(url + namespace);
    await connect(`${url}/tenant-1`);

    expect(log).toEqual([...namespaces, '/tenant-1'].flatMap((name) => [`middleware ${name}`, `connected ${name}`]));
  });
});
