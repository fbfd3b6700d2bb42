import type { EventEmitter } from 'node:events';
import type { Socket as NetSocket } from 'node:net';
import { WebSocket } from 'ws';
import type { Server } from 'socket.io';
import type { FrameParts, FrameSequence } from './frame-sequence.js';
import { messageFrame } from './message-frame.js';
import type { TurnMember, WriteTurn } from './write-turn.js';

// The one file that knows how `ws` and Engine.IO write, so that what a connection gets within one turn of the event loop
// leaves in one system call (decision 0025). Pinned in test/contract/engine-io.spec.ts; where something is built
// differently, or compresses, or is observed, it writes as it always did.
// Invariant: frames reach the client in the order in which they were written, whichever way they took.

/** Bytes that do not wait for the end of the turn: a system call for them costs little beside copying them. */
const MAX_WAITING_BYTES = 65_536;
const CLOSE = 0x88;
const EMPTY = Buffer.alloc(0);

type Data = string | ArrayBufferView | ArrayBuffer;
type Callback = (error?: Error | null) => void;
/** Header and payload; short text is still a string. */
type WsFrame = readonly [header: Buffer, payload?: Buffer | string];

interface Sender {
  sendFrame(frame: WsFrame, callback?: Callback): void;
  [OWNER]?: TurnSocket;
}

/** What is used of `ws` beyond its types. */
interface WsInternals extends EventEmitter {
  readonly readyState: number;
  readonly extensions: string;
  readonly _sender: Sender;
  readonly _socket: NetSocket & { [OWNER]?: TurnSocket };
  setSocket(socket: NetSocket, head: Buffer, options: object): void;
  emitClose(): void;
  terminate(): void;
}

/** What is used of Engine.IO. */
interface EngineTransport extends EventEmitter {
  writable: boolean;
  readonly supportsBinary: boolean;
  readonly socket?: unknown;
}

/** Engine.IO's server, or one of its connections: both tell of packets, if they go through them. */
interface Observed extends EventEmitter {
  [HAD_OBSERVERS]?: boolean;
}

interface EngineSocket extends Observed {
  readonly readyState: string;
  readonly protocol: number;
  readonly transport: EngineTransport;
  readonly writeBuffer: readonly unknown[];
  send(data: Data, options?: WriteOptions, callback?: Callback): this;
  write: EngineSocket['send'];
}

interface WriteOptions {
  readonly wsPreEncodedFrame?: FrameParts;
  readonly preEncoded?: boolean;
}

interface TurnOptions {
  readonly turn: WriteTurn;
}

const OWNER = Symbol('nestjs-realtime:turn-socket');
const HAD_OBSERVERS = Symbol('nestjs-realtime:had-observers');

const Base = WebSocket as unknown as new (address: null, protocols: undefined, options: TurnOptions) => WsInternals;

/** The server's side of a WebSocket. `ws` makes it with the options of its server, where the turn is. */
export class TurnSocket extends Base implements TurnMember {
  /** False: this connection writes as `ws` always does. */
  private isCoalescing = false;
  /** Nothing may follow the close frame. */
  private isClosed = false;
  private readonly turn: WriteTurn;
  private waiting: FrameSequence | undefined;
  private callbacks: Callback[] | undefined;
  private transport: EngineTransport | undefined;
  /** More waits in the TCP socket than it should hold: the client reads slowly. */
  private isFull = false;

  constructor(address: null, protocols: undefined, options: TurnOptions) {
    super(address, protocols, options);
    this.turn = options.turn;
  }

  override setSocket(socket: NetSocket, head: Buffer, options: object): void {
    super.setSocket(socket, head, options);
    // Compressed frames are made later than they are written.
    if (this.extensions !== '' || typeof this._sender?.sendFrame !== 'function') return;
    this.isCoalescing = true;
    this._sender[OWNER] = this;
    this._sender.sendFrame = sendFrame;
    this._socket[OWNER] = this;
    this._socket.end = endAfterTurn;
  }

  /** One frame of a broadcast. */
  share(parts: FrameParts, transport: EngineTransport): void {
    if ((parts[1]?.length ?? 0) >= MAX_WAITING_BYTES) return this.writeThrough(parts);
    this.transport = transport;
    this.wait((this.waiting ?? this.turn.begin(this)).next(parts, this.turn.join));
  }

