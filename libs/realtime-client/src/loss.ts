import { isRecord, parseWireError, type ErrorLike } from './client-error.js';

// What a failed attempt or a lost connection is called: a code and what can be known about the cause.

export function unavailable(message: string): ErrorLike {
  return { code: 'UNAVAILABLE', message, retryable: true };
}

/** Of a `connect_error`. What is not ours may pass - a proxy, a deployment, a certificate - and is tried again. */
export function refusalOf(error: Error & { data?: unknown; description?: unknown }): ErrorLike {
  const ours = parseWireError(error.data);
  if (ours) return ours;
  if (error.message === 'timeout') return { ...unavailable('No answer in time'), code: 'TIMEOUT' };
  if (error.message === 'Invalid namespace') return { ...unavailable('No such namespace (yet)'), code: 'NOT_FOUND' };
  // Node tells the HTTP status or the certificate's fault; browsers tell scripts nothing.
  const { description } = error;
  // Of polling it is the bare status.
  const detail = isRecord(description) ? description['message'] : description && `${description as number}`;
  return unavailable(typeof detail === 'string' ? `${error.message}: ${detail}` : error.message);
}

/** Of a `disconnect`. */
export function lossOf(reason: string): ErrorLike {
  if (reason === 'io server disconnect')
    return { code: 'DISCONNECTED', message: 'Ended by the server', retryable: false };
  if (reason === 'ping timeout') return { ...unavailable('No answer in time'), code: 'TIMEOUT' };
  return unavailable(reason);
}
