import type { Namespace, Server } from 'socket.io';
import type { BroadcastOptions, EncodedEvent, LocalSockets } from '../core/link.js';
import { packetOf } from './encoded-packet.js';

/** All namespaces of all servers of this node. A room is one in the app, Socket.IO's are one for each namespace. */
export class SocketIoLocalSockets implements LocalSockets {
  private readonly all = new Set<Server>();

  /** @param onError Told what a listener of the app to what goes out has thrown. */
  constructor(private readonly onError: (error: unknown) => void) {}

  add(server: Server): void {
    this.all.add(server);
  }

  /** In the order in which gateways made them. */
  get servers(): readonly Server[] {
    return [...this.all];
  }

  /** Dynamic namespaces included. */
  *namespaces(): Generator<Namespace> {
    for (const server of this.all) yield* (server as unknown as { _nsps: Map<string, Namespace> })._nsps.values();
  }

  broadcast(room: string, event: string, args: readonly unknown[], options: BroadcastOptions = {}): void {
    for (const namespace of this.namespaces()) {
      if (!namespace.adapter.rooms.has(room)) continue;
      const target = namespace.local.to(room).except([...(options.except ?? [])]);
      (options.volatile === true ? target.volatile : target).emit(event, ...args);
    }
  }

  send(room: string, event: EncodedEvent, options: BroadcastOptions = {}): void {
    const target = {
      rooms: new Set([room]),
      except: new Set(options.except),
      flags: { local: true, volatile: options.volatile === true },
    };
    const packet = packetOf(event);
    for (const { adapter } of this.namespaces()) {
      if (!adapter.rooms.has(room)) continue;
      try {
        // Below `emit()`, which would take arguments apart again. Adapters for clusters are asynchronous, whatever their type says.
        const sent: unknown = adapter.broadcast(packet, target);
        if (sent instanceof Promise) sent.catch(this.onError);
      } catch (error) {
        this.onError(error);
      }
    }
  }
}
