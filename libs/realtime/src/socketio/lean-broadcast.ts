import type { Namespace, Server } from 'socket.io';
import type { Outlets } from './coalesce-writes.js';
import type { Data, WriteOptions } from './engine-internals.js';
import type { FrameParts } from './frame-sequence.js';
import { RecipientLists, type Members, type Recipients } from './recipients.js';
import type { TurnSocket } from './turn-socket.js';

// What Socket.IO's adapters do for a broadcast beyond writing it, left out where it changes nothing for anybody.
// Invariant: the same sockets get the same packets, in the same order.

interface Target {
  readonly rooms: ReadonlySet<string>;
  readonly except?: ReadonlySet<string>;
}

interface Socket {
  readonly id: string;
  readonly _anyOutgoingListeners?: readonly unknown[];
}

type Callback = (socket: unknown) => void;

/** What is used of Socket.IO's adapter, which all others extend. Pinned in test/contract/engine-io.spec.ts. */
interface Adapter {
  readonly rooms: ReadonlyMap<string, ReadonlySet<string>>;
  readonly sids: ReadonlyMap<string, unknown>;
  readonly nsp: { readonly sockets: ReadonlyMap<string, Socket> };
  broadcast: (this: Adapter, packet: unknown, target: Target) => unknown;
  apply?: (this: Adapter, target: Target, callback: Callback) => void;
  computeExceptSids?: (this: Adapter, rooms: ReadonlySet<string>) => ReadonlySet<string>;
  _encode?: (this: Adapter, packet: unknown, options: WriteOptions) => readonly Data[];
  addAll: (this: Adapter, id: string, rooms: ReadonlySet<string>) => unknown;
  delAll: (this: Adapter, id: string) => unknown;
  _del?: (this: Adapter, room: string, id: string) => unknown;
}

/** For all namespaces, those that come later too. Without `outlets` every recipient is written to the usual way. */
export function leanBroadcasts(server: Server, outlets?: Outlets): void {
  const adopt = ({ adapter }: Namespace): void => {
    if (isKnown(adapter as unknown as Adapter))
      new LeanBroadcasts(adapter as unknown as Required<Adapter>, outlets).install();
  };
  for (const namespace of (server as unknown as { _nsps: Map<string, Namespace> })._nsps.values()) adopt(namespace);
  server.on('new_namespace', adopt);
}

function isKnown({ apply, computeExceptSids, _encode, _del }: Adapter): boolean {
  return [apply, computeExceptSids, _encode, _del].every((method) => typeof method === 'function');
}

interface Sharing {
  readonly list: Recipients<Socket, TurnSocket>;
  readonly members: Members<string>;
  readonly except: ReadonlySet<string> | undefined;
  /** For who cannot be written to directly. */
  readonly callback: Callback;
}

class LeanBroadcasts {
  private readonly lists: RecipientLists<string, Socket, TurnSocket>;
  private isForNobody = false;
  private isBroadcasting = false;
  /** Of the broadcast whose recipients are looked for next. */
  private frames: readonly FrameParts[] | undefined;

  constructor(
    private readonly adapter: Required<Adapter>,
    private readonly outlets: Outlets | undefined,
  ) {
    this.lists = new RecipientLists({
      socketOf: (id) => adapter.nsp.sockets.get(id),
      outletOf: (socket) => outlets?.of(socket),
    });
  }

  install(): void {
    this.leaveEmptyRooms();
    this.goStraight();
    this.watchRooms();
  }

  /** Nothing is encoded for rooms without members here; what adapters send to other nodes is encoded by themselves. */
  private leaveEmptyRooms(): void {
    const { adapter, outlets } = this;
    const { broadcast, _encode: encode } = adapter;
    adapter.broadcast = (packet, target) => {
      this.isForNobody = target.rooms.size > 0 && ![...target.rooms].some((room) => adapter.rooms.has(room));
      this.isBroadcasting = true;
      try {
        return broadcast.call(adapter, packet, target);
      } finally {
        this.isForNobody = this.isBroadcasting = false;
        this.frames = undefined;
      }
    };
    adapter._encode = (packet, options) => {
      if (this.isForNobody) return [];
      const packets = encode.call(adapter, packet, options);
      if (this.isBroadcasting) this.frames = outlets?.framesOf(packets, options);
      // What listeners of the app send from within is something else.
      this.isBroadcasting = false;
      return packets;
    };
  }

  /** Nobody is in one room twice: there is no need to remember who had it. */
  private goStraight(): void {
    const { adapter } = this;
    const { apply, computeExceptSids } = adapter;
    adapter.apply = (target, callback) => {
      const { frames } = this;
      this.frames = undefined;
      if (target.rooms.size > 1) return apply.call(adapter, target, callback);
      const [room] = target.rooms;
      const members: Members<string> | undefined = room === undefined ? adapter.sids : adapter.rooms.get(room);
      if (!members) return;
      const except =
        target.except && target.except.size > 0 ? computeExceptSids.call(adapter, target.except) : undefined;
      const list = frames && this.lists.of(room, members);
      if (list) this.share(frames, { list, members, except, callback });
      else this.each(members, except, callback);
    };
  }

  private watchRooms(): void {
    const { adapter, lists } = this;
    const { addAll, delAll, _del: del } = adapter;
    adapter.addAll = (id, rooms) => {
      if (!adapter.sids.has(id)) lists.changed(undefined);
      for (const room of rooms) if (!adapter.rooms.get(room)?.has(id)) lists.changed(room);
      return addAll.call(adapter, id, rooms);
    };
    adapter.delAll = (id) => {
      lists.changed(undefined);
      return delAll.call(adapter, id);
    };
    adapter._del = (room, id) => {
      lists.changed(room);
      return del.call(adapter, room, id);
    };
  }

  private share(frames: readonly FrameParts[], { list, members, except, callback }: Sharing): void {
    const { sockets, outlets, seats } = list;
    for (let index = 0; index < sockets.length; index += 1) {
      const socket = sockets[index]!;
      if (except?.has(socket.id)) continue;
      const outlet = outlets[index];
      const isDirect = outlet !== undefined && !socket._anyOutgoingListeners?.length;
      if (isDirect && this.outlets!.share(seats[index]!, outlet, frames)) continue;
      callback(socket);
      if (!list.isStale) continue;
      // A listener of the app let somebody come or go.
      const done = sockets.slice(0, index + 1).map(({ id }) => id);
      return this.each(members, new Set([...done, ...(except ?? [])]), callback);
    }
  }

  private each(members: Members<string>, except: ReadonlySet<string> | undefined, callback: Callback): void {
    const { sockets } = this.adapter.nsp;
    for (const id of members.keys()) {
      const socket = except?.has(id) ? undefined : sockets.get(id);
      if (socket) callback(socket);
    }
  }
}
