import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Server } from 'socket.io';
import { Admission, type Refusal } from '../connection/admission.js';

interface PollingTransport {
  readonly request: IncomingMessage;
  once(event: 'close', listener: () => void): unknown;
}

type Decide = (error: string | null | undefined, isAllowed: boolean) => void;

/** What Engine.IO says for a transport that is not enabled. */
const UNKNOWN_TRANSPORT = 0;

export interface UpgradeGuardDeps {
  readonly admission: Admission;
  /** One line for operators, said once: why a whole kind of client cannot connect. */
  readonly advise: (text: string) => void;
}

/** Decides on the HTTP request that opens a transport: origin, capacity, rate. Refusals are HTTP answers, before anything is upgraded. */
export class UpgradeGuard {
  private readonly guarded = new WeakSet<HttpServer>();
  private hasAdvisedPolling = false;

  constructor(private readonly deps: UpgradeGuardDeps) {}

  readonly allowRequest = (request: IncomingMessage, decide: Decide): void => {
    this.deps.admission.check(request).then(
      (refusal) => {
        if (!refusal) decide(null, true);
        else if (refusal.status === 403) decide(refusal.message, false);
        else answer(request, refusal);
      },
      () => decide('Forbidden', false),
    );
  };

  /** Puts our listeners on the server's http server before anybody else's. */
  protect(server: Server): void {
    const { httpServer } = server as unknown as { httpServer: HttpServer };
    server.engine.on('connection', (transport: PollingTransport) => Admission.keep(transport.request, transport));
    server.engine.on('connection_error', ({ code, context }: { code: number; context?: { transport?: string } }) => {
      if (code === UNKNOWN_TRANSPORT && context?.transport === 'polling') this.advisePolling();
    });
    if (this.guarded.has(httpServer)) return;
    this.guarded.add(httpServer);
    // A socket that is reset while a listener still decides emits an error that nobody else listens to.
    httpServer.prependListener('upgrade', (_request: IncomingMessage, socket: Duplex) => socket.on('error', ignore));
  }

  private advisePolling(): void {
    if (this.hasAdvisedPolling) return;
    this.hasAdvisedPolling = true;
    this.deps.advise(
      "A client tried HTTP long-polling, which is off. Either give clients `transports: ['websocket']`, or set `transports: ['polling', 'websocket']` in RealtimeModule (needs sticky sessions behind a load balancer).",
    );
  }
}

function ignore(): void {
  return undefined;
}

/** Engine.IO knows 403 alone; ours says when to come back. It is never told, so it keeps nothing of the request. */
function answer(request: IncomingMessage & { res?: ServerResponse }, refusal: Refusal): void {
  const retryAfter = Math.max(1, Math.ceil((refusal.retryAfterMs ?? 0) / 1_000));
  const body = JSON.stringify({ code: refusal.code, message: refusal.message });
  const isPolling = request.res !== undefined && request.headers.upgrade === undefined;
  if (isPolling) {
    request.res
      ?.writeHead(refusal.status, { 'Content-Type': 'application/json', 'Retry-After': String(retryAfter) })
      .end(body);
    return;
  }
  const head = [
    `HTTP/1.1 ${refusal.status} ${refusal.status === 429 ? 'Too Many Requests' : 'Service Unavailable'}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Retry-After: ${retryAfter}`,
  ];
  request.socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
