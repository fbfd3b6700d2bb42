import { AgeingTable, type Ageing } from './ageing-table.js';
import { addressKey } from './client-address.js';
import { refill, type TokenBucket, type TokenBucketLimit } from './token-bucket.js';

/** Those of one address. It may owe some: several are checked at a time, and fail one after the other. */
class Failures implements Ageing, TokenBucket {
  tokens: number;

  constructor(
    private readonly limit: TokenBucketLimit,
    public updatedAt: number,
  ) {
    this.tokens = limit.burst;
  }

  isFull(now: number): boolean {
    refill(this, now, this.limit);
    return this.tokens >= this.limit.burst;
  }
}

/** Clients that were refused come back one by one. */
const RETRY_FROM_MS = 1_000;
const RETRY_SPREAD_MS = 4_000;

/**
 * CONNECTs that failed for their credentials, by address: an IPv4 address or an IPv6 /64. Successes never count, so an address of
 * ten thousand users who may connect is never in here. Of what an address has, the first half is for all, and the second for transports
 * that have not failed yet: a client with good credentials needs one try, and a flood has to open a transport for each of its own.
 */
export class FailedConnects {
  private readonly table: AgeingTable<Failures>;

  /** @param limit `perSecond` 0: nothing is counted */
  constructor(
    private readonly limit: TokenBucketLimit,
    private readonly now: () => number,
    private readonly random: () => number = Math.random,
  ) {
    this.table = new AgeingTable(now);
  }

  get size(): number {
    return this.table.size;
  }

  /** @returns 0, or the milliseconds after which a CONNECT may be tried again. `hasFailed`: one on the same transport has. */
  waitMs(address: string, hasFailed: boolean): number {
    if (this.table.size === 0) return 0;
    const failures = this.table.find(addressKey(address));
    const { burst, perSecond } = this.limit;
    const missing = (hasFailed ? Math.max(1, burst / 2) : 1) - (failures?.tokens ?? burst);
    if (missing <= 0) return 0;
    const adviceMs = RETRY_FROM_MS + this.random() * RETRY_SPREAD_MS;
    return Math.round(Math.max(adviceMs, (missing * 1_000) / perSecond));
  }

  count(address: string): void {
    if (this.limit.perSecond === 0) return;
    const key = addressKey(address);
    let failures = this.table.find(key);
    if (!failures) this.table.add(key, (failures = new Failures(this.limit, this.now())));
    failures.tokens -= 1;
  }
}
