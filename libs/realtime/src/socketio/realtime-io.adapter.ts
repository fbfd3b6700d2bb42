import type { Server as HttpServer } from 'node:http';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { Server, type ServerOptions, type Socket } from 'socket.io';
import { makeHandlersDirect } from './direct-handlers.js';
import { shareHandlers, type GatewayHandler, type SharesHandlers } from './gateway-handlers.js';
import type { Gateways } from './gateways.js';
import type { Handshake } from './handshake.middleware.js';
import type { HttpServerLimits } from './http-server-limits.js';
import type { SocketIoLocalSockets } from './local-socket-broadcast.js';
import type { Internals } from './internals/internals.js';
import { dropResponse } from './lean-transport.js';
import type { MessageDispatcher } from './message-dispatcher.js';
import { watchFailures } from './nest-failures.js';
import type { SendBufferWatch } from './send-buffer-watch.js';
import { sessionOf } from './session-of.js';
import type { HandlerTable, Session } from './session.js';
import { tuneServer } from './tune-server.js';
import type { SessionGuard } from './session-guard.js';
import type { UpgradeGuard } from './upgrade-guard.js';
import type { WriteTurn } from './write-turn.js';

export interface RealtimeAdapterDeps {
  readonly gateways: Gateways;
  readonly handshake: Handshake;
  readonly dispatcher: MessageDispatcher;
  readonly sockets: SocketIoLocalSockets;
  readonly upgrades: UpgradeGuard;
  readonly sessions: SessionGuard;
  readonly sendBuffers: SendBufferWatch;
  readonly httpLimits: HttpServerLimits;
  readonly serverOptions: Partial<ServerOptions>;
  /** What may go below the public interfaces of Nest and Socket.IO. */
  readonly internals: Internals;
  /** Undefined: writes are not coalesced. */
  readonly turn: WriteTurn | undefined;
  /** The app's http server; it does not exist yet when the adapter is made. */
  readonly httpServer: () => HttpServer | undefined;
  /** The first server is about to be created: this process is a node now. */
  readonly onFirstServer: () => void;
  /** Runs on every gateway message before the gateway's own guards, where Nest does not run global guards (11). */
  readonly gatewayGuard?: object | undefined;
  /** Socket.IO's own cluster adapter for each new server, if there is one. */
  readonly clusterAdapter: () => ServerOptions['adapter'] | undefined;
  readonly warn: (line: string) => void;
}

type CreateOptions = NonNullable<Parameters<IoAdapter['create']>[1]>;

/**
 * Nest's WebSocket adapter of this library: makes the Socket.IO servers, and leads every connection and message through
 * handshake and dispatcher. Does not authenticate, limit or answer by itself.
 */
export class RealtimeIoAdapter extends IoAdapter implements SharesHandlers {
  private hasServer = false;
  private readonly tables = new WeakMap<readonly GatewayHandler[], HandlerTable>();

  constructor(protected readonly deps: RealtimeAdapterDeps) {
    super();
    watchFailures();
    if (deps.internals.sharedHandlers) shareHandlers();
    if (deps.internals.directHandlers) makeHandlersDirect();
    deps.gateways.answerFailures();
    if (deps.gatewayGuard) deps.gateways.prependGuard(deps.gatewayGuard);
  }

  /** Asked for each gateway with a namespace. */
  override create(port: number, options?: CreateOptions): ReturnType<IoAdapter['create']> {
    const make = (): ReturnType<IoAdapter['create']> => super.create(port, options);
    const pattern: unknown = options?.namespace;
    if (!(pattern instanceof RegExp) && typeof pattern !== 'function') return make();
    return this.deps.gateways.namespaces.parentOf(pattern as RegExp, { port, path: options?.path }, make);
  }

  /** Extend it to change options of all servers; call `super`. */
  override createIOServer(port: number, options?: ServerOptions): Server {
    this.begin();
    const all = {
      ...this.deps.serverOptions,
      ...(options?.path === undefined ? {} : { path: options.path }),
      allowRequest: (request, decide) => {
        if (this.deps.internals.leanRequests) dropResponse(server, request);
        this.deps.upgrades.allowRequest(request, decide);
      },
    } as Partial<ServerOptions>;
    const adapter = this.deps.clusterAdapter();
    if (adapter) all.adapter = adapter;
    const server: Server = port === 0 ? new Server(this.appServer(), all) : new Server(port, all);
    this.deps.httpLimits.install((server as unknown as { httpServer: HttpServer }).httpServer);
    this.deps.upgrades.protect(server);
    this.deps.sessions.install(server);
    this.deps.sockets.add(server, tuneServer(server, this.deps));
    const address = { port, path: options?.path };
    this.deps.handshake.install(server, address);
    this.deps.gateways.namespaces.prepare(address, (namespace) => server.of(namespace as string));
    return server;
  }

  override bindClientConnect(
    server: { on: (event: string, listener: (socket: Socket) => void) => void },
    callback: (socket: Socket) => void,
  ): void {
    server.on('connection', (socket) => {
      if (this.deps.handshake.serve(socket)) callback(socket);
    });
  }

  override bindClientDisconnect(client: Socket, callback: (reason: string) => void): void {
    // Socket.IO says it once; `once` would cost each connection another four objects.
    client.on('disconnect', callback);
  }

  override bindMessageHandlers(...[socket, handlers, transform]: Parameters<IoAdapter['bindMessageHandlers']>): void {
    const session = sessionOf<Session>(socket);
    if (session) this.deps.dispatcher.bind(session, { handlers });
    else super.bindMessageHandlers(socket, handlers, transform);
  }

  /** Called by Nest's controller, see `shareHandlers`. A subclass that overrides `bindMessageHandlers` gets what it expects. */
  bindGatewayHandlers(client: object, handlers: readonly GatewayHandler[], gateway: object): boolean {
    const session = sessionOf<Session>(client);
    if (
      !session ||
      !this.deps.internals.sharedHandlers ||
      this.bindMessageHandlers !== RealtimeIoAdapter.prototype.bindMessageHandlers
    )
      return false;
    let table = this.tables.get(handlers);
    if (!table) this.tables.set(handlers, (table = { handlers, gateway }));
    this.deps.dispatcher.bind(session, table);
    return true;
  }

  private begin(): void {
    if (this.hasServer) return;
    this.hasServer = true;
    this.deps.gateways.wrapHooks();
    for (const line of this.deps.gateways.namespaces.warnings()) this.deps.warn(line);
    this.deps.onFirstServer();
  }

  private appServer(): HttpServer {
    const server = this.deps.httpServer();
    if (!server)
      throw new Error(
        'RealtimeModule needs the HTTP server of the app: create it with NestFactory.create(), or give the gateway a port of its own',
      );
    return server;
  }
}
