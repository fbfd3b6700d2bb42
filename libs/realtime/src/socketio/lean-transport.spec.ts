import { once } from 'node:events';
import { IncomingMessage, createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, type Socket } from 'socket.io';
import { WebSocket } from 'ws';
import { dropResponse, releaseRequest } from './lean-transport.js';

/** What is relied on of Engine.IO when an open transport lets go of its HTTP request. */
const RELAYS_CLOSE = '() => this.emit("close")';

interface Fixture extends AsyncDisposable {
  readonly io: Server;
  readonly socket: Socket;
}

async function connected(prepare: (io: Server) => void = () => undefined): Promise<Fixture> {
  const http: HttpServer = createServer();
  const io = new Server(http, { cors: { origin: true } });
  prepare(io);
  const connection = new Promise<Socket>((resolve) => io.once('connection', resolve));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, {
    headers: { cookie: 'a=1' },
  });
  client.on('message', (data: Buffer) => data.toString().startsWith('0') && client.send('40'));
  return {
    io,
    socket: await connection,
    [Symbol.asyncDispose]: async () => {
      client.terminate();
      await io.close();
    },
  };
}

function relays({ request }: Socket): number {
  return request.socket.listeners('close').filter((listener) => String(listener) === RELAYS_CLOSE).length;
}

describe('Engine.IO, when a WebSocket transport is open', () => {
  it('holds the response of the upgrade in one listener of the TCP socket', async () => {
    await using fixture = await connected();
    expect(relays(fixture.socket)).toBe(1);
    dropResponse(fixture.io, fixture.socket.request);
    expect(relays(fixture.socket)).toBe(0);
  });

  it('has the middleware for CORS and no other, unless the app adds one', async () => {
    await using fixture = await connected();
    const { middlewares } = fixture.io.engine as unknown as { middlewares: { name: string }[] };
    expect(middlewares.map(({ name }) => name)).toEqual(['corsMiddleware']);
  });

  it('keeps the response where a middleware of the app may wait for its end', async () => {
    await using fixture = await connected((io) =>
      io.engine.use((_req: unknown, _res: unknown, next: () => void) => next()),
    );
    dropResponse(fixture.io, fixture.socket.request);
    expect(relays(fixture.socket)).toBe(1);
  });
});

describe('when the request of an open transport is released', () => {
  it('keeps what apps read of it and what they have put on it', async () => {
    await using fixture = await connected();
    const { socket } = fixture;
    const before = socket.request;
    Object.assign(before, { session: { user: 'ada' } });
    const handshake = structuredClone({ ...socket.handshake, auth: {} });
    releaseRequest(socket);
    expect(socket.request).not.toBe(before);
    expect(socket.request).toBeInstanceOf(IncomingMessage);
    expect(socket.request).toMatchObject({ method: 'GET', url: before.url, session: { user: 'ada' } });
    expect(socket.request.headers).toBe(before.headers);
    expect(socket.request.headers.cookie).toBe('a=1');
    expect(socket.request.socket).toBe(before.socket);
    expect((socket.request as { _query?: unknown })._query).toEqual({ EIO: '4', transport: 'websocket' });
    expect({ ...socket.handshake, auth: {} }).toEqual(handshake);
  });

  it('does nothing the second time', async () => {
    await using fixture = await connected();
    releaseRequest(fixture.socket);
    const lean = fixture.socket.request;
    releaseRequest(fixture.socket);
    expect(fixture.socket.request).toBe(lean);
  });
});
