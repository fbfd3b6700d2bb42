import type { Namespace, Server } from 'socket.io';
import type { BroadcastOptions, EncodedEvent, LocalSockets, RoomMembers } from '../core/link.js';
import type { Outlets } from './coalesce-writes.js';
import { packetOf } from './encoded-packet.js';
import { MemberBroadcast, socketOf, type Member, type MemberSocket } from './member-broadcast.js';
import { RecipientLists } from './recipients.js';
import type { TurnSocket } from './turn-socket.js';

/**
 * All servers of this node, and delivery to members of rooms on them. Asks no room of Socket.IO who is in it: whoever calls
 * knows the members. A room is one in the app, whatever the servers and namespaces of its members.
 */
export class SocketIoLocalSockets implements LocalSockets {
  /** With where members are written to directly, if they may be. */
  private readonly all = new Map<Server, Outlets | undefined>();
  private readonly lists = new RecipientLists<Member, MemberSocket, TurnSocket>({
    socketOf,
    outletOf: (socket) => this.outletsOf(socket.nsp.server)?.of(socket),
    inOrder: byNamespace,
  });

  /**
   * @param onError Told what a listener of the app to what goes out has thrown.
   * @param onRoom Told which socket is in which of Socket.IO's rooms now, whoever put it there.
   */
  constructor(
    private readonly onError: (error: unknown) => void,
    private readonly onRoom?: (room: string, socketId: string) => void,
  ) {}

  add(server: Server, outlets: Outlets | undefined): void {
    this.all.set(server, outlets);
    const { onRoom } = this;
    if (!onRoom) return;
    server.sockets.adapter.on('join-room', onRoom);
    server.on('new_namespace', ({ adapter }) => adapter.on('join-room', onRoom));
  }

  /** In the order in which gateways made them. */
  get servers(): readonly Server[] {
    return [...this.all.keys()];
  }

  send(room: string, members: RoomMembers, event: EncodedEvent, options: BroadcastOptions = {}): void {
    const { volatile = false } = options;
    const except = options.except && options.except.length > 0 ? new Set(options.except) : undefined;
    const { onError, outletsOf } = this;
    const broadcast = new MemberBroadcast({ packet: packetOf(event), volatile, except, outletsOf, onError });
    const list = this.lists.of(room, members);
    if (list) broadcast.toList(list, members);
    else broadcast.toEach(members);
  }

  changed(room: string): void {
    this.lists.changed(room);
  }

  private readonly outletsOf = (server: Server): Outlets | undefined => this.all.get(server);
}

/** Stable: members of one namespace side by side, whose frame is the same. */
function byNamespace(sockets: MemberSocket[]): MemberSocket[] {
  const groups = new Map<Namespace, MemberSocket[]>();
  for (const socket of sockets) {
    const group = groups.get(socket.nsp);
    if (group) group.push(socket);
    else groups.set(socket.nsp, [socket]);
  }
  return groups.size === 1 ? sockets : [...groups.values()].flat();
}
