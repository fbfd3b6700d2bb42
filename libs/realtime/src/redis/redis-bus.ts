import { probeChannel } from '../cluster/channels.js';
import type { BusListener, BusState, ClusterBus } from '../cluster/cluster-bus.js';
import { randomId } from '../core/ids.js';
import { onOneLine } from '../core/printable.js';
import { RealtimeError } from '../core/realtime-error.js';
import { ChannelSubscriptions } from './channel-subscriptions.js';
import { EchoProbe } from './echo-probe.js';
import { unbundle } from './publish-bundles.js';
import type { RedisConnection } from './redis-connection.js';
import { RedisLink } from './redis-link.js';
import { RedisUnavailableError } from './redis-unavailable-error.js';
import type { WireClient } from './wire-client.js';

/** What a script puts before a text that is as long as it may be: its place in the log. */
const MAX_FIRST_LINE = 128;

interface Subscription {
  readonly listener: BusListener;
  /** Of `ChannelSubscriptions`: messages for an older one are not for this listener. */
  readonly generation: number;
}

/**
 * The bus over Redis PUB/SUB: publishes through the shared command connection, listens on one of its own. Refuses to call
 * itself `up` on good faith: a message to our own channel must come back, through each master of a cluster. Invariant: `up`
 * means that every subscription was confirmed by the server and that every echo came within `probeTimeoutMs`.
 */
