import { WebSocketServer, type ServerOptions as WsServerOptions } from 'ws';
import type { ServerOptions } from 'socket.io';
import type { Clock } from '../core/clock.js';
import { boundedParser } from './bounded-parser.js';
import { Compression, NEGOTIATED } from './compression.js';
import type { DeflateOptions } from './deflated-frame.js';
import { joinFirstWrites } from './first-writes.js';
import type { Internals } from './internals/internals.js';
import { TurnSocket } from './turn-socket.js';
import type { WriteTurn } from './write-turn.js';

/** What the adapter needs of the module's resolved options. */
export interface SocketServerOptions {
  readonly path: string;
  readonly transports: readonly ('websocket' | 'polling')[];
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly maxPayloadBytes: number;
  /** Undefined: nothing is compressed. */
  readonly compression: DeflateOptions | undefined;
  /** CORS for polling; browsers do not apply it to WebSockets. */
  readonly corsOrigins: readonly string[] | boolean;
  /** The app's other `ServerOptions`. */
  readonly socketio: Readonly<Record<string, unknown>>;
}

/** Fragments of one message: a frame costs memory however short it is. */
const MAX_FRAGMENTS = 64;

/** Engine.IO pins an older `ws` and does not pass `maxFragments`; this one is current and bounded. */
function boundedWebSocketServer(
  compressing: DeflateOptions | undefined,
  { turn, internals }: WriteOptions,
): typeof WebSocketServer {
  const compression = compressing && internals.compression ? new Compression(compressing) : undefined;
  const ours = {
    maxFragments: MAX_FRAGMENTS,
    ...(turn ? { turn, WebSocket: TurnSocket } : {}),
    // Not told to Engine.IO, which would frame and deflate each broadcast again for each recipient.
    ...(compression ? { compression, perMessageDeflate: NEGOTIATED } : {}),
  };
  class BoundedServer extends WebSocketServer {
    constructor(options: WsServerOptions) {
      super({ ...options, ...ours } as WsServerOptions);
    }
  }
  if (internals.firstWrites) joinFirstWrites(BoundedServer.prototype);
  return BoundedServer as typeof WebSocketServer;
}

/** How what is written leaves. */
export interface WriteOptions {
  /** Undefined: writes are not coalesced. */
  readonly turn: WriteTurn | undefined;
  readonly internals: Internals;
}

/** Socket.IO's options; ours win over `socketio`, because the library's promises depend on them. */
export function toServerOptions(
  options: SocketServerOptions,
  clock: Clock,
  writes: WriteOptions,
): Partial<ServerOptions> {
  return {
    serveClient: false,
    ...options.socketio,
    path: options.path,
    transports: [...options.transports],
    pingInterval: options.pingIntervalMs,
    pingTimeout: options.pingTimeoutMs,
    connectTimeout: options.connectTimeoutMs,
    maxHttpBufferSize: options.maxPayloadBytes,
    cors: {
      origin: Array.isArray(options.corsOrigins)
        ? [...(options.corsOrigins as string[])]
        : (options.corsOrigins as boolean),
      credentials: true,
    },
    // Upgrades outside our path belong to others on the same http server.
    destroyUpgrade: false,
    wsEngine: boundedWebSocketServer(options.compression, writes),
    parser: boundedParser({ clock, attachmentsWithinMs: options.connectTimeoutMs }),
  };
}
