import type { Server, Socket } from 'socket.io';
import type { ConnectionFlow } from '../connection/connection-flow.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { AllNamespaces, type Next } from './all-namespaces.js';
import { ChildNamespaces, type ChildNamespacesDeps } from './child-namespaces.js';
import { FirstConnects } from './first-connects.js';
import type { Gateways } from './gateways.js';
import type { Internals } from './internals/internals.js';
import { lighten } from './lighten.js';
import type { MessageDispatcher } from './message-dispatcher.js';
import type { ServerAddress } from './namespace-gateways.js';
import { forgetPending } from './pending-sockets.js';
import { refuseConnect } from './refuse-connect.js';
import { Session, type ReportError } from './session.js';
import { sessionOf } from './session-of.js';
import { TransportState } from './transport-state.js';
import { Transports, type TransportsDeps } from './transports.js';

export interface HandshakeDeps {
  readonly flow: ConnectionFlow;
  readonly gateways: Gateways;
  readonly dispatcher: MessageDispatcher;
  readonly metrics: RealtimeMetrics;
  readonly report: ReportError;
  readonly internals: Internals;
  readonly transports: Omit<TransportsDeps, 'gateways' | 'onEnd'>;
  readonly children: Omit<ChildNamespacesDeps, 'report'>;
}

/** Socket.IO's reason for a DISCONNECT of the client. */
const CLIENT_LEFT = 'client namespace disconnect';
/** `socket.disconnect()` of the library or the app: for revoked credentials, for example. */
const EXPELLED = 'server namespace disconnect';

/**
 * Admits sockets, each once, on every namespace of a server.
 * Invariant: `next()` is called only for a connection that is authenticated, within its limits and registered; and for
 * every connection that was registered, `close` is called exactly once, also if it does not get connected: a middleware of
 * the app refuses it after this one, or never calls `next`.
 */
export class Handshake {
  private readonly transports: Transports;
  private readonly namespaces: AllNamespaces;
  /** One listener for all sockets. */
  private readonly onDisconnect: (this: Socket, reason: string) => void;

  constructor(private readonly deps: HandshakeDeps) {
    const end = (session: Session, reason: string): void => this.end(session, reason);
    this.onDisconnect = function (this: Socket, reason: string) {
      const session = sessionOf<Session>(this);
      if (!session) return;
      const transport = TransportState.of(this.conn);
      transport?.end(session);
      if (reason === CLIENT_LEFT) transport?.countDisconnect();
      end(session, reason);
    };
    const { gateways, report } = deps;
    const onEnd = (session: Session, reason: string): void =>
      session.isServed ? end(session, reason) : forgetPending(session.socket);
    this.transports = new Transports({ ...deps.transports, gateways, onEnd });
    const children = new ChildNamespaces({ ...deps.children, report: (error) => report(error, undefined) });
    const firstConnects = new FirstConnects({ ...deps, children, transports: this.transports });
    this.namespaces = new AllNamespaces({ gateways, children, firstConnects });
  }

  install(server: Server, address: ServerAddress): void {
    this.namespaces.install(server, address, {
      admit: (socket, next) => void this.admit(socket, address, next),
      serve: (socket) => void this.serve(socket),
      undo: this.undo,
    });
  }

  /** Once for each connection, before any gateway sees it. False: it was ended before, and no gateway should. */
  serve(socket: Socket): boolean {
    const session = sessionOf<Session>(socket);
    if (!session?.connection || session.isServed) return session?.isServed !== false;
    if (session.connection.endIfTold()) return false;
    session.isServed = true;
    this.deps.flow.serve(session.connection);
    // By then every gateway has begun its handleConnection, and what is begun is waited for.
    setImmediate(this.settle, session);
    return true;
  }

  /** Socket.IO has removed the socket: if it was never connected, nothing else says so. */
  private readonly undo = (socket: Socket): void => {
    const session = sessionOf<Session>(socket);
    if (!session || session.isServed) return;
    TransportState.of(socket.conn)?.end(session);
    this.end(session, EXPELLED);
  };

  private readonly settle = (session: Session): void => {
    const { internals } = this.deps;
    if (session.isOpening) session.whenOpen(() => lighten(session.socket, internals));
    else lighten(session.socket, internals);
  };

  private async admit(socket: Socket, address: ServerAddress, next: Next): Promise<void> {
    const session = new Session(socket, this.deps.report);
    // CONNECTs that came together with the one that closed the transport.
    if (!session.isOpen) return forgetPending(socket);
    const transport = this.transports.of(socket.conn);
    session.budget = transport;
    const pending = transport.replacePending(session);
    const limited = pending ? undefined : this.transports.takeConnect(transport);
    if ((!pending && !transport.begin(session)) || (limited && transport.isAbused)) return this.drop(session);
    try {
      if (limited) throw limited;
      const allowAnonymous = this.deps.gateways.namespaces.admitsAnonymous(socket.nsp, address);
      // What was decided for one gateway counts for no other, should the namespace be of another meanwhile.
      const credentials = pending?.allowAnonymous === allowAnonymous ? pending.credentials : undefined;
      session.connection = await this.deps.flow.open(session, { allowAnonymous, credentials });
    } catch (error) {
      transport.end(session);
      return this.refuse(session, next, error);
    }
    if (!session.isOpen) return forgetPending(socket);
    this.deps.dispatcher.attach(session);
    socket.on('disconnect', this.onDisconnect);
    next();
  }

  private refuse(session: Session, next: Next, error: unknown): void {
    const tell = (message: string, data: object): void => next(Object.assign(new Error(message), { data }));
    refuseConnect(session, error, { ...this.deps, tell, close: () => this.drop(session) });
  }

  /** Without an answer. */
  private drop(session: Session): void {
    forgetPending(session.socket);
    session.closeTransport();
  }

  private end(session: Session, reason: string): void {
    const { connection } = session;
    session.end();
    if (!connection) return;
    session.connection = undefined;
    this.deps.flow.close(connection, { graceful: isLost(reason), isExpelled: reason === EXPELLED });
    if (session.isServed) this.deps.metrics.disconnected(session.namespaceLabel, reason);
  }
}

/** After an explicit end nobody waits for the user to come back. */
function isLost(reason: string): boolean {
  return reason !== CLIENT_LEFT && reason !== EXPELLED;
}
