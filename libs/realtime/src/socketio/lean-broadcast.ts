import type { Namespace, Server } from 'socket.io';

// What Socket.IO's adapters do for a broadcast beyond writing it, left out where it changes nothing for anybody.
// Invariant: the same sockets get the same packets, in the same order.

interface Target {
  readonly rooms: ReadonlySet<string>;
  readonly except?: ReadonlySet<string>;
}

/** What is used of Socket.IO's adapter, which all others extend. Pinned in test/contract/engine-io.spec.ts. */
interface Adapter {
  readonly rooms: ReadonlyMap<string, ReadonlySet<string>>;
  readonly nsp: { readonly sockets: ReadonlyMap<string, unknown> };
  broadcast: (this: Adapter, packet: unknown, target: Target) => unknown;
  apply?: (this: Adapter, target: Target, callback: (socket: unknown) => void) => void;
  computeExceptSids?: (this: Adapter, rooms: ReadonlySet<string>) => ReadonlySet<string>;
  _encode?: (this: Adapter, packet: unknown, options: unknown) => unknown;
}

/** For all namespaces, those that come later too. */
export function leanBroadcasts(server: Server): void {
  const adopt = ({ adapter }: Namespace): void => {
    goStraight(adapter as unknown as Adapter);
    leaveEmptyRooms(adapter as unknown as Adapter);
  };
  for (const namespace of (server as unknown as { _nsps: Map<string, Namespace> })._nsps.values()) adopt(namespace);
  server.on('new_namespace', adopt);
}

/** Nobody is in one room twice: there is no need to remember who had it. */
function goStraight(adapter: Adapter): void {
  const { apply, computeExceptSids } = adapter;
  if (!apply || !computeExceptSids) return;
  adapter.apply = function (target, callback) {
    if (target.rooms.size !== 1) return apply.call(this, target, callback);
    const { sockets } = this.nsp;
    const except = target.except && target.except.size > 0 ? computeExceptSids.call(this, target.except) : undefined;
    for (const room of target.rooms) {
      for (const id of this.rooms.get(room) ?? []) {
        const socket = except?.has(id) ? undefined : sockets.get(id);
        if (socket) callback(socket);
      }
    }
  };
}

/** Nothing is encoded for rooms without members here; what adapters send to other nodes is encoded by themselves. */
function leaveEmptyRooms(adapter: Adapter): void {
  const { broadcast, _encode: encode } = adapter;
  if (!encode) return;
  let isForNobody = false;
  adapter.broadcast = function (packet, target) {
    isForNobody = target.rooms.size > 0 && ![...target.rooms].some((room) => this.rooms.has(room));
    try {
      return broadcast.call(this, packet, target);
    } finally {
      isForNobody = false;
    }
  };
  adapter._encode = function (packet, options) {
    return isForNobody ? [] : encode.call(this, packet, options);
  };
}
