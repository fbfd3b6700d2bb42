import { AgeingTable, type Ageing } from '../limits/ageing-table.js';
import {
  fullBucket,
  refill,
  takeInTurn,
  takeToken,
  type TokenBucket,
  type TokenBucketLimit,
} from '../limits/token-bucket.js';

/** Of all transports of a user on this node. */
export interface UserLimit {
  /** What one transport may ask for. `perSecond` 0: no limit. */
  readonly messages: TokenBucketLimit;
  /** Rooms that one transport may join. `perSecond` 0: no limit. */
  readonly joins: TokenBucketLimit;
  /** Bytes of what rooms have kept that one transport may be answered. `perSecond` 0: no limit. */
  readonly history: TokenBucketLimit;
  /** Rooms that the user may bring to this node, all transports together. `perSecond` 0: no limit. */
  readonly newRooms: TokenBucketLimit;
  /** Transports whose shares a user may have together, at least 1. */
  readonly maxShares: number;
  /** How many the user has on this node now; it may stop to count at `most`. */
  readonly transportsOf: (userId: string, most: number) => number;
  readonly now: () => number;
}

/** The limits of each number of shares, from 1 on: computed once, for all users. */
type SharedLimits = readonly Pick<UserLimit, 'messages' | 'joins' | 'history'>[];

/**
 * What the transports of one user may ask for together: as many shares as the user has transports, or had at a time since this was
 * last full. It outlives the transports, so one that replaces another brings no new share. What one does not use is there for the
 * others: of a user with at most `maxShares` transports who replaces none, no transport is refused here that is within its own limit.
 */
export class UserBudget implements Ageing {
  /** A transport that speaks again gets its share in the entry that is there then. */
  isForgotten = false;
  private shares = 0;
  private readonly messages: TokenBucket;
  /** Made by the first join, as most connections have few. */
  private joins: TokenBucket | undefined;
  private history: TokenBucket | undefined;
  private newRooms: TokenBucket | undefined;

  constructor(
    private readonly userId: string,
    private readonly table: AgeingTable<UserBudget>,
    private readonly limit: UserLimit,
    private readonly shared: SharedLimits,
  ) {
    this.messages = { tokens: 0, updatedAt: limit.now() };
  }

  /** A transport of the user speaks for the first time. */
  enter(): void {
    const { maxShares, transportsOf, now } = this.limit;
    if (this.shares === maxShares) return;
    const shares = Math.min(maxShares, Math.max(1, transportsOf(this.userId, maxShares)));
    if (shares <= this.shares) return;
    // What has flowed in until now came with fewer shares.
    if (this.shares > 0) this.isFull(now());
    const more = this.shared[shares - this.shares - 1] as SharedLimits[0];
    this.shares = shares;
    this.messages.tokens += more.messages.burst;
    if (this.joins) this.joins.tokens += more.joins.burst;
    if (this.history) this.history.tokens += more.history.burst;
  }

  /** One of them has ended. */
  leave(): void {
    this.table.forgetIfFull(this.userId, this);
  }

  /** @returns 0, or the milliseconds until a message may come. */
  takeMessage(now: number): number {
    return takeToken(this.messages, now, this.limits.messages);
  }

  /** As `takeMessage`, for a join. `ahead`: see `takeInTurn`. */
  takeJoin(now: number, ahead: number): number {
    const { joins } = this.limits;
    this.joins ??= fullBucket(now, joins);
    return takeInTurn(this.joins, now, joins, ahead);
  }

  /** As `takeMessage`, for an answer with history, whose bytes are counted later. */
  takeHistory(now: number): number {
    const { history } = this.limits;
    this.history ??= fullBucket(now, history);
    return takeToken(this.history, now, history);
  }

  countHistory(bytes: number): void {
    if (this.history) this.history.tokens -= bytes;
  }

  /** A join of a room that this node does not serve yet. */
  takeNewRoom(now: number, ahead: number): number {
    const { newRooms } = this.limit;
    this.newRooms ??= fullBucket(now, newRooms);
    return takeInTurn(this.newRooms, now, newRooms, ahead);
  }

  isFull(now: number): boolean {
    const { messages, joins, history } = this.limits;
    const isHistoryFull = isFull(this.history, now, history);
    const isMessagesFull = isFull(this.messages, now, messages);
    const isJoinsFull = isFull(this.joins, now, joins);
    return isMessagesFull && isJoinsFull && isHistoryFull && isFull(this.newRooms, now, this.limit.newRooms);
  }

  private get limits(): SharedLimits[0] {
    return this.shared[this.shares - 1] as SharedLimits[0];
  }
}

function isFull(bucket: TokenBucket | undefined, now: number, rate: TokenBucketLimit): boolean {
  if (!bucket || rate.perSecond === 0) return true;
  refill(bucket, now, rate);
  return bucket.tokens >= rate.burst;
}

/** The budgets of users who have asked for something lately. */
export class UserBudgets {
  private readonly table: AgeingTable<UserBudget>;
  private readonly shared: SharedLimits;

  constructor(private readonly limit: UserLimit) {
    this.table = new AgeingTable(limit.now, (budget) => (budget.isForgotten = true));
    this.shared = Array.from({ length: limit.maxShares }, (_, index) => ({
      messages: times(index + 1, limit.messages),
      joins: times(index + 1, limit.joins),
      history: times(index + 1, limit.history),
    }));
  }

  get size(): number {
    return this.table.size;
  }

  /** For one transport of the user that begins to speak, and calls `leave` at its end. */
  enter(userId: string): UserBudget {
    let budget = this.table.find(userId);
    if (!budget) this.table.add(userId, (budget = new UserBudget(userId, this.table, this.limit, this.shared)));
    budget.enter();
    return budget;
  }
}

/** One more in each share: rounding must not refuse here what a transport's own budget admits. */
function times(shares: number, { perSecond, burst }: TokenBucketLimit): TokenBucketLimit {
  return { perSecond: shares * perSecond, burst: shares * (burst + 1) };
}
