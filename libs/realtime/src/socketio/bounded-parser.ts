import { Decoder, Encoder, PacketType, type Packet } from 'socket.io-parser';
import type { Cancel, Clock } from '../core/clock.js';
import { EncodedPacket } from './encoded-packet.js';
import { boundPacket, isDisconnect, mayHaveAttachments } from './packet-bounds.js';
import { eachIsPlacedOnce } from './placeholders.js';

export interface ParserOptions {
  readonly clock: Clock;
  /** Milliseconds in which all attachments of a packet must have come. */
  readonly attachmentsWithinMs: number;
}

/** What Socket.IO's decoder keeps while attachments are to come. */
interface Reconstructing {
  readonly reconstructor?: { readonly reconPack?: { readonly data: unknown; readonly attachments: number } } | null;
}

/** Never valid from a client: Socket.IO closes the transport that it seems to come from. */
const INVALID = { type: PacketType.CONNECT_ERROR, nsp: '/' };

/**
 * Socket.IO's decoder, made safe against what a client may send: JSON too deep to be encoded again, packets that mean
 * nothing, attachments that never come or stand in many places, and a CONNECT right behind the DISCONNECT of its namespace.
 * Invariant: nothing it does later than in `add` throws.
 */
class BoundedDecoder extends Decoder {
  private waiting: unknown[] | undefined;
  private cancelDeadline: Cancel | undefined;

  constructor(private readonly options: ParserOptions) {
    super();
  }

  override add(packet: unknown): void {
    if (this.waiting) this.waiting.push(packet);
    else this.decode(packet);
  }

  override destroy(): void {
    this.waiting?.splice(0);
    this.cancelDeadline?.();
    super.destroy();
  }

  private decode(packet: unknown): void {
    if (typeof packet !== 'string') {
      super.add(packet);
      if (!this.isIncomplete()) this.cancelDeadline?.();
      return;
    }
    super.add(boundPacket(packet));
    if (mayHaveAttachments(packet)) this.expectAttachments();
    if (isDisconnect(packet)) this.pause();
  }

  /** Waits for attachments; Socket.IO itself would for ever. */
  private isIncomplete(): boolean {
    return Boolean((this as unknown as Reconstructing).reconstructor);
  }

  /** @throws Error if they do not stand in one place each. */
  private expectAttachments(): void {
    const { reconPack } = (this as unknown as Reconstructing).reconstructor ?? {};
    if (!reconPack || !eachIsPlacedOnce(reconPack.data, reconPack.attachments))
      throw new Error('attachments are not in one place each');
    const { clock, attachmentsWithinMs } = this.options;
    this.cancelDeadline = clock.after(attachmentsWithinMs, () => this.reject());
  }

  /**
   * Socket.IO carries out a DISCONNECT in the next tick, and closes the transport of a client whose CONNECT to the same
   * namespace comes in the same read: what follows waits until the namespace is free.
   */
  private pause(): void {
    this.waiting ??= [];
    process.nextTick(() => {
      const packets = this.waiting ?? [];
      this.waiting = undefined;
      try {
        for (const packet of packets) this.add(packet);
      } catch {
        // Nobody above would catch it.
        this.reject();
      }
    });
  }

  private reject(): void {
    super.emitReserved('decoded', INVALID);
  }
}

/** Socket.IO's encoder, which leaves alone what is encoded already. */
class PassingEncoder extends Encoder {
  override encode(packet: Packet): ReturnType<Encoder['encode']> {
    const given: unknown = packet;
    return given instanceof EncodedPacket ? given.encode() : super.encode(packet);
  }
}

/** Socket.IO makes a decoder for each transport, and passes it nothing. */
export function boundedParser(options: ParserOptions): { Encoder: typeof Encoder; Decoder: new () => Decoder } {
  return {
    Encoder: PassingEncoder,
    Decoder: class extends BoundedDecoder {
      constructor() {
        super(options);
      }
    },
  };
}
