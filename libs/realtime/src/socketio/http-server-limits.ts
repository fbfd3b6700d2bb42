import type { Server as HttpServer } from 'node:http';
import type { DropArgument } from 'node:net';
import { answerClientErrors } from './client-errors.js';

export interface HttpServerLimitsOptions {
  /** Milliseconds in which a connection must have sent the headers of its request. */
  readonly headersWithinMs: number;
  /** Connections that a server may have open; undefined: no limit. */
  readonly maxConnections: number | undefined;
  /** Told of each connection beyond `maxConnections`, which is closed at once. */
  readonly onDropped: (address: string) => void;
  /** Told of each connection whose request did not come in time. */
  readonly onTooSlow: () => void;
}

/** What Node's servers have when nobody has set anything. */
const NODE = { headersTimeout: 60_000, connectionsCheckingInterval: 30_000 };
/** Milliseconds between Node's looks at slow connections; in short deadlines there are ten. */
const MAX_CHECK_MS = 1_000;

/** Public, but in no types. Node reads it when the server begins to listen. */
type CheckingServer = HttpServer & { connectionsCheckingInterval?: number };

/**
 * Bounds what a connection costs before it has asked for anything: Node itself waits for headers for up to 90 s, and opens
 * connections until no descriptor is left. What the app has set stays. After an upgrade the transport's own deadlines hold.
 */
export class HttpServerLimits {
  private readonly limited = new WeakSet<HttpServer>();

  constructor(private readonly options: HttpServerLimitsOptions) {}

  /** Once for each server, before it listens. */
  install(server: CheckingServer): void {
    if (this.limited.has(server)) return;
    this.limited.add(server);
    const { headersWithinMs, maxConnections, onDropped, onTooSlow } = this.options;
    if (server.headersTimeout === NODE.headersTimeout) server.headersTimeout = headersWithinMs;
    if (server.connectionsCheckingInterval === NODE.connectionsCheckingInterval)
      server.connectionsCheckingInterval = Math.min(MAX_CHECK_MS, Math.ceil(headersWithinMs / 10));
    if (maxConnections !== undefined && (server.maxConnections as number | undefined) === undefined)
      server.maxConnections = maxConnections;
    answerClientErrors(server, onTooSlow);
    server.on('drop', (dropped?: DropArgument) => onDropped(dropped?.remoteAddress ?? 'unknown'));
  }
}
