/** A WebSocket frame in one piece, or as header and payload: what `ws` takes and Socket.IO's adapter encodes ahead. */
export type FrameParts = readonly Buffer[];

/** Puts a frame in one piece. */
export type Join = (parts: FrameParts) => Buffer;

/**
 * The frames that a connection gets within one turn of the event loop, in order. Sequences form a tree: connections that
 * got the same frames are at the same place in it, and whoever is written first puts the bytes together for all of them.
 * Invariant: a sequence never changes; the next frame leads to another one.
 */
export class FrameSequence {
  readonly byteLength: number;
  // Nearly all who are here get the same next frame: the last one is found without a map.
  private lastKey: FrameParts | undefined;
  private lastNext: FrameSequence | undefined;
  private others: Map<FrameParts, FrameSequence> | undefined;
  private joined: Buffer | undefined;

  constructor(
    private readonly before?: FrameSequence,
    private readonly frame?: Buffer,
  ) {
    this.byteLength = (before?.byteLength ?? 0) + (frame?.length ?? 0);
  }

  /** Frames of a broadcast: the same parts, by identity, lead to the same sequence. */
  next(parts: FrameParts, join: Join): FrameSequence {
    if (this.lastKey === parts) return this.lastNext as FrameSequence;
    let next = this.others?.get(parts);
    if (!next) {
      next = new FrameSequence(this, join(parts));
      this.remember(parts, next);
    }
    this.lastKey = parts;
    this.lastNext = next;
    return next;
  }

  /** A frame that nobody else gets. */
  append(frame: Buffer): FrameSequence {
    return new FrameSequence(this, frame);
  }

  /** All frames in one buffer, which is not to be changed. */
  bytes(): Buffer {
    return (this.joined ??= this.join());
  }

  /** From the second one on, all of them are in the map. */
  private remember(parts: FrameParts, next: FrameSequence): void {
    if (this.others) this.others.set(parts, next);
    else if (this.lastKey && this.lastNext) this.others = new Map([[this.lastKey, this.lastNext]]).set(parts, next);
  }

  private join(): Buffer {
    if (this.frame && this.frame.length === this.byteLength) return this.frame;
    const all = Buffer.allocUnsafe(this.byteLength);
    let end = all.length;
    let place: FrameSequence | undefined = this;
    while (place?.frame) {
      end -= place.frame.length;
      all.set(place.frame, end);
      place = place.before;
    }
    return all;
  }
}
