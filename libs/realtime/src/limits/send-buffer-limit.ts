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

export type SendDecision = 'send' | 'terminate';

const isBeyond = (value: number, max: number): boolean => max > 0 && value > max;

/**
 * What to do with one more message for a client that may be slow: it is sent, or ends the transport if the limit would be
 * passed. One message alone is always sent, however large.
 */
export function decideSend(buffer: SendBuffer, bytes: number, limit: SendBufferLimit): SendDecision {
  if (buffer.waitingMessages === 0 && buffer.waitingBytes === 0) return 'send';
  const isFull =
    isBeyond(buffer.waitingBytes + bytes, limit.maxBytes) || isBeyond(buffer.waitingMessages + 1, limit.maxMessages);
  return isFull ? 'terminate' : 'send';
}
