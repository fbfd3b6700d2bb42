import type { Cancel, Clock } from '../core/clock.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import { reconnectDelayMs, type WireClient, type WireClients } from './wire-client.js';

/**
 * One connection to Redis that never gives up: when it ends, or answers nothing any more (half-open, or a hung server), or
 * leads to the wrong server, the whole client is thrown away and made anew. Refuses to queue: who uses it keeps what waits.
 * Invariant: at most one client is alive, and nothing it does or says after its end reaches the listeners.
 */
export class RedisLink<Client extends WireClient = WireClient> {
  readonly #options: ResolvedRedisOptions;
  readonly #clock: Clock;
  readonly #settings: LinkSettings<Client>;
  #client: Client | undefined;
  #isUp = false;
  #upAt = 0;
  #replaced = 0;
  #cancelRetry: Cancel = () => undefined;
  #cancelWatch: Cancel = () => undefined;
  #forgetMoves: (() => void) | undefined;

  constructor(options: ResolvedRedisOptions, clock: Clock, settings: LinkSettings<Client>) {
    this.#options = options;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Present only while commands can be sent. */
  get client(): Client | undefined {
    return this.#isUp ? this.#client : undefined;
  }

  open(): void {
    // Another server is the right one: there is nothing to wait for.
    this.#forgetMoves ??= this.#settings.follow?.(() => this.#restart()) ?? (() => undefined);
    const client = this.#settings.create();
    this.#client = client;
    const isOurs = (): boolean => this.#client === client;
    client.listen({
      change: (isReady) => isOurs() && this.#setUp(isReady),
      whole: () => isOurs() && this.#settings.on.whole?.(),
      error: (error) => isOurs() && this.#settings.on.error(error),
      end: () => isOurs() && this.replace(),
      lost: (channel) => isOurs() && this.#settings.on.lost?.(channel),
    });
    client.connect().then(
      () => isOurs() && this.#setUp(client.isReady),
      (error: unknown) => {
        if (!isOurs()) return;
        this.#settings.on.error(error instanceof Error ? error : new Error(String(error)));
        if (isOurs()) this.replace();
      },
    );
  }

  /** Throws the client away, with what it still had to do, and makes a new one after a jittered pause. */
  replace(): void {
    if (this.#client === undefined) return;
    const hasLasted = this.#isUp && this.#clock.now() - this.#upAt >= this.#options.probeTimeoutMs;
    if (hasLasted) this.#replaced = 0;
    this.#drop();
    this.#cancelRetry = this.#clock.after(reconnectDelayMs(this.#replaced++), () => this.open());
  }

  close(): void {
    this.#cancelRetry();
    this.#forgetMoves?.();
    this.#forgetMoves = undefined;
    this.#drop();
  }

  #restart(): void {
    this.#cancelRetry();
    this.#drop();
    this.open();
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
    if (!isUp || this.#client === undefined) return this.#settings.on.down();
    this.#upAt = this.#clock.now();
    if (this.#settings.watch && this.#client.isWatchful !== true) this.#startWatch(this.#client);
    this.#settings.on.up(this.#client);
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
      client.send({ args: ['PING'] }).then(
        () => {
          answered = now;
          asked = undefined;
        },
        () => (asked = undefined),
      );
    });
  }

  #giveUp(): void {
    this.#settings.on.error(new Error(`no answer for ${this.#options.probeTimeoutMs} ms`));
    this.replace();
  }
}

export interface LinkSettings<Client> {
  create(): Client;
  /** `WireClients.watch`: whether the connection has to go elsewhere. */
  readonly follow?: WireClients['watch'] | undefined;
  /** Probe it by PING every `probeIntervalMs`, unless the client does; without it the owner has a better probe and calls `replace()`. */
  readonly watch: boolean;
  readonly on: LinkListeners<Client>;
}

export interface LinkListeners<Client> {
  up(client: Client): void;
  down(): void;
  /** Also for every failed attempt to connect. */
  error(error: Error): void;
  /** See `WireEvents`. */
  whole?(): void;
  lost?(channel: string): void;
}
