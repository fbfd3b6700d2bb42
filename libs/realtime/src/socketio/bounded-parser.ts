import { Decoder, Encoder, PacketType } from 'socket.io-parser';

/**
 * Deepest nesting of a packet's JSON: the array that Socket.IO wraps around event and payloads is one level of it.
 * JSON thousands of levels deep parses, but ends the process when it is encoded again.
 */
export const MAX_JSON_DEPTH = 32;

/** Takes the place of an event whose payload was refused before parsing. A client may send the name itself: it is refused too. */
export const MALFORMED_EVENT = 'realtime:malformed';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** True if brackets nest deeper than `max`, looking no further than where they do. Does not validate the JSON. */
export function isDeeperThan(json: string, max: number, from = 0): boolean {
  if (json.length - from <= max) return false;
  let depth = 0;
  let inString = false;
  for (let index = from; index < json.length; index += 1) {
    const char = json.charCodeAt(index);
    if (char === QUOTE) inString = !inString;
    else if (inString) {
      if (char === BACKSLASH) index += 1;
    } else if (char === 0x5b || char === 0x7b) {
      depth += 1;
      if (depth > max) return true;
    } else if (char === 0x5d || char === 0x7d) depth -= 1;
  }
  return false;
}

/** Looks at the depth of text packets before `JSON.parse` does. */
export class BoundedDecoder extends Decoder {
  override add(packet: unknown): void {
    super.add(typeof packet === 'string' ? boundPacket(packet) : packet);
  }
}

export const boundedParser = { Encoder, Decoder: BoundedDecoder };

/** Keeps type, namespace and ack id, so that the right connection can answer `BAD_REQUEST`; everything but events is invalid. */
function boundPacket(packet: string): string {
  const start = payloadStart(packet);
  if (!isDeeperThan(packet, MAX_JSON_DEPTH, start)) return packet;
  const type = Number(packet.charAt(0)) as PacketType;
  if (type !== PacketType.EVENT) throw new Error('JSON is nested too deep');
  return `${packet.slice(0, start)}["${MALFORMED_EVENT}"]`;
}

/** Index of the JSON in `<type>[<attachments>-][<namespace>,][<id>]<json>`. */
function payloadStart(packet: string): number {
  let index = 1;
  if (packet.charAt(index) === '/') {
    const comma = packet.indexOf(',', index);
    index = comma === -1 ? packet.length : comma + 1;
  }
  while (index < packet.length && isDigitOrDash(packet.charCodeAt(index))) index += 1;
  return index;
}

function isDigitOrDash(char: number): boolean {
  return (char >= 0x30 && char <= 0x39) || char === 0x2d;
}
