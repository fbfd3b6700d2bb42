import { STATUS_CODES, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
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
  /** Paths of our servers, one for each listener that Engine.IO adds. */
  private readonly guarded = new WeakMap<HttpServer, string[]>();
  private hasAdvisedPolling = false;

  constructor(private readonly deps: UpgradeGuardDeps) {}

  readonly allowRequest = (request: IncomingMessage, decide: Decide): void => {
    this.deps.admission.check(request).then(
      (refusal) => {
        if (refusal) answer(request, refusal);
        else decide(null, true);
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
    const paths = this.guarded.get(httpServer);
    if (paths) return void paths.push(pathOf(server));
    this.guarded.set(httpServer, [pathOf(server)]);
    httpServer.prependListener('upgrade', (request: IncomingMessage, socket: Duplex) => {
      // A socket that is reset while a listener still decides emits an error that nobody else listens to.
      socket.on('error', ignore);
      if (this.isNobodys(httpServer, request.url ?? '')) endUpgrade(socket, 404);
    });
  }

  /** Left open, it would outlive every timeout of the http server and hold up its end. Where others listen, it may be theirs. */
  private isNobodys(httpServer: HttpServer, url: string): boolean {
    const paths = this.guarded.get(httpServer) ?? [];
    return httpServer.listenerCount('upgrade') === paths.length + 1 && !paths.some((path) => url.startsWith(path));
  }

  private advisePolling(): void {
    if (this.hasAdvisedPolling) return;
    this.hasAdvisedPolling = true;
    this.deps.advise(
      "A client tried HTTP long-polling, which is off. Either give clients `transports: ['websocket']`, or set `transports: ['polling', 'websocket']` in RealtimeModule (needs sticky sessions behind a load balancer).",
    );
  }
}

/** As Engine.IO compares it with the URL. */
function pathOf(server: Server): string {
  const { addTrailingSlash } = (server as unknown as { opts?: { addTrailingSlash?: boolean } }).opts ?? {};
  return addTrailingSlash === false ? server.path() : `${server.path()}/`;
}

function ignore(): void {
  return undefined;
}

/**
 * Engine.IO answers every refused upgrade with 400, and never says when to come back. It is not told, so it keeps nothing
 * of the request.
 */
function answer(request: IncomingMessage & { res?: ServerResponse }, refusal: Refusal): void {
  const { status, code, message, retryAfterMs } = refusal;
  const body = JSON.stringify({ code, message });
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (status !== 403) headers['Retry-After'] = String(Math.max(1, Math.ceil((retryAfterMs ?? 0) / 1_000)));
  if (request.res !== undefined && request.headers.upgrade === undefined)
    request.res.writeHead(status, headers).end(body);
  else endUpgrade(request.socket, status, { headers, body });
}

function endUpgrade(socket: Duplex, status: number, { headers = {}, body = '' }: UpgradeAnswer = {}): void {
  const all = { Connection: 'close', ...headers, 'Content-Length': String(Buffer.byteLength(body)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n'));
}

interface UpgradeAnswer {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}
