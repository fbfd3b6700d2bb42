import { isReservedEvent, type Position, type Publication } from 'nestjs-realtime-protocol';
import type { EncodedEvent } from '../core/link.js';
import type { LogEntry } from '../history/room-log.js';
import { LazyEvent, encodeData, parseContent, type EncodedData } from './publication-body.js';
import { attachmentsOf, parseHeader, type PublicationHeader } from './publication-header.js';

/** What a room's channel carries after the letter `m`, known as far as delivery needs it: the body is not parsed. */
export interface RoomMessage {
  /** Absent: the room keeps nothing, or this is volatile. */
  readonly position?: Position | undefined;
  /** Header line and body, as they were encoded and as the log stores them. */
  readonly text: string;
  readonly header: PublicationHeader;
  readonly event: string;
}

/** What is to be published. */
export interface OutgoingMessage {
  readonly room: string;
  readonly event: string;
  readonly data: unknown;
  /** Absent for `emit`. */
  readonly id?: string | undefined;
  /** Principal whose client publishes; absent for server code. */
  readonly publisher?: string | undefined;
  readonly header?: Omit<PublicationHeader, 'b'> | undefined;
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

const FIRST_LINE = /^m(?:(\d{1,15}) ([\w-]{1,64}))?$/;
const ERASURE = /^x(\d{0,15})$/;
/** The event's name, as the first string of the body; 256 characters, each of them escaped at worst. */
const EVENT = /^"((?:[^"\\\n]|\\.){1,1536})",/;

/** Whether clients can be sent an event of this name. */
export function isDeliverable(event: string): boolean {
  return event !== '' && !isReservedEvent(event) && !SOCKET_IO_EVENTS.has(event);
}

/**
 * Header line and body: the only time in the cluster that a publication is encoded. The object with room, id and publisher
 * stays open, for the position that only the storage knows.
 * @throws TypeError for data that JSON and Socket.IO's binary attachments cannot carry.
 */
export function encodeRoomMessage(
  { room, event, data, id, publisher, header }: OutgoingMessage,
  /** Of `data`, if it is known already. */
  { json, attachments }: EncodedData = encodeData(data),
): string {
  const b = attachments.length === 0 ? undefined : attachments.map((attachment) => attachment.toString('base64'));
  const meta = JSON.stringify({ room, id, publisher }).slice(0, -1);
  const head = header === undefined && b === undefined ? '{}' : JSON.stringify({ ...header, b });
  return `${head}\n${JSON.stringify(event)},${json},${meta}`;
}

/** The payload of a message without a position: the log's script puts the others together. */
export function toPayload(text: string): string {
  return `m\n${text}`;
}

/** Tells the nodes that an entry of the log was erased, or (undefined) all of them: they keep recent ones in memory. */
export function encodeErasure(offset: number | undefined): string {
  return `x${offset ?? ''}`;
}

/** Undefined for anything that is not ours. */
export function decodeErasure(payload: string): { readonly offset: number | undefined } | undefined {
  const [, offset] = ERASURE.exec(payload) ?? [];
  return offset === undefined ? undefined : { offset: offset === '' ? undefined : Number(offset) };
}

/** Undefined for anything that is not ours: garbage, or another version's message, must not end a node. */
export function decodeRoomMessage(payload: string): RoomMessage | undefined {
  // Neither position nor header: nearly all that a room without history gets.
  if (payload.startsWith('m\n')) return decodeText(payload.slice(2), undefined);
  const end = payload.indexOf('\n');
  const first = end === -1 ? null : FIRST_LINE.exec(payload.slice(0, end));
  if (first === null) return undefined;
  const [, offset, epoch] = first;
  const position = epoch === undefined ? undefined : { epoch, offset: Number(offset) };
  return decodeText(payload.slice(end + 1), position);
}

/** An entry of the log as the message that its room's channel carried. */
export function decodeLogEntry({ offset, text }: LogEntry, epoch: string): RoomMessage | undefined {
  return decodeText(text, { epoch, offset });
}

/** The event as sockets send it: `["event",data,{"room":…,"id":…,"offset":…,"epoch":…}]`. */
export function toEvent({ text, header, position }: RoomMessage): EncodedEvent {
  const end = position === undefined ? '' : `,"offset":${position.offset},"epoch":"${position.epoch}"`;
  return new LazyEvent(`[${bodyOf(text)}${end}}]`, attachmentsOf(header));
}

/** What histories and recoveries tell of an entry; undefined if it is not ours. */
export function readPublication({ offset, text }: LogEntry): Publication | undefined {
  const header = parseHeader(text);
  const content = header && parseContent(`[${bodyOf(text)}}]`, attachmentsOf(header));
  if (content?.length !== 3) return undefined;
  const [event, data, meta] = content;
  const { id, publisher } = (meta ?? {}) as { id?: unknown; publisher?: unknown };
  if (typeof event !== 'string' || !isDeliverable(event) || typeof id !== 'string') return undefined;
  return { event, data, id, offset, ...(typeof publisher === 'string' ? { publisher } : {}) };
}

function decodeText(text: string, position: Position | undefined): RoomMessage | undefined {
  const header = parseHeader(text);
  const event = readEvent(text);
  return header === undefined || event === undefined ? undefined : { position, text, header, event };
}

function bodyOf(text: string): string {
  return text.slice(text.indexOf('\n') + 1);
}

function readEvent(text: string): string | undefined {
  const start = text.indexOf('\n') + 1;
  const name = EVENT.exec(text.slice(start, start + 1600))?.[1];
  if (name === undefined) return undefined;
  const event = name.includes('\\') ? unescape(name) : name;
  return event !== undefined && isDeliverable(event) ? event : undefined;
}

function unescape(name: string): string | undefined {
  try {
    return JSON.parse(`"${name}"`) as string;
  } catch {
    return undefined;
  }
}