  /** A frame for this client alone. */
  append(frame: Buffer, transport?: EngineTransport): void {
    if (transport) this.transport = transport;
    this.wait((this.waiting ?? this.turn.begin(this)).append(frame));
  }

  /** What `ws` itself writes: pings, pongs, the close frame, and what Engine.IO sends the long way. */
  sendFrame(frame: WsFrame, callback: Callback | undefined): void {
    if (this.isClosed) return void (callback && process.nextTick(callback));
    const [header, payload = EMPTY] = frame;
    this.isClosed = header[0] === CLOSE;
    if (this.isClosed || payload.length >= MAX_WAITING_BYTES || !this._socket.writable)
      return this.writeThrough(frame as FrameParts, callback);
    if (callback) this.callWhenWritten(callback);
    if (typeof payload === 'string') this.append(Buffer.concat([header, Buffer.from(payload)]));
    else this.append(this.turn.join(frame as FrameParts));
  }

  /** Whether a message may go around Engine.IO. */
  get isReady(): boolean {
    return this.isCoalescing && !this.isFull && !this.isClosed && this.readyState === WebSocket.OPEN;
  }

  flush(): void {
    const { waiting, _socket: socket } = this;
    if (!waiting) return;
    this.waiting = undefined;
    // Destroyed or ended: nothing can be written to it any more.
    if (!socket.writable) return;
    socket.write(waiting.bytes());
    if (socket.writableLength > 0) this.watchRoom();
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

  private wait(sequence: FrameSequence): void {
    this.waiting = sequence;
    if (sequence.byteLength >= MAX_WAITING_BYTES) this.flush();
  }

  /** At once, behind all that waits, in one system call. */
  private writeThrough(parts: FrameParts, callback?: Callback): void {
    const { waiting, _socket: socket } = this;
    this.waiting = undefined;
    socket.cork();
    if (waiting) socket.write(waiting.bytes());
    const last = parts.length - 1;
    parts.forEach((part, index) => (index === last ? socket.write(part, callback) : socket.write(part)));
    socket.uncork();
    if (socket.writableLength > 0) this.watchRoom();
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

function settleUnlessFull(socket: TurnSocket): void {
  socket.settleUnlessFull();
}

function sendFrame(this: Sender, frame: WsFrame, callback?: Callback): void {
  (this[OWNER] as TurnSocket).sendFrame(frame, callback);
}

/** A client that has said its last word may still be answered in the same turn. */
function endAfterTurn(this: NetSocket & { [OWNER]?: TurnSocket }, ...args: unknown[]): NetSocket {
  this[OWNER]?.flush();
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
    const isDirect = callback === undefined && socket instanceof TurnSocket && isReady(this, socket, data);
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

function isReady(socket: EngineSocket, webSocket: TurnSocket, data: Data): boolean {
  const { transport } = socket;
  return (
    webSocket.isReady &&
    transport.writable &&
    socket.readyState === 'open' &&
    socket.writeBuffer.length === 0 &&
    socket.protocol === 4 &&
    (typeof data === 'string' || (transport.supportsBinary && isBinary(data)))
  );
}

function isBinary(data: unknown): boolean {
  return ArrayBuffer.isView(data) || data instanceof ArrayBuffer;
}

function isAboutWrites(event: unknown): boolean {
  return event === 'packetCreate' || event === 'flush' || event === 'drain';
}

/** One function for all connections. */
function noteObserver(this: Observed, event: unknown): void {
  if (isAboutWrites(event)) this[HAD_OBSERVERS] = true;
}

/** Costs a look at one field until somebody listens, and again when nobody does any more. */
function isObserved(emitter: Observed, ownListeners: number): boolean {
  if (emitter[HAD_OBSERVERS] !== true) return false;
  const [packets, others] = [emitter.listenerCount('packetCreate'), ['flush', 'drain']];
  const isStill = packets > ownListeners || others.some((event) => emitter.listenerCount(event) > 0);
  emitter[HAD_OBSERVERS] = isStill;
  return isStill;
}
