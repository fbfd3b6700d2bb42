import { NO_ANSWER, isRecord, parseWireError, wireError, type ErrorLike } from './client-error.js';

// What a failed attempt or a lost connection is called: a code and what can be known about the cause.

export function unavailable(message: string): ErrorLike {
  return wireError('UNAVAILABLE', message, true);
}

/** Of a `connect_error`. What is not ours may pass - a proxy, a deployment, a certificate - and is tried again. */
export function refusalOf(error: Error & { data?: unknown; description?: unknown }): ErrorLike {
  const ours = parseWireError(error.data);
  if (ours) return ours;
  if (error.message === 'timeout') return NO_ANSWER;
  if (error.message === 'Invalid namespace') return wireError('NOT_FOUND', 'No such namespace', true);
  // Node tells the HTTP status or the certificate's fault; browsers tell scripts nothing.
  const { description } = error;
  // Of polling it is the bare status.
  const detail = isRecord(description) ? description['message'] : description && `${description as number}`;
  return unavailable(typeof detail === 'string' ? `${error.message}: ${detail}` : error.message);
}

/** Of a `disconnect`. */
export function lossOf(reason: string): ErrorLike {
  if (reason === 'io server disconnect') return wireError('DISCONNECTED', 'Ended by the server');
  if (reason === 'ping timeout') return NO_ANSWER;
  return unavailable(reason);
}
