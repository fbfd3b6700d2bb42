import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { GENEROUS_MS } from './eventually.js';

export interface Received {
  readonly event: string;
  readonly args: readonly unknown[];
}

type Predicate = (received: Received) => boolean;

/** Everything that a client hears, in order, from its creation on. `next` takes from it; a timeout says what did arrive. */
export class Inbox {
  readonly all: Received[] = [];
  private cursor = 0;
  private readonly waiting = new Set<() => void>();

  push(event: string, ...args: unknown[]): void {
    this.all.push({ event, args });
    for (const wake of [...this.waiting]) wake();
  }

  /** The first unread one that fits; what came before it is read, too. */
  async next(match: string | Predicate, deadlineMs = GENEROUS_MS): Promise<Received> {
    const fits: Predicate = typeof match === 'string' ? ({ event }) => event === match : match;
    const found = (): Received | undefined => {
      const index = this.all.findIndex((received, at) => at >= this.cursor && fits(received));
      if (index === -1) return undefined;
      this.cursor = index + 1;
      return this.all[index];
    };
    return found() ?? this.wait(found, String(match), deadlineMs);
  }

  /** Unread ones, without taking them. */
  get unread(): readonly Received[] {
    return this.all.slice(this.cursor);
  }

  private wait(found: () => Received | undefined, what: string, deadlineMs: number): Promise<Received> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiting.delete(wake);
      };
      const wake = (): void => {
        const received = found();
        if (!received) return;
        done();
        resolve(received);
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`${what} did not arrive within ${deadlineMs} ms; unread: ${JSON.stringify(this.unread)}`));
      }, deadlineMs);
      this.waiting.add(wake);
    });
  }
}

export interface StockClient extends AsyncDisposable {
  readonly socket: Socket;
  readonly inbox: Inbox;
  /** Emits with an ack and resolves with it. */
  ask(event: string, ...args: unknown[]): Promise<unknown>;
}

export type ClientOptions = Partial<ManagerOptions & SocketOptions>;

/** A stock Socket.IO client whose life is in its inbox: every event, `connect`, `connect_error` and `disconnect`. */
export function stockClient(url: string, options: ClientOptions = {}): StockClient {
  const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false, ...options });
  const inbox = new Inbox();
  socket.onAny((event: string, ...args: unknown[]) => inbox.push(event, ...args));
  socket.on('connect', () => inbox.push('connect'));
  socket.on('connect_error', (error) => inbox.push('connect_error', error));
  socket.on('disconnect', (reason) => inbox.push('disconnect', reason));
  return {
    socket,
    inbox,
    ask: (event, ...args) => socket.timeout(GENEROUS_MS).emitWithAck(event, ...args),
    [Symbol.asyncDispose]: () => {
      socket.close();
      return Promise.resolve();
    },
  };
}

/** As `stockClient`, resolved when it is connected; rejects with the refusal. */
export async function connectedClient(url: string, options: ClientOptions = {}): Promise<StockClient> {
  const client = stockClient(url, options);
  const isSettled: Predicate = ({ event }) => event === 'connect' || event === 'connect_error';
  const first = await client.inbox.next(isSettled).catch((error: unknown) => {
    client.socket.close();
    throw error;
  });
  if (first.event === 'connect') return client;
  client.socket.close();
  throw first.args[0];
}
