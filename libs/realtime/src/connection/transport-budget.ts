import { RealtimeError } from '../core/realtime-error.js';
import { fullBucket, takeToken, type TokenBucket, type TokenBucketLimit } from '../limits/token-bucket.js';

/** Flood protection of one transport, shared by all of them. */
export interface FloodLimit {
  readonly rate: TokenBucketLimit;
  /** What is refused, as a bucket: when it is empty the transport is ended. `perSecond` 0: never. */
  readonly abuse: TokenBucketLimit;
  readonly now: () => number;
  readonly onRefused: () => void;
}

/** Messages that a CONNECT costs as much as: it runs the app's check and a dozen commands of Redis. */
const CONNECT_COST = 10;
/** Of `burst`: so many namespaces can be opened at once, however small it is. */
const CONNECTS_AT_ONCE = 20;

/**
 * What may be asked on one transport: messages, CONNECTs and DISCONNECTs of all its connections, and what was refused of
 * them. Belongs to the transport, because a client makes and ends connections on it as it likes. Keeps no timer.
 */
export class TransportBudget implements TokenBucket {
  tokens: number;
  updatedAt: number;
  /** Created by the first refusal: most transports never see one. */
  private refusals: TokenBucket | undefined;

  constructor(private readonly flood: FloodLimit) {
    this.tokens = flood.rate.burst;
    this.updatedAt = flood.now();
  }

  /** The refusal if a message is one too many. */
  takeMessage(): RealtimeError | undefined {
    return this.take(1);
  }

  /** The refusal if a CONNECT is one too many. */
  takeConnect(): RealtimeError | undefined {
    return this.take(Math.min(CONNECT_COST, this.flood.rate.burst / CONNECTS_AT_ONCE));
  }

  /** It cannot be refused, so it only counts. */
  countDisconnect(): void {
    const { now, rate } = this.flood;
    if (takeToken(this, now(), rate) > 0) this.tokens = 0;
  }

  /** So much was refused that the transport has to end. */
  get isAbused(): boolean {
    return this.refusals !== undefined && this.refusals.tokens < 0;
  }

  private take(cost: number): RealtimeError | undefined {
    const { rate, abuse, now, onRefused } = this.flood;
    const retryAfterMs = takeToken(this, now(), rate, cost);
    if (retryAfterMs === 0) return undefined;
    onRefused();
    this.refusals ??= fullBucket(now(), abuse);
    // Below nothing: the next look sees that it was emptied.
    if (takeToken(this.refusals, now(), abuse) > 0) this.refusals.tokens = -1;
    return new RealtimeError('RATE_LIMITED', undefined, { retryAfterMs });
  }
}
