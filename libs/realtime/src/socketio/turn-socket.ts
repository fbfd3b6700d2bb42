import type { Socket as NetSocket } from 'node:net';
import { WebSocket } from 'ws';
import type { Server } from 'socket.io';
import type { FrameParts, FrameSequence } from './frame-sequence.js';
import type { Compression } from './compression.js';
import type { FrameDeflater } from './deflated-frame.js';
import { directHandle, writeDirectly, type StreamHandle } from './direct-write.js';
import type {
  Callback,
  Data,
  EngineSocket,
  EngineTransport,
  WriteOptions,
  WsFrame,
  WsInternals,
  WsSender,
} from './engine-internals.js';
import { isObserved, noteObserver, type Observed } from './engine-observers.js';
import { messageFrame } from './message-frame.js';
import type { TurnMember, WriteTurn } from './write-turn.js';

// The one file that knows how `ws` and Engine.IO write, so that what a connection gets within one turn of the event loop
// leaves in one system call (decision 0025), and is deflated once for all (0027). Pinned in test/contract/engine-io.spec.ts;
// where something is built differently, or `ws` itself compresses, or is observed, it writes as it always did.
// Invariant: frames reach the client in the order in which they were written, whichever way they took.

/** Bytes that do not wait for the end of the turn: a system call for them costs little beside copying them. */
const MAX_WAITING_BYTES = 65_536;
/** From here on the stream counts what the kernel does not take: at most the high-water mark of a TCP socket. */
const MAX_DIRECT_BYTES = 16_384;
const NOTHING = Buffer.alloc(0);
const CLOSE = 0x88;

interface TurnOptions {
  readonly turn: WriteTurn;
  readonly compression?: Compression;
}

const OWNER = Symbol('nestjs-realtime:turn-socket');

interface Owned {
  [OWNER]?: TurnSocket;
}

const Base = WebSocket as unknown as new (address: null, protocols: undefined, options: TurnOptions) => WsInternals;

