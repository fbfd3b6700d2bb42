import { io, type Socket } from 'socket.io-client';
import { CLIENT_VERSION, SERVER_EVENTS, WIRE_VERSION, type Hello } from 'nestjs-realtime-protocol';
import { serverDelayMs } from './backoff.js';
import { NO_ANSWER, RealtimeClientError, isRecord, parseWireError, wireError, type ErrorLike } from './client-error.js';
import { steadyNow } from './clock.js';
import { IDLE, reduce, type ConnectionEvent, type ConnectionState, type Effect } from './connection-state.js';
import { Emitter, type Off } from './emitter.js';
import { watchEnvironment } from './environment.js';
import { Heartbeat } from './heartbeat.js';
import { parseHello } from './hello.js';
import { lossOf, refusalOf } from './loss.js';
import type { Debug } from './debug.js';
import type { RealtimeClientOptions } from './options.js';

/** What a connection needs to know of each attempt. */
export interface Credentials {
  /** Resolves when the device's name is certain. */
  device(): Promise<string>;
  token(): Promise<string | undefined>;
  /** Resolves when what belongs to the user of this connection is at hand. Never rejects. */
  greeted(hello: Hello): Promise<void>;
}

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
  #unwatch: (() => void) | undefined;
  readonly #heartbeat = new Heartbeat();
  readonly #emitter = new Emitter();
  readonly #credentials: Credentials;
  readonly #debug: Debug;

  constructor(url: string, credentials: Credentials, options: RealtimeClientOptions, debug: Debug) {
    this.#credentials = credentials;
    this.#debug = debug;
    this.socket = io(url, {
      transports: ['websocket'],
      timeout: 10_000,
      // One transport for one client: dropping a dead one must not depend on others that share it.
      forceNew: true,
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
    const before = this.#state;
    const { state, effects } = reduce(before, event, { now: steadyNow(), random: Math.random() });
    this.#state = state;
    this.#watch();
    for (const effect of effects) this.#run(effect);
    const isNews = state.status !== before.status || state.isOffline !== before.isOffline;
    if (!isNews || state !== this.#state) return;
    this.#debug(`connection: ${state.status}`, state);
    this.#emitter.emit('state', state.status, state);
  }

  /** Only while there is something to wake up: an idle or closed client leaves nothing behind. */
  #watch(): void {
    const isAlive = !['idle', 'closed', 'failed'].includes(this.#state.status);
    if (isAlive && !this.#unwatch) {
      this.#unwatch = () => undefined;
      this.#unwatch = watchEnvironment((type) => this.dispatch({ type }));
    } else if (!isAlive) {
      this.#unwatch?.();
      this.#unwatch = undefined;
    }
  }

  #listen(): void {
    const { socket } = this;
    socket.on('connect_error', (error: Error) => this.#lost(refusalOf(error)));
    socket.on('disconnect', (reason) => this.#lost(lossOf(reason)));
    socket.on(SERVER_EVENTS.bye, (bye: unknown) => {
      const error = parseWireError(bye);
      if (error) this.dispatch({ type: 'notice', error });
    });
    socket.on(SERVER_EVENTS.drain, (notice: unknown) => {
      const delayMs = serverDelayMs(isRecord(notice) ? notice['reconnectAfterMs'] : undefined);
      this.dispatch({ type: 'notice', delayMs });
    });
    socket.on(SERVER_EVENTS.hello, (value: unknown) => void this.#greeted(parseHello(value)));
  }

  async #greeted(hello: Hello | undefined): Promise<void> {
    if (hello?.v !== WIRE_VERSION) {
      const message = `The server speaks ${hello?.v}, this client ${WIRE_VERSION}: update it`;
      return this.#lost(wireError('INCOMPATIBLE', message));
    }
    this.hello = hello;
    const attempt = this.#attempts;
    await this.#credentials.greeted(hello);
    if (attempt !== this.#attempts) return;
    this.dispatch({ type: 'opened' });
    this.#emitter.emit('hello', hello);
  }

  #lost(error: ErrorLike): void {
    const isOffline = this.#state.isOffline && error.code === 'UNAVAILABLE';
    this.dispatch({ type: 'lost', error: isOffline ? { ...error, code: 'OFFLINE' } : error });
  }

  #run(effect: Effect): void {
    if (typeof effect === 'object') this.#timer = setTimeout(() => this.dispatch({ type: 'due' }), effect.delayMs);
    else if (effect === 'cancel') clearTimeout(this.#timer);
    else if (effect === 'open') void this.#open();
    else if (effect === 'check') {
      if (this.#heartbeat.isOverdue) this.#lost(NO_ANSWER);
    } else {
      effect satisfies 'drop';
      this.#attempts += 1;
      this.socket.disconnect();
    }
  }

  async #open(): Promise<void> {
    const attempt = ++this.#attempts;
    try {
      const device = await this.#credentials.device();
      if (attempt !== this.#attempts) return;
      const token = await this.#credentials.token();
      if (attempt !== this.#attempts) return;
      this.socket.auth = { token, rt: { v: CLIENT_VERSION, device } };
      this.socket.connect();
      this.#heartbeat.watch(this.socket);
    } catch (cause) {
      if (attempt !== this.#attempts) return;
      this.#debug('getToken failed', cause);
      const error = cause instanceof RealtimeClientError ? parseWireError(cause) : undefined;
      this.#lost(error ?? wireError('NO_TOKEN', 'getToken() failed', true));
    }
  }
}
