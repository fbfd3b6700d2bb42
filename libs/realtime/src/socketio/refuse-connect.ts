import type { WireError } from 'nestjs-realtime-protocol';
import type { TransportBudget } from '../connection/transport-budget.js';
import type { RealtimeMetrics } from '../core/metrics.js';
import { RealtimeError } from '../core/realtime-error.js';
import type { ReportError, Reported } from './session.js';

/** A CONNECT that is refused, with a socket or before there is one. */
export interface RefusedConnect extends Reported {
  readonly auth: unknown;
  readonly deferredRefusal: RealtimeError | undefined;
  readonly budget: TransportBudget;
}

export interface RefusalSinks {
  readonly metrics: RealtimeMetrics;
  readonly report: ReportError;
}

/** The two ways in which the client hears of it. */
export interface RefusalWays extends RefusalSinks {
  readonly tell: (message: string, error: WireError) => void;
  /** Closes the transport, without an answer. */
  readonly close: () => void;
}

/**
 * A stock client never tries again after CONNECT_ERROR, so what may be retried as it is closes its transport instead.
 * Ours knows what to do with the error, but has to come back on another transport where one that failed has less.
 */
export function refuseConnect(connect: RefusedConnect, error: unknown, ways: RefusalWays): void {
  const { metrics, report, tell, close } = ways;
  const refusal = error instanceof RealtimeError ? error : new RealtimeError('INTERNAL');
  if (refusal !== error) report(error, connect, 'connect');
  metrics.handshakeRejected(refusal.code);
  const mayRetryAsItIs = refusal.retryable && refusal.code !== 'TOKEN_EXPIRED';
  const isSpoilt = connect.budget.hasFailed && refusal.code === 'RATE_LIMITED';
  if (isSpoilt || (mayRetryAsItIs && !isOurClient(connect.auth))) return close();
  tell(refusal.message, refusal.toWire());
  // It was let in for this answer, which Socket.IO sends in the next tick.
  if (connect.deferredRefusal) setImmediate(close);
}

function isOurClient(auth: unknown): boolean {
  return typeof auth === 'object' && auth !== null && 'rt' in auth;
}
