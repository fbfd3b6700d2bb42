import type { Server } from 'socket.io';
import type { FrameDeflater } from './deflated-frame.js';
import type { Callback, Data, EngineSocket, WriteOptions } from './engine-internals.js';
import { isObserved, isObserverOf, noteObserver, type Observed } from './engine-observers.js';
import type { FrameParts } from './frame-sequence.js';
import { messageFrame } from './message-frame.js';
import { TurnSocket } from './turn-socket.js';
import { isLarge, type WriteTurn } from './write-turn.js';

// The one file that knows how Engine.IO writes, and when it need not. Pinned in test/contract/engine-io.spec.ts.

/** Where broadcasts may be written without a look at Socket.IO's client and Engine.IO's connection of each recipient. */
export interface Outlets {
  /** Of one of Socket.IO's sockets; undefined: it is to be written the usual way. */
  of(socket: unknown): TurnSocket | undefined;
  /** Undefined: the broadcast is to go the usual way, to everybody. */
  framesOf(packets: readonly Data[], options: WriteOptions): readonly FrameParts[] | undefined;
  /** False: to this one the usual way. */
  share(seat: number, outlet: TurnSocket, frames: readonly FrameParts[]): boolean;
}

/**
 * Lets what Socket.IO writes to a connection go around Engine.IO's packets, buffers and events, to wait for the end of the
 * turn. Wherever one of them is needed - another transport, an upgrade, a callback, a listener, a slow client - it goes the
 * long way, which ends in the same place.
 */
export function coalesceWrites(server: Server, turn: WriteTurn): Outlets {
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
    socket.transport = transport;
    if (options?.wsPreEncodedFrame) socket.share(options.wsPreEncodedFrame);
    else if (options?.preEncoded) socket.share(turn.encode(options, data));
    else socket.append(messageFrame(data));
    return this;
  }

  engine.on('connection', (socket: EngineSocket) => {
    ownListeners = socket.listenerCount('packetCreate');
    socket.on('newListener', noteObserverOfConnection);
    socket.write = write;
  });

  return {
    of: (socket) => {
      const { conn } = socket as { readonly conn?: EngineSocket };
      if (conn?.write !== write || conn.protocol !== 4) return undefined;
      const { transport } = conn;
      const { socket: webSocket } = transport;
      if (!(webSocket instanceof TurnSocket) || webSocket.deflater || !transport.supportsBinary) return undefined;
      if (!isReady(conn, webSocket) || isObserved(conn, ownListeners)) return undefined;
      webSocket.transport = transport;
      return webSocket;
    },
    framesOf: (packets, options) => {
      if (options.compress === false || isObserved(engine, 0)) return undefined;
      const { wsPreEncodedFrame: frame } = options;
      const frames = frame ? [frame] : packets.map((data) => turn.encode(options, data));
      return frames.some(isLarge) ? undefined : frames;
    },
    share: (seat, outlet, frames) => turn.share(seat, outlet, frames),
  };
}

/** One function for all connections. */
function noteObserverOfConnection(this: EngineSocket, event: unknown): void {
  noteObserver.call(this, event);
  const { socket } = this.transport;
  if (isObserverOf(event) && socket instanceof TurnSocket) socket.observe();
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
