import { constants, deflateRawSync } from 'node:zlib';
import type { FrameParts } from './frame-sequence.js';
import { BINARY, TEXT, frameHeader } from './message-frame.js';

// Frames of permessage-deflate (RFC 7692) that depend on nothing that was sent before: one serves all connections.
// Invariant: what comes out is what came in, or a shorter frame that inflates to the same message.

export interface DeflateOptions {
  /** Shorter messages stay as they are. */
  readonly minBytes: number;
  /** Longer messages stay as they are. */
  readonly maxBytes: number;
  readonly level: number;
}

/** Says that a message is deflated: RSV1. */
const DEFLATED = 0x40;
/** What `Z_SYNC_FLUSH` ends with; the receiver adds it again (RFC 7692, 7.2.1). */
const TAIL_BYTES = 4;
export const MAX_WINDOW_BITS = 15;

/**
 * Deflates at once, in the caller's turn: later frames need not wait for earlier ones, so no order can be lost. That holds up
 * the event loop, at level 1 by some 20 µs and 5 µs for each KiB of JSON: why the level is low and long messages stay plain.
 */
export class FrameDeflater {
  // Nearly all who are asked for get the same frame: the last one is found without the map.
  private lastParts: FrameParts | undefined;
  private lastDeflated: FrameParts | undefined;
  private readonly known = new WeakMap<FrameParts, FrameParts>();

  constructor(
    private readonly options: DeflateOptions,
    private readonly windowBits = MAX_WINDOW_BITS,
  ) {}

  /** One frame of a broadcast: the same parts, by identity, are deflated once and lead to the same parts. */
  shared(parts: FrameParts): FrameParts {
    if (this.lastParts === parts) return this.lastDeflated as FrameParts;
    if (!this.isWorthwhile(parts)) return parts;
    let deflated = this.known.get(parts);
    if (!deflated) this.known.set(parts, (deflated = this.deflate(parts)));
    this.lastParts = parts;
    this.lastDeflated = deflated;
    return deflated;
  }

  /** A frame that nobody else gets, in one piece. */
  alone(frame: Buffer): Buffer {
    const parts = [frame];
    if (!this.isWorthwhile(parts)) return frame;
    const deflated = this.deflate(parts);
    return deflated === parts ? frame : Buffer.concat(deflated);
  }

  /** From now on `shared` gives these parts back as they are. */
  leave(parts: FrameParts): void {
    this.known.set(parts, parts);
    if (this.lastParts === parts) this.lastDeflated = parts;
  }

  /** Whole messages alone, and none that is deflated already: control frames and fragments must stay as they are. */
  private isWorthwhile(parts: FrameParts): boolean {
    const { minBytes, maxBytes } = this.options;
    const first = parts[0]?.[0];
    const bytes = payloadLength(parts);
    return (first === TEXT || first === BINARY) && bytes >= minBytes && bytes <= maxBytes;
  }

  private deflate(parts: FrameParts): FrameParts {
    const { windowBits } = this;
    const payload = payloadOf(parts);
    const finishFlush = constants.Z_SYNC_FLUSH;
    const flushed = deflateRawSync(payload, { level: this.options.level, windowBits, finishFlush });
    const deflated = flushed.subarray(0, flushed.length - TAIL_BYTES);
    if (deflated.length >= payload.length) return parts;
    return [frameHeader((parts[0]?.[0] ?? 0) | DEFLATED, deflated.length), deflated];
  }
}

function payloadOf([first, payload]: FrameParts): Buffer {
  if (payload) return payload;
  if (!first) throw new Error('A frame has a header');
  return first.subarray(headerLengthOf(first));
}

function payloadLength([first, payload]: FrameParts): number {
  if (payload) return payload.length;
  return first ? first.length - headerLengthOf(first) : 0;
}

/** Of a frame without a mask. */
function headerLengthOf(frame: Buffer): number {
  const length = frame[1] ?? 0;
  return length < 126 ? 2 : length === 126 ? 4 : 10;
}
