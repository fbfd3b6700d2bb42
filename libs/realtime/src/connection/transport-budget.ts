import { RealtimeError } from '../core/realtime-error.js';
import { fullBucket, takeInTurn, takeToken, type TokenBucket, type TokenBucketLimit } from '../limits/token-bucket.js';
import type { UserBudget, UserBudgets } from './user-budgets.js';

/** The options whose limits refuse what clients ask for. */
export type FloodOption = 'messagesPerSecond' | 'joinsPerSecond' | 'newRoomsPerSecond' | 'userShares' | 'history';

/** Flood protection of one transport, shared by all of them. */
export interface FloodLimit {
  readonly rate: TokenBucketLimit;
  /** What is refused, as a bucket: when it is empty the transport is ended. `perSecond` 0: never. */
  readonly abuse: TokenBucketLimit;
  /** Rooms that may be joined. `perSecond` 0: no limit. */
  readonly joins: TokenBucketLimit;
  /** Bytes of what rooms have kept, in answers. `perSecond` 0: no limit. */
  readonly history: TokenBucketLimit;
  /** Undefined: users are not limited. */
  readonly users: UserBudgets | undefined;
  readonly now: () => number;
  readonly onRefused: (option: FloodOption) => void;
}

/** One room of a join. */
export interface JoinCost {
  /** Undefined: a stranger. */
  readonly userId: string | undefined;
  /** The node does not serve the room yet. */
  readonly isNew: boolean;
  /** Rooms of the same join that were refused before it. */
  readonly ahead: number;
}

/** Messages that a CONNECT costs as much as: it runs the app's check and a dozen commands of Redis. */
const CONNECT_COST = 10;
/** Of `burst`: so many namespaces can be opened at once, however small it is. */
const CONNECTS_AT_ONCE = 20;

/**
 * What may be asked on one transport: messages, joins, CONNECTs and DISCONNECTs of all its connections, and what was refused of
 * them. Belongs to the transport, because a client makes and ends connections on it as it likes; what its user may ask for
 * with all transports is asked after it. Keeps no timer.
 */
export class TransportBudget implements TokenBucket {
  tokens: number;
  updatedAt: number;
  /** A CONNECT has failed for its credentials. */
  hasFailed = false;
  /** Created by the first refusal: most transports never see one. */
  private refusals: TokenBucket | undefined;
  /** Created by the first join. */
  private joins: TokenBucket | undefined;
  /** Created by the first answer of what a room has kept. */
  private history: TokenBucket | undefined;
  /** Of the first user who speaks here: a client may have several, and they are one client. */
  private user: UserBudget | undefined;

  constructor(private readonly flood: FloodLimit) {
    this.tokens = flood.rate.burst;
    this.updatedAt = flood.now();
  }

  /** The refusal if a message is one too many. `userId`: undefined for a stranger. */
  takeMessage(userId?: string): RealtimeError | undefined {
    const now = this.flood.now();
    const refusal = this.take(1, now);
    if (refusal) return refusal;
    const waitMs = this.userOf(userId)?.takeMessage(now) ?? 0;
    return waitMs === 0 ? undefined : this.refusal('userShares', waitMs);
  }

  /** The refusal if the join of one room is one too many. It never counts as abuse: its message was counted. */
  takeJoin({ userId, isNew, ahead }: JoinCost): RealtimeError | undefined {
    const { joins } = this.flood;
    const now = this.flood.now();
    this.joins ??= fullBucket(now, joins);
    const waitMs = takeInTurn(this.joins, now, joins, ahead);
    if (waitMs > 0) return this.refusal('joinsPerSecond', waitMs);
    const user = this.userOf(userId);
    const userWaitMs = user?.takeJoin(now, ahead) ?? 0;
    if (userWaitMs > 0) return this.refusal('userShares', userWaitMs);
    const newWaitMs = isNew ? (user?.takeNewRoom(now, ahead) ?? 0) : 0;
    return newWaitMs === 0 ? undefined : this.refusal('newRoomsPerSecond', newWaitMs);
  }

  /**
   * The refusal if more of what rooms have kept was answered than has flowed in since. What the next answer weighs is known when it
   * is there: `countHistory` may leave the budget owing.
   */
  takeHistory(userId: string | undefined): RealtimeError | undefined {
    const { history } = this.flood;
    const now = this.flood.now();
    this.history ??= fullBucket(now, history);
    const waitMs = takeToken(this.history, now, history);
    if (waitMs > 0) return this.refusal('history', waitMs);
    const userWaitMs = this.userOf(userId)?.takeHistory(now) ?? 0;
    return userWaitMs === 0 ? undefined : this.refusal('userShares', userWaitMs);
  }

  /** After `takeHistory`. Negative bytes were counted too much. */
  countHistory(bytes: number): void {
    if (this.history) this.history.tokens -= bytes;
    this.user?.countHistory(bytes);
  }

  /** The refusal if a CONNECT is one too many. It is not counted for the user: an account may be many clients. */
  takeConnect(): RealtimeError | undefined {
    const { rate, now } = this.flood;
    return this.take(Math.min(CONNECT_COST, rate.burst / CONNECTS_AT_ONCE), now());
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

  /** The transport is gone. */
  protected leaveUser(): void {
    this.user?.leave();
    this.user = undefined;
  }

  private userOf(userId: string | undefined): UserBudget | undefined {
    const { users } = this.flood;
    if (this.user?.isForgotten) this.user = undefined;
    if (userId !== undefined && users) this.user ??= users.enter(userId);
    return this.user;
  }

  private take(cost: number, now: number): RealtimeError | undefined {
    const { rate, abuse } = this.flood;
    const retryAfterMs = takeToken(this, now, rate, cost);
    if (retryAfterMs === 0) return undefined;
    this.refusals ??= fullBucket(now, abuse);
    // Below nothing: the next look sees that it was emptied.
    if (takeToken(this.refusals, now, abuse) > 0) this.refusals.tokens = -1;
    return this.refusal('messagesPerSecond', retryAfterMs);
  }

  private refusal(option: FloodOption, retryAfterMs: number): RealtimeError {
    this.flood.onRefused(option);
    return new RealtimeError('RATE_LIMITED', undefined, { retryAfterMs });
  }
}
