import { RealtimeError } from '../core/realtime-error.js';
import { fullBucket, refill, takeToken, type TokenBucket, type TokenBucketLimit } from '../limits/token-bucket.js';

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

  /** Goes on where another transport of the same user stopped, unless this one has less. */
  resume({ tokens, updatedAt, refusals }: KeptBudget): void {
    const { abuse, now, rate } = this.flood;
    const kept = { tokens, updatedAt };
    refill(kept, now(), rate);
    this.tokens = Math.min(this.tokens, kept.tokens);
    if (!refusals || this.refusals) return;
    this.refusals = { ...refusals };
    refill(this.refusals, now(), abuse);
  }

  /** What is left to resume; undefined while it is as good as new. */
  keep(): (KeptBudget & { readonly fullInMs: number }) | undefined {
    const { abuse, now, rate } = this.flood;
    refill(this, now(), rate);
    if (this.refusals) refill(this.refusals, now(), abuse);
    const fullInMs = Math.max(msUntilFull(this, rate), this.refusals ? msUntilFull(this.refusals, abuse) : 0);
    if (fullInMs === 0) return undefined;
    return {
      tokens: this.tokens,
      updatedAt: this.updatedAt,
      refusals: this.refusals && { ...this.refusals },
      fullInMs,
    };
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

/** A budget whose transport has gone. */
export interface KeptBudget extends TokenBucket {
  readonly refusals: TokenBucket | undefined;
}

function msUntilFull({ tokens }: TokenBucket, { perSecond, burst }: TokenBucketLimit): number {
  return perSecond === 0 ? 0 : Math.max(0, Math.ceil(((burst - tokens) * 1_000) / perSecond));
}
