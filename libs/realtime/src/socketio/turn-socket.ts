import type { Socket as NetSocket } from 'node:net';
import { WebSocket } from 'ws';
import type { FrameParts } from './frame-sequence.js';
import type { Compression } from './compression.js';
import type { FrameDeflater } from './deflated-frame.js';
import { writeSmall, type DirectWrite, type StreamHandle } from './direct-write.js';
import type { Callback, EngineTransport, WsFrame, WsInternals, WsSender } from './engine-internals.js';
import { MAX_WAITING_BYTES, isLarge, type TurnMember, type WriteTurn } from './write-turn.js';

// The one file that knows how `ws` writes, so that what a connection gets within one turn of the event loop leaves in one system
// call (decision 0025), and is deflated once for all (0027). Pinned in test/contract/engine-io.spec.ts; where something is built
// differently, or `ws` itself compresses, it writes as it always did.
// Invariant: frames reach the client in the order in which they were written, whichever way they took.

const NOTHING = Buffer.alloc(0);
const CLOSE = 0x88;

interface TurnOptions {
  readonly turn: WriteTurn;
  readonly compression?: Compression;
}

/** Of a connection that has none, or no longer. */
const NOWHERE = -1;
const OWNER = Symbol('nestjs-realtime:turn-socket');

interface Owned {
  [OWNER]?: TurnSocket;
}

const Base = WebSocket as unknown as new (address: null, protocols: undefined, options: TurnOptions) => WsInternals;

/** The server's side of a WebSocket. `ws` makes it with the options of its server, where the turn is. */
export class TurnSocket extends Base implements TurnMember {
  /** In the turn. Without one this connection writes as `ws` always does. */
  seat = NOWHERE;
  /** Undefined: nothing is compressed on this connection. */
  deflater: FrameDeflater | undefined;
  /** Engine.IO's side of this connection, once a message has gone around it. */
  transport: EngineTransport | undefined;
  /** Nothing may follow the close frame. */
  private isClosed = false;
  /** More waits in the TCP socket than it should hold: the client reads slowly. */
  private isFull = false;
  private isObserved = false;
  private readonly turn: WriteTurn;
  private readonly compression: Compression | undefined;
  private callbacks: Callback[] | undefined;

  constructor(address: null, protocols: undefined, options: TurnOptions) {
    super(address, protocols, options);
    this.turn = options.turn;
    this.compression = options.compression;
  }

  override setSocket(socket: NetSocket, head: Buffer, options: object): void {
    super.setSocket(socket, head, options);
    const extension = this._extensions['permessage-deflate'];
    // What `ws` compresses is made later than it is written.
    if ((extension && !this.compression) || typeof this._sender?.sendFrame !== 'function') return;
    this.seat = this.turn.seats.take(this);
    if (extension) this.deflater = this.compression?.adopt(extension);
    (this._sender as Owned)[OWNER] = this;
    this._sender.sendFrame = sendFrame;
    (this._socket as Owned)[OWNER] = this;
    this._socket.end = endAfterTurn;
  }

  /** One frame of a broadcast. */
  share(frame: FrameParts): void {
    const parts = this.deflater ? this.deflater.shared(frame) : frame;
    if (isLarge(parts)) return this.writeThrough(parts);
    this.turn.add(this.seat, parts);
  }

  /** A frame for this client alone. */
  append(frame: Buffer): void {
    this.turn.append(this.seat, this.deflater ? this.deflater.alone(frame) : frame);
  }

  /** What `ws` itself writes: pings, pongs, the close frame, and what Engine.IO sends the long way. */
  sendFrame(frame: WsFrame, callback: Callback | undefined): void {
    if (this.isClosed) return void (callback && process.nextTick(callback));
    const inBytes = bytesOf(frame);
    const parts = this.deflater ? this.deflater.shared(inBytes) : inBytes;
    if (frame[0][0] === CLOSE) {
      this.isClosed = true;
      this.obstruct(1);
    }
    if (this.seat === NOWHERE || this.isClosed || isLarge(parts) || !this._socket.writable)
      return this.writeThrough(parts, callback && this.counted(callback));
    if (callback) this.callWhenWritten(callback);
    this.turn.append(this.seat, this.turn.join(parts));
  }

  /** Whether a message may go around Engine.IO. */
  get isReady(): boolean {
    return this.seat !== NOWHERE && !this.isFull && !this.isClosed && this.readyState === WebSocket.OPEN;
  }

  /** Somebody listens to what Engine.IO writes to this connection, or has. */
  observe(): void {
    if (!this.isObserved) this.obstruct(1);
    this.isObserved = true;
  }

  /** Now, instead of at the end of the turn. */
  flush(): void {
    const { turn, seat } = this;
    const bytes = turn.take(seat)?.bytes();
    if (!bytes) return;
    const how = writeSmall(turn.seats.handles[seat], bytes);
    if (how !== 'all') this.written(bytes, how);
  }

