import { RealtimeError } from '../core/realtime-error.js';

/** Reply errors that say "not now" or "not you", not "wrong": the same command may succeed later or on another server. */
const TRANSIENT_REPLY =
  /^(OOM|LOADING|READONLY|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|MISCONF|BUSY|NOPERM|NOAUTH)\b/;

/** `UNAVAILABLE`, retryable. `maybeWritten`: the command had been sent, so it may have been carried out. */
export class RedisUnavailableError extends RealtimeError {
  readonly maybeWritten: boolean;

  constructor(options: { maybeWritten: boolean; cause?: unknown }) {
    super('UNAVAILABLE', undefined, { retryable: true, cause: options.cause });
    this.maybeWritten = options.maybeWritten;
  }
}

/** What a command that had been handed to the connection failed with, as one of our errors. */
export function fromReplyError(error: unknown): RealtimeError {
  if (error instanceof RealtimeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (TRANSIENT_REPLY.test(message)) return new RedisUnavailableError({ maybeWritten: false, cause: error });
  if (isReplyError(error)) return new RealtimeError('INTERNAL', undefined, { cause: error });
  return new RedisUnavailableError({ maybeWritten: true, cause: error });
}

/** What the server itself answered, not the connection. */
export function isReplyError(error: unknown): error is Error {
  // By shape: the user's copy of node-redis may not be ours. Reply errors carry Redis' upper-case code first.
  return error instanceof Error && /^-?[A-Z][A-Z0-9_]+\b/.test(error.message);
}
