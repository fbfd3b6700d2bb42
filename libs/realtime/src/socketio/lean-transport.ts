import { IncomingMessage } from 'node:http';
import { Socket as NetSocket } from 'node:net';
import type { Server, Socket } from 'socket.io';

// What an open WebSocket transport keeps of the HTTP request that opened it: about 2 KB that nothing reads any more.
// It relies on how Engine.IO 6 is built (pinned in test/contract/engine-io.spec.ts); where that is different, nothing is
// released and nothing breaks.
// Invariant: whatever an app reads of `client.request` or has put on it is still there.

type LeanRequest = IncomingMessage & Record<PropertyKey, unknown>;

/** What Node itself puts on every request: its stream, its parser's results. */
const NODES_OWN = new Set(Reflect.ownKeys(new IncomingMessage(new NetSocket())));
const KEPT = ['method', 'url', 'httpVersion', 'httpVersionMajor', 'httpVersionMinor', 'socket', 'complete'] as const;

/** Engine.IO's listener on the TCP socket that tells middlewares of the end of their response. */
const RELAYS_CLOSE = '() => this.emit("close")';

/** To be called when every `handleConnection` has settled. Polling transports go on using their requests: they are left alone. */
export function releaseRequest({ conn }: Socket): void {
  const request = conn.request as LeanRequest | undefined;
  if (conn.transport.name !== 'websocket' || !(request instanceof IncomingMessage) || 'res' in request) return;
  if (!Object.hasOwn(request, '_readableState')) return;
  (conn as { request: IncomingMessage }).request = leanRequest(request);
}

function leanRequest(request: LeanRequest): IncomingMessage {
  const lean = Object.create(Object.getPrototypeOf(request) as object) as LeanRequest;
  for (const key of KEPT) (lean as Record<PropertyKey, unknown>)[key] = request[key];
  lean.headers = request.headers;
  for (const key of Reflect.ownKeys(request)) if (!NODES_OWN.has(key)) lean[key] = request[key];
  return lean;
}

/**
 * Nobody but a middleware of Engine.IO ever gets the response of an upgrade: without one, nothing needs to know of its end.
 * To be called before others listen to the socket's end, because a list that was long once stays long.
 */
export function dropResponse(server: Server, { socket }: IncomingMessage): void {
  if (hasMiddlewares(server)) return;
  for (const listener of socket.listeners('close')) {
    if (String(listener) === RELAYS_CLOSE) socket.removeListener('close', listener as () => void);
  }
}

/** Socket.IO's own for CORS answers at once and keeps nothing. */
function hasMiddlewares({ engine }: Server): boolean {
  const { middlewares } = engine as unknown as { middlewares?: readonly { readonly name: string }[] };
  return middlewares?.every(({ name }) => name === 'corsMiddleware') !== true;
}
