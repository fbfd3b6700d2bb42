import { setImmediate } from 'node:timers';
import { FrameSequence, type FrameParts } from './frame-sequence.js';
import { messageFrame } from './message-frame.js';

/** A connection that frames wait for. */
export interface TurnMember {
  /** Writes what waits, if anything does. */
  flush(): void;
}

/** The options object that Socket.IO makes anew for each broadcast and hands on for each recipient. */
type BroadcastKey = object;

/** Bytes of frames after which later ones are no longer shared with them, so that a long turn does not keep them all. */
const MAX_SHARED_BYTES = 1_048_576;

/** Turns that have not ended; what they hold is written even if the process exits now. */
const unended = new Set<WriteTurn>();
let isExitWatched = false;

/**
 * One turn of the event loop, over and over: connections that get frames in it write them when it ends, each in one system
 * call. The end is `setImmediate`: it comes right after the callbacks of the sockets that were ready, whose answers all go
 * out together, and before the loop may wait for anything. A microtask would end the turn after each of those callbacks.
 */
export class WriteTurn {
  private members: TurnMember[] = [];
  private start = new FrameSequence();
  private sharedBytes = 0;
  private lastParts: FrameParts | undefined;
  private lastFrame: Buffer | undefined;
  private broadcast: BroadcastKey | undefined;
  private readonly encoded = new Map<unknown, FrameParts>();

  constructor() {
    if (isExitWatched) return;
    isExitWatched = true;
    process.on('exit', () => {
      for (const turn of unended) turn.end();
    });
  }

  /** A member's first frame of this turn, or since its last write: where its sequence starts. */
  begin(member: TurnMember): FrameSequence {
    if (this.members.push(member) === 1) {
      unended.add(this);
      setImmediate(this.end);
    }
    if (this.sharedBytes > MAX_SHARED_BYTES) {
      this.sharedBytes = 0;
      this.start = new FrameSequence();
    }
    return this.start;
  }

  /** A frame in one piece, put together once for all recipients of a broadcast. */
  readonly join = (parts: FrameParts): Buffer => {
    if (this.lastParts === parts && this.lastFrame) return this.lastFrame;
    const [first] = parts;
    const frame = parts.length === 1 && first ? first : Buffer.concat(parts);
    this.lastParts = parts;
    this.lastFrame = frame;
    this.sharedBytes += frame.length;
    return frame;
  };

  /** The frame of one packet of a broadcast that Socket.IO has not framed: events with binary data. */
  encode(broadcast: BroadcastKey, data: string | ArrayBufferView | ArrayBuffer): FrameParts {
    if (this.broadcast !== broadcast) {
      this.broadcast = broadcast;
      this.encoded.clear();
    }
    let parts = this.encoded.get(data);
    if (!parts) this.encoded.set(data, (parts = [messageFrame(data)]));
    return parts;
  }

  private readonly end = (): void => {
    const { members } = this;
    unended.delete(this);
    this.members = [];
    this.start = new FrameSequence();
    this.sharedBytes = 0;
    this.lastParts = this.lastFrame = this.broadcast = undefined;
    this.encoded.clear();
    for (const member of members) member.flush();
  };
}
