import { constants, inflateRawSync } from 'node:zlib';
import { frameLength, isDeflated } from '../wire-frame.js';

const HEAD_END = '\r\n\r\n';
const MASKED = 0x80;
/** Credentials are shorter, and nothing else is looked for in what clients send. */
const MAX_MASKED_BYTES = 65_536;
/** A secret that is cut in two by the end of what was read so far is found with the next part. */
const TAIL = 512;
/** What a sender may refer back to, and what it leaves out behind each message (RFC 7692). */
const WINDOW = 32_768;
const END_OF_BLOCK = Buffer.from([0, 0, 0xff, 0xff]);

/** One direction of a connection as a string, part by part. WebSocket frames are unmasked and inflated. */
export class LineText {
  private rest: Buffer = Buffer.alloc(0);
  private isFramed = false;
  private tail = '';
  private window: Buffer = Buffer.alloc(0);

  /** What came, with the end of what came before it. `clean` takes out what may be there. */
  read(chunks: Buffer[], clean: (text: string) => string = (text) => text): string {
    if (chunks.length === 0) return '';
    const text = clean(this.tail + this.decode(Buffer.concat(chunks.splice(0))));
    this.tail = text.slice(-TAIL);
    return text;
  }

  private decode(bytes: Buffer): string {
    if (this.isFramed) return this.frames(bytes);
    const text = bytes.toString('latin1');
    const end = text.indexOf(HEAD_END);
    // Plain frames of a server can be read as they are; those of a client are masked.
    if (end === -1 || !/^(?:upgrade: websocket|sec-websocket-extensions: permessage-deflate)/im.test(text)) return text;
    if (text.startsWith('HTTP/1.1 101') && !/^sec-websocket-extensions: /im.test(text.slice(0, end))) return text;
    this.isFramed = true;
    return `${text.slice(0, end)}\n${this.frames(bytes.subarray(end + HEAD_END.length))}`;
  }

  private frames(bytes: Buffer): string {
    const texts: string[] = [];
    let rest = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    for (;;) {
      const length = wholeLength(rest);
      if (length === undefined || rest.length < length) break;
      texts.push(this.payload(rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
    this.rest = rest;
    return texts.join('\n');
  }

  private payload(frame: Buffer): string {
    const isFromClient = isMasked(frame);
    if (isFromClient && frame.length > MAX_MASKED_BYTES) return '';
    const bytes = isFromClient ? unmasked(frame) : frame.subarray(headLength(frame));
    return (isDeflated(frame) ? this.inflated(bytes) : bytes).toString('latin1');
  }

  private inflated(bytes: Buffer): Buffer {
    const dictionary = this.window.length === 0 ? {} : { dictionary: this.window };
    const message = Buffer.concat([bytes, END_OF_BLOCK]);
    const plain = inflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH, ...dictionary });
    this.window = Buffer.concat([this.window, plain]).subarray(-WINDOW);
    return plain;
  }
}

function isMasked(frame: Buffer): boolean {
  return ((frame[1] ?? 0) & MASKED) !== 0;
}

function wholeLength(bytes: Buffer): number | undefined {
  if (bytes.length < 2 || !isMasked(bytes)) return frameLength(bytes);
  const plain = Buffer.from(bytes.subarray(0, 10));
  plain[1] = (plain[1] ?? 0) & ~MASKED;
  const length = frameLength(plain);
  return length === undefined ? undefined : length + 4;
}

function headLength(frame: Buffer): number {
  const short = (frame[1] ?? 0) & ~MASKED;
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

function unmasked(frame: Buffer): Buffer {
  const head = headLength(frame);
  const bytes = Buffer.from(frame.subarray(head + 4));
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = (bytes[at] ?? 0) ^ (frame[head + (at & 3)] ?? 0);
  return bytes;
}
