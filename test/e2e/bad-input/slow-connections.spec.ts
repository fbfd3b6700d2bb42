import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import net from 'node:net';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { HostileApp } from './hostile-app.js';

@WebSocketGateway({ namespace: 'witness' })
class WitnessGateway {
  @SubscribeMessage('ping')
  ping(): string {
    return 'pong';
  }
}

const WITNESS = { namespace: '/witness', event: 'ping' };
/** Far less than what Node closes them after by itself, and enough for a client that behaves, on a machine that stands still. */
const realtime = { connectTimeoutMs: 3_000 };
const REQUEST = 'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n';

describe('when a connection is slow to ask for anything', () => {
  let hostile: HostileApp;
  let ownUrl: string;

  beforeAll(async () => {
    const port = await freePort();
    @WebSocketGateway(port)
    class PortGateway {}
    ownUrl = `http://127.0.0.1:${port}`;
    hostile = await HostileApp.boot({ providers: [WitnessGateway, PortGateway], realtime }, WITNESS);
  });
  afterEach(() => hostile.survives());
  afterAll(() => hostile[Symbol.asyncDispose]());

  const opened = async (url: string): Promise<net.Socket> => {
    const { hostname, port } = new URL(url);
    const socket = net.connect(Number(port), hostname);
    socket.on('error', () => undefined).resume();
    await once(socket, 'connect');
    return socket;
  };
  /** Not by `once`: Node itself closes them in the end, after 60 to 90 s. */
  const isClosed = (socket: net.Socket) => eventually(() => expect(socket.destroyed).toBe(true));

  it.each([
    ['nothing', ''],
    ['half a request line', 'GET /socket.io/?EIO=4&tr'],
    ['headers without an end', REQUEST],
    ['an upgrade without an end', `${REQUEST}Connection: Upgrade\r\nUpgrade: websocket\r\n`],
    ['a poll without an end', 'GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n'],
  ])("is closed after %s, on the app's port and on a gateway's own", async (_name, text) => {
    const sockets = await Promise.all([hostile.url, ownUrl].map(opened));
    for (const socket of sockets) if (text !== '') socket.write(text);
    await Promise.all(sockets.map(isClosed));
  });

  it('is closed when it goes on byte by byte', async () => {
    const socket = await opened(hostile.url);
    socket.write(`${REQUEST}X-Slow: `);
    await eventually(() => {
      socket.write('a');
      expect(socket.destroyed).toBe(true);
    });
  });

  it('leaves none of a crowd behind', async () => {
    const crowd = await Promise.all(Array.from({ length: 100 }, () => opened(hostile.url)));
    await Promise.all(crowd.map(isClosed));
    const server = hostile.node.app.getHttpServer() as HttpServer;
    await eventually(async () => expect(await connectionsOf(server)).toBe(1));
  });

  it('is closed though it reads nothing', async () => {
    const { hostname, port } = new URL(hostile.url);
    const socket = net.connect(Number(port), hostname).on('error', () => undefined);
    await isClosed(socket);
  });

  it.each([
    ['a request too slow', `${REQUEST}X: `, 408],
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['too many headers', `${REQUEST}X: ${'y'.repeat(100_000)}\r\n\r\n`, 431],
  ])('is told of %s', async (_name, text, status) => {
    const socket = await opened(hostile.url);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(text);
    await isClosed(socket);
    expect(Buffer.concat(chunks).toString()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('is left to the app where the app listens to clientError', async () => {
    const server = hostile.node.app.getHttpServer() as HttpServer;
    const told = once(server, 'clientError');
    const socket = await opened(hostile.url);
    const [, theirs] = (await told) as [Error, net.Socket];
    expect(theirs.destroyed).toBe(false);
    theirs.destroy();
    await isClosed(socket);
  });
});

describe('when the app sets the limits of its HTTP server', () => {
  const boot = () => HostileApp.boot({ providers: [WitnessGateway] }, WITNESS);

  it('finds them set when it has set none', async () => {
    await using hostile = await boot();
    const server = hostile.node.app.getHttpServer() as HttpServer;
    expect(server.headersTimeout).toBe(10_000);
    expect(server.maxConnections).toEqual(expect.any(Number));
  });

  it('refuses connections beyond them, and leaves a trace', async () => {
    await using hostile = await boot();
    const server = hostile.node.app.getHttpServer() as HttpServer;
    server.maxConnections = await connectionsOf(server);
    const { hostname, port } = new URL(hostile.url);
    const socket = net.connect(Number(port), hostname).on('error', () => undefined);
    await once(socket, 'close');
    expect(hostile.log.drain().join()).toMatch(/Refused "127.0.0.1" with UNAVAILABLE .*maxConnections/);
    await hostile.survives();
  });
});

function connectionsOf(server: HttpServer): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}
