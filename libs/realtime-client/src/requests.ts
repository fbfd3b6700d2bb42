import { isErrorAck } from 'nestjs-realtime-protocol';
import { RealtimeClientError } from './client-error.js';
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
    if (!this.isConnected) throw new RealtimeClientError('UNAVAILABLE', 'Not connected', { retryable: true });
    this.spent();
    let answer: unknown;
    try {
      answer = await this.connection.socket.timeout(timeoutMs).emitWithAck(event, data);
    } catch {
      throw new RealtimeClientError(this.isConnected ? 'TIMEOUT' : 'UNKNOWN', 'No answer in time', {
        retryable: this.isConnected,
      });
    }
    if (isErrorAck(answer)) throw RealtimeClientError.fromWire(answer.error);
    return answer;
  }
}

/** Why nothing more will happen until `connect()`; undefined while the client lives. */
export function endOf(state: ConnectionState): RealtimeClientError | undefined {
  if (state.status === 'closed') return new RealtimeClientError('CLOSED', 'The client was closed');
  if (state.status === 'failed' && state.error) return RealtimeClientError.fromWire(state.error);
  return undefined;
}
