import { PacketType } from 'socket.io-parser';

/**
 * Deepest nesting of a packet's JSON: the array that Socket.IO wraps around event and payloads is one level of it.
 * JSON thousands of levels deep parses, but ends the process when it is encoded again.
 */
export const MAX_JSON_DEPTH = 32;

/** Takes the place of an event whose payload was refused before parsing. A client may send the name itself: it is refused too. */
export const MALFORMED_EVENT = 'realtime:malformed';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const BRACKET = 0x5b;
const ZERO = 0x30;
const DASH = 0x2d;
const SLASH = 0x2f;

/** Digits. An ack id is read as a number: a longer one would be answered under another id. */
const MAX_ACK_ID = 15;
/** Takes the place of a CONNECT's auth that is no object: refused as a malformed token, instead of an unexplained close. */
const NO_AUTH = '{"token":false}';

/** True if brackets nest deeper than `max`, looking no further than where they do. Does not validate the JSON. */
export function isDeeperThan(json: string, max: number, from = 0): boolean {
  if (json.length - from <= max || hasFewBrackets(json, max, from)) return false;
  let depth = 0;
  let inString = false;
  for (let index = from; index < json.length; index += 1) {
    const char = json.charCodeAt(index);
    if (char === QUOTE) inString = !inString;
    else if (inString) {
      if (char === BACKSLASH) index += 1;
    } else if (char === BRACKET || char === BRACE) {
      depth += 1;
      if (depth > max) return true;
    } else if (char === 0x5d || char === 0x7d) depth -= 1;
  }
  return false;
}

/** What opens at most `max` brackets cannot nest deeper: nearly every message, found without a look at each character. */
function hasFewBrackets(json: string, max: number, from: number): boolean {
  let count = 0;
  for (const bracket of ['{', '[']) {
    for (let at = json.indexOf(bracket, from); at !== -1; at = json.indexOf(bracket, at + 1)) {
      count += 1;
      if (count > max) return false;
    }
  }
  return true;
}

/**
 * Keeps type, namespace and ack id, so that the right connection can answer `BAD_REQUEST`; everything but events is invalid.
 * Invariant: what is measured is what Socket.IO parses. Its parser reads numbers as JavaScript converts them (a space is one), so
 * heads are taken only as clients write them.
 */
export function boundPacket(packet: string): string {
  const type = typeOf(packet);
  if (!(type >= PacketType.CONNECT && type <= PacketType.BINARY_ACK)) throw new Error('not a packet');
  const idAt = afterNamespace(packet, isBinary(type) ? afterCount(packet) : 1);
  // A CONNECT has no ack id: what looks like one is its payload.
  const start = type === PacketType.CONNECT ? idAt : skipDigits(packet, idAt);
  // An ack may say nothing: it is ignored.
  const isEmptyAck = type === PacketType.ACK && start === packet.length;
  const hasList = packet.charCodeAt(start) === BRACKET || isEmptyAck;
  if (isMessage(type) && (!hasList || start - idAt > MAX_ACK_ID)) {
    throw new Error('not an event, or not an ack id');
  }
  if (type === PacketType.CONNECT && start < packet.length && packet.charCodeAt(start) !== BRACE) {
    return `${packet.slice(0, start)}${NO_AUTH}`;
  }
  if (!isDeeperThan(packet, MAX_JSON_DEPTH, start)) return packet;
  if (type !== PacketType.EVENT) throw new Error('JSON is nested too deep');
  return `${packet.slice(0, start)}["${MALFORMED_EVENT}"]`;
}

/** Index behind `<attachments>-`: one or two digits, the first no zero. */
function afterCount(packet: string): number {
  const end = skipDigits(packet, 1);
  if (end < 2 || end > 3 || packet.charCodeAt(1) === ZERO || packet.charCodeAt(end) !== DASH)
    throw new Error('not a number of attachments');
  return end + 1;
}

/** Index of `[<id>]<json>` in `<type>[<attachments>-][<namespace>,][<id>]<json>`. */
function afterNamespace(packet: string, from: number): number {
  if (packet.charCodeAt(from) !== SLASH) return from;
  const comma = packet.indexOf(',', from);
  return comma === -1 ? packet.length : comma + 1;
}

function skipDigits(packet: string, from: number): number {
  let index = from;
  while (index < packet.length && isDigit(packet.charCodeAt(index))) index += 1;
  return index;
}

function isDigit(char: number): boolean {
  return char >= ZERO && char <= 0x39;
}

export function isDisconnect(packet: string): boolean {
  return typeOf(packet) === PacketType.DISCONNECT;
}

export function mayHaveAttachments(packet: string): boolean {
  return isBinary(typeOf(packet));
}

function isBinary(type: PacketType): boolean {
  return type === PacketType.BINARY_EVENT || type === PacketType.BINARY_ACK;
}

/** Its payload is a list. */
function isMessage(type: PacketType): boolean {
  return type === PacketType.EVENT || type === PacketType.ACK || isBinary(type);
}

/** Also of texts that are no packets: their type is none of Socket.IO's. */
function typeOf(packet: string): PacketType {
  return packet.charCodeAt(0) - ZERO;
}
