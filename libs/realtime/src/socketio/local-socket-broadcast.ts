import type { Namespace, Server } from 'socket.io';
import type { BroadcastOptions, LocalSockets } from '../core/link.js';

/** All namespaces of all servers of this node. A room is one in the app, Socket.IO's are one for each namespace. */
export class SocketIoLocalSockets implements LocalSockets {
  private readonly servers = new Set<Server>();

  add(server: Server): void {
    this.servers.add(server);
  }

  /** Dynamic namespaces included. */
  *namespaces(): Generator<Namespace> {
    for (const server of this.servers) yield* (server as unknown as { _nsps: Map<string, Namespace> })._nsps.values();
  }

  broadcast(room: string, event: string, args: readonly unknown[], options: BroadcastOptions = {}): void {
    for (const namespace of this.namespaces()) {
      if (!namespace.adapter.rooms.has(room)) continue;
      const target = namespace.local.to(room).except([...(options.except ?? [])]);
      (options.isVolatile ? target.volatile : target).emit(event, ...args);
    }
  }
}
