import { REALTIME_CODES, isRealtimeCode, type WireError } from 'nestjs-realtime-protocol';

/**
 * What every promise of this client rejects with. `code` is the server's (see the table of codes), the app's own, or
 * `CLOSED` (this client was closed) and `DISCONNECTED` (the server ended the connection for good without a reason).
 */
export class RealtimeClientError extends Error {
  readonly code: string;
  /** Whether the same call may succeed later without being changed. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: unknown;

  constructor(code: string, message?: string, options: Partial<Omit<WireError, 'code' | 'message'>> = {}) {
    const known = isRealtimeCode(code) ? REALTIME_CODES[code] : undefined;
    super(message ?? known?.message ?? code);
    this.name = 'RealtimeClientError';
    this.code = code;
    this.retryable = options.retryable ?? known?.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  static fromWire(error: WireError): RealtimeClientError {
    return new RealtimeClientError(error.code, error.message, error);
  }
}

/** Reads `connect_error.data`; undefined for what is not ours, such as a refused TCP connection. */
export function parseWireError(value: unknown): WireError | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { code, message, retryable, retryAfterMs, details } = value as Record<string, unknown>;
  if (typeof code !== 'string') return undefined;
  return {
    code,
    message: typeof message === 'string' ? message : code,
    retryable: retryable === true,
    ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
    ...(details === undefined ? {} : { details }),
  };
}

/** Of one room in a `realtime:join` reply: a list's failures are `{ room, error }`; an answer that is missing altogether is one too. */
export function readRefusal(result: unknown): RealtimeClientError | undefined {
  if (typeof result !== 'object' || result === null) return new RealtimeClientError('INTERNAL');
  const error = parseWireError((result as { error?: unknown }).error);
  return error && RealtimeClientError.fromWire(error);
}
