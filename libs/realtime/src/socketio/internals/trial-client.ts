import { isDeepStrictEqual } from 'node:util';
import { WebSocket } from 'ws';

/** Of Engine.IO: open and ping; of Socket.IO: connected. */
const [OPEN, PING, PONG, CONNECT] = ['0', '2', '3', '40'];

type Frame = string | Buffer;

/** A client of a trial: bare `ws`, which knows no more of Socket.IO than the packets that it is told to expect. */
export class TrialClient {
  readonly webSocket: WebSocket;
  private readonly received: Frame[] = [];
  private wake: () => void = () => undefined;
  private isClosed = false;

  constructor(url: string) {
    this.webSocket = new WebSocket(url, { perMessageDeflate: { threshold: 0 } });
    this.webSocket.on('message', (data: Buffer, isBinary: boolean) => this.receive(isBinary ? data : String(data)));
    this.webSocket.on('error', () => this.webSocket.terminate());
    this.webSocket.on('close', () => {
      this.isClosed = true;
      this.wake();
    });
  }

  say(packet: Frame): void {
    this.webSocket.send(packet);
  }

  /** @throws Error if what comes next is not exactly `expected`, in this order. */
  async hears(expected: readonly Frame[]): Promise<void> {
    const frames = await this.take(expected.length);
    if (!isDeepStrictEqual(frames, expected))
      throw new Error(`a client got ${summary(frames)} instead of ${summary(expected)}`);
  }

  /** The answer to CONNECT names an id that nobody knows before. */
  async connects(): Promise<void> {
    const [answer] = await this.take(1);
    if (!String(answer).startsWith(`${CONNECT}{`)) throw new Error(`a client got ${summary([answer ?? ''])} at first`);
  }

  private async take(count: number): Promise<Frame[]> {
    while (this.received.length < count) {
      if (this.isClosed) throw new Error(`a connection ended after ${summary(this.received)}`);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.received.splice(0, count);
  }

  private receive(frame: Frame): void {
    if (frame === PING) return this.say(PONG ?? '');
    if (typeof frame === 'string' && frame.startsWith(OPEN ?? '')) return this.say(CONNECT ?? '');
    this.received.push(frame);
    this.wake();
  }
}

function summary(frames: readonly Frame[]): string {
  return frames.map((frame) => (typeof frame === 'string' ? frame.slice(0, 40) : `${frame.length} bytes`)).join(' ');
}
