import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** A TCP connection that this process has opened, with the bytes that nobody has read yet. */
export interface Line {
  readonly sent: Buffer[];
  readonly received: Buffer[];
}

const CHANNEL = 'net.client.socket';

/**
 * Keeps what goes over every TCP connection that this process opens, whichever client opens it: stock and own, by hand, by
 * `fetch`, through a proxy, and those of nodes in this process to Redis. Bytes of TLS are not among them.
 */
export class Wiretap implements Disposable {
  private lines: Line[] = [];
  private readonly ended = new WeakSet<Line>();
  private readonly onSocket = (message: unknown): void => this.tap((message as { socket: Socket }).socket);

  constructor(private readonly heard: (line: Line) => void) {
    subscribe(CHANNEL, this.onSocket);
  }

  /** Every line with news; those that have ended are given a last time. */
  take(): readonly Line[] {
    const { lines } = this;
    this.lines = lines.filter((line) => !this.ended.has(line));
    return lines;
  }

  [Symbol.dispose](): void {
    unsubscribe(CHANNEL, this.onSocket);
  }

  private tap(socket: Socket): void {
    const line: Line = { sent: [], received: [] };
    this.lines.push(line);
    const stream = socket as unknown as Streams;
    const { push, _write: write, _writev: writev } = stream;
    const note = (to: Buffer[], chunk: unknown, encoding: unknown): void => {
      if (typeof chunk === 'string') to.push(Buffer.from(chunk, isEncoding(encoding) ? encoding : 'utf8'));
      else if (chunk instanceof Uint8Array) to.push(Buffer.from(chunk));
      this.heard(line);
    };
    // Not by 'data': a listener for it would let the stream flow before its owner reads. Sockets undo a 'write' of their own.
    stream.push = (chunk, encoding) => {
      note(line.received, chunk, encoding);
      return push.call(socket, chunk, encoding);
    };
    stream._write = (chunk, encoding, done) => {
      note(line.sent, chunk, encoding);
      write.call(socket, chunk, encoding, done);
    };
    stream._writev = (chunks, done) => {
      for (const { chunk, encoding } of chunks) note(line.sent, chunk, encoding);
      writev.call(socket, chunks, done);
    };
    socket.once('close', () => this.ended.add(line));
  }
}

interface Streams {
  push(chunk: unknown, encoding?: unknown): boolean;
  _write(chunk: unknown, encoding: unknown, done: unknown): void;
  _writev(chunks: readonly { readonly chunk: unknown; readonly encoding: unknown }[], done: unknown): void;
}

function isEncoding(value: unknown): value is BufferEncoding {
  return typeof value === 'string' && Buffer.isEncoding(value);
}
