import type { Server } from 'socket.io';
import type { ConnectionFlow } from '../connection/connection-flow.js';
import { isChildName, parentFor, type ChildNamespaces, type ParentNamespace } from './child-namespaces.js';
import { watchUnknownNamespaces, type ConnectingClient } from './client-connect.js';
import type { Gateways } from './gateways.js';
import type { ServerAddress } from './namespace-gateways.js';
import { PendingConnect } from './pending-connect.js';
import { refuseConnect, type RefusalSinks, type RefusalWays } from './refuse-connect.js';
import type { TransportState } from './transport-state.js';
import type { Transports } from './transports.js';

export interface FirstConnectsDeps extends RefusalSinks {
  readonly flow: ConnectionFlow;
  readonly gateways: Gateways;
  readonly children: ChildNamespaces;
  readonly transports: Transports;
}

/** As Socket.IO answers. */
const NO_SUCH_NAMESPACE = 'Invalid namespace';

/**
 * CONNECTs to namespaces that do not exist. Invariant: a namespace is made for a connection that is authenticated, on a
 * transport that is open; whoever else asks leaves nothing behind.
 */
export class FirstConnects {
  constructor(private readonly deps: FirstConnectsDeps) {}

  install(server: Server, address: ServerAddress): void {
    watchUnknownNamespaces(server, (client, name, auth) => {
      void this.connect(client, new PendingConnect(client, name, auth), address);
    });
  }

  private async connect(client: ConnectingClient, pending: PendingConnect, address: ServerAddress): Promise<void> {
    if (!pending.isOpen) return;
    const { transports } = this.deps;
    const transport = transports.of(client.conn);
    pending.budget = transport;
    const limited = transports.takeConnect(transport);
    if (!transport.begin(pending) || (limited && transport.isAbused)) return pending.closeTransport();
    try {
      if (limited) throw limited;
      const parent = await this.parentOf(client.server, pending);
      if (!parent) return this.tellUnknown(transport, pending);
      await this.authenticate(pending, parent, address);
      if (!isThere(client.server, pending.namespace)) await this.deps.children.makeRoom(pending.namespace);
      // Its transport has ended, and with it what it had begun.
      if (!pending.isOpen) return;
      // Another first connection may have been faster.
      if (!isThere(client.server, pending.namespace)) this.deps.children.make(parent, pending.namespace);
      client.doConnect(pending.namespace, pending.auth);
    } catch (error) {
      transport.end(pending);
      if (pending.isOpen) refuseConnect(pending, error, this.waysOf(pending));
    }
  }

  private parentOf(server: Server, { namespace, auth }: PendingConnect): Promise<ParentNamespace | undefined> {
    return isChildName(namespace) ? parentFor(server, namespace, auth) : Promise.resolve(undefined);
  }

  private async authenticate(pending: PendingConnect, parent: ParentNamespace, address: ServerAddress): Promise<void> {
    const { flow, gateways } = this.deps;
    pending.allowAnonymous = gateways.namespaces.opensChild(pending.namespace, parent, address);
    pending.credentials = await flow.authenticate(pending, { allowAnonymous: pending.allowAnonymous });
  }

  private waysOf(pending: PendingConnect): RefusalWays {
    return {
      ...this.deps,
      tell: (message, error) => pending.tell(message, error),
      close: () => pending.closeTransport(),
    };
  }

  private tellUnknown(transport: TransportState, pending: PendingConnect): void {
    transport.end(pending);
    this.deps.metrics.handshakeRejected('NOT_FOUND');
    pending.tell(NO_SUCH_NAMESPACE);
    if (pending.deferredRefusal) setImmediate(() => pending.closeTransport());
  }
}

function isThere(server: Server, name: string): boolean {
  return (server as unknown as { readonly _nsps: ReadonlyMap<string, unknown> })._nsps.has(name);
}
