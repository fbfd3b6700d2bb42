import { io, type Socket } from 'socket.io-client';
import {
  SERVER_EVENTS,
  WIRE_VERSION,
  type Bye,
  type ConnectAuth,
  type DrainNotice,
  type Hello,
} from 'nestjs-realtime-protocol';
import { RealtimeClientError, parseWireError } from './client-error.js';
import { IDLE, reduce, type ConnectionEvent, type ConnectionState, type Effect } from './connection-state.js';
import { Emitter, type Off } from './emitter.js';
import type { RealtimeClientOptions } from './options.js';

/**
 * One connection to one namespace: carries out what the reducer in connection-state.ts decides.
 * It refuses to know what is sent over it.
 * Invariant: whatever the socket says, the state is the reducer's, and every change of it is told.
 */
export class Connection {
  readonly socket: Socket;
  hello: Hello | undefined;
  #state: ConnectionState = IDLE;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts attempts, so that a token that comes too late opens nothing. */
  #attempts = 0;
  readonly #emitter = new Emitter();

  constructor(
    url: string,
    private readonly device: string,
    private readonly options: RealtimeClientOptions,
  ) {
    this.socket = io(url, {
      transports: ['websocket'],
      timeout: 10_000,
      ...options.socket,
      query: { ...options.socket?.query, rt: '1' },
      autoConnect: false,
      reconnection: false,
    });
    this.#listen();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get isConnected(): boolean {
    return this.#state.status === 'connected';
  }

  on(event: 'state' | 'hello', listener: (...args: never[]) => void): Off {
    return this.#emitter.on(event, listener);
  }

  dispatch(event: ConnectionEvent): void {
    const { state, effects } = reduce(this.#state, event, Math.random());
    const hasChanged = state.status !== this.#state.status;
    this.#state = state;
    for (const effect of effects) this.#run(effect);
    if (!hasChanged || state !== this.#state) return;
    this.options.debug?.(state.status, state.error);
    this.#emitter.emit('state', state.status, state);
  }

  #listen(): void {
    const { socket } = this;
    socket.on('connect', () => this.dispatch({ type: 'opened' }));
    socket.on('connect_error', (error: Error & { data?: unknown }) =>
      this.#lost(error.message, parseWireError(error.data)),
    );
    socket.on('disconnect', (reason) => this.#lost(reason, undefined, reason === 'io server disconnect'));
    socket.on(SERVER_EVENTS.bye, (error: Bye) => this.dispatch({ type: 'notice', error }));
    socket.on(SERVER_EVENTS.drain, ({ reconnectAfterMs }: DrainNotice) =>
      this.dispatch({ type: 'notice', delayMs: reconnectAfterMs }),
    );
    socket.on(SERVER_EVENTS.hello, (hello: Hello) => {
      this.hello = hello;
      this.#emitter.emit('hello', hello);
    });
  }

  #lost(reason: string, error = wireError(reason, true), isServersWish = false): void {
    if (isServersWish) this.dispatch({ type: 'lost', error: { ...error, code: 'DISCONNECTED', retryable: false } });
    else this.dispatch({ type: 'lost', error });
  }

  #run(effect: Effect): void {
    switch (effect.type) {
      case 'open':
        return void this.#open();
      case 'drop':
        this.#attempts += 1;
        return void this.socket.disconnect();
      case 'wait':
        this.#timer = setTimeout(() => this.dispatch({ type: 'due' }), effect.delayMs);
        return;
      case 'cancel':
        return clearTimeout(this.#timer);
      default:
        return effect satisfies never;
    }
  }

  async #open(): Promise<void> {
    const attempt = ++this.#attempts;
    try {
      const token = await this.options.getToken();
      if (attempt !== this.#attempts) return;
      const rt = { v: WIRE_VERSION, device: this.device };
      this.socket.auth = (token === undefined ? { rt } : { token, rt }) satisfies ConnectAuth;
      this.socket.connect();
    } catch (cause) {
      if (attempt !== this.#attempts) return;
      this.options.debug?.('getToken failed', cause);
      this.#lost('getToken failed', cause instanceof RealtimeClientError ? parseWireError(cause) : undefined);
    }
  }
}

function wireError(message: string, retryable: boolean): Bye {
  return { code: 'UNAVAILABLE', message, retryable };
}
