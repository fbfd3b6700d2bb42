import { setImmediate } from 'node:timers';
import type { Socket as NetSocket } from 'node:net';
import { directHandle, writeSmall, type DirectWrite, type StreamHandle } from './direct-write.js';
import { FrameSequence, type FrameParts } from './frame-sequence.js';
import { messageFrame } from './message-frame.js';
import { Seats } from './seats.js';

/** A connection that frames wait for. */
export interface TurnMember {
  /** Writes what waits now, instead of at the end of the turn. */
  flush(): void;
  /** At the end of the turn, unless its handle has taken all of it. */
  written(bytes: Buffer, how: Exclude<DirectWrite, 'all'>): void;
}

/** The options object that Socket.IO makes anew for each broadcast and hands on for each recipient. */
type BroadcastKey = object;

/** Bytes of frames after which later ones are no longer shared with them, so that a long turn does not keep them all. */
const MAX_SHARED_BYTES = 1_048_576;

/** Bytes that do not wait for the end of the turn: a system call for them costs little beside copying them. */
export const MAX_WAITING_BYTES = 65_536;

/** Whether a frame does not wait. */
export function isLarge(parts: FrameParts): boolean {
  return (parts[1]?.length ?? 0) >= MAX_WAITING_BYTES;
}

/** Turns that have not ended; what they hold is written even if the process exits now. */
const unended = new Set<WriteTurn>();
let isExitWatched = false;

/**
 * One turn of the event loop, over and over: connections that get frames in it write them when it ends, each in one system
 * call. The end is `setImmediate`: it comes right after the callbacks of the sockets that were ready, whose answers all go
 * out together, and before the loop may wait for anything. A microtask would end the turn after each of those callbacks.
 */
export class WriteTurn {
  readonly seats = new Seats<TurnMember>();
  private number = 1;
  // What waits, side by side: at the end of a turn the members themselves, which are far apart in memory, are not looked at.
  private members: (TurnMember | undefined)[] = [];
  private sequences: (FrameSequence | undefined)[] = [];
  private handles: (StreamHandle | undefined)[] = [];
  private start = new FrameSequence();
  private sharedBytes = 0;
  private lastParts: FrameParts | undefined;
  private lastFrame: Buffer | undefined;
  private broadcast: BroadcastKey | undefined;
  private readonly encoded = new Map<unknown, FrameParts>();

  /** @param hasDirectWrites Small writes go past Node's streams. */
  constructor(private readonly hasDirectWrites = true) {
    if (isExitWatched) return;
    isExitWatched = true;
    process.on('exit', () => {
      for (const turn of unended) turn.end();
    });
  }

  /** What waits for the end of the turn. */
  waiting(seat: number): FrameSequence | undefined {
    const { turns, places } = this.seats;
    return turns[seat] === this.number ? this.sequences[places[seat]!] : undefined;
  }

  /** Frames of a broadcast. False: the seat is another's by now, or something is in their way. */
  share(seat: number, owner: TurnMember, frames: readonly FrameParts[]): boolean {
    const { owners, obstacles } = this.seats;
    if (owners[seat] !== owner || obstacles[seat] !== 0) return false;
    for (const parts of frames) this.add(seat, parts);
    return true;
  }

  /** A frame for all recipients of a broadcast: the same parts, by identity. */
  add(seat: number, parts: FrameParts): void {
    this.put(seat, (this.waiting(seat) ?? this.begin(seat)).next(parts, this.join));
  }

  /** A frame that nobody else gets. */
  append(seat: number, frame: Buffer): void {
    this.put(seat, (this.waiting(seat) ?? this.begin(seat)).append(frame));
  }

  /** Who takes it writes it: nothing waits any more. */
  take(seat: number): FrameSequence | undefined {
    const sequence = this.waiting(seat);
    if (sequence) this.sequences[this.seats.places[seat]!] = undefined;
    return sequence;
  }

  /** Where small writes of a socket go that has nothing waiting. */
  handleOf(socket: NetSocket): StreamHandle | undefined {
    return this.hasDirectWrites ? directHandle(socket) : undefined;
  }

  /** What is to be written goes to another handle now, or to none. */
  direct(seat: number, handle: StreamHandle | undefined): void {
    const { handles, turns, places } = this.seats;
    handles[seat] = handle;
    if (turns[seat] === this.number) this.handles[places[seat]!] = handle;
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

  private put(seat: number, sequence: FrameSequence): void {
    const { places, owners } = this.seats;
    this.sequences[places[seat]!] = sequence;
    if (sequence.byteLength >= MAX_WAITING_BYTES) owners[seat]?.flush();
  }

  /** The first frame of this turn, or since the last write: where its sequence starts. */
  private begin(seat: number): FrameSequence {
    if (this.sharedBytes > MAX_SHARED_BYTES) {
      this.sharedBytes = 0;
      this.start = new FrameSequence();
    }
    const { seats, start } = this;
    this.sequences.push(start);
    this.handles.push(seats.handles[seat]);
    const count = this.members.push(seats.owners[seat]);
    seats.turns[seat] = this.number;
    seats.places[seat] = count - 1;
    if (count === 1) {
      unended.add(this);
      setImmediate(this.end);
    }
    return start;
  }

  private readonly end = (): void => {
    const { members, sequences, handles } = this;
    unended.delete(this);
    this.number += 1;
    this.members = [];
    this.sequences = [];
    this.handles = [];
    this.start = new FrameSequence();
    this.sharedBytes = 0;
    this.lastParts = this.lastFrame = this.broadcast = undefined;
    this.encoded.clear();
    for (let place = 0; place < members.length; place += 1) {
      const bytes = sequences[place]?.bytes();
      if (!bytes) continue;
      const how = writeSmall(handles[place], bytes);
      if (how !== 'all') members[place]?.written(bytes, how);
    }
  };
}
