import { constants, inflateRawSync } from 'node:zlib';

/** What a sender leaves out behind each message (RFC 7692, 7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const WINDOW_BYTES = 32_768;
const finishFlush = constants.Z_SYNC_FLUSH;

/** Inflates the messages of one connection, at once: what arrives together is read in order. */
export class Inflater {
  /** What the next message may refer to. */
  private window: Buffer | undefined;

  constructor(private readonly keepsContext: boolean) {}

  inflate(payload: Buffer): Buffer {
    const { window } = this;
    const message = inflateRawSync(
      Buffer.concat([payload, TAIL]),
      window ? { finishFlush, dictionary: window } : { finishFlush },
    );
    if (this.keepsContext) this.window = (window ? Buffer.concat([window, message]) : message).subarray(-WINDOW_BYTES);
    return message;
  }
}
