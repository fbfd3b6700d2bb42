/** First bytes of frames that hold a whole message. */
export const TEXT = 0x81;
export const BINARY = 0x82;
/** Engine.IO's packet type `message`. */
const MESSAGE = 0x34;

/** The WebSocket frame of an Engine.IO message, as a server sends it: whole, unmasked, in a buffer of its own. */
export function messageFrame(data: string | ArrayBufferView | ArrayBuffer): Buffer {
  return typeof data === 'string' ? textFrame(data) : binaryFrame(viewOf(data));
}

/** What stands before a payload of so many bytes. */
export function frameHeader(firstByte: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerLength(length));
  writeHeader(header, firstByte, length);
  return header;
}

function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text) + 1;
  const start = headerLength(length);
  const frame = Buffer.allocUnsafe(start + length);
  writeHeader(frame, TEXT, length);
  frame[start] = MESSAGE;
  frame.write(text, start + 1);
  return frame;
}

function binaryFrame(data: Uint8Array): Buffer {
  const start = headerLength(data.byteLength);
  const frame = Buffer.allocUnsafe(start + data.byteLength);
  writeHeader(frame, BINARY, data.byteLength);
  frame.set(data, start);
  return frame;
}

function viewOf(data: ArrayBufferView | ArrayBuffer): Uint8Array {
  if (data instanceof Uint8Array) return data;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

function headerLength(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(frame: Buffer, firstByte: number, length: number): void {
  frame[0] = firstByte;
  if (length < 126) {
    frame[1] = length;
  } else if (length < 65_536) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeUInt16BE(0, 2);
    frame.writeUIntBE(length, 4, 6);
  }
}
