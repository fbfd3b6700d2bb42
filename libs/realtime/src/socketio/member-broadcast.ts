import type { Namespace, Server } from 'socket.io';
import type { Link } from '../core/link.js';
import type { Outlets } from './coalesce-writes.js';
import type { EncodedPacket } from './encoded-packet.js';
import type { Data, WriteOptions } from './engine-internals.js';
import type { FrameParts } from './frame-sequence.js';
import { TEXT, frameHeader } from './message-frame.js';
import type { Members, Recipients } from './recipients.js';
import type { TurnSocket } from './turn-socket.js';

// What Socket.IO's adapters do to write a broadcast, for recipients that no room of theirs has chosen.
// Pinned in test/contract/engine-io.spec.ts.

/** Engine.IO's packet type `message`. */
const MESSAGE = '4';

/** One of Socket.IO's sockets, as far as adapters use it. */
export interface MemberSocket {
  readonly id: string;
  readonly connected: boolean;
  readonly nsp: Namespace;
  readonly client: { writeToEngine(packets: readonly Data[], options: WriteOptions): void };
  readonly _anyOutgoingListeners?: readonly unknown[];
  notifyOutgoingListeners(packet: unknown): void;
}

export interface Member {
  readonly link: Link;
}

/** One packet as a namespace sends it. */
interface Framed {
  readonly packets: readonly Data[];
  /** The same object for all recipients: frames that are made later are known by it. */
  readonly options: WriteOptions;
  readonly outlets: Outlets | undefined;
  /** Undefined: the usual way, for everybody. */
  readonly frames: readonly FrameParts[] | undefined;
}

export interface MemberBroadcastInit {
  readonly packet: EncodedPacket;
  readonly volatile: boolean;
  /** Ids of sockets. */
  readonly except: ReadonlySet<string> | undefined;
  readonly outletsOf: (server: Server) => Outlets | undefined;
  /** Told what a listener of the app to what goes out has thrown; it keeps the message from its own client alone. */
  readonly onError: (error: unknown) => void;
}

/** Undefined: its CONNECT has not been answered yet, and no event may come before the answer. */
export function socketOf({ link }: Member): MemberSocket | undefined {
  // Every link of this node is a `Session`.
  const { socket } = link as Link & { readonly socket: MemberSocket };
  return socket.connected ? socket : undefined;
}

/** One event on its way to members of a room, in whatever namespaces: framed once for each. */
export class MemberBroadcast {
  /** Of the recipient before: nearly all are in the same namespace, and lists are ordered by it. */
  private namespace: Namespace | undefined;
  private framed: Framed | undefined;
  private readonly byNamespace = new Map<Namespace, Framed>();

  constructor(private readonly init: MemberBroadcastInit) {}

  /** `list`: of these members. */
  toList(list: Recipients<MemberSocket, TurnSocket>, members: Members<Member>): void {
    const { except } = this.init;
    const { sockets, outlets, seats } = list;
    for (let index = 0; index < sockets.length; index += 1) {
      const socket = sockets[index]!;
      if (except?.has(socket.id)) continue;
      const outlet = outlets[index];
      const framed = this.framedFor(socket.nsp);
      const isDirect = framed.frames !== undefined && outlet !== undefined && !socket._anyOutgoingListeners?.length;
      if (isDirect && framed.outlets!.share(seats[index]!, outlet, framed.frames)) continue;
      this.write(socket, framed);
      // A listener of the app let somebody come or go.
      if (list.isStale) return this.toEach(members, new Set(sockets.slice(0, index + 1)));
    }
  }

  /** @param done Those that have it already. */
  toEach(members: Members<Member>, done?: ReadonlySet<MemberSocket>): void {
    const { except } = this.init;
    for (const member of members.keys()) {
      const socket = socketOf(member);
      if (!socket || except?.has(socket.id) || done?.has(socket)) continue;
      this.write(socket, this.framedFor(socket.nsp));
    }
  }

  private write(socket: MemberSocket, { packets, options }: Framed): void {
    const { packet, onError } = this.init;
    try {
      socket.notifyOutgoingListeners(packet);
      socket.client.writeToEngine(packets, options);
    } catch (error) {
      onError(error);
    }
  }

  private framedFor(namespace: Namespace): Framed {
    if (this.framed && this.namespace === namespace) return this.framed;
    let framed = this.byNamespace.get(namespace);
    if (!framed) this.byNamespace.set(namespace, (framed = this.frame(namespace)));
    this.namespace = namespace;
    this.framed = framed;
    return framed;
  }

  private frame(namespace: Namespace): Framed {
    const { packet, volatile, outletsOf } = this.init;
    packet.nsp = namespace.name;
    const packets = packet.encode();
    const [text] = packets;
    const isFramed = packets.length === 1 && typeof text === 'string';
    const options = { preEncoded: true, volatile, ...(isFramed ? { wsPreEncodedFrame: textFrame(text) } : {}) };
    const outlets = outletsOf(namespace.server);
    return { packets, options, outlets, frames: outlets?.framesOf(packets, options) };
  }
}

/** In two parts: a large payload is not copied behind its header. */
function textFrame(packet: string): FrameParts {
  const payload = Buffer.from(`${MESSAGE}${packet}`);
  return [frameHeader(TEXT, payload.length), payload];
}
