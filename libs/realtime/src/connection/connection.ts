import { SERVER_EVENTS, type WireError } from 'nestjs-realtime-protocol';
import type { Credentials } from '../auth/authenticator.js';
import type { ConnectionLink } from './connection-link.js';
import type { Principal } from '../core/principal.js';
import { RealtimeError } from '../core/realtime-error.js';
import { fullBucket, takeToken, type TokenBucket, type TokenBucketLimit } from '../limits/token-bucket.js';
import type { RoomMember } from '../rooms/room-member.js';

export interface ConnectionInit {
  readonly link: ConnectionLink;
  readonly credentials: Credentials;
  readonly device: string;
  /** Marked itself in CONNECT: understands `retryAfterMs` and reconnects after a refusal. */
  readonly isOurClient: boolean;
  readonly flood: FloodLimit;
}

/** Flood protection of one connection, shared by all of them. */
export interface FloodLimit {
  readonly rate: TokenBucketLimit;
  /** Refused messages as a bucket: when it is empty the connection is ended. `perSecond` 0: never. */
  readonly abuse: TokenBucketLimit;
  readonly now: () => number;
  readonly onRefused: () => void;
}

/** One principal in one namespace, from its authenticated handshake to its end. Keeps no timer. */
export class Connection implements RoomMember, TokenBucket {
  readonly link: ConnectionLink;
  readonly device: string;
  readonly isOurClient: boolean;
  readonly rooms = new Set<string>();
  credentials: Credentials;
  tokens: number;
  updatedAt: number;
  private readonly flood: FloodLimit;
  /** Created by the first refusal: most connections never see one. */
  private refusals: TokenBucket | undefined;
  private tail: Promise<unknown> | undefined;
  private isEnding = false;

  constructor(init: ConnectionInit) {
    this.link = init.link;
    this.credentials = init.credentials;
    this.device = init.device;
    this.isOurClient = init.isOurClient;
    this.flood = init.flood;
    this.tokens = init.flood.rate.burst;
    this.updatedAt = init.flood.now();
  }

  get principal(): Principal {
    return this.credentials.principal;
  }

  /** Counts a message against the flood limit; the refusal if it is one too many. */
  takeMessage(): RealtimeError | undefined {
    const { rate, abuse, now, onRefused } = this.flood;
    const retryAfterMs = takeToken(this, now(), rate);
    if (retryAfterMs === 0) return undefined;
    onRefused();
    const error = new RealtimeError('RATE_LIMITED', undefined, { retryAfterMs });
    this.refusals ??= fullBucket(now(), abuse);
    if (takeToken(this.refusals, now(), abuse) > 0) this.end(error);
    return error;
  }

  inOrder<T>(task: () => Promise<T>): Promise<T> {
    const result = this.tail ? this.tail.then(task, task) : task();
    const settled: Promise<void> = result.then(
      () => this.settle(settled),
      () => this.settle(settled),
    );
    this.tail = settled;
    return result;
  }

  /**
   * Ends the connection, saying why. What may be retried closes the transport, because a stock client never comes back
   * after a DISCONNECT packet; what must stay ended sends one.
   */
  end(error: RealtimeError): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.link.emit(SERVER_EVENTS.bye, error.toWire() satisfies WireError);
    if (error.retryable) this.link.closeTransport();
    else this.link.disconnect();
  }

  private settle(settled: Promise<unknown>): void {
    if (this.tail === settled) this.tail = undefined;
  }
}
