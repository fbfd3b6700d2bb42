import type { WireError } from 'nestjs-realtime-protocol';
import { serverDelayMs } from './backoff.js';

/** A wire error, or one of our own that was made of one. */
export type ErrorLike = Omit<WireError, 'retryAfterMs'> & { readonly retryAfterMs?: number | undefined };

/**
 * What every promise of this client rejects with. `code` is the server's (see the table of codes), the app's own, or the
 * client's: `CLOSED`, `DISCONNECTED`, `OFFLINE`, `NO_TOKEN`, `INCOMPATIBLE`, `ABORTED`, `DROPPED`, `OTHER_PRINCIPAL`.
 */
export class RealtimeClientError extends Error {
  readonly code: string;
  /** Whether the same call may succeed later without being changed. Default false. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: unknown;

  constructor(code: string, message?: string, options: Partial<ErrorLike> = {}) {
    super(message ?? code);
    this.name = 'RealtimeClientError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  static fromWire(error: ErrorLike): RealtimeClientError {
    return new RealtimeClientError(error.code, error.message, error);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Reads `connect_error.data`; undefined for what is not ours, such as a refused TCP connection. */
export function parseWireError(value: unknown): ErrorLike | undefined {
  if (!isRecord(value)) return undefined;
  const { code, message, retryable, retryAfterMs, details } = value;
  if (typeof code !== 'string') return undefined;
  return {
    code,
    message: typeof message === 'string' ? message : code,
    retryable: retryable === true,
    retryAfterMs: serverDelayMs(retryAfterMs),
    details,
  };
}

/** Of one room in a `realtime:join` reply: a list's failures are `{ room, error }`; an answer that is missing altogether is one too. */
export function readRefusal(result: unknown): RealtimeClientError | undefined {
  if (!isRecord(result)) return new RealtimeClientError('INTERNAL', 'No answer in time', { retryable: true });
  const error = parseWireError(result['error']);
  return error && RealtimeClientError.fromWire(error);
}
