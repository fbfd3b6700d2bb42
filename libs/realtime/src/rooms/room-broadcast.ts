import { SERVER_EVENTS, type PresenceCount, type PresenceDiff } from 'nestjs-realtime-protocol';
import type { BroadcastOptions, EncodedEvent, LocalSockets } from '../core/link.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { LazyEvent } from './publication-body.js';
import type { RoomMember } from './room-member.js';
import { toEvent, type RoomMessage } from './room-message.js';
import type { RoomRegistry } from './room-registry.js';
import { isUserRoom } from './user-rooms.js';

/** Version of clients that understand `PresenceDiff.devices`. */
const PARTIAL_DIFFS = 2;

/**
 * Local delivery: to the members of a room that our registry knows, and to nobody else. A Socket.IO room of the same name has
 * no say in it: apps let sockets in and out of those as they like, and a policy has not been asked.
 * Invariant: a message is framed at most once for each namespace, in a user's own room for each member, and not at all for a
 * room without members here.
 */
export class RoomBroadcast {
  constructor(
    private readonly registry: RoomRegistry,
    private readonly sockets: LocalSockets,
    private readonly metrics: Pick<RealtimeMetrics, 'fannedOut' | 'messagesOut'>,
  ) {}

  /** To all members here but those that the message excludes by their connection. At most once. */
  deliver(room: string, message: RoomMessage): void {
    const members = this.registry.members(room);
    if (members.size === 0) return;
    this.metrics.fannedOut(members.size);
    this.metrics.messagesOut(members.size);
    const options = { except: message.header.x, volatile: message.header.v === 1 };
    if (isUserRoom(room)) sendToEach(members, message, options);
    else this.sockets.send(room, members, toEvent(message), options);
  }

  /** Who came and went. `partial`, if given, is for those who understand it; each of both is framed as one message. */
  tellPresence(room: string, payload: PresenceDiff | PresenceCount, partial?: PresenceDiff): void {
    const members = this.registry.members(room);
    const old: string[] = [];
    const able: string[] = [];
    if (partial) {
      for (const { link, clientVersion } of members) (clientVersion >= PARTIAL_DIFFS ? able : old).push(link.id);
    }
    if (!partial || able.length === 0) return this.tell(room, SERVER_EVENTS.presence, payload);
    this.sockets.send(room, members, encodeEvent(SERVER_EVENTS.presence, partial), { except: old });
    if (old.length === 0) return;
    this.sockets.send(room, members, encodeEvent(SERVER_EVENTS.presence, payload), { except: able });
  }

  /** What the library itself has to say to a room, before whatever is delivered next. */
  tell(room: string, event: string, payload: object): void {
    const members = this.registry.members(room);
    if (members.size > 0) this.sockets.send(room, members, encodeEvent(event, payload));
  }
}

/** A user's own room has a handful of members, mostly one: what they could share costs more than it saves. */
function sendToEach(members: Iterable<RoomMember>, message: RoomMessage, { except, volatile }: BroadcastOptions): void {
  const event = toEvent(message);
  for (const { link } of members) if (!except?.includes(link.id)) link.send(event, { volatile });
}

function encodeEvent(event: string, payload: object): EncodedEvent {
  return new LazyEvent(JSON.stringify([event, payload]), []);
}
