import { jest } from '@jest/globals';
import { SubscribeMessage, WebSocketGateway, WebSocketServer as InjectServer } from '@nestjs/websockets';
import type { Server, Socket } from 'socket.io';
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
  it('are not asked for what a client gets in a turn', async () => {
    await using app = await bootApp({ providers: [EchoGateway] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    await client.ask('echo');
    const { server } = app.app.get(EchoGateway);
    const [socket] = server.sockets.sockets.values();
    const tcp = (socket as Socket).request.socket;
    const write = jest.spyOn(tcp, 'write');
    const before = tcp.bytesWritten;
    server.emit('all', 1);
    socket?.emit('one', 2);
    await client.inbox.next('one');
    expect(tcp.bytesWritten).toBeGreaterThan(before);
    expect(write).not.toHaveBeenCalled();
  });
});
