import type { Namespace, Server, Socket } from 'socket.io';
import type { ConnectionFlow } from '../connection/connection-flow.js';
import type { FloodLimit } from '../connection/transport-budget.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import { ChildNamespaces } from './child-namespaces.js';
import { FirstConnects } from './first-connects.js';
import type { Gateways } from './gateways.js';
import type { Internals } from './internals/internals.js';
import { lighten } from './lighten.js';
import type { MessageDispatcher } from './message-dispatcher.js';
import type { ServerAddress } from './namespace-gateways.js';
import { forgetPending, onRemoved } from './pending-sockets.js';
import { refuseConnect } from './refuse-connect.js';
import { Session, type ReportError } from './session.js';
import { sessionOf } from './session-of.js';
import { TransportState } from './transport-state.js';

export interface HandshakeDeps {
  readonly flow: ConnectionFlow;
  readonly gateways: Gateways;
  readonly dispatcher: MessageDispatcher;
  readonly metrics: RealtimeMetrics;
  readonly report: ReportError;
  readonly internals: Internals;
  readonly flood: FloodLimit;
  /** Of one transport. 0: the declared ones and a few more. */
  readonly maxNamespaces: number;
  /** Namespaces of patterns on this node. 0: no limit. */
  readonly maxChildren: number;
  /** A namespace of this name could not be made: there are as many as there may be. */
  readonly onFull: (name: string) => void;
}

/** Namespaces that one transport may open beside the declared ones. */
const EXTRA_NAMESPACES = 4;

/** Socket.IO's reason for a DISCONNECT of the client. */
const CLIENT_LEFT = 'client namespace disconnect';
/** `socket.disconnect()` of the library or the app: for revoked credentials, for example. */
const EXPELLED = 'server namespace disconnect';

type Next = (error?: Error & { data?: unknown }) => void;

/**
 * Admits sockets, on every namespace of a server: static, dynamic or RegExp, present or future, each once.
 * Invariant: `next()` is called only for a connection that is authenticated, within its limits and registered; and for
 * every connection that was registered, `close` is called exactly once, also if it does not get connected: a middleware of
 * the app refuses it after this one, or never calls `next`.
 */
export class Handshake {
  private maxNamespaces: number | undefined;
  private readonly onEnd: (session: Session, reason: string) => void;
  /** One listener for all sockets. */
  private readonly onDisconnect: (this: Socket, reason: string) => void;
  private readonly children: ChildNamespaces;
  private readonly firstConnects: FirstConnects;

  constructor(private readonly deps: HandshakeDeps) {
    const onEnd = (session: Session, reason: string): void => this.end(session, reason);
    this.onEnd = (session, reason) => {
      if (session.isServed) onEnd(session, reason);
      else forgetPending(session.socket);
    };
    this.onDisconnect = function (this: Socket, reason: string) {
      const session = sessionOf<Session>(this);
      if (!session) return;
      const transport = TransportState.of(this.conn);
      transport?.end(session);
      if (reason === CLIENT_LEFT) transport?.countDisconnect();
      onEnd(session, reason);
    };
    const { flow, gateways, metrics, report, maxChildren: max, onFull } = deps;
    this.children = new ChildNamespaces({ max, onFull, report: (error) => report(error, undefined) });
    this.firstConnects = new FirstConnects({
      ...{ flow, gateways, metrics, report, children: this.children },
      transportOf: (conn) => this.transportOf(conn),
      limit: (transport) => this.limit(transport),
    });
  }

  install(server: Server, address: ServerAddress): void {
    const middleware = (socket: Socket, next: Next): void => void this.admit(socket, address, next);
    const serve = (socket: Socket): void => void this.serve(socket);
    const adopt = (namespace: Namespace): void => {
      useFirst(namespace, middleware);
      namespace.on('connection', serve);
      onRemoved(namespace, this.undo);
    };
    adopt(server.sockets);
    server.on('new_namespace', (namespace) => {
      adopt(namespace);
      // It may match a pattern all the same, and what its own gateway has bound to it would end with it.
      if (!this.deps.gateways.namespaces.declares(namespace.name, address)) this.children.adopt(server, namespace);
    });
    this.firstConnects.install(server, address);
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

  private transportOf(conn: Socket['conn']): TransportState {
    return TransportState.of(conn) ?? TransportState.make(conn, this.onEnd, this.deps.flood);
  }

  private limit(transport: TransportState): RealtimeError | undefined {
    return transport.takeConnect() ?? this.tooMany(transport);
  }

  private tooMany(transport: TransportState): RealtimeError | undefined {
    const { maxNamespaces: given, gateways } = this.deps;
    const most = (this.maxNamespaces ??= given || gateways.namespaces.staticNamespaces().size + EXTRA_NAMESPACES);
    return transport.size < most ? undefined : new RealtimeError('LIMIT_EXCEEDED', `At most ${most} namespaces`);
  }

  private async admit(socket: Socket, address: ServerAddress, next: Next): Promise<void> {
    const session = new Session(socket, this.deps.report);
    // CONNECTs that came together with the one that closed the transport.
    if (!session.isOpen) return forgetPending(socket);
    const transport = this.transportOf(socket.conn);
    session.budget = transport;
    const pending = transport.replacePending(session);
    const limited = pending ? undefined : this.limit(transport);
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
    const { id, namespace, auth, deferredRefusal } = session;
    refuseConnect(
      { id, namespace, auth, deferredRefusal, closeTransport: () => this.drop(session) },
      error,
      this.deps,
      (message, data) => next(Object.assign(new Error(message), { data })),
    );
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

/** Before the app's own, which a child has from its pattern's namespace by now. */
function useFirst(namespace: Namespace, middleware: (socket: Socket, next: Next) => void): void {
  (namespace as unknown as { readonly _fns: unknown[] })._fns.unshift(middleware);
}