  written(bytes: Buffer, how: Exclude<DirectWrite, 'all'>): void {
    const { _socket: socket } = this;
    // Destroyed or ended: nothing can be written to it any more.
    if (!socket.writable) return;
    if (how === 'nothing') return this.writeToStream([bytes]);
    // The stream does not know of the rest. With a write of its own on its way it keeps back, and counts, what comes next.
    this.direct(undefined);
    socket.write(NOTHING);
  }

  /** The last write: what comes after the end of the stream is not for its handle either. */
  finish(): void {
    this.flush();
    this.direct(undefined);
    this.obstruct(1);
  }

  /** Bytes that wait for the end of the turn or for the client, at most about two times what may wait for a turn. */
  get coalescedBytes(): number {
    return (this.turn.waiting(this.seat)?.byteLength ?? 0) + Math.min(this._socket.writableLength, MAX_WAITING_BYTES);
  }

  /** What was written before it leaves before it, as it always did. */
  override terminate(): void {
    this.flush();
    this.obstruct(1);
    super.terminate();
  }

  override emitClose(): void {
    this.settle(new Error('The connection ended before the message was sent'));
    super.emitClose();
    if (this.seat !== NOWHERE) this.turn.seats.leave(this.seat);
    this.seat = NOWHERE;
  }

  private direct(handle: StreamHandle | undefined): void {
    if (this.seat !== NOWHERE) this.turn.direct(this.seat, handle);
  }

  /**
   * Frames of broadcasts go around Engine.IO without a look at it while nothing is in their way: while it would find its
   * transport writable, nothing kept back and nobody who listens. What makes that otherwise comes by here first.
   */
  private obstruct(change: 1 | -1): void {
    if (this.seat !== NOWHERE) this.turn.seats.obstacles[this.seat]! += change;
  }

  /** At once, behind all that waits, in one system call. */
  private writeThrough(parts: FrameParts, callback?: Callback): void {
    const waiting = this.turn.take(this.seat);
    this.writeToStream(waiting ? [waiting.bytes(), ...parts] : parts, callback);
  }

  private writeToStream(parts: FrameParts, callback?: Callback): void {
    const { _socket: socket } = this;
    if (parts.length > 1) socket.cork();
    const last = parts.length - 1;
    parts.forEach((part, index) => (index === last ? socket.write(part, callback) : socket.write(part)));
    if (parts.length > 1) socket.uncork();
    this.direct(socket.writableLength === 0 ? this.turn.handleOf(socket) : undefined);
    this.watchRoom();
  }

  /** Later than the call, as with every write; and not while the client reads slowly. */
  private callWhenWritten(callback: Callback): void {
    this.obstruct(1);
    if (this.callbacks) return void this.callbacks.push(callback);
    this.callbacks = [callback];
    process.nextTick(settleUnlessFull, this);
  }

  settleUnlessFull(): void {
    if (!this.isFull) this.settle();
  }

  private settle(error?: Error): void {
    const { callbacks } = this;
    this.callbacks = undefined;
    for (const callback of callbacks ?? []) this.callBack(callback, error);
  }

  /** Until it has returned Engine.IO waits for it, and may have kept something back. */
  private counted(callback: Callback): Callback {
    this.obstruct(1);
    return (error) => this.callBack(callback, error);
  }

  private callBack(callback: Callback, error?: Error | null): void {
    try {
      callback(error);
    } finally {
      this.obstruct(-1);
    }
  }

  /**
   * Engine.IO keeps back what comes while its transport is not writable, and leaves out what is volatile. A stream asks for
   * a `drain` until the next tick even when the kernel took everything: then nothing waits, and the client is not slow.
   */
  private watchRoom(): void {
    const { transport, _socket: socket } = this;
    if (this.isFull || !socket.writableNeedDrain || socket.writableLength === 0) return;
    this.isFull = true;
    this.obstruct(1);
    const isHeld = transport?.writable === true;
    if (isHeld) transport.writable = false;
    socket.once('drain', () => {
      this.isFull = false;
      this.settle();
      if (isHeld) {
        transport.writable = true;
        transport.emit('ready');
      }
      this.obstruct(-1);
    });
  }
}

/** The same array, by which a broadcast is known, wherever it can be. */
function bytesOf(frame: WsFrame): FrameParts {
  const [header, payload] = frame;
  return typeof payload === 'string' ? [header, Buffer.from(payload)] : (frame as FrameParts);
}

function settleUnlessFull(socket: TurnSocket): void {
  socket.settleUnlessFull();
}

function sendFrame(this: WsSender & Owned, frame: WsFrame, callback?: Callback): void {
  (this[OWNER] as TurnSocket).sendFrame(frame, callback);
}

/** A client that has said its last word may still be answered in the same turn. */
function endAfterTurn(this: NetSocket & Owned, ...args: unknown[]): NetSocket {
  this[OWNER]?.finish();
  const prototype = Object.getPrototypeOf(this) as { end: (...args: unknown[]) => NetSocket };
  return prototype.end.apply(this, args);
}

/** What waits for a client below Engine.IO: for the end of the turn, or for the client. */
export function coalescedBytes({ socket }: { readonly socket?: unknown }): number {
  return socket instanceof TurnSocket ? socket.coalescedBytes : 0;
}
