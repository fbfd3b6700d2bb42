import { isReservedEvent, type RoomMeta } from 'nestjs-realtime-protocol';

/** What travels between nodes on a room's channel, after the letter `m`. */
export interface RoomMessage {
  readonly event: string;
  readonly data: unknown;
  readonly meta: RoomMeta;
  /** Connection ids that do not get it. */
  readonly exclude?: readonly string[] | undefined;
  readonly isVolatile?: boolean | undefined;
  /** The node that has already delivered it to its own members (`emit`). */
  readonly deliveredBy?: string | undefined;
}

/** Names that Socket.IO keeps for itself: emitting one throws, on every node that the message reaches. */
const SOCKET_IO_EVENTS = new Set([
  'connect',
  'connect_error',
  'disconnect',
  'disconnecting',
  'newListener',
  'removeListener',
]);

/** Whether clients can be sent an event of this name. */
export function isDeliverable(event: string): boolean {
  return event !== '' && !isReservedEvent(event) && !SOCKET_IO_EVENTS.has(event);
}

/** @throws TypeError for data that JSON cannot carry (a cycle, a BigInt). */
export function encodeRoomMessage(message: RoomMessage): string {
  return `m${JSON.stringify([message.event, message.data, message.meta, message.exclude ?? 0, message.isVolatile ? 1 : 0, message.deliveredBy ?? 0])}`;
}

/** Undefined for anything that is not ours: another version's message must not end a node. */
export function decodeRoomMessage(payload: string): RoomMessage | undefined {
  const parts = parseArray(payload.slice(1));
  if (!parts) return undefined;
  const [event, data, meta, exclude, isVolatile, deliveredBy] = parts;
  if (typeof event !== 'string' || !isDeliverable(event) || typeof meta !== 'object' || meta === null) return undefined;
  if (typeof (meta as RoomMeta).room !== 'string') return undefined;
  return {
    event,
    data,
    meta: meta as RoomMeta,
    exclude: Array.isArray(exclude) ? exclude.filter((id): id is string => typeof id === 'string') : undefined,
    isVolatile: isVolatile === 1,
    deliveredBy: typeof deliveredBy === 'string' ? deliveredBy : undefined,
  };
}

function parseArray(json: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
