import { constants, inflateRawSync } from 'node:zlib';

const RSV1 = 0x40;
const BINARY = 0x82;
/** What a sender leaves out behind each deflated message (RFC 7692, 7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

/** Of a frame without a mask; undefined while its header is not there. */
export function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 2 || bytes.length < headerLength(bytes)) return undefined;
  const length = bytes[1] as number;
  if (length < 126) return 2 + length;
  return length === 126 ? 4 + bytes.readUInt16BE(2) : 10 + Number(bytes.readBigUInt64BE(2));
}

export function isDeflated(frame: Buffer): boolean {
  return ((frame[0] as number) & RSV1) !== 0;
}

/** The payload, inflated by itself: without anything that came before; that of binary frames as hex. */
export function textOf(frame: Buffer): string {
  const payload = inflated(frame);
  return ((frame[0] as number) & ~RSV1) === BINARY ? payload.toString('hex') : payload.toString();
}

/** The payload, inflated, and the first byte as it would be without compression. */
export function plain(frame: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(frame[0] as number) & ~RSV1]), inflated(frame)]);
}

/** Masked with zeros, which changes nothing. */
export function clientFrame(opcode: number, text: string): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  const head = length < 126 ? [opcode, 0x80 | length] : [opcode, 0xfe, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(4), payload]);
}

function inflated(frame: Buffer): Buffer {
  const payload = frame.subarray(headerLength(frame));
  if (!isDeflated(frame)) return payload;
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });
}

function headerLength(frame: Buffer): number {
  const length = frame[1] as number;
  return length < 126 ? 2 : length === 126 ? 4 : 10;
}
