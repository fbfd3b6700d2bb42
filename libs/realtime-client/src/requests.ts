import { isErrorAck } from 'nestjs-realtime-protocol';
import { NOT_CONNECTED, NO_ANSWER, RealtimeClientError, errorOf, wireError } from './client-error.js';
import type { ConnectionState } from './connection-state.js';
import type { Connection } from './connection.js';

const ANSWERS_WITHIN_MS = 10_000;

/**
 * The client's own questions, such as joins: asked on this connection or not at all.
 * It refuses to wait for a connection and to send anything twice: after a reconnect there is another question to ask.
 */
export class Requests {
  readonly #connection: Connection;
  readonly #spent: () => void;

  constructor(
    connection: Connection,
    /** Each message counts against the server's limit. */
    spent: () => void,
  ) {
    this.#connection = connection;
    this.#spent = spent;
  }

  get isConnected(): boolean {
    return this.#connection.isConnected;
  }

  /**
   * `answered` is called before anything that came after the answer is told: whoever awaits the promise is too late for that.
   */
  ask(event: string, data: unknown, answered?: (answer: unknown) => void): Promise<unknown> {
    if (!this.isConnected) return Promise.reject(errorOf(NOT_CONNECTED));
    this.#spent();
    return new Promise((resolve, reject) => {
      const { socket } = this.#connection;
      socket.timeout(ANSWERS_WITHIN_MS).emit(event, data, (late: Error | null, answer: unknown) => {
        if (late) return reject(errorOf(this.isConnected ? NO_ANSWER : wireError('UNKNOWN', NO_ANSWER.message)));
        if (isErrorAck(answer)) return reject(errorOf(answer.error));
        answered?.(answer);
        resolve(answer);
      });
    });
  }
}

/** Why nothing more will happen until `connect()`; undefined while the client lives. */
export function endOf(state: ConnectionState): RealtimeClientError | undefined {
  if (state.status === 'closed') return new RealtimeClientError('CLOSED', 'The client was closed');
  if (state.status === 'failed' && state.error) return errorOf(state.error);
  return undefined;
}
