import { REALTIME_CODES, isRealtimeCode, type RealtimeCode, type WireError } from 'nestjs-realtime-protocol';

export interface RealtimeErrorOptions {
  retryable?: boolean | undefined;
  /** Milliseconds the client should wait before it tries again. */
  retryAfterMs?: number | undefined;
  /** Reaches the client: never put secrets or the client's own payload here. */
  details?: unknown;
  cause?: unknown;
}

/**
 * The one error class: `code` is one of `RealtimeCode` or the app's own, `message` and `details` reach the client,
 * `cause` never does.
 */
export class RealtimeError extends Error {
  readonly code: RealtimeCode | (string & {});
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: unknown;

  constructor(code: RealtimeCode | (string & {}), message?: string, options: RealtimeErrorOptions = {}) {
    const known = isRealtimeCode(code) ? REALTIME_CODES[code] : undefined;
    super(message ?? known?.message ?? code, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RealtimeError';
    this.code = code;
    this.retryable = options.retryable ?? known?.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  toWire(): WireError {
    return {
      code: this.code,
      message: this.message,
      retryable: this.retryable,
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}
