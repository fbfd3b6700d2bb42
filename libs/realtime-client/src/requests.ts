import { isErrorAck } from 'nestjs-realtime-protocol';
import { NOT_CONNECTED, NO_ANSWER, RealtimeClientError, errorOf, wireError } from './client-error.js';
import type { ConnectionState } from './connection-state.js';
import type { Connection } from './connection.js';

/**
 * The client's own questions, such as joins: asked on this connection or not at all.
 * It refuses to wait for a connection and to send anything twice: after a reconnect there is another question to ask.
 */
export class Requests {
  constructor(
    private readonly connection: Connection,
    /** Each message counts against the server's limit. */
    private readonly spent: () => void,
  ) {}

  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  async ask(event: string, data: unknown, timeoutMs = 10_000): Promise<unknown> {
    if (!this.isConnected) throw errorOf(NOT_CONNECTED);
    this.spent();
    let answer: unknown;
    try {
      answer = await this.connection.socket.timeout(timeoutMs).emitWithAck(event, data);
    } catch {
      throw errorOf(this.isConnected ? NO_ANSWER : wireError('UNKNOWN', NO_ANSWER.message));
    }
    if (isErrorAck(answer)) throw errorOf(answer.error);
    return answer;
  }
}

/** Why nothing more will happen until `connect()`; undefined while the client lives. */
export function endOf(state: ConnectionState): RealtimeClientError | undefined {
  if (state.status === 'closed') return new RealtimeClientError('CLOSED', 'The client was closed');
  if (state.status === 'failed' && state.error) return errorOf(state.error);
  return undefined;
}
