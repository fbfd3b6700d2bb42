/** Fewer are found as quickly one by one. */
const MIN_MEMBERS = 16;

/** Whoever is in a room: ids of sockets in Socket.IO's sets and maps, or members in our registry's sets. */
export interface Members<Member> {
  readonly size: number;
  keys(): Iterable<Member>;
}

/** Who gets the broadcasts to a room, with what each of them is written to, side by side. */
export interface Recipients<Socket, Outlet> {
  readonly sockets: readonly Socket[];
  readonly outlets: readonly (Outlet | undefined)[];
  /** Of the outlets, when the list was made. */
  readonly seats: Int32Array;
  /** Somebody has come or gone since. */
  isStale: boolean;
}

export interface RecipientSources<Member, Socket, Outlet> {
  /** Undefined: not there yet. */
  readonly socketOf: (member: Member) => Socket | undefined;
  readonly outletOf: (socket: Socket) => Outlet | undefined;
  /** Absent: in the order of the members. */
  readonly inOrder?: (sockets: Socket[]) => Socket[];
}

/**
 * Lists of the members of rooms that get one broadcast after the other: to look up each of a thousand members by its id
 * costs more than to write to it. A list is made for the second broadcast since somebody came or went, and costs 20 bytes
 * for each member until the next one does. Refuses to know rooms: who changes them has to say so.
 */
export class RecipientLists<Member, Socket, Outlet extends { readonly seat: number }> {
  /** Without a list: rooms that had one broadcast since their last change. */
  private readonly byRoom = new Map<string | undefined, Recipients<Socket, Outlet> | undefined>();

  constructor(private readonly sources: RecipientSources<Member, Socket, Outlet>) {}

  /** Undefined: better one by one. `room`: undefined for all sockets of the namespace. */
  of(room: string | undefined, members: Members<Member>): Recipients<Socket, Outlet> | undefined {
    if (members.size < MIN_MEMBERS) return undefined;
    const known = this.byRoom.get(room);
    if (known?.sockets.length === members.size) return known;
    const isSecond = this.byRoom.has(room);
    const list = isSecond ? this.list(members) : undefined;
    this.byRoom.set(room, list);
    return list;
  }

  /** Before a member comes or goes. */
  changed(room: string | undefined): void {
    const list = this.byRoom.get(room);
    if (list) list.isStale = true;
    this.byRoom.delete(room);
  }

  /** Only if all are there: who is in a room before its connection is open comes without a word. */
  private list(members: Members<Member>): Recipients<Socket, Outlet> | undefined {
    const { socketOf, outletOf, inOrder } = this.sources;
    const found: Socket[] = [];
    for (const member of members.keys()) {
      const socket = socketOf(member);
      if (socket === undefined) return undefined;
      found.push(socket);
    }
    const sockets = inOrder ? inOrder(found) : found;
    const outlets = sockets.map((socket) => outletOf(socket));
    return { sockets, outlets, seats: Int32Array.from(outlets, (outlet) => outlet?.seat ?? -1), isStale: false };
  }
}
