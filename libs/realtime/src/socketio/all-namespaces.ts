import type { Namespace, Server, Socket } from 'socket.io';
import type { ChildNamespaces } from './child-namespaces.js';
import type { FirstConnects } from './first-connects.js';
import type { Gateways } from './gateways.js';
import type { ServerAddress } from './namespace-gateways.js';
import { onRemoved } from './pending-sockets.js';

export type Next = (error?: Error & { data?: unknown }) => void;

/** What is done with every socket, whatever its namespace. */
export interface SocketHandlers {
  /** Before all other middlewares. */
  readonly admit: (socket: Socket, next: Next) => void;
  readonly serve: (socket: Socket) => void;
  readonly undo: (socket: Socket) => void;
}

export interface AllNamespacesDeps {
  readonly gateways: Gateways;
  readonly children: ChildNamespaces;
  readonly firstConnects: FirstConnects;
}

/** Every namespace of a server: static, dynamic or RegExp, present or future, each once. */
export class AllNamespaces {
  constructor(private readonly deps: AllNamespacesDeps) {}

  install(server: Server, address: ServerAddress, handlers: SocketHandlers): void {
    const { gateways, children, firstConnects } = this.deps;
    handle(server.sockets, handlers);
    server.on('new_namespace', (namespace) => {
      handle(namespace, handlers);
      // It may match a pattern all the same, and what its own gateway has bound to it would end with it.
      if (!gateways.namespaces.declares(namespace.name, address)) children.adopt(server, namespace);
    });
    firstConnects.install(server, address);
  }
}

function handle(namespace: Namespace, { admit, serve, undo }: SocketHandlers): void {
  useFirst(namespace, admit);
  namespace.on('connection', serve);
  onRemoved(namespace, undo);
}

/**
 * A child has the app's middlewares from its pattern's namespace by now.
 * @throws Error if Socket.IO keeps middlewares in another way: at boot, as the server's own namespace is the first
 */
function useFirst(namespace: Namespace, admit: SocketHandlers['admit']): void {
  namespace.use(admit);
  const { _fns: middlewares } = namespace as unknown as { readonly _fns?: unknown[] };
  if (!Array.isArray(middlewares) || middlewares.at(-1) !== admit)
    throw new Error(
      'RealtimeModule cannot put authentication before other middlewares: this version of socket.io has no Namespace._fns',
    );
  middlewares.unshift(middlewares.pop());
}
