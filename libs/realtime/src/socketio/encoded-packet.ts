import { PacketType } from 'socket.io-parser';
import type { EncodedEvent } from '../core/link.js';

type Frames = (string | Uint8Array)[];

/**
 * A packet that Socket.IO passes around as one of its own, and our encoder recognises: all that is left to encode is the
 * beginning, which names the namespace. One packet serves all sockets and namespaces, one after the other.
 */
export class EncodedPacket {
  readonly type = PacketType.EVENT;
  /** Set by Socket.IO before it encodes. */
  nsp = '/';
  private last: { readonly nsp: string; readonly frames: Frames } | undefined;

  constructor(private readonly event: EncodedEvent) {}

  /** For listeners to what goes out (`onAnyOutgoing`). */
  get data(): readonly unknown[] {
    return this.event.content;
  }

  encode(): Frames {
    const { nsp, event } = this;
    if (this.last?.nsp !== nsp) {
      const { length } = event.attachments;
      const type = length === 0 ? PacketType.EVENT : `${PacketType.BINARY_EVENT}${length}-`;
      this.last = { nsp, frames: [`${type}${nsp === '/' ? '' : `${nsp},`}${event.json}`, ...event.attachments] };
    }
    return this.last.frames;
  }
}

const PACKET = Symbol('nestjs-realtime:packet');

/**
 * The same packet for each socket that gets the event. Kept by the event itself: what a WeakMap knows of young objects lives
 * until all of the heap is collected, and thousands of publications a second would fill it.
 */
export function packetOf(event: EncodedEvent & { [PACKET]?: EncodedPacket }): EncodedPacket {
  return (event[PACKET] ??= new EncodedPacket(event));
}
