import type { Clock } from '../core/clock.js';
import { RealtimeError } from '../core/realtime-error.js';

/** The one answer for every bad credential, so that nobody learns which check failed. The cause stays on the server. */
export function unauthorized(cause?: unknown): RealtimeError {
  // A JSON parser quotes what it failed on: that may be a piece of a token, which logs must not hold.
  return new RealtimeError('UNAUTHORIZED', undefined, { cause: cause instanceof SyntaxError ? undefined : cause });
}

/**
 * What a failed check of credentials means to the client: expiry may be retried with a new token, an HTTP exception
 * keeps its meaning, all else is `UNAUTHORIZED`.
 */
export function toRefusal(error: unknown): RealtimeError {
  if (error instanceof RealtimeError) return error;
  if (error instanceof Error && error.name === 'TokenExpiredError') return new RealtimeError('TOKEN_EXPIRED');
  return fromHttpStatus(error) ?? unauthorized(error);
}

/** As `toRefusal`, for code that runs after the credentials proved good: an unexpected error is the app's, not the client's. */
export function toMappingFailure(error: unknown): RealtimeError {
  if (error instanceof RealtimeError) return error;
  return fromHttpStatus(error) ?? new RealtimeError('INTERNAL', undefined, { cause: error });
}

function fromHttpStatus(error: unknown): RealtimeError | undefined {
  const { getStatus } = (error ?? {}) as { getStatus?: unknown };
  if (typeof getStatus !== 'function') return undefined;
  const status: unknown = getStatus.call(error);
  if (typeof status !== 'number') return undefined;
  if (status === 403) return new RealtimeError('FORBIDDEN', undefined, { cause: error });
  if (status === 429) return new RealtimeError('RATE_LIMITED', undefined, { cause: error });
  if (status >= 500) return new RealtimeError('UNAVAILABLE', undefined, { cause: error });
  return unauthorized(error);
}

/** Runs `task`, but rejects with `TIMEOUT` after `timeoutMs`. A synchronous throw of `task` rejects, too. */
export function withDeadline<T>(clock: Clock, timeoutMs: number, task: () => Promise<T> | T): Promise<T> {
  const run = async (): Promise<T> => task();
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => reject(new RealtimeError('TIMEOUT')));
    run().then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        // As it was thrown, whatever it is.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        reject(error);
      },
    );
  });
}
