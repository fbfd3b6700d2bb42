import type { Message } from './message.js';

/** What a filter needs to know of the socket it got from Nest. */
export interface FailureSink {
  /** Answers the message with the mapped exception, or emits `exception` if nobody waits for an ack. */
  fail(message: Message | undefined, exception: unknown): void;
}

/** On every socket that this library serves; a registered symbol, so that two copies of the library agree. */
export const SESSION = Symbol.for('nestjs-realtime:session');

export function sessionOf<Session extends FailureSink = FailureSink>(
  client: object | null | undefined,
): Session | undefined {
  return (client as { [SESSION]?: Session } | null | undefined)?.[SESSION];
}
