export interface SendBuffer {
  /** Bytes of frames that wait for the client, in our queue and in the socket's. */
  readonly waitingBytes: number;
  readonly waitingMessages: number;
}

export interface SendBufferLimit {
  /** Most bytes that may wait for one client. 0: no limit. */
  readonly maxBytes: number;
  /** Most messages that may wait for one client: each costs memory beyond its bytes. 0: no limit. */
  readonly maxMessages: number;
}

export type SendDecision = 'send' | 'drop' | 'terminate';

/** Volatile messages are dropped from this share of the limit on, so that the rest stays free for messages that matter. */
const VOLATILE_SHARE = 1 / 4;

const isBeyond = (value: number, max: number): boolean => max > 0 && value > max;

/**
 * What to do with one more message for a client that may be slow: a volatile one is dropped while a quarter of the limit
 * waits; any other is sent, or ends the transport if the limit would be passed. One message alone is always sent, however large.
 */
export function decideSend(
  buffer: SendBuffer,
  message: { readonly bytes: number; readonly isVolatile: boolean },
  limit: SendBufferLimit,
): SendDecision {
  if (buffer.waitingMessages === 0 && buffer.waitingBytes === 0) return 'send';
  const bytes = buffer.waitingBytes + message.bytes;
  const messages = buffer.waitingMessages + 1;
  if (message.isVolatile) {
    const isCrowded =
      isBeyond(bytes, limit.maxBytes * VOLATILE_SHARE) || isBeyond(messages, limit.maxMessages * VOLATILE_SHARE);
    return isCrowded ? 'drop' : 'send';
  }
  return isBeyond(bytes, limit.maxBytes) || isBeyond(messages, limit.maxMessages) ? 'terminate' : 'send';
}
