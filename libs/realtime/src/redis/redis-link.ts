import type { Cancel, Clock } from '../core/clock.js';
import { createWireClient, reconnectDelayMs, type WireClient } from './redis-clients.js';
import type { ResolvedRedisOptions } from './redis-options.js';

/**
 * One connection to Redis that never gives up: node-redis reconnects it, and when it answers nothing any more (half-open,
 * or a hung server) the whole client is thrown away and made anew. Refuses to queue: who uses it keeps what waits.
 * Invariant: at most one client is alive, and nothing it does or says after its end reaches the listeners.
 */
export class RedisLink {
  readonly #options: ResolvedRedisOptions;
  readonly #clock: Clock;
  readonly #on: LinkListeners;
  readonly #watch: boolean;
  #client: WireClient | undefined;
  #isUp = false;
  #replaced = 0;
  #cancelRetry: Cancel = () => undefined;
  #cancelWatch: Cancel = () => undefined;

  /** `watch`: probe it by PING every `probeIntervalMs`; without it the owner has a better probe and calls `replace()`. */
  constructor(options: ResolvedRedisOptions, clock: Clock, settings: { watch: boolean; on: LinkListeners }) {
    this.#options = options;
    this.#clock = clock;
    this.#watch = settings.watch;
    this.#on = settings.on;
  }

  /** Present only while commands can be sent. */
  get client(): WireClient | undefined {
    return this.#isUp ? this.#client : undefined;
  }

  open(): void {
    const client = createWireClient(this.#options);
    this.#client = client;
    client.onChange((isReady, error) => {
      if (this.#client !== client) return;
      if (error !== undefined) this.#on.error(error);
      if (this.#client === client) this.#setUp(isReady);
    });
    client.connect().then(
      () => this.#client === client && this.#setUp(true),
      // The reconnect strategy never gives up, so this is the end of a thrown-away client, or a cluster without nodes.
      (error: unknown) => {
        if (this.#client !== client) return;
        this.#on.error(error instanceof Error ? error : new Error(String(error)));
        this.replace();
      },
    );
  }

  /** Throws the client away, with what it still had to do, and makes a new one after a jittered pause. */
  replace(): void {
    if (this.#client === undefined) return;
    this.#drop();
    this.#cancelRetry = this.#clock.after(reconnectDelayMs(this.#replaced++), () => this.open());
  }

  close(): void {
    this.#cancelRetry();
    this.#drop();
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#setUp(false);
    client?.destroy();
  }

  #setUp(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    this.#cancelWatch();
    if (!isUp || this.#client === undefined) return this.#on.down();
    if (this.#watch) this.#startWatch(this.#client);
    this.#on.up(this.#client);
  }

  #startWatch(client: WireClient): void {
    const { probeIntervalMs, probeTimeoutMs } = this.#options;
    let tickedAt = this.#clock.now();
    let answered = tickedAt;
    let asked: number | undefined;
    // Half an interval of slack, because timers tremble; asked twice, because a timer runs before the socket is read.
    const limitMs = probeTimeoutMs - probeIntervalMs / 2;
    const isSilent = (): boolean => asked !== undefined && this.#clock.now() - answered >= limitMs;
    this.#cancelWatch = this.#clock.every(probeIntervalMs, () => {
      const now = this.#clock.now();
      // A late tick means that this process was stopped: the answer may lie unread in the socket.
      const isLate = now - tickedAt > 2 * probeIntervalMs;
      tickedAt = now;
      if (isLate) answered = now;
      if (isSilent()) this.#clock.after(0, () => this.#client === client && isSilent() && this.#giveUp());
      if (asked !== undefined) return;
      asked = now;
      client.send(undefined, ['PING']).then(
        () => {
          answered = now;
          asked = undefined;
          this.#replaced = 0;
        },
        () => (asked = undefined),
      );
    });
  }

  #giveUp(): void {
    this.#on.error(new Error(`no answer for ${this.#options.probeTimeoutMs} ms`));
    this.replace();
  }
}

export interface LinkListeners {
  up(client: WireClient): void;
  down(): void;
  /** Also for every failed attempt to connect. */
  error(error: Error): void;
}
