import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { RawSocket, type RawSocketHandler, type RawSocketOptions } from '../../bench/load/raw-socket.js';

/** Hands every text over, and the end. */
class Collected {
  readonly texts: string[] = [];
  readonly opened: Promise<void>;
  readonly closed: Promise<void>;
  private onText: (() => void) | undefined;
  private resolveOpened!: () => void;
  private resolveClosed!: () => void;

  /** Of each text, on the wire. */
  readonly sizes: number[] = [];

  constructor(port: number, options: RawSocketOptions = {}) {
    this.opened = new Promise((resolve) => (this.resolveOpened = resolve));
    this.closed = new Promise((resolve) => (this.resolveClosed = resolve));
    const handler: RawSocketHandler = {
      opened: () => this.resolveOpened(),
      text: (chunk, start, end) => {
        this.texts.push(chunk.toString('utf8', start, end));
        this.sizes.push(this.socket.frameBytes);
        this.onText?.();
      },
      closed: () => this.resolveClosed(),
    };
    this.socket = new RawSocket(port, '/', handler, options);
  }

  readonly socket: RawSocket;

  async count(texts: number): Promise<string[]> {
    while (this.texts.length < texts) await new Promise<void>((resolve) => (this.onText = resolve));
    return this.texts;
  }
}

describe('when the load generator talks to a real WebSocket server', () => {
  it('sends texts of all sizes, hears them, answers pings and ends', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    const connected = once(server, 'connection');
    const client = new Collected((server.address() as AddressInfo).port);
    const [peer] = (await connected) as [import('ws').WebSocket];
    peer.on('message', (data: Buffer) => peer.send(data.toString()));
    await client.opened;

    const sent = ['', 'a', 'b'.repeat(125), 'c'.repeat(126), 'd'.repeat(65_535)];
    for (const text of sent) client.socket.send(text);
    expect(await client.count(sent.length)).toEqual(sent);

    const pong = once(peer, 'pong');
    peer.ping('still there?');
    expect(String((await pong)[0])).toBe('still there?');

    const closed = once(peer, 'close');
    client.socket.end();
    expect((await closed)[0]).toBe(1000);
    await client.closed;
    server.close();
  });
});

describe('when the load generator offers to inflate', () => {
  it.each([
    ['with a context', false],
    ['without', true],
  ])('reads what is deflated %s, and counts what came over the wire', async (_name, serverNoContextTakeover) => {
    const perMessageDeflate = { threshold: 1_024, serverNoContextTakeover };
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate });
    await once(server, 'listening');
    const connected = once(server, 'connection');
    const client = new Collected((server.address() as AddressInfo).port, { offersDeflate: true });
    const [peer] = (await connected) as [import('ws').WebSocket];
    const long = Array.from({ length: 8_000 }, (_, index) => (index * index).toString(36)).join();
    const sent = [long, 'short', long, long.slice(100), long];
    for (const text of sent) peer.send(text);
    expect(await client.count(sent.length)).toEqual(sent);
    expect(client.sizes[0]).toBeLessThan(long.length);
    expect(client.sizes[0]).toBeGreaterThan(1_000);
    // `ws` leaves short ones alone where there is no context; the same text again is as long there.
    expect(client.sizes[1] === 2 + 'short'.length).toBe(serverNoContextTakeover);
    expect(client.sizes[4] === client.sizes[0]).toBe(serverNoContextTakeover);
    client.socket.reset();
    await client.closed;
    server.close();
  });
});

describe('when frames arrive in pieces', () => {
  it.each([1, 2, 3, 7, 64])('reads them whole from writes of %i bytes', async (size) => {
    const texts = ['x', 'y'.repeat(200), 'z'.repeat(70_000), 'end'];
    const server = createServer((socket) => void pieces(socket, texts, size)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = new Collected((server.address() as AddressInfo).port);
    expect((await client.count(texts.length)).map((text) => text.length)).toEqual(texts.map((text) => text.length));
    client.socket.reset();
    await client.closed;
    server.close();
  });
});

/** The response and all frames as one stream, cut regardless of where frames begin. */
async function pieces(socket: Socket, texts: readonly string[], size: number): Promise<void> {
  socket.on('error', () => undefined);
  socket.setNoDelay(true);
  await once(socket, 'data');
  const stream = Buffer.concat([Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n'), ...texts.map(frame)]);
  const step = Math.max(size, stream.length > 1_000 ? size * 97 : size);
  for (let at = 0; at < stream.length; at += step) {
    socket.write(stream.subarray(at, at + step));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const header =
    payload.length < 126 ? Buffer.from([0x81, payload.length]) : Buffer.alloc(payload.length < 65_536 ? 4 : 10);
  if (payload.length >= 126) {
    header[0] = 0x81;
    header[1] = payload.length < 65_536 ? 126 : 127;
    if (payload.length < 65_536) header.writeUInt16BE(payload.length, 2);
    else header.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([header, payload]);
}
