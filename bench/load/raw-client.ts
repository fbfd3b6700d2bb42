import { once } from 'node:events';
import jwt from 'jsonwebtoken';
import { WebSocket } from 'ws';
import { BENCH_SECRET } from '../harness/tokens.js';

/**
 * Speaks as much of Engine.IO 4 and Socket.IO 5 as the benchmarks need: a full client would cost more CPU than the server
 * that is measured.
 */
export class RawClient {
  private readonly waiting = new Map<number, (isError: boolean) => void>();
  private nextId = 0;

  private constructor(private readonly socket: WebSocket) {}

  /** Resolves when the root namespace is open. */
  static async connect(port: number, user: string): Promise<RawClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, {
      perMessageDeflate: false,
    });
    const client = new RawClient(socket);
    const token = jwt.sign({ sub: user, roles: ['member'], scope: 'chat' }, BENCH_SECRET, { expiresIn: 3_600 });
    await new Promise<void>((resolve, reject) => {
      socket.on('message', (data: Buffer) => {
        const text = data.toString();
        if (text.startsWith('0')) socket.send(`40${JSON.stringify({ token })}`);
        else if (text === '2') socket.send('3');
        else if (text.startsWith('40')) resolve();
        else if (text.startsWith('44')) reject(new Error(`Refused: ${text}`));
        else if (text.startsWith('43')) client.answer(text);
      });
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('Closed')));
    });
    return client;
  }

  ask(event: string, payload: unknown, done: (isError: boolean) => void): void {
    const id = this.nextId;
    this.nextId += 1;
    this.waiting.set(id, done);
    this.socket.send(`42${id}${JSON.stringify([event, payload])}`);
  }

  async close(): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.socket, 'close');
    this.socket.close();
    await closed;
  }

  /** `43<id>[<answer>]` */
  private answer(text: string): void {
    const start = text.indexOf('[');
    const id = Number(text.slice(2, start));
    this.waiting.get(id)?.(text.startsWith('[{"error"', start));
    this.waiting.delete(id);
  }
}
