/**
 * Every refusal that reaches a client has one of these codes. An app may add its own (`RealtimeError`, `WsException`).
 * `retryable` says whether the same request may succeed later without the caller changing it.
 */
export const REALTIME_CODES = {
  UNAUTHORIZED: { retryable: false, message: 'Authentication is required' },
  TOKEN_EXPIRED: { retryable: true, message: 'The token has expired' },
  REVOKED: { retryable: false, message: 'The credentials were revoked' },
  FORBIDDEN: { retryable: false, message: 'Not allowed' },
  BAD_REQUEST: { retryable: false, message: 'The request is malformed' },
  NOT_FOUND: { retryable: false, message: 'Not found' },
  CONFLICT: { retryable: false, message: 'Conflict' },
  RATE_LIMITED: { retryable: true, message: 'Too many messages' },
  LIMIT_EXCEEDED: { retryable: false, message: 'A limit was exceeded' },
  UNAVAILABLE: { retryable: true, message: 'Temporarily unavailable' },
  TIMEOUT: { retryable: true, message: 'The deadline passed' },
  UNKNOWN: { retryable: false, message: 'It may or may not have happened' },
  ALREADY_APPLIED: { retryable: false, message: 'It happened before; the answer is gone' },
  INTERNAL: { retryable: true, message: 'Internal error' },
} as const;

export type RealtimeCode = keyof typeof REALTIME_CODES;

/** What a client sees of an error: in an ack as `{ error }`, in `connect_error.data`, in `exception` and in `realtime:bye`. */
export interface WireError {
  code: string;
  message: string;
  retryable: boolean;
  retryAfterMs?: number;
  details?: unknown;
}

export interface ErrorAck {
  error: WireError;
}

export function isRealtimeCode(code: string): code is RealtimeCode {
  return Object.hasOwn(REALTIME_CODES, code);
}

/** An ack is an error if and only if `error` is its only key and `error.code` is a string. */
export function isErrorAck(value: unknown): value is ErrorAck {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  if (keys.length !== 1 || keys[0] !== 'error') return false;
  const { error } = value as { error: unknown };
  return typeof error === 'object' && error !== null && typeof (error as WireError).code === 'string';
}
