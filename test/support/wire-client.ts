import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.js';
import { clientFrame, frameLength, textOf } from './wire-frame.js';

const CLOSE = 8;

export interface WireOptions {
  readonly query?: string | undefined;
  /** The offer of `Sec-WebSocket-Extensions`. */
  readonly extensions?: string | undefined;
  /** What stands in the CONNECT of the root namespace. */
  readonly auth: unknown;
}

/** A TCP socket that speaks WebSocket by hand and keeps each frame as it came, byte for byte. Answers close frames, nothing else. */
export class WireClient implements Disposable {
  /** Whole frames, header included, from the answer to the CONNECT on. */
  readonly frames: Buffer[] = [];
  hasEnded = false;
  /** The answer to the offer of extensions. */
  extensions: string | undefined;
  private rest: Buffer = Buffer.alloc(0);
  private hasClosed = false;

  private constructor(readonly tcp: Socket) {
    tcp.on('error', () => undefined);
    tcp.on('close', () => (this.hasEnded = true));
    tcp.on('end', () => (this.hasEnded = true));
  }

  static async connected(url: string, { query = '', extensions, auth }: WireOptions): Promise<WireClient> {
    const { hostname, port } = new URL(url);
    const tcp = connect({ host: hostname, port: Number(port) });
    await once(tcp, 'connect');
    const key = Buffer.alloc(16).toString('base64');
    const offer = extensions === undefined ? '' : `Sec-WebSocket-Extensions: ${extensions}\r\n`;
    tcp.write(
      `GET /socket.io/?EIO=4&transport=websocket${query} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n${offer}\r\n`,
    );
    const client = new WireClient(tcp);
    const [head] = (await once(tcp, 'data')) as [Buffer];
    const end = head.indexOf('\r\n\r\n');
    if (!head.toString().startsWith('HTTP/1.1 101') || end < 0) throw new Error(head.toString());
    client.extensions = /^sec-websocket-extensions: (.*)$/im.exec(head.toString('latin1', 0, end))?.[1];
    tcp.on('data', (chunk: Buffer) => client.read(chunk));
    client.read(head.subarray(end + 4));
    client.send(`40${JSON.stringify(auth)}`);
    await client.got((text) => text.startsWith('40'));
    return client;
  }

  /** The frames' payloads, inflated; those of binary frames as hex. */
  get texts(): string[] {
    return this.frames.map(textOf);
  }

  /** Text frames, all in one write to the network. */
  send(...texts: readonly string[]): void {
    this.tcp.write(Buffer.concat(texts.map((text) => clientFrame(0x81, text))));
  }

  /** A control frame. */
  control(opcode: number, payload = ''): void {
    this.hasClosed ||= opcode === CLOSE;
    this.tcp.write(clientFrame(0x80 | opcode, payload));
  }

  async got(matches: (text: string) => boolean): Promise<void> {
    await eventually(() => {
      if (this.frames.findLast((frame) => matches(textOf(frame))) === undefined)
        throw new Error(`not among ${JSON.stringify(this.frames.slice(-20).map(textOf))}`);
    });
  }

  /** Resolves when the server has ended the connection. */
  async ended(): Promise<void> {
    await eventually(() => {
      if (!this.hasEnded) throw new Error(`still open after ${JSON.stringify(this.texts.slice(-20))}`);
    });
  }

  [Symbol.dispose](): void {
    this.tcp.destroy();
  }

  private read(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      const length = frameLength(this.rest);
      if (length === undefined || this.rest.length < length) return;
      this.frames.push(this.rest.subarray(0, length));
      if (this.rest[0] === (0x80 | CLOSE) && !this.hasClosed) this.control(CLOSE);
      this.rest = this.rest.subarray(length);
    }
  }
}
