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

  constructor(
    code: string,
    message: string = code,
    { retryable = false, retryAfterMs, details }: Partial<ErrorLike> = {},
  ) {
    super(message);
    this.name = 'RealtimeClientError';
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.details = details;
  }
}

export function errorOf(error: ErrorLike): RealtimeClientError {
  return new RealtimeClientError(error.code, error.message, error);
}

export function wireError(code: string, message: string, retryable = false): ErrorLike {
  return { code, message, retryable };
}

export const NO_ANSWER = /* @__PURE__ */ wireError('TIMEOUT', 'No answer in time', true);
export const NOT_CONNECTED = /* @__PURE__ */ wireError('UNAVAILABLE', 'Not connected', true);

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
  const error = isRecord(result) ? parseWireError(result['error']) : { ...NO_ANSWER, code: 'INTERNAL' };
  return error && errorOf(error);
}
