import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Server } from 'socket.io';
import { Admission } from '../connection/admission.js';
import type { Clock } from '../core/clock.js';
import { answer, endUpgrade } from './http-refusal.js';

interface Transport {
  readonly request: IncomingMessage;
  close(): void;
  once(event: 'close', listener: () => void): unknown;
}

type Decide = (error: string | null | undefined, isAllowed: boolean) => void;

/** What Engine.IO says for a transport that is not enabled. */
const UNKNOWN_TRANSPORT = 0;

/** Milliseconds that a transport may live which was let in to be told why it is refused. */
const DEFERRED_MS = 2_000;

export interface UpgradeGuardDeps {
  readonly admission: Admission;
  readonly clock: Clock;
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
    server.engine.on('connection', (transport: Transport) => {
      Admission.keep(transport.request, transport);
      if (Admission.deferred(transport.request)) this.endSoon(transport);
    });
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

  /** Its only use is a CONNECT that is refused, which comes at once. Until it ends it has a place in the limits. */
  private endSoon(transport: Transport): void {
    const cancel = this.deps.clock.after(DEFERRED_MS, () => transport.close());
    transport.once('close', cancel);
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
