import type { Cancel } from '../core/clock.js';
import { onOneLine, printable } from '../core/printable.js';
import type { RedisConnection } from './redis-connection.js';
import { RedisLink } from './redis-link.js';
import { reconnectDelayMs, type BufferListener, type WireClient } from './wire-client.js';

const UNDO = { subscribe: 'unsubscribe', pSubscribe: 'pUnsubscribe', sSubscribe: 'sUnsubscribe' } as const;

interface Subscription {
  readonly kind: keyof typeof UNDO;
  readonly channel: string;
  readonly listeners: Set<BufferListener>;
  readonly dispatch: BufferListener;
  /** The client on which the server has confirmed it. */
  confirmedOn: WireClient | undefined;
  isBusy: boolean;
  /** Refusals since the last success. */
  refusals: number;
  cancelRetry: Cancel;
}

/**
 * What `@socket.io/redis-adapter` takes for a subscribing node-redis client. It outlives the clients: subscriptions are
 * made again on a new one. Refuses to reject (the adapter awaits nothing) and to let a listener throw into the socket.
 */
export class AdapterSubscriber {
  readonly #connection: RedisConnection;
  readonly #link: RedisLink;
  readonly #subscriptions = new Map<string, Subscription>();

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.#link = new RedisLink(connection.options, connection.clock, {
      create: () => connection.clients.create('subscriptions'),
      follow: (onMoved) => connection.clients.watch(onMoved),
      watch: true,
      on: {
        up: () => this.#reconcileAll(),
        down: () => undefined,
        error: () => undefined,
        lost: (channel) => this.#lost(channel),
      },
    });
  }

  open(): void {
    this.#link.open();
  }

  close(): void {
    this.#link.close();
    for (const { cancelRetry } of this.#subscriptions.values()) cancelRetry();
    this.#subscriptions.clear();
  }

  // The adapter adds an error listener for a message of its own: ours says it better.
  on(): this {
    return this;
  }

  off(): this {
    return this;
  }

  subscribe(channels: string | string[], listener: BufferListener): Promise<void> {
    return this.#add('subscribe', channels, listener);
  }

  pSubscribe(patterns: string | string[], listener: BufferListener): Promise<void> {
    return this.#add('pSubscribe', patterns, listener);
  }

  sSubscribe(channels: string | string[], listener: BufferListener): Promise<void> {
    return this.#add('sSubscribe', channels, listener);
  }

  unsubscribe(channels: string | string[], listener?: BufferListener): Promise<void> {
    return this.#remove('subscribe', channels, listener);
  }

  pUnsubscribe(patterns: string | string[], listener?: BufferListener): Promise<void> {
    return this.#remove('pSubscribe', patterns, listener);
  }

  sUnsubscribe(channels: string | string[], listener?: BufferListener): Promise<void> {
    return this.#remove('sSubscribe', channels, listener);
  }

  async #add(kind: Subscription['kind'], channels: string | string[], listener: BufferListener): Promise<void> {
    const all = [channels].flat().map((channel) => {
      const key = `${kind} ${channel}`;
      const subscription = this.#subscriptions.get(key) ?? this.#create(kind, channel);
      this.#subscriptions.set(key, subscription);
      subscription.listeners.add(listener);
      return this.#reconcile(subscription);
    });
    await Promise.all(all);
  }

  async #remove(kind: Subscription['kind'], channels: string | string[], listener?: BufferListener): Promise<void> {
    const all = [channels].flat().map((channel) => {
      const subscription = this.#subscriptions.get(`${kind} ${channel}`);
      if (subscription === undefined) return Promise.resolve();
      if (listener === undefined) subscription.listeners.clear();
      else subscription.listeners.delete(listener);
      return this.#reconcile(subscription);
    });
    await Promise.all(all);
  }

  #create(kind: Subscription['kind'], channel: string): Subscription {
    const listeners = new Set<BufferListener>();
    const dispatch: BufferListener = (message, from) => {
      for (const listener of listeners) {
        try {
          listener(message, from);
        } catch {
          // A stranger's bytes on the channel: the adapter decodes without a catch of its own.
          this.#connection.metrics.dropped('adapter-message');
        }
      }
    };
    return {
      kind,
      channel,
      listeners,
      dispatch,
      confirmedOn: undefined,
      isBusy: false,
      refusals: 0,
      cancelRetry: () => undefined,
    };
  }

  /** Its slot has moved to another master of the cluster: the server has told us, and nothing arrives any more. */
  #lost(channel: string): void {
    const subscription = this.#subscriptions.get(`sSubscribe ${channel}`);
    if (subscription === undefined) return;
    this.#connection.metrics.dropped('adapter-slot-moved');
    subscription.confirmedOn = undefined;
    void this.#reconcile(subscription);
  }

  #reconcileAll(): void {
    for (const subscription of this.#subscriptions.values()) void this.#reconcile(subscription);
  }

  /** One command for a channel at a time: node-redis forgets one that is subscribed again while its UNSUBSCRIBE is on the way. */
  async #reconcile(subscription: Subscription): Promise<void> {
    if (subscription.isBusy) return;
    subscription.isBusy = true;
    try {
      for (;;) {
        const client = this.#link.client;
        const isWanted = subscription.listeners.size > 0;
        const isConfirmed = subscription.confirmedOn === client;
        if (client === undefined || isWanted === isConfirmed) break;
        if (isWanted) await client.raw[subscription.kind](subscription.channel, subscription.dispatch, true);
        else await client.raw[UNDO[subscription.kind]](subscription.channel);
        subscription.confirmedOn = isWanted ? client : undefined;
        subscription.refusals = 0;
      }
      // A client that is reconnecting may still have it: then it is given up once that is back.
      const client = this.#link.client;
      const { confirmedOn } = subscription;
      const isHeld = confirmedOn !== undefined && (client === undefined || client === confirmedOn);
      if (subscription.listeners.size === 0 && !isHeld) {
        this.#subscriptions.delete(`${subscription.kind} ${subscription.channel}`);
      }
    } catch (error) {
      this.#refused(subscription, error);
    } finally {
      subscription.isBusy = false;
    }
  }

  /** A broken connection subscribes again when it is back. A refusal (ACL, a slot without a master) is said, and tried again. */
  #refused(subscription: Subscription, error: unknown): void {
    const { clock, logger, metrics } = this.#connection;
    metrics.dropped('adapter-subscribe');
    if (this.#link.client === undefined) return;
    if (subscription.refusals === 0) {
      logger.warn(
        `the Socket.IO adapter cannot subscribe to ${printable(subscription.channel)}: ${onOneLine(String(error))}`,
      );
    }
    subscription.cancelRetry();
    const delayMs = reconnectDelayMs((subscription.refusals += 1));
    subscription.cancelRetry = clock.after(delayMs, () => void this.#reconcile(subscription));
  }
}
