import { isErrorAck } from 'nestjs-realtime-protocol';
import { RealtimeClientError } from './client-error.js';
import type { ConnectionState } from './connection-state.js';
import type { Connection } from './connection.js';

/**
 * Events that are answered. It refuses to send anything twice.
 * Invariant: every `ask` settles exactly once, and only `TIMEOUT` and `UNKNOWN` leave open whether it happened.
 */
export class Requests {
  constructor(private readonly connection: Connection) {}

  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  /** @param timeoutMs for the connection and the answer together. */
  async ask(event: string, data: unknown, timeoutMs = 10_000): Promise<unknown> {
    const deadline = performance.now() + timeoutMs;
    if (!this.isConnected) await this.#whenConnected(timeoutMs);
    const remainingMs = Math.max(deadline - performance.now(), 1);
    let answer: unknown;
    try {
      answer = await this.connection.socket.timeout(remainingMs).emitWithAck(event, data);
    } catch {
      throw new RealtimeClientError(this.isConnected ? 'TIMEOUT' : 'UNKNOWN');
    }
    if (isErrorAck(answer)) throw RealtimeClientError.fromWire(answer.error);
    return answer;
  }

  #whenConnected(timeoutMs: number): Promise<void> {
    this.connection.dispatch({ type: 'wake' });
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        off();
        act();
      };
      const check = (): void => {
        const end = endOf(this.connection.state);
        if (end) settle(() => reject(end));
        else if (this.isConnected) settle(resolve);
      };
      const timer = setTimeout(
        () => settle(() => reject(new RealtimeClientError('UNAVAILABLE', 'Not connected'))),
        timeoutMs,
      );
      const off = this.connection.on('state', check);
      check();
    });
  }
}

/** Why nothing more will happen until `connect()`; undefined while the client lives. */
export function endOf(state: ConnectionState): RealtimeClientError | undefined {
  if (state.status === 'closed') return new RealtimeClientError('CLOSED', 'The client was closed');
  if (state.status === 'failed' && state.error) return RealtimeClientError.fromWire(state.error);
  return undefined;
}
