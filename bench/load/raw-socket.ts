import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { Inflater } from './inflater.js';

export interface RawSocketHandler {
  opened(): void;
  /** One text message, as a view into shared memory that is overwritten when this returns. */
  text(chunk: Buffer, start: number, end: number): void;
  closed(): void;
}

export interface RawSocketOptions {
  /** Offers permessage-deflate, as browsers do. */
  readonly offersDeflate?: boolean;
}

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FIN = 0x80;
const DEFLATED = 0x40;
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MAX_HEADER = 8;
const UPGRADED = 'HTTP/1.1 101';
const HEAD_END = '\r\n\r\n';

/** All sockets read into the same memory: reading costs no allocation, however much arrives. */
const inbound = Buffer.allocUnsafeSlow(262_144);

/**
 * As much of a WebSocket client as the benchmarks need: unfragmented text, pings, deflated or not. It masks with zeros, which
 * is allowed and free, and never deflates. A full client would cost more CPU than the server that is measured.
 */
export class RawSocket {
  /** Of the last message, its header included, as it came over the wire. */
  frameBytes = 0;
  private readonly tcp: Socket;
  private inflater: Inflater | undefined;
  /** The beginning of what has not arrived whole. */
  private pending: Buffer | undefined;
  private isUpgraded = false;

  constructor(
    port: number,
    path: string,
    private readonly handler: RawSocketHandler,
    { offersDeflate = false }: RawSocketOptions = {},
  ) {
    this.tcp = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: inbound,
        callback: (length) => {
          this.read(inbound, length);
          return true;
        },
      },
    });
    const offer = offersDeflate ? 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n' : '';
    const key = randomBytes(16).toString('base64');
    this.tcp.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n${offer}\r\n`,
    );
    this.tcp.on('error', () => undefined);
    this.tcp.once('close', () => handler.closed());
  }

  send(text: string): void {
    this.tcp.write(frame(TEXT, Buffer.from(text)));
  }

  /** A RST, as after a crash or a lost network. */
  reset(): void {
    this.tcp.resetAndDestroy();
  }

  end(): void {
    this.tcp.end(frame(CLOSE, Buffer.from([3, 0xe8])));
  }

  private read(shared: Buffer, length: number): void {
    const chunk = this.pending ? Buffer.concat([this.pending, shared.subarray(0, length)]) : shared;
    const end = this.pending ? chunk.length : length;
    this.pending = undefined;
    const start = this.isUpgraded ? 0 : this.upgrade(chunk, end);
    const rest = start < 0 ? 0 : this.readFrames(chunk, start, end);
    if (rest < end) this.pending = Buffer.from(chunk.subarray(rest, end));
  }

  /** Where the first frame begins; -1 if the response is not whole yet. */
  private upgrade(chunk: Buffer, length: number): number {
    const head = chunk.toString('latin1', 0, length);
    const end = head.indexOf(HEAD_END);
    if (end < 0) return -1;
    if (!head.startsWith(UPGRADED)) throw new Error(`Not upgraded: ${head.slice(0, end)}`);
    this.isUpgraded = true;
    const agreed = /^sec-websocket-extensions: permessage-deflate(.*)$/im.exec(head.slice(0, end))?.[1];
    if (agreed !== undefined) this.inflater = new Inflater(!agreed.includes('server_no_context_takeover'));
    this.handler.opened();
    return end + HEAD_END.length;
  }

  /** Returns where the first frame begins that is not whole. */
  private readFrames(chunk: Buffer, start: number, length: number): number {
    let at = start;
    while (length - at >= 2) {
      let size = (chunk[at + 1] ?? 0) & 0x7f;
      let header = 2;
      if (size === LENGTH_16) {
        if (length - at < 4) break;
        size = chunk.readUInt16BE(at + 2);
        header = 4;
      } else if (size === LENGTH_64) {
        if (length - at < 10) break;
        size = chunk.readUInt32BE(at + 6);
        header = 10;
      }
      const end = at + header + size;
      if (end > length) break;
      this.frameBytes = end - at;
      this.dispatch(chunk[at] ?? 0, chunk, { start: at + header, end });
      at = end;
    }
    return at;
  }

  private dispatch(first: number, chunk: Buffer, { start, end }: { start: number; end: number }): void {
    const opcode = first & 0x0f;
    if ((first & DEFLATED) !== 0) this.inflate(chunk.subarray(start, end));
    else if (opcode === TEXT) this.handler.text(chunk, start, end);
    else if (opcode === PING) this.tcp.write(frame(PONG, chunk.subarray(start, end)));
    else if (opcode === CLOSE) this.tcp.destroy();
  }

  private inflate(payload: Buffer): void {
    if (!this.inflater) throw new Error('Deflated, and nobody has agreed on it');
    const text = this.inflater.inflate(payload);
    this.handler.text(text, 0, text.length);
  }
}

function frame(opcode: number, payload: Buffer): Buffer {
  const isShort = payload.length < LENGTH_16;
  const header = isShort ? MAX_HEADER - 2 : MAX_HEADER;
  const bytes = Buffer.alloc(header + payload.length);
  bytes[0] = FIN | opcode;
  bytes[1] = MASKED | (isShort ? payload.length : LENGTH_16);
  if (!isShort) bytes.writeUInt16BE(payload.length, 2);
  payload.copy(bytes, header);
  return bytes;
}