export class RedisBus implements ClusterBus {
  readonly #connection: RedisConnection;
  readonly #link: RedisLink;
  readonly #subscriptions: ChannelSubscriptions;
  readonly #listeners = new Map<string, Subscription>();
  readonly #stateListeners = new Set<(state: BusState) => void>();
  readonly #probeChannel: string;
  readonly #firstUp: Promise<void>;
  #resolveFirstUp: () => void = () => undefined;
  #state: BusState = 'down';
  #roundTripMs: number | undefined;
  #lastClient: WireClient | undefined;
  /** Only while subscriptions are confirmed. */
  #probe: EchoProbe | undefined;
  #isOpen = false;
  #isClosed = false;
  readonly #forgetConnection: () => void;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.#probeChannel = connection.keyPrefix + probeChannel(randomId());
    this.#firstUp = new Promise((resolve) => (this.#resolveFirstUp = resolve));
    this.#subscriptions = new ChannelSubscriptions({
      deliver: (channel, message, generation) => this.#deliver(channel, message, generation),
      refused: (error) => this.#refused(error),
    });
    this.#link = new RedisLink(connection.options, connection.clock, {
      create: () => connection.clients.create('subscriptions'),
      follow: (onMoved) => connection.clients.watch(onMoved),
      watch: false,
      on: { up: (client) => void this.#resume(client), down: () => this.#down(), error: () => undefined },
    });
    this.#forgetConnection = connection.onState((isUp) => {
      if (!isUp) this.#setState('down');
      else this.#probe?.send();
    });
  }

  get state(): BusState {
    return this.#state;
  }

  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  onState(listener: (state: BusState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Resolves at the first echo, so it waits as long as Redis is away; also when closed. */
  ready(): Promise<void> {
    if (!this.#isOpen && !this.#isClosed) {
      this.#isOpen = true;
      this.#subscriptions.add(this.#probeChannel).confirmed.catch(() => undefined);
      void this.#connection.ready().catch(() => undefined);
      this.#link.open();
    }
    return this.#firstUp;
  }

  close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#forgetConnection();
      this.#stateListeners.clear();
      this.#link.close();
      this.#down();
      this.#subscriptions.close(
        new RedisUnavailableError({ maybeWritten: false, cause: new Error('the bus was closed') }),
      );
      this.#listeners.clear();
      this.#resolveFirstUp();
    }
    return Promise.resolve();
  }

  subscribe(channel: string, listener: BusListener): Promise<void> {
    const name = this.#connection.keyPrefix + channel;
    const refuse = (reason: string) => new RedisUnavailableError({ maybeWritten: false, cause: new Error(reason) });
    if (this.#isClosed) return Promise.reject(refuse('the bus was closed'));
    void this.ready();
    const { generation, confirmed } = this.#subscriptions.add(name);
    const subscription = { listener, generation };
    this.#listeners.set(name, subscription);
    return new Promise((resolve, reject) => {
      const { commandTimeoutMs } = this.#connection.options;
      const cancel = this.#connection.clock.after(commandTimeoutMs, () => {
        if (this.#listeners.get(name) === subscription) void this.unsubscribe(channel);
        reject(refuse(`not subscribed within ${commandTimeoutMs} ms`));
      });
      void confirmed.then(resolve, reject).finally(cancel);
    });
  }

  unsubscribe(channel: string): Promise<void> {
    const name = this.#connection.keyPrefix + channel;
    this.#listeners.delete(name);
    return this.#subscriptions.remove(name);
  }

  publish(channel: string, payload: string): Promise<void> {
    const { maxMessageBytes } = this.#connection.options;
    // At most three bytes for each of its units: nearly all need not be counted.
    if (payload.length * 3 > maxMessageBytes && Buffer.byteLength(payload) > maxMessageBytes) {
      const message = `A message between nodes may have ${maxMessageBytes} bytes`;
      return Promise.reject(new RealtimeError('LIMIT_EXCEEDED', message));
    }
    // Resolves with the number of nodes that heard it, which says nothing about clients.
    return this.#connection.publish(this.#connection.keyPrefix + channel, payload) as Promise<void>;
  }

  #deliver(channel: string, message: string, generation: number): void {
    if (channel === this.#probeChannel) return this.#probe?.receive(message);
    const payloads = unbundle(message);
    if (!payloads) return this.#connection.metrics.dropped('bus-malformed');
    for (const payload of payloads) this.#hear(channel, payload, generation);
  }

  #hear(channel: string, payload: string, generation: number): void {
    if (payload.length > this.#connection.options.maxMessageBytes + MAX_FIRST_LINE) {
      return this.#connection.metrics.dropped('bus-oversized');
    }
    try {
      // Looked up for each: the one before may have made somebody unsubscribe, or subscribe again.
      const subscription = this.#listeners.get(channel);
      if (subscription !== undefined && subscription.generation <= generation) subscription.listener(payload);
    } catch (error) {
      // Whatever arrives on our channels, an exception here would end the process from inside the socket's parser.
      this.#connection.metrics.dropped('bus-listener-error');
      this.#connection.logger.error(`a listener of the cluster bus threw: ${onOneLine(String(error))}`);
    }
  }

  async #resume(client: WireClient): Promise<void> {
    const isSame = client === this.#lastClient;
    this.#lastClient = client;
    try {
      await this.#subscriptions.use(client, isSame);
    } catch {
      return this.#link.client === client ? this.#link.replace() : undefined;
    }
    if (this.#link.client !== client) return;
    this.#startProbing();
  }

  #refused(error: unknown): void {
    this.#connection.refusals.note(error);
    this.#connection.metrics.dropped('bus-subscribe-refused');
    // A broken connection comes back by itself; a refusal (ACL) is said aloud and tried again with a new one.
    if (this.#link.client === undefined) return;
    this.#connection.logger.warn(`Redis refused a subscription: ${onOneLine(String(error))}`);
    this.#link.replace();
  }

  #startProbing(): void {
    const { clock, options } = this.#connection;
    this.#probe?.stop();
    this.#probe = new EchoProbe({
      clock,
      intervalMs: options.probeIntervalMs,
      timeoutMs: options.probeTimeoutMs,
      channel: this.#probeChannel,
      shards: () => this.#connection.shards,
      heard: (roundTripMs) => this.#heard(roundTripMs),
      mute: () => this.#setState('down'),
      silent: (isDeaf) => this.#silent(isDeaf),
    });
  }

  #heard(roundTripMs: number): void {
    this.#roundTripMs = roundTripMs;
    this.#connection.metrics.clusterDelivery(roundTripMs / 1_000);
    this.#setState('up');
  }

  #silent(isDeaf: boolean): void {
    this.#setState('down');
    if (!isDeaf) return;
    this.#connection.logger.warn(`no echo from Redis for ${this.#connection.options.probeTimeoutMs} ms: reconnecting`);
    this.#link.replace();
  }

  #down(): void {
    this.#probe?.stop();
    this.#probe = undefined;
    this.#subscriptions.drop();
    this.#setState('down');
  }

  #setState(state: BusState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#connection.metrics.redisUp(state === 'up');
    if (state === 'up') this.#resolveFirstUp();
    for (const listener of this.#stateListeners) listener(state);
  }
}
