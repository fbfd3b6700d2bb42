import { once } from 'node:events';
import { jest } from '@jest/globals';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { SubscribeMessage, WebSocketGateway, WebSocketServer as InjectServer } from '@nestjs/websockets';
import type { Server, Socket as SocketIo } from 'socket.io';
import { directHandle } from '../../libs/realtime/src/socketio/direct-write.js';
import { bootApp } from '../support/app.js';
import { connectedClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway()
class EchoGateway {
  @InjectServer()
  server!: Server;

  @SubscribeMessage('echo')
  echo(): string {
    return 'here';
  }
}

describe("Node's streams, as they are installed", () => {
  it('let a TCP socket be written to by its handle', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    expect(directHandle(socket)).toBeDefined();
    client.destroy();
    socket.destroy();
    server.close();
    await once(server, 'close');
  });

  it('are not asked for what a client gets in a turn', async () => {
    await using app = await bootApp({ providers: [EchoGateway] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    await client.ask('echo');
    const { server } = app.app.get(EchoGateway);
    const [socket] = server.sockets.sockets.values();
    const tcp = (socket as SocketIo).request.socket;
    const write = jest.spyOn(tcp, 'write');
    const before = tcp.bytesWritten;
    server.emit('all', 1);
    socket?.emit('one', 2);
    await client.inbox.next('one');
    expect(tcp.bytesWritten).toBeGreaterThan(before);
    expect(write).not.toHaveBeenCalled();
  });
});
