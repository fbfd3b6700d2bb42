import { jest } from '@jest/globals';
import { SubscribeMessage, WebSocketGateway, WebSocketServer as InjectServer } from '@nestjs/websockets';
import { Socket as SocketIo, type Server, type Socket } from 'socket.io';
import { Adapter } from 'socket.io-adapter';
import { WebSocketServer } from 'ws';
import { bootApp } from '../support/app.js';
import { GENEROUS_MS } from '../support/eventually.js';
import { connectedClient } from '../support/inbox.js';
import { mintToken } from '../support/tokens.js';

@WebSocketGateway()
class RequestGateway {
  @InjectServer()
  server!: Server;

  @SubscribeMessage('request')
  describe({ request, handshake }: Socket) {
    return {
      isWhole: Object.hasOwn(request, '_readableState'),
      holdsResponse: request.socket
        .listeners('close')
        .some((listener) => String(listener) === '() => this.emit("close")'),
      hasHeaders: request.headers.upgrade === 'websocket' && handshake.headers === request.headers,
    };
  }
}

describe('Engine.IO, and Node below it, as they are installed', () => {
  it('lets an open WebSocket transport be freed of its request and of the response of its upgrade', async () => {
    await using app = await bootApp({ providers: [RequestGateway] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    expect(await client.ask('request')).toEqual({ isWhole: false, holdsResponse: false, hasHeaders: true });
  });

  it('lets messages go around its packets, and what goes through them waits with these for the end of the turn', async () => {
    await using app = await bootApp({ providers: [RequestGateway] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    await client.ask('request');
    const { server } = app.app.get(RequestGateway);
    const [socket] = server.sockets.sockets.values();
    const { request, conn } = socket as Socket;
    const before = request.socket.bytesWritten;
    for (let count = 0; count < 10; count += 1) server.emit('all', count);
    socket?.emit('one', Buffer.from([1]));
    expect(conn.transport.writable).toBe(true);
    (conn as unknown as { sendPacket(type: string): void }).sendPacket('ping');
    expect(conn.transport.writable).toBe(false);
    expect(request.socket.bytesWritten).toBe(before);
    await client.inbox.next('one');
    expect(client.inbox.all.filter(({ event }) => event === 'all')).toHaveLength(10);
  });

  it("does not ask Node's streams for what a client gets in a turn", async () => {
    await using app = await bootApp({ providers: [RequestGateway] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    await client.ask('request');
    const { server } = app.app.get(RequestGateway);
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

  it('keeps what permessage-deflate inflates with where it can be let go, and deflates nothing by itself', async () => {
    await using app = await bootApp({ providers: [RequestGateway], realtime: { compression: { minBytes: 0 } } });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    const [socket] = app.app.get(RequestGateway).server.sockets.sockets.values();
    const { socket: ws } = socket?.conn.transport as unknown as { socket: { _extensions: Record<string, object> } };
    const extension = ws._extensions['permessage-deflate'] as Record<string, unknown>;
    const held: unknown[] = [];
    const { cleanup } = extension as { cleanup(): void };
    extension['cleanup'] = function (): void {
      held.push(extension['_inflate'], extension['_deflate']);
      cleanup.call(extension);
    };
    // Long enough for the client to deflate it.
    expect(await client.ask('request', 'x'.repeat(2_000))).toMatchObject({ hasHeaders: true });
    expect(held).toEqual([expect.objectContaining({ bytesWritten: expect.any(Number) }), null]);
    expect(extension['_inflate']).toBeNull();
    expect(extension['params']).toMatchObject({ server_no_context_takeover: true, client_no_context_takeover: true });
  });

  it('has one frame for all recipients of a broadcast, made by its adapter', async () => {
    await using app = await bootApp({ providers: [RequestGateway] });
    const { server } = app.app.get(RequestGateway);
    const options: { wsPreEncodedFrame?: unknown[] } = {};
    const { _encode } = server.sockets.adapter as unknown as { _encode(packet: object, options: object): unknown };
    _encode.call(server.sockets.adapter, { type: 2, nsp: '/', data: ['event'] }, options);
    expect(options.wsPreEncodedFrame).toEqual([Buffer.from([0x81, 11]), Buffer.from('42["event"]')]);
  });

  it('writes a broadcast to each recipient by the two steps that members are written to by', () => {
    expect(String(Adapter.prototype.broadcast)).toMatch(
      /socket\.notifyOutgoingListeners\(packet\);\s*}\s*socket\.client\.writeToEngine\(encodedPackets, packetOpts\)/,
    );
    expect(String(Reflect.get(SocketIo.prototype, '_onconnect'))).toContain('this.connected = true');
  });

  it('adds and takes members of rooms in three places, which a list of recipients is told of', () => {
    const { addAll, del, delAll } = Adapter.prototype as unknown as Record<string, unknown>;
    expect(String(addAll)).toContain('this.rooms.get(room).add(id)');
    for (const method of [del, delAll]) expect(String(method)).toMatch(/this\._del\(room, id\)/);
    expect(String(delAll)).toContain('this.sids.delete(id)');
    expect(String(Reflect.get(SocketIo.prototype, '_cleanup'))).toMatch(
      /this\.leaveAll\(\);\s*this\.nsp\._remove\(this\)/,
    );
  });

  it('keeps callbacks and entries where they can be kept in smaller shapes, and listeners where Node put them', async () => {
    await using app = await bootApp({ providers: [RequestGateway] });
    await using client = await connectedClient(app.url, { auth: { token: mintToken('ada') } });
    await client.ask('request');
    const { server } = app.app.get(RequestGateway);
    const [socket] = server.sockets.sockets.values();
    const { conn, client: transportClient, acks } = socket as unknown as Record<string, Record<string, unknown>>;
    const { transport, cleanupFn } = conn as { transport: { socket: object }; cleanupFn: unknown };
    const tables = [socket, conn, transport, transport.socket].map(
      (one) => Reflect.get(one as object, '_events') as object,
    );
    expect(tables.map((table) => Object.getPrototypeOf(table) as unknown)).toEqual([null, null, null, null]);
    expect(Array.isArray(cleanupFn)).toBe(true);
    expect([acks, transportClient?.['sockets'], transportClient?.['nsps']].some((map) => map instanceof Map)).toBe(
      false,
    );
    const { _callbacks } = transportClient?.['decoder'] as { _callbacks: Record<string, unknown[]> };
    expect(_callbacks['$decoded']).toHaveLength(1);
    // Acks of the client still find the server's callbacks, two at a time too.
    client.socket.on('answer', (value: unknown, ack: (value: unknown) => void) => ack(value));
    const answers = [1, 2].map(
      (value) => (socket as Socket).timeout(GENEROUS_MS).emitWithAck('answer', value) as Promise<unknown>,
    );
    expect(await Promise.all(answers)).toEqual([1, 2]);
  });

  it('tells a namespace of each socket that it forgets, by the method that removes it', () => {
    const { _cleanup } = SocketIo.prototype as unknown as Record<string, unknown>;
    expect(String(_cleanup)).toContain('this.nsp._remove(this)');
  });

  it('dispatches a message after its middlewares, in the next tick, by a method of the socket', () => {
    const source = String(Reflect.get(SocketIo.prototype, 'dispatch'));
    expect(source).toMatch(/this\.run\(event, \(err\) => \{\s*process\.nextTick\(/);
    expect(source).toContain('super.emitUntyped.apply(this, event)');
  });

  it('writes the answer of an upgrade before it hands the WebSocket over, in the call that begins it', () => {
    const { completeUpgrade } = WebSocketServer.prototype as unknown as { completeUpgrade: unknown };
    expect(completeUpgrade).toHaveLength(7);
    expect(String(completeUpgrade)).toMatch(/socket\.write\(headers[^]*ws\.setSocket\(socket, head[^]*cb\(ws, req\)/);
  });
});