/** The server's side of a WebSocket. `ws` makes it with the options of its server, where the turn is. */
export class TurnSocket extends Base implements TurnMember {
  /** False: this connection writes as `ws` always does. */
  private isCoalescing = false;
  /** Nothing may follow the close frame. */
  private isClosed = false;
  /** Undefined: nothing is compressed on this connection. */
  deflater: FrameDeflater | undefined;
  private readonly turn: WriteTurn;
  private readonly compression: Compression | undefined;
  private waiting: FrameSequence | undefined;
  private callbacks: Callback[] | undefined;
  private transport: EngineTransport | undefined;
  /** Set while the TCP socket takes what it is given: nothing waits in it, and it has not been ended. */
  private handle: StreamHandle | undefined;
  /** More waits in the TCP socket than it should hold: the client reads slowly. */
  private isFull = false;

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
    this.isCoalescing = true;
    if (extension) this.deflater = this.compression?.adopt(extension);
    (this._sender as Owned)[OWNER] = this;
    this._sender.sendFrame = sendFrame;
    (this._socket as Owned)[OWNER] = this;
    this._socket.end = endAfterTurn;
  }

  /** One frame of a broadcast. */
  share(frame: FrameParts, transport: EngineTransport): void {
    const parts = this.deflater ? this.deflater.shared(frame) : frame;
    if ((parts[1]?.length ?? 0) >= MAX_WAITING_BYTES) return this.writeThrough(parts);
    this.transport = transport;
    this.wait((this.waiting ?? this.turn.begin(this)).next(parts, this.turn.join));
  }

  /** A frame for this client alone. */
  append(frame: Buffer, transport: EngineTransport): void {
    this.transport = transport;
    this.add(this.deflater ? this.deflater.alone(frame) : frame);
  }

  /** What `ws` itself writes: pings, pongs, the close frame, and what Engine.IO sends the long way. */
  sendFrame(frame: WsFrame, callback: Callback | undefined): void {
    if (this.isClosed) return void (callback && process.nextTick(callback));
    const inBytes = bytesOf(frame);
    const parts = this.deflater ? this.deflater.shared(inBytes) : inBytes;
    this.isClosed = frame[0][0] === CLOSE;
    if (this.isClosed || (parts[1]?.length ?? 0) >= MAX_WAITING_BYTES || !this._socket.writable)
      return this.writeThrough(parts, callback);
    if (callback) this.callWhenWritten(callback);
    this.add(this.turn.join(parts));
  }

  /** Whether a message may go around Engine.IO. */
  get isReady(): boolean {
    return this.isCoalescing && !this.isFull && !this.isClosed && this.readyState === WebSocket.OPEN;
  }

  flush(): void {
    const { waiting, handle, _socket: socket } = this;
    if (!waiting) return;
    this.waiting = undefined;
    const bytes = waiting.bytes();
    const written = handle && bytes.length < MAX_DIRECT_BYTES ? writeDirectly(handle, bytes) : 'nothing';
    // Destroyed or ended: nothing can be written to it any more.
    if (written === 'all' || !socket.writable) return;
    if (written === 'nothing') return this.writeToStream([bytes]);
    // The stream does not know of the rest. With a write of its own on its way it keeps back, and counts, what comes next.
    this.handle = undefined;
    socket.write(NOTHING);
  }

  /** The last write: what comes after the end of the stream is not for its handle either. */
  finish(): void {
    this.flush();
    this.handle = undefined;
  }

  /** Bytes that wait for the end of the turn or for the client, at most about two times what may wait for a turn. */
  get coalescedBytes(): number {
    return (this.waiting?.byteLength ?? 0) + Math.min(this._socket.writableLength, MAX_WAITING_BYTES);
  }

  /** What was written before it leaves before it, as it always did. */
  override terminate(): void {
    this.flush();
    super.terminate();
  }

  override emitClose(): void {
    this.settle(new Error('The connection ended before the message was sent'));
    super.emitClose();
  }

  private add(frame: Buffer): void {
    this.wait((this.waiting ?? this.turn.begin(this)).append(frame));
  }

  private wait(sequence: FrameSequence): void {
    this.waiting = sequence;
    if (sequence.byteLength >= MAX_WAITING_BYTES) this.flush();
  }

  /** At once, behind all that waits, in one system call. */
  private writeThrough(parts: FrameParts, callback?: Callback): void {
    const { waiting } = this;
    this.waiting = undefined;
    this.writeToStream(waiting ? [waiting.bytes(), ...parts] : parts, callback);
  }

  private writeToStream(parts: FrameParts, callback?: Callback): void {
    const { _socket: socket } = this;
    if (parts.length > 1) socket.cork();
    const last = parts.length - 1;
    parts.forEach((part, index) => (index === last ? socket.write(part, callback) : socket.write(part)));
    if (parts.length > 1) socket.uncork();
    this.handle = socket.writableLength === 0 ? directHandle(socket) : undefined;
    this.watchRoom();
  }

  /** Later than the call, as with every write; and not while the client reads slowly. */
  private callWhenWritten(callback: Callback): void {
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
    for (const callback of callbacks ?? []) callback(error);
  }

  /** Engine.IO keeps back what comes while its transport is not writable, and leaves out what is volatile. */
  private watchRoom(): void {
    const { transport, _socket: socket } = this;
    if (this.isFull || !socket.writableNeedDrain) return;
    this.isFull = true;
    const isHeld = transport?.writable === true;
    if (isHeld) transport.writable = false;
    socket.once('drain', () => {
      this.isFull = false;
      this.settle();
      if (!isHeld) return;
      transport.writable = true;
      transport.emit('ready');
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

/**
 * Lets what Socket.IO writes to a connection go around Engine.IO's packets, buffers and events, to wait for the end of the
 * turn. Wherever one of them is needed - another transport, an upgrade, a callback, a listener, a slow client - it goes the
 * long way, which ends in the same place.
 */
export function coalesceWrites(server: Server, turn: WriteTurn): void {
  const engine = server.engine as Observed;
  engine.on('newListener', noteObserver);
  /** `SendBufferWatch` is there before us, and has nothing to say about what goes around Engine.IO. */
  let ownListeners = 0;

  function write(this: EngineSocket, data: Data, options?: WriteOptions, callback?: Callback): EngineSocket {
    const { transport } = this;
    const { socket } = transport;
    const isOurs = socket instanceof TurnSocket && isFramed(this, data);
    if (isOurs && options?.compress === false && socket.deflater)
      options = asItIs(data, options, turn, socket.deflater);
    const isDirect = isOurs && callback === undefined && isReady(this, socket);
    if (!isDirect || isObserved(this, ownListeners) || isObserved(engine, 0)) return this.send(data, options, callback);
    if (options?.wsPreEncodedFrame) socket.share(options.wsPreEncodedFrame, transport);
    else if (options?.preEncoded) socket.share(turn.encode(options, data), transport);
    else socket.append(messageFrame(data), transport);
    return this;
  }

  engine.on('connection', (socket: EngineSocket) => {
    ownListeners = socket.listenerCount('packetCreate');
    socket.on('newListener', noteObserver);
    socket.write = write;
  });
}

/** What waits for a client below Engine.IO: for the end of the turn, or for the client. */
export function coalescedBytes({ socket }: { readonly socket?: unknown }): number {
  return socket instanceof TurnSocket ? socket.coalescedBytes : 0;
}

function isReady(socket: EngineSocket, webSocket: TurnSocket): boolean {
  return (
    webSocket.isReady && socket.transport.writable && socket.readyState === 'open' && socket.writeBuffer.length === 0
  );
}

/** Whether its WebSocket frame is what we would make. */
function isFramed({ protocol, transport }: EngineSocket, data: Data): boolean {
  return protocol === 4 && (typeof data === 'string' || (transport.supportsBinary && isBinary(data)));
}

function isBinary(data: unknown): boolean {
  return ArrayBuffer.isView(data) || data instanceof ArrayBuffer;
}

/** `compress(false)`, which Engine.IO forgets on the way: a frame that is known to stay as it is. */
function asItIs(data: Data, options: WriteOptions, turn: WriteTurn, deflater: FrameDeflater): WriteOptions {
  const { wsPreEncodedFrame, preEncoded } = options;
  const parts = wsPreEncodedFrame ?? (preEncoded ? turn.encode(options, data) : [messageFrame(data)]);
  deflater.leave(parts);
  return wsPreEncodedFrame ? options : { ...options, wsPreEncodedFrame: parts };
}
