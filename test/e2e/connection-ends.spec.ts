import type { Socket as NetSocket } from 'node:net';
import { SubscribeMessage, WebSocketGateway, WebSocketServer, type OnGatewayDisconnect } from '@nestjs/websockets';
import { RealtimeService } from 'nestjs-realtime';
import type { Server, Socket } from 'socket.io';
import { bootApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { connectedClient, type StockClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway()
class EndsGateway implements OnGatewayDisconnect<Socket> {
  readonly gone: string[] = [];

  @WebSocketServer()
  server!: Server;

  @SubscribeMessage('hello')
  hello(): string {
    return 'hello';
  }

  handleDisconnect({ data }: Socket): void {
    this.gone.push((data as { principal: { id: string } }).principal.id);
  }
}

interface RawTransport {
  readonly socket: { terminate(): void; readonly _socket: NetSocket };
}

const rawOf = ({ conn }: Socket): RawTransport['socket'] => (conn.transport as unknown as RawTransport).socket;
const clientEngine = ({ socket }: StockClient) =>
  socket.io.engine.transport as unknown as { ws: { terminate(): void } };

/** Each goes another way through ws, Engine.IO and Socket.IO. */
const ENDS: Record<string, (client: StockClient, socket: Socket, server: Server) => void> = {
  'the client says goodbye': ({ socket }) => socket.disconnect(),
  'the client closes its transport': ({ socket }) => socket.io.engine.close(),
  'the client breaks off': (client) => clientEngine(client).ws.terminate(),
  'the server disconnects the socket': (_client, socket) => socket.disconnect(),
  'the server disconnects the client': (_client, socket) => socket.disconnect(true),
  'the server closes the connection': (_client, { conn }) => conn.close(),
  'the server discards the connection': (_client, { conn }) => conn.close(true),
  'the server terminates the WebSocket': (_client, socket) => rawOf(socket).terminate(),
  'the TCP socket is destroyed': (_client, socket) => rawOf(socket)._socket.destroy(),
  'the TCP socket is destroyed in the turn of a broadcast': (_client, socket, server) => {
    server.emit('all', 1);
    rawOf(socket)._socket.destroy();
  },
  'the server disconnects everybody': (_client, _socket, server) => server.disconnectSockets(true),
};

describe('when a connection ends', () => {
  it.each(Object.keys(ENDS))('tells the gateway once, and keeps nothing: %s', async (way) => {
    await using app = await bootApp({ providers: [EndsGateway] });
    const gateway = app.app.get(EndsGateway);
    const { server, gone } = gateway;
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    // Idle connections are made lean once they are open, so an answer comes first.
    expect(await client.ask('hello')).toBe('hello');
    const [socket] = server.sockets.sockets.values() as unknown as [Socket];
    const reasons: string[] = [];
    socket.on('disconnect', (reason) => reasons.push(reason));
    ENDS[way]?.(client, socket, server);
    await eventually(() => expect(gone).toEqual(['ada']));
    client.socket.disconnect();
    await eventually(() => expect(server.engine).toMatchObject({ clientsCount: 0 }));
    expect(reasons).toHaveLength(1);
    expect(server.sockets.sockets.size).toBe(0);
    expect(server.sockets.adapter.sids.size).toBe(0);
    expect(app.app.get(RealtimeService).stats().connections).toBe(0);
    expect(gone).toEqual(['ada']);
  });
});
