import type { Clock } from '../core/clock.js';
import { addressKey } from './client-address.js';
import type { ResolvedLimitsOptions } from './limits-options.js';
import { fullBucket, takeToken, type TokenBucketLimit, type TokenBucket } from './token-bucket.js';

export type Admission =
  | { readonly status: 'accepted' }
  /** Accept the transport, answer CONNECT with this: browsers cannot see why an upgrade was refused. */
  | {
      readonly status: 'deferred';
      readonly limit: 'transports.soft' | 'newTransportsPerSecond' | 'transportsPerIp';
      readonly code: 'UNAVAILABLE' | 'RATE_LIMITED';
      readonly retryAfterMs: number;
    }
  /** Answer the upgrade with a status: there is no room even to say why. */
  | {
      readonly status: 'refused';
      readonly limit: 'transports.hard' | 'transportsPerIp';
      readonly code: 'UNAVAILABLE' | 'RATE_LIMITED';
      readonly retryAfterMs: number;
    };

type TransportOptions = Pick<ResolvedLimitsOptions, 'transports' | 'newTransportsPerSecond' | 'transportsPerIp'>;

const ACCEPTED: Admission = { status: 'accepted' };
/** Advice when nobody can know when there will be room; spread, so that the refused do not return together. */
const RETRY_FROM_MS = 1_000;
const RETRY_SPREAD_MS = 4_000;

/**
 * The transports of this node: how many there are, from where, and how fast new ones come.
 * Refuses nothing by itself: it says what to do with an upgrade. Invariant: it holds one number for each address that has a
 * live transport and nothing else, so it never holds more than `transports.hard` of them.
 */
export class TransportLimits {
  private readonly perAddress = new Map<string, number>();
  private readonly rate: TokenBucketLimit;
  private readonly arrivals: TokenBucket;
  private count = 0;

  constructor(
    private readonly options: TransportOptions,
    private readonly clock: Clock,
    private readonly random: () => number = Math.random,
  ) {
    const perSecond = options.newTransportsPerSecond;
    this.rate = { perSecond, burst: Math.max(1, perSecond * 2) };
    this.arrivals = fullBucket(clock.now(), this.rate);
  }

  /** Transports that were admitted and have not left. */
  get live(): number {
    return this.count;
  }

  /** One more would be deferred or refused, whoever it is: readiness reports it. */
  get isAtCapacity(): boolean {
    const { hard, soft } = this.options.transports;
    return isReached(this.count, hard) || isReached(this.count, soft);
  }

  /**
   * Decides about an upgrade. Unless it is `refused`, the transport counts from now on, and `leave` must be called exactly
   * once with the same address: when it closes, or when the upgrade fails.
   */
  admit(address: string): Admission {
    const { hard, soft } = this.options.transports;
    if (isReached(this.count, hard)) return this.refused('transports.hard', 'UNAVAILABLE');
    const key = addressKey(address);
    const fromAddress = this.perAddress.get(key) ?? 0;
    // As many again may be told why; whoever asks for more has been told, and takes the place of others.
    if (isReached(fromAddress, 2 * this.options.transportsPerIp))
      return this.refused('transportsPerIp', 'RATE_LIMITED');
    const isFull = isReached(this.count, soft);
    const isAddressFull = isReached(fromAddress, this.options.transportsPerIp);
    this.count += 1;
    this.perAddress.set(key, fromAddress + 1);
    // An address beyond its share must not spend the arrivals of the others.
    if (isAddressFull) return this.deferred('transportsPerIp', 'RATE_LIMITED');
    if (isFull) return this.deferred('transports.soft', 'UNAVAILABLE');
    const waitMs = takeToken(this.arrivals, this.clock.now(), this.rate);
    return waitMs === 0 ? ACCEPTED : this.deferred('newTransportsPerSecond', 'UNAVAILABLE', waitMs);
  }

  leave(address: string): void {
    const key = addressKey(address);
    const fromAddress = this.perAddress.get(key);
    if (fromAddress === undefined) return;
    this.count -= 1;
    if (fromAddress === 1) this.perAddress.delete(key);
    else this.perAddress.set(key, fromAddress - 1);
  }

  private refused(
    limit: (Admission & { status: 'refused' })['limit'],
    code: (Admission & { status: 'refused' })['code'],
  ): Admission {
    return { status: 'refused', limit, code, retryAfterMs: this.retryAfterMs() };
  }

  private deferred(
    limit: (Admission & { status: 'deferred' })['limit'],
    code: (Admission & { status: 'deferred' })['code'],
    waitMs = 0,
  ): Admission {
    return { status: 'deferred', limit, code, retryAfterMs: waitMs + this.retryAfterMs() };
  }

  private retryAfterMs(): number {
    return Math.round(RETRY_FROM_MS + this.random() * RETRY_SPREAD_MS);
  }
}

function isReached(count: number, limit: number): boolean {
  return limit > 0 && count >= limit;
}
