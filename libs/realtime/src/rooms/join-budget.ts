import type { Clock } from '../core/clock.js';
import type { Link } from '../core/link.js';
import { RealtimeError } from '../core/realtime-error.js';
import { MAX_ATTACHMENTS } from './publication-body.js';
import type { Recovery } from './room-recovery.js';

/** Milliseconds that a join waits for a slow client to read, and that a client is asked to wait before it tries again. */
const SENDABLE_WITHIN_MS = 5_000;
const ASK_AGAIN_MS = 500;

const later = (message: string): RealtimeError =>
  new RealtimeError('UNAVAILABLE', message, { retryAfterMs: ASK_AGAIN_MS });

/** What one answer may carry of recovered publications, for all its rooms together: as much again may wait already. */
export class JoinBudget {
  private bytes = 0;
  private attachments = 0;

  constructor(private readonly maxBytes: number) {}

  /** @throws RealtimeError `UNAVAILABLE` with `retryAfterMs` if there is no room left; what would not fit alone is not recovered. */
  take(recovery: Recovery | undefined): Recovery | undefined {
    if (!recovery?.publications) return recovery;
    const { bytes, attachments } = recovery;
    if (bytes > this.maxBytes || attachments > MAX_ATTACHMENTS) {
      return { position: recovery.position, recovered: false, bytes: 0, attachments: 0 };
    }
    if (this.bytes + bytes > this.maxBytes || this.attachments + attachments > MAX_ATTACHMENTS)
      throw later('Too much for one answer: ask again for this room');
    this.bytes += bytes;
    this.attachments += attachments;
    return recovery;
  }
}

/** Resolves when less than `maxBytes` wait for the client. @throws RealtimeError `UNAVAILABLE` with `retryAfterMs` after 5 s. */
export function whenSendable(link: Link, maxBytes: number, clock: Clock): Promise<void> {
  if (link.pendingBytes < maxBytes) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const stop = link.onDrain(() => {
      if (link.pendingBytes >= maxBytes) return;
      stop();
      cancel();
      resolve();
    });
    const cancel = clock.after(SENDABLE_WITHIN_MS, () => {
      stop();
      reject(later('The client does not read'));
    });
  });
}
